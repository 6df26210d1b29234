"""Puts load on processes that take lines and print lines, with nothing in between but pipes.

The router shares the machine with what it measures, so it reads and writes what there is at once
and looks no further into a line than its destination.  What a run is compared with belongs
elsewhere.
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

# A pipe holds no more, and what is larger than this costs a mapping of memory each time.
CHUNK = 1 << 16


class LoadError(Exception):
    """A run that failed, or lost or falsified something, so that it has no figure."""


class Process:
    """A process on pipes that is ended after so many seconds, whatever it is doing."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        check_command(command)
        self._command = command
        self._seconds = seconds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )
        self.given = self._process.stdin.fileno()  # type: ignore[union-attr]
        self.said = self._process.stdout.fileno()  # type: ignore[union-attr]
        self._late = False
        self._alarm = threading.Timer(seconds, self._too_late)
        self._alarm.daemon = True
        self._alarm.start()

    def _too_late(self) -> None:
        self._late = True
        self._process.kill()

    def write(self, data: bytes | memoryview) -> int:
        """Gives it as much as its pipe takes; where it waits for the reader, all of it."""
        try:
            return os.write(self.given, data)
        except BlockingIOError:
            return 0
        except OSError:
            raise self.trouble() from None

    def read(self) -> bytes:
        """Some of what it says, never nothing."""
        if chunk := os.read(self.said, CHUNK):
            return chunk
        raise self.trouble()

    def ask(self, line: bytes) -> bytes:
        """Gives it a line and waits for what it says to it."""
        self.write(line + b"\n")
        return self.line()

    def line(self) -> bytes:
        reply = self.read()
        while not reply.endswith(b"\n"):
            reply += self.read()
        return reply[:-1]

    def trouble(self) -> LoadError:
        """What is to be said of a process that does not go on."""
        if self._late:
            what = f"was not done after {self._seconds:g} s"
        else:
            what = f"ended with status {self._process.wait()}"
        self._errors.seek(0)
        told = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-3:]
        return LoadError("\n  ".join([f"{' '.join(self._command)} {what}", *told]))

    def end(self) -> None:
        """Ends its input; raises `LoadError` unless it leaves with status 0."""
        self._process.stdin.close()  # type: ignore[union-attr]
        while os.read(self.said, CHUNK):
            pass
        if self._process.wait() != 0:
            raise self.trouble()

    def close(self) -> None:
        """Makes sure that nothing of it is left."""
        self._alarm.cancel()
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._errors.close()


class Router:
    """Carries lines between processes, and gives back those that are for nobody among them."""

    def __init__(self, links: Iterable[Link], members: Iterable[str] = ()) -> None:
        self._links = list(links)
        self._by_name = {link.name: link for link in self._links}
        self._members = {name.encode() for name in members}
        self._selector = selectors.DefaultSelector()
        for link in self._links:
            os.set_blocking(link.process.given, False)
            self._selector.register(link.process.said, selectors.EVENT_READ, link)

    def close(self) -> None:
        self._selector.close()

    def turn(self) -> list[bytes]:
        """Delivers what is due, waits for what comes of it, and returns the lines to clients."""
        for link in self._links:
            self._flush(link)
        to_clients: list[bytes] = []
        for key, _ in self._selector.select():
            if key.fd == key.data.process.said:
                to_clients += self._sorted(key.data, key.data.read())
        return to_clients

    def give(self, name: str, lines: Sequence[bytes]) -> None:
        self._by_name[name].give(lines)

    def _flush(self, link: Link) -> None:
        """Writes what the pipe takes, and has the selector tell when it takes the rest."""
        given = link.process.given
        waited = given in self._selector.get_map()
        blocked = bool(link.due) and not link.flush()
        if blocked and not waited:
            self._selector.register(given, selectors.EVENT_WRITE, link)
        elif waited and not blocked:
            self._selector.unregister(given)

    def _sorted(self, link: Link, lines: list[bytes]) -> list[bytes]:
        """Has a process's lines to others delivered, and returns the rest."""
        if not self._members:
            return lines
        boxes: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for line in lines:
            boxes[destination(line, link.prefix)].append(line)
        for member in self._members & boxes.keys():
            self.give(member.decode(), boxes.pop(member))
        return [line for box in boxes.values() for line in box]


class Link:
    """A process as the router sees it: what it has not said to the end, and what it is due."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.prefix = b'{"src": %s, "dest": "' % json.dumps(name).encode()
        self.due: deque[memoryview] = deque()
        self._rest = b""

    def read(self) -> list[bytes]:
        *lines, self._rest = (self._rest + self.process.read()).split(b"\n")
        return lines

    def give(self, lines: Sequence[bytes]) -> None:
        self.due.append(memoryview(b"\n".join(lines) + b"\n"))

    def flush(self) -> bool:
        """Writes what the pipe takes; whether that was all."""
        while self.due:
            rest = self.due[0][self.process.write(self.due[0]) :]
            if rest:
                self.due[0] = rest
                return False
            self.due.popleft()
        return True


def destination(line: bytes, prefix: bytes) -> bytes:
    """Whom a line is for, found without parsing it where it is written as most nodes write it."""
    if line.startswith(prefix):
        name = line[len(prefix) : line.find(b'"', len(prefix))]
        if b"\\" not in name:
            return name
    try:
        return json.loads(line)["dest"].encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        raise LoadError(f"a node printed what is no message: {line[:80]!r}") from None


# Load.

Taken = tuple[float, list[bytes]]
"""The seconds that a run took, and what was answered."""


class Times:
    """When each request was sent, and when each reply came, in the order of either."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.came: list[float] = []

    def longest(self, replies: Sequence[bytes], first: int) -> float:
        """The longest time that a reply took, in seconds; `first` is the first request's number."""
        numbers = (_body(reply)["in_reply_to"] - first for reply in replies)
        return max(came - self.sent[at] for at, came in zip(numbers, self.came, strict=True))


def ahead(
    router: Router, node: str, lines: Sequence[bytes], window: int, times: Times | None = None
) -> Taken:
    """Gives a node lines, with so many of them unanswered at any time."""
    replies: list[bytes] = []
    times = times or Times()
    started = time.perf_counter()
    router.give(node, lines[:window])
    times.sent += [started] * len(lines[:window])
    while len(replies) < len(lines):
        came = router.turn()
        now = time.perf_counter()
        sent = len(replies) + window
        if more := lines[sent : sent + len(came)]:
            router.give(node, more)
            times.sent += [now] * len(more)
        replies += came
        times.came += [now] * len(came)
    return time.perf_counter() - started, replies


def in_turn(process: Process, lines: Sequence[bytes]) -> Taken:
    """Gives a process lines, each one after the reply to the one before."""
    started = time.perf_counter()
    replies = [process.ask(line) for line in lines]
    return time.perf_counter() - started, replies


# What is asked, and what must be answered.


def init(node: str, members: Sequence[str]) -> bytes:
    body = {"type": "init", "msg_id": 0, "node_id": node, "node_ids": list(members)}
    return json.dumps({"src": "c0", "dest": node, "body": body}).encode()


def proposals(node: str, numbers: Iterable[int], size: int = 0) -> list[bytes]:
    """Requests with a new slot each; the number of a request is its message's and its slot's.

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
    """Raises `LoadError` unless each request, and nothing else, was answered by its own value."""
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
        raise LoadError("the loop printed other lines than it was given")


def _body(line: bytes) -> dict[str, Json]:
    try:
        body = json.loads(line)["body"]
    except (ValueError, LookupError, TypeError):
        body = None
    if not isinstance(body, dict):
        raise LoadError(f"a node printed what is no message: {line[:80]!r}")
    return body
