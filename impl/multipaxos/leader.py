"""What a node may forget: the ballot it runs and the clients who wait.

A crash puts a new one in the place of the old one; a field whose loss could break a promise, a vote
or a decision must not be here.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from .messages import Envelope, Vote
from .slots import Slots

Waiting = dict[int, dict[Envelope, bool]]
"""Slot -> its requests -> `phase1_skipped`, both in order of arrival.

Requests of one slot are answered together, so the order in which slots were first asked for is all
that is left of the order of all requests."""


@dataclass
class Leader:
    """The volatile fields of the spec's `Fresh`."""

    ballot: int = 0
    promises: set[str] = field(default_factory=set)
    reported: dict[int, Vote] = field(default_factory=dict)
    closed: Slots = field(default_factory=Slots)
    votes: dict[int, set[str]] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=dict)

    def forget(self, slot: int) -> dict[Envelope, bool]:
        """Leave nothing to do for a slot, and give back the requests that waited for it."""
        self.reported.pop(slot, None)
        self.votes.pop(slot, None)
        self.closed.discard(slot)
        return self.waiting.pop(slot, {})
