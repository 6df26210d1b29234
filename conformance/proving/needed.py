"""Which hypotheses the proofs need: each is left out, and some obligation is not proved.

A hypothesis is all that is assumed under one name: an axiom, a conjunct of Inv, a conjunct of what
is asserted of folds.  The conditions of a way through a step are none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from .. import cache, jobs, report
from ..cache import Cache
from ..results import Case, case
from . import counts, obligations, prove
from .logic import lift
from .obligations import Attempt, Obligation

# Attempts that are longer prove no obligation of the specification.
_LONGEST = 500_000

# The limit of the search for the hypotheses that a proof uses: tracking them takes more work.
_TRACKING = 1_000_000

# What is known is saved after so many searches.
_SAVED_AFTER = 50

# The name of a condition of a way through a step: where it stands.
_CONDITION = re.compile(r"\w+\.tla:\d+")
# What does not count in a name: whether the node was changed since; of which fold it is asserted,
# and whether that has ended, for a line of the text is one hypothesis; the number of a predicate.
_ASIDE = re.compile(
    rf"^{obligations.BEFORE}|^(after the )?fold of \w+: |!\d+(?=, by its definition)"
)


@dataclass
class Found:
    """What was found of one theorem.

    `needed` has the first obligation that is not proved without a hypothesis, `spare` the
    hypotheses without each of which all are proved.  `unproved` are obligations that are not proved
    with all hypotheses: if there are any, nothing more is known.
    """

    theorem: str
    needed: dict[str, str] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)


def needed(theorems: Iterable[str], store: Cache) -> Iterator[Found]:
    """Leave out each hypothesis of each of these theorems, until an obligation is not proved.

    What was found is in `store` after an interruption, too.
    """
    yield from jobs.in_copies(functools.partial(_of_theorem, store), theorems)


def _of_theorem(store: Cache, theorem: str) -> Found:
    key = cache.key(counts.key(), cache.code("proving.needed"), theorem)
    made = list(dict(prove.theorems())[theorem]())
    search = Search(made, store.get("needed", key))
    for number, _ in enumerate(search.steps(), 1):
        if number % _SAVED_AFTER == 0:
            store.put("needed", key, search.known())
    store.put("needed", key, search.known())
    return search.found(theorem)


class Search:
    """The proofs of some obligations, as far as they are known, and what they do without.

    z3 reports which hypotheses a proof uses, so an obligation is proved without all others.  Only
    where each proof that is known uses a hypothesis another one is searched for.
    """

    def __init__(self, made: list[Obligation], known: Any = None) -> None:
        self.made = made
        # For each obligation: what each proof that is known of it uses; no proof if there is none.
        self.uses: list[list[list[str]]] = known["uses"] if known else []
        # By hypothesis: the first obligation that is not proved without it; "" if there is none.
        self.verdicts: dict[str, str] = known["verdicts"] if known else {}

    def known(self) -> Any:
        """Return what `__init__` takes to go on from here."""
        return {"uses": self.uses, "verdicts": self.verdicts}

    def steps(self) -> Iterator[None]:
        """Find everything out; yield after each search for a proof."""
        for each in self.made[len(self.uses) :]:
            found = proof(each)
            self.uses.append([] if found is None else [found])
            yield
        for name in sorted(_names(self.made)):
            if name not in self.verdicts:
                yield from self._leave_out(name)

    def _leave_out(self, name: str) -> Iterator[None]:
        """Decide about one hypothesis; obligations whose proofs use the fewest come first."""
        users = [at for at, proofs in enumerate(self.uses) if all(name in each for each in proofs)]
        for at in sorted(users, key=lambda at: min(map(len, self.uses[at]), default=0)):
            found = proof(self.made[at], name)
            if found is None:
                self.verdicts[name] = self.made[at].name
                yield
                return
            self.uses[at].append(found)
            yield
        self.verdicts[name] = ""

    def found(self, theorem: str) -> Found:
        """Return what was found."""
        unproved = [o.name for o, proofs in zip(self.made, self.uses, strict=True) if not proofs]
        if unproved:
            return Found(theorem, unproved=unproved)
        needed = {name: each for name, each in self.verdicts.items() if each}
        return Found(theorem, needed, sorted(set(self.verdicts) - set(needed)))


def _names(made: Iterable[Obligation]) -> set[str]:
    names = {plain(each.name) for one in made for each in one.hypotheses}
    return {name for name in names if not _CONDITION.match(name)}


def plain(name: str) -> str:
    """Return the name that a hypothesis has in the tables."""
    return _ASIDE.sub("", name)


def proof(made: Obligation, without: str = "") -> list[str] | None:
    """Return the names of the hypotheses that a proof uses; None if z3 finds no proof.

    Hypotheses of the name `without` are left out.
    """
    left = _without(made, without)
    goal = z3.Not(lift(made.goal))
    for attempt in obligations.ATTEMPTS:
        if attempt.limit > _LONGEST:
            continue
        terms = [each.term for each in attempt.chosen(left)]
        if obligations.query([*terms, goal], attempt.limit, attempt.options)[0] == z3.unsat:
            return _used(left, attempt)
    return None


def _without(made: Obligation, name: str) -> Obligation:
    fewer = [each for each in made.hypotheses if plain(each.name) != name]
    return Obligation(made.theorem, made.name, fewer, made.goal)


def _used(made: Obligation, attempt: Attempt) -> list[str]:
    """Return the names of the hypotheses that a proof uses, of an attempt that finds one."""
    chosen = attempt.chosen(made)
    solver = obligations.new_solver(_TRACKING, {**attempt.options, "unsat_core": True})
    for index, each in enumerate(chosen):
        solver.assert_and_track(lift(each.term).translate(solver.ctx), str(index))
    solver.add(z3.Not(lift(made.goal)).translate(solver.ctx))
    core: Collection[int] = range(len(chosen))
    if solver.check() == z3.unsat:
        core = [int(str(each)) for each in solver.unsat_core()]
    return sorted({plain(chosen[index].name) for index in core})


@dataclass
class Hypothesis:
    """A hypothesis, and each theorem that needs it, with the first obligation that does."""

    name: str
    needing: list[str] = field(default_factory=list)

    def case(self, all_theorems: bool) -> Case:
        """Return whether it is needed: of some theorems alone, none need do so."""
        passes = bool(self.needing) or not all_theorems
        return case("prove --needed", self.name, passes, "no theorem needs it")


def by_hypothesis(found: Iterable[Found]) -> list[Hypothesis]:
    """Return each hypothesis of these theorems, by its name."""
    all_of: dict[str, Hypothesis] = {}
    for each in found:
        for name in [*each.needed, *each.spare]:
            all_of.setdefault(name, Hypothesis(name))
        for name, obligation in each.needed.items():
            all_of[name].needing.append(f"{each.theorem}: {obligation}")
    return [all_of[name] for name in sorted(all_of)]


def search_without(every: Iterable[Hypothesis], theorems: Sequence[str]) -> None:
    """Have z3 search all proofs without each hypothesis that no proof uses, and note what fails.

    A hypothesis that no proof uses may still lead z3 to one.
    """
    for each in every:
        if not each.needing:
            search = functools.partial(_unproved_without, each.name)
            each.needing += [one for some in jobs.in_copies(search, theorems) for one in some]


def _unproved_without(name: str, theorem: str) -> list[str]:
    return [
        f"{theorem}: {made.name}"
        for made in dict(prove.theorems())[theorem]()
        if not obligations.prove(_without(made, name)).proved
    ]


def summary(every: Sequence[Hypothesis]) -> str:
    """Return how many hypotheses are needed."""
    return f"{sum(bool(each.needing) for each in every)} of {len(every)} hypotheses are needed"


def show(found: list[Found], every: Sequence[Hypothesis]) -> None:
    """Print how many hypotheses each theorem needs, and for each hypothesis what needs it."""
    report.table(
        "Theorems",
        ("theorem", "hypotheses", "needed"),
        [(each.theorem, len(each.needed) + len(each.spare), len(each.needed)) for each in found],
    )
    report.table(
        "Hypotheses",
        ("hypothesis", "theorems", "first that is not proved without it"),
        [(each.name, len(each.needing), [*each.needing, "-"][0]) for each in every],
    )
    for each in found:
        for name in each.unproved:
            report.say(f"{each.theorem}: {name} is not proved with all hypotheses")
