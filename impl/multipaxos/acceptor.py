"""The durable state of a node: each field that must survive a crash.

The volatile state is in `leader`; `journal` and `storage` bring this one to a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .messages import Value, Vote
from .slots import Slots


class Decided(Protocol):
    """Slot -> decided value: a dictionary whose values may be on a disk."""

    def __contains__(self, slot: int, /) -> bool: ...

    def __getitem__(self, slot: int, /) -> Value: ...

    def __setitem__(self, slot: int, value: Value, /) -> None: ...

    def read(self, slots: Slots) -> Iterator[tuple[int, Value]]:
        """Yield each of these slots with its value, in ascending order.  All must be decided."""


class InMemory(dict[int, Value]):
    """Decided values in memory."""

    def read(self, slots: Slots) -> Iterator[tuple[int, Value]]:
        return ((slot, self[slot]) for slot in slots)


class Excerpt:
    """The decided values of some slots, which are read when this is iterated: they never change."""

    def __init__(self, decided: Decided, slots: Slots) -> None:
        self.decided = decided
        self.slots = slots

    def __iter__(self) -> Iterator[tuple[int, Value]]:
        return self.decided.read(self.slots)


class Acceptor:
    """The durable fields of the spec's `Fresh`, with `known` as an index of `decided`.

    Only the three methods change them, so a subclass can record each change.
    """

    def __init__(self) -> None:
        self.promised = 0
        self.accepted: dict[int, Vote] = {}
        self.decided: Decided = InMemory()
        self.known = Slots()

    def promise(self, ballot: int) -> None:
        self.promised = ballot

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        self.accepted[slot] = Vote(ballot, value)

    def decide(self, slot: int, value: Value) -> None:
        self.decided[slot] = value
        self.known.add(slot)
        self.accepted.pop(slot, None)
