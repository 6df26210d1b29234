"""The durable state of a node: each field that must survive a crash.

The volatile state is in `leader`; `storage` writes this one to a disk.
"""

from __future__ import annotations

from .messages import Value, Vote
from .slots import Slots


class Acceptor:
    """The durable fields of the spec's `Fresh`, with `known` as an index of `decided`.

    Only the three methods change them, so a subclass can record each change.
    """

    def __init__(self) -> None:
        self.promised = 0
        self.accepted: dict[int, Vote] = {}
        self.decided: dict[int, Value] = {}
        self.known = Slots()

    def promise(self, ballot: int) -> None:
        self.promised = ballot

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        self.accepted[slot] = Vote(ballot, value)

    def decide(self, slot: int, value: Value) -> None:
        self.decided[slot] = value
        self.known.add(slot)
        self.accepted.pop(slot, None)
