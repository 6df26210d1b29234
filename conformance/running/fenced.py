"""A node that keeps no log: its records are made here, from what goes in and what comes out.

Behind each input goes a fence, an `init` like the first from a client of the harness.  It is
answered at once and changes nothing, so what the node says before the answer belongs to the input.
"""

from __future__ import annotations

import json
import select
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..logbook.schema import SchemaError, check_record
from .cluster import NodeError
from .life import Life
from .replay import FENCE, check_command

Json = Any


class FencedNode:
    """One node: `step` gives it an input and returns the record of what it did.

    `inputs` is what it was given so far, without the fences; `troubled` tells whether that ended
    with something that is no record.
    """

    def __init__(self, node: str, command: Sequence[str], errors: Path, seconds: float) -> None:
        check_command(command)
        errors.unlink(missing_ok=True)
        self.node = node
        self.inputs: list[Json] = []
        self.troubled = False
        self._errors = errors
        self._seconds = seconds
        self._life = Life(command, errors)
        self._fence: Json = None
        self._answered = 0
        self._said: deque[bytes] = deque()

    def step(self, given: Json) -> Json:
        """Gives the node an input; raises `NodeError` where it does not come to the fence.

        The first input is `init`.  A node that is down answers nobody, so what it says at a crash
        is found at the restart.
        """
        self.inputs.append(given)
        self._give(given)
        if self._fence is None:
            self._fence = {**given, "src": FENCE}
        if given == "restart":
            self._answered = 0
        output = [] if given == "crash" else self._up_to_the_fence()
        record = {"node": self.node, "input": given, "output": output}
        try:
            check_record(record)
        except SchemaError as error:
            raise self._trouble(f"said what is no record: {error}") from None
        return record

    def _up_to_the_fence(self) -> list[Json]:
        self._give(self._fence)
        deadline = time.monotonic() + self._seconds
        output: list[Json] = []
        while True:
            while not self._said:
                self._said.extend(self._listen(deadline))
            message = self._read(self._said.popleft())
            if isinstance(message, dict) and message.get("dest") == FENCE:
                break
            output.append(self._renumbered(message))
        self._answered += 1
        return output

    def _give(self, given: Json) -> None:
        self._life.give(json.dumps(given).encode())

    def _listen(self, deadline: float) -> list[bytes]:
        """Some lines, as soon as there are any."""
        left = max(0.0, deadline - time.monotonic())
        sinks = [self._life.sink] if self._life.unsent else []
        readable, writable, _ = select.select([self._life.source], sinks, [], left)
        if writable:
            self._life.push()
        lines = self._life.hear() if readable else []
        if not lines and self._life.over:
            raise self._trouble(f"ended by itself, with status {self._life.status(1)}")
        if not lines and time.monotonic() >= deadline:
            raise self._trouble(f"did not answer a repeated init within {self._seconds:g} s")
        return lines

    def _read(self, line: bytes) -> Json:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise self._trouble(f"said what is not JSON: {line[:80]!r}") from None

    def _renumbered(self, message: Json) -> Json:
        """A reply's number without the answers to fences, of which nobody else knows."""
        match message:
            case {"body": {"msg_id": int(number), **rest}}:
                return {**message, "body": {**rest, "msg_id": number - self._answered}}
        return message

    def _trouble(self, what: str) -> NodeError:
        self.troubled = True
        return NodeError.of(self.node, what, self._errors)

    def end(self) -> None:
        """Ends the node's input; raises `NodeError` unless it leaves quietly and with status 0."""
        self._life.end_input()
        status = self._life.status(self._seconds)
        if status is None:
            raise self._trouble("did not leave at the end of its input")
        if status != 0:
            raise self._trouble(f"left with status {status}")
        if self._said or self._life.hear():
            raise self._trouble("said more when its input had ended")

    def close(self) -> None:
        """Makes sure that nothing of the node is left."""
        self._life.close()
