"""Message types, as value objects.

Each class is a message type of the wire in camel case; its fields are the wire's, in the wire's
order.  JSON is in `wire`, and what a node does about a message in `replica`.

No code changes a message.  The classes are not `frozen` all the same: making one would take three
times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from .slots import Ranges

Value = str
"""A client's value as its JSON text: opaque, and equal if `wire` says so."""


@dataclass(slots=True, unsafe_hash=True)
class Vote:
    ballot: int
    value: Value


@dataclass(slots=True, unsafe_hash=True)
class Init:
    msg_id: int
    node_id: str
    node_ids: tuple[str, ...]


@dataclass(slots=True, unsafe_hash=True)
class InitOk:
    in_reply_to: int


@dataclass(slots=True, unsafe_hash=True)
class MultiPaxosPropose:
    msg_id: int
    slot: int
    value: Value


@dataclass(slots=True, unsafe_hash=True)
class MultiPaxosProposeOk:
    in_reply_to: int
    slot: int
    phase1_skipped: bool
    chosen: bool
    value: Value


@dataclass(slots=True, unsafe_hash=True)
class MultiPaxosLog:
    msg_id: int
    from_: int = 0
    limit: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class MultiPaxosLogOk:
    in_reply_to: int
    log: Iterable[tuple[int, Value]]
    """Slots in ascending order, each with its value."""


INDEFINITE, NOT_SUPPORTED, UNAVAILABLE, MALFORMED = 0, 10, 11, 12
"""Maelstrom's error codes.  The first claims nothing (it is Maelstrom's timeout); the others are
definite: nothing has happened and nothing will."""


@dataclass(slots=True, unsafe_hash=True)
class Error:
    in_reply_to: int
    code: int
    text: str


@dataclass(slots=True, unsafe_hash=True)
class Prepare:
    ballot: int
    known: Ranges


@dataclass(slots=True, unsafe_hash=True)
class Promise:
    ballot: int
    accepted: Mapping[int, Vote]
    known: Ranges


@dataclass(slots=True, unsafe_hash=True)
class Accept:
    ballot: int
    slot: int
    value: Value


@dataclass(slots=True, unsafe_hash=True)
class Accepted:
    ballot: int
    slot: int


@dataclass(slots=True, unsafe_hash=True)
class Rejected:
    promised: int


@dataclass(slots=True, unsafe_hash=True)
class Decided:
    slot: int
    value: Value


@dataclass(slots=True, unsafe_hash=True)
class Poll:
    version: int


@dataclass(slots=True, unsafe_hash=True)
class Learn:
    known: Ranges


@dataclass(slots=True, unsafe_hash=True)
class Learned:
    decided: Mapping[int, Value]
    more: bool
    version: int


ClientRequest = Init | MultiPaxosPropose | MultiPaxosLog
ClientReply = InitOk | MultiPaxosProposeOk | MultiPaxosLogOk | Error
NodeMessage = Prepare | Promise | Accept | Accepted | Rejected | Decided | Poll | Learn | Learned
Body = ClientRequest | ClientReply | NodeMessage


@final
@dataclass(slots=True, unsafe_hash=True)
class Repeat:
    """The event that slots which a leader has open are overdue."""

    slots: Ranges


Sent = tuple[str, Body]
"""A message with its other end: the sender of one that comes in, the receiver of one that goes out.

The near end is the node itself.  The spec's `Message` has both.
"""

Request = tuple[str, MultiPaxosPropose]
"""A client and its request for a decision."""
