"""Ballots as smaller ones: TLC's numbers have 32 bits, and those of a log may be up to 2^63-1.

The specification compares ballots, tells whose they are (b belongs to member (b - 1) mod N) and
looks for the next one of a node, which is at most N above.  So nothing is lost if a ballot becomes
another one of the same owner, in the same order, as long as those more than N apart stay so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

Json = Any


class Ballots:
    """The ballots of a window for TLC, and the way back; `members` is how many nodes there are."""

    def __init__(self, found: Iterable[int], members: int) -> None:
        self._large = sorted({0, *found})
        self._small = [0]
        for before, ballot in zip(self._large, self._large[1:], strict=False):
            apart = ballot - before
            if apart > 2 * members:
                apart = members + 1 + (apart - members - 1) % members
            self._small.append(self._small[-1] + apart)

    def small(self, ballot: int) -> int:
        """The number that TLC knows a ballot by, which is one of the window's."""
        return self._small[bisect_right(self._large, ballot) - 1]

    def meant(self, small: int) -> int:
        """The ballot that TLC means: one of the window's, or the next one of a node above it."""
        at = bisect_right(self._small, small) - 1
        return self._large[at] + small - self._small[at]


def ballots(body: Json) -> Iterator[int]:
    """The ballots that a message speaks of."""
    for field in "ballot", "promised":
        if field in body:
            yield body[field]
    if body.get("type") == "promise":
        yield from (vote["ballot"] for vote in body["accepted"])
