"""Model checking: TLC searches models, here or on several machines, or runs random behaviours.

The results are compared with the manifest and shown.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import cache, report
from ..cache import Cache
from ..jobs import at_once, cores
from ..tlaplus import tlc
from . import branches as branching
from . import distributed as distributing
from . import manifest, tables
from .branches import Coverage
from .manifest import LIBRARIES, Model

# Behaviours in one batch of a simulation: so few that progress is shown now and then, so many that
# starting TLC costs less than they do.
BATCH_RUNS = 20

# From so many short searches on, it pays to make TLC start faster.
_SHORT_SEARCHES = 15

# The model that TLC runs for the startup cache: small, and it has a temporal property as well.
_STARTUP_MODEL = "live-fair"


@dataclass(frozen=True)
class ModelRow:
    """The search of a model, to be compared with the manifest; `cached` from an earlier run."""

    model: Model
    outcome: tlc.Outcome
    cached: bool = False

    @property
    def passed(self) -> bool:
        """Whether TLC found what the manifest expects.

        The depth is compared only for one worker: several do not find the same depth each time,
        and after a violated liveness property TLC reports none.  A model without any state shows
        nothing, so it fails.
        """
        found, model = self.outcome, self.model
        same_depth = model.workers > 1 or not model.depth or found.depth == model.depth
        same = (found.violated, found.distinct) == (model.violates, model.states)
        return same and same_depth and bool(found.violated or found.distinct)

    @property
    def reason(self) -> str:
        """Return why it fails, an empty text if it passes."""
        found, model = self.outcome, self.model
        if found.violated != model.violates:
            what = f"{found.violated} is violated" if found.violated else "nothing is violated"
            return f"{model.name}: {what}, but the manifest expects: {model.expected}"
        if self.passed:
            return ""
        return (
            f"{model.name}: {model.states:,} distinct states and depth {model.depth} are pinned in "
            f"models.toml, {found.distinct:,} and {found.depth} were found; if that is what the "
            f"change means, pin them: models {model.name} --pin"
        )


def standard() -> list[Model]:
    """Return the models that `check` searches."""
    return [each for each in manifest.load().values() if each.tier in ("tiny", "standard")]


def models(
    chosen: Sequence[Model],
    checkpoints: Path | None = None,
    on_found: Callable[[ModelRow], None] = lambda row: None,
    store: Cache | None = None,
) -> list[ModelRow]:
    """Search models, as many at a time as there are cores, and call `on_found` for each result.

    A search that was interrupted continues from its last checkpoint, if there is a folder for them.
    Results that pass are kept in `store` and taken from there.
    """
    keys = {model: search_key(model) for model in chosen} if store else {}
    rows = {model: _stored(store, model, keys[model]) if store else None for model in chosen}
    missing = [model for model in chosen if rows[model] is None]
    make_startup_cache(missing)
    total, done = sum(map(cost, missing)), 0.0
    one_at_a_time = threading.Lock()
    with report.Line(f"{len(missing)} models") as line:

        def run(model: Model) -> ModelRow:
            nonlocal done
            outcome = tlc.run(
                *model.sources(),
                libraries=LIBRARIES,
                workers=model.workers,
                brief=model.brief,
                checkpoints=checkpoints and checkpoints / model.name,
                on_progress=lambda text: line.update(f"{model.name}, {text}", done / total),
            )
            if model.depth != 1:
                # One of depth 1 is about states alone, as its purpose in the manifest says.
                outcome.demand_steps(model.name)
            row = ModelRow(model, outcome)
            if store and row.passed:
                store.put("models", keys[model], asdict(outcome))
            with one_at_a_time:
                done += cost(model)
                on_found(row)
            line.update(model.name, done / total)
            return row

        rows |= dict(at_once(run, missing, lambda model: model.workers, cost))
    return [row for row in rows.values() if row]


def cost(model: Model) -> float:
    """Return about how many seconds a search takes: never 0, for TLC has to start."""
    return 2 + model.seconds


def make_startup_cache(chosen: Sequence[Model]) -> None:
    """Make TLC start faster if many of these models are small."""
    if sum(model.brief for model in chosen) >= _SHORT_SEARCHES:
        tlc.make_startup_cache(*manifest.get(_STARTUP_MODEL).sources(), libraries=LIBRARIES)


def search_key(model: Model) -> str:
    """Return a checksum of everything that the result of a search depends on."""
    entry = {**asdict(model), "config": model.config.name}
    return cache.key(
        entry, cache.files(model.files()), tlc.version(), cache.code("models.searching")
    )


def _stored(store: Cache, model: Model, key: str) -> ModelRow | None:
    found = store.get("models", key)
    row = found and ModelRow(model, tlc.Outcome(**found), cached=True)
    return row if row and row.passed else None


def pin(row: ModelRow) -> None:
    """Write what was found into the manifest, and into the tables of spec/README.md.

    A violation that the manifest does not expect, or a missing one, is not pinned: that needs a
    person.
    """
    found = row.outcome
    if found.violated == row.model.violates and (found.violated or found.distinct):
        manifest.pin(row.model.name, found.distinct, found.depth, found.seconds)
        tables.write()


def show_models(rows: Sequence[ModelRow]) -> None:
    """Print the models beside what the manifest expects, and counterexamples that it does not."""
    report.table(
        "Models",
        ("model", "expected", "#states", "#depth", "#time", "result"),
        [
            (
                row.model.name,
                row.model.expected,
                row.outcome.distinct,
                row.outcome.depth or "",
                "cached" if row.cached else row.outcome.seconds,
                row.passed,
            )
            for row in rows
        ],
    )
    for row in rows:
        if not row.passed:
            report.warn(row.reason, style="red")
        if row.outcome.violated != row.model.violates:
            report.warn("\n".join(row.outcome.trace))


def coverage(store: Cache | None = None) -> Coverage:
    """Measure which branches of the specification small models evaluate; the shortest run first.

    A result without uncovered branches is kept in `store` and taken from there.
    """
    small = [
        model
        for model in standard()
        if model.expect == "holds" and model.states < manifest.FOR_ONE_WORKER
    ]
    small.sort(key=cost)
    store = store or Cache(None)
    key = cache.key([search_key(model) for model in small], cache.code("models.branches"))
    found = store.get("branches", key)
    if found is not None:
        return Coverage(branching.every_branch(), [], found, cached=True)
    with report.Line("branches of the specification") as line:
        measured = branching.measure(small, line.update)
    if not measured.uncovered:
        store.put("branches", key, measured.models)
    return measured


def show_coverage(found: Coverage) -> None:
    """Print how many branches each module has, and those that no model evaluates."""
    rows = []
    for module in branching.ROOTS:
        every = [branch for branch in found.branches if branch.module == module]
        left = sum(branch.module == module for branch in found.uncovered)
        operators = len({branch.operator for branch in every})
        rows.append((module, operators, len(every), left, not left))
    columns = ("module", "#operators", "#branches", "#uncovered", "result")
    report.table(f"Branches covered by {', '.join(found.models)}", columns, rows)
    for branch in found.uncovered:
        report.warn(branch.uncovered())


def simulate(model: Model, minutes: float, seed: int, steps: int) -> bool:
    """Run random behaviours of a model for some minutes; return whether nothing is violated.

    They run in batches, each with its own seed, so that a failure is repeated by running one batch.
    A batch that would mostly run after the time is not begun.
    """
    started = time.monotonic()
    done: list[int] = []
    seeds, states, longest = itertools.count(seed), 0, 0.0
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
                line.update(f"{len(done) * BATCH_RUNS:,} behaviours, {states:,} steps")
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
    """A model that several machines searched, to be compared with what one machine finds."""

    model: Model
    outcome: tlc.Outcome

    @property
    def passed(self) -> bool:
        """Whether the result is the expected one.

        Where TLC stops at a violation, several workers do not stop at the same count.
        """
        if self.model.violates:
            return self.outcome.violated == self.model.violates
        return self.outcome.violated is None and self.outcome.distinct == self.model.states


def distributed(
    chosen: Sequence[Model], hosts: Sequence[str], address: str | None, jar: str
) -> list[DistributedRow]:
    """Search models one after the other, each on all hosts."""
    for model in chosen:
        distributing.fit(model)
    rows = []
    for model in chosen:
        with report.Line(f"model {model.name} on {', '.join(hosts)}") as line:
            outcome = distributing.run(
                model, hosts, address=address, jar=jar, on_progress=line.update
            )
        rows.append(DistributedRow(model, outcome))
    return rows


def show_distributed(rows: Sequence[DistributedRow]) -> None:
    """Print what several machines found beside what one finds, and what they do not decide."""
    shown = []
    for row in rows:
        pinned = "" if row.model.violates else row.model.states
        counts = (row.outcome.distinct, row.outcome.seconds, row.passed)
        shown.append((row.model.name, row.model.expected, pinned, *counts))
    columns = ("model", "expected", "#states pinned", "#distributed", "#time", "result")
    report.table("Distributed models", columns, shown)
    for row in rows:
        name, violated = row.model.name, row.outcome.violated
        if violated != row.model.violates:
            found = f"violates {violated}, or cannot be evaluated" if violated else "holds"
            report.warn(
                f"{name} {found}, which is not expected; the whole counterexample: models {name}",
                style="red",
            )
            report.warn("\n".join(row.outcome.trace))
        elif left := distributing.undecided(row.model):
            report.say(
                f"{name}: the invariants were checked. Not decided here, for TLC's distributed "
                f"mode looks only at steps to new states: {', '.join(left)}. "
                f"These need: models {name}"
            )
