"""The vote checker: TLC decides whether vote logs come from a run that spec/Voting.tla allows.

spec/VoteLogs.tla has the conditions, and why they are enough.  Each log must keep its promises, and
each slot must be in order by what all logs show at the end.  A log is checked in *parts* of some
thousand lines, each of which begins with the last line of the part before it.  Of slots each
*shape* is checked once (`slot_shapes`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..formats.vote_logs import Line, Quorums, VoteLogs, order
from ..jobs import at_once
from ..locations import LIBRARIES
from ..tlaplus import tlc, values
from .slot_shapes import Numbered, Shape, Wrong

# How many lines of logs, or slots, a run of TLC checks.
PART, WINDOW = 4_000, 2_000


@dataclass(frozen=True)
class Acceptors:
    """What a run of TLC takes as given: how many acceptors, which are missing, what is a quorum.

    `quorum` are the lines of its definition.
    """

    number: int
    missing: frozenset[int]
    quorum: tuple[str, ...]

    @classmethod
    def of(cls, cluster: VoteLogs) -> Acceptors:
        number = {member: at for at, member in enumerate(cluster.members, 1)}
        missing = frozenset(number[node] for node in cluster.missing)
        return cls(len(number), missing, tuple(_quorum(cluster.quorums, number)))


@dataclass(frozen=True)
class Ranks:
    """A part of a log in numbers: the rank of the ballot of each line, wherever it changes."""

    ranks: tuple[int, ...]

    def to_tla(self) -> str:
        return values.text(self.ranks)


@dataclass(frozen=True)
class Found:
    """What TLC found wrong with the vote logs of a cluster.

    below: lines that are below the line before them, which is the first of the two
    wrong: slots
    """

    below: list[tuple[Line, Line]] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)

    def reject_part(self, lines: Sequence[Line], why: Any) -> None:
        """Add what TLC printed of a part of a log: the indices of its wrong lines, from 1 on."""
        first = min(why[0])
        self.below.append((lines[first - 2], lines[first - 1]))

    def reject_slot(self, numbered: Numbered, why: Any) -> None:
        """Add what TLC printed of the shape of a slot."""
        self.wrong.append(numbered.wrong(why))


def check_votes(
    clusters: Sequence[VoteLogs], on_progress: Callable[[str], None] = lambda text: None
) -> list[Found]:
    """Check the vote logs of each cluster; raises `ToolError` unless TLC checked all of them."""
    founds = [Found() for cluster in clusters]
    # By the acceptors that they are checked for, all that TLC checks, and what a rejection is for.
    checked: dict[Acceptors, dict[Item, list[Callable[[Any], None]]]] = {}
    for cluster, found in zip(clusters, founds, strict=True):
        items = checked.setdefault(Acceptors.of(cluster), defaultdict(list))
        for node in cluster.logs:
            for ranks, lines in _parts(line for line in cluster.steps if line.node == node):
                items[ranks].append(partial(found.reject_part, lines))
        for slot in cluster.slots.values():
            numbered = Numbered.of(slot, cluster)
            items[numbered.shape].append(partial(found.reject_slot, numbered))
    windows = [(acceptors, some) for acceptors in checked for some in _windows(checked[acceptors])]
    done, total = 0, sum(map(len, checked.values()))
    for (acceptors, some), printed in at_once(lambda window: _run(*window), windows):
        done += len(some)
        on_progress(f"{done:,} of {total:,} parts of logs and shapes of slots checked")
        for item, why in printed:
            for reject in checked[acceptors][item]:
                reject(why)
    for found in founds:
        found.wrong.sort(key=lambda each: each.slot.number)
    return founds


def _parts(log: Iterable[Line]) -> Iterator[tuple[Ranks, Sequence[Line]]]:
    """Yield the parts of a log; in all but the first, the first line is the last one before it."""
    lines: list[Line] = []
    for line in log:
        if not lines or order(line.ballot) != order(lines[-1].ballot):
            lines.append(line)
    for begin in range(0, len(lines) - 1, PART):
        some = lines[begin : begin + PART + 1]
        rank = {b: at for at, b in enumerate(sorted({order(line.ballot) for line in some}), 1)}
        yield Ranks(tuple(rank[order(line.ballot)] for line in some)), some


# A run of TLC: the module that it reads, and what it prints.

Item = Ranks | Shape


def _windows(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items in portions that a run of TLC checks in a few seconds."""
    some: list[Item] = []
    size = 0.0
    for item in items:
        some.append(item)
        size += len(item.ranks) / PART if isinstance(item, Ranks) else 1 / WINDOW
        if size >= 1:
            yield some
            some, size = [], 0.0
    if some:
        yield some


def _run(acceptors: Acceptors, window: Sequence[Item]) -> list[tuple[Item, Any]]:
    """Return the items of a window that are rejected, and why."""
    items: dict[str, list[Item]] = {
        "log": [item for item in window if isinstance(item, Ranks)],
        "slot": [item for item in window if isinstance(item, Shape)],
    }
    found: list[tuple[Item, Any]] = []

    def listen(line: str) -> None:
        what, at, why = values.parse(json.loads(line))
        found.append((items[what][at - 1], why))

    texts = [[item.to_tla() for item in items[what]] for what in ("log", "slot")]
    outcome = tlc.run(
        "Votes",
        _module(acceptors, *texts),
        CONFIG,
        libraries=LIBRARIES,
        workers=1,
        brief=True,
        on_print=listen,
    )
    if outcome.generated != len(window):
        raise tlc.ToolError("TLC did not check every slot and log; this is no verdict")
    return found


CONFIG = """\
CONSTANTS
    Acceptor <- Acceptors
    Absent <- AbsentAcceptors
    IsQuorum <- Quorum
    MayVote <- MayVoteByLargest
    Slot = {1}
    Value = {1}
    Ballot = {1}
SPECIFICATION CheckedSpec
"""


def _module(acceptors: Acceptors, logs: Sequence[str], slots: Sequence[str]) -> str:
    """Return what a run checks as a TLA+ module."""
    lines = [
        "---- MODULE Votes ----",
        "EXTENDS CheckedVotes",
        f"Acceptors == 1..{acceptors.number}",
        f"AbsentAcceptors == {values.text(acceptors.missing)}",
        *acceptors.quorum,
        *(f"L{at} == {text}" for at, text in enumerate(logs, 1)),
        *(f"S{at} == {text}" for at, text in enumerate(slots, 1)),
        f"ASSUME TLCSet(1, <<{_names('L', logs)}>>) /\\ TLCSet(2, <<{_names('S', slots)}>>)",
        "====",
        "",
    ]
    # No name contains a comma, and TLC takes much longer to read long lines.
    return "\n".join(lines).replace(", ", ",\n")


def _names(prefix: str, texts: Sequence[str]) -> str:
    return ", ".join(f"{prefix}{at}" for at in range(1, len(texts) + 1))


def _quorum(quorums: Quorums, number: dict[str, int]) -> list[str]:
    """Return the definition of a quorum of acceptors, which are numbers in TLC."""
    if quorums.sets:
        sets = {frozenset(number[node] for node in each) for each in quorums.sets}
        return [f"Sets == {values.text(sets)}", "Quorum(S) == \\E Q \\in Sets : Q \\subseteq S"]
    weights = [quorums.weights[node] for node in number]
    return [
        f"Weights == {values.text(weights)}",
        "Sum(S) == LET upto[i \\in 0..Len(Weights)] == IF i = 0 THEN 0",
        "    ELSE upto[i - 1] + (IF i \\in S THEN Weights[i] ELSE 0) IN upto[Len(Weights)]",
        f"Quorum(S) == Sum(S) > {sum(weights) // 2}",
    ]
