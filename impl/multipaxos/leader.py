"""The volatile state of a node: the ballot it runs and the requests that wait.

A crash replaces it by a new one.  A field whose loss could break a promise, a vote or a decision
belongs into `acceptor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .messages import Request, Vote
from .slots import Slots

Wait = tuple[Request, bool]
"""A waiting request, and its `phase1_skipped`."""


class Waiting:
    """The waiting requests, by number in order of arrival.

    `by_slot` has them: slot -> number -> the request and its `phase1_skipped`.  `slots` is number
    -> slot, and `request_sets` slot -> its requests, for the slots that `has` was called for.
    """

    def __init__(self) -> None:
        self.by_slot: dict[int, dict[int, Wait]] = {}
        self.slots: dict[int, int] = {}
        self.request_sets: dict[int, set[Request]] = {}
        self.oldest = 1
        self.newest = 0

    def __len__(self) -> int:
        return len(self.slots)

    def __iter__(self) -> Iterator[Wait]:
        return (self.by_slot[slot][number] for number, slot in self.slots.items())

    def queue(self, request: Request, phase1_skipped: bool) -> None:
        """Append a request that does not wait yet, as `has` said if others wait for its slot."""
        self.newest = number = self.newest + 1
        slot = request[1].slot
        self.slots[number] = slot
        if slot in self.by_slot:
            self.by_slot[slot][number] = request, phase1_skipped
            self.request_sets[slot].add(request)
        else:
            self.by_slot[slot] = {number: (request, phase1_skipped)}

    def has(self, request: Request) -> bool:
        """Return whether this request waits; asked before another one for its slot is queued.

        At least one request must wait for the slot.
        """
        slot = request[1].slot
        if slot not in self.request_sets:
            self.request_sets[slot] = {asked for asked, _ in self.by_slot[slot].values()}
        return request in self.request_sets[slot]

    def mark_phase1(self) -> None:
        """Mark that Phase 1 ran while these requests waited."""
        for waits in self.by_slot.values():
            for number, (request, _) in waits.items():
                waits[number] = request, False

    def pop_slot(self, slot: int) -> Iterable[Wait]:
        """Remove and return the requests for a slot that is waited for."""
        if self.request_sets:
            self.request_sets.pop(slot, None)
        waits = self.by_slot.pop(slot)
        for number in waits:
            del self.slots[number]
        return waits.values()

    def pop_oldest(self) -> Request:
        """Remove and return the oldest request."""
        # Finding the first key of a dictionary takes time for each key that was removed before it.
        while self.oldest not in self.slots:
            self.oldest += 1
        slot = self.slots.pop(self.oldest)
        request, _ = self.by_slot[slot].pop(self.oldest)
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

    def forget(self, slot: int) -> Iterable[Wait]:
        """Forget a decided slot, and return the requests that waited for it."""
        if self.reported:
            self.reported.pop(slot, None)
        self.votes.pop(slot, None)
        if self.closed.lows:
            self.closed.discard(slot)
        return self.waiting.pop_slot(slot) if slot in self.waiting.by_slot else ()
