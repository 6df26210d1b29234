"""Read and write histories: the clients' requests and the replies, as one observer saw them.

Entries are checked against their schema.  A history has no messages between nodes.  The history
checker decides whether the replies are right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import logs
from .canonical import canonical
from .logs import LogError
from .schema import check_entry

Json = Any

RequestId = tuple[str, str, int]
"""Client, node and msg_id, which relate a reply to its request."""


@dataclass(frozen=True)
class Entry:
    """A request ("ask") or a reply ("answer"), with its file and line."""

    at: float
    kind: str
    message: Json
    path: Path
    line: int

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def type(self) -> str:
        return str(self.message["body"]["type"])

    @property
    def client(self) -> str:
        return str(self.message["src" if self.kind == "ask" else "dest"])

    @property
    def node(self) -> str:
        return str(self.message["dest" if self.kind == "ask" else "src"])

    @property
    def request_id(self) -> RequestId:
        """The identity of the request that this is, or replies to."""
        field = "msg_id" if self.kind == "ask" else "in_reply_to"
        return self.client, self.node, self.message["body"][field]


def read(path: Path) -> list[Entry]:
    """Return all entries of a history; raise `LogError` for the first malformed line."""
    found = [
        Entry(entry["at"], entry["kind"], logs.without_nulls(entry["message"]), path, line)
        for line, entry in logs.lines(path, "history", "history entry", check_entry)
    ]
    _check_order(found)
    _check_requests(found)
    if not any(entry.kind == "answer" for entry in found):
        raise LogError(f"{path}: it has no reply, so it shows nothing")
    return found


def _check_order(history: Iterable[Entry]) -> None:
    now = 0.0
    for entry in history:
        if entry.at < now:
            raise LogError(f"{entry.place}: it is earlier than the entry before it")
        now = entry.at


def _check_requests(history: Iterable[Entry]) -> None:
    """Raise `LogError` if a client uses a msg_id for two requests: the replies are ambiguous."""
    bodies: dict[RequestId, Json] = {}
    for entry in history:
        if entry.kind == "ask":
            body = entry.message["body"]
            if canonical(bodies.setdefault(entry.request_id, body)) != canonical(body):
                raise LogError(f"{entry.place}: this msg_id belongs to another request")


class Writer:
    """Writes a history entry by entry, so that it is complete however the observer ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = 0
        self._file = path.open("w", encoding="utf-8")

    def write(self, at: float, kind: str, message: Json) -> Entry:
        """Add an entry; raise `SchemaError` if it is malformed."""
        entry = {"at": round(at, 6), "kind": kind, "message": message}
        check_entry(entry)
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self._lines += 1
        return Entry(entry["at"], kind, message, self.path, self._lines)

    def close(self) -> None:
        self._file.close()
