"""Checks that the logs of a cluster are those of one cluster, and tell one value for each slot.

The specification guarantees agreement, but only for nodes that are all judged and were all given
the same members.  So what the logs tell is compared as well: two values in a slot are wrong even
where the log of the node that is to blame is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record, members
from ..formats.schema import is_message
from .verdict import Rejection

Json = Any
Logs = Mapping[str, Sequence[Record]]


def membership(logs: Logs) -> list[Rejection]:
    """Return the first `init` of each node that was given other members than most nodes were."""
    named = {node: members(log) for node, log in logs.items() if members(log)}
    if len(set(named.values())) < 2:
        return []
    [(usual, _)] = Counter(sorted(named.values())).most_common(1)
    other = next(node for node in named if named[node] == usual)
    return [
        Rejection(
            next(record for record in logs[node] if record.starts and not record.refused),
            "agreement",
            f"{node} was given the members {list(given)}, and {other} was given {list(usual)}",
        )
        for node, given in named.items()
        if given != usual
    ]


def agreement(records: Sequence[Record], logs: Logs) -> list[Rejection]:
    """Return, for each slot with two values, the first record that tells another value than the
    records before it.

    `records` are those of `logs` in the order that they are given in.
    """
    holds: dict[int, tuple[str, Record]] = {}
    found: dict[int, Rejection] = {}
    for record in records:
        for slot, value in _told(record, logs):
            told = canonical(value)
            first, other = holds.setdefault(slot, (told, record))
            if slot not in found and told != first:
                reason = f"slot {slot} has another value in {other.place}: both cannot be decided"
                found[slot] = Rejection(record, "agreement", reason)
    return list(found.values())


def absent(logs: Logs) -> list[str]:
    """The members that these logs name and whose own logs are missing."""
    named = dict.fromkeys(member for log in logs.values() for member in members(log))
    return [member for member in named if member not in logs]


def _told(record: Record, logs: Logs) -> Iterator[tuple[int, Json]]:
    """The decisions that a node tells, or is told by one whose log is missing.

    What a log that stands alone was told does not count: the inputs of a generated test case come
    from no single run.
    """
    given = record.input
    if len(logs) > 1 and is_message(given) and given["src"] not in logs:
        yield from _decisions(given["body"], ("decided", "learned"))
    for message in record.output:
        yield from _decisions(message["body"], _TELLING)


_TELLING = ("decided", "learned", "multi_paxos_propose_ok", "multi_paxos_log_ok")


def _decisions(body: Json, kinds: Sequence[str]) -> Iterator[tuple[int, Json]]:
    if body.get("type") in kinds:
        entries = body.get("log", body.get("decided", [body]))
        yield from ((entry["slot"], entry["value"]) for entry in entries)
