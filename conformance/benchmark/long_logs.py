"""Measure what a long log costs a node with --data: memory, start, answers, and catching up.

The log is inserted into the node's database by SQL, since proposing each slot takes minutes.  So
only this project's node can be measured.  SQLite alone does the same in the same run, as the limit.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .. import report
from . import load
from .bench import LONGEST, PEERS, Node, Unmeasurable
from .load import Link, LoadError, Process, Router

Json = Any

DATABASE = "node.db"
FILL = """
    WITH RECURSIVE slots (slot) AS
        (VALUES (0) UNION ALL SELECT slot + 1 FROM slots WHERE slot + 1 < ?)
    INSERT INTO decided SELECT slot, printf('"set x=%07d"', slot) FROM slots
"""
VALUE = "set x="
"""The beginning of each value; with its slot and quotation marks a value has 15 characters."""

STATUS = b'"status": '

LOOKUPS = 50_000
BATCH = 1_000
"""Decisions in one `learned` message, and rows in one commit of SQLite alone."""

TAIL = 64
"""Characters at the end of a `learned`, in which it says whether there are more decisions."""

OPEN = 1_000
SPARSE = 20_000
"""Slots of which every second one is empty."""
IDLE = f"three idle nodes, {SPARSE:,} slots, every second one empty"
SETTLING = 3.0
"""How long idle nodes may take to poll each other once more, in seconds."""
MEMBERS = ("n1", "n2", "n3")

Sample = dict[str, float]
"""What one run measures, by name."""


@dataclass(frozen=True)
class Row:
    """A figure, its unit and target, and the figure of SQLite alone in the same run, if any."""

    what: str
    unit: str
    target: float
    at_most: bool = False
    beside: str = ""
    digits: int = 0

    def reached(self, figure: float) -> str:
        return "yes" if (figure <= self.target if self.at_most else figure >= self.target) else "no"

    def cells(self, samples: dict[str, list[float]]) -> tuple[str, ...]:
        """Return the cells of the table: the median and the worst of the samples."""
        found = samples.get(self.what)
        wanted = f"{'at most' if self.at_most else 'at least'} {self.target:,g} {self.unit}"
        if not found:
            return self.what, "not measured", "", "", wanted, ""
        middle, worst = median(found), max(found) if self.at_most else min(found)
        alone = f"{median(samples[self.beside]):,.0f} {self.unit}" if self.beside else ""
        shown = (f"{each:,.{self.digits}f} {self.unit}" for each in (middle, worst))
        return self.what, *shown, alone, wanted, self.reached(middle)


def rows(slots: int) -> list[Row]:
    """Return the rows for a long log of so many slots, and for one of a tenth of it."""
    few, many = f"{slots // 10:,} slots", f"{slots:,} slots"
    return [
        Row(f"memory, {few}", "MB", 40, at_most=True),
        Row(f"memory, {many}", "MB", 45, at_most=True),
        Row(f"processor time to init_ok, {few}", "s", 0.15, at_most=True, digits=2),
        Row(f"processor time to init_ok, {many}", "s", 0.2, at_most=True, digits=2),
        Row(f"memory, after the whole log of {few}", "MB", 64, at_most=True),
        Row(f"proposals for decided slots, {many}", "/s", 20_000, beside="lookups"),
        Row(f"catching up, {few}", "slots/s", 50_000, beside="inserts"),
        Row(f"memory, after catching up, {few}", "MB", 64, at_most=True),
        Row(f"lines without a majority, {OPEN:,} open slots", "lines/s", 1_000, at_most=True),
        Row("all decided when a peer is back", "s", 1, at_most=True, digits=2),
        Row(IDLE, "kB/s", 10, at_most=True, digits=1),
    ]


def measure(
    command: Sequence[str], output: Path, slots: int, repetitions: int, quiet: float = 10.0
) -> tuple[dict[str, list[float]], str]:
    """Return the samples of each figure by its name, and why some are missing; "" if none is."""
    samples: dict[str, list[float]] = {}

    def add(sample: Sample) -> None:
        for name, figure in sample.items():
            samples.setdefault(name, []).append(figure)

    node = Node(command, durable=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=output) as name,
        report.Line("long logs") as line,
    ):
        folder = Path(name)
        try:
            line.update("the logs are made")
            for size in slots // 10, slots:
                make_log(node, folder / f"{size}", size)
            for number in range(1, repetitions + 1):
                for what in starts, whole_log, catch_up:
                    line.update(f"repetition {number} of {repetitions}, {what.__name__}")
                    add(what(node, folder, slots))
            line.update(f"{OPEN:,} open slots and no majority")
            add(no_majority(node, folder, quiet))
            line.update(f"{SPARSE:,} slots, every second one empty")
            add(idle(node, folder, quiet))
        except Unmeasurable as reason:
            return samples, str(reason)
    return samples, ""


def show(slots: int, samples: dict[str, list[float]], missing: str) -> None:
    columns = ("measured", "#median", "#worst", "#SQLite alone", "target", "reached")
    cells = [row.cells(samples) for row in rows(slots)]
    report.table("long logs, one node with --data, values of 15 characters", columns, cells)
    if missing:
        report.say(f"long logs: not measured: {missing}")


# The log.


def make_log(node: Node, folder: Path, slots: int) -> None:
    """Make the directory of a node n1 that has decided all slots below a number.

    Raises Unmeasurable if the node has other tables.
    """
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        node.start(stack, "n1", ["n1"], folder).end()
    path = folder / "n1" / DATABASE
    if not path.exists():
        raise Unmeasurable(f"the node does not keep its data in {DATABASE}")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        try:
            db.execute(FILL, (slots,))
            db.execute("INSERT INTO known VALUES (0, ?)", (slots - 1,))
        except sqlite3.Error as error:
            raise Unmeasurable(f"the tables of {DATABASE} are others: {error}") from None


# The runs.


def starts(node: Node, folder: Path, slots: int) -> Sample:
    """Start on each log; on the long one, propose for decided slots at random."""
    sample: Sample = {}
    for size in slots // 10, slots:
        with ExitStack() as stack:
            process = node.start(stack, "n1", ["n1"], folder / f"{size}")
            sample[f"processor time to init_ok, {size:,} slots"] = processor_time(process)
            lines = load.proposals("n1", random.sample(range(size), min(LOOKUPS, size)))
            router = stack.enter_context(closing(Router([Link("n1", process)])))
            seconds, replies = load.pipelined(router, "n1", lines, len(lines))
            check_decided(replies, lines)
            sample[f"memory, {size:,} slots"] = memory(process)
    sample[f"proposals for decided slots, {slots:,} slots"] = len(lines) / seconds
    arguments = ["lookups", str(folder / f"{slots}" / "n1" / DATABASE), str(slots), str(LOOKUPS)]
    sample["lookups"] = LOOKUPS / alone(arguments)
    return sample


def whole_log(node: Node, folder: Path, slots: int) -> Sample:
    """Read a log in one answer."""
    size = slots // 10
    with ExitStack() as stack:
        process = node.start(stack, "n1", ["n1"], folder / f"{size}")
        process.write(message("c1", "multi_paxos_log", msg_id=1) + b"\n")
        entries, last = 0, b""
        while not last.endswith(b"\n"):
            chunk = process.read()
            # The end of a chunk may be within the text that is counted.
            entries += (last + chunk).count(STATUS)
            last = (last + chunk)[1 - len(STATUS) :]
        if entries != size:
            raise LoadError(f"the log of {size:,} slots was answered with {entries:,}")
        return {f"memory, after the whole log of {size:,} slots": memory(process)}


def catch_up(node: Node, folder: Path, slots: int) -> Sample:
    """Let a new member learn a log from another one, message by message."""
    size, members = slots // 10, ["n1", "n3"]
    manual = Node([*node.command, "--manual-clock"], durable=True)
    with ExitStack() as stack:
        # The owner of the log is another cluster.
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="away-", dir=folder)))
        make_log_of(folder / f"{size}" / "n1", copy / "n1", members)
        current = manual.start(stack, "n1", members, copy)
        behind = manual.start(stack, "n3", members, copy)
        started, line = time.perf_counter(), behind.request(b'"inquire"')
        while b'"more": true' in (learned := current.request(line))[-TAIL:]:
            line = behind.request(learned)
        behind.write(learned + b"\n")
        reply = behind.request(
            message("c1", "multi_paxos_log", "n3", msg_id=1, **{"from": size - 1})
        )
        seconds = time.perf_counter() - started
        if len(json.loads(reply)["body"]["log"]) != 1:
            raise LoadError(f"a node that was away did not learn all {size:,} slots")
        sample = {
            f"catching up, {size:,} slots": size / seconds,
            f"memory, after catching up, {size:,} slots": max(memory(current), memory(behind)),
        }
        rows_alone = ["sqlite", str(copy), str(size), str(BATCH)]
        return sample | {"inserts": size / alone(rows_alone)}


def no_majority(node: Node, folder: Path, quiet: float) -> Sample:
    """Let a leader open slots that no peer answers; then let one peer answer all."""
    with ExitStack() as stack:
        process = node.start(stack, "n1", MEMBERS, folder)
        peer = Peer(process)
        first, *lines = load.proposals("n1", range(OPEN + 1))
        process.write(first + b"\n")
        peer.answer(lambda: peer.decided == 1)
        process.write(b"\n".join(lines) + b"\n")
        peer.ignore(quiet)
        sent = peer.ignore(quiet / 5)
        started = time.perf_counter()
        peer.answer(lambda: peer.decided == OPEN + 1)
        return {
            f"lines without a majority, {OPEN:,} open slots": sent / (quiet / 5),
            "all decided when a peer is back": time.perf_counter() - started,
        }


def idle(node: Node, folder: Path, seconds: float) -> Sample:
    """Let two members learn a log with gaps from a third one; count what they send when idle."""
    make_log(node, folder / "sparse", SPARSE)
    with ExitStack() as stack:
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idle-", dir=folder)))
        make_log_of(folder / "sparse" / "n1", copy / "n1", MEMBERS)
        with closing(sqlite3.connect(copy / "n1" / DATABASE)) as db, db:
            db.execute("DELETE FROM decided WHERE slot % 2 = 0")
            db.execute("DELETE FROM known")
            db.execute("INSERT INTO known SELECT slot, slot FROM decided")
        links = [Link(name, node.start(stack, name, MEMBERS, copy)) for name in MEMBERS]
        router = stack.enter_context(closing(CountingRouter(links, MEMBERS)))
        for name in MEMBERS:
            last = message("c1", "multi_paxos_log", name, msg_id=1, **{"from": SPARSE - 1})
            router.turn_until(lambda replies: any(STATUS in reply for reply in replies), name, last)
        router.turn_for(SETTLING)
        router.sent = 0
        router.turn_for(seconds)
        rate = router.sent / seconds / 1e3
        return {IDLE: rate}


class CountingRouter(Router):
    """A router that counts the bytes that it delivers."""

    sent = 0

    def send(self, name: str, lines: Sequence[bytes]) -> None:
        self.sent += sum(map(len, lines))
        super().send(name, lines)

    def turn_for(self, seconds: float) -> None:
        """Deliver lines for a time; idle nodes send some each second, so no turn is long."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.turn()

    def turn_until(self, done: Callable[[list[bytes]], bool], name: str, line: bytes) -> None:
        """Send a line to a node again and again, until the replies are as wanted."""
        until = time.perf_counter() + LONGEST
        while time.perf_counter() < until:
            self.send(name, [line])
            if done(self.turn()):
                return
        raise LoadError(f"{name} did not learn what the others know")


class Peer:
    """The member n2, which answers the leader n1 or not."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.decided = 0
        self.rest = b""
        os.set_blocking(process.stdout_fd, False)

    def lines(self) -> list[bytes]:
        """Return the lines to this member that have come in a hundredth of a second."""
        time.sleep(0.01)
        try:
            self.rest += self.process.read()
        except BlockingIOError:
            return []
        *lines, self.rest = self.rest.split(b"\n")
        return [line for line in lines if b'"dest": "n2"' in line]

    def ignore(self, seconds: float) -> int:
        """Answer nothing for a time; return how many lines came for both peers."""
        until, number = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            number += len(self.lines())
        return number * (len(MEMBERS) - 1)

    def answer(self, done: Callable[[], bool]) -> None:
        until = time.perf_counter() + LONGEST
        while not done():
            if time.perf_counter() > until:
                raise LoadError(f"{self.decided:,} slots were decided when a peer was back")
            for line in self.lines():
                body = json.loads(line)["body"]
                if body["type"] == "prepare":
                    self.send("promise", ballot=body["ballot"], accepted=[], known=[])
                elif body["type"] == "accept":
                    self.send("accepted", ballot=body["ballot"], slot=body["slot"])
                elif body["type"] == "decided":
                    self.decided += 1

    def send(self, kind: str, **fields: Json) -> None:
        self.process.write(message("n2", kind, **fields) + b"\n")


def make_log_of(source: Path, target: Path, members: Sequence[str]) -> None:
    """Copy the directory of n1 alone, for n1 among other members."""
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    with closing(sqlite3.connect(target / DATABASE)) as db, db:
        db.execute("DELETE FROM node_ids")
        db.executemany("INSERT INTO node_ids VALUES (?, ?)", enumerate(members))


# Processes and messages.


def message(src: str, kind: str, dest: str = "n1", **fields: Json) -> bytes:
    return json.dumps({"src": src, "dest": dest, "body": {"type": kind, **fields}}).encode()


def check_decided(replies: Sequence[bytes], lines: Sequence[bytes]) -> None:
    """Raise LoadError unless each request is answered with the value of its slot in the log."""
    if len(replies) != len(lines):
        raise LoadError(f"{len(replies):,} replies to {len(lines):,} proposals")
    for body in (json.loads(reply)["body"] for reply in replies):
        if body.get("value") != VALUE + str(body.get("slot")).zfill(7):
            raise LoadError(f"a proposal for a decided slot was answered by {body}")


def alone(arguments: Sequence[str]) -> float:
    """Return the seconds that SQLite alone takes."""
    with closing(Process([*PEERS, *arguments], LONGEST)) as process:
        seconds = float(process.line())
        process.end()
    return seconds


def processor_time(process: Process) -> float:
    """Return the processor time of a process so far, in seconds."""
    fields = status(process, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: Process) -> float:
    """Return the most memory that was resident, in MB."""
    [kib] = (
        line.split()[1]
        for line in status(process, "status").splitlines()
        if line.startswith("VmHWM:")
    )
    return int(kib) * 1024 / 1e6


def status(process: Process, name: str) -> str:
    try:
        return Path(f"/proc/{process.pid}/{name}").read_text()
    except OSError as error:
        raise Unmeasurable(f"memory and processor time cannot be read: {error}") from None
