"""Verbs that run everything: check, and bench beside its peers."""

from __future__ import annotations

from pathlib import Path

import click

from .. import checking
from ..benchmark import bench as measuring
from ..mutation import trace_mutation
from ..results import Results, case
from .group import node_command, verb
from .options import FOLDER, SEEDS, verdict


@verb("check --seed 7")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out"),
    show_default=True,
    help="Folder for all traces and results.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the recorded runs.")
@click.option(
    "--mutate-traces",
    "number",
    is_flag=False,
    flag_value=2000,
    type=click.IntRange(1),
    metavar="[N]",
    help="Also test the checker with N mutated traces (2000).",
)
@click.option(
    "--pin",
    is_flag=True,
    help="Write the results to conformance/pinned.json if they are complete.",
)
@verdict
@node_command
def check(
    command: tuple[str, ...],
    output: Path,
    seed: int,
    number: int | None,
    pin: bool,
    results: Results,
) -> None:
    """Run models, generate, replay, record and validate.

    The node's COMMAND may follow after --; without one, this project's node runs. The counts are
    written to results.json and must be equal to the pinned ones in conformance/pinned.json.
    """
    if pin and command:
        raise click.UsageError("--pin is for this project's own node")
    holds = checking.check(output, seed, command, pin)
    results.add(case("check", f"seed {seed}", holds, "see the tables"))
    if number:
        holds = trace_mutation.mutate_traces(
            output / "mutated", command or checking.NODE, number=number, seed=seed
        )
        wrong = f"some mutated traces are judged wrongly; they are in {output / 'mutated'}"
        results.add(case("mutate-traces", f"{number} traces, seed {seed}", holds, wrong))


@verb("bench --repetitions 9 -- ./my-node")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out"),
    show_default=True,
    help="Folder on the disk to measure; the command leaves no files in it.",
)
@click.option(
    "--repetitions",
    default=7,
    show_default=True,
    type=click.IntRange(1),
    help="Number of measurements of each figure; the subjects take turns.",
)
@click.option(
    "--requests",
    default=90_000,
    show_default=True,
    type=click.IntRange(1),
    help="Requests of a streamed run; the other runs have fewer.",
)
@click.option(
    "--largest-burst",
    default=200_000,
    show_default=True,
    type=click.IntRange(1),
    help="Skip bursts of more requests at once.",
)
@click.option(
    "--without-pysyncobj",
    is_flag=True,
    help="Do not measure PySyncObj, which otherwise must be installed.",
)
@node_command
def bench(
    command: tuple[str, ...],
    output: Path,
    repetitions: int,
    requests: int,
    largest_burst: int,
    without_pysyncobj: bool,
) -> None:
    """Measure throughput and latency beside peers.

    Targets are shown and do not decide the exit status. The node's COMMAND may follow after --;
    without one, this project's node runs.
    """
    node = command or checking.NODE
    measuring.bench(node, output, repetitions, requests, not without_pysyncobj, largest_burst)
