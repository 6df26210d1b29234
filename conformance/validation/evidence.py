"""Compare the log of a node with the messages that the router saw: a log is a claim, not evidence.

A *life* of a node lasts from a start of its process to its end.  Within a life, the messages that a
node prints to each destination are those that it logs, in the same order.  Only a life that ended
in a crash may have logged more than it printed.  The order of messages to different destinations
does not count, for the network does not keep it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record
from ..formats.schema import is_message
from ..report import shortened
from .observed import Observation

Json = Any


@dataclass
class Evidence:
    """The messages that the router saw in one life of a node, in that order.

    `events` are pairs: True for a message given to the node, False for one that it printed, and the
    message.  `whole`: the node exited when it was asked to, so it printed all that it logged.
    """

    events: list[tuple[bool, Json]] = field(default_factory=list)
    whole: bool = False
    inputs: int = 0
    outputs: int = 0

    def add(self, given: bool, message: Json) -> None:
        self.events.append((given, message))
        self.inputs += given
        self.outputs += not given

    def given(self) -> Iterator[Json]:
        return (message for given, message in self.events if given)

    def printed(self) -> Iterator[Json]:
        return (message for given, message in self.events if not given)

    def observation(self) -> Observation:
        """Return the events in the form that `observed` checks."""
        found = Observation()
        for given, message in self.events:
            found.add(given, message)
        return found


@dataclass(frozen=True)
class Contradiction:
    """The first place where a log differs from what the router saw, and the record there."""

    node: str
    reason: str
    record: Record | None = None

    def __str__(self) -> str:
        place = self.record.place if self.record else "its log"
        return f"{place}: node {self.node}: {self.reason} (router)"


def find_contradiction(
    node: str, records: Sequence[Record], lives: Sequence[Evidence]
) -> Contradiction | None:
    """Compare all records of a node's log, in order, with all lives that the router saw."""
    logged = _split_into_lives(records)
    # A life that ended before it saved anything left no record, so lives can be matched in several
    # ways.  This is the set of counts of logged lives that can be those so far.
    matched = {0}
    contradictions: dict[int, Contradiction] = {}
    for number, life in enumerate(lives, 1):
        after = set(matched) if life.outputs == 0 else set()
        for count in matched & set(range(len(logged))):
            difference = _first_difference(logged[count], life)
            if difference is None:
                after.add(count + 1)
            else:
                record, reason = difference
                contradictions[count] = Contradiction(node, f"life {number}: {reason}", record)
        if not after:
            ends = Contradiction(node, f"life {number}: its log ends before it")
            return contradictions.get(max(matched), ends)
        matched = after
    if len(logged) not in matched:
        reason = f"its log has {len(logged)} lives, and it had {len(lives)}"
        more = Contradiction(node, reason, logged[max(matched)][0])
        return contradictions.get(max(matched), more)
    return None


def _split_into_lives(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each life; each life but the first begins with its `crash`."""
    found: list[list[Record]] = []
    for record in records:
        if not found or record.input == "crash":
            found.append([])
        found[-1].append(record)
    return found


Differing = tuple[Record | None, str]
"""The record that differs, None if the log lacks it, and the reason."""


def _first_difference(records: Sequence[Record], life: Evidence) -> Differing | None:
    return _input_difference(records, life) or _output_difference(records, life)


def _input_difference(records: Sequence[Record], life: Evidence) -> Differing | None:
    given = Counter(map(canonical, life.given()))
    for record in records:
        if is_message(record.input):
            text = canonical(record.input)
            given[text] -= 1
            if given[text] < 0:
                return record, f"it was never given, or not so often: {shortened(text)}"
    return None


def _output_difference(records: Sequence[Record], life: Evidence) -> Differing | None:
    logged: dict[str, list[tuple[Record, Json]]] = defaultdict(list)
    for record in records:
        for message in record.output:
            logged[message["dest"]].append((record, message))
    printed: dict[str, list[Json]] = defaultdict(list)
    for message in life.printed():
        printed[message["dest"]].append(message)
    for dest in logged.keys() | printed.keys():
        for claim, message in zip_longest(logged[dest], printed[dest]):
            if message is None:
                if life.whole:
                    return claim[0], f"it never printed {shortened(canonical(claim[1]))}"
                break
            text = canonical(message)
            if claim is None:
                return None, f"it printed {shortened(text)}, and its log does not have that"
            if canonical(claim[1]) != text:
                return claim[0], f"it printed {shortened(text)} instead of an output of this record"
    return None
