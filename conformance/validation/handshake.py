"""Judges what the specification leaves out: `init`, who may say what, refused requests and the
numbers of replies.

The specification begins when a node knows its cluster, and knows neither malformed requests nor
messages that nobody sends.
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

# What the owner of a ballot says in it, and what it is answered.
ASKING, ANSWERING = ("prepare", "accept"), ("promise", "accepted")

# A schema cannot tell how deep a value may nest; nodes refuse what others may fail to read.
DEEPEST_VALUE = 128


def handshake(log: Sequence[Record]) -> Rejection | None:
    """Judges `init`, senders, refusals and reply numbers of one node's log."""
    members: list[str] | None = None
    replies, up = 0, True
    for record in log:
        given = record.input
        if not up and is_message(given):
            reason = "a node that is down took a message"
        elif record.refused:
            reason = _wrongly_refused(record, members)
        elif record.starts:
            reason = _wrongly_started(record, members)
            members = members or given["body"]["node_ids"]
        elif members is None:
            reason = "a step before init"
        else:
            reason = _wrongly_sent(given, members) if is_message(given) else None
        up = given != "crash" and (up or given == "restart")
        reason = reason or _wrongly_numbered(record, replies)
        replies += sum("msg_id" in message["body"] for message in record.output)
        if given == "restart":
            replies = 0
        if reason is not None:
            return Rejection(record, "handshake", reason)
    return None


def _wrongly_started(record: Record, members: list[str] | None) -> str | None:
    given = record.input
    body = given["body"]
    if body["node_id"] != record.node or given["dest"] != record.node:
        return f"{body['node_id']} was initialised in the log of {record.node}"
    if not _in_place(given):
        return "init is not from a client to one of its node_ids"
    if members not in (None, body["node_ids"]):
        return "a different second init was accepted"
    expected = {"type": "init_ok", "in_reply_to": body["msg_id"]}
    sent = [
        {**m, "body": {k: v for k, v in m["body"].items() if k != "msg_id"}} for m in record.output
    ]
    if sent != [{"src": record.node, "dest": given["src"], "body": expected}]:
        return "init is not answered by init_ok alone"
    return None


def _in_place(given: Json) -> bool:
    """Whether an `init` is from a client to the node that it names, which is one of the cluster."""
    members = given["body"]["node_ids"]
    return given["dest"] == given["body"]["node_id"] in members and given["src"] not in members


def _wrongly_sent(message: Json, members: list[str]) -> str | None:
    """Between members each speaks of its own ballots, or answers in those of the other one."""
    src, dest, body = message["src"], message["dest"], message["body"]
    kind = body["type"]
    if kind in REQUESTS:
        return f"{kind} is from a node, not from a client" if src in members else None
    if src not in members or src == dest:
        return f"{kind} is from {src}, which is no other node of the cluster"
    owner = members[(body.get("ballot", 1) - 1) % len(members)]
    if (kind in ASKING and owner != src) or (kind in ANSWERING and owner != dest):
        return f"{kind} of ballot {body['ballot']}, which is that of {owner}"
    return None


def _wrongly_numbered(record: Record, replies: int) -> str | None:
    """Replies are numbered one by one, those of one step to each client in their order; which
    client comes first is free.
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
            return f"the replies to {client} have msg_ids that descend"
    return None


def _wrongly_refused(record: Record, members: list[str] | None) -> str | None:
    body = record.input["body"]
    code = record.output[0]["body"]["code"]
    allowed = set()
    if not isinstance(body.get("type"), str):
        allowed.add(12)
    elif body["type"] not in REQUESTS:
        allowed.add(10)
    elif not _well_formed(body) or (body["type"] == "init" and not _in_place(record.input)):
        allowed.add(12)
    if body.get("type") != "init" and members is None:
        allowed.add(11)
    elif body.get("type") == "init" and members is not None:
        allowed.add(12)
    if not allowed:
        return "a request that is well formed and in time was refused"
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
    """How deep lists and objects nest, found without nesting as deep."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [*chain(*(each.values() if isinstance(each, dict) else each for each in level))]
    return depth
