"""Verbs for golden traces: generate writes them, replay runs them on a node."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .. import checking, report
from ..formats import logs
from ..golden import generate as generating
from ..models import manifest
from ..results import Case, Results, case
from ..running import replay as replaying
from .group import node_command, verb
from .options import SEEDS, new_folder, places, searchable, timeout, verdict


@verb("generate main -o out/main")
@click.argument("model")
@new_folder
@click.option(
    "--simulate",
    type=click.IntRange(1),
    metavar="N",
    help="Write N random runs of the whole cluster instead of a cover.",
)
@click.option(
    "--depth",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Steps of each random run.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the random runs.")
@verdict
def generate(
    model: str, output: Path, simulate: int | None, depth: int, seed: int, results: Results
) -> str:
    """Write golden traces that cover a model.

    They execute every distinct transition of a node's state machine in MODEL.
    """
    with report.Line(f"model {model}") as line:
        if simulate:
            generated = generating.simulate(manifest.get(model), output, simulate, depth, seed)
        else:
            generated = generating.generate(searchable(model), output, on_progress=line.update)
    checking.show_generated([(manifest.get(model), generated)])
    violated = generated.outcome.violated
    if violated:
        report.warn(f"{model}: {violated} is violated", style="red")
    reason = f"{violated} is violated" if violated else "the golden traces do not cover the model"
    complete = generated.complete and not violated
    results.add(case("generate", model, complete, reason, generated.outcome.seconds))
    return f"{model}: {len(generated.logs):,} golden traces, {generated.steps:,} records"


@verb("replay out/main -- python3 impl/main.py --manual-clock --batch 1")
@places
@timeout
@click.option(
    "--in-process",
    metavar="MODULE:FUNCTION",
    help="Instead of a command, a function that returns a node within this process: "
    "a function from lines to what the node prints.",
)
@click.option(
    "--renamed",
    type=SEEDS,
    metavar="SEED",
    help="Replay each trace with other names, slots, request numbers and values, drawn "
    "from this seed and the trace's name.",
)
@verdict
@node_command
def replay(
    command: tuple[str, ...],
    log: tuple[Path, ...],
    timeout_seconds: float,
    in_process: str | None,
    renamed: int | None,
    results: Results,
) -> str:
    """Run golden traces on a node and compare its output.

    Each trace gets a fresh process. LOG is a file or a folder of *.ndjson files; the node's COMMAND
    follows after --.
    """
    if in_process and command:
        raise click.UsageError("a command and --in-process are two nodes; give one")
    paths = logs.find(log, logs.LOG)
    node = replaying.maker(in_process) if in_process else command
    started = time.monotonic()
    replayed = checking.replay(paths, node, timeout_seconds, renamed)
    elapsed = time.monotonic() - started
    differing = [each.difference for each in replayed if each.difference]
    checking.show_differences(differing, command)
    results.add(*map(replay_case, replayed))
    steps = sum(each.steps for each in replayed)
    if untried := sum(not each.tried for each in replayed):
        report.warn(f"the node hangs: {untried:,} traces not tried", style="red")
    tried = f"{len(replayed) - untried:,} traces"
    counted = f"{tried}, {steps:,} records equal, {len(differing):,} traces differ"
    return f"{counted}; {report.pace(steps, elapsed)}"


def replay_case(found: replaying.Replayed) -> Case:
    """Return the test case of one golden trace."""
    name = f"{found.path.parent.name}/{found.path.name}"
    if not found.tried:
        return case("replay", name, None, "not tried: the node hangs in other traces")
    reason = found.difference.text() if found.difference else ""
    return case("replay", name, found.difference is None, reason, found.seconds)
