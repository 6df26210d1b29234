"""A second opinion on delivery: is there an order of all steps in which each message is sent before
it is received?

The checker runs the logs side by side.  Here no step is taken: what must come before what is a
graph, and Python's `graphlib` says whether it has a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Any

from .expectations import is_message, key, nodes

Json = Any
Found = dict[str, int]
"""The line of the first bad record of each node that has one."""


def unsent(records: Sequence[Json]) -> Found:
    """The first record of each node that received a message that no record sends."""
    sent = {key(message) for record in records for message in record["output"]}
    found: Found = {}
    for line, message in _receipts(records):
        if key(message) not in sent:
            found.setdefault(records[line - 1]["node"], line)
    return found


def early(records: Sequence[Json]) -> frozenset[int]:
    """The lines that receive a message which only later lines send."""
    first: dict[str, int] = {}
    for line, record in enumerate(records, 1):
        for message in record["output"]:
            first.setdefault(key(message), line)
    return frozenset(
        line for line, message in _receipts(records) if first.get(key(message), 0) >= line
    )


def has_order(records: Sequence[Json], excused: Mapping[str, int]) -> bool:
    """Whether the steps have such an order if, from the line in `excused` on, a node may receive
    what was not sent.  What no record sends is not looked at.
    """
    steps: dict[int, set[int]] = {line: set() for line in range(1, len(records) + 1)}
    previous: dict[str, int] = {}
    senders: dict[str, dict[str, int]] = defaultdict(dict)
    for line, record in enumerate(records, 1):
        if record["node"] in previous:
            steps[line].add(previous[record["node"]])
        previous[record["node"]] = line
        for message in record["output"]:
            senders[key(message)].setdefault(record["node"], line)
    receipts = [
        (line, [*senders[key(message)].values()])
        for line, message in _receipts(records)
        if senders[key(message)] and line < excused.get(records[line - 1]["node"], line + 1)
    ]
    # A message has one sender, unless somebody sends in another's name: then any of them will do.
    return any(
        _is_sorted(steps, zip((line for line, _ in receipts), chosen, strict=True))
        for chosen in product(*(lines for _, lines in receipts))
    )


def _is_sorted(steps: Mapping[int, set[int]], sendings: Iterator[tuple[int, int]]) -> bool:
    graph = TopologicalSorter(steps)
    for receipt, sending in sendings:
        graph.add(receipt, sending)
    try:
        graph.prepare()
    except CycleError:
        return False
    return True


def _receipts(records: Sequence[Json]) -> Iterator[tuple[int, Json]]:
    """Each message from a node that has a log here, and the line that received it."""
    logged = nodes(records)
    for line, record in enumerate(records, 1):
        given = record["input"]
        if is_message(given) and given.get("src") in logged:
            yield line, given
