"""Obligations: what follows from what, and whether z3 proves it.

A proof is one query: the hypotheses and the negated goal have no model.  The limit is z3's own
count of work (`rlimit`), which is the same on every machine; what it does not decide is a failure.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from .logic import Term, lift

# Hypotheses that z3 can go on instantiating for ever: each vote has a quorum behind it, with votes
# below, that have quorums; and each two quorums share a node.  Most goals need none of them.
BACKED, MEET = "MayVote (Voting.tla:87)", "two quorums share"
TYPES = "TypeOK (Voting.tla:41)"
BEFORE = "before: "


@dataclass(frozen=True)
class Attempt:
    """One way to search: z3's options, its limit in units of work, hypotheses to leave out."""

    limit: int
    options: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    # Only the hypothesis of the goal's own name, and what belongs to the step itself.
    alone: bool = False

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
CASES = {**INSTANCES, "auto_config": False, "case_split": 3}
ATTEMPTS = (
    Attempt(50_000, INSTANCES, alone=True),
    Attempt(400_000, INSTANCES, (BACKED, MEET, TYPES, BEFORE)),
    Attempt(200_000, INSTANCES, (BACKED, MEET, TYPES)),
    Attempt(200_000, CASES, (MEET,), alone=True),
    Attempt(500_000, CASES, (MEET, TYPES, BEFORE)),
    Attempt(500_000, CASES, (MEET, TYPES)),
    Attempt(500_000, INSTANCES, (MEET, TYPES)),
    Attempt(500_000, INSTANCES, (BACKED, TYPES)),
    Attempt(2_000_000, INSTANCES),
    Attempt(1_000_000),
    Attempt(2_000_000, {"auto_config": False}),
    Attempt(4_000_000, {"mbqi": False, "random_seed": 1}),
    Attempt(4_000_000, {"random_seed": 2}),
)
# For the question whether a proof goes through without some hypothesis.
BRIEFLY = (Attempt(300_000, INSTANCES), Attempt(200_000))


# `OPEN` is unknown, and expected to be.
PROVED, REFUTED, UNKNOWN, OPEN = "proved", "refuted", "unknown", "open"


@dataclass(frozen=True)
class Hypothesis:
    """What an obligation may use: under which name, and where the specification says it."""

    name: str
    term: Term = field(compare=False, hash=False)


@dataclass
class Obligation:
    """One thing to prove."""

    theorem: str
    name: str
    hypotheses: list[Hypothesis]
    goal: Term


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
    """Return whether all of the terms can be true, and how much work it took.

    In a context of its own, so that no result depends on what was proved before.
    """
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("rlimit", limit)
    for key, value in (options or {}).items():
        solver.set(key, value)
    for term in terms:
        solver.add(lift(term).translate(context))
    before = _work(solver)
    found = solver.check()
    return found, _work(solver) - before, solver


def _work(solver: z3.Solver) -> int:
    statistics = solver.statistics()
    return next((int(value) for key, value in statistics if key == "rlimit count"), 0)


def prove(obligation: Obligation, attempts: Sequence[Attempt] = ATTEMPTS) -> Result:
    """Have z3 prove one obligation, in one of several ways that it has to search."""
    started, work = time.monotonic(), 0
    negated = z3.Not(lift(obligation.goal))
    for attempt in attempts:
        terms = [
            each.term for each in obligation.hypotheses if attempt.uses(each.name, obligation.name)
        ]
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
