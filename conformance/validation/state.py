"""The state of one node between two windows of its log, with the values of the log.

TLC prints it at the end of a window, or the log begins with it; `names` translates it from and to
TLA+.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..tlaplus.translate import ranges
from .intervals import Ranges, edges_of_slot

Json = Any


@dataclass(frozen=True)
class State:
    """The fields of the specification's state; slots are keys, or ranges if nothing is in them.

    `decided` grows with the log and is shared by all states of a node; `known` are the ranges of
    slots whose decisions this state has.
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
    versions: dict[str, int]

    @classmethod
    def durable(cls, found: Json, members: Iterable[str]) -> State:
        """Return the state of a node that starts with what is durable, as a log begins with it."""
        decided = {entry["slot"]: entry["value"] for entry in found["decided"]}
        return cls(
            promised=found["promised"],
            accepted={
                entry["slot"]: {"ballot": entry["ballot"], "value": entry["value"]}
                for entry in found["accepted"]
            },
            decided=decided,
            known=ranges(decided),
            up=True,
            ballot=0,
            promises=[],
            reported={},
            closed=[],
            votes={},
            waiting=[],
            versions=dict.fromkeys(members, 0),
        )

    def edges(self) -> Iterator[int]:
        """Yield the slots where slot intervals of this state begin, and those after their ends."""
        for slots in self.accepted, self.reported, self.votes:
            for slot in slots:
                yield from edges_of_slot(slot)
        for waits in self.waiting:
            yield from edges_of_slot(waits["request"]["body"]["slot"])
        for low, high in (*self.known, *self.closed):
            yield from (low, high + 1)

    def ballots(self) -> Iterator[int]:
        """Yield the ballots in this state."""
        yield from (self.promised, self.ballot)
        for votes in self.accepted, self.reported:
            yield from (vote["ballot"] for vote in votes.values())

    def to_json(self) -> Json:
        """Return the state for people, without decided values, of which there may be many."""
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
            "versions": self.versions,
        }


def _entries(votes: dict[int, Json]) -> list[Json]:
    return [{"slot": slot, **vote} for slot, vote in votes.items()]
