"""The theorems that are proved for every size, and their table."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from .. import jobs, report
from ..results import Case, Status
from . import actions, obligations, voting
from .evaluate import Problem
from .obligations import OPEN, PROVED, UNKNOWN, Attempt, Obligation, Result

# What is not proved yet, by action: it is tried briefly, and is open if z3 does not decide it.
EXPECTED_OPEN: dict[str, tuple[str, ...]] = {}

# For these: the attempts that prove most, and one that can refute.
BRIEF = (*obligations.ATTEMPTS[:6], Attempt(1_000_000))


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
    def open(self) -> list[str]:
        """Return the names of the obligations that are expected to be undecided, and are."""
        return [result.obligation.name for result in self.results if result.status == OPEN]

    @property
    def failed(self) -> bool:
        """Return whether an obligation is neither proved nor open, or there is none."""
        done = self.proved + len(self.open) == len(self.results)
        return not self.results or not done or bool(self.problem)

    @property
    def status(self) -> Status:
        """Return "pass" if all is proved, "fail" if something fails, "unknown" if it is open."""
        return "fail" if self.failed else "unknown" if self.open else "pass"

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    @property
    def work(self) -> int:
        return sum(result.work for result in self.results)

    def cases(self) -> Iterator[Case]:
        """Return a case of the theorem, and one of each obligation that is not proved."""
        reason = self.problem or f"{self.proved:,} of {len(self.results):,} obligations proved"
        passes = self.status == "pass"
        yield Case("prove", self.name, self.status, self.seconds, "" if passes else reason)
        for number, result in enumerate(self.results, 1):
            if not result.proved:
                status: Status = "unknown" if result.status == OPEN else "fail"
                name = f"obligation {number}: {result.obligation.name}"
                yield Case(self.name, name, status, result.seconds, result.status)


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
        theorem.results = [_tried(each) for each in made]
        theorem.problem = _stale(made) or _vacuous(made)
    except Problem as problem:
        theorem.problem = str(problem)
    for result in theorem.results:
        if result.status not in (PROVED, OPEN):
            theorem.failures.append(f"{result.obligation.name} is {result.status}")
            theorem.failures += [counterexample(result)] if result.model is not None else []
    theorem.results = list(map(without_terms, theorem.results))
    return theorem


def without_terms(result: Result) -> Result:
    """Return a result that can leave its process."""
    obligation = replace(result.obligation, hypotheses=[], goal=True)
    return replace(result, obligation=obligation, model=None)


def is_open(each: Obligation) -> bool:
    return each.name in EXPECTED_OPEN.get(each.theorem, ())


def _tried(each: Obligation) -> Result:
    if not is_open(each):
        return obligations.prove(each)
    result = obligations.prove(each, BRIEF)
    return replace(result, status=OPEN) if result.status == UNKNOWN else result


def _stale(made: list[Obligation]) -> str:
    """Return which entries of `EXPECTED_OPEN` are no obligations: a line may have moved."""
    expected = {name for each in made for name in EXPECTED_OPEN.get(each.theorem, ())}
    missing = expected - {each.name for each in made}
    return f"listed as open, but no obligation: {', '.join(sorted(missing))}" if missing else ""


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
    """Return how many obligations are proved, and the names of those that are open."""
    total = sum(len(each.results) for each in found)
    text = f"{sum(each.proved for each in found):,} of {total:,} obligations proved"
    opened = Counter(f"{each.name}: {name}" for each in found for name in each.open)
    listed = ", ".join(f"{name} ({count})" for name, count in opened.items())
    return f"{text}, {opened.total()} open: {listed}" if opened else text


WORDS = {"pass": "PASS", "fail": "FAIL", "unknown": "UNDECIDED"}


def show(found: list[Theorem]) -> None:
    """Print the table of theorems, and each obligation that fails."""
    report.table(
        "Proofs",
        ("theorem", "obligations", "proved", "open", "work", "time", "result"),
        [
            (
                each.name,
                f"{len(each.results):,}",
                f"{each.proved:,}",
                f"{len(each.open):,}",
                f"{each.work:,}",
                f"{each.seconds:.1f} s",
                WORDS[each.status],
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
