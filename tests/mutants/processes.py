"""Checks of a node as a real process on real files: lines, values, directory, and power cuts.

They are about the process, not the protocol.  A node must read lines that arrive in pieces, write
whole lines to a slow reader, keep values unchanged, lock its directory, and send nothing that a
power cut loses.
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

from conformance.formats import log_files, logs
from conformance.formats.canonical import canonical
from conformance.running import syscalls
from conformance.running.life import Life
from conformance.running.power import SYNCS, Disk
from conformance.running.process import CHUNK, ready
from conformance.validation.evidence import Evidence, find_contradiction

Json = Any

HANG = 30.0
"""Seconds without the expected output after which a node has failed."""

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
"""Values that are almost equal, and lines that are longer than a pipe."""


class Caught(Exception):
    """A node has failed a check; the text is the reason."""


class Node:
    """One run of a node in its own folder."""

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

    def send(self, messages: Sequence[Json], answers: int) -> list[Json]:
        """Send messages, and return the given number of output messages."""
        for message in messages:
            self.evidence.add(True, message)
            self.life.give(json.dumps(message).encode())
        output: list[Json] = []
        until = time.monotonic() + HANG
        while len(output) < answers:
            if self.life.over or time.monotonic() > until:
                errors = self.errors.read_text("utf-8", "replace").strip().splitlines()
                raise Caught(
                    f"{len(output)} of {answers} answers to {messages[-1]['body']['type']}: "
                    f"{errors[-1][:200] if errors else 'no error output'}"
                )
            output += map(json.loads, self.receive())
        for message in output:
            self.evidence.add(False, message)
        return output

    def receive(self) -> list[bytes]:
        sinks = {self.life.sink} if self.life.unsent else set()
        if ready({self.life.source}, sinks, 1.0)[1]:
            self.life.push()
        return self.life.read_lines()

    def end(self) -> None:
        """End the input, and wait until the node ends by itself."""
        self.life.end_input()
        if self.life.status(HANG) != 0:
            raise Caught("it does not end at the end of its input")

    def close(self) -> None:
        self.life.close()


def message(src: str, kind: str, **fields: Json) -> Json:
    return {"src": src, "dest": "n1", "body": {"type": kind, **fields}}


def init(*members: str) -> Json:
    return message("c0", "init", msg_id=0, node_id="n1", node_ids=list(members))


def check(impl: Path) -> str | None:
    """Return how the node in this folder fails, or None."""
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


def values_are_kept(impl: Path, folder: Path) -> None:
    """Send lines in pieces, kill the node, and read its log."""
    rng = Random(1)
    options = "--data", str(folder / "data")
    requests = [
        message("c1", "multi_paxos_propose", msg_id=slot, slot=slot, value=value)
        for slot, value in enumerate(VALUES)
    ]
    with closing(
        Node(impl, folder, *options, pieces=lambda: rng.choice((1, 50, 5_000, CHUNK)))
    ) as node:
        node.send([init("n1")], 1)
        for request in requests:
            [reply] = node.send([request], 1)
            require_equal(
                f"slot {request['body']['slot']}", request["body"]["value"], reply["body"]
            )
    with closing(Node(impl, folder, *options)) as node:
        for slot, [entry] in enumerate(log_entries(node, "n1", len(VALUES))):
            require_equal(f"slot {slot} after a restart", VALUES[slot], entry)
        again = {**requests[0], "src": "c2"}
        require_equal("a slot proposed again", VALUES[0], node.send([again], 1)[0]["body"])


def log_entries(node: Node, *members_and_slots: Any) -> Iterator[list[Json]]:
    """Yield the log of a node, slot by slot."""
    *members, slots = members_and_slots
    node.send([init(*members)], 1)
    for slot in range(slots):
        request = message("c9", "multi_paxos_log", msg_id=slot, **{"from": slot, "limit": 1})
        [reply] = node.send([request], 1)
        log = reply["body"].get("log", [])
        if [entry["slot"] for entry in log] != [slot]:
            raise Caught(f"slot {slot} is lost")
        yield log


def require_equal(what: str, value: Json, body: Json) -> None:
    if "value" not in body or canonical(body["value"]) != canonical(value):
        raise Caught(f"{what}: {canonical(body)[:100]} instead of {canonical(value)[:50]}")


def output_is_complete(impl: Path, folder: Path) -> None:
    """Interrupt a blocked write by signals, then read."""
    with closing(Node(impl, folder)) as node:
        node.send([init("n1")], 1)
        large = message("c1", "multi_paxos_propose", msg_id=1, slot=1, value="x" * 500_000)
        node.life.give(json.dumps(large).encode())
        while node.life.unsent:
            ready((), {node.life.sink}, 1.0)
            node.life.push()
        # The node is in a blocked write when it has begun to print.
        ready({node.life.source}, (), HANG)
        for interrupt in node.life.pause, node.life.resume, node.life.terminate:
            interrupt()
        lines, until = [], time.monotonic() + HANG
        while not node.life.over and time.monotonic() < until:
            lines += node.receive()
        if len(lines) != 1 or node.life.rest:
            raise Caught("its answer is cut")
        require_equal("the answer", large["body"]["value"], json.loads(lines[0])["body"])


# The directory.


def second_process_is_refused(impl: Path, folder: Path) -> None:
    """Start a second node on a directory in use: it ends, and the first one loses nothing."""
    options = "--data", str(folder / "data")
    with closing(Node(impl, folder, *options)) as first:
        first.send([init("n1")], 1)
        request = message("c1", "multi_paxos_propose", msg_id=1, slot=0, value="v")
        first.send([request], 1)
        with closing(Node(impl, folder, *options)) as second:
            second.life.give(json.dumps(init("n1")).encode())
            if second.life.status(HANG) != 2 or second.receive():
                raise Caught("it is not refused")
        first.send([message("c1", "multi_paxos_propose", msg_id=2, slot=1, value="w")], 1)
    with closing(Node(impl, folder, *options)) as node:
        for slot, [entry] in enumerate(log_entries(node, "n1", 2)):
            require_equal(f"slot {slot}", "vw"[slot], entry)


# The log in several files.


def log_in_files_has_all(impl: Path, folder: Path) -> None:
    """Begin a log at a node that has state, a turn to each file, and kill the node between files.

    The files are one log without a gap, which begins with the state and has all that was said.
    """
    data, logged = ["--data", str(folder / "data")], folder / "log"
    files = [*data, "--log", str(logged), "--log-max-bytes", "1"]
    with closing(Node(impl, folder, *data)) as node:
        for step in ((init(*MEMBERS),), *STEPS[:4]):
            node.send(step, 1)
        node.end()
    lives = []
    for steps in STEPS[4:6], STEPS[6:]:
        with closing(Node(impl, folder, *files)) as node:
            for step in ((init(*MEMBERS),), *steps):
                node.send(step, 1)
            lives.append(node.evidence)
        # Of a turn that was not saved, a kill leaves a part.
        end = log_files.size(logged)
        logged.with_name(f"{logged.name}.{end:020}").write_text('{"node": "n1", "inp', "utf-8")
    with closing(Node(impl, folder, *files)) as node:
        node.send([init(*MEMBERS)], 1)
    try:
        records = logs.read(logged)
    except logs.LogError as error:
        raise Caught(str(error)) from None
    if len(log_files.files_of(logged)) < len(STEPS) - 4:
        raise Caught("its log is not continued in other files")
    if records[0].state != STATE:
        raise Caught(f"its log begins with {canonical(records[0].input)[:100]}")
    begun = [at for at, record in enumerate(records) if record.input == "crash"]
    for seen, first, last in zip(lives, [0, *begun], begun, strict=False):
        if found := find_contradiction("n1", records[first:last], [seen]):
            raise Caught(str(found))


# Power cuts.


@dataclass
class Promises:
    """The promises, votes and decisions that a node has sent and must not lose."""

    outputs: int = 0
    promised: int = 0
    votes: dict[int, int] = field(default_factory=dict)
    decided: dict[int, str] = field(default_factory=dict)

    def add(self, body: Json) -> None:
        self.outputs += 1
        if body["type"] in ("promise", "accepted"):
            self.promised = max(self.promised, body["ballot"])
        if body["type"] == "accepted":
            self.votes[body["slot"]] = body["ballot"]
        for entry in [*body.get("log", ()), *(body.get("decided") or ())]:
            self.decided[entry["slot"]] = canonical(entry["value"])


LEADER, OTHER, LATER = 2, 3, 302
"""Ballots of n2, n3 and n2."""

MEMBERS = ("n1", "n2", "n3")
STEPS: tuple[tuple[Json, ...], ...] = (
    (message("n2", "prepare", ballot=LEADER, known=[]),),
    (message("n2", "accept", ballot=LEADER, slot=1, value="v"),),
    (message("n2", "accept", ballot=LEADER, slot=2, value=2.0),),
    # A decision has no output of its own.  The log reply sends it, so it must be durable then.
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
"""Each step has one message as its output."""

VOTED = {
    step[0]["body"]["slot"]: step[0]["body"]["value"]
    for step in STEPS
    if step[0]["body"]["type"] == "accept"
}

STATE = {
    "event": "state",
    "promised": LEADER,
    "accepted": [{"slot": 2, "ballot": LEADER, "value": 2.0}],
    "decided": [{"slot": 1, "value": "v"}],
}
"""What is durable after the first four steps."""


def power_cut_loses_no_output(impl: Path, folder: Path) -> None:
    """Cut the power at each sync and output; the database and the log have all that was sent."""
    data, logged, trace = folder / "data", folder / "log", folder / "trace"
    options = ["--data", str(data), "--log", str(logged)]
    disk, output = Disk([data, logged]), []
    with closing(Node(impl, folder, *options, trace=trace)) as node:
        for step in ((init(*MEMBERS),), *STEPS):
            output += [each["body"] for each in node.send(step, 1)]
        evidence = node.evidence
        node.end()
    states = list(left_after(disk, trace))
    if states[-1][0] != len(output):
        raise Caught(f"it writes {len(output)} lines in {states[-1][0]} writes")
    sent, before = Promises(), None
    for number, files in states:
        while sent.outputs < number:
            sent.add(output[sent.outputs])
        if (number, files) == before:
            continue
        before = number, files
        shutil.rmtree(data, ignore_errors=True)
        disk.cut(files)
        try:
            check_nothing_lost(impl, folder, options, sent)
            if number:
                check_log(logged, evidence, number)
        except Caught as how:
            raise Caught(f"power cut at output {number}: {how}") from None


def left_after(disk: Disk, trace: Path) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Yield the files after power cuts, each with the number of outputs that must not be lost.

    At each sync and output, what was synced before; at each output, also a random part of the rest.
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
    """Return the calls of a node that has ended, once its trace no longer grows."""
    until, size = time.monotonic() + HANG, -1
    while size != trace.stat().st_size and time.monotonic() < until:
        size = trace.stat().st_size
        time.sleep(0.1)
    return syscalls.calls(trace)


def check_nothing_lost(impl: Path, folder: Path, options: Sequence[str], sent: Promises) -> None:
    low, high = (message("n2", "prepare", ballot=ballot, known=[]) for ballot in (LEADER, LATER))
    with closing(Node(impl, folder, *options)) as node:
        _, log = node.send([init(*MEMBERS), message("c1", "multi_paxos_log", msg_id=2)], 2)
        if sent.promised > LEADER and node.send([low], 1)[0]["body"]["type"] != "rejected":
            raise Caught(f"it has lost its promise of {sent.promised}")
        [promise] = node.send([high], 1)
    decided = {entry["slot"]: canonical(entry["value"]) for entry in log["body"]["log"]}
    if lost := sent.decided.items() - decided.items():
        raise Caught(f"it has lost decisions: {sorted(lost)}")
    votes = {vote["slot"]: vote for vote in promise["body"]["accepted"]}
    for slot, ballot in sent.votes.items():
        if slot not in decided:
            if slot not in votes or votes[slot]["ballot"] < ballot:
                raise Caught(f"it has lost its vote in slot {slot} with ballot {ballot}")
            require_equal(f"its vote in slot {slot}", VOTED[slot], votes[slot])


def check_log(logged: Path, evidence: Evidence, number: int) -> None:
    """Check that the log has the first outputs of a node."""
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
    values_are_kept,
    output_is_complete,
    second_process_is_refused,
    log_in_files_has_all,
    power_cut_loses_no_output,
)
