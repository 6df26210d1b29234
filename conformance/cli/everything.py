"""Verbs that run everything: check, and bench beside its peers."""

from __future__ import annotations

from pathlib import Path

import click

from .. import checking, jobs, report, whole_check
from ..benchmark import bench as measuring
from ..benchmark import long_logs
from ..mutation import trace_mutation
from ..results import Results, case
from .group import node_command, verb
from .options import FOLDER, PRINTED, SEEDS, jobs_at_a_time, verdict


@verb("check --seed 7")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out"),
    show_default=True,
    help="Folder for all traces, the cache and check.txt.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the recorded runs.")
@jobs_at_a_time
@click.option("--no-cache", is_flag=True, help="Neither use nor keep results of earlier runs.")
@click.option("--pin", is_flag=True, help="Write complete results to conformance/pinned.json.")
@click.option(
    "--mutate-traces",
    "mutated",
    is_flag=False,
    flag_value=2000,
    type=click.IntRange(1),
    metavar="[N]",
    help="Also test the checkers with N mutated traces (2000).",
)
@verdict
@node_command
def check(
    command: tuple[str, ...],
    output: Path,
    seed: int,
    number: int | None,
    no_cache: bool,
    pin: bool,
    mutated: int | None,
    results: Results,
) -> str:
    """Check specification and node in eight phases.

    The node's COMMAND may follow after --; without one, this project's node runs. Results that
    depend on nothing that changed are taken from the cache; runs of another node never are.
    """
    if pin and command:
        raise click.UsageError("--pin is for this project's own node")
    jobs.use_cores(number or 0)
    detail = report.detail
    # Tables have all rows with --verbose; a phase prints its own line.
    report.detail = "normal"
    passed = whole_check.check(
        output,
        seed,
        command,
        pin=pin,
        use_cache=not no_cache,
        verbose=detail == "verbose",
        quiet=detail == "quiet",
        results=results,
    )
    if mutated:
        node = command or checking.NODE
        right = trace_mutation.mutate_traces(output / "mutated", node, number=mutated, seed=seed)
        results.add(case("mutate-traces", f"{mutated} traces", right, "a checker is wrong"))
    if not passed and results.status == "pass":
        results.add(case("check", "verdict", False, "a phase failed"))
    return PRINTED


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
    "--log-slots",
    default=10_000_000,
    show_default=True,
    type=click.IntRange(10),
    help="Slots of the longest log, which needs 30 bytes of disk for each.",
)
@click.option("--without-long-logs", is_flag=True, help="Do not measure long logs.")
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
    log_slots: int,
    without_long_logs: bool,
    without_pysyncobj: bool,
) -> None:
    """Measure throughput and latency beside peers.

    Targets are shown and do not decide the exit status. The node's COMMAND may follow after --;
    without one, this project's node runs.
    """
    node = command or checking.NODE
    measuring.bench(node, output, repetitions, requests, not without_pysyncobj, largest_burst)
    if not without_long_logs:
        samples, missing = long_logs.measure(node, output, log_slots, repetitions)
        long_logs.show(log_slots, samples, missing)
