"""Which sending each received message is of, and an order in which a run can have happened.

A log tells what a node took and what it sent.  The rest follows from the messages themselves, which
are told apart by what they say.  Of those that say the same, the one received is taken for the
latest that was not received yet, for what is said again was probably lost before; once all were
received, it is the latest, received again.

Nothing here is judged: a message that was never sent has no sending.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..formats.logs import Record, by_node
from ..formats.schema import is_message
from ..validation.delivery import causal_order, message_key

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
    """The steps of one run in the order of their file, or, if they are in several files, in one in
    which each message is sent before it is received.

    A message that was never sent moves nothing else.
    """
    steps: list[Step] = []
    sent: dict[str, list[Sending]] = defaultdict(list)
    unreceived: dict[str, list[Sending]] = defaultdict(list)
    files = {record.path for record in records}
    ordered = records if len(files) == 1 else [each for each, _ in causal_order(by_node(records))]
    for place, record in enumerate(ordered):
        sending = earliest = None
        if is_message(record.input) and (key := message_key(record.input)) in sent:
            earliest = sent[key][0]
            sending = unreceived[key].pop() if unreceived[key] else sent[key][-1]
        steps.append(Step(record, sending, earliest))
        for index, message in enumerate(record.output):
            for known in (sent, unreceived):
                known[message_key(message)].append(Sending(place, index))
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
