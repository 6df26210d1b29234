"""Histories as files: what clients asked and were answered, in the order one observer saw it.

Every entry that comes in or goes out satisfies its schema.  What nodes send each other is no part
of a history, and whether an answer is right is not known here.
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

Question = tuple[str, str, int]
"""Who asks, whom, and under which msg_id: what ties an answer to what was asked."""


@dataclass(frozen=True)
class Entry:
    """One question or one answer, and where it is written."""

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
    def question(self) -> Question:
        """The question that this asks or answers."""
        field = "msg_id" if self.kind == "ask" else "in_reply_to"
        return self.client, self.node, self.message["body"][field]


def read(path: Path) -> list[Entry]:
    """All entries of a history; raises `LogError` for the first line that is none."""
    found = [
        Entry(entry["at"], entry["kind"], logs.without_nulls(entry["message"]), path, line)
        for line, entry in logs.lines(path, "history", "history entry", check_entry)
    ]
    _check_order(found)
    _check_questions(found)
    if not any(entry.kind == "answer" for entry in found):
        raise LogError(f"{path}: nothing is answered in it, so it shows nothing")
    return found


def _check_order(history: Iterable[Entry]) -> None:
    now = 0.0
    for entry in history:
        if entry.at < now:
            raise LogError(f"{entry.place}: it is earlier than the entry before it")
        now = entry.at


def _check_questions(history: Iterable[Entry]) -> None:
    """Raise `LogError` if a client uses a msg_id for two questions: its answers are ambiguous."""
    bodies: dict[Question, Json] = {}
    for entry in history:
        if entry.kind == "ask":
            body = entry.message["body"]
            if canonical(bodies.setdefault(entry.question, body)) != canonical(body):
                raise LogError(f"{entry.place}: another question was asked under this msg_id")


class Writer:
    """A history as it happens: whatever ends the observer, what it saw until then is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = 0
        self._file = path.open("w", encoding="utf-8")

    def write(self, at: float, kind: str, message: Json) -> Entry:
        """Adds an entry; raises `SchemaError` if it is none."""
        entry = {"at": round(at, 6), "kind": kind, "message": message}
        check_entry(entry)
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self._lines += 1
        return Entry(entry["at"], kind, message, self.path, self._lines)

    def close(self) -> None:
        self._file.close()
