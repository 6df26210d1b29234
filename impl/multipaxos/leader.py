"""The volatile state of a node: the ballot it runs and the requests that wait.

A crash replaces it by a new one.  A field whose loss could break a promise, a vote or a decision
belongs into `acceptor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .messages import Request, Vote
from .slots import Slots


class Waiting(dict[int, tuple[Request, bool]]):
    """The waiting requests, each with its `phase1_skipped`, by a number in order of arrival.

    Two indexes: `by_slot`, slot -> the numbers of its requests in order, as the keys of a
    dictionary; and `request_sets`, slot -> its requests, for the slots that `has` was called for.
    """

    def __init__(self) -> None:
        self.by_slot: dict[int, dict[int, None]] = {}
        self.request_sets: dict[int, set[Request]] = {}
        self.oldest = 1
        self.newest = 0

    def queue(self, request: Request, phase1_skipped: bool) -> None:
        self.newest += 1
        self[self.newest] = request, phase1_skipped
        slot = request.body.slot
        self.by_slot.setdefault(slot, {})[self.newest] = None
        if slot in self.request_sets:
            self.request_sets[slot].add(request)

    def has(self, request: Request) -> bool:
        """Return whether this request waits.  At least one request must wait for its slot."""
        slot = request.body.slot
        if slot not in self.request_sets:
            self.request_sets[slot] = {self[number][0] for number in self.by_slot[slot]}
        return request in self.request_sets[slot]

    def mark_phase1(self) -> None:
        """Mark that Phase 1 ran while these requests waited."""
        for number, (request, _) in self.items():
            self[number] = request, False

    def pop_slot(self, slot: int) -> list[tuple[Request, bool]]:
        """Remove and return the requests for a slot."""
        numbers = self.by_slot.pop(slot, None)
        if self.request_sets:
            self.request_sets.pop(slot, None)
        return list(map(self.pop, numbers)) if numbers else []

    def pop_oldest(self) -> Request:
        """Remove and return the oldest request."""
        # Finding the first key of a dictionary takes time for each key that was removed before it.
        while self.oldest not in self:
            self.oldest += 1
        request, _ = self.pop(self.oldest)
        slot = request.body.slot
        del self.by_slot[slot][self.oldest]
        if slot in self.request_sets:
            self.request_sets[slot].discard(request)
        if not self.by_slot[slot]:
            del self.by_slot[slot]
            self.request_sets.pop(slot, None)
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
        """Forget a decided slot, and return the requests that waited for it."""
        if self.reported:
            self.reported.pop(slot, None)
        self.votes.pop(slot, None)
        if self.closed:
            self.closed.discard(slot)
        return self.waiting.pop_slot(slot)
