"""A node as a real process on real files: its lines, its output, its directory, and its power.

What a node must hold to here is no matter of the protocol: that it reads whole lines however they
come, prints whole lines however they are taken, keeps a value as it is, has its directory for
itself, and has said nothing that it loses when the power is cut.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from conformance.formats import logs
from conformance.formats.canonical import canonical
from conformance.running import syscalls
from conformance.running.life import Life
from conformance.running.power import SYNCS, Disk
from conformance.running.process import CHUNK, ready
from conformance.validation.evidence import Evidence, find_contradiction

Json = Any

HANG = 8.0
"""Seconds after which a node that should say something never will."""

VALUES: tuple[Json, ...] = (
    "1e3",
    1000.0,
    1000,
    "007",
    1,
    1.0,
    True,
    None,
    "",
    "x" * (CHUNK - 100),
    "y" * (CHUNK + 1),
    "z" * (2**20 - 2),
    ["1", 1],
    {"b": 1, "a": 2.5e300},
    "\u00e9\u2028\u0000",
)
"""Values that are nearly others, and lines that are longer than a pipe."""


class Caught(Exception):
    """A node did what it must not; the text says what."""


class Node:
    """One life of the node in a folder of its own."""

    def __init__(
        self,
        impl: Path,
        folder: Path,
        *options: str,
        trace: Path | None = None,
        pieces: Callable[[], int] = lambda: CHUNK,
    ) -> None:
        command = [sys.executable, "-S", str(impl / "main.py"), "--manual-clock", *options]
        recording = syscalls.recording(trace) if trace else []
        self.evidence = Evidence()
        self.errors = folder / "stderr"
        self.life = Life([*recording, *command], self.errors, pieces)

    def ask(self, messages: Sequence[Json], answers: int) -> list[Json]:
        """Give it messages, and return what it says to them."""
        for message in messages:
            self.evidence.add(True, message)
            self.life.give(json.dumps(message).encode())
        said: list[Json] = []
        until = time.monotonic() + HANG
        while len(said) < answers:
            if self.life.over or time.monotonic() > until:
                told = self.errors.read_text("utf-8", "replace").strip().splitlines()
                raise Caught(
                    f"{len(said)} of {answers} answers to {messages[-1]['body']['type']}: "
                    f"{told[-1][:200] if told else 'it says nothing'}"
                )
            said += map(json.loads, self.receive())
        for message in said:
            self.evidence.add(False, message)
        return said

    def receive(self) -> list[bytes]:
        sinks = {self.life.sink} if self.life.unsent else set()
        if ready({self.life.source}, sinks, 1.0)[1]:
            self.life.push()
        return self.life.read_lines()

    def close(self) -> None:
        self.life.close()


def message(src: str, kind: str, **fields: Json) -> Json:
    return {"src": src, "dest": "n1", "body": {"type": kind, **fields}}


def init(*members: str) -> Json:
    return message("c0", "init", msg_id=0, node_id="n1", node_ids=list(members))


def check(impl: Path) -> str | None:
    """How the node in this folder is caught, or None."""
    with TemporaryDirectory(prefix="process-") as name:
        for number, scenario in enumerate(SCENARIOS):
            folder = Path(name) / str(number)
            folder.mkdir()
            try:
                scenario(impl, folder)
            except Caught as how:
                return f"{scenario.__name__.replace('_', ' ')}: {how}"
    return None


# Lines and values.


def a_value_is_kept_as_it_is(impl: Path, folder: Path) -> None:
    """Lines come in pieces, and the node is killed."""
    rng = Random(1)
    options = "--data", str(folder / "data")
    requests = [
        message("c1", "multi_paxos_propose", msg_id=slot, slot=slot, value=value)
        for slot, value in enumerate(VALUES)
    ]
    with closing(
        Node(impl, folder, *options, pieces=lambda: rng.choice((1, 50, 5_000, CHUNK)))
    ) as node:
        node.ask([init("n1")], 1)
        for request in requests:
            [told] = node.ask([request], 1)
            same(f"slot {request['body']['slot']}", request["body"]["value"], told["body"])
    with closing(Node(impl, folder, *options)) as node:
        for slot, [entry] in enumerate(told_log(node, "n1", len(VALUES))):
            same(f"slot {slot} after a restart", VALUES[slot], entry)
        again = {**requests[0], "src": "c2"}
        same("a slot proposed again", VALUES[0], node.ask([again], 1)[0]["body"])


def told_log(node: Node, *members_and_slots: Any) -> Iterator[list[Json]]:
    """What the node tells of each slot, one after the other."""
    *members, slots = members_and_slots
    node.ask([init(*members)], 1)
    for slot in range(slots):
        request = message("c9", "multi_paxos_log", msg_id=slot, **{"from": slot, "limit": 1})
        [told] = node.ask([request], 1)
        log = told["body"].get("log", [])
        if [entry["slot"] for entry in log] != [slot]:
            raise Caught(f"slot {slot} is lost")
        yield log


def same(what: str, value: Json, body: Json) -> None:
    if "value" not in body or canonical(body["value"]) != canonical(value):
        raise Caught(f"{what}: {canonical(body)[:100]} instead of {canonical(value)[:50]}")


def an_answer_is_finished(impl: Path, folder: Path) -> None:
    """Nobody reads while a signal interrupts the write, and only then somebody does."""
    with closing(Node(impl, folder)) as node:
        node.ask([init("n1")], 1)
        large = message("c1", "multi_paxos_propose", msg_id=1, slot=1, value="x" * 500_000)
        node.life.give(json.dumps(large).encode())
        while node.life.unsent:
            ready((), {node.life.sink}, 1.0)
            node.life.push()
        time.sleep(0.3)
        for interrupt in node.life.pause, node.life.resume, node.life.terminate:
            interrupt()
        said, until = [], time.monotonic() + HANG
        while not node.life.over and time.monotonic() < until:
            said += node.receive()
        if len(said) != 1 or node.life.rest:
            raise Caught("its answer ends before its end")
        same("the answer", large["body"]["value"], json.loads(said[0])["body"])


# The directory.


def a_second_process_is_refused(impl: Path, folder: Path) -> None:
    """The first one goes on, and loses nothing."""
    options = "--data", str(folder / "data")
    with closing(Node(impl, folder, *options)) as first:
        first.ask([init("n1")], 1)
        ask = message("c1", "multi_paxos_propose", msg_id=1, slot=0, value="v")
        first.ask([ask], 1)
        with closing(Node(impl, folder, *options)) as second:
            second.life.give(json.dumps(init("n1")).encode())
            if second.life.status(HANG) != 2 or second.receive():
                raise Caught("it is not refused")
        first.ask([message("c1", "multi_paxos_propose", msg_id=2, slot=1, value="w")], 1)
    with closing(Node(impl, folder, *options)) as node:
        for slot, [entry] in enumerate(told_log(node, "n1", 2)):
            same(f"slot {slot}", "vw"[slot], entry)


# The power.


@dataclass
class Told:
    """What a node has said that it must not lose."""

    said: int = 0
    promised: int = 0
    votes: dict[int, int] = field(default_factory=dict)
    decided: dict[int, str] = field(default_factory=dict)

    def add(self, body: Json) -> None:
        self.said += 1
        if body["type"] in ("promise", "accepted"):
            self.promised = max(self.promised, body["ballot"])
        if body["type"] == "accepted":
            self.votes[body["slot"]] = body["ballot"]
        for entry in [*body.get("log", ()), *(body.get("decided") or ())]:
            self.decided[entry["slot"]] = canonical(entry["value"])


LEADER, OTHER, LATER = 2, 3, 302
"""Ballots of n2, of n3, and of n2 again."""

MEMBERS = ("n1", "n2", "n3")
STEPS: tuple[tuple[Json, ...], ...] = (
    (message("n2", "prepare", ballot=LEADER, known=[]),),
    (message("n2", "accept", ballot=LEADER, slot=1, value="v"),),
    (message("n2", "accept", ballot=LEADER, slot=2, value=2.0),),
    # Decisions alone, which make a node say nothing; what it says then must tell them for ever.
    (message("n2", "decided", slot=1, value="v"), message("c1", "multi_paxos_log", msg_id=1)),
    (message("n3", "prepare", ballot=OTHER, known=[]),),
    (message("n3", "accept", ballot=OTHER, slot=5, value=["w"]),),
    (
        message("n3", "decided", slot=2, value=2.0),
        message("n3", "decided", slot=7, value="1e3"),
        message("n3", "learn", known=[]),
    ),
    (message("n3", "accept", ballot=OTHER, slot=8, value="x" * 5_000),),
)
"""Each makes a node say one thing."""

VOTED = {
    step[0]["body"]["slot"]: step[0]["body"]["value"]
    for step in STEPS
    if step[0]["body"]["type"] == "accept"
}


def a_power_cut_loses_nothing_that_was_said(impl: Path, folder: Path) -> None:
    """Neither what the database has to keep, nor what the log has to tell."""
    data, logged, trace = folder / "data", folder / "log", folder / "trace"
    options = ["--data", str(data), "--log", str(logged)]
    disk, said = Disk([data, logged]), []
    with closing(Node(impl, folder, *options, trace=trace)) as node:
        for step in ((init(*MEMBERS),), *STEPS):
            said += [each["body"] for each in node.ask(step, 1)]
        evidence = node.evidence
        node.life.end_input()
        if node.life.status(HANG) != 0:
            raise Caught("it does not leave at the end of its input")
    states = list(left_after(disk, trace))
    if states[-1][0] != len(said):
        raise Caught(f"it says {len(said)} lines in {states[-1][0]} writes")
    told, before = Told(), None
    for number, files in states:
        while told.said < number:
            told.add(said[told.said])
        if (number, files) == before:
            continue
        before = number, files
        shutil.rmtree(data, ignore_errors=True)
        disk.cut(files)
        try:
            see_nothing_lost(impl, folder, options, told)
            if number:
                see_log(logged, evidence, number)
        except Caught as how:
            raise Caught(f"power cut at output {number}: {how}") from None


def left_after(disk: Disk, trace: Path) -> Iterator[tuple[int, dict[str, bytes]]]:
    """What power cuts leave: at each sync what was synced before; at each output at random, too.

    With each goes how many outputs must not be lost.
    """
    number = 0
    for call in ended(trace):
        if call.name in ("write", "writev") and call.descriptor == 1:
            number += 1
            yield number, disk.left(Random(number))
            yield number, disk.left()
        elif call.name in SYNCS:
            yield number, disk.left()
        disk.take(call)


def ended(trace: Path) -> Iterator[syscalls.Call]:
    """The calls of a node that has ended; its recorder may take a moment longer."""
    until, size = time.monotonic() + HANG, -1
    while size != trace.stat().st_size and time.monotonic() < until:
        size = trace.stat().st_size
        time.sleep(0.1)
    return syscalls.calls(trace)


def see_nothing_lost(impl: Path, folder: Path, options: Sequence[str], told: Told) -> None:
    low, high = (message("n2", "prepare", ballot=ballot, known=[]) for ballot in (LEADER, LATER))
    with closing(Node(impl, folder, *options)) as node:
        _, log = node.ask([init(*MEMBERS), message("c1", "multi_paxos_log", msg_id=2)], 2)
        if told.promised > LEADER and node.ask([low], 1)[0]["body"]["type"] != "rejected":
            raise Caught(f"it has promised {told.promised}, and does not know")
        [promise] = node.ask([high], 1)
    decided = {entry["slot"]: canonical(entry["value"]) for entry in log["body"]["log"]}
    if lost := told.decided.items() - decided.items():
        raise Caught(f"it has said what is decided, and lost it: {sorted(lost)}")
    votes = {vote["slot"]: vote for vote in promise["body"]["accepted"]}
    for slot, ballot in told.votes.items():
        if slot not in decided:
            if slot not in votes or votes[slot]["ballot"] < ballot:
                raise Caught(f"it has voted in slot {slot} with ballot {ballot}, and lost it")
            same(f"its vote in slot {slot}", VOTED[slot], votes[slot])


def see_log(logged: Path, evidence: Evidence, number: int) -> None:
    """The log has all that was said by then."""
    seen = Evidence()
    for given, each in evidence.events:
        if given or seen.outputs < number:
            seen.add(given, each)
    records = logs.read(logged)
    until = next(
        at
        for at, record in enumerate([*records, None])
        if record is None or record.input == "crash"
    )
    if found := find_contradiction("n1", records[:until], [seen]):
        raise Caught(str(found))


SCENARIOS = (
    a_value_is_kept_as_it_is,
    an_answer_is_finished,
    a_second_process_is_refused,
    a_power_cut_loses_nothing_that_was_said,
)
