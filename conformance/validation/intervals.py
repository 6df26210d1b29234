"""Slot intervals: neighbouring slots that a window never distinguishes are one rank in TLC.

A window of a log names few slots on their own, and many only as part of a whole: ranges of `known`
slots, and runs of slots in a log that a client received.  A slot interval is a set of neighbouring
slots that every message of the window, and the state that it starts from, contains entirely or not
at all.  A slot that a message names alone, that has a vote, or that a request waits for, is an
interval of its own.

The mapping is exact.  The specification puts slots in sets, looks them up, and takes them in
ascending order; for each of these an interval behaves as its slots do, so the specification's
result on intervals equals the log's exactly if it does on slots.  Only two actions count slots:

- `ReceiveLearn` sends the first Batch missing slots, and whether there are more.  All slots in the
  log's answer are intervals of their own.  If the answer has the right ones, they are the first
  intervals, and there are more intervals if there are more slots.  If the first intervals are those
  of the answer, they are the first slots.
- `ReceiveMultiPaxosLog` returns no more than `limit` slots; `Names` computes how many intervals
  that is.  An answer has intervals as a whole, and the argument for Batch holds for these.

The content of an interval of several slots is the sequence of their values.  Nothing can be decided
there within the window, for whatever decides a slot names it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..tlaplus.translate import ranges

Json = Any
Ranges = list[list[int]]
"""Ranges of slots, each its first and its last one."""


class SlotIntervals:
    """The slot intervals of a window; `edges` are the slots at which one begins."""

    def __init__(self, edges: Iterable[int]) -> None:
        self._lows = sorted(set(edges)) or [0]

    @property
    def last(self) -> int:
        """The highest rank."""
        return len(self._lows) - 1

    def rank(self, slot: int) -> int:
        """Return the rank of the interval that contains a slot; no slot is below the first edge."""
        return bisect_right(self._lows, slot) - 1

    def slots(self, rank: int) -> range:
        """Return the slots of an interval.  The last one has no end, and no message names it."""
        return range(self._lows[rank], self._lows[rank + 1])

    def ranks(self, ranges: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
        """Return ranges of slots as ranges of ranks."""
        return [(self.rank(low), self.rank(high)) for low, high in ranges]


def edges(body: Json) -> Iterator[int]:
    """Yield the slots where slot intervals of a message's body begin, and those after their ends.

    `body` may also be an event that names slots.
    """
    if "slot" in body:
        yield from edges_of_slot(body["slot"])
    if "from" in body:
        yield body["from"]
    for low, high in (*body.get("known", ()), *body.get("slots", ())):
        yield from (low, high + 1)
    for entry in (*body.get("accepted", ()), *body.get("decided", ())):
        yield from edges_of_slot(entry["slot"])
    for low, high in ranges_of_log(body.get("log", ())):
        yield from (low, high + 1)


def edges_of_slot(slot: int) -> tuple[int, int]:
    """Return the edges that make a slot an interval of its own."""
    return slot, slot + 1


def ranges_of_log(log: Iterable[Json]) -> Ranges:
    """Return the slots of a log that a client received, as ranges."""
    return ranges(entry["slot"] for entry in log)
