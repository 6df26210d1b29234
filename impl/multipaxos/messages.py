"""Every message that a node takes or sends, as a value that is equal to its like.

A class here is a message type of the wire in camel case and its fields are the wire's, in the
wire's order; how they are written as JSON and what is done about them belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .slots import Ranges

Value = str
"""A client's value as its JSON text: opaque, and equal if `wire` says so."""

message = dataclass(slots=True, unsafe_hash=True)
"""Nobody changes a message; to be frozen as well would make it three times as slow to make."""


@message
class Vote:
    ballot: int
    value: Value


@message
class Init:
    msg_id: int
    node_id: str
    node_ids: tuple[str, ...]


@message
class InitOk:
    in_reply_to: int


@message
class MultiPaxosPropose:
    msg_id: int
    slot: int
    value: Value


@message
class MultiPaxosProposeOk:
    in_reply_to: int
    slot: int
    phase1_skipped: bool
    chosen: bool
    value: Value


@message
class MultiPaxosLog:
    msg_id: int
    from_: int = 0
    limit: int | None = None


@message
class MultiPaxosLogOk:
    in_reply_to: int
    log: Mapping[int, Value]


INDEFINITE, NOT_SUPPORTED, UNAVAILABLE, MALFORMED = 0, 10, 11, 12
"""Maelstrom's error codes.  The first claims nothing (it is Maelstrom's timeout); the others are
definite: nothing has happened and nothing will."""


@message
class Error:
    in_reply_to: int
    code: int
    text: str


@message
class Prepare:
    ballot: int
    known: Ranges


@message
class Promise:
    ballot: int
    accepted: Mapping[int, Vote]
    known: Ranges


@message
class Accept:
    ballot: int
    slot: int
    value: Value


@message
class Accepted:
    ballot: int
    slot: int


@message
class Rejected:
    promised: int


@message
class Decided:
    slot: int
    value: Value


@message
class Learn:
    known: Ranges


@message
class Learned:
    decided: Mapping[int, Value]
    more: bool


ClientRequest = Init | MultiPaxosPropose | MultiPaxosLog
ClientReply = InitOk | MultiPaxosProposeOk | MultiPaxosLogOk | Error
NodeMessage = Prepare | Promise | Accept | Accepted | Rejected | Decided | Learn | Learned
Body = ClientRequest | ClientReply | NodeMessage


@message
class Repeat:
    """The event that slots which a leader has open are overdue."""

    slots: Ranges


@message
class Envelope:
    """The spec's `Message`."""

    src: str
    dest: str
    body: Body
