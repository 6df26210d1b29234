"""Runs of this project's own node, without a start of Python for each.

Python takes ten times as long to import the node as the node takes to replay a golden trace.  So a
server imports it once and forks a process for each run (see `preload_server`).  What runs is the
command's own file, as `__main__`, with its own arguments, standard input, output and error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Union

from .. import guard
from ..jobs import JobError, cores
from ..locations import NODE, NODE_PATH
from . import preload_server
from .process import Flood, Process, Silence, last_lines

# What the node's file imports when it runs.
MODULE = "multipaxos.process"

Start = Callable[..., Union[Process, "Run"]]
"""What starts a process, with the parameters of `Process`."""


class Server:
    """A server.  `ready` is false if it could not import the node, or has ended."""

    def __init__(self) -> None:
        self._process = guard.start(
            [sys.executable, "-S", preload_server.__file__, NODE[-1], str(NODE_PATH), MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self.ready = bool(self._replies.readline())

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request.  Raises `JobError` if the server was killed."""
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
            found: dict[str, Any] = json.loads(self._replies.readline())
        except (OSError, ValueError):
            raise JobError("the process that runs the node was killed; is memory short?") from None
        return found

    def close(self) -> None:
        """End the server, and a run that is under way."""
        guard.finish(self._process)
        for pipe in (self._requests, self._replies):
            with suppress(OSError):
                pipe.close()


class Run:
    """A run of the node: what `replay` uses of a `Process`.

    It starts when its output is read, with all the input that was given until then.
    """

    def __init__(self, idle: SimpleQueue[Server], arguments: Sequence[str], most: int) -> None:
        self._idle = idle
        self._request = {"arguments": list(arguments), "most": most}
        self._input = b""
        self._ended: int | str = "silent"
        self._errors = ""
        self.rest = b""

    def give(self, line: bytes) -> None:
        self._input += line + b"\n"

    def lines(self, seconds: float, may_end: Callable[[], bool]) -> Iterator[bytes]:
        """Yield the lines of its output.

        Raises `Silence` and `Flood` as `Process.lines` does, and `JobError`.
        """
        server = self._idle.get()
        try:
            text = self._input.decode("latin-1")
            reply = server.ask({**self._request, "input": text, "seconds": seconds})
        finally:
            self._idle.put(server)
        self._ended, self._errors = reply["ended"], reply["errors"]
        *lines, self.rest = reply["output"].encode("latin-1").split(b"\n")
        yield from lines
        if self._ended == "flood":
            raise Flood(f"printed more than {self._request['most']:,} bytes")
        if self._ended == "silent":
            raise Silence

    def status(self, seconds: float) -> int | None:
        return self._ended if isinstance(self._ended, int) else None

    def last_error_lines(self) -> list[str]:
        return last_lines(self._errors.encode("latin-1"))

    def close(self) -> None:
        """Do nothing: the run has ended when its output is there."""


@contextmanager
def starting(command: Sequence[str]) -> Iterator[Start]:
    """Yield what starts the processes of a command.

    It is `Process` for every other node, and if the node cannot be imported.
    """
    with ExitStack() as stack:
        idle: SimpleQueue[Server] = SimpleQueue()
        ours = tuple(command[: len(NODE)]) == NODE and hasattr(os, "fork")
        for _ in range(cores() if ours else 0):
            server = Server()
            stack.callback(server.close)
            ours = ours and server.ready
            idle.put(server)

        def start(given: Sequence[str], errors: Path | None, *, longest: int) -> Process | Run:
            if errors:
                return Process(given, errors, longest=longest)
            return Run(idle, given[len(NODE) :], longest)

        yield start if ours else Process
