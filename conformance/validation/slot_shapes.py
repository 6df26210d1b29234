"""Slots of vote logs in numbers, as TLC reads them, and back to lines of the logs.

Slots share nothing but the promises.  The specification compares ballots and never counts with
them, and values and slots are just names.  So slots that differ in names alone have the same
*shape*, and need to be checked once.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from ..formats.canonical import canonical
from ..formats.vote_logs import Line, Slot, VoteLogs, order
from ..tlaplus import values


@dataclass(frozen=True)
class Shape:
    """A slot in numbers: what TLC reads, and what is the same for slots that differ in names alone.

    votes:    (member, ballot, value) of each vote
    promised: for each member how many of the slot's ballots it has promised, by rank
    decided:  the values that are taken to be decided
    """

    votes: tuple[tuple[int, int, int], ...]
    promised: tuple[int, ...]
    decided: tuple[int, ...]

    def to_tla(self) -> str:
        fields = {"votes": set(self.votes), "promised": self.promised, "decided": set(self.decided)}
        return values.text(fields)


@dataclass(frozen=True)
class Wrong:
    """What TLC found wrong with a slot, as lines of the logs.

    two_values: the votes of ballots with votes for two values
    not_shown:  the votes that no quorum shows to be safe
    not_chosen: the decisions for which no quorum voted

    If none of these is wrong, then values that were chosen and decided differ.
    """

    slot: Slot
    two_values: list[Line]
    not_shown: list[Line]
    not_chosen: list[Line]


@dataclass(frozen=True)
class Numbered:
    """A slot and its shape, with the numbers of its ballots and values."""

    slot: Slot
    shape: Shape
    members: tuple[str, ...]
    ballots: dict[tuple[Any, ...], int]
    names: dict[str, int]

    @classmethod
    def of(cls, slot: Slot, cluster: VoteLogs) -> Numbered:
        """Number the ballots of a slot by rank, and its values in the order of their ballots."""
        node = {member: at for at, member in enumerate(cluster.members, 1)}
        ranked = sorted({order(vote.ballot) for vote in slot.votes})
        ballots = {ballot: at for at, ballot in enumerate(ranked, 1)}
        votes = sorted(slot.votes, key=lambda x: (ballots[order(x.ballot)], node[x.node]))
        names: dict[str, int] = {}
        for line in (*votes, *slot.decided):
            names.setdefault(canonical(line.value), len(names) + 1)
        promised = [cluster.promised.get(member) for member in cluster.members]
        shape = Shape(
            tuple(
                (node[x.node], ballots[order(x.ballot)], names[canonical(x.value)]) for x in votes
            ),
            tuple(0 if b is None else bisect_right(ranked, order(b)) for b in promised),
            tuple(sorted({names[canonical(line.value)] for line in slot.decided})),
        )
        return cls(slot, shape, cluster.members, ballots, names)

    def wrong(self, why: Any) -> Wrong:
        """Return the lines for what TLC printed of the shape."""
        two_values, not_shown, not_chosen = why
        slot = self.slot

        def number(vote: Line) -> tuple[int, int, int]:
            member = self.members.index(vote.node) + 1
            return member, self.ballots[order(vote.ballot)], self.names[canonical(vote.value)]

        return Wrong(
            slot,
            [vote for vote in slot.votes if number(vote)[1] in two_values],
            [vote for vote in slot.votes if number(vote) in {tuple(each) for each in not_shown}],
            [line for line in slot.decided if self.names[canonical(line.value)] in not_chosen],
        )
