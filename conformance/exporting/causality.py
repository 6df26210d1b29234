"""Which sending each received message is of, and an order in which a run can have happened.

A log tells what a node took and what it sent.  The rest follows from the messages themselves, which
are told apart by what they say.  Of those that say the same, the one received is taken for the
latest that was not received yet, for what is said again was probably lost before; once all were
received, it is the latest, received again.

Nothing here is judged: a message that was never sent has no sending.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..judging.delivery import content
from ..logbook.logs import Record
from ..logbook.schema import is_message

Json = Any


@dataclass(frozen=True)
class Sending:
    """A message's place among what a step sent, and the place of that step in the run."""

    step: int
    index: int


@dataclass(frozen=True)
class Step:
    """A record of a run, and where the message that it took was sent.

    `sending` is None for an event, for what a client or a node without a log sent, and for what
    nobody sent.  Whichever sending it really was, it was not before `earliest`.
    """

    record: Record
    sending: Sending | None
    earliest: Sending | None


def arrange(records: Sequence[Record]) -> list[Step]:
    """The records of one run as they can have happened: each message is sent, then received.

    That is the order they are given in, if it can be; otherwise, as with the logs of several nodes
    one after the other, each node takes a step in turn.
    """
    nodes = {record.node for record in records}
    steps: list[Step] = []
    sent: dict[str, list[Sending]] = defaultdict(list)
    unreceived: dict[str, list[Sending]] = defaultdict(list)
    ordered = records if _can_be(records, nodes) else _in_turn(records, nodes)
    for place, record in enumerate(ordered):
        sending = earliest = None
        if is_message(record.input) and (key := content(record.input)) in sent:
            earliest = sent[key][0]
            sending = unreceived[key].pop() if unreceived[key] else sent[key][-1]
        steps.append(Step(record, sending, earliest))
        for index, message in enumerate(record.output):
            for known in (sent, unreceived):
                known[content(message)].append(Sending(place, index))
    return steps


def clocks(steps: Iterable[Step]) -> list[dict[str, int]]:
    """The vector clock of each step: how many steps of each node came before it for certain."""
    found: list[dict[str, int]] = []
    latest: dict[str, dict[str, int]] = {}
    for step in steps:
        node = step.record.node
        clock = dict(latest.get(node, {}))
        if step.earliest is not None:
            for other, count in found[step.earliest.step].items():
                clock[other] = max(count, clock.get(other, 0))
        clock[node] = clock.get(node, 0) + 1
        latest[node] = clock
        found.append(clock)
    return found


def _needs(record: Record, nodes: Iterable[str]) -> str | None:
    """What must have been sent before this record, if anything."""
    given = record.input
    return content(given) if is_message(given) and given["src"] in nodes else None


def _can_be(records: Iterable[Record], nodes: set[str]) -> bool:
    sent: set[str | None] = {None}
    for record in records:
        if _needs(record, nodes) not in sent:
            return False
        sent.update(map(content, record.output))
    return True


def _in_turn(records: Iterable[Record], nodes: set[str]) -> Iterator[Record]:
    logs: dict[str, deque[Record]] = defaultdict(deque)
    for record in records:
        logs[record.node].append(record)
    sent: set[str | None] = {None}
    while logs:
        ready = [node for node, log in logs.items() if _needs(log[0], nodes) in sent]
        # Where none can go on, one waits for what was never sent; the others may not.
        for node in ready or list(logs)[:1]:
            record = logs[node].popleft()
            sent.update(map(content, record.output))
            yield record
            if not logs[node]:
                del logs[node]
