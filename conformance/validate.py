"""Was what nodes did allowed by the specification?  Three judges, each for what it alone can see.

`handshake` sees what the specification leaves out: `init`, refused requests and the numbers of
replies.  `delivery` sees that every message received was sent before.  TLC sees the protocol: that
each node's log, taken alone, is a behaviour of the automaton that spec/MultiPaxos.tla describes.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from . import tlc, values
from .logs import Record
from .models import LIBRARIES
from .names import Names
from .schema import SchemaError, check

Json = Any

REQUESTS = ("init", "multi_paxos_propose", "multi_paxos_log")

# A schema cannot tell how deep a value may nest; nodes refuse what others may fail to read.
DEEPEST_VALUE = 128


@dataclass(frozen=True)
class Rejection:
    """The first bad record of a node's log: who says so, and what was allowed there.

    `allowed` is None where the specification takes no such input at all, otherwise the output
    that it demands.
    """

    record: Record
    judge: str
    reason: str
    allowed: list[Json] | None = None


@dataclass(frozen=True)
class Verdict:
    """The judgement of one cluster's log."""

    records: int
    rejections: list[Rejection]


def by_node(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Each node's records, in its own order."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.node].append(record)
    return dict(found)


def validate(
    clusters: Sequence[Sequence[Record]],
    batch: int,
    *,
    on_progress: Callable[[str], None] = lambda text: None,
) -> list[Verdict]:
    """Judges the logs of whole clusters, those of different clusters apart.

    `batch` is the spec's constant Batch that the nodes ran with.
    """
    nodes = [by_node(cluster) for cluster in clusters]
    before = [[*filter(None, map(handshake, logs.values())), *delivery(logs)] for logs in nodes]
    protocol = iter(_protocol([log for logs in nodes for log in logs.values()], batch, on_progress))
    verdicts = []
    for cluster, logs, found in zip(clusters, nodes, before, strict=True):
        found += filter(None, islice(protocol, len(logs)))
        verdicts.append(Verdict(len(cluster), _first_of_each_node(found)))
    return verdicts


def _first_of_each_node(found: list[Rejection]) -> list[Rejection]:
    first: dict[str, Rejection] = {}
    for rejection in found:
        node = rejection.record.node
        if node not in first or rejection.record.line < first[node].record.line:
            first[node] = rejection
    return list(first.values())


# ---------------------------------------------------------------------------------------------
# What the specification leaves out.


def handshake(log: Sequence[Record]) -> Rejection | None:
    """Judges `init`, refusals and reply numbers of one node's log."""
    members: list[str] | None = None
    replies = 0
    for record in log:
        given = record.input
        kind = given["body"].get("type") if isinstance(given, dict) else None
        if record.refused:
            reason = _wrongly_refused(record, members)
        elif kind == "init":
            reason = _wrongly_started(record, members)
            members = members or given["body"]["node_ids"]
        else:
            reason = "a step before init" if members is None else None
        for reply in (m["body"] for m in record.output if "msg_id" in m["body"]):
            if reply["msg_id"] != replies and reason is None:
                reason = f"the reply has msg_id {reply['msg_id']} instead of {replies}"
            replies += 1
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
    if members not in (None, body["node_ids"]):
        return "a different second init was accepted"
    expected = {"type": "init_ok", "in_reply_to": body["msg_id"]}
    sent = [{**m, "body": {k: v for k, v in m["body"].items() if k != "msg_id"}}
            for m in record.output]  # fmt: skip
    if sent != [{"src": record.node, "dest": given["src"], "body": expected}]:
        return "init is not answered by init_ok alone"
    return None


def _wrongly_refused(record: Record, members: list[str] | None) -> str | None:
    body = record.input["body"]
    code = record.output[0]["body"]["code"]
    allowed = set()
    if body.get("type") not in REQUESTS:
        allowed.add(10)
    elif not _well_formed(body):
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
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def delivery(logs: dict[str, list[Record]]) -> list[Rejection]:
    """Judges that every message received was sent before, in some order of all steps.

    Runs the logs side by side: a node goes on for as long as what it receives next has been
    sent.  Where none can go on, what they wait for was never sent, or not before.
    """
    sent: set[str] = set()
    blocked: dict[str, deque[str]] = defaultdict(deque)
    position = dict.fromkeys(logs, 0)
    ready = deque(logs)
    while ready:
        node = ready.popleft()
        log = logs[node]
        while position[node] < len(log):
            record = log[position[node]]
            given = record.input
            if isinstance(given, dict) and given["src"] in logs and _key(given) not in sent:
                blocked[_key(given)].append(node)
                break
            position[node] += 1
            for message in record.output:
                sent.add(_key(message))
                ready.extend(blocked.pop(_key(message), ()))
    waiting = [log[position[node]] for node, log in logs.items() if position[node] < len(log)]
    return [
        Rejection(r, "delivery", f"no {r.input['body']['type']} like this was sent before")
        for r in waiting
    ]


def _key(message: Json) -> str:
    # What else a network writes on the envelope is its own affair.
    return json.dumps([message["src"], message["dest"], message["body"]], sort_keys=True)


# ---------------------------------------------------------------------------------------------
# The protocol, judged by TLC.


def _protocol(
    logs: Sequence[Sequence[Record]], batch: int, on_progress: Callable[[str], None]
) -> list[Rejection | None]:
    """TLC's judgement of each node's log, in the same order; one run for each membership."""
    rejections: list[Rejection | None] = [None] * len(logs)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    steps = [[record for record in log if _is_step(record)] for log in logs]
    for index, log in enumerate(logs):
        if steps[index]:
            groups[_members(log)].append(index)
    for members, chosen in groups.items():
        found = _judge(members, batch, [steps[index] for index in chosen], on_progress)
        for index, rejection in zip(chosen, found, strict=True):
            rejections[index] = rejection
    return rejections


def _is_step(record: Record) -> bool:
    given = record.input
    started = isinstance(given, dict) and given["body"].get("type") == "init"
    return not started and not record.refused


def _members(log: Sequence[Record]) -> tuple[str, ...]:
    """The cluster that `init` names; the judge of the handshake sees to it that there is one."""
    for record in log:
        if isinstance(record.input, dict) and record.input["body"].get("type") == "init":
            return tuple(record.input["body"]["node_ids"])
    return (log[0].node,)


def _judge(
    members: tuple[str, ...],
    batch: int,
    logs: list[list[Record]],
    on_progress: Callable[[str], None],
) -> list[Rejection | None]:
    names = Names(
        message
        for log in logs
        for record in log
        for message in [record.input, *record.output]
        if isinstance(message, dict)
    )
    printed: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="validate-") as scratch:
        root = Path(scratch) / "Judge.tla"
        root.write_text(_module(members, logs, names), encoding="utf-8")
        config = root.with_suffix(".cfg")
        config.write_text(_CONFIG.format(batch=batch))
        tlc.run(
            root, config, libraries=LIBRARIES, on_progress=on_progress,
            on_print=lambda line: printed.append(values.parse(json.loads(line))),
        )  # fmt: skip
    accepted = {said[1] for said in printed if said[0] == "accepted"}
    stopped = {said[1]: said[2:] for said in printed if said[0] in ("differs", "refused")}
    return [
        None if number in accepted and number not in stopped
        else _rejection(log, stopped[number], names)
        for number, log in enumerate(logs, 1)
    ]  # fmt: skip


def _rejection(log: list[Record], said: list[Any], names: Names) -> Rejection:
    at, *rest = said
    record = log[at - 1]
    if not rest:
        return Rejection(record, "protocol", "the specification takes no such input here")
    allowed = [names.meant(message) for message in rest[0]]
    return Rejection(record, "protocol", "the specification demands another output", allowed)


_CONFIG = """\
CONSTANTS
    Members <- TheMembers
    Requests = {{}}
    Batch = {batch}
    Logs <- TheLogs
    Step <- TraceStep
SPECIFICATION TraceSpec
VIEW Place
"""


def _module(members: tuple[str, ...], logs: list[list[Record]], names: Names) -> str:
    """The logs as a TLA+ module.

    A message is defined once and named where it is sent or received: reading them is most of what
    TLC has to do.
    """
    defined: dict[str, str] = {}

    def define(text: str) -> str:
        return defined.setdefault(text, f"M{len(defined)}")

    bodies = []
    for number, log in enumerate(logs, 1):
        steps = ",\n    ".join(
            f"[input |-> {define(names.input(record.input))}, output |-> <<"
            + ", ".join(define(names.message(message)) for message in record.output)
            + ">>]"
            for record in log
        )
        node = names.name("p", log[0].node)
        bodies.append(f"Log{number} == [node |-> {node}, records |-> <<\n    {steps}>>]")
    messages = [f"{name} == {text}" for text, name in defined.items()]
    ordered = ", ".join(names.name("p", node) for node in members)
    every = ", ".join(f"Log{number}" for number in range(1, len(logs) + 1))
    return "\n".join(
        [
            "---- MODULE Judge ----",
            "EXTENDS Trace",
            f"TheMembers == <<{ordered}>>",
            *messages,
            *bodies,
            f"TheLogs == <<{every}>>",
            "====",
            "",
        ]
    )
