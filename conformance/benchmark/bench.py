"""Compare the speed of a node with that of other programs, as ratios.

The speed of a machine varies, so each figure is compared with another one taken just before or
after it.  A run counts only if every request was answered correctly.  `load` generates the load,
`peers` has the programs to compare with.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from .. import report
from . import load
from .load import Link, LoadError, Process, Router, Timed

PEERS = (sys.executable, str(Path(__file__).with_name("peers.py")))
MEMBERS = ("n1", "n2", "n3")
NODE, DURABLE = "node, in memory", "node, --data"
LOOP, BATCHES = "parse-print-flush loop", "loop, one flush per batch"
# PySyncObj writes its journal into a mapped file, which the operating system syncs at some time.
PYSYNCOBJ, JOURNAL = "PySyncObj, in memory", "PySyncObj, journal not synced"
INSIDE = "PySyncObj, in memory, no client"
COMMITS = {size: f"SQLite alone, commits of {size}" for size in (1, 32, 256)}
PYSYNCOBJ_NOTE = (
    "PySyncObj never syncs its journal, term and vote to disk, and up to 0.3.15 it did not store "
    "term and vote at all (its issue 84, opened in 2018); the node with --data syncs each commit."
)

# Slower kinds of runs have so many times fewer requests than streaming, so that all runs take
# about as long.
FEWER = {"in turn": 6, "one ahead": 20, "many ahead": 3, "rows": 5, "one synced": 60}
MANY = 32

# Bursts: outstanding requests -> requests in all, for a small burst alone is too short to measure.
# Each value has BURST_SIZE characters, so that a burst is large in bytes, too.
BURSTS = {1: 2_000, MANY: 10_000, 1_000: 10_000, 20_000: 20_000, 200_000: 200_000}
BURST_SIZE = 1_000
# Larger bursts take long and are measured once.
MOST_REPEATED = 20_000

# The time limit of a process, in seconds.
LONGEST = 300.0

Run = Callable[[Path], float]
"""Takes a fresh folder for durable files, and returns the requests per second of one run."""


class Unmeasurable(Exception):
    """A figure that cannot be measured here; the text is the reason.  Other figures can be."""


@dataclass(frozen=True)
class Row:
    """A ratio to show, ours over theirs, with a target if there is one."""

    ours: str
    theirs: str
    target: float | None = None
    above: bool = False

    def reached(self, ratio: float) -> str:
        if self.target is None:
            return ""
        reached = ratio > self.target if self.above else ratio >= self.target
        return "yes" if reached else "no"

    @property
    def wanted(self) -> str:
        if self.target is None:
            return ""
        return f"{'above' if self.above else 'at least'} {self.target:g}"


@dataclass
class Comparison:
    """Runs that take turns, and the ratios to show of them."""

    what: str
    runs: dict[str, Run]
    rows: Sequence[Row]
    once: bool = False
    waits: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def measure(self, repetitions: int, output: Path) -> None:
        """Do each run once, then each once more, so that a disturbance affects all of them."""
        repetitions = self.repetitions(repetitions)
        with report.Line(self.what) as line:
            for number in range(1, repetitions + 1):
                for name in [name for name in self.runs if name not in self.missing]:
                    line.update(f"repetition {number} of {repetitions}, {name}")
                    self._measure_once(name, output)

    def repetitions(self, wanted: int) -> int:
        return 1 if self.once else wanted

    def _measure_once(self, name: str, output: Path) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="bench-", dir=output) as folder:
                self.figures.setdefault(name, []).append(self.runs[name](Path(folder)))
        except Unmeasurable as reason:
            if self.figures[name]:
                raise LoadError(
                    f"{self.what}, {name}: it failed after it had succeeded: {reason}"
                ) from None
            self.missing[name] = str(reason)
        except LoadError as error:
            raise LoadError(f"{self.what}, {name}: {error}") from None

    def ratios(self, row: Row) -> list[float]:
        """Return the ratio of each repetition; none if a figure is missing."""
        if {row.ours, row.theirs} & self.missing.keys():
            return []
        pairs = zip(self.figures[row.ours], self.figures[row.theirs], strict=True)
        return [ours / theirs for ours, theirs in pairs]


# The runs.


def bursts(command: Sequence[str], largest: int) -> list[Comparison]:
    """Compare bursts up to a size with the same load and few requests outstanding."""
    few, title = f"{MANY} outstanding", f"three processes, values of {BURST_SIZE:,} characters"
    often, once = Comparison(title, {}, ()), Comparison(title, {}, (), once=True)
    for outstanding, requests in BURSTS.items():
        if outstanding <= largest:
            comparison = once if outstanding > MOST_REPEATED else often
            comparison.runs[f"{outstanding:,} outstanding"] = partial(
                _burst, Node(command), requests, outstanding, comparison.waits
            )
    found = [comparison for comparison in (often, once) if comparison.runs]
    for comparison in found:
        comparison.runs.setdefault(
            few, partial(_burst, Node(command), BURSTS[MANY], MANY, comparison.waits)
        )
        comparison.rows = [Row(name, few) for name in comparison.runs if name != few]
    return found


def comparisons(command: Sequence[str], requests: int, peer: bool) -> list[Comparison]:
    """Return all comparisons but bursts; without the peer, PySyncObj's figures are missing."""
    few = {what: max(MANY, requests // times) for what, times in FEWER.items()}
    memory, durable = Node(command), Node(command, durable=True)
    return [
        _streamed(memory, durable, requests, few),
        _in_turn(memory, durable, few),
        _one_outstanding(memory, durable, few, peer),
        _many_outstanding(memory, durable, few, peer),
    ]


def _streamed(memory: Node, durable: Node, requests: int, few: dict[str, int]) -> Comparison:
    runs: dict[str, Run] = {
        NODE: partial(_single, memory, requests, True),
        DURABLE: partial(_single, durable, requests, True),
        LOOP: partial(_loop, "loop", requests, True),
        BATCHES: partial(_loop, "batches", requests, True),
        **{COMMITS[size]: partial(_sqlite, few["rows"], size) for size in (32, 256)},
    }
    rows = (
        Row(NODE, LOOP, 1.25, above=True),
        Row(NODE, BATCHES),
        Row(DURABLE, LOOP, 0.9),
        Row(DURABLE, COMMITS[32]),
        Row(DURABLE, COMMITS[256]),
    )
    return Comparison("single node, streamed", runs, rows)


def _in_turn(memory: Node, durable: Node, few: dict[str, int]) -> Comparison:
    runs: dict[str, Run] = {
        NODE: partial(_single, memory, few["in turn"], False),
        DURABLE: partial(_single, durable, few["one synced"], False),
        LOOP: partial(_loop, "loop", few["in turn"], False),
        COMMITS[1]: partial(_sqlite, few["one synced"], 1),
    }
    rows = (Row(NODE, LOOP, 0.95), Row(DURABLE, LOOP), Row(DURABLE, COMMITS[1]))
    return Comparison("single node, one request at a time", runs, rows)


def _one_outstanding(memory: Node, durable: Node, few: dict[str, int], peer: bool) -> Comparison:
    runs: dict[str, Run] = {
        NODE: partial(_cluster, memory, few["one ahead"], 1),
        DURABLE: partial(_cluster, durable, few["one synced"], 1),
        PYSYNCOBJ: partial(_pysyncobj, peer, "waiting", few["one ahead"], 1),
    }
    rows = (Row(NODE, PYSYNCOBJ, 1, above=True), Row(DURABLE, PYSYNCOBJ))
    return Comparison("three processes, 1 outstanding", runs, rows)


def _many_outstanding(memory: Node, durable: Node, few: dict[str, int], peer: bool) -> Comparison:
    requests = few["many ahead"]
    runs: dict[str, Run] = {
        NODE: partial(_cluster, memory, requests, MANY),
        PYSYNCOBJ: partial(_pysyncobj, peer, "pipelined", requests, MANY),
        INSIDE: partial(_pysyncobj, peer, "inside", requests, MANY),
        DURABLE: partial(_cluster, durable, requests, MANY),
        JOURNAL: partial(_pysyncobj, peer, "pipelined", requests, MANY, journal=True),
    }
    rows = (Row(NODE, PYSYNCOBJ, 2), Row(NODE, INSIDE), Row(DURABLE, JOURNAL, 1, above=True))
    return Comparison(f"three processes, {MANY} outstanding", runs, rows)


@dataclass(frozen=True)
class Node:
    """The command of a node, with --data if it is durable."""

    command: Sequence[str]
    durable: bool = False

    def start(self, stack: ExitStack, name: str, members: Sequence[str], folder: Path) -> Process:
        """Start a node and send it `init`; the stack ends it."""
        data: list[str] = []
        if self.durable:
            (folder / name).mkdir(exist_ok=True)
            data = ["--data", str(folder / name)]
        process = stack.enter_context(closing(Process([*self.command, *data], LONGEST)))
        try:
            load.check_started(process.request(load.init(name, members)))
        except LoadError as error:
            # Without --data it started, so only this figure is missing.
            raise Unmeasurable(str(error)) if self.durable else error from None
        return process


def _single(node: Node, requests: int, streamed: bool, folder: Path) -> float:
    with ExitStack() as stack:
        process = node.start(stack, "n1", ["n1"], folder)
        lines = load.proposals("n1", range(requests))
        seconds, replies = _timed(process, lines, streamed)
        process.end()
    load.check_chosen(replies, lines)
    return requests / seconds


def _loop(peer: str, requests: int, streamed: bool, folder: Path) -> float:
    with closing(Process([*PEERS, peer], LONGEST)) as process:
        first, *lines = load.proposals("n1", range(requests + 1))
        # The time to start is not counted, as for a node.
        load.check_repeated([process.request(first)], [first])
        seconds, replies = _timed(process, lines, streamed)
        process.end()
    load.check_repeated(replies, lines)
    return requests / seconds


def _timed(process: Process, lines: Sequence[bytes], streamed: bool) -> Timed:
    if not streamed:
        return load.one_at_a_time(process, lines)
    with closing(Router([Link("n1", process)])) as router:
        return load.pipelined(router, "n1", lines, len(lines))


def _burst(
    node: Node, requests: int, window: int, waits: dict[str, list[float]], folder: Path
) -> float:
    longest = waits.setdefault(f"{window:,} outstanding", [])
    return _cluster(node, requests, window, folder, BURST_SIZE, longest)


def _cluster(
    node: Node,
    requests: int,
    window: int,
    folder: Path,
    size: int = 0,
    waits: list[float] | None = None,
) -> float:
    """Run a cluster; values have `size` characters, and the longest wait is added to `waits`."""
    times = load.Times()
    with ExitStack() as stack:
        processes = {name: node.start(stack, name, MEMBERS, folder) for name in MEMBERS}
        links = [Link(name, process) for name, process in processes.items()]
        router = stack.enter_context(closing(Router(links, MEMBERS)))
        first, *lines = load.proposals("n1", range(requests + 1), size)
        # The first proposal makes the node the leader.
        _, replies = load.pipelined(router, "n1", [first], 1)
        load.check_chosen(replies, [first])
        seconds, replies = load.pipelined(router, "n1", lines, window, times)
        for process in processes.values():
            process.end()
    load.check_chosen(replies, lines)
    if waits is not None:
        waits.append(times.longest(replies, first=1))
    return requests / seconds


def _sqlite(rows: int, size: int, folder: Path) -> float:
    with closing(Process([*PEERS, "sqlite", str(folder), str(rows), str(size)], LONGEST)) as alone:
        return rows / _reported_seconds(alone)


def _pysyncobj(
    peer: bool, client: str, requests: int, window: int, folder: Path, *, journal: bool = False
) -> float:
    if not peer:
        raise Unmeasurable("--without-pysyncobj was given")
    ports = ",".join(map(str, _free_ports(len(MEMBERS))))
    kept = [str(folder)] if journal else []
    with ExitStack() as stack:
        # The first node becomes leader, so it is started last.
        for index in (2, 1, 0):
            arguments = ["pysyncobj", str(index), ports, client, str(window), str(requests)]
            leader = stack.enter_context(closing(Process([*PEERS, *arguments, *kept], LONGEST)))
        return requests / _reported_seconds(leader)


def _reported_seconds(process: Process) -> float:
    """Return the seconds that a peer measured itself."""
    seconds = float(process.line())
    process.end()
    return seconds


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


# The command.


def bench(
    command: Sequence[str], output: Path, repetitions: int, requests: int, peer: bool, largest: int
) -> list[Comparison]:
    """Measure everything and show it; raises `LoadError` if a run fails."""
    if peer and importlib.util.find_spec("pysyncobj") is None:
        raise LoadError(
            "PySyncObj is not installed; `make bench` installs it and runs the benchmark"
        )
    output.mkdir(parents=True, exist_ok=True)
    measured = comparisons(command, requests, peer) + bursts(command, largest)
    for comparison in measured:
        comparison.measure(repetitions, output)
    show(measured, repetitions)
    return measured


def show(measured: Sequence[Comparison], repetitions: int) -> None:
    """Print a table for each comparison, and then the missing figures with their reasons."""
    columns = (
        "measured",
        "#answers/s",
        "compared with",
        "#per second",
        "#ratio",
        "#lowest",
        "#highest",
        "target",
        "reached",
    )
    for comparison in measured:
        title = f"{comparison.what}: median of {comparison.repetitions(repetitions)}"
        report.table(title, columns, [_cells(comparison, row) for row in comparison.rows])
        for name, seconds in comparison.waits.items():
            report.say(f"{name}: longest wait for an answer {max(seconds):.2f} s")
    missing = {name: reason for each in measured for name, reason in each.missing.items()}
    if any(PYSYNCOBJ in each.figures and PYSYNCOBJ not in missing for each in measured):
        report.say(PYSYNCOBJ_NOTE)
    for name, reason in missing.items():
        report.say(f"{name}: not measured: {reason}")


def _cells(comparison: Comparison, row: Row) -> tuple[str | int, ...]:
    ours, theirs = (
        "not measured" if name in comparison.missing else round(median(comparison.figures[name]))
        for name in (row.ours, row.theirs)
    )
    ratios = comparison.ratios(row)
    if not ratios:
        return row.ours, ours, row.theirs, theirs, "", "", "", row.wanted, ""
    ratio = median(ratios)
    figures = [f"{each:.2f}" for each in (ratio, min(ratios), max(ratios))]
    return row.ours, ours, row.theirs, theirs, *figures, row.wanted, row.reached(ratio)
