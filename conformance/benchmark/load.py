"""Generate load for processes that read and print lines, over pipes.

The router shares the machine with what it measures, so it reads and writes in large chunks, and
parses no more of a line than its destination.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from ..running.replay import check_command

Json = Any

# The capacity of a pipe; larger buffers cost a memory mapping each time.
CHUNK = 1 << 16


class LoadError(Exception):
    """A run that failed, or lost or falsified an answer, so that it has no figure."""


class Process:
    """A process on pipes, killed after so many seconds."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        check_command(command)
        self._command = command
        self._seconds = seconds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )
        self.pid = self._process.pid
        self.stdin_fd = self._process.stdin.fileno()  # type: ignore[union-attr]
        self.stdout_fd = self._process.stdout.fileno()  # type: ignore[union-attr]
        self._late = False
        self._alarm = threading.Timer(seconds, self._too_late)
        self._alarm.daemon = True
        self._alarm.start()

    def _too_late(self) -> None:
        self._late = True
        self._process.kill()

    def write(self, data: bytes | memoryview) -> int:
        """Write as much as the pipe takes, everything if it blocks; return the number of bytes."""
        try:
            return os.write(self.stdin_fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            raise self.failure() from None

    def read(self) -> bytes:
        """Return some of the output, at least one byte."""
        if chunk := os.read(self.stdout_fd, CHUNK):
            return chunk
        raise self.failure()

    def request(self, line: bytes) -> bytes:
        """Write a line, and return the next one that the process prints."""
        self.write(line + b"\n")
        return self.line()

    def line(self) -> bytes:
        reply = self.read()
        while not reply.endswith(b"\n"):
            reply += self.read()
        return reply[:-1]

    def failure(self) -> LoadError:
        """Return the error for a process that ended or was too slow."""
        if self._late:
            what = f"did not finish within {self._seconds:g} s"
        else:
            what = f"exited with status {self._process.wait()}"
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-3:]
        return LoadError("\n  ".join([f"{' '.join(self._command)} {what}", *last]))

    def end(self) -> None:
        """Close the input; raises `LoadError` unless the process exits with status 0."""
        self._process.stdin.close()  # type: ignore[union-attr]
        while os.read(self.stdout_fd, CHUNK):
            pass
        if self._process.wait() != 0:
            raise self.failure()

    def close(self) -> None:
        """Kill the process if it runs, and release its resources."""
        self._alarm.cancel()
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._errors.close()


class Router:
    """Delivers lines between processes, and returns those for clients."""

    def __init__(self, links: Iterable[Link], members: Iterable[str] = ()) -> None:
        self._links = list(links)
        self._by_name = {link.name: link for link in self._links}
        self._members = {name.encode() for name in members}
        self._selector = selectors.DefaultSelector()
        for link in self._links:
            os.set_blocking(link.process.stdin_fd, False)
            self._selector.register(link.process.stdout_fd, selectors.EVENT_READ, link)

    def close(self) -> None:
        self._selector.close()

    def turn(self) -> list[bytes]:
        """Write pending lines, wait for output, and return the lines for clients."""
        for link in self._links:
            self._flush(link)
        to_clients: list[bytes] = []
        for key, _ in self._selector.select():
            if key.fd == key.data.process.stdout_fd:
                to_clients += self._route(key.data, key.data.read())
        return to_clients

    def send(self, name: str, lines: Sequence[bytes]) -> None:
        self._by_name[name].queue(lines)

    def _flush(self, link: Link) -> None:
        """Write what the pipe takes; the selector reports when it takes the rest."""
        stdin = link.process.stdin_fd
        waited = stdin in self._selector.get_map()
        blocked = bool(link.pending) and not link.flush()
        if blocked and not waited:
            self._selector.register(stdin, selectors.EVENT_WRITE, link)
        elif waited and not blocked:
            self._selector.unregister(stdin)

    def _route(self, link: Link, lines: list[bytes]) -> list[bytes]:
        """Queue the lines of a process for other members, and return the rest."""
        if not self._members:
            return lines
        boxes: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for line in lines:
            boxes[destination(line, link.prefix)].append(line)
        for member in self._members & boxes.keys():
            self.send(member.decode(), boxes.pop(member))
        return [line for box in boxes.values() for line in box]


class Link:
    """The router's buffers for a process: its unfinished line, and the lines that it has to get."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.prefix = b'{"src": %s, "dest": "' % json.dumps(name).encode()
        self.pending: deque[memoryview] = deque()
        self._rest = b""

    def read(self) -> list[bytes]:
        *lines, self._rest = (self._rest + self.process.read()).split(b"\n")
        return lines

    def queue(self, lines: Sequence[bytes]) -> None:
        self.pending.append(memoryview(b"\n".join(lines) + b"\n"))

    def flush(self) -> bool:
        """Write what the pipe takes; return whether that was all."""
        while self.pending:
            rest = self.pending[0][self.process.write(self.pending[0]) :]
            if rest:
                self.pending[0] = rest
                return False
            self.pending.popleft()
        return True


def destination(line: bytes, prefix: bytes) -> bytes:
    """Return the destination of a line, without parsing it if it has the usual form."""
    if line.startswith(prefix):
        name = line[len(prefix) : line.find(b'"', len(prefix))]
        if b"\\" not in name:
            return name
    try:
        dest = json.loads(line)["dest"].encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        raise LoadError(f"a node printed a line that is not a message: {line[:80]!r}") from None
    assert isinstance(dest, bytes)
    return dest


# Load.

Timed = tuple[float, list[bytes]]
"""The seconds that a run took, and the replies."""


class Times:
    """When each request was sent and each reply was received, each in its own order."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.received: list[float] = []

    def longest(self, replies: Sequence[bytes], first: int) -> float:
        """Return the longest wait for a reply, in seconds; `first` is the number of request 0."""
        numbers = (_body(reply)["in_reply_to"] - first for reply in replies)
        waits = (at - self.sent[number] for number, at in zip(numbers, self.received, strict=True))
        return float(max(waits))


def pipelined(
    router: Router, node: str, lines: Sequence[bytes], window: int, times: Times | None = None
) -> Timed:
    """Send lines to a node, with `window` of them unanswered at any time."""
    replies: list[bytes] = []
    times = times or Times()
    started = time.perf_counter()
    router.send(node, lines[:window])
    times.sent += [started] * len(lines[:window])
    while len(replies) < len(lines):
        came = router.turn()
        now = time.perf_counter()
        sent = len(replies) + window
        if more := lines[sent : sent + len(came)]:
            router.send(node, more)
            times.sent += [now] * len(more)
        replies += came
        times.received += [now] * len(came)
    return time.perf_counter() - started, replies


def one_at_a_time(process: Process, lines: Sequence[bytes]) -> Timed:
    """Send lines to a process, each one after the reply to the one before."""
    started = time.perf_counter()
    replies = [process.request(line) for line in lines]
    return time.perf_counter() - started, replies


# Requests, and checks of the replies.


def init(node: str, members: Sequence[str]) -> bytes:
    body = {"type": "init", "msg_id": 0, "node_id": node, "node_ids": list(members)}
    return json.dumps({"src": "c0", "dest": node, "body": body}).encode()


def proposals(node: str, numbers: Iterable[int], size: int = 0) -> list[bytes]:
    """Return a proposal for each number, which is its slot and its msg_id.

    A value has at least `size` characters.
    """
    return [
        json.dumps(
            {
                "src": "c1",
                "dest": node,
                "body": {
                    "type": "multi_paxos_propose",
                    "msg_id": number,
                    "slot": number,
                    "value": f"set x={number}".ljust(size, "x"),
                },
            }
        ).encode()
        for number in numbers
    ]


def check_started(reply: bytes) -> None:
    if _body(reply).get("type") != "init_ok":
        raise LoadError(f"init was answered by {reply[:200]!r}")


def check_chosen(replies: Iterable[bytes], requests: Iterable[bytes]) -> None:
    """Raise `LoadError` unless each request was answered once, with its own value."""
    asked = {body["msg_id"]: body for body in map(_body, requests)}
    for reply in replies:
        body = _body(reply)
        number = body.get("in_reply_to")
        request = asked.pop(number, None) if isinstance(number, int) else None
        if request is None or body.get("chosen") is not True or not _answers(body, request):
            raise LoadError(f"a proposal was answered by {reply[:200]!r}")
    if asked:
        raise LoadError(f"{len(asked):,} proposals were not answered")


def _answers(body: Json, request: Json) -> bool:
    same = all(body.get(key) == request[key] for key in ("slot", "value"))
    return same and body.get("type") == "multi_paxos_propose_ok"


def check_repeated(replies: Sequence[bytes], lines: Sequence[bytes]) -> None:
    if list(replies) != list(lines):
        raise LoadError("the loop printed other lines than it read")


def _body(line: bytes) -> dict[str, Json]:
    try:
        body = json.loads(line)["body"]
    except (ValueError, LookupError, TypeError):
        body = None
    if not isinstance(body, dict):
        raise LoadError(f"a node printed a line that is not a message: {line[:80]!r}")
    return body
