"""A node in a simulation: one life after another, on one disk.

What a process does for a node is done here, at a time that is made up: it gives it lines, prints
what it says, and resumes its log.  `faults` draws what happens to a node, and when.
"""

from __future__ import annotations

import io
import json
from collections import deque
from dataclasses import dataclass
from random import Random

from multipaxos.clock import MAX_BACKOFF_FACTOR, Clock, Pace
from multipaxos.node import Node
from multipaxos.process import PIPE_BYTES
from multipaxos.replica import Replica
from multipaxos.storage import StorageError

from .disk import Disk, PowerCut

BATCH = 3
"""Small enough for catching up to take more than one message."""

PACE = Pace()
LONGEST_ANSWER = PACE.request_timeout + MAX_BACKOFF_FACTOR * PACE.backoff + 2 * PACE.retry
"""By when a node that lives has answered a request that it has taken, by its own clock."""

TURN = 0.002
"""Seconds that a turn takes at least if the node is not slow; what comes meanwhile is queued."""

LINE, BYTE = 20e-6, 10e-9
"""Seconds that each line, and each of its bytes, adds to a turn: a node has a finite speed, so what
it sends in vain delays what it should do.  They are near what the real node needs."""

NEVER = float("inf")

OPERATOR = "c0"
"""The client that sends `init` when a node begins a life."""


class Failed(Exception):
    """A node did what it must not, or not what it must; the text begins with the broken rule."""


@dataclass(frozen=True)
class Parts:
    """What the nodes of a simulation are made of; tests put in parts with bugs."""

    node: type[Node] = Node
    replica: type[Replica] = Replica
    clock: type[Clock] = Clock
    disk: type[Disk] = Disk


RIGHT = Parts()


class Host:
    """One node's name, disk, log, clock and inbox, whether it lives or not."""

    def __init__(
        self, name: str, members: list[str], parts: Parts, disk: Disk, seed: int, logs: bool
    ) -> None:
        self.name = name
        self.parts = parts
        self.disk = disk
        self.seed = seed
        self.log = io.BytesIO() if logs else None
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
        """Begin a life; the first line is `init`."""
        self.lives += 1
        rng = Random(f"{self.seed} clock {self.place} {self.lives}")
        self.node = self.parts.node(
            batch=self.batch,
            log=self.log,
            storage=self.disk.mount(),
            on_dropped=self.on_dropped,
            clock=lambda replica, now: self.parts.clock(replica, PACE, rng, now),
        )
        if self.log is not None:
            self.node.resume_log()
        self.inbox = deque([(self.init, None)])

    def fall(self) -> None:
        """What is not on the disk is gone, and messages on their way to the node are lost."""
        self.node = None
        self.inbox, self.owed = deque(), {}
        self.turn_at = self.due_at = NEVER
        self.lasts()

    def lasts(self) -> None:
        """No crash lies in wait for the node."""
        self.left, self.disk.power_fails = None, False

    def on_dropped(self, reason: str, line: bytes) -> None:
        raise Failed(f"wire: {self.name} dropped a line: {reason}: {line!r}")

    def take_turn(self, at: float) -> list[bytes] | None:
        """What a turn says, of which all that leaves has left; None if the node falls in it."""
        lines, asked = self.read()
        before, self.now = self.now, max(self.begun + self.rate * at, self.now)
        if at >= self.due_at:
            # Or a rounding would have the node wait for ever for the time that has come.
            self.now = max(self.now, self.node.due())
        if self.now > before + 2 * PACE.retry:
            self.excuse(self.now - before)
        try:
            said = self.node.turn(lines, self.now).splitlines()
        except (PowerCut, StorageError):
            return None
        except Failed:
            raise
        except Exception as error:
            raise Failed(f"stopped: {self.name} cannot go on: {error!r}") from error
        for question in asked:
            self.owed.setdefault(question, self.now + LONGEST_ANSWER)
        self.work_seconds = sum(LINE + BYTE * len(line) for each in (lines, said) for line in each)
        return said

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
        """When the node's clock wants a turn, by the simulation's."""
        due = self.node.due()
        self.due_at = NEVER if due is None else (due - self.begun) / self.rate
        return self.due_at

    def excuse(self, seconds: float) -> None:
        """Time in which a node had no turn does not count."""
        self.owed = {question: until + seconds for question, until in self.owed.items()}

    def check_answers(self) -> None:
        """Raise Failed if a node that lives has not answered in time."""
        question = next(iter(self.owed), None)
        if question is not None and self.owed[question] < self.now:
            raise Failed(f"answers: {self.name} never answers request {question}")
