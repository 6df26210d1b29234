"""Fences: a repeated `init` after an input, whose reply marks the end of the input's output.

An equal `init` is a no-op with an immediate reply, so the output before the reply belongs to the
input.  A fence comes from a client whose name is used nowhere else.  The reply to it counts among
those that the node numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ..formats.logs import Record
from ..formats.schema import is_message

Json = Any

MOST_MESSAGES = 10_000
"""The most messages of a step whose expected output is not known."""


@dataclass(frozen=True)
class Fence:
    """A repeated `init`: the line that the node gets."""

    line: Json

    def is_answered_by(self, message: Json) -> bool:
        match message:
            case {"dest": dest, "body": {"type": "init_ok", "in_reply_to": number}}:
                request = (self.line["src"], self.line["body"]["msg_id"])
                return (dest, number) == request and not isinstance(number, (bool, float))
        return False


def fence(init: Json, taken: Collection[str]) -> Fence:
    """Return a fence that repeats an `init` for a client whose name is not taken."""
    name, number = "fence", 1
    while name in taken:
        number += 1
        name = f"fence-{number}"
    return Fence({**init, "src": name})


def names(messages: Iterable[Json]) -> set[str]:
    """Return every name in messages: senders, receivers and members."""
    found: set[str] = set()
    for message in messages:
        match message:
            case {"src": str(src), "dest": str(dest), "body": body}:
                members = body.get("node_ids")
                found |= {src, dest, *(map(str, members) if isinstance(members, list) else ())}
    return found


@dataclass
class Group:
    """The records of a node up to a fence; None where no fence follows.

    `answered` counts the fences that the node has replied to before, since it was started.
    """

    records: list[Record]
    fence: Fence | None
    answered: int

    @property
    def expected(self) -> list[Json]:
        return [message for record in self.records for message in record.output]

    def plain(self, message: Json) -> Json:
        """Return a message with the number that it would have without fences."""
        return renumbered(message, self.answered)


def renumbered(message: Json, answered: int) -> Json:
    """Return a message; a reply is numbered as if the node had replied to no fence."""
    match message:
        case {"body": {"msg_id": int(number), **rest}} if not isinstance(number, bool):
            return {**message, "body": {**rest, "msg_id": number - answered}}
    return message


def groups(records: list[Record]) -> list[Group]:
    """Return the records of one node in groups, each up to a fence.

    A node that is down does not reply, so a crash and its restart are in one group.  Before the
    first `init` that is accepted there is no fence.
    """
    taken = names(message for record in records for message in (record.input, *record.output))
    found: list[Group] = []
    some: list[Record] = []
    repeated, up, answered = None, True, 0
    for record in records:
        some.append(record)
        if not is_message(record.input):
            up = record.input != "crash" and (up or record.input == "restart")
            answered = 0 if record.input == "restart" else answered
        elif record.starts and not record.refused:
            repeated = fence(record.input, taken)
        if repeated and up:
            found.append(Group(some, repeated, answered))
            some, answered = [], answered + 1
    return [*found, Group(some, None, answered)] if some else found
