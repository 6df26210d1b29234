"""Run many deterministic simulations of a cluster, one for each seed, and report failures.

    python -m tests.simulation --seeds 1..10000
    python -m tests.simulation --load burst --outstanding 20000 --seeds 1..1
    python -m tests.simulation --script out/simulated/scripts/seed-17.ndjson

`cluster` has the simulation.  A seed that fails is shrunk, and its log is written.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from conformance import report
from conformance.formats import logs
from conformance.validation import explanation
from conformance.validation.trace_validation import validate_logs
from tests.simulation import buggy, loads
from tests.simulation.faults import Script, draw
from tests.simulation.lives import BATCH
from tests.simulation.shrink import shrink
from tests.simulation.trial import Trial


@dataclass(frozen=True)
class Series:
    """The seeds that are run, and everything that they have in common."""

    first: int
    last: int
    nodes: int | None
    seconds: float
    bug: str | None = None
    load: str | None = None
    outstanding: int = 32

    def script(self, seed: int) -> Script:
        if self.load:
            return loads.draw(self.load, seed, self.nodes, self.outstanding)
        return draw(seed, self.nodes, self.seconds)

    def run(self, seed: int) -> Trial:
        return buggy.run(self.script(seed), self.bug)

    def command(self, seed: int) -> str:
        nodes = f" --nodes {self.nodes}" if self.nodes else ""
        bug = f" --bug {self.bug}" if self.bug else ""
        kind = f"--seconds {self.seconds:g}"
        if self.load:
            kind = f"--load {self.load} --outstanding {self.outstanding}"
        return f"python -m tests.simulation --seeds {seed}..{seed}{nodes} {kind}{bug}"

    def trials(self, jobs: int) -> Iterator[Trial]:
        seeds = range(self.first, self.last + 1)
        if jobs == 1 or len(seeds) == 1:
            yield from map(self.run, seeds)
            return
        with multiprocessing.Pool(jobs) as pool:
            yield from pool.imap(partial(Series.run, self), seeds, chunksize=4)


class Seeds(click.ParamType):
    """FIRST..LAST."""

    name = "FIRST..LAST"

    def convert(self, value: str, param: object, ctx: object) -> tuple[int, int]:
        first, _, last = value.partition("..")
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            self.fail(f"{value} is not like 1..1000")
        return int(first), int(last)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Example:
  python -m tests.simulation --seeds 1..10000 -o out/simulated

Exit status: 0 all is well, 1 something failed, 2 could not be run.""",
)
@click.option("--seeds", type=Seeds(), default="1..1000", show_default=True)
@click.option(
    "--nodes",
    type=click.IntRange(1),
    metavar="N",
    help="Nodes of each cluster (default: another number for each seed).",
)
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Simulated seconds with faults; a period without faults follows.",
)
@click.option(
    "--load",
    type=click.Choice(list(loads.KINDS)),
    help="Put a load on the cluster, and examine it while the load goes on.",
)
@click.option(
    "--outstanding",
    default=32,
    show_default=True,
    type=click.IntRange(1),
    help="Requests at once in a burst.",
)
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that share the seeds.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default="out/simulated",
    show_default=True,
    help="Folder for what a failure leaves.",
)
@click.option(
    "--validate",
    "validated",
    default=0,
    type=click.IntRange(0),
    metavar="N",
    help="Check the logs of the first N seeds by trace validation, too.",
)
@click.option(
    "--script",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run what was left in this file instead.",
)
@click.option(
    "--bug",
    type=click.Choice(list(buggy.BUGS)),
    metavar="NAME",
    help="Give every node this bug of tests/mutants/bugs.toml.",
)
def main(
    seeds: tuple[int, int],
    nodes: int | None,
    seconds: float,
    jobs: int,
    output: Path,
    validated: int,
    script: Path | None,
    bug: str | None,
    load: str | None,
    outstanding: int,
) -> None:
    """Run deterministic simulations of a cluster with fault injection, one for each seed."""
    series = Series(*seeds, nodes, seconds, bug, load, outstanding)
    if script is not None:
        sys.exit(repeat(Script.of(script.read_text("utf-8")), series.bug, output))
    total = run_all(series, jobs)
    for found in total.failed[:1]:
        explain(series, found, output)
    rejected = validate_seeds(series, validated, output) if validated else 0
    if total.failed or rejected:
        sys.exit(1)
    if missing := total.missing(faults=load is None):
        report.warn(f"too few events for a verdict: {'; '.join(missing)}", style="red")
        sys.exit(2)


def run_all(series: Series, jobs: int) -> Total:
    """Run all seeds, and report the totals."""
    begun, total = time.monotonic(), Total()
    with report.Line(f"seeds {series.first}..{series.last}") as line:
        for found in series.trials(jobs):
            total.add(found)
            line.update(f"{total.seeds:,} done, {len(total.failed):,} failed")
    report.say(total.text(time.monotonic() - begun))
    return total


EVENT_NAMES = {
    "propose": "requests",
    "acknowledged": "slots acknowledged",
    "errors": "errors",
    "falls": "crashes",
    "cut": "partitions",
    "pause": "pauses",
    "slow": "slow spells",
    "full": "full disks",
    "lost": "messages lost",
    "cut off": "cut off",
    "repeated": "repeated",
}
"""The counted events of a simulation, and their names in the report."""

FROM, LEAST = 20, ("falls", "cut", "pause", "slow", "full", "lost", "repeated")
"""Each seed must have some slot acknowledged; so many seeds must have some fault of each kind."""


@dataclass
class Total:
    """The totals of the runs so far."""

    seeds: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    failed: list[Trial] = field(default_factory=list)

    def add(self, found: Trial) -> None:
        self.seeds += 1
        self.seconds += found.seconds
        self.processor += found.processor
        self.happened += found.happened
        if found.failure:
            self.failed.append(found)

    def missing(self, faults: bool = True) -> list[str]:
        """Return the events that happened too rarely for a verdict."""
        least = {"acknowledged": self.seeds}
        if faults and self.seeds >= FROM:
            least |= dict.fromkeys(LEAST, 1)
        return [
            f"{self.happened[what]:,} of at least {number:,} {EVENT_NAMES[what]}"
            for what, number in least.items()
            if self.happened[what] < number
        ]

    def text(self, real: float) -> str:
        happened = ", ".join(
            f"{self.happened[what]:,} {name}" for what, name in EVENT_NAMES.items()
        )
        return (
            f"{self.seeds:,} seeds, {len(self.failed):,} failed: {happened}\n"
            f"{self.seconds:,.0f} simulated seconds in {real:,.1f} real ones, "
            f"{self.seconds / real:,.0f} in one; "
            f"{self.seconds / self.processor:,.0f} in one of a processor"
        )


def explain(series: Series, found: Trial, output: Path) -> None:
    """Shrink a failure, write its log, and print the command that repeats it."""
    report.say(f"seed {found.script.seed} failed: {found.failure}")
    report.say(f"  repeat it with: {series.command(found.script.seed)}")
    with report.Line("shrinking"):
        smaller = shrink(found.script, lambda script: fails_alike(script, series.bug, found))
    again = buggy.run(smaller, series.bug, logs=True)
    again.write(output)
    report.say(
        f"  smaller, with {len(smaller.events)} events of {len(found.script.events)}: "
        f"{again.failure}"
    )
    bug = f" --bug {series.bug}" if series.bug else ""
    report.say(
        f"  repeat it with: python -m tests.simulation --script "
        f"{output}/scripts/seed-{smaller.seed}.ndjson{bug}"
    )
    report.say(f"  its log and its history are in {output}/logs and {output}/histories")


def fails_alike(script: Script, bug: str | None, found: Trial) -> bool:
    return buggy.run(script, bug).rule == found.rule


def repeat(script: Script, bug: str | None, output: Path) -> int:
    """Run one script, and leave its log."""
    found = buggy.run(script, bug, logs=True)
    found.write(output)
    report.say(found.failure or "passed")
    return 1 if found.failure else 0


def validate_seeds(series: Series, number: int, output: Path) -> int:
    """Check the logs of the first seeds by trace validation; return how many are rejected."""
    clusters = []
    for seed in range(series.first, min(series.last, series.first + number - 1) + 1):
        found = buggy.run(series.script(seed), series.bug, logs=True)
        found.write(output)
        clusters.append(logs.read(output / "logs" / f"seed-{seed}.ndjson"))
    return count_rejections(clusters)


def count_rejections(clusters: Sequence[Sequence[logs.Record]]) -> int:
    with report.Line(f"validating {sum(map(len, clusters)):,} records") as line:
        verdicts = validate_logs(clusters, BATCH, on_progress=line.update)
    bad = [found for verdict in verdicts for found in verdict.rejections]
    for found in bad[:5]:
        report.say(explanation.format_rejection(found))
    report.say(
        f"{len(clusters):,} logs, {sum(map(len, clusters)):,} records checked by "
        f"trace validation, {len(bad):,} rejected"
    )
    return len(bad)
