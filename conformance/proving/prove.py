"""Prove everything that is proved for every size, test that mutants are refused, show the table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import report
from ..tlaplus import config
from . import multipaxos, obligations, voting
from .evaluate import Problem
from .obligations import PROVED, UNTRIED, Obligation, Result

# What is not proved yet, by action: it is tried briefly, and counts as open unless it is proved.
OPEN: dict[str, tuple[str, ...]] = {
    "ReceivePromise": (
        "fold of inherit: V!MayVote (Voting.tla:87)",
        "fold of inherit: Casts",
        "fold of serve: V!MayVote (Voting.tla:87)",
        "V!MayVote (Voting.tla:87)",
    ),
    "ReceiveLearned": (
        "fold of decide: WaitingInv (Invariant.tla:157)",
        "fold of decide: SkipIsTrue  (MultiPaxos.tla:659)",
        "fold of decide: ReplyIsTrue Chosen (MultiPaxos.tla:572)",
    ),
}

MUTANTS = voting.SPEC / "models" / "BrokenVoting"

# Overrides that give a model its constants, and change no definition.
_CONSTANTS = ("Majority",)


@dataclass
class Theorem:
    """The obligations of one theorem, or of one action, and what became of them."""

    name: str
    results: list[Result] = field(default_factory=list)
    problem: str = ""

    @property
    def proved(self) -> int:
        return sum(result.proved for result in self.results)

    @property
    def open(self) -> int:
        """How many obligations are known to be open."""
        return sum(result.status == UNTRIED for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether there is something to prove, and all is proved but what is known as open."""
        done = self.proved + self.open == len(self.results)
        return bool(self.results) and done and not self.problem

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    @property
    def work(self) -> int:
        return sum(result.work for result in self.results)


def theorems() -> Iterator[tuple[str, Callable[[], Iterable[Obligation]]]]:
    """What is proved: a name and how its obligations are made."""
    yield "Voting", voting.obligations
    yield "MultiPaxos: Init => Inv", multipaxos.starts
    for action in multipaxos.ACTIONS:
        yield f"MultiPaxos: {action}", functools.partial(_action, action)
    yield "MultiPaxos: a node is stable", functools.partial(multipaxos.stable, None)
    for type_, shape in multipaxos.MESSAGES.items():
        yield f"MultiPaxos: {type_} is stable", functools.partial(multipaxos.stable, shape)


def _action(action: str) -> Iterator[Obligation]:
    for shape in multipaxos.inputs(action):
        yield from multipaxos.own(action, shape)


def prove(
    everything: bool = False,
    on_theorem: Callable[[Theorem], None] = lambda theorem: None,
    only: str | None = None,
) -> list[Theorem]:
    """Prove all theorems; `everything` tries what is known to be open, too."""
    found = []
    for name, make in theorems():
        theorem = Theorem(name)
        if only not in (None, name):
            continue
        try:
            made = list(make())
            theorem.results = [_tried(each, everything) for each in made]
            theorem.problem = _vacuous(made)
        except Problem as problem:
            theorem.problem = str(problem)
        found.append(theorem)
        on_theorem(theorem)
    return found


def _tried(each: Obligation, everything: bool) -> Result:
    if each.name not in OPEN.get(each.theorem, ()) or everything:
        return obligations.prove(each)
    result = obligations.prove(each, obligations.ATTEMPTS[:6])
    return result if result.proved else replace(result, status=UNTRIED)


def _vacuous(made: list[Obligation]) -> str:
    """Which theorem has hypotheses that contradict each other: its proofs would be worth nothing.

    One way through a step may be impossible; so what is tested is what all ways have in common.
    """
    for name in dict.fromkeys(each.theorem for each in made):
        ways = [each.hypotheses for each in made if each.theorem == name]
        shared = min(ways, key=len)
        if obligations.contradictory([each for each in shared if _lasts(each.name)]):
            return f"{name}: the hypotheses contradict each other"
    return ""


def _lasts(name: str) -> bool:
    return not name.endswith(("THEN", "ELSE")) and "fold" not in name


@dataclass
class Mutant:
    """A mutant of Voting, and the obligations that it does not meet."""

    name: str
    refused: list[Result]
    total: int

    @property
    def passed(self) -> bool:
        return bool(self.refused)


def mutants() -> Iterator[Mutant]:
    """Every mutant of Voting that TLC catches, given to the prover."""
    root = MUTANTS.with_suffix(".tla")
    for path in sorted(MUTANTS.glob("*.cfg")):
        replaced = _replaced(path)
        results = [obligations.prove(each) for each in voting.obligations(root, replaced)]
        yield Mutant(path.stem, [each for each in results if not each.proved], len(results))


# Operators that are given to z3 by axioms: a mutant of one of them has no obligations to break.
BY_AXIOM = ("IsQuorum", "NextBallot")


def multipaxos_mutants() -> Iterator[Mutant]:
    """Every mutant of MultiPaxos that the proofs are made of, each up to its first failure."""
    root = multipaxos.ROOT.with_name("BrokenLoops.tla")
    for path in sorted((voting.SPEC / "models" / "Broken").glob("*.cfg")):
        replaced = {
            old: new
            for old, new in _replaced(path).items()
            if old not in ("Members", "Requests", "Network", "Ballots", *BY_AXIOM)
        }
        actions = [
            action
            for action in multipaxos.ACTIONS
            if set(replaced) & (multipaxos.definitions(action) | {action})
        ]
        if replaced and actions:
            yield _first_failure(path.stem, actions, root, replaced)


def _first_failure(
    name: str, actions: list[str], root: Path, replaced: Mapping[str, str]
) -> Mutant:
    total = 0
    for action in actions:
        for shape in multipaxos.inputs(action):
            try:
                made = multipaxos.own(action, shape, root, replaced)
            except Problem as problem:
                broken = Obligation(action, f"{action}: {problem}", [], False)
                return Mutant(name, [Result(broken, "untranslatable", 0.0, 0)], total)
            for each in made:
                total += 1
                result = obligations.prove(each)
                if not result.proved and each.name not in OPEN.get(each.theorem, ()):
                    return Mutant(name, [result], total)
    return Mutant(name, [], total)


def _replaced(path: Path) -> Mapping[str, str]:
    overridden = config.overridden(path.read_text("utf-8"))
    return {old: new for old, new in overridden.items() if new not in _CONSTANTS}


def needed(made: Iterable[Obligation]) -> dict[str, set[str]]:
    """For each obligation, the hypotheses without any of which it is not proved."""
    found: dict[str, set[str]] = {}
    for each in made:
        kept = list(each.hypotheses)
        for hypothesis in each.hypotheses:
            fewer = [other for other in kept if other is not hypothesis]
            without = Obligation(each.theorem, each.name, fewer, each.goal)
            if obligations.prove(without, obligations.BRIEFLY).proved:
                kept = fewer
        found.setdefault(f"{each.theorem}: {each.name}", set()).update(
            hypothesis.name for hypothesis in kept
        )
    return found


def show_needed(found: Mapping[str, set[str]]) -> None:
    """Print the hypotheses that each obligation needs."""
    report.table(
        "Hypotheses",
        ("obligation", "is not proved without any of"),
        [(name, ", ".join(sorted(hypotheses)) or "-") for name, hypotheses in found.items()],
    )


def show(found: list[Theorem]) -> None:
    """Print the table of theorems."""
    report.table(
        "Proofs",
        ("theorem", "obligations", "proved", "open", "work", "time", "result"),
        [
            (
                each.name,
                f"{len(each.results):,}",
                f"{each.proved:,}",
                f"{each.open:,}",
                f"{each.work:,}",
                f"{each.seconds:.1f} s",
                "PASS" if each.passed else "FAIL",
            )
            for each in found
        ],
    )
    for each in found:
        for result in each.results:
            if result.status not in (PROVED, UNTRIED):
                report.say(f"{each.name}: {result.obligation.name} is {result.status}")
                if result.model is not None:
                    report.say(counterexample(result))
        if each.problem:
            report.say(f"{each.name}: {each.problem}")


def counterexample(result: Result) -> str:
    """What z3 found to be possible, in the terms of the specification."""
    if result.model is None:
        return ""
    lines = []
    for each in sorted(result.model.decls(), key=str):
        name = str(each)
        if "!" not in name or name.split("!")[0] in ("x", "a", "b", "c", "cast"):
            lines.append(f"  {name} = {result.model[each]}")
    return "\n".join(lines)


def _first(mutant: Mutant) -> str:
    if not mutant.refused:
        return ""
    first = mutant.refused[0]
    return f"{first.obligation.theorem}: {first.obligation.name}: {first.status}"


def show_mutants(found: list[Mutant]) -> None:
    """Print the table of mutants."""
    report.table(
        "Mutants",
        ("mutant", "tried", "not proved", "first", "result"),
        [
            (
                each.name,
                str(each.total),
                str(len(each.refused)),
                _first(each),
                "PASS" if each.passed else "FAIL",
            )
            for each in found
        ],
    )
