"""Was what nodes did allowed by the specification?  Three judges, each for what it alone can see.

`handshake` and `delivery` are rooms of their own.  TLC, called from here, sees the protocol: that
each node's log, taken alone, is a behaviour of the automaton that spec/MultiPaxos.tla describes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from . import tlc, values
from .delivery import delivery
from .handshake import handshake
from .logs import Record
from .models import LIBRARIES
from .names import Names, countable
from .verdict import Rejection, Verdict


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


def _protocol(
    logs: Sequence[Sequence[Record]], batch: int, on_progress: Callable[[str], None]
) -> list[Rejection | None]:
    """TLC's judgement of each node's log, in the same order; one run for each membership."""
    rejections: list[Rejection | None] = [None] * len(logs)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    steps = [[record for record in log if is_step(record)] for log in logs]
    for index, log in enumerate(logs):
        uncounted = next((r for r in steps[index] if not is_countable(r)), None)
        if uncounted is not None:
            # What came before is judged all the same, and may be found bad sooner.
            del steps[index][steps[index].index(uncounted) :]
            rejections[index] = Rejection(uncounted, "protocol", "a ballot too large to count with")
        if steps[index]:
            groups[cluster_of(log)].append(index)
    for members, chosen in groups.items():
        found = _judge(members, batch, [steps[index] for index in chosen], on_progress)
        for index, rejection in zip(chosen, found, strict=True):
            rejections[index] = rejection or rejections[index]
    return rejections


def is_step(record: Record) -> bool:
    """Whether the specification knows this as a step."""
    return not record.starts and not record.refused


def is_countable(record: Record) -> bool:
    """Whether TLC can count with every number of a record."""
    return all(map(countable, (record.input, *record.output)))


def cluster_of(log: Sequence[Record]) -> tuple[str, ...]:
    """The cluster that `init` names; the judge of the handshake sees to it that there is one."""
    for record in log:
        if record.starts:
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
    tlc.run(
        "Judge", module("Judge", "Trace", members, logs, names),
        CONFIG.format(batch=batch, last=names.last), libraries=LIBRARIES, on_progress=on_progress,
        on_print=lambda line: printed.append(values.parse(json.loads(line))),
    )  # fmt: skip
    accepted = {said[1] for said in printed if said[0] == "accepted"}
    stopped = {said[1]: said[2:] for said in printed if said[0] in ("differs", "refused")}
    if accepted ^ stopped.keys() != set(range(1, len(logs) + 1)):
        raise tlc.ToolError("TLC did not come to the end of every log; this is no verdict")
    return [
        _rejection(log, stopped[number], names) if number in stopped else None
        for number, log in enumerate(logs, 1)
    ]


def _rejection(log: list[Record], said: list[Any], names: Names) -> Rejection:
    at, *rest = said
    record = log[at - 1]
    if not rest:
        return Rejection(record, "protocol", "the specification takes no such input here")
    allowed = [names.meant(message) for message in rest[0]]
    return Rejection(record, "protocol", "the specification demands another output", allowed)


CONFIG = """\
CONSTANTS
    Members <- TheMembers
    Requests = {{}}
    Batch = {batch}
    Restless <- Node
    Logs <- TheLogs
    Last = {last}
    Ascending <- InOrder
    Step <- TraceStep
SPECIFICATION TraceSpec
VIEW Place
"""


def module(
    name: str, base: str, members: tuple[str, ...], logs: list[list[Record]], names: Names
) -> str:
    """The logs as a TLA+ module of this name, which extends Trace or another base.

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
            f"---- MODULE {name} ----",
            f"EXTENDS {base}",
            f"TheMembers == <<{ordered}>>",
            *messages,
            *bodies,
            f"TheLogs == <<{every}>>",
            "====",
            "",
        ]
    )
