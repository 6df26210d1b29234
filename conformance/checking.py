"""The whole check, and the pieces of it that are verbs of their own.

Puts the rooms together and shows what they found; what agreement means is decided in them.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import generate as generating
from . import logs, report, tlc
from . import models as manifest
from . import record as recording
from . import replay as replaying
from . import validate as validating
from .generate import Generated
from .models import LIBRARIES, Model
from .replay import Replayed
from .verdict import Verdict

# What TLC and the replay are sized for.
CORES = 2

NODE = (sys.executable, str(manifest.ROOT / "impl" / "main.py"))

# The standard runs of real processes: nodes and requests.  Those of random models: runs, steps.
CLUSTERS = ((3, 200), (5, 200))
RANDOM_RUNS, RANDOM_STEPS = 10, 150


@dataclass(frozen=True)
class ModelRow:
    """A model held against the manifest."""

    model: Model
    outcome: tlc.Outcome

    @property
    def agrees(self) -> bool:
        return (
            self.outcome.violated == self.model.violates
            and self.outcome.distinct == self.model.states
        )


def models(chosen: Sequence[Model]) -> list[ModelRow]:
    """Runs models, as many at a time as there are cores for."""
    found: dict[str, ModelRow] = {}
    with report.Line(f"{len(chosen)} models") as line:

        def run(model: Model) -> None:
            outcome = tlc.run(
                manifest.MODELS / f"{model.module}.tla", model.config, libraries=LIBRARIES,
                workers=model.workers, on_progress=lambda text: line.tell(f"{model.name}, {text}"),
            )  # fmt: skip
            found[model.name] = ModelRow(model, outcome)
            line.tell(f"{len(found)} done")

        for workers in sorted({model.workers for model in chosen}):
            with ThreadPoolExecutor(CORES // workers) as pool:
                list(pool.map(run, (model for model in chosen if model.workers == workers)))
    return [found[model.name] for model in chosen]


def show_models(rows: Sequence[ModelRow]) -> None:
    """The models beside what the manifest expects of them; a counterexample nobody expected."""
    report.table(
        "Models",
        ("model", "expected", "#states", "#depth", "#time", "agrees"),
        [
            (
                row.model.name,
                f"{row.model.expect} {row.model.violates or ''}".strip(),
                row.outcome.distinct,
                row.outcome.depth,
                row.outcome.seconds,
                row.agrees,
            )
            for row in rows
        ],
    )
    for row in rows:
        if row.outcome.violated != row.model.violates:
            found = f"violates {row.outcome.violated}" if row.outcome.violated else "holds"
            report.err.print(f"{row.model.name} {found}, which nobody expected", style="red")
            report.err.print("\n".join(row.outcome.trace), markup=False)
        elif not row.agrees:
            report.err.print(
                f"{row.model.name}: {row.model.states:,} distinct states are pinned in "
                f"models.toml, {row.outcome.distinct:,} were found; if that is what the "
                "change means, change the pin",
                style="red",
            )


def show_generated(rows: Sequence[tuple[str, Generated]]) -> None:
    """What was generated from models; of random runs nothing is counted but what they wrote."""
    shown = []
    for name, made in rows:
        counts = (made.outcome.generated, made.transitions, made.covered)
        figures = counts if made.transitions else ("", "", "")
        shown.append((name, *figures, len(made.logs), made.steps, made.outcome.seconds))
    columns = ("model", "#transitions", "#local", "#covered", "#logs", "#records", "#time")
    report.table("Generated logs", columns, shown)


def replay(paths: Sequence[Path], command: Sequence[str], seconds: float = 30) -> list[Replayed]:
    """Replays logs, with a line that tells how many are done."""
    done = 0
    with report.Line(f"replay of {len(paths):,} logs") as line:

        def tell(_: Replayed) -> None:
            nonlocal done
            done += 1
            line.tell(f"{done:,} done")

        return replaying.replay_all(paths, command, seconds=seconds, on_done=tell)


def validate(clusters: Sequence[Sequence[logs.Record]], batch: int) -> list[Verdict]:
    """Judges logs, with a line that tells how far it is."""
    with report.Line(f"judging {sum(map(len, clusters)):,} records") as line:
        return validating.validate(clusters, batch, on_progress=line.tell)


def check(output: Path, seed: int, command: Sequence[str]) -> bool:
    """Runs everything on the standard models; True when all of it agrees."""
    node = tuple(command) or NODE
    replaying.check_command(node)
    for old in ("golden", "run"):
        shutil.rmtree(output / old, ignore_errors=True)
    everything = list(manifest.load().values())
    rows = models([m for m in everything if m.expect != "runs" and not m.golden])
    made: list[tuple[str, Generated]] = []
    for model in everything:
        target = output / "golden" / model.name
        if model.golden:
            with report.Line(f"model {model.name}, with its golden logs") as line:
                made.append((model.name, generating.generate(model, target, on_progress=line.tell)))
            rows.append(ModelRow(model, made[-1][1].outcome))
        elif model.expect == "runs":
            with report.Line(f"random runs of {model.name}, seed {seed}"):
                generated = generating.simulate(model, target, RANDOM_RUNS, RANDOM_STEPS, seed)
            made.append((f"{model.name}, {RANDOM_RUNS} random runs", generated))
    loop = _loop(output, seed, node, [path for _, found in made for path in found.logs])
    show_models(rows)
    show_generated(made)
    report.table("The loop", ("what", "figure", "#time", "agrees"), loop)
    return (
        all(row.agrees for row in rows)
        and all(found.complete for _, found in made)
        and all(row[-1] for row in loop)
    )


def _loop(output: Path, seed: int, node: Sequence[str], golden: list[Path]) -> list[Any]:
    """Replays, records and validates; a row of the table for each."""
    rows: list[Any] = []
    started = time.monotonic()
    results = replay(golden, [*node, "--manual-clock", "--batch", "1"])
    differing = [result.difference for result in results if result.difference]
    for found in differing[:5]:
        report.out.print(report.difference(found), markup=False, soft_wrap=True)
    steps = sum(result.steps for result in results)
    rows.append(
        (f"replay of {len(golden):,} golden logs", f"{steps:,} records",
         time.monotonic() - started, bool(golden) and not differing)
    )  # fmt: skip
    clusters = []
    for nodes, requests in CLUSTERS:
        started = time.monotonic()
        with report.Line(f"cluster of {nodes} processes, seed {seed}") as line:
            recorded = recording.record(
                output / "run" / f"{nodes}-nodes", node, nodes=nodes, requests=requests, seed=seed,
                on_progress=lambda count, line=line: line.tell(f"{count:,} steps"),
            )  # fmt: skip
        clusters.append(logs.read(recorded.path))
        told = ("answered", "lost", "repeated", "crashes")
        faults = ", ".join(f"{recorded.happened[what]:,} {what}" for what in told)
        rows.append(
            (f"record {nodes} processes, {requests} requests, seed {seed}", faults,
             time.monotonic() - started, recorded.happened["answered"] > 0)
        )  # fmt: skip
    started = time.monotonic()
    verdicts = validate(clusters, 1000)
    rejections = [found for verdict in verdicts for found in verdict.rejections]
    for rejection in rejections[:5]:
        report.out.print(report.rejection(rejection), markup=False, soft_wrap=True)
    rows.append(
        (f"validate {len(clusters)} recorded logs", f"{sum(map(len, clusters)):,} records",
         time.monotonic() - started, not rejections)
    )  # fmt: skip
    return rows
