"""Stretches: slots that nobody tells apart are one to TLC, with one rank for all of them.

A window of a log speaks of few slots on their own and of many only as part of a whole: of ranges of
`known` slots, and of the stretches of a log that a client was told.  A stretch is a set of
neighbouring slots that every message of the window, and the state that it starts from, has inside
as a whole or not at all.  A slot that a message names alone, that has a vote, or that a request
waits for, is a stretch of its own.

Nothing is lost by it.  What the specification does with slots is to put them in sets, to look them
up, and to take them in ascending order; for each of that a stretch does as well as its slots, and
the one is equal to what the log says exactly when the other is.  Only two actions count slots:

- `ReceiveLearn` tells the first Batch missing slots, and whether there are more.  All slots that
  the log's answer tells are alone.  If it tells the right ones, then they are the first stretches,
  too, and there are more stretches if there are more slots.  If the first stretches are those that
  it tells, they are the first slots.
- `ReceiveMultiPaxosLog` tells no more than `limit` slots, and `told_limit` says how many stretches
  that is.  An answer tells stretches as a whole, and what holds for Batch holds for these.

What a stretch of several slots holds is the sequence of their values; nothing can be decided there
within the window, for whatever decides a slot names it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from ..tlaplus.translate import ranges

Json = Any
Ranges = list[list[int]]


class Stretches:
    """The slots as stretches; `cuts` are the slots where one begins."""

    def __init__(self, cuts: Iterable[int]) -> None:
        self._lows = sorted(set(cuts)) or [0]

    @property
    def last(self) -> int:
        """The highest rank."""
        return len(self._lows) - 1

    def rank(self, slot: int) -> int:
        """The rank of the stretch that a slot is in; those before the first cut never occur."""
        return bisect_right(self._lows, slot) - 1

    def slots(self, rank: int) -> range:
        """The slots of a stretch; the last one has no end, and nothing is ever said to be there."""
        return range(self._lows[rank], self._lows[rank + 1])

    def ranks(self, ranges: Ranges) -> list[tuple[int, int]]:
        """Ranges of slots as ranges of ranks."""
        return [(self.rank(low), self.rank(high)) for low, high in ranges]


def cuts(body: Json) -> Iterator[int]:
    """Where the stretches begin, and where they are over, that the body of a message speaks of, or
    an event that names slots.
    """
    if "slot" in body:
        yield from around(body["slot"])
    if "from" in body:
        yield body["from"]
    for low, high in (*body.get("known", ()), *body.get("slots", ())):
        yield from (low, high + 1)
    for entry in (*body.get("accepted", ()), *body.get("decided", ())):
        yield from around(entry["slot"])
    for low, high in told_in(body.get("log", ())):
        yield from (low, high + 1)


def around(slot: int) -> tuple[int, int]:
    return slot, slot + 1


def told_in(log: Iterable[Json]) -> Ranges:
    """The slots of a log that a client was told, as ranges."""
    return ranges(entry["slot"] for entry in log)
