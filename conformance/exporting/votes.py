"""Vote logs of a cluster from its message logs: what each message asserts of its sender.

`prepare`, `promise` and `rejected` assert a promise, `accept` and `accepted` a vote.  Decisions are
those that a node sends, to a node or a client, or receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..formats import logs
from ..formats.canonical import canonical
from ..formats.logs import Record
from ..formats.schema import is_message
from .outputs import MADE_BY, ExportError

Json = Any


def lines(records: Sequence[Record]) -> list[Json]:
    """Return the vote logs of a run, each node's lines in its order.

    A promise, vote or decision that a node has asserted before is left out.  Raises `ExportError`
    for nodes without `init`, for a cluster of one, which votes without a message, and for a log
    that begins with a state, which lacks the votes for what is decided in it.
    """
    found: list[Json] = []
    for node, log in logs.by_node(records).items():
        members = logs.members(log)
        begun = log[0].state is not None
        if len(members) < 2 or begun:
            reason = "has no init" if not members else "is a cluster of one, and sends no votes"
            reason = "begins with a state, so its first votes are not logged" if begun else reason
            raise ExportError(f"{log[0].path}: node {node} {reason}; there is no vote log of it")
        head = {"node": node, "members": list(members), "written_by": MADE_BY}
        found += [head, *({"node": node, **each} for each in _new(log))]
    return found


def _new(log: Iterable[Record]) -> Iterator[Json]:
    known: set[str] = set()
    promised: Json = None
    for record in log:
        for assertion in _assertions(record):
            text = canonical(assertion)
            # Of promises only the last one is not repeated: one that is lower must be seen.
            if "promise" in assertion:
                again, promised = assertion == promised, assertion
            else:
                again = text in known and "restart" not in assertion
                known.add(text)
            if not again:
                yield assertion


def _assertions(record: Record) -> Iterator[Json]:
    """Yield what a step asserts of its node, in the form of a vote log."""
    given = record.input
    if given == "restart":
        yield {"restart": True}
    if record.refused:
        return
    if is_message(given) and given["body"]["type"] in ("decided", "learned"):
        yield from _decisions(given["body"])
    for body in (message["body"] for message in record.output):
        match body["type"]:
            case "prepare" | "promise":
                yield {"promise": body["ballot"]}
            case "rejected":
                yield {"promise": body["promised"]}
            case "accept":
                yield _vote(body)
            case "accepted" if is_message(given) and given["body"]["type"] == "accept":
                yield _vote({**body, "value": given["body"]["value"]})
            case _:
                yield from _decisions(body)


def _vote(body: Json) -> Json:
    return {"vote": {key: body[key] for key in ("slot", "ballot", "value")}}


def _decisions(body: Json) -> Iterator[Json]:
    """Yield the decisions in a message between nodes or to a client."""
    match body["type"]:
        case "decided" | "multi_paxos_propose_ok":
            entries = [body]
        case "learned":
            entries = body["decided"]
        case "multi_paxos_log_ok":
            entries = body["log"]
        case _:
            entries = []
    for entry in entries:
        yield {"decide": {"slot": entry["slot"], "value": entry["value"]}}
