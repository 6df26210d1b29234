"""Check what the specification leaves out: `init`, senders, refusals, reply numbers, first states.

The specification begins when a node knows its cluster.  It has neither malformed requests nor
messages that no node sends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any

from ..formats.logs import Record
from ..formats.schema import SchemaError, check, is_message
from .verdict import Rejection

Json = Any

REQUESTS = ("init", "multi_paxos_propose", "multi_paxos_log")

# Messages that the owner of a ballot sends in it, and the replies to them.
BALLOT_REQUESTS, BALLOT_REPLIES = ("prepare", "accept"), ("promise", "accepted")

# A schema cannot limit how deep a value nests; nodes refuse what another node may fail to read.
DEEPEST_VALUE = 128


def check_handshake(log: Sequence[Record]) -> Rejection | None:
    """Check `init`, senders, refusals, reply numbers and the first state of one node's log."""
    members: list[str] | None = None
    replies, up = 0, True
    reason: str | None
    for record in log:
        given = record.input
        if not up and is_message(given):
            reason = "a message was received while the node was down"
        elif record.state is not None:
            reason = (
                _state_error(record.state)
                if record is log[0]
                else "a state is not at the beginning"
            )
        elif record.refused:
            reason = _refusal_error(record, members)
        elif record.starts:
            reason = _init_error(record, members)
            members = members or given["body"]["node_ids"]
        elif members is None:
            reason = "a step before init"
        else:
            reason = _sender_error(given, members) if is_message(given) else None
        up = given != "crash" and (up or given == "restart")
        reason = reason or _number_error(record, replies)
        replies += sum("msg_id" in message["body"] for message in record.output)
        if given == "restart":
            replies = 0
        if reason is not None:
            return Rejection(record, "handshake", reason)
    return None


def _init_error(record: Record, members: list[str] | None) -> str | None:
    """Check an `init` and its answer; `members` are those of an earlier `init`."""
    given = record.input
    body = given["body"]
    if body["node_id"] != record.node or given["dest"] != record.node:
        return f"{body['node_id']} was initialised in the log of {record.node}"
    if not _is_for_member(given):
        return "init is not from a client to one of its node_ids"
    if members not in (None, body["node_ids"]):
        return "a second init with other node_ids was accepted"
    expected = {"type": "init_ok", "in_reply_to": body["msg_id"]}
    sent = [
        {**m, "body": {k: v for k, v in m["body"].items() if k != "msg_id"}} for m in record.output
    ]
    if sent != [{"src": record.node, "dest": given["src"], "body": expected}]:
        return "init is not answered by init_ok alone"
    return None


def _state_error(state: Json) -> str | None:
    """Check what is always true of a durable state."""
    decided = {entry["slot"] for entry in state["decided"]}
    for vote in state["accepted"]:
        if vote["ballot"] > state["promised"]:
            return f"a vote in ballot {vote['ballot']}, above the promise {state['promised']}"
        if vote["slot"] in decided:
            return f"slot {vote['slot']} has a vote, and is decided"
    return None


def _is_for_member(given: Json) -> bool:
    """Return whether an `init` is from a client to the member that it names."""
    members, node = given["body"]["node_ids"], given["body"]["node_id"]
    return given["dest"] == node and node in members and given["src"] not in members


def _sender_error(message: Json, members: list[str]) -> str | None:
    """Check the sender of a message.

    Between members, a request is in a ballot of its sender, and a reply in one of its destination.
    """
    src, dest, body = message["src"], message["dest"], message["body"]
    kind = body["type"]
    if kind in REQUESTS:
        return f"{kind} is from a node, not from a client" if src in members else None
    if src not in members or src == dest:
        return f"{kind} is from {src}, which is not another node of the cluster"
    owner = members[(body.get("ballot", 1) - 1) % len(members)]
    if (kind in BALLOT_REQUESTS and owner != src) or (kind in BALLOT_REPLIES and owner != dest):
        return f"{kind} of ballot {body['ballot']}, which belongs to {owner}"
    return None


def _number_error(record: Record, replies: int) -> str | None:
    """Check that replies are numbered one by one.

    The replies of one step to one client have ascending numbers; the order of clients is free.
    """
    numbers: dict[str, list[int]] = defaultdict(list)
    for message in record.output:
        if "msg_id" in message["body"]:
            numbers[message["dest"]].append(message["body"]["msg_id"])
    every = sorted(chain(*numbers.values()))
    for expected, found in enumerate(every, replies):
        if found != expected:
            return f"the reply has msg_id {found} instead of {expected}"
    for client, its in numbers.items():
        if its != sorted(its):
            return f"the msg_ids of the replies to {client} do not ascend"
    return None


def _refusal_error(record: Record, members: list[str] | None) -> str | None:
    """Check the error code of a refused request.

    10 is for an unknown type, 11 for a request before `init`, 12 for a malformed request or a
    second `init`.
    """
    body = record.input["body"]
    code = record.output[0]["body"]["code"]
    allowed: set[int] = set()
    if not isinstance(body.get("type"), str):
        allowed.add(12)
    elif body["type"] not in REQUESTS:
        allowed.add(10)
    elif not _well_formed(body) or (body["type"] == "init" and not _is_for_member(record.input)):
        allowed.add(12)
    if body.get("type") != "init" and members is None:
        allowed.add(11)
    elif body.get("type") == "init" and members is not None:
        allowed.add(12)
    if not allowed:
        return "a request was refused that is well-formed and allowed here"
    if code not in allowed:
        return f"refused with error {code} instead of {' or '.join(map(str, sorted(allowed)))}"
    return None


def _well_formed(body: Json) -> bool:
    try:
        check(body, f"urn:multipaxos:schema:messages#/$defs/{body['type']}")
    except SchemaError:
        return False
    return _depth(body.get("value")) <= DEEPEST_VALUE


def _depth(value: Json) -> int:
    """Return how deep lists and objects nest; without recursion, for values may be too deep."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [*chain(*(each.values() if isinstance(each, dict) else each for each in level))]
    return depth
