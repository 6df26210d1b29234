"""Match each received message with its sending, and put a run in causal order.

A log has the inputs and outputs of a node, and no identifiers of messages.  Of equal messages, the
received one is matched with the latest that was not received yet, for an earlier one was probably
lost and resent; once all were received, with the latest, as a duplicate.

Nothing is rejected here: a message that was never sent has no sending.
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
    """A sent message: the index of its step in the run, and its index in the step's output."""

    step: int
    index: int


@dataclass(frozen=True)
class Step:
    """A record of a run, and the sending of its input.

    `sending` is None for an event, for a message of a client or of a node without a log, and for a
    message that was never sent.  `earliest` is the first sending of an equal message.
    """

    record: Record
    sending: Sending | None
    earliest: Sending | None


def arrange(records: Sequence[Record]) -> list[Step]:
    """Return the steps of one run, in the order of its file or, of several files, in causal order.

    A message that was never sent does not change the order of other records.
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
    """Return the vector clock of each step.

    It counts the steps of each node that certainly happened before, so it uses `earliest`.
    """
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
