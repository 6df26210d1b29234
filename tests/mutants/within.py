"""The node under test within this process, in memory or on a disk, to be replayed or recorded.

A crash is a line to a node in memory, as it is to a process; to a node with a disk it is a real
one.  This is imported where the node is already known.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multipaxos.message_log import Log
from multipaxos.node import Node
from multipaxos.storage import Storage

from conformance.running.cluster import NodeError

Json = Any

CRASH, RESTART = b'"crash"', b'"restart"'

IN_MEMORY = Path("/dev/shm")
"""Where a disk costs nothing, on machines that have such a place."""


def scratch() -> Path | None:
    """Where to put disks; None for wherever the system puts such things."""
    return IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None


class InMemory:
    """A node that receives `init` again after each step, which changes nothing: so does the verb
    `replay`."""

    def __init__(self) -> None:
        self.node = Node(batch=1)
        self.init: Sequence[bytes] = ()
        self.up = True

    def turn(self, lines: Sequence[bytes]) -> bytes:
        printed = self.node.turn(lines)
        self.init = self.init or lines
        if lines[0] in (CRASH, RESTART):
            self.up = lines[0] == RESTART
        if self.up:
            self.node.turn(self.init)
            self.node.replies -= 1
        return printed


class OnDisk:
    """One life after another on a disk: what is not on it at a crash, is gone."""

    def __init__(self, folder: Path, batch: int) -> None:
        self.folder = folder
        self.batch = batch
        self.init: Sequence[bytes] = ()
        self.spoke = False
        self.begin()

    def begin(self) -> None:
        """A life begins, and has logged nothing."""
        self.logged = io.BytesIO()
        self.storage = Storage(self.folder)
        self.node = Node(
            batch=self.batch, storage=self.storage, log=Log("", io.BufferedWriter(self.logged))
        )

    def turn(self, lines: Sequence[bytes]) -> bytes:
        self.init = self.init or lines
        if lines[0] == CRASH:
            # State without output may be lost, as if its input had not arrived; but here the input
            # counts as taken, so such a life saves at its end.
            if not self.spoke:
                self.node.save()
            self.close()
            return b""
        if lines[0] == RESTART:
            self.begin()
            self.node.turn(self.init)
            self.node.replies = 0
            forget(self.logged)
            return b""
        printed = self.node.turn(lines)
        self.spoke = bool(printed)
        return printed

    def close(self) -> None:
        self.storage.close()


class Logged:
    """A node in memory that keeps a log."""

    def __init__(self, batch: int) -> None:
        self.logged = io.BytesIO()
        self.node = Node(batch=batch, log=Log("", io.BufferedWriter(self.logged)))

    def turn(self, lines: Sequence[bytes]) -> bytes:
        return self.node.turn(lines)

    def close(self) -> None:
        """There is nothing to close."""


class Recorded:
    """A node for the harness to record: `step` gives back what the node has logged."""

    def __init__(self, name: str, node: OnDisk | Logged) -> None:
        self.name = name
        self.node = node

    def step(self, given: Json) -> Json:
        """Raises NodeError for a node that stops, or logs something else than it sends."""
        try:
            printed = self.node.turn([json.dumps(given).encode()])
        except Exception as error:
            raise NodeError(f"a node raised {error!r}") from error
        record = forget(self.node.logged)
        if record is None and isinstance(self.node, OnDisk) and given in ("crash", "restart"):
            return {"node": self.name, "input": given, "output": [], "action": given.capitalize()}
        if record is None or not alike(printed, record["output"]):
            raise NodeError(f"a node logged {record} but printed {printed!r}")
        return record

    def end(self) -> None:
        """Its input ends, which a node does not answer."""

    def close(self) -> None:
        self.node.close()


def forget(logged: io.BytesIO) -> Json:
    """Take out the record that has been logged."""
    text = logged.getvalue()
    logged.seek(0)
    logged.truncate()
    return json.loads(text or "null")


def alike(printed: bytes, output: list[Json]) -> bool:
    """Return whether lines are the messages of a record."""
    lines = printed.decode().split("\n")
    return not lines.pop() and [json.loads(line) for line in lines] == output
