"""A node in a simulation: its runs, one after another, on one disk.

This module is in the place of the process, in simulated time: it gives the node lines, takes its
output, and resumes its log.  `faults` draws what happens to a node, and when.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from random import Random

from multipaxos.clock import MAX_BACKOFF_FACTOR, Clock, Pace
from multipaxos.files import StorageError
from multipaxos.node import Node
from multipaxos.process import PIPE_BYTES
from multipaxos.replica import Replica

from .disk import Disk, PowerCut

BATCH = 3
"""Small enough for catching up to take more than one message."""

PACE = Pace()
LONGEST_ANSWER = PACE.request_timeout + MAX_BACKOFF_FACTOR * PACE.backoff + 2 * PACE.retry
"""Seconds by its own clock within which a running node answers a request."""

TURN = 0.002
"""Minimum seconds of a turn if the node is not slow; lines that arrive meanwhile are queued."""

LINE, BYTE = 20e-6, 10e-9
"""Seconds that each line, and each of its bytes, adds to a turn: a node has a finite speed, so what
it sends in vain delays what it should do.  They are near what the real node needs."""

NEVER = float("inf")

OPERATOR = "c0"
"""The client that sends `init` when a node starts."""


class Failed(Exception):
    """A node has broken a rule; the text begins with its name."""


@dataclass(frozen=True)
class Parts:
    """The classes that a simulation uses; tests replace some by ones with bugs."""

    node: type[Node] = Node
    replica: type[Replica] = Replica
    clock: type[Clock] = Clock
    disk: type[Disk] = Disk


RIGHT = Parts()


class Host:
    """One node's name, disk, log, clock and inbox, running or not."""

    def __init__(
        self, name: str, members: list[str], parts: Parts, disk: Disk, seed: int, logs: bool
    ) -> None:
        self.name = name
        self.parts = parts
        self.disk = disk
        self.seed = seed
        self.logs = logs
        body = {"type": "init", "msg_id": 0, "node_id": name, "node_ids": members}
        self.prefix = f'{{"src": {json.dumps(name)}, "dest": '.encode()
        self.init = json.dumps({"src": OPERATOR, "dest": name, "body": body}).encode()
        # Whatever members are called, their clocks are those of their places.
        self.place = f"n{members.index(name) + 1}"
        rng = Random(f"{seed} host {self.place}")
        self.begun, self.rate = rng.uniform(0, 1e6), rng.uniform(0.9, 1.1)
        self.lives = 0
        self.node: Node | None = None
        self.inbox: deque[tuple[bytes, int | None]] = deque()
        self.owed: dict[int, float] = {}
        self.now = 0.0
        self.batch = BATCH
        self.turn_seconds = TURN
        self.work_seconds = 0.0
        self.free_at = 0.0
        self.turn_at = NEVER
        self.due_at = NEVER
        self.left: int | None = None
        self.downtime = 0.0

    def start(self) -> None:
        """Start the node; the first line is `init`."""
        self.lives += 1
        rng = Random(f"{self.seed} clock {self.place} {self.lives}")
        storage = self.disk.mount()
        self.node = self.parts.node(
            batch=self.batch,
            log=storage.open_log() if self.logs else None,
            storage=storage,
            on_dropped=self.on_dropped,
            clock=lambda replica, now: self.parts.clock(replica, PACE, rng, now),
        )
        try:
            self.node.resume_log()
        except StorageError as error:
            raise Failed(f"disk: {error}") from error
        self.inbox = deque([(self.init, None)])

    def fall(self) -> None:
        """Crash: lose what is not on the disk, and the messages in flight to the node."""
        self.node = None
        self.inbox, self.owed = deque(), {}
        self.turn_at = self.due_at = NEVER
        self.cancel_crash()

    def cancel_crash(self) -> None:
        """Cancel a crash that was planned for the next commit."""
        self.left, self.disk.power_fails = None, False

    def on_dropped(self, reason: str, line: bytes) -> None:
        raise Failed(f"wire: {self.name} dropped a line: {reason}: {line!r}")

    def take_turn(self, at: float) -> list[bytes] | None:
        """Return the output lines of a turn, or None if the node crashes in it."""
        lines, asked = self.read()
        before, self.now = self.now, max(self.begun + self.rate * at, self.now)
        if at >= self.due_at:
            # Rounding could otherwise keep the time just before the deadline for ever.
            self.now = max(self.now, self.node.due())
        if self.now > before + 2 * PACE.retry:
            self.excuse(self.now - before)
        try:
            output = self.node.turn(lines, self.now).splitlines()
        except (PowerCut, StorageError):
            return None
        except Failed:
            raise
        except Exception as error:
            raise Failed(f"stopped: {self.name} cannot go on: {error!r}") from error
        for question in asked:
            self.owed.setdefault(question, self.now + LONGEST_ANSWER)
        self.work_seconds = sum(
            LINE + BYTE * len(line) for each in (lines, output) for line in each
        )
        return output

    def read(self) -> tuple[list[bytes], list[int]]:
        """Take the lines of one read, and the questions among them: as much as a pipe holds."""
        lines, asked, size = [], [], 0
        while self.inbox and size < PIPE_BYTES:
            line, question = self.inbox.popleft()
            lines.append(line)
            size += len(line) + 1
            if question is not None:
                asked.append(question)
        return lines, asked

    def plan(self) -> float:
        """Return the time of the next turn that the node's clock needs, in simulated seconds."""
        due = self.node.due()
        self.due_at = NEVER if due is None else (due - self.begun) / self.rate
        return self.due_at

    def excuse(self, seconds: float) -> None:
        """Extend the deadlines of requests by the time in which the node had no turn."""
        self.owed = {question: until + seconds for question, until in self.owed.items()}

    def check_answers(self) -> None:
        """Raise Failed if a running node has not answered in time."""
        question = next(iter(self.owed), None)
        if question is not None and self.owed[question] < self.now:
            raise Failed(f"answers: {self.name} never answers request {question}")
