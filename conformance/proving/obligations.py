"""Obligations: what follows from what, and z3 as the judge of it.

A proof is one query: the hypotheses and the negated goal have no model.  The limit is z3's own
count of work (`rlimit`), which is the same on every machine; what it does not decide is a failure.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import z3

from .logic import Term, lift

# z3's units of work for one query; the hardest proof takes a small part of it.
LIMIT = 40_000_000

PROVED, REFUTED, UNKNOWN, VACUOUS = "proved", "refuted", "unknown", "vacuous"


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


def query(terms: Iterable[Term], limit: int) -> tuple[z3.CheckSatResult, int, z3.Solver]:
    """Whether all of the terms can be true; how much work it took."""
    solver = z3.Solver()
    solver.set("rlimit", limit)
    for term in terms:
        solver.add(lift(term))
    before = _work(solver)
    found = solver.check()
    return found, _work(solver) - before, solver


def _work(solver: z3.Solver) -> int:
    statistics = solver.statistics()
    return next((int(value) for key, value in statistics if key == "rlimit count"), 0)


def prove(obligation: Obligation, limit: int = LIMIT) -> Result:
    """Have z3 prove one obligation."""
    started = time.monotonic()
    terms = [each.term for each in obligation.hypotheses]
    found, work, solver = query([*terms, z3.Not(lift(obligation.goal))], limit)
    status = PROVED if found == z3.unsat else REFUTED if found == z3.sat else UNKNOWN
    model = solver.model() if found == z3.sat else None
    return Result(obligation, status, time.monotonic() - started, work, model)


def contradictory(hypotheses: Sequence[Hypothesis], limit: int = LIMIT) -> bool:
    """Whether everything follows from these hypotheses, as far as z3 finds."""
    return query([each.term for each in hypotheses], limit)[0] == z3.unsat
