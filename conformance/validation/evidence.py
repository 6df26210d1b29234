"""Compares the log of a node with what the router saw of it: a log is a claim, not evidence.

Within a life, a node prints what it logs: to each destination the same messages in the same order.
Only a life that ended in a crash may have logged more than it printed.  Which order messages to
different destinations have is of no account, for the network undoes it.
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
from .observed import Seen

Json = Any


@dataclass
class Evidence:
    """What the router saw of one life of a node: each message, in the order in which it saw them.

    `events` has pairs: whether the message was given to the node or printed by it, and the message.
    `whole` tells that the node left when it was asked to, so that all that it logged was printed.
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

    def seen(self) -> Seen:
        """Return the same as `observed` explains it."""
        found = Seen()
        for given, message in self.events:
            found.add(given, message)
        return found


@dataclass(frozen=True)
class Contradiction:
    """The first place where a log is not what the router saw; `record` is the one that differs."""

    node: str
    reason: str
    record: Record | None = None

    def __str__(self) -> str:
        place = self.record.place if self.record else "its log"
        return f"{place}: node {self.node}: {self.reason} (router)"


def contradiction(
    node: str, records: Sequence[Record], lives: Sequence[Evidence]
) -> Contradiction | None:
    """Compare the log of a node, all its records in order, with all lives that the router saw."""
    logged = _lives(records)
    # A life that ended before it saved anything left nothing in the log, so there may be several
    # ways to tell which life is which: how many lives of the log may be those so far?
    told = {0}
    against: dict[int, Contradiction] = {}
    for number, life in enumerate(lives, 1):
        after = set(told) if life.outputs == 0 else set()
        for at in told & set(range(len(logged))):
            wrong = _against(logged[at], life)
            if wrong is None:
                after.add(at + 1)
            else:
                against[at] = Contradiction(node, f"life {number}: {wrong[1]}", wrong[0])
        if not after:
            ends = Contradiction(node, f"life {number}: its log ends before it")
            return against.get(max(told), ends)
        told = after
    if len(logged) not in told:
        reason = f"its log has {len(logged)} lives, and it had {len(lives)}"
        more = Contradiction(node, reason, logged[max(told)][0])
        return against.get(max(told), more)
    return None


def _lives(records: Sequence[Record]) -> list[list[Record]]:
    """The records of each life; the first of another one than the first is its `crash`."""
    found: list[list[Record]] = []
    for record in records:
        if not found or record.input == "crash":
            found.append([])
        found[-1].append(record)
    return found


Wrong = tuple["Record | None", str]


def _against(records: Sequence[Record], life: Evidence) -> Wrong | None:
    """The first record of a life that the evidence is against, and why; None if there is none."""
    return _inputs_against(records, life) or _outputs_against(records, life)


def _inputs_against(records: Sequence[Record], life: Evidence) -> Wrong | None:
    given = Counter(map(canonical, life.given()))
    for record in records:
        if is_message(record.input):
            text = canonical(record.input)
            given[text] -= 1
            if given[text] < 0:
                return record, f"it was never given, or not so often: {shortened(text)}"
    return None


def _outputs_against(records: Sequence[Record], life: Evidence) -> Wrong | None:
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
