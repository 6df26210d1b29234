"""Check that nothing contradicts what the states that logs begin with show to be chosen.

A vote in a state was cast, whenever the state was taken.  So if a majority has votes for one value
in one ballot, the value is chosen: a decision has no other one, nor has a vote in a higher ballot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..formats.canonical import canonical
from ..formats.logs import Record, members
from ..report import shortened
from .agreement import Logs, decisions_in, votes_in
from .verdict import Rejection


@dataclass(frozen=True)
class Chosen:
    """The value of a slot that a majority voted for in a ballot, as text, and their states."""

    ballot: int
    value: str
    states: Sequence[Record]

    def __str__(self) -> str:
        states = ", ".join(f"{record.node} ({record.place})" for record in self.states)
        return (
            f"{shortened(self.value)} was chosen in ballot {self.ballot}, by the votes of {states}"
        )


def check_chosen(records: Sequence[Record], logs: Logs) -> list[Rejection]:
    """Reject records with a vote or a decision that contradicts what the states show to be chosen.

    `records` are all records of `logs`, in file order.  Nothing is known to be chosen if no log has
    an `init`, which names the members.
    """
    chosen = _chosen_by_states(logs)
    return [
        Rejection(record, "agreement", reason)
        for record in (records if chosen else ())
        for reason in _contradictions(record, logs, chosen)
    ]


def _chosen_by_states(logs: Logs) -> dict[int, Chosen]:
    """Return what is chosen in each slot; a state has one vote in a slot, so that is one value."""
    named: tuple[str, ...] = next(filter(None, map(members, logs.values())), ())
    votes: dict[tuple[int, int, str], list[Record]] = defaultdict(list)
    for first in (logs[node][0] for node in named if node in logs):
        for vote in (first.state or {}).get("accepted", ()):
            votes[vote["slot"], vote["ballot"], canonical(vote["value"])].append(first)
    return {
        slot: Chosen(ballot, value, states)
        for (slot, ballot, value), states in votes.items()
        if 2 * len(states) > len(named)
    }


def _contradictions(record: Record, logs: Logs, chosen: dict[int, Chosen]) -> Iterator[str]:
    for slot, value in decisions_in(record, logs):
        if slot in chosen and canonical(value) != chosen[slot].value:
            text = shortened(canonical(value))
            yield f"slot {slot} is decided to be {text}, but {chosen[slot]}"
    for vote in votes_in(record, logs):
        known = chosen.get(vote["slot"])
        if known and vote["ballot"] > known.ballot and canonical(vote["value"]) != known.value:
            text = shortened(canonical(vote["value"]))
            yield f"slot {vote['slot']} has {text} in ballot {vote['ballot']}, but {known}"
