"""Measure how the work of each operation grows with its size, and print the exponents.

    python -m tests.growth

Work is counted in bytecode instructions, so the figures are the same each time.  What the
interpreter does in C is not counted, except comparisons and hashes of slots: slots are integers
whose comparisons are written in Python.  An operation is done at two sizes, FACTOR apart; the
exponent is log(work at the large size / work at the small one) / log(FACTOR): 1 is linear.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from multipaxos import messages
from multipaxos.clock import Clock, Pace
from multipaxos.node import Node
from multipaxos.printed import Printed
from multipaxos.storage import Storage

SMALL, FACTOR = 32, 16
LIMIT = 1.35
"""The largest exponent that is accepted: sorting has 1.2 at these sizes."""

MEMBERS = ("n1", "n2", "n3")
INIT = json.dumps(
    {
        "src": "c0",
        "dest": "n1",
        "body": {"type": "init", "msg_id": 0, "node_id": "n1", "node_ids": MEMBERS},
    }
).encode()

Work = Callable[[], object]
"""What is counted; everything it needs has been made before."""


class Slot(int):
    """A slot whose comparisons are counted."""

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        return int(self) < other

    def __hash__(self) -> int:
        return int.__hash__(self)


class Fed:
    """One node, n1 of three, with a clock; it is given messages as values."""

    def __init__(self, storage: Storage | None = None) -> None:
        self.now, self.asked = 0.0, 0
        self.node = Node(
            storage=storage, clock=lambda replica, now: Clock(replica, Pace(), Random(1), now)
        )
        self.node.turn([INIT])
        self.replica = self.node.replica

    def give(self, src: str, body: Any) -> list[str]:
        """Have the node take a message, as from a line; return the lines that it sends."""
        kind = re.sub("(?<!^)([A-Z])", r"_\1", type(body).__name__).lower()
        action, receive = self.node.steps[kind]
        sent = Printed()
        self.node.emit("n1", "", action, receive(src, body), sent)
        return sent

    def propose(self, slot: int, client: str = "c1", number: int | None = None) -> list[str]:
        self.asked += 1
        return self.give(client, messages.MultiPaxosPropose(number or self.asked, slot, '"v"'))

    def tick(self, seconds: float) -> None:
        """Let time pass, with a turn each twentieth of a second."""
        for _ in range(round(20 * seconds)):
            self.now += 0.05
            self.node.turn([], self.now)

    def expire(self) -> None:
        """Let time pass until no request waits any more."""
        while self.replica.leader.waiting:
            self.tick(1.0)

    def lead(self) -> Fed:
        self.propose(Slot(0))
        self.give("n2", messages.Promise(self.ballot, {}, ()))
        self.vote(0)
        return self

    @property
    def ballot(self) -> int:
        return self.replica.leader.ballot

    def vote(self, slot: int) -> None:
        self.give("n2", messages.Accepted(self.ballot, Slot(slot)))

    def decide(self, slots: Iterable[int]) -> Fed:
        for slot in slots:
            self.give("n2", messages.Decided(Slot(slot), '"v"'))
        return self

    def open(self, size: int) -> Fed:
        for slot in range(1, size + 1):
            self.propose(Slot(slot))
        return self


# The operations: each makes what it needs for a size, and returns what is counted.


def one_slot(size: int) -> Work:
    """Requests of different clients that wait for one slot, each sent twice."""
    fed = Fed()

    def work() -> None:
        for client in range(size):
            fed.propose(Slot(7), f"c{client}", 1)
            fed.propose(Slot(7), f"c{client}", 1)

    return work


def own_slots(size: int) -> Work:
    """Requests that wait, each for a slot of its own."""
    fed = Fed()
    return lambda: fed.open(size)


def expire_one_slot(size: int) -> Work:
    """Requests that wait for one slot, and expire."""
    fed = Fed()
    for client in range(size):
        fed.propose(Slot(7), f"c{client}")
    return fed.expire


def expire_own_slots(size: int) -> Work:
    """Requests that wait for slots of their own, and expire after others were answered."""
    fed = Fed().open(2 * size)
    fed.decide(range(1, size + 1))
    return fed.expire


def decide_in_order(size: int) -> Work:
    """Slots that are open, and then decided in order."""
    fed = Fed().lead().open(size)
    return lambda: [fed.vote(slot) for slot in range(1, size + 1)]


def decide_in_reverse(size: int) -> Work:
    """Slots that are open, and then decided the other way round."""
    fed = Fed().lead().open(size)
    return lambda: [fed.vote(slot) for slot in range(size, 0, -1)]


def propose_while_open(size: int) -> Work:
    """Requests to a leader while all those before are open."""
    fed = Fed().lead()
    return lambda: fed.open(size)


def turns_while_open(size: int) -> Work:
    """Turns with a message each while many slots are open, for a second."""
    fed = Fed().lead().open(size)

    def work() -> None:
        for number in range(size):
            fed.now += 1.0 / size
            fed.give("n2", messages.Accepted(1, Slot(size + number + 1)))
            fed.node.turn([], fed.now)

    return work


def timeout(size: int) -> Work:
    """As many timeouts without an answer as slots are open, with bursts of eight at most."""
    fed = Fed()
    fed.replica.batch = 8
    fed.lead().open(size)
    return lambda: fed.tick(size / 10)


def propose_on_decided(size: int) -> Work:
    """Requests for slots that are decided."""
    fed = Fed().decide(range(size))
    return lambda: [fed.propose(Slot(slot)) for slot in range(size)]


def log_parts(size: int) -> Work:
    """The log, read in parts of ten, where every other slot is decided."""
    fed = Fed().decide(range(0, 2 * size, 2))
    return lambda: [
        fed.give("c1", messages.MultiPaxosLog(1, start, 10)) for start in range(0, 2 * size, 20)
    ]


def gaps(size: int) -> Work:
    """Decisions that leave gaps, in any order, until the gaps are filled."""
    slots = list(range(size))
    Random(1).shuffle(slots)
    fed = Fed()
    return lambda: fed.decide(slots)


def prepare(size: int) -> Work:
    """A `prepare` to a node with votes and gaps, from a node with other gaps."""
    fed = Fed().decide(range(0, 4 * size, 2))
    for slot in range(1, 2 * size, 2):
        fed.give("n2", messages.Accept(2, Slot(slot), '"v"'))
    known = tuple((slot, slot) for slot in range(0, 4 * size, 4))
    return lambda: fed.give("n3", messages.Prepare(3, known))


def promise(size: int) -> Work:
    """A `promise` with votes and closed slots."""
    fed, body = promised(size)
    return lambda: fed.give("n2", body)


def closed(size: int) -> Work:
    """Closed slots that are learned, the last one first."""
    fed, body = promised(size)
    fed.give("n2", body)
    return lambda: fed.decide(range(2 * size - 2, 0, -2))


def promised(size: int) -> tuple[Fed, messages.Promise]:
    """Return a node in Phase 1, and a promise that makes it the leader."""
    fed = Fed()
    fed.propose(Slot(0))
    votes = {Slot(slot): messages.Vote(0, '"v"') for slot in range(1, 2 * size, 2)}
    ranges = tuple((slot, slot) for slot in range(2, 2 * size, 2))
    return fed, messages.Promise(fed.ballot, votes, ranges)


def learn(size: int) -> Work:
    """A `learn` from a node that lacks one slot of many with gaps."""
    fed = Fed().decide(range(0, 2 * size, 2))
    known = tuple((slot, slot) for slot in range(0, 2 * size - 2, 2))
    return lambda: fed.give("n2", messages.Learn(known))


def catch_up(size: int) -> Work:
    """A peer that requests the decisions that it lacks, a few at a time."""
    fed = Fed().decide(range(size))
    fed.replica.batch = 4
    return lambda: [fed.give("n2", messages.Learn(((0, low),))) for low in range(0, size, 4)]


def learned(size: int) -> Work:
    """Decisions that are learned, each batch of them waited for by requests."""
    fed = Fed().open(size)

    def batch(low: int) -> messages.Learned:
        return messages.Learned({Slot(slot): '"v"' for slot in range(low, low + 8)}, True, size)

    return lambda: [fed.give("n2", batch(low)) for low in range(1, size, 8)]


def start(size: int) -> Work:
    """To start with --data."""
    folder = TemporaryDirectory(prefix="growth-")
    with closing(Storage(Path(folder.name))) as storage:
        storage.claim("n1", MEMBERS)
        for slot in range(size):
            storage.acceptor.vote_for(1, slot, '"v"')
            storage.acceptor.decide(slot, '"v"')
        storage.commit()

    def work() -> None:
        with folder, closing(Storage(Path(folder.name))):
            pass

    return work


def commits(size: int) -> Work:
    """Votes and decisions that are saved, a turn each."""
    folder = TemporaryDirectory(prefix="growth-")

    def work() -> None:
        with folder, closing(Storage(Path(folder.name))) as storage:
            storage.claim("n1", MEMBERS)
            for slot in range(size):
                storage.acceptor.vote_for(1, slot, '"v"')
                storage.commit()
            for slot in range(size):
                storage.acceptor.decide(slot, '"v"')
                storage.commit()

    return work


OPERATIONS = {
    each.__name__: each
    for each in (
        one_slot,
        own_slots,
        expire_one_slot,
        expire_own_slots,
        decide_in_order,
        decide_in_reverse,
        propose_while_open,
        turns_while_open,
        timeout,
        propose_on_decided,
        log_parts,
        gaps,
        prepare,
        promise,
        closed,
        learn,
        catch_up,
        learned,
        start,
        commits,
    )
}


# The measure.


def counted(work: Work) -> int:
    """Return the number of bytecode instructions that are executed."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def exponent(operation: Callable[[int], Work]) -> tuple[int, int, float]:
    """Return the work at both sizes, and the exponent."""
    small, large = (counted(operation(size)) for size in (SMALL, SMALL * FACTOR))
    return small, large, math.log(large / small, FACTOR)


def too_steep() -> str | None:
    """Return the first operation whose work grows too fast, and how fast; None if there is none."""
    for name, operation in OPERATIONS.items():
        _, _, found = exponent(operation)
        if found > LIMIT:
            return f"{name}: the work grows as size ** {found:.2f}"
    return None


def main() -> None:
    from conformance import report

    rows = []
    for name, operation in OPERATIONS.items():
        small, large, found = exponent(operation)
        what = (operation.__doc__ or "").splitlines()[0]
        rows.append((name, small, large, f"{found:.2f}", found <= LIMIT, what))
    report.table(
        f"Bytecode instructions at sizes {SMALL} and {SMALL * FACTOR}",
        ("operation", f"#{SMALL}", f"#{SMALL * FACTOR}", "#exponent", f"at most {LIMIT}", "what"),
        rows,
    )
    sys.exit(0 if all(row[4] for row in rows) else 1)
