"""Negative controls of the proofs: mutants of the specification are not proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import jobs, locations, report
from ..models import manifest
from ..models.manifest import Model
from ..tlaplus import config
from . import actions, obligations, voting
from .evaluate import Problem
from .obligations import Attempt, Obligation, Result
from .prove import without_terms

BROKEN = locations.PACKAGE / "tla" / "BrokenLoops.tla"

# Properties that no obligation is about, so that a mutant may violate them and be proved.
NOT_PROVED = {
    "DeadIsDead",
    "LearnedIsNext",
    "LogIsWhole",
    "PollIsAnswered",
    "VersionIsSent",
    "VersionsAreTrue",
}

# The limit of the longest attempt at what should not be proved.
_LONGEST = 1_000_000

# What a model overrides to be small enough for TLC.
_BOUNDS = ("Members", "Requests", "Network", "Ballots")


@dataclass
class Mutant:
    """A mutant of the specification: what it violates, and the first obligation it does not meet.

    `problem` is text of it that cannot be translated, so that nothing can be proved of it either.
    """

    name: str
    violates: str
    tried: int
    refused: Result | None = None
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Return whether the mutant is not proved."""
        return self.refused is not None or bool(self.problem)


def mutants(names: Iterable[str] = ()) -> Iterator[Mutant]:
    """Give mutants that TLC catches to the prover: of these names, or all.

    Left out are those that violate nothing that is proved (`unproved_mutants`).
    """
    wanted = set(names)
    chosen = [
        model
        for model in _broken()
        if model.violates not in NOT_PROVED and (not wanted or model.name in wanted)
    ]
    yield from jobs.in_copies(_mutant, chosen)


def unproved_mutants() -> list[Model]:
    """Return the mutants that violate only what is not proved of the specification itself."""
    return [model for model in _broken() if model.violates in NOT_PROVED]


def _broken() -> list[Model]:
    found = manifest.load().values()
    roots = ("Broken", "BrokenVoting")
    return [each for each in found if each.expect == "breaks" and each.module.stem in roots]


def _mutant(model: Model) -> Mutant:
    replaced = _replaced(model)
    found = Mutant(model.name, str(model.violates), 0)
    try:
        for made in _obligations_of(model, replaced):
            found.tried += len(made)
            found.refused = _first_refused(made)
            if found.refused:
                break
    except Problem as problem:
        found.problem = str(problem)
    if found.refused:
        found.refused = without_terms(found.refused)
    return found


def _replaced(model: Model) -> dict[str, str]:
    """Return the overrides that change a definition, not those that give a constant its value."""
    overridden = config.overridden(model.config.read_text("utf-8"))
    return {old: new for old, new in overridden.items() if old not in _BOUNDS}


def _obligations_of(model: Model, replaced: dict[str, str]) -> Iterator[list[Obligation]]:
    """Yield the obligations of a mutant: of each action that uses what is replaced.

    Actions that use little come first.  A mutant of IsQuorum is one of Voting: that two quorums
    share a node is assumed there alone.
    """
    if model.module.stem == "BrokenVoting":
        yield list(voting.obligations(model.module, replaced))
        return
    definitions = dict(replaced)
    if quorums := definitions.pop("IsQuorum", None):
        yield list(voting.obligations(replaced={"IsQuorum": quorums}))
    translation = actions.Cluster(BROKEN, definitions).translation
    used = {action: translation.used_by(action) for action in actions.ACTIONS}
    for action in sorted(used, key=lambda action: len(used[action])):
        if not used[action] & set(replaced):
            continue
        for shape in actions.inputs(action):
            yield list(actions.own(action, shape, BROKEN, definitions))


def _attempts() -> list[Attempt]:
    """Return the attempts but the longest: these prove no obligation of the specification."""
    return [each for each in obligations.ATTEMPTS if each.limit <= _LONGEST]


def _first_refused(made: list[Obligation]) -> Result | None:
    """Return the first obligation that is not proved."""
    results = (obligations.prove(each, _attempts()) for each in made)
    return next((each for each in results if not each.proved), None)


def _first(mutant: Mutant) -> str:
    if mutant.refused is None:
        return mutant.problem
    first = mutant.refused
    return f"{first.obligation.theorem}: {first.obligation.name}: {first.status}"


def show_mutants(found: list[Mutant]) -> None:
    """Print the table of mutants."""
    report.table(
        "Mutants",
        ("mutant", "violates", "obligations", "first that is not proved", "result"),
        [
            (each.name, each.violates, f"{each.tried:,}", _first(each), each.passed)
            for each in found
        ],
    )
