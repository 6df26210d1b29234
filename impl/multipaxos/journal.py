"""The durable state of a node as `storage` works with it: what changed since the last commit is in
memory, and committed decisions are read from the disk.

Memory holds what is open and the ranges of decided slots, not the decided values.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from typing import Protocol

from .acceptor import Acceptor
from .messages import Value, Vote
from .slots import Slots


class Committed(Protocol):
    """The decisions that are on the disk."""

    def value(self, slot: int) -> Value:
        """Return the value of a slot that is on the disk."""

    def values(self, low: int, high: int) -> Iterator[tuple[int, Value]]:
        """Yield the slots of a range, all of which are on the disk, with their values."""


class Stored(dict[int, Value]):
    """Decided values: as a dictionary the new ones; the others are on the disk.  `known` has both.

    Recent and often read values are in the page cache of SQLite, so there is no other cache.
    """

    def __init__(self, known: Slots, committed: Committed) -> None:
        self.known = known
        self.committed = committed

    def __contains__(self, slot: int) -> bool:  # type: ignore[override]
        return slot in self.known

    def __missing__(self, slot: int) -> Value:
        return self.committed.value(slot)

    def read(self, slots: Slots) -> Iterator[tuple[int, Value]]:
        """Yield each of these slots with its value, in ascending order, one value at a time."""
        new = [(slot, self[slot]) for slot in sorted(self) if slot in slots]
        if not new:
            return self._read_committed(slots)
        committed = slots - Slots((slot, slot) for slot, _ in new)
        return merge(self._read_committed(committed), new)

    def _read_committed(self, slots: Slots) -> Iterator[tuple[int, Value]]:
        for low, high in slots.ranges():
            yield from self.committed.values(low, high)


class Journal(Acceptor):
    """An acceptor that records its changes since the last commit."""

    def __init__(self, committed: Committed) -> None:
        super().__init__()
        self.voted: set[int] = set()
        self.decided: Stored = Stored(self.known, committed)

    @property
    def votes(self) -> dict[int, Vote]:
        """The votes since the last commit whose slots are still open."""
        return {slot: self.accepted[slot] for slot in self.voted if slot in self.accepted}

    @property
    def decisions(self) -> dict[int, Value]:
        """The slots that were decided since the last commit, with their values."""
        return self.decided

    def changed_ranges(self) -> list[tuple[int, int]]:
        """Return the ranges of `known` with a slot that was decided since the last commit."""
        ranges: list[tuple[int, int]] = []
        for slot in sorted(self.decisions):
            if not ranges or slot > ranges[-1][1]:
                ranges.append(self.known.range_of(slot))
        return ranges

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        super().vote_for(ballot, slot, value)
        self.voted.add(slot)

    def forget_changes(self) -> None:
        """Forget the changes: they are committed."""
        self.voted.clear()
        self.decided.clear()
