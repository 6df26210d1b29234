"""Node processes: started, given one input at a time, ended.

A node here is a command that takes `--manual-clock` and `--log FILE`.  The log is read as it is
written: one record tells that the step is done and what it sent, so nobody has to guess how long
to wait, and a run with the same seed is the same run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..logbook.schema import SchemaError, check_record
from .replay import check_command

Json = Any


class NodeError(Exception):
    """A node that ended, fell silent or said one thing and logged another; the text tells which."""

    @classmethod
    def of(cls, node: str, what: str, errors: Path) -> NodeError:
        """What is to be said of a node, with the last lines of its standard error, a file."""
        told = errors.read_text("utf-8", "replace").strip().splitlines()[-3:]
        return cls(f"node {node} {what}" + "".join(f"\n  {line}" for line in told))


class Waiting:
    """The requests that a node has taken and not answered; only with one of them it can expire."""

    def __init__(self) -> None:
        self._open: set[tuple[str, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    def step(self, given: Json, output: list[Json]) -> None:
        """Sees a step of the node: what it was given and what it said."""
        if given == "crash":
            self._open.clear()
        elif isinstance(given, dict) and given["body"]["type"] == "multi_paxos_propose":
            self._open.add((given["src"], given["body"]["msg_id"]))
        self._open -= {(each["dest"], each["body"].get("in_reply_to")) for each in output}


class NodeProcess:
    """One node: `step` gives it an input and returns the record of what it did."""

    def __init__(self, node: str, command: Sequence[str], errors: Path, seconds: float) -> None:
        check_command(command)
        self.node = node
        self._errors = errors
        self._seconds = seconds
        log, log_in_node = os.pipe()
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, "--manual-clock", "--log", f"/dev/fd/{log_in_node}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                pass_fds=(log_in_node,), bufsize=0,
            )  # fmt: skip
        os.close(log_in_node)
        self._log = _Lines(log)
        self._said = _Lines(self._process.stdout.fileno())  # type: ignore[union-attr]

    def step(self, given: Json) -> Json:
        """Gives the node an input it takes as a step; raises `NodeError` where it does not."""
        try:
            self._process.stdin.write(json.dumps(given).encode() + b"\n")  # type: ignore[union-attr]
        except OSError:
            raise self._trouble("ended") from None
        record = self._next(self._log, "log record")
        try:
            check_record(record)
        except SchemaError as error:
            raise self._trouble(f"logged what is no record: {error}") from None
        said = [self._next(self._said, "message") for _ in record["output"]]
        if said != record["output"]:
            raise self._trouble(f"logged {record['output']} but said {said}")
        return record

    def _next(self, lines: _Lines, what: str) -> Json:
        line = lines.next(self._seconds)
        if line is None:
            raise self._trouble(f"gave no {what} within {self._seconds:g} s")
        try:
            return json.loads(line)
        except ValueError:
            raise self._trouble(f"gave a {what} that is not JSON: {line[:80]!r}") from None

    def _trouble(self, what: str) -> NodeError:
        return NodeError.of(self.node, what, self._errors)

    def end(self) -> None:
        """Ends the node's input; raises `NodeError` unless it leaves quietly and with status 0."""
        self._process.stdin.close()  # type: ignore[union-attr]
        # The end of its output is waited for first, for it is seen at once.
        more = self._said.next(self._seconds)
        try:
            status = self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise self._trouble("did not leave at the end of its input") from None
        if status != 0:
            raise self._trouble(f"left with status {status}")
        if more is not None:
            raise self._trouble("said more than it logged")

    def close(self) -> None:
        """Makes sure that nothing of the node is left."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self._log.close()


class _Lines:
    """Lines out of a pipe, each waited for only so long."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._buffer = b""

    def next(self, seconds: float) -> bytes | None:
        """The next whole line, or None at the end of the pipe or of the time."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._source], [], [], left)[0]:
                return None
            more = os.read(self._source, 1 << 16)
            if not more:
                return None
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def close(self) -> None:
        os.close(self._source)
