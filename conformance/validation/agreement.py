"""Check that the logs of a cluster name the same members and report one value for each slot.

The specification guarantees agreement, but only if every node's log is checked and every node was
given the same members.  So reported decisions are compared as well: two values in a slot are an
error even if the log of the faulty node is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record, members
from ..formats.schema import is_message
from ..report import shortened
from .verdict import Rejection

Json = Any
Logs = Mapping[str, Sequence[Record]]


def check_membership(logs: Logs) -> list[Rejection]:
    """Reject the first `init` of each node whose members differ from those of most nodes."""
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


def check_agreement(records: Sequence[Record], logs: Logs) -> list[Rejection]:
    """Reject, for each slot with two values, the first record that reports a second value.

    `records` are all records of `logs`, in file order.
    """
    first_reports: dict[int, tuple[str, Record]] = {}
    rejections: dict[int, Rejection] = {}
    for record in records:
        for slot, value in decisions_in(record, logs):
            text = canonical(value)
            first, other = first_reports.setdefault(slot, (text, record))
            if slot not in rejections and text != first:
                reason = f"slot {slot} has another value in {other.place}, {shortened(first)}"
                reason += f" and not {shortened(text)}: both cannot be decided"
                rejections[slot] = Rejection(record, "agreement", reason)
    return list(rejections.values())


def check_ballots(records: Sequence[Record], logs: Logs) -> list[Rejection]:
    """Reject states with a vote for another value than a state or a message has in that ballot."""
    votes: dict[tuple[int, int], tuple[str, Record]] = {}
    for record in records:
        for vote in (record.state or {}).get("accepted", ()):
            votes[vote["slot"], vote["ballot"]] = canonical(vote["value"]), record
    rejections: dict[str, Rejection] = {}
    for record in records if votes else ():
        for vote in votes_in(record, logs):
            text, begun = votes.get((vote["slot"], vote["ballot"]), ("", record))
            other = canonical(vote["value"])
            if begun is not record and text != other:
                reason = f"slot {vote['slot']}, ballot {vote['ballot']} has another value in "
                reason += f"{record.place}, {shortened(other)} and not {shortened(text)}"
                rejections[begun.node] = Rejection(
                    begun, "agreement", f"{reason}: a ballot has one"
                )
    return list(rejections.values())


def votes_in(record: Record, logs: Logs) -> Iterator[Json]:
    """Yield the votes of a state, and those that an `accept` asks for, if nobody else logs it."""
    yield from (record.state or {}).get("accepted", ())
    given = [record.input] if is_message(record.input) else []
    for message in (*record.output, *(each for each in given if each["src"] not in logs)):
        if message["body"].get("type") == "accept":
            yield message["body"]


def missing_logs(logs: Logs) -> list[str]:
    """Return the members that these logs name and whose own logs are missing."""
    named = dict.fromkeys(member for log in logs.values() for member in members(log))
    return [member for member in named if member not in logs]


def begun_logs(logs: Logs) -> list[str]:
    """Return the nodes whose logs begin with a state: they may have sent something before it."""
    return [node for node, log in logs.items() if log[0].state is not None]


def decisions_in(record: Record, logs: Logs) -> Iterator[tuple[int, Json]]:
    """Yield the decisions that a node begins with or sends, or receives from one without a log.

    Decisions received in a log that stands alone do not count: the inputs of a golden trace come
    from no single run.
    """
    given = record.input
    if record.state is not None:
        yield from ((entry["slot"], entry["value"]) for entry in record.state["decided"])
    if len(logs) > 1 and is_message(given) and given["src"] not in logs:
        yield from _decisions(given["body"], ("decided", "learned"))
    for message in record.output:
        yield from _decisions(message["body"], _REPORTING)


_REPORTING = ("decided", "learned", "multi_paxos_propose_ok", "multi_paxos_log_ok")


def _decisions(body: Json, types: Sequence[str]) -> Iterator[tuple[int, Json]]:
    if body.get("type") in types:
        entries = body.get("log", body.get("decided", [body]))
        yield from ((entry["slot"], entry["value"]) for entry in entries)
