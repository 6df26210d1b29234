"""What a node must still know after a crash: everything that must survive one is a field here.

Nothing here is known to the node alone for a while; what may be forgotten is in `leader`, and how
this comes to be on a disk is told in `storage`.
"""

from __future__ import annotations

from .messages import Value, Vote
from .slots import Slots


class Acceptor:
    """The durable fields of the spec's `Fresh`, with `known` as an index of `decided`.

    They are changed by the three methods alone, so that whoever keeps them hears of each change.
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
