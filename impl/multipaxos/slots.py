"""A set of slots as ranges: a log of a million slots in a row is one range.

Only the set is here, not what a slot holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Ranges = tuple[tuple[int, int], ...]
"""A set of slots as a value: inclusive ranges, ascending, disjoint and not adjacent."""


class Slots:
    """A mutable set of slots, kept as its maximal ranges: their ends are `lows` and `highs`.

    Whether there are `lows` says whether there are slots, in less time than `bool`.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self.lows: list[int] = []
        self.highs: list[int] = []
        for low, high in ranges:
            self.lows.append(low)
            self.highs.append(high)

    def ranges(self) -> Ranges:
        return tuple(zip(self.lows, self.highs, strict=True))

    def __bool__(self) -> bool:
        return bool(self.lows)

    def __contains__(self, slot: int) -> bool:
        at = bisect_right(self.lows, slot)
        return at > 0 and slot <= self.highs[at - 1]

    def __iter__(self) -> Iterator[int]:
        for at in range(len(self.lows)):
            yield from range(self.lows[at], self.highs[at] + 1)

    def part(self, least: int, most: int | None) -> Slots:
        """Return the first slots of the set from this one on, at most so many; None for all."""
        ranges = []
        at = bisect_left(self.highs, least)
        while at < len(self.lows) and most != 0:
            low, high = max(self.lows[at], least), self.highs[at]
            if most is not None:
                high = min(high, low + most - 1)
                most -= high - low + 1
            ranges.append((low, high))
            at += 1
        return Slots(ranges)

    def range_of(self, slot: int) -> tuple[int, int]:
        """Return the range that a slot of the set is in."""
        at = bisect_left(self.highs, slot)
        return self.lows[at], self.highs[at]

    def add(self, slot: int) -> None:
        highs = self.highs
        if highs and slot == highs[-1] + 1:
            # The common case: the log grows by one slot.
            highs[-1] = slot
        else:
            self._cover(slot, slot)

    def update(self, other: Slots) -> None:
        # In one pass: inserting each range in turn would move all ranges behind it.
        every = sorted((*self.ranges(), *other.ranges()))
        self.lows, self.highs = [], []
        for low, high in every:
            if self.highs and low <= self.highs[-1] + 1:
                self.highs[-1] = max(self.highs[-1], high)
            else:
                self.lows.append(low)
                self.highs.append(high)

    def _cover(self, low: int, high: int) -> None:
        # Merge the new range with all that overlap it or are adjacent to it.
        first, last = bisect_left(self.highs, low - 1), bisect_right(self.lows, high + 1)
        self.lows[first:last] = [min([low, *self.lows[first:last]])]
        self.highs[first:last] = [max([high, *self.highs[first:last]])]

    def discard(self, slot: int) -> None:
        at = bisect_left(self.highs, slot)
        if at < len(self.lows) and self.lows[at] <= slot:
            beside = (self.lows[at], slot - 1), (slot + 1, self.highs[at])
            left = [(low, high) for low, high in beside if low <= high]
            self.lows[at : at + 1] = [low for low, _ in left]
            self.highs[at : at + 1] = [high for _, high in left]

    def count(self) -> int:
        return sum(self.highs) - sum(self.lows) + len(self.lows)

    def __sub__(self, other: Slots) -> Slots:
        return Slots(piece for low, high in self.ranges() for piece in other._gaps(low, high))

    def _gaps(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges from `low` to `high` that are not in this set."""
        at = bisect_left(self.highs, low)
        while at < len(self.lows) and self.lows[at] <= high:
            if low < self.lows[at]:
                yield low, self.lows[at] - 1
            low = self.highs[at] + 1
            at += 1
        if low <= high:
            yield low, high
