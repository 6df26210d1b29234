"""What a node may forget: the ballot it runs and the clients who wait.

A crash puts a new one in the place of the old one; a field whose loss could break a promise, a vote
or a decision must not be here.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from .messages import Envelope, Vote
from .slots import Slots


class Waiting(dict[Envelope, bool]):
    """Requests -> `phase1_skipped`, in order of arrival, with `of` as an index by slot."""

    def __init__(self) -> None:
        self.of: dict[int, list[Envelope]] = {}

    def queue(self, request: Envelope, phase1_skipped: bool) -> None:
        self[request] = phase1_skipped
        slot = request.body.slot
        if slot in self.of:
            self.of[slot].append(request)
        else:
            self.of[slot] = [request]

    def leave(self, slot: int) -> dict[Envelope, bool]:
        """Take out those that wait for a slot."""
        requests = self.of.pop(slot, None)
        return {request: self.pop(request) for request in requests} if requests else {}

    def give_up(self) -> Envelope:
        """Take out the one that has waited longest."""
        request = next(iter(self))
        del self[request]
        others = self.of[request.body.slot]
        others.remove(request)
        if not others:
            del self.of[request.body.slot]
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

    def forget(self, slot: int) -> dict[Envelope, bool]:
        """Leave nothing to do for a slot, and give back the requests that waited for it."""
        if self.reported:
            self.reported.pop(slot, None)
        self.votes.pop(slot, None)
        if self.closed:
            self.closed.discard(slot)
        return self.waiting.leave(slot)
