"""Trace validation: decide whether the specification allows what the nodes of a cluster logged.

Four checkers, each for what the others cannot see: `handshake`, `delivery`, `step_checker` and
`agreement`, with `chosen`.  This module runs them and keeps the first rejected record of each node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from ..formats.logs import Record, by_node
from .agreement import (
    begun_logs,
    check_agreement,
    check_ballots,
    check_membership,
    missing_logs,
)
from .chosen import check_chosen
from .delivery import check_delivery
from .handshake import check_handshake
from .step_checker import WINDOW, Run, check_steps
from .verdict import Rejection, Verdict

Checker = Callable[[Sequence[Sequence[Record]], int], list[Verdict]]
"""Returns verdicts on clusters, as `validate_logs` does; the second argument is Batch."""

# How many records before the bad one a rejection shows.
BEFORE = 5


def validate_logs(
    clusters: Sequence[Sequence[Record]],
    batch: int,
    *,
    window: int | None = WINDOW,
    on_progress: Callable[[str], None] = lambda text: None,
    run: Run | None = None,
) -> list[Verdict]:
    """Return a verdict on the logs of each cluster.

    `batch` is the spec's constant Batch that the nodes ran with.  TLC reads about `window` records
    of a log at once, or whole logs if it is None; the verdict is the same.  `run` replaces
    `tlc.run`, to collect more from TLC than verdicts.
    """
    nodes = [by_node(cluster) for cluster in clusters]
    others = [
        [
            *check_membership(logs),
            *filter(None, map(check_handshake, logs.values())),
            *check_delivery(logs),
        ]
        for logs in nodes
    ]
    every = [log for logs in nodes for log in logs.values()]
    by_step = iter(check_steps(every, batch, window, on_progress, run))
    verdicts = []
    for cluster, logs, found in zip(clusters, nodes, others, strict=True):
        # If two checkers reject the same record, the specification's reason has more detail.
        first = _first_of_each_node([*filter(None, islice(by_step, len(logs))), *found])
        # If a node is rejected, two values in a slot may be a consequence of that.
        first = first or _first_of_each_node(
            [
                *check_agreement(cluster, logs),
                *check_ballots(cluster, logs),
                *check_chosen(cluster, logs),
            ]
        )
        rejections = [_with_context(each, logs) for each in first]
        verdicts.append(Verdict(len(cluster), rejections, missing_logs(logs), begun_logs(logs)))
    return verdicts


def _first_of_each_node(found: list[Rejection]) -> list[Rejection]:
    first: dict[str, Rejection] = {}
    for rejection in found:
        node = rejection.record.node
        if node not in first or rejection.record.line < first[node].record.line:
            first[node] = rejection
    return list(first.values())


def _with_context(found: Rejection, logs: dict[str, list[Record]]) -> Rejection:
    """Add the action of a bad record and the records before it."""
    log = logs[found.record.node]
    at = next(at for at, record in enumerate(log) if record is found.record)
    return replace(found, action=found.record.action, before=log[max(0, at - BEFORE) : at])
