"""The theorems of Voting.tla: its invariant is inductive, and it refines Consensus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import z3

from ..locations import MODELS, SPEC
from .assumed import STANDARD_NATIVES, Quorums
from .evaluate import Case, Env, Translation
from .logic import Term, conj, implies, restart_numbers
from .obligations import Hypothesis, Obligation, stated
from .syntax import Expr
from .values import (
    AnySet,
    FunctionShape,
    Plain,
    RecordShape,
    SetShape,
    symbol,
)

ROOT = SPEC / "Voting.tla"

ACCEPTOR, SLOT, VALUE = (z3.DeclareSort(name) for name in ("Acceptor", "Slot", "Value"))
BALLOT = z3.IntSort()
VOTE = RecordShape(
    {
        "node": Plain(ACCEPTOR, "a"),
        "slot": Plain(SLOT, "slot"),
        "ballot": Plain(BALLOT, "b"),
        "value": Plain(VALUE, "v"),
    }
)


def named(name: str, primed: bool = False) -> Expr:
    """The expression `name`, or `name'`."""
    found = Expr("name", (name, []))
    return Expr("prime", (found,)) if primed else found


def every(sort: z3.SortRef, hint: str) -> AnySet:
    """All values of a sort."""
    return AnySet(Plain(sort, hint), lambda item: True)


@dataclass
class Setting:
    """The module with arbitrary constants, in an arbitrary state, and the axioms about these."""

    translation: Translation
    axioms: list[Hypothesis] = field(default_factory=list)


def setting(root: Path = ROOT, replaced: Mapping[str, str] | None = None) -> Setting:
    """Arbitrary acceptors, slots, values, ballots, quorums, votes and promises.

    `replaced` are the overrides of a mutant; one of `IsQuorum` has no axioms.
    """
    restart_numbers()
    quorums = Quorums(ACCEPTOR)
    is_ballot = z3.Function("Ballot", BALLOT, z3.BoolSort())
    overrides = dict(replaced or {})
    meets = overrides.pop("IsQuorum", "Majority") == "Majority"
    translation = Translation(
        root,
        {
            "Acceptor": every(ACCEPTOR, "a"),
            "Slot": every(SLOT, "slot"),
            "Value": every(VALUE, "v"),
            "Ballot": AnySet(Plain(BALLOT, "b"), lambda item: is_ballot(item)),
            "quorums in": quorums.within,
        },
        {**STANDARD_NATIVES, "IsQuorum": quorums.is_quorum},
        overrides,
        [SPEC, MODELS],
    )
    translation.now = {
        "votes": symbol("votes", SetShape(VOTE)),
        "promised": symbol(
            "promised",
            FunctionShape(Plain(ACCEPTOR), Plain(BALLOT), translation.constants["Acceptor"]),
        ),
    }
    axioms = []
    if meets:
        axioms.append(Hypothesis("two quorums share an acceptor", quorums.meet()))
    return Setting(translation, axioms)


def conjuncts(translation: Translation, name: str, primed: bool = False) -> list[Hypothesis]:
    """The conjuncts of a definition, each as a hypothesis under its own name."""
    body = translation.scope.definitions[name].body
    if body.kind not in ("and", "infix"):
        return [_hypothesis(translation, named(name, primed), translation.env)]
    parts = body.parts if body.kind == "and" else _conjuncts_of(body)
    env = Env(translation.scope, primed=primed)
    return [_hypothesis(translation, part, env) for part in parts]


def _conjuncts_of(expr: Expr) -> list[Expr]:
    if expr.kind == "infix" and expr.parts[0] == "/\\":
        return [*_conjuncts_of(expr.parts[1]), *_conjuncts_of(expr.parts[2])]
    return [expr]


def _hypothesis(translation: Translation, expr: Expr, env: Env) -> Hypothesis:
    name = expr.parts[0] if expr.kind == "name" else expr.where
    if expr.kind == "prime":
        name = f"{expr.parts[0].parts[0]}'"
    return Hypothesis(name + "'" * env.primed, translation.evaluate(expr, env))


def given(facts: list[tuple[str, Term]]) -> list[Hypothesis]:
    """Facts as hypotheses, under their places."""
    return [Hypothesis(where, fact) for where, fact in facts if fact is not True]


def obligations(
    root: Path = ROOT, replaced: Mapping[str, str] | None = None
) -> Iterator[Obligation]:
    """All that has to be shown of Voting, for one choice of definitions."""
    found = setting(root, replaced)
    translation, axioms = found.translation, found.axioms
    invariant = [*axioms, *conjuncts(translation, "Inv")]
    for case in translation.cases(named("Init"), translation.env, Case()):
        start = [*axioms, *given(case.facts)]
        yield from _shown(translation, "Init => Inv", named("Inv"), start)
        yield from _shown(translation, "Init => C!Init", of_consensus("Init"), start)
    for case in translation.cases(named("Next"), translation.env, Case()):
        translation.after = case.after
        step = [*invariant, *given(case.facts)]
        yield from _shown(translation, "Inv /\\ Next => Inv'", named("Inv", True), step)
        for each in _shown(
            translation, "Inv /\\ Inv' /\\ Next => C!Next", of_consensus("Next"), step
        ):
            # Shown below of any state in which Inv holds, so of the next one.
            if not each.name.startswith("OneValuePerSlot"):
                yield each
    yield from _shown(translation, "Inv => C!Agreement", of_consensus("Agreement"), invariant)


def of_consensus(name: str) -> Expr:
    """The expression `C!name`."""
    return Expr("within", ("C", [], named(name)))


def _shown(
    translation: Translation, theorem: str, goal: Expr, hypotheses: list[Hypothesis]
) -> Iterator[Obligation]:
    for each in translation.parts(goal, translation.env):
        formula = conj(*[fact for _, fact in each.facts])
        yield stated(
            theorem,
            f"{each.label} ({each.where})",
            hypotheses,
            implies(formula, lambda each=each: each.formula),  # type: ignore[misc]
            translation.abbreviations,
        )
