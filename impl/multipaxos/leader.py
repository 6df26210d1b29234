"""What a node may forget: the ballot it runs and the clients who wait.

A crash puts a new one in the place of the old one; a field whose loss could break a promise, a vote
or a decision must not be here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .messages import Request, Vote
from .slots import Slots


class Waiting(dict[int, tuple[Request, bool]]):
    """The requests that wait, each with its `phase1_skipped`, by a number in order of arrival.

    Two indexes: `of`, slot -> the numbers of those that wait for it, in order, as the keys of a
    dictionary; and `asked`, slot -> those requests, only where `has` was asked for.
    """

    def __init__(self) -> None:
        self.of: dict[int, dict[int, None]] = {}
        self.asked: dict[int, set[Request]] = {}
        self.oldest = 1
        self.newest = 0

    def queue(self, request: Request, phase1_skipped: bool) -> None:
        self.newest += 1
        self[self.newest] = request, phase1_skipped
        slot = request.body.slot
        self.of.setdefault(slot, {})[self.newest] = None
        if slot in self.asked:
            self.asked[slot].add(request)

    def has(self, request: Request) -> bool:
        """Whether this request is among those that wait for its slot; there is one at least."""
        slot = request.body.slot
        if slot not in self.asked:
            self.asked[slot] = {self[number][0] for number in self.of[slot]}
        return request in self.asked[slot]

    def be_late(self) -> None:
        """Phase 1 runs for all who wait."""
        for number, (request, _) in self.items():
            self[number] = request, False

    def leave(self, slot: int) -> list[tuple[Request, bool]]:
        """Take out those that wait for a slot."""
        numbers = self.of.pop(slot, None)
        if self.asked:
            self.asked.pop(slot, None)
        return list(map(self.pop, numbers)) if numbers else []

    def give_up(self) -> Request:
        """Take out the one that has waited longest."""
        # To look for the first key of a dictionary takes as long as keys were taken out before it.
        while self.oldest not in self:
            self.oldest += 1
        request, _ = self.pop(self.oldest)
        slot = request.body.slot
        del self.of[slot][self.oldest]
        if slot in self.asked:
            self.asked[slot].discard(request)
        if not self.of[slot]:
            del self.of[slot]
            self.asked.pop(slot, None)
        return request


@dataclass
class Leader:
    """The volatile fields of the spec's `Fresh`."""

    ballot: int = 0
    promises: set[str] = field(default_factory=set)
    reported: dict[int, Vote] = field(default_factory=dict)
    closed: Slots = field(default_factory=Slots)
    votes: dict[int, set[str]] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)

    def forget(self, slot: int) -> list[tuple[Request, bool]]:
        """Leave nothing to do for a slot, and give back the requests that waited for it."""
        if self.reported:
            self.reported.pop(slot, None)
        self.votes.pop(slot, None)
        if self.closed:
            self.closed.discard(slot)
        return self.waiting.leave(slot)
