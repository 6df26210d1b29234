"""Read and write vote logs: what nodes promised, voted for and take to be decided.

A vote log is NDJSON; it may hold the lines of one node or of a whole cluster, each node's in its
own order.  Lines are checked against their schema here, and that all of them are about one cluster,
whose quorums meet.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from . import logs
from .canonical import canonical
from .logs import LogError
from .schema import SchemaError, check

Json = Any
Ballot = Any
"""A number, or a list of numbers and texts, as it is in the log."""

KINDS = ("members", "promise", "vote", "decide", "restart")


@dataclass(frozen=True)
class Quorums:
    """Which sets of members are quorums.

    With `sets` it is those and what contains one; otherwise it is the members that have more than
    half of all `weights`.
    """

    weights: dict[str, int]
    sets: tuple[frozenset[str], ...] = ()

    def include(self, nodes: Set[str]) -> bool:
        """Return whether these members are a quorum."""
        if self.sets:
            return any(quorum <= nodes for quorum in self.sets)
        return 2 * sum(self.weights[node] for node in nodes) > sum(self.weights.values())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a vote log, with its file and line.

    `kind` is one of KINDS.  A promise and a vote have a `ballot`, a vote and a decision a `slot`
    and a `value`.
    """

    node: str
    kind: str
    path: Path
    line: int
    ballot: Ballot = None
    slot: int = 0
    value: Json = None

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass
class Slot:
    """What the logs show of one slot: its votes, and the decisions."""

    number: int
    votes: list[Line] = field(default_factory=list)
    decided: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class VoteLogs:
    """The vote logs of one cluster: its members, and all lines in the order of the files."""

    members: tuple[str, ...]
    quorums: Quorums
    lines: list[Line]

    @cached_property
    def logs(self) -> dict[str, list[Line]]:
        """The lines of each node that has a log, in its order."""
        found: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            found[line.node].append(line)
        return dict(found)

    @property
    def missing(self) -> tuple[str, ...]:
        """The members that have no log."""
        return tuple(node for node in self.members if node not in self.logs)

    @cached_property
    def steps(self) -> list[Line]:
        """The promises and votes.

        A vote that a node repeats, as it may after a restart, is no step: it does nothing new.
        """
        known: set[tuple[Any, ...]] = set()
        found = []
        for line in self.lines:
            if line.kind == "vote":
                vote = line.node, line.slot, order(line.ballot), canonical(line.value)
                if vote not in known:
                    found.append(line)
                known.add(vote)
            elif line.kind == "promise":
                found.append(line)
        return found

    @cached_property
    def promised(self) -> dict[str, Ballot]:
        """The highest ballot that each node with a log has promised, None if it has none."""
        found: dict[str, Ballot] = dict.fromkeys(self.logs)
        for line in self.steps:
            highest = found[line.node]
            if highest is None or order(line.ballot) > order(highest):
                found[line.node] = line.ballot
        return found

    @cached_property
    def slots(self) -> dict[int, Slot]:
        """The slots by number, in ascending order."""
        found: dict[int, Slot] = {}
        for line in self.steps:
            if line.kind == "vote":
                found.setdefault(line.slot, Slot(line.slot)).votes.append(line)
        for line in self.lines:
            if line.kind == "decide":
                found.setdefault(line.slot, Slot(line.slot)).decided.append(line)
        return dict(sorted(found.items()))


def order(ballot: Ballot) -> tuple[Any, ...]:
    """Return what ballots are compared by: item by item."""
    return tuple(ballot) if isinstance(ballot, list) else (ballot,)


def check_line(line: Json) -> None:
    """Raise SchemaError unless this is a well-formed line of a vote log."""
    kinds = [kind for kind in KINDS if isinstance(line, dict) and kind in line]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of these"
        raise SchemaError(f"a line has a node and one of {', '.join(KINDS)}, and it has {found}")
    check(line, f"urn:multipaxos:schema:votes#/$defs/{kinds[0]}")


def read(paths: Iterable[Path]) -> VoteLogs:
    """Return the vote logs of one cluster, in one file or in several.

    Raises `LogError` for the first malformed line, for lines of different clusters, quorums that do
    not meet, ballots that cannot be compared, and logs without any vote.
    """
    found: list[Line] = []
    places: dict[str, Path] = {}
    head: tuple[Line, Json] | None = None
    for path in paths:
        if logs.kind_of(path) == logs.LOG:
            raise LogError(
                f"{path}: this is a message log; export --votes writes vote logs from it"
            )
        for number, line in logs.lines(path, "vote log", "line of a vote log", check_line):
            each = _line(line, path, number)
            if each.kind == "members":
                head = head or (each, line)
                _check_head(head, each, line)
            elif each.node not in places:
                raise LogError(
                    f"{each.place}: the first line of node {each.node} must name the members: "
                    f"{_example(each.node)}"
                )
            if places.setdefault(each.node, path) != path:
                raise LogError(
                    f"node {each.node} is in {places[each.node]} and in {path}: these are several "
                    "runs; validate one at a time"
                )
            found.append(each)
    assert head is not None  # `logs.lines` raises for an empty file.
    _check_ballots(found)
    if not any(line.kind in ("vote", "decide") for line in found):
        raise LogError(f"{head[0].path}: there is no vote and no decision, so it shows nothing")
    return VoteLogs(tuple(head[1]["members"]), _quorums(head), found)


def text(lines: Iterable[Json]) -> str:
    """Return lines as the text of a file; raise SchemaError for one that is malformed."""
    found = []
    for line in lines:
        check_line(line)
        found.append(json.dumps(line) + "\n")
    return "".join(found)


def _line(line: Json, path: Path, number: int) -> Line:
    node, kind = line["node"], next(kind for kind in KINDS if kind in line)
    if kind == "promise":
        return Line(node, kind, path, number, line[kind])
    if kind in ("vote", "decide"):
        item = line[kind]
        return Line(node, kind, path, number, item.get("ballot"), item["slot"], item["value"])
    return Line(node, kind, path, number)


def _example(node: str) -> str:
    return json.dumps({"node": node, "members": [node, "..."]})


def _check_head(first: tuple[Line, Json], line: Line, content: Json) -> None:
    """Raise `LogError` unless a line names the same members and quorums as the first such line."""
    if line.node not in content["members"]:
        raise LogError(f"{line.place}: node {line.node} is not among the members that it names")
    for key in ("members", "quorums", "weights"):
        mine, other = content.get(key), first[1].get(key)
        if mine != other:
            raise LogError(
                f"{line.place}: {key} are {json.dumps(mine)} here and {json.dumps(other)} in "
                f"{first[0].place}; all nodes of a cluster must name the same"
            )


def _quorums(head: tuple[Line, Json]) -> Quorums:
    """Return the quorums that a first line names; raise `LogError` unless any two meet."""
    line, content = head
    members: list[str] = content["members"]
    weights = content.get("weights", dict.fromkeys(members, 1))
    sets = tuple(map(frozenset, content.get("quorums", ())))
    if weights.keys() != set(members):
        raise LogError(f"{line.place}: weights must have each member, and nothing else")
    if not sum(weights.values()):
        raise LogError(f"{line.place}: all weights are 0, so there is no quorum")
    for quorum in sets:
        if strange := sorted(quorum - set(members)):
            raise LogError(f"{line.place}: {strange[0]} is in a quorum and is not a member")
    for one, other in combinations(sets, 2):
        if not one & other:
            raise LogError(
                f"{line.place}: the quorums {sorted(one)} and {sorted(other)} have no member in "
                "common, so two values could be chosen; any two quorums must meet"
            )
    return Quorums(weights, sets)


def _check_ballots(lines: Iterable[Line]) -> None:
    """Raise `LogError` unless all ballots can be compared with each other."""
    first: Line | None = None
    for line in lines:
        if line.ballot is None:
            continue
        first = first or line
        if _form(line.ballot) != _form(first.ballot):
            raise LogError(
                f"{line.place}: ballot {json.dumps(line.ballot)} cannot be compared with "
                f"{json.dumps(first.ballot)} in {first.place}; all must have the same form"
            )


def _form(ballot: Ballot) -> Sequence[type]:
    return [type(ballot), *map(type, order(ballot))]
