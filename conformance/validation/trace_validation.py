"""Was what nodes did allowed by the specification?  Four checkers, each for what it alone can see.

`handshake`, `delivery`, `protocol` and `agreement` are modules of their own.  Here their verdicts
become one: of what they reject of a node's log, the first record counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from ..formats.logs import Record, by_node
from .agreement import absent, agreement, membership
from .delivery import delivery
from .handshake import handshake
from .step_checker import WINDOW, Run, protocol
from .verdict import Rejection, Verdict

# How many records people see before the bad one.
BEFORE = 5


def validate(
    clusters: Sequence[Sequence[Record]],
    batch: int,
    *,
    window: int | None = WINDOW,
    on_progress: Callable[[str], None] = lambda text: None,
    run: Run | None = None,
) -> list[Verdict]:
    """Judges the logs of whole clusters, those of different clusters apart.

    `batch` is the spec's constant Batch that the nodes ran with.  TLC reads about `window` records
    of a log at once, or whole logs if it is None; the verdict is the same.  `run` stands for
    `tlc.run` where more is to be learned from TLC than the verdicts.
    """
    nodes = [by_node(cluster) for cluster in clusters]
    before = [
        [*membership(logs), *filter(None, map(handshake, logs.values())), *delivery(logs)]
        for logs in nodes
    ]
    every = [log for logs in nodes for log in logs.values()]
    judged = iter(protocol(every, batch, window, on_progress, run))
    verdicts = []
    for cluster, logs, found in zip(clusters, nodes, before, strict=True):
        # Of two judges of the same record the protocol's tells more.
        first = _first_of_each_node([*filter(None, islice(judged, len(logs))), *found])
        # Where a node is rejected, two values in a slot may follow from that.
        first = first or _first_of_each_node(agreement(cluster, logs))
        rejections = [_in_its_log(each, logs) for each in first]
        verdicts.append(Verdict(len(cluster), rejections, absent(logs)))
    return verdicts


def _first_of_each_node(found: list[Rejection]) -> list[Rejection]:
    first: dict[str, Rejection] = {}
    for rejection in found:
        node = rejection.record.node
        if node not in first or rejection.record.line < first[node].record.line:
            first[node] = rejection
    return list(first.values())


def _in_its_log(found: Rejection, logs: dict[str, list[Record]]) -> Rejection:
    """Adds what the log tells of a bad record."""
    log = logs[found.record.node]
    at = next(at for at, record in enumerate(log) if record is found.record)
    return replace(found, action=found.record.action, before=log[max(0, at - BEFORE) : at])
