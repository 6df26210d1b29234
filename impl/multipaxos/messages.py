"""Every message that a node takes or sends, as a value that is equal to its like.

A class here is a message type of the wire in camel case and its fields are the wire's, in the
wire's order; how they are written as JSON and what is done about them belongs elsewhere.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .slots import Ranges

Value = str
"""A client's value as its JSON text: opaque, and equal only to what is written the same."""


class Vote(NamedTuple):
    ballot: int
    value: Value


class Init(NamedTuple):
    msg_id: int
    node_id: str
    node_ids: tuple[str, ...]


class InitOk(NamedTuple):
    in_reply_to: int


class MultiPaxosPropose(NamedTuple):
    msg_id: int
    slot: int
    value: Value


class MultiPaxosProposeOk(NamedTuple):
    in_reply_to: int
    slot: int
    phase1_skipped: bool
    chosen: bool
    value: Value


class MultiPaxosLog(NamedTuple):
    msg_id: int
    from_: int = 0
    limit: int | None = None


class MultiPaxosLogOk(NamedTuple):
    in_reply_to: int
    log: Mapping[int, Value]


INDEFINITE, NOT_SUPPORTED, UNAVAILABLE, MALFORMED = 0, 10, 11, 12
"""Maelstrom's error codes.  The first claims nothing (it is Maelstrom's timeout); the others are
definite: nothing has happened and nothing will."""


class Error(NamedTuple):
    in_reply_to: int
    code: int
    text: str


class Prepare(NamedTuple):
    ballot: int
    known: Ranges


class Promise(NamedTuple):
    ballot: int
    accepted: Mapping[int, Vote]
    known: Ranges


class Accept(NamedTuple):
    ballot: int
    slot: int
    value: Value


class Accepted(NamedTuple):
    ballot: int
    slot: int


class Rejected(NamedTuple):
    promised: int


class Decided(NamedTuple):
    slot: int
    value: Value


class Learn(NamedTuple):
    known: Ranges


class Learned(NamedTuple):
    decided: Mapping[int, Value]
    more: bool


ClientRequest = Init | MultiPaxosPropose | MultiPaxosLog
ClientReply = InitOk | MultiPaxosProposeOk | MultiPaxosLogOk | Error
NodeMessage = Prepare | Promise | Accept | Accepted | Rejected | Decided | Learn | Learned
Body = ClientRequest | ClientReply | NodeMessage


class Envelope(NamedTuple):
    """The spec's `Message`."""

    src: str
    dest: str
    body: Body
