"""Obligations: what follows from what, and whether z3 proves it.

A proof is one query: the hypotheses and the negated goal have no model.  The limit is z3's own
count of work (`rlimit`), which is the same on every machine; what it does not decide is a failure.
"""

from __future__ import annotations

import functools
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from .logic import Abbreviations, Term, lift

# Hypotheses that z3 can go on instantiating for ever: each vote has a quorum behind it, with votes
# below, that have quorums; and each two quorums share a node.  Most goals need none of them.
BACKED, MEET = "MayVote (Voting.tla:87)", "two quorums share"
TYPES = "TypeOK (Voting.tla:41)"
# Each vote has a request behind it, with a vote of its receiver, which has one, too.
REQUESTED = "VotesAreRequested"
LOOPS = (BACKED, MEET, TYPES, REQUESTED)
BEFORE = "before: "


@dataclass(frozen=True)
class Attempt:
    """One way to search: z3's options, its limit in units of work, hypotheses to leave out."""

    limit: int
    options: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    # Only the hypothesis of the goal's own name, and what belongs to the step itself.
    alone: bool = False
    # Only the hypotheses that are near to the goal: see `nearest`.
    near: float = 0

    def chosen(self, obligation: Obligation) -> list[Hypothesis]:
        """Return the hypotheses that take part."""
        found = obligation.hypotheses
        if self.near:
            found = nearest(found, obligation.goal, self.near)
        return [each for each in found if self.uses(each.name, obligation.name)]

    def uses(self, name: str, goal: str) -> bool:
        """Whether a hypothesis takes part."""
        if self.alone:
            near = name.split(": ")[-1] in goal or "(" not in name
            return near and not any(each in name for each in self.without)
        if BEFORE in name and BEFORE in self.without:
            return False
        return name.split(": ")[-1] in goal or not any(each in name for each in self.without)


# By instances of the hypotheses alone, which finds most proofs and no counterexample; then by
# models, too.
INSTANCES: dict[str, Any] = {"mbqi": False}
ATTEMPTS = (
    Attempt(50_000, INSTANCES, alone=True),
    Attempt(150_000, INSTANCES, (REQUESTED,), near=10),
    Attempt(300_000, INSTANCES, (*LOOPS, BEFORE)),
    Attempt(500_000, INSTANCES, (REQUESTED,), near=20),
    Attempt(300_000, INSTANCES, near=32),
    Attempt(500_000, INSTANCES, LOOPS),
    Attempt(500_000, INSTANCES, LOOPS, near=14),
    Attempt(2_000_000, INSTANCES),
    Attempt(1_000_000),
)

PROVED, REFUTED, UNKNOWN = "proved", "refuted", "unknown"


@dataclass(frozen=True)
class Hypothesis:
    """What an obligation may use: under which name, and where the specification says it."""

    name: str
    term: Term = field(compare=False, hash=False)

    @functools.cached_property
    def symbols(self) -> set[str]:
        """Return the names of functions, relations and constants in it."""
        return symbols(self.term)


_WORD = re.compile(r"[^\s()]+")
_BOUND = re.compile(r"\((\S+) [A-Z]\w*\)")
_OF_THE_LANGUAGE = {
    *("forall", "exists", "let", "and", "or", "not", "=>", "=", "ite", "true", "false"),
    *("<", ">", "<=", ">=", "+", "-", "!", ":pattern", "Int", "Bool"),
}


def symbols(term: Term) -> set[str]:
    """Return the names of functions, relations and constants in a term."""
    text = lift(term).sexpr()
    return {*_WORD.findall(text)} - {*_BOUND.findall(text)} - _OF_THE_LANGUAGE


def nearest(hypotheses: list[Hypothesis], goal: Term, tolerance: float) -> list[Hypothesis]:
    """Return the hypotheses that share a symbol with the goal that is typical of them.

    It is typical if it is in at most `tolerance` times as many hypotheses as their rarest symbol
    (the selection SInE: Hoder and Voronkov 2011).
    """
    common = Counter(symbol for each in hypotheses for symbol in each.symbols)
    wanted = symbols(goal)
    return [
        each
        for each in hypotheses
        if any(
            common[symbol] <= tolerance * min(common[other] for other in each.symbols)
            for symbol in each.symbols & wanted
        )
    ]


@dataclass
class Obligation:
    """One thing to prove."""

    theorem: str
    name: str
    hypotheses: list[Hypothesis]
    goal: Term


def stated(
    theorem: str,
    name: str,
    hypotheses: Sequence[Hypothesis],
    goal: Term,
    abbreviations: Abbreviations,
) -> Obligation:
    """Return an obligation that has the definitions of all abbreviations in it as hypotheses."""
    definitions = abbreviations.used_by([*(each.term for each in hypotheses), goal])
    more = [Hypothesis(f"{name}, by its definition", term) for name, term in definitions]
    return Obligation(theorem, name, [*hypotheses, *more], goal)


@dataclass
class Result:
    """What became of an obligation; `work` is z3's own count, the same on every machine."""

    obligation: Obligation
    status: str
    seconds: float
    work: int
    model: z3.ModelRef | None = None

    @property
    def proved(self) -> bool:
        return self.status == PROVED


def query(
    terms: Iterable[Term], limit: int, options: Mapping[str, Any] | None = None
) -> tuple[z3.CheckSatResult, int, z3.Solver]:
    """Return whether all of the terms can be true, and how much work it took."""
    solver = new_solver(limit, options or {})
    for term in terms:
        solver.add(lift(term).translate(solver.ctx))
    before = _work(solver)
    found = solver.check()
    return found, _work(solver) - before, solver


def new_solver(limit: int, options: Mapping[str, Any]) -> z3.Solver:
    """Return a solver in a context of its own, so that no result depends on an earlier proof."""
    solver = z3.Solver(ctx=z3.Context())
    solver.set("rlimit", limit)
    for key, value in options.items():
        solver.set(key, value)
    return solver


def _work(solver: z3.Solver) -> int:
    statistics = solver.statistics()
    return next((int(value) for key, value in statistics if key == "rlimit count"), 0)


def prove(obligation: Obligation, attempts: Sequence[Attempt] = ATTEMPTS) -> Result:
    """Have z3 prove one obligation, in one of several ways that it has to search."""
    started, work = time.monotonic(), 0
    negated = z3.Not(lift(obligation.goal))
    for attempt in attempts:
        terms = [each.term for each in attempt.chosen(obligation)]
        found, more, solver = query([*terms, negated], attempt.limit, attempt.options)
        work += more
        if found == z3.unsat:
            return Result(obligation, PROVED, time.monotonic() - started, work)
        if found == z3.sat and len(terms) == len(obligation.hypotheses):
            model = solver.model()
            return Result(obligation, REFUTED, time.monotonic() - started, work, model)
    return Result(obligation, UNKNOWN, time.monotonic() - started, work)


def contradictory(hypotheses: Sequence[Hypothesis]) -> bool:
    """Whether everything follows from these hypotheses, as far as z3 finds."""
    terms = [each.term for each in hypotheses]
    return any(
        query(terms, attempt.limit, attempt.options)[0] == z3.unsat
        for attempt in (Attempt(500_000, INSTANCES), Attempt(300_000))
    )
