"""The theorems that are proved for every size, and their table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from .. import jobs, report
from ..results import Case, case
from . import actions, obligations, voting
from .evaluate import Problem
from .obligations import Obligation, Result


@dataclass
class Theorem:
    """The obligations of one theorem, or of one action, and what z3 found.

    `problem` is why they prove nothing: text that cannot be translated, or a contradiction.
    `failures` says which obligations fail, with a counterexample where there is one.
    """

    name: str
    results: list[Result] = field(default_factory=list)
    problem: str = ""
    failures: list[str] = field(default_factory=list)

    @property
    def proved(self) -> int:
        """Return the number of obligations that are proved."""
        return sum(result.proved for result in self.results)

    @property
    def passed(self) -> bool:
        """Return whether all obligations are proved, and there are any."""
        return 0 < self.proved == len(self.results) and not self.problem

    @property
    def reason(self) -> str:
        """Return why it is not proved, "" if it is."""
        counts = f"{self.proved:,} of {len(self.results):,} obligations proved"
        return "" if self.passed else self.problem or counts

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    @property
    def work(self) -> int:
        return sum(result.work for result in self.results)

    def cases(self) -> Iterator[Case]:
        """Return a case of the theorem, and one of each obligation that is not proved."""
        yield case("prove", self.name, self.passed, self.reason, self.seconds)
        for number, result in enumerate(self.results, 1):
            if not result.proved:
                name = f"obligation {number}: {result.obligation.name}"
                yield case(self.name, name, False, result.status, result.seconds)


def theorems() -> Iterator[tuple[str, Callable[[], Iterable[Obligation]]]]:
    """Yield each theorem: its name, and a function that returns its obligations."""
    yield "Voting", voting.obligations
    yield "MultiPaxos: Init", actions.starts
    for action in actions.ACTIONS:
        yield f"MultiPaxos: {action}", functools.partial(_action, action)
    yield "MultiPaxos: stable-votes", actions.backed
    yield "MultiPaxos: stable-node", functools.partial(actions.stable, None)
    for type_, shape in actions.MESSAGES.items():
        yield f"MultiPaxos: stable-{type_}", functools.partial(actions.stable, shape)


def _action(action: str) -> Iterator[Obligation]:
    for shape in actions.inputs(action):
        yield from actions.own(action, shape)


def selected(names: Iterable[str]) -> list[str]:
    """Return the theorems of these names; raises `KeyError` for an unknown one.

    A name is that of a module (all of its theorems), or the part behind the colon.
    """
    found = []
    for wanted in names:
        matching = [name for name, _ in theorems() if wanted in name.split(": ")]
        if not matching:
            raise KeyError(wanted)
        found += matching
    return found


def prove(
    only: Iterable[str], on_theorem: Callable[[Theorem], None] = lambda theorem: None
) -> list[Theorem]:
    """Prove the theorems of these names, in the order of `theorems`, on all cores.

    Their obligations have names here, and no terms: these stay in the process that proves them.
    """
    wanted, found = set(only), []
    for theorem in jobs.in_copies(_proved, [name for name, _ in theorems() if name in wanted]):
        found.append(theorem)
        on_theorem(theorem)
    return found


def _proved(name: str) -> Theorem:
    theorem = Theorem(name)
    try:
        made = list(dict(theorems())[name]())
        theorem.results = [obligations.prove(each) for each in made]
        theorem.problem = _vacuous(made)
    except Problem as problem:
        theorem.problem = str(problem)
    for result in theorem.results:
        if not result.proved:
            theorem.failures.append(f"{result.obligation.name} is {result.status}")
            theorem.failures += [counterexample(result)] if result.model is not None else []
    theorem.results = list(map(without_terms, theorem.results))
    return theorem


def without_terms(result: Result) -> Result:
    """Return a result that can leave its process."""
    obligation = replace(result.obligation, hypotheses=[], goal=True)
    return replace(result, obligation=obligation, model=None)


def _vacuous(made: list[Obligation]) -> str:
    """Return which theorem has contradictory hypotheses, from which everything follows.

    One way through a step may be impossible, so only the hypotheses of all ways are tested.
    """
    for name in dict.fromkeys(each.theorem for each in made):
        ways = [each.hypotheses for each in made if each.theorem == name]
        shared = min(ways, key=len)
        if obligations.contradictory([each for each in shared if _lasts(each.name)]):
            return f"{name}: the hypotheses contradict each other"
    return ""


def _lasts(name: str) -> bool:
    return not name.endswith(("THEN", "ELSE")) and "fold" not in name


def summary(found: list[Theorem]) -> str:
    """Return how many obligations are proved."""
    total = sum(len(each.results) for each in found)
    return f"{sum(each.proved for each in found):,} of {total:,} obligations proved"


def show(found: list[Theorem]) -> None:
    """Print the table of theorems, and each obligation that fails."""
    report.table(
        "Proofs",
        ("theorem", "obligations", "proved", "work", "time", "result"),
        [
            (
                each.name,
                f"{len(each.results):,}",
                f"{each.proved:,}",
                f"{each.work:,}",
                f"{each.seconds:.1f} s",
                each.passed,
            )
            for each in found
        ],
    )
    for each in found:
        for failure in each.failures:
            report.say(f"{each.name}: {failure}")
        if each.problem:
            report.say(f"{each.name}: {each.problem}")


def counterexample(result: Result) -> str:
    """Return what z3 found to be possible, in the terms of the specification."""
    if result.model is None:
        return ""
    lines = []
    for each in sorted(result.model.decls(), key=str):
        name = str(each)
        if "!" not in name or name.split("!")[0] in ("x", "a", "b", "c", "cast"):
            lines.append(f"  {name} = {result.model[each]}")
    return "\n".join(lines)
