"""A set of slots as ranges: a log of a million slots in a row is one range.

Only the set is here, not what a slot holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Ranges = tuple[tuple[int, int], ...]
"""A set of slots as a value: inclusive ranges, ascending, disjoint and not adjacent."""


class Slots:
    """A mutable set of slots, kept as its maximal ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for low, high in ranges:
            self._lows.append(low)
            self._highs.append(high)

    def ranges(self) -> Ranges:
        return tuple(zip(self._lows, self._highs, strict=True))

    def __bool__(self) -> bool:
        return bool(self._lows)

    def __contains__(self, slot: int) -> bool:
        at = bisect_right(self._lows, slot)
        return at > 0 and slot <= self._highs[at - 1]

    def __iter__(self) -> Iterator[int]:
        for at in range(len(self._lows)):
            yield from range(self._lows[at], self._highs[at] + 1)

    def part(self, least: int, most: int | None) -> Slots:
        """Return the first slots of the set from this one on, at most so many; None for all."""
        ranges = []
        at = bisect_left(self._highs, least)
        while at < len(self._lows) and most != 0:
            low, high = max(self._lows[at], least), self._highs[at]
            if most is not None:
                high = min(high, low + most - 1)
                most -= high - low + 1
            ranges.append((low, high))
            at += 1
        return Slots(ranges)

    def range_of(self, slot: int) -> tuple[int, int]:
        """Return the range that a slot of the set is in."""
        at = bisect_left(self._highs, slot)
        return self._lows[at], self._highs[at]

    def add(self, slot: int) -> None:
        highs = self._highs
        if highs and slot == highs[-1] + 1:
            # The common case: the log grows by one slot.
            highs[-1] = slot
        else:
            self._cover(slot, slot)

    def update(self, other: Slots) -> None:
        # In one pass: inserting each range in turn would move all ranges behind it.
        every = sorted((*self.ranges(), *other.ranges()))
        self._lows, self._highs = [], []
        for low, high in every:
            if self._highs and low <= self._highs[-1] + 1:
                self._highs[-1] = max(self._highs[-1], high)
            else:
                self._lows.append(low)
                self._highs.append(high)

    def _cover(self, low: int, high: int) -> None:
        # Merge the new range with all that overlap it or are adjacent to it.
        first, last = bisect_left(self._highs, low - 1), bisect_right(self._lows, high + 1)
        self._lows[first:last] = [min([low, *self._lows[first:last]])]
        self._highs[first:last] = [max([high, *self._highs[first:last]])]

    def discard(self, slot: int) -> None:
        at = bisect_left(self._highs, slot)
        if at < len(self._lows) and self._lows[at] <= slot:
            beside = (self._lows[at], slot - 1), (slot + 1, self._highs[at])
            left = [(low, high) for low, high in beside if low <= high]
            self._lows[at : at + 1] = [low for low, _ in left]
            self._highs[at : at + 1] = [high for _, high in left]

    def count(self) -> int:
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def __sub__(self, other: Slots) -> Slots:
        return Slots(piece for low, high in self.ranges() for piece in other._gaps(low, high))

    def _gaps(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges from `low` to `high` that are not in this set."""
        at = bisect_left(self._highs, low)
        while at < len(self._lows) and self._lows[at] <= high:
            if low < self._lows[at]:
                yield low, self._lows[at] - 1
            low = self._highs[at] + 1
            at += 1
        if low <= high:
            yield low, high
