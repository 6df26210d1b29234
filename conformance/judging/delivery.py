"""Judges that every message received was sent before.

The protocol is judged node by node; only this looks at a cluster as a whole.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from ..logbook.canonical import canonical
from ..logbook.logs import Record
from ..logbook.schema import is_message
from .verdict import Rejection

Json = Any


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
            if is_message(given) and given["src"] in logs and content(given) not in sent:
                blocked[content(given)].append(node)
                break
            position[node] += 1
            for message in record.output:
                sent.add(content(message))
                ready.extend(blocked.pop(content(message), ()))
    waiting = [log[position[node]] for node, log in logs.items() if position[node] < len(log)]
    return [
        Rejection(r, "delivery", f"no {r.input['body']['type']} like this was sent before")
        for r in waiting
    ]


def content(message: Json) -> str:
    """What tells one message from another."""
    # What else a network writes on the envelope is its own affair.
    return canonical([message["src"], message["dest"], message["body"]])
