"""Random runs of acceptors, mutations of their vote logs, and a second checker of them.

The second checker shares no algorithm with the first: it searches for an interleaving of the logs
in which every vote is a step that `Voting` allows at that very time.  It is good for small logs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from conformance.formats.vote_logs import Line, Quorums, VoteLogs

MEMBERS = ("n1", "n2", "n3")
MAJORITY = Quorums(dict.fromkeys(MEMBERS, 1))
PATH = Path("votes.ndjson")

Vote = tuple[str, int, int, str]
"""Node, slot, ballot, value."""


def numbered(lines: Sequence[Line]) -> list[Line]:
    """Number lines as those of one file."""
    return [replace(line, path=PATH, line=at) for at, line in enumerate(lines, 1)]


def cluster(
    lines: Sequence[Line],
    members: tuple[str, ...] = MEMBERS,
    quorums: Quorums = MAJORITY,
    logged: Sequence[str] | None = None,
) -> VoteLogs:
    """Return the vote logs with these lines; `logged` are the nodes with a log, by default all."""
    heads = [Line(node, "members", PATH, 0) for node in (members if logged is None else logged)]
    return VoteLogs(members, quorums, numbered([*heads, *lines]))


def promise(node: str, ballot: int) -> Line:
    return Line(node, "promise", PATH, 0, ballot)


def vote(node: str, ballot: int, value: str, slot: int = 1) -> Line:
    return Line(node, "vote", PATH, 0, ballot, slot, value)


def decide(node: str, value: str, slot: int = 1) -> Line:
    return Line(node, "decide", PATH, 0, None, slot, value)


def restart(node: str) -> Line:
    return Line(node, "restart", PATH, 0)


# Voting, as a state machine: an independent reading of spec/Voting.tla.


def may_vote(votes: frozenset[Vote], promised: dict[str, int], new: Vote, quorums: Quorums) -> bool:
    """Return whether an acceptor may vote so now, by the votes and promises of this time."""
    node, slot, ballot, value = new
    cast = [x for x in votes if x[1] == slot]
    if ballot < promised[node] or any(b == ballot and v != value for _, _, b, v in cast):
        return False
    bound = [n for n in promised if n == node or promised[n] >= ballot]
    for size in range(1, len(bound) + 1):
        for some in combinations(bound, size):
            if quorums.include(set(some)):
                below = [(b, v) for n, _, b, v in cast if n in some and b < ballot]
                if not below or max(below)[1] == value:
                    return True
    return False


def chosen(votes: frozenset[Vote], quorums: Quorums) -> set[tuple[int, str]]:
    """Return the choices: slots with a value that a quorum voted for in one ballot."""
    return {
        (slot, value)
        for _, slot, ballot, value in votes
        if quorums.include({n for n, s, b, v in votes if (s, b, v) == (slot, ballot, value)})
    }


def random_run(
    rng: random.Random,
    members: tuple[str, ...] = MEMBERS,
    quorums: Quorums = MAJORITY,
    steps: int = 14,
    ballots: int = 4,
    slots: int = 2,
) -> list[Line]:
    """Return the lines of a random behaviour of Voting, in the order of its steps."""
    votes: frozenset[Vote] = frozenset()
    promised = dict.fromkeys(members, 0)
    found: list[Line] = []
    for _ in range(steps * 20):
        if len(found) >= steps:
            break
        node, ballot = rng.choice(members), rng.randint(1, ballots)
        slot, value = rng.randint(1, slots), rng.choice("xy")
        if ballot >= promised[node] and rng.random() < 0.35:
            promised[node] = ballot
            found.append(promise(node, ballot))
        elif may_vote(votes, promised, new := (node, slot, ballot, value), quorums):
            promised[node] = ballot
            votes |= {new}
            found.append(vote(node, ballot, value, slot))
        elif (choices := sorted(chosen(votes, quorums))) and rng.random() < 0.2:
            slot, value = rng.choice(choices)
            found.append(decide(node, value, slot))
        elif rng.random() < 0.02:
            found.append(restart(node))
    return found


# Mutations.


def _another_value(rng: random.Random, lines: list[Line]) -> None:
    at = rng.choice([at for at, line in enumerate(lines) if line.kind == "vote"])
    lines[at] = replace(lines[at], value=rng.choice([v for v in "xyz" if v != lines[at].value]))


def _dropped_promise(rng: random.Random, lines: list[Line]) -> None:
    """Drop a promise that is the last word of its node: another one would say it as well."""
    last = {line.node: at for at, line in enumerate(lines) if line.ballot is not None}
    del lines[rng.choice([at for at in last.values() if lines[at].kind == "promise"])]


def _swapped_ballots(rng: random.Random, lines: list[Line]) -> None:
    one, other = rng.sample([at for at, line in enumerate(lines) if line.ballot is not None], 2)
    ballots = lines[one].ballot, lines[other].ballot
    lines[one] = replace(lines[one], ballot=ballots[1])
    lines[other] = replace(lines[other], ballot=ballots[0])


def _vote_below_promise(rng: random.Random, lines: list[Line]) -> None:
    at = rng.choice(
        [a for a, line in enumerate(lines) if line.kind == "promise" and line.ballot > 1]
    )
    below = rng.randrange(1, lines[at].ballot)
    lines.insert(at + 1, vote(lines[at].node, below, rng.choice("xy"), rng.randint(1, 2)))


def _decision_without_votes(rng: random.Random, lines: list[Line]) -> None:
    lines.append(decide(rng.choice(MEMBERS), rng.choice("xyz"), rng.randint(1, 3)))


def _dropped_vote(rng: random.Random, lines: list[Line]) -> None:
    del lines[rng.choice([at for at, line in enumerate(lines) if line.kind == "vote"])]


MUTATIONS: dict[str, Callable[[random.Random, list[Line]], None]] = {
    "a vote for another value": _another_value,
    "a promise dropped": _dropped_promise,
    "ballots swapped": _swapped_ballots,
    "a vote below a promise": _vote_below_promise,
    "a decision without votes": _decision_without_votes,
    "a vote dropped": _dropped_vote,
}


# The second checker.


def expected(logs: VoteLogs) -> list[int]:
    """Return the lines that must be rejected: of each node's order first, then of each slot."""
    return [*_orders(logs), *_slots(logs)]


def _orders(logs: VoteLogs) -> Iterator[int]:
    """Yield the first line of each node that is below a line before it, unless it says it again."""
    for log in logs.logs.values():
        promised, known = 0, []
        for line in log:
            again = line.kind == "vote" and (line.slot, line.ballot, line.value) in known
            if line.ballot is None or again:
                continue
            if line.ballot < promised:
                yield line.line
                break
            promised = line.ballot
            known.append((line.slot, line.ballot, line.value))


def _slots(logs: VoteLogs) -> Iterator[int]:
    for slot in sorted({line.slot for line in logs.lines if line.kind in ("vote", "decide")}):
        if (line := _wrong_vote(logs, slot) or _wrong_decision(logs, slot)) is not None:
            yield line.line


def _wrong_vote(logs: VoteLogs, slot: int) -> Line | None:
    """Return the vote to blame: of the lowest ballot that no interleaving reaches.

    If each vote of the ballot could stand there alone, it is the first that differs from the first.
    """
    cast = [line for line in logs.lines if line.kind == "vote" and line.slot == slot]
    for ballot in sorted({line.ballot for line in cast}):
        below = [line for line in cast if line.ballot < ballot]
        here = [line for line in cast if line.ballot == ballot]
        other = [line for line in here if line.value != here[0].value]
        if other:
            return other[0]
        for line in here:
            if not _interleaves(logs, [*below, line]):
                return line
    return None


def _interleaves(logs: VoteLogs, cast: Sequence[Line]) -> bool:
    """Return whether Voting allows these votes of one slot, in some interleaving of the logs.

    A node promises what its log promises at the end as early as its votes allow it: a promise is
    always safe.
    """
    promises = {
        node: max([line.ballot for line in logs.logs[node] if line.ballot is not None], default=0)
        for node in logs.members
    }
    own = {
        node: sorted((line for line in cast if line.node == node), key=lambda line: line.ballot)
        for node in logs.members
    }
    seen: set[tuple[int, ...]] = set()

    def reaches(done: tuple[int, ...]) -> bool:
        if all(at == len(own[node]) for node, at in zip(logs.members, done, strict=True)):
            return True
        if done in seen:
            return False
        seen.add(done)
        at = dict(zip(logs.members, done, strict=True))
        votes = frozenset(
            (node, line.slot, line.ballot, line.value)
            for node in logs.members
            for line in own[node][: at[node]]
        )
        promised = {
            node: own[node][at[node]].ballot if at[node] < len(own[node]) else promises[node]
            for node in logs.members
        }
        for place, node in enumerate(logs.members):
            if at[node] < len(own[node]):
                line = own[node][at[node]]
                new = (node, line.slot, line.ballot, line.value)
                if may_vote(votes, promised, new, logs.quorums) and reaches(
                    (*done[:place], done[place] + 1, *done[place + 1 :])
                ):
                    return True
        return False

    return reaches((0,) * len(logs.members))


def _wrong_decision(logs: VoteLogs, slot: int) -> Line | None:
    votes = frozenset(
        (line.node, line.slot, line.ballot, line.value)
        for line in logs.lines
        if line.kind == "vote"
    )
    choices = chosen(votes, logs.quorums)
    for line in logs.lines:
        if line.kind == "decide" and line.slot == slot and (slot, line.value) not in choices:
            return line
    return None
