"""The state of one node between two windows of its log, in the words of a log.

It is what TLC found at the end of a window, with slots and values as they are.  How TLC is told of
it is told in `names`; nothing here knows what a node does with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .intervals import Ranges, around

Json = Any


@dataclass(frozen=True)
class State:
    """The fields of the specification's state; slots are keys, or ranges where there is no more.

    `decided` grows with the log and is shared by all states of a node; `known` tells which of it
    is there.
    """

    promised: int
    accepted: dict[int, Json]
    decided: dict[int, Json]
    known: Ranges
    up: bool
    ballot: int
    promises: list[str]
    reported: dict[int, Json]
    closed: Ranges
    votes: dict[int, list[str]]
    waiting: list[Json]

    def cuts(self) -> Iterator[int]:
        """Where the stretches begin that this state knows, and where they are over."""
        for slots in self.accepted, self.reported, self.votes:
            for slot in slots:
                yield from around(slot)
        for waits in self.waiting:
            yield from around(waits["request"]["body"]["slot"])
        for low, high in (*self.known, *self.closed):
            yield from (low, high + 1)

    def ballots(self) -> Iterator[int]:
        """The ballots that this state knows."""
        yield from (self.promised, self.ballot)
        for votes in self.accepted, self.reported:
            yield from (vote["ballot"] for vote in votes.values())

    def shown(self) -> Json:
        """As JSON for people, without the decided values, of which there may be many."""
        return {
            "promised": self.promised,
            "accepted": _entries(self.accepted),
            "known": self.known,
            "up": self.up,
            "ballot": self.ballot,
            "promises": self.promises,
            "reported": _entries(self.reported),
            "closed": self.closed,
            "votes": [{"slot": slot, "from": voters} for slot, voters in self.votes.items()],
            "waiting": self.waiting,
        }


def _entries(votes: dict[int, Json]) -> list[Json]:
    return [{"slot": slot, **vote} for slot, vote in votes.items()]
