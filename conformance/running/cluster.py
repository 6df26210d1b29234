"""Node processes that get one input at a time.

The command takes `--manual-clock` and `--log FILE`.  The log is read while it is written: a record
shows that the step has ended and what was sent, so no timeout is needed, and runs with the same
seed are equal.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..formats.canonical import by_destination, canonical
from ..formats.schema import SchemaError, check_record, is_message
from ..formats.strict import NotJson, loads
from .fences import MOST_MESSAGES
from .process import Flood, Lines, Process, Silence, end_of, last_lines, ready
from .replay import check_command

Json = Any


class NodeError(Exception):
    """A node ended, was silent for too long, or logged something else than it printed."""

    @classmethod
    def of(cls, node: str, what: str, errors: Path) -> NodeError:
        """Return the error about a node, with the last lines of its standard error, a file."""
        last = last_lines(end_of(errors))
        return cls(f"node {node} {what}" + "".join(f"\n  {line}" for line in last))


class NodeWrong(NodeError):
    """A node does not conform: its output or its log shows it."""


class Waiting:
    """A node's deferred requests; the event `expire` needs one."""

    def __init__(self) -> None:
        self._open: set[tuple[str, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    def step(self, given: Json, output: list[Json]) -> None:
        """Process a step of the node: its input and its output."""
        if given == "crash":
            self._open.clear()
        elif is_message(given) and given["body"]["type"] == "multi_paxos_propose":
            self._open.add((given["src"], given["body"]["msg_id"]))
        self._open -= {(each["dest"], each["body"].get("in_reply_to")) for each in output}


class NodeProcess:
    """A node process with a log; `step` gives it an input and returns the record of the step.

    The record is the node's own, and is checked: its input must be the given one, and its output
    what the node printed.
    """

    def __init__(self, node: str, command: Sequence[str], errors: Path, seconds: float) -> None:
        check_command(command)
        errors.unlink(missing_ok=True)
        self.node = node
        self._errors = errors
        self._seconds = seconds
        # A named pipe, as some wrappers do not pass descriptors on.
        self._pipe = errors.with_suffix(".log-pipe").resolve()
        self._pipe.unlink(missing_ok=True)
        os.mkfifo(self._pipe)
        self._log = Lines(os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK))
        # Open for writing here as well, so that it does not end before the node opens it.
        self._held = os.open(self._pipe, os.O_WRONLY)
        try:
            options = ["--manual-clock", "--log", str(self._pipe)]
            self._process = Process([*command, *options], errors)
        except BaseException:
            self._close_log()
            raise
        self._logged: deque[bytes] = deque()
        self._unread: deque[bytes] = deque()

    def step(self, given: Json) -> Json:
        """Give the node an input; return the record of the step.

        Raises `NodeError` if the node ends, is silent, or logs something else than it prints.
        """
        if self._unread:
            raise self._error("printed more than it logged", NodeWrong)
        self._process.give(json.dumps(given).encode())
        record = self._next(self._logged, "log record")
        try:
            check_record(record)
        except SchemaError as error:
            raise self._error(f"logged what is no record: {error}", NodeWrong) from None
        sent = [self._next(self._unread, "message") for _ in record["output"]]
        if by_destination(sent) != by_destination(record["output"]):
            raise self._error(f"logged {record['output']} but printed {sent}", NodeWrong)
        if record["node"] != self.node or canonical(record["input"]) != canonical(given):
            logged = f"{record['input']} of {record['node']}"
            raise self._error(f"logged {logged} but was given {given}", NodeWrong)
        return record

    def _next(self, lines: deque[bytes], what: str) -> Json:
        alive = time.monotonic()
        while not lines:
            if self._listen():
                alive = time.monotonic()
            elif time.monotonic() - alive > self._seconds:
                raise self._error(f"gave no {what} within {self._seconds:g} s")
        line = lines.popleft()
        try:
            return loads(line)
        except NotJson:
            wrong = f"gave a {what} that is not JSON: {line[:80]!r}"
            raise self._error(wrong, NodeWrong) from None

    def _listen(self) -> bool:
        """Wait a little for output and log records, and write pending input."""
        process, log = self._process, self._log
        sources = [log.source] if process.over else [log.source, process.source]
        readable, writable = ready(sources, [process.sink] if process.unsent else [], 0.1)
        if process.over and not readable:
            raise self._error(f"ended by itself, with status {process.status(1)}")
        if writable:
            process.push()
        try:
            self._unread += process.read_lines() if process.source in readable else []
            self._logged += log.read() if log.source in readable else []
        except Flood as error:
            raise self._error(str(error)) from None
        if len(self._unread) + len(self._logged) > MOST_MESSAGES:
            raise self._error(f"printed more than {MOST_MESSAGES:,} messages in one step")
        return bool(readable or writable)

    def _error(self, what: str, kind: type[NodeError] = NodeError) -> NodeError:
        return kind.of(self.node, what, self._errors)

    def end(self) -> None:
        """End the node's input; raise `NodeError` unless it exits with status 0 and no output."""
        more = self._unread or output_after_end(self._process, self._seconds, self._error)
        if more:
            raise self._error("printed more than it logged", NodeWrong)

    def close(self) -> None:
        """Kill what is left of the node, and remove the pipe of its log."""
        self._process.close()
        self._close_log()

    def _close_log(self) -> None:
        os.close(self._held)
        os.close(self._log.source)
        self._pipe.unlink(missing_ok=True)


def output_after_end(
    process: Process, seconds: float, node_error: Callable[[str], NodeError]
) -> list[bytes]:
    """End the input of a node; return its output after that, about one line at most.

    Raises the error that `node_error` returns for a reason, unless the node exits with status 0.
    """
    more: list[bytes] = []
    try:
        for line in process.lines(seconds):
            more.append(line)
            break
    except Flood as error:
        raise node_error(str(error)) from None
    except Silence:
        pass
    status = None if more else process.status(seconds)
    if status is None and not more:
        raise node_error("did not exit at the end of its input")
    if status:
        raise node_error(f"exited with status {status}")
    return more or [process.rest] * bool(process.rest)
