"""Map ballots to smaller ones: TLC's numbers have 32 bits, ballots in a log reach 2^63-1.

The specification compares ballots, computes their owner (b belongs to member (b - 1) mod N), and
computes a node's next ballot, which is at most N above.  So the mapping is exact if it keeps the
owner and the order of ballots, and a distance above N between those that have one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

Json = Any


class Ballots:
    """The ballots of a window for TLC, and the way back; `members` is the number of members."""

    def __init__(self, found: Iterable[int], members: int) -> None:
        self._large = sorted({0, *found})
        self._small = [0]
        for before, ballot in zip(self._large, self._large[1:], strict=False):
            distance = ballot - before
            if distance > 2 * members:
                distance = members + 1 + (distance - members - 1) % members
            self._small.append(self._small[-1] + distance)

    def compress(self, ballot: int) -> int:
        """Return the number that stands for a ballot of the window in TLC."""
        return self._small[bisect_right(self._large, ballot) - 1]

    def expand(self, small: int) -> int:
        """Return the ballot that a number of TLC stands for.

        It is one of the window, or a node's next one above it.
        """
        at = bisect_right(self._small, small) - 1
        return self._large[at] + small - self._small[at]


def ballots_in(body: Json) -> Iterator[int]:
    """Yield the ballots in the body of a message."""
    for field in "ballot", "promised":
        if field in body:
            yield body[field]
    if body.get("type") == "promise":
        yield from (vote["ballot"] for vote in body["accepted"])
