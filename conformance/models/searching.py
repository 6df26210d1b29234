"""Models held against the manifest: searched here or on several machines, or walked through.

Runs them, tells how far they are, and shows what was found beside what is expected; what a model is
and what TLC says are told elsewhere.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import report
from ..jobs import at_once, cores
from ..tlaplus import tlc
from . import branches as branching
from . import distributed as distributing
from . import manifest, tables
from .branches import Coverage
from .manifest import LIBRARIES, Model

# Behaviours in one batch of a simulation: so few that there is something to tell now and then, so
# many that to start TLC costs less than they do.
BATCH_RUNS = 20


@dataclass(frozen=True)
class ModelRow:
    """A model held against the manifest."""

    model: Model
    outcome: tlc.Outcome

    @property
    def agrees(self) -> bool:
        """Several workers do not find the same depth each time, and after a violated liveness
        property TLC finds none; the depth that is pinned is held against one worker's.  What holds
        in no state at all shows nothing."""
        found, model = self.outcome, self.model
        same_depth = model.workers > 1 or not model.depth or found.depth == model.depth
        same = (found.violated, found.distinct) == (model.violates, model.states)
        return same and same_depth and bool(found.violated or found.distinct)


def standard() -> list[Model]:
    """The models that `check` searches."""
    return [each for each in manifest.load().values() if each.tier in ("tiny", "standard")]


def models(
    chosen: Sequence[Model],
    checkpoints: Path | None = None,
    on_found: Callable[[ModelRow], None] = lambda row: None,
) -> list[ModelRow]:
    """Runs models, as many at a time as there are cores for, and tells each that is found.

    A run that is interrupted goes on from its last checkpoint, if there is a folder for them.
    """
    done = 0
    one_at_a_time = threading.Lock()
    with report.Line(f"{len(chosen)} models") as line:

        def run(model: Model) -> ModelRow:
            nonlocal done
            outcome = tlc.run(
                *model.sources(),
                libraries=LIBRARIES,
                workers=model.workers,
                brief=model.brief,
                checkpoints=checkpoints and checkpoints / model.name,
                on_progress=lambda text: line.tell(f"{model.name}, {text}"),
            )
            if model.depth != 1:
                # One of depth 1 is about states alone, and its manifest says so.
                outcome.demand_steps(model.name)
            row = ModelRow(model, outcome)
            with one_at_a_time:
                done += 1
                on_found(row)
            line.tell(f"{done} done")
            return row

        found = dict(at_once(run, chosen, lambda model: model.workers))
    return [found[model] for model in chosen]


def pin(row: ModelRow) -> None:
    """Makes what was found what the manifest expects, and the tables of spec/README.md show it.

    Another result than the one expected is not pinned: it is for people to understand.
    """
    found = row.outcome
    if found.violated == row.model.violates and (found.violated or found.distinct):
        manifest.pin(row.model.name, found.distinct, found.depth, found.seconds)
        tables.write()


def show_models(rows: Sequence[ModelRow]) -> None:
    """The models beside what the manifest expects of them; a counterexample nobody expected."""
    report.table(
        "Models",
        ("model", "expected", "#states", "#depth", "#time", "agrees"),
        [
            (
                row.model.name,
                row.model.expected,
                row.outcome.distinct,
                row.outcome.depth or "",
                row.outcome.seconds,
                row.agrees,
            )
            for row in rows
        ],
    )
    for row in rows:
        if row.outcome.violated != row.model.violates:
            found = f"violates {row.outcome.violated}" if row.outcome.violated else "holds"
            report.warn(f"{row.model.name} {found}, which nobody expected", style="red")
            report.warn("\n".join(row.outcome.trace))
        elif not row.agrees:
            report.warn(
                f"{row.model.name}: {row.model.states:,} distinct states and depth "
                f"{row.model.depth} are pinned in models.toml, {row.outcome.distinct:,} and "
                f"{row.outcome.depth} were found; if that is what the change means, pin them: "
                f"models {row.model.name} --pin",
                style="red",
            )


def coverage() -> Coverage:
    """Sees which branches of the specification the small models take."""
    small = [
        model
        for model in standard()
        if model.expect == "holds" and model.states < manifest.FOR_ONE_WORKER
    ]
    with report.Line("branches of the specification") as line:
        return branching.measure(small, line.tell)


def show_coverage(found: Coverage) -> None:
    """How many branches each module has, how many no model took, and those."""
    rows = []
    for module in branching.ROOTS:
        every = [branch for branch in found.branches if branch.module == module]
        left = sum(branch.module == module for branch in found.uncovered)
        operators = len({branch.operator for branch in every})
        rows.append((module, operators, len(every), left, not left))
    columns = ("module", "#operators", "#branches", "#uncovered", "agrees")
    report.table(f"Coverage by {', '.join(found.models)}", columns, rows)
    for branch in found.uncovered:
        report.warn(branch.uncovered())


def simulate(model: Model, minutes: float, seed: int, steps: int) -> bool:
    """Random behaviours of a model for a while; True when nothing is violated in them.

    They are run in batches, of which each has a seed of its own, so that a failure is repeated by
    the one batch in which it was found.  None is begun that would mostly be run after the time.
    """
    started = time.monotonic()
    seeds, done, states, longest = itertools.count(seed), [], 0, 0.0
    with report.Line(f"random behaviours of {model.name}") as line:

        def batch(number: int) -> tlc.Outcome:
            options = ["-simulate", f"num={BATCH_RUNS}", "-depth", str(steps)]
            return tlc.run(
                *model.sources(), seed=number, libraries=LIBRARIES, workers=1, options=options
            )

        while not done or time.monotonic() - started + longest / 2 < 60 * minutes:
            begun = time.monotonic()
            for number, outcome in at_once(batch, itertools.islice(seeds, cores())):
                outcome.demand_steps(model.name)
                done.append(number)
                states += outcome.generated
                line.tell(f"{len(done) * BATCH_RUNS:,} behaviours, {states:,} steps")
                if outcome.violated:
                    _show_violation(model, number, steps, outcome)
                    return False
            longest = max(longest, time.monotonic() - begun)
    report.say(
        f"{model.name}: {len(done) * BATCH_RUNS:,} behaviours of {steps} steps, {states:,} states, "
        f"seeds {done[0]} to {done[-1]}, {time.monotonic() - started:.0f} s: nothing is violated"
    )
    return True


def _show_violation(model: Model, seed: int, steps: int, outcome: tlc.Outcome) -> None:
    report.warn(f"{model.name} violates {outcome.violated}, seed {seed}", style="red")
    report.warn("\n".join(outcome.trace))
    report.warn(
        f"To see it again: python -m conformance simulate --seed {seed} --steps {steps} --minutes 0"
    )


@dataclass(frozen=True)
class DistributedRow:
    """A model that was run on several machines, held against what one machine finds."""

    model: Model
    outcome: tlc.Outcome

    @property
    def agrees(self) -> bool:
        """Where TLC stops at a violation, several workers do not stop at the same count."""
        if self.model.violates:
            return self.outcome.violated == self.model.violates
        return self.outcome.violated is None and self.outcome.distinct == self.model.states


def distributed(
    chosen: Sequence[Model], hosts: Sequence[str], address: str | None, jar: str
) -> list[DistributedRow]:
    """Runs models one after the other, each on all hosts."""
    for model in chosen:
        distributing.fit(model)
    rows = []
    for model in chosen:
        with report.Line(f"model {model.name} on {', '.join(hosts)}") as line:
            outcome = distributing.run(
                model, hosts, address=address, jar=jar, on_progress=line.tell
            )
        rows.append(DistributedRow(model, outcome))
    return rows


def show_distributed(rows: Sequence[DistributedRow]) -> None:
    """What several machines found beside what one finds, and what they do not decide."""
    shown = []
    for row in rows:
        pinned = "" if row.model.violates else row.model.states
        found = (row.outcome.distinct, row.outcome.seconds, row.agrees)
        shown.append((row.model.name, row.model.expected, pinned, *found))
    columns = ("model", "expected", "#states pinned", "#distributed", "#time", "agrees")
    report.table("Distributed models", columns, shown)
    for row in rows:
        name, violated = row.model.name, row.outcome.violated
        if violated != row.model.violates:
            found = f"violates {violated}, or cannot be evaluated" if violated else "holds"
            report.warn(
                f"{name} {found}, which nobody expected; the whole counterexample: models {name}",
                style="red",
            )
            report.warn("\n".join(row.outcome.trace))
        elif left := distributing.undecided(row.model):
            report.say(
                f"{name}: the invariants were checked. Not decided here, for TLC's distributed "
                f"mode looks only at steps to new states: {', '.join(left)}. "
                f"These need: models {name}"
            )
