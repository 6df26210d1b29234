"""A second opinion on delivery: is there an order of all steps in which each message is sent before
it is received?

The checker under test runs the logs side by side.  This module takes no steps: it builds the graph
of what must precede what, and Python's `graphlib` finds out whether it has a cycle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Any

from .expectations import is_message, message_key, nodes_in

Json = Any
BadLines = dict[str, int]
"""The line of the first bad record of each node that has one."""


def unsent(records: Sequence[Json]) -> BadLines:
    """Return the first record of each node whose input no record sends."""
    sent = {message_key(message) for record in records for message in record["output"]}
    found: BadLines = {}
    for line, message in _receipts(records):
        if message_key(message) not in sent:
            found.setdefault(records[line - 1]["node"], line)
    return found


def early_receipts(records: Sequence[Json]) -> frozenset[int]:
    """Return the lines that receive a message which only later lines send."""
    first: dict[str, int] = {}
    for line, record in enumerate(records, 1):
        for message in record["output"]:
            first.setdefault(message_key(message), line)
    return frozenset(
        line for line, message in _receipts(records) if first.get(message_key(message), 0) >= line
    )


def has_order(records: Sequence[Json], excused: Mapping[str, int]) -> bool:
    """Return whether the steps have an order in which each message is sent before it is received.

    From its line in `excused` on, a node may receive unsent messages.  Messages that no record
    sends are not considered.
    """
    steps: dict[int, set[int]] = {line: set() for line in range(1, len(records) + 1)}
    previous: dict[str, int] = {}
    senders: dict[str, dict[str, int]] = defaultdict(dict)
    for line, record in enumerate(records, 1):
        if record["node"] in previous:
            steps[line].add(previous[record["node"]])
        previous[record["node"]] = line
        for message in record["output"]:
            senders[message_key(message)].setdefault(record["node"], line)
    receipts = [
        (line, [*senders[message_key(message)].values()])
        for line, message in _receipts(records)
        if senders[message_key(message)] and line < excused.get(records[line - 1]["node"], line + 1)
    ]
    # A message has one sender, unless a node sends in another's name: then any of them will do.
    return any(
        _is_acyclic(steps, zip((line for line, _ in receipts), chosen, strict=True))
        for chosen in product(*(lines for _, lines in receipts))
    )


def _is_acyclic(steps: Mapping[int, set[int]], sendings: Iterator[tuple[int, int]]) -> bool:
    graph = TopologicalSorter(steps)
    for receipt, sending in sendings:
        graph.add(receipt, sending)
    try:
        graph.prepare()
    except CycleError:
        return False
    return True


def _receipts(records: Sequence[Json]) -> Iterator[tuple[int, Json]]:
    """Yield each message from a node that has a log here, with the line that received it."""
    logged = nodes_in(records)
    for line, record in enumerate(records, 1):
        given = record["input"]
        if is_message(given) and given.get("src") in logged:
            yield line, given
