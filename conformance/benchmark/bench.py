"""Measures a node side by side with what it could be compared with, and tells the ratios.

A machine is never the same twice, so every figure stands beside the one it is compared with, taken
a moment before or after; only what was answered, and answered right, is counted.  How load is put
on a process is told in `load`, what the peers do in `peers`.
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
from .load import Link, LoadError, Process, Router, Taken

PEERS = (sys.executable, str(Path(__file__).with_name("peers.py")))
MEMBERS = ("n1", "n2", "n3")
NODE, DURABLE = "node, in memory", "node, --data"
LOOP, BATCHES = "parse-print-flush loop", "the loop, flushing once a batch"
# PySyncObj writes its journal into a mapped file, and leaves it to the system when to sync it.
PYSYNCOBJ, JOURNAL = "PySyncObj, in memory", "PySyncObj, journal not synced"
INSIDE = "PySyncObj, in memory, no client"
COMMITS = {size: f"SQLite alone, commits of {size}" for size in (1, 32, 256)}

# What takes longer than streaming is done so many times less often, so that no run takes much
# longer than another.
FEWER = {"in turn": 6, "one ahead": 20, "many ahead": 3, "rows": 5, "one synced": 60}
MANY = 32

# Bursts: so many requests are outstanding, and so many are sent in all, for a small burst is over
# before it can be measured.  Values have so many characters, without which a burst is too small for
# what it is to show.
BURSTS = {1: 2_000, MANY: 10_000, 1_000: 10_000, 20_000: 20_000, 200_000: 200_000}
BURST_SIZE = 1_000
# Bursts larger than this take so long that they are sent once.
OFTEN = 20_000

# The longest that a process may live, in seconds.
LONGEST = 300.0

Run = Callable[[Path], float]
"""One run with a fresh folder for what must be kept; its requests a second."""


class Unmeasurable(Exception):
    """A figure that cannot be had here, and why; the rest of the table can."""


@dataclass(frozen=True)
class Row:
    """A ratio to be told: ours over theirs.  Without a target it is for information."""

    ours: str
    theirs: str
    target: float | None = None
    above: bool = False

    def reached(self, ratio: float) -> bool | str:
        if self.target is None:
            return ""
        return ratio > self.target if self.above else ratio >= self.target

    @property
    def wanted(self) -> str:
        if self.target is None:
            return ""
        return f"{'above' if self.above else 'at least'} {self.target:g}"


@dataclass
class Contest:
    """Runs that take turns, and the rows that are told about them."""

    what: str
    runs: dict[str, Run]
    rows: Sequence[Row]
    once: bool = False
    waits: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def measure(self, repetitions: int, output: Path) -> None:
        """Each run once, then each once more: what disturbs one disturbs its neighbours, too."""
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
                raise LoadError(f"{self.what}, {name}, though it could before: {reason}") from None
            self.missing[name] = str(reason)
        except LoadError as error:
            raise LoadError(f"{self.what}, {name}: {error}") from None

    def ratios(self, row: Row) -> list[float]:
        """Of each repetition; none where a figure is missing."""
        if {row.ours, row.theirs} & self.missing.keys():
            return []
        pairs = zip(self.figures[row.ours], self.figures[row.theirs], strict=True)
        return [ours / theirs for ours, theirs in pairs]


# The runs.


def bursts(command: Sequence[str], largest: int) -> list[Contest]:
    """Bursts up to a size, beside the same load with few requests outstanding."""
    few, often, once = f"{MANY} outstanding", Contest("", {}, ()), Contest("", {}, (), once=True)
    for outstanding, requests in BURSTS.items():
        if outstanding <= largest:
            contest = once if outstanding > OFTEN else often
            contest.runs[f"{outstanding:,} outstanding"] = partial(
                _burst, Node(command), requests, outstanding, contest.waits
            )
    found = [contest for contest in (often, once) if contest.runs]
    for contest in found:
        contest.runs.setdefault(
            few, partial(_burst, Node(command), BURSTS[MANY], MANY, contest.waits)
        )
        contest.what = f"three processes, values of {BURST_SIZE:,} characters"
        contest.rows = [Row(name, few) for name in contest.runs if name != few]
    return found


def contests(command: Sequence[str], requests: int, peer: bool) -> list[Contest]:
    """Everything that is measured of a node; without the peer, PySyncObj's figures are missing."""
    few = {what: max(MANY, requests // times) for what, times in FEWER.items()}
    memory, durable = Node(command), Node(command, durable=True)
    streamed = {
        NODE: partial(_single, memory, requests, True),
        DURABLE: partial(_single, durable, requests, True),
        LOOP: partial(_loop, "loop", requests, True),
        BATCHES: partial(_loop, "batches", requests, True),
        **{COMMITS[size]: partial(_sqlite, few["rows"], size) for size in (32, 256)},
    }
    in_turn = {
        NODE: partial(_single, memory, few["in turn"], False),
        DURABLE: partial(_single, durable, few["one synced"], False),
        LOOP: partial(_loop, "loop", few["in turn"], False),
        COMMITS[1]: partial(_sqlite, few["one synced"], 1),
    }
    one_ahead = {
        NODE: partial(_cluster, memory, few["one ahead"], 1),
        DURABLE: partial(_cluster, durable, few["one synced"], 1),
        PYSYNCOBJ: partial(_pysyncobj, peer, "waiting", few["one ahead"], 1),
    }
    many_ahead = {
        NODE: partial(_cluster, memory, few["many ahead"], MANY),
        PYSYNCOBJ: partial(_pysyncobj, peer, "ahead", few["many ahead"], MANY),
        INSIDE: partial(_pysyncobj, peer, "inside", few["many ahead"], MANY),
        DURABLE: partial(_cluster, durable, few["many ahead"], MANY),
        JOURNAL: partial(_pysyncobj, peer, "ahead", few["many ahead"], MANY, journal=True),
    }
    return [
        Contest(
            "single node, streamed",
            streamed,
            (
                Row(NODE, LOOP, 1.2),
                Row(NODE, BATCHES),
                Row(DURABLE, LOOP, 0.6),
                Row(DURABLE, COMMITS[32]),
                Row(DURABLE, COMMITS[256]),
            ),
        ),
        Contest(
            "single node, one request at a time",
            in_turn,
            (Row(NODE, LOOP, 0.95), Row(DURABLE, LOOP), Row(DURABLE, COMMITS[1])),
        ),
        Contest(
            "three processes, 1 outstanding",
            one_ahead,
            (Row(NODE, PYSYNCOBJ, 1, above=True), Row(DURABLE, PYSYNCOBJ)),
        ),
        Contest(
            f"three processes, {MANY} outstanding",
            many_ahead,
            (Row(NODE, PYSYNCOBJ, 2), Row(NODE, INSIDE), Row(DURABLE, JOURNAL, 1, above=True)),
        ),
    ]


@dataclass(frozen=True)
class Node:
    """How a node is started: as the command says, or with --data."""

    command: Sequence[str]
    durable: bool = False

    def start(self, stack: ExitStack, name: str, members: Sequence[str], folder: Path) -> Process:
        """A node that knows its cluster; the stack ends it."""
        data: list[str] = []
        if self.durable:
            (folder / name).mkdir()
            data = ["--data", str(folder / name)]
        process = stack.enter_context(closing(Process([*self.command, *data], LONGEST)))
        try:
            load.check_started(process.ask(load.init(name, members)))
        except LoadError as error:
            # It did start without --data, or there would be no figures at all.
            raise Unmeasurable(str(error)) if self.durable else error from None
        return process


def _single(node: Node, requests: int, streamed: bool, folder: Path) -> float:
    with ExitStack() as stack:
        process = node.start(stack, "n1", ["n1"], folder)
        lines = load.proposals("n1", range(requests))
        seconds, replies = _loaded(process, lines, streamed)
        process.end()
    load.check_chosen(replies, lines)
    return requests / seconds


def _loop(peer: str, requests: int, streamed: bool, folder: Path) -> float:
    with closing(Process([*PEERS, peer], LONGEST)) as process:
        first, *lines = load.proposals("n1", range(requests + 1))
        # As with a node, the time that it takes to start is not counted.
        load.check_repeated([process.ask(first)], [first])
        seconds, replies = _loaded(process, lines, streamed)
        process.end()
    load.check_repeated(replies, lines)
    return requests / seconds


def _loaded(process: Process, lines: Sequence[bytes], streamed: bool) -> Taken:
    if not streamed:
        return load.in_turn(process, lines)
    with closing(Router([Link("n1", process)])) as router:
        return load.ahead(router, "n1", lines, len(lines))


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
    """One run; `size` is of each value, in characters, and the longest wait is added to `waits`."""
    times = load.Times()
    with ExitStack() as stack:
        processes = {name: node.start(stack, name, MEMBERS, folder) for name in MEMBERS}
        links = [Link(name, process) for name, process in processes.items()]
        router = stack.enter_context(closing(Router(links, MEMBERS)))
        first, *lines = load.proposals("n1", range(requests + 1), size)
        # The first proposal makes the node the leader.
        _, replies = load.ahead(router, "n1", [first], 1)
        load.check_chosen(replies, [first])
        seconds, replies = load.ahead(router, "n1", lines, window, times)
        for process in processes.values():
            process.end()
    load.check_chosen(replies, lines)
    if waits is not None:
        waits.append(times.longest(replies, first=1))
    return requests / seconds


def _sqlite(rows: int, size: int, folder: Path) -> float:
    with closing(Process([*PEERS, "sqlite", str(folder), str(rows), str(size)], LONGEST)) as alone:
        return rows / _told(alone)


def _pysyncobj(
    peer: bool, client: str, requests: int, window: int, folder: Path, *, journal: bool = False
) -> float:
    if not peer:
        raise Unmeasurable("PySyncObj was left out")
    ports = ",".join(map(str, _free_ports(len(MEMBERS))))
    kept = [str(folder)] if journal else []
    with ExitStack() as stack:
        # The first one leads, so it is started when it finds the others there.
        *_, leader = [
            stack.enter_context(
                closing(
                    Process(
                        [
                            *PEERS,
                            "pysyncobj",
                            str(index),
                            ports,
                            client,
                            str(window),
                            str(requests),
                            *kept,
                        ],
                        LONGEST,
                    )
                )
            )
            for index in (2, 1, 0)
        ]
        return requests / _told(leader)


def _told(process: Process) -> float:
    """The seconds that a peer took, by its own clock."""
    seconds = float(process.line())
    process.end()
    return seconds


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


# The whole.


def bench(
    command: Sequence[str], output: Path, repetitions: int, requests: int, peer: bool, largest: int
) -> list[Contest]:
    """Measures everything and shows it; raises `LoadError` where a run has no figure."""
    if peer and importlib.util.find_spec("pysyncobj") is None:
        raise LoadError("PySyncObj is not installed here; `make bench` installs it and measures")
    output.mkdir(parents=True, exist_ok=True)
    measured = contests(command, requests, peer) + bursts(command, largest)
    for contest in measured:
        contest.measure(repetitions, output)
    show(measured, repetitions)
    return measured


def show(measured: Sequence[Contest], repetitions: int) -> None:
    """A table for each contest, and at the end what is missing and why."""
    columns = (
        "what",
        "#a second",
        "against",
        "#a second",
        "#ratio",
        "#least",
        "#most",
        "target",
        "reached",
    )
    for contest in measured:
        title = f"{contest.what}: the median of {contest.repetitions(repetitions)}"
        report.table(title, columns, [_shown(contest, row) for row in contest.rows])
        for name, seconds in contest.waits.items():
            report.say(f"{name}: the longest wait for an answer was {max(seconds):.2f} s")
    missing = {name: reason for each in measured for name, reason in each.missing.items()}
    for name, reason in missing.items():
        report.say(f"{name}: not measured: {reason}")


def _shown(contest: Contest, row: Row) -> tuple[str | int | bool, ...]:
    ours, theirs = (
        "not measured" if name in contest.missing else round(median(contest.figures[name]))
        for name in (row.ours, row.theirs)
    )
    ratios = contest.ratios(row)
    if not ratios:
        return row.ours, ours, row.theirs, theirs, "", "", "", row.wanted, ""
    ratio = median(ratios)
    figures = [f"{each:.2f}" for each in (ratio, min(ratios), max(ratios))]
    return row.ours, ours, row.theirs, theirs, *figures, row.wanted, row.reached(ratio)
