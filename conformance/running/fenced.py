"""A node without a log: its records are built from its input and its output.

Each input is followed by a fence; the output before the reply to it belongs to the input.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..formats.schema import SchemaError, check_record
from ..formats.strict import NotJson, loads
from .cluster import NodeError, NodeWrong, output_after_end
from .fences import MOST_MESSAGES, Fence, fence, names, renumbered
from .process import Flood, Process, ready
from .replay import check_command

Json = Any


class FencedNode:
    """A node process without a log; `step` gives it an input and returns the record of the step.

    `inputs` are all inputs so far, without the fences; `failed` is true if the last one led to an
    error.  `errors` is the file with its standard error.
    """

    def __init__(self, node: str, command: Sequence[str], errors: Path, seconds: float) -> None:
        check_command(command)
        errors.unlink(missing_ok=True)
        self.node = node
        self.inputs: list[Json] = []
        self.failed = False
        self.errors = errors
        self._seconds = seconds
        self._process = Process(command, errors)
        self._init: Json = None
        self._taken: set[str] = set()
        self._answered = 0
        self._unread: deque[bytes] = deque()

    def step(self, given: Json) -> Json:
        """Give the node an input; raise `NodeError` if it does not reply to the fence.

        The first input is `init`.  A node that is down does not reply, so its output at a crash is
        found at the restart.
        """
        self.inputs.append(given)
        self._give(given)
        self._init = self._init or given
        # A later input may name the fence's client, but not before the reply to the fence.
        self._taken |= names([given])
        if given == "restart":
            self._answered = 0
        output = [] if given == "crash" else self._up_to(fence(self._init, self._taken))
        record = {"node": self.node, "input": given, "output": output}
        try:
            check_record(record)
        except SchemaError as error:
            raise self._error(f"printed what is no record: {error}", NodeWrong) from None
        return record

    def _up_to(self, fence: Fence) -> list[Json]:
        self._give(fence.line)
        output: list[Json] = []
        while not fence.is_answered_by(message := self._next()):
            output.append(renumbered(message, self._answered))
            if len(output) > MOST_MESSAGES:
                raise self._error(f"printed more than {MOST_MESSAGES:,} messages in one step")
        self._answered += 1
        return output

    def _give(self, given: Json) -> None:
        self._process.give(json.dumps(given).encode())

    def _next(self) -> Json:
        alive = time.monotonic()
        while not self._unread:
            if self._listen():
                alive = time.monotonic()
            elif time.monotonic() - alive > self._seconds:
                silent = f"did not answer a repeated init within {self._seconds:g} s"
                raise self._error(silent)
        line = self._unread.popleft()
        try:
            return loads(line)
        except NotJson:
            raise self._error(f"printed what is not JSON: {line[:80]!r}", NodeWrong) from None

    def _listen(self) -> bool:
        """Wait a little for output, and write pending input."""
        if self._process.over:
            status = self._process.status(1)
            raise self._error(f"ended by itself, with status {status}")
        sinks = [self._process.sink] if self._process.unsent else []
        readable, writable = ready([self._process.source], sinks, 0.1)
        if writable:
            self._process.push()
        try:
            self._unread += self._process.read_lines() if readable else []
        except Flood as error:
            raise self._error(str(error)) from None
        return bool(readable or writable)

    def _error(self, what: str, kind: type[NodeError] = NodeError) -> NodeError:
        self.failed = True
        return kind.of(self.node, what, self.errors)

    def end(self) -> None:
        """End the node's input; raise `NodeError` unless it exits with status 0 and no output."""
        if self._unread or output_after_end(self._process, self._seconds, self._error):
            raise self._error("printed more when its input had ended", NodeWrong)

    def close(self) -> None:
        """Kill what is left of the node."""
        self._process.close()
