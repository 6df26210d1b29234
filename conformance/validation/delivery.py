"""Checks that every message received was sent before, in some order of all steps.

The protocol is judged node by node; this and `agreement` alone look at a cluster as a whole.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record
from ..formats.schema import is_message
from .verdict import Rejection

Json = Any
Logs = Mapping[str, Sequence[Record]]


def delivery(logs: Logs) -> list[Rejection]:
    """Return the receipts that have no sending, except those that follow from another one.

    What a node without a log sent is not checked.
    """
    return [Rejection(record, "delivery", reason) for record, reason in in_order(logs) if reason]


def in_order(logs: Logs) -> Iterator[tuple[Record, str | None]]:
    """Yield all records in an order in which they can have happened: each message is sent, then
    received.  With each goes None, or why the message that it received cannot have been sent.

    Such a message is taken as delivered, so that one that is missing is reported once and not with
    all that follows from it.  Takes time in proportion to the number of messages.
    """
    return _Merge(logs).run()


def content(message: Json) -> str:
    """What tells one message from another."""
    # What else a network writes on the envelope is its own affair.
    return canonical([message["src"], message["dest"], message["body"]])


class _Merge:
    """Runs the logs side by side: a node takes its next step once what it receives was sent."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._numbers: dict[str, int] = {}
        self._needs: dict[str, list[int | None]] = {}
        self._gives: dict[str, list[list[int]]] = {}
        # Message -> the nodes that send it, and the first step in which each does.
        self._senders: dict[int, dict[str, Record]] = defaultdict(dict)
        for node, log in logs.items():
            self._needs[node] = [self._need(record) for record in log]
            self._gives[node] = [[*map(self._number, record.output)] for record in log]
            for record, given in zip(log, self._gives[node], strict=True):
                for message in given:
                    self._senders[message].setdefault(node, record)
        self._at = dict.fromkeys(logs, 0)
        self._sent: set[int] = set()
        self._blocked: dict[int, list[str]] = defaultdict(list)
        self._ready = deque(logs)

    def _number(self, message: Json) -> int:
        return self._numbers.setdefault(content(message), len(self._numbers))

    def _need(self, record: Record) -> int | None:
        given = record.input
        if is_message(given) and given["src"] in self._logs:
            return self._number(given)
        return None

    def run(self) -> Iterator[tuple[Record, str | None]]:
        while self._ready or self._blocked:
            if not self._ready:
                yield self._step(*self._break_circle())
                continue
            node = self._ready.popleft()
            if self._at[node] == len(self._logs[node]):
                continue
            need = self._needs[node][self._at[node]]
            if need is None or need in self._sent:
                yield self._step(node, None)
            elif need in self._senders:
                self._blocked[need].append(node)
            else:
                yield self._step(node, f"no {_type(self._next(node))} like this was ever sent")

    def _next(self, node: str) -> Record:
        return self._logs[node][self._at[node]]

    def _step(self, node: str, reason: str | None) -> tuple[Record, str | None]:
        """Takes the next step of a node; if there is a reason against it, what it received is taken
        as sent from here on.
        """
        record, at = self._next(node), self._at[node]
        self._at[node] += 1
        self._ready.append(node)
        for message in self._gives[node][at]:
            self._send(message)
        if reason is not None:
            self._send(self._needs[node][at])
        return record, reason

    def _send(self, message: int) -> None:
        self._sent.add(message)
        self._ready.extend(self._blocked.pop(message, ()))

    def _break_circle(self) -> tuple[str, str]:
        """Every node waits for one that waits, too.  Return the node that took a message too early,
        and the reason.

        Round a circle of such waits, each receipt comes after what it waits for, except where the
        circle is closed: so in a log that is in order, that is its first receipt.
        """
        waits = {node: need for need, nodes in self._blocked.items() for node in nodes}
        node, path = min(waits), []
        while node not in path:
            path.append(node)
            node = min(self._senders[waits[node]].keys() & waits.keys())
        first = min(path[path.index(node) :], key=lambda each: (self._age(each), each))
        need = waits[first]
        self._blocked[need].remove(first)
        sender = min(self._senders[need].keys() & waits.keys())
        later = self._senders[need][sender].place
        kind = _type(self._next(first))
        return first, f"this {kind} was sent only in {later}, after what follows from its receipt"

    def _age(self, node: str) -> int:
        """The place of a node's next record among all, or in the log of its node if several files
        leave no order between nodes.
        """
        record = self._next(node)
        files = {log[0].path for log in self._logs.values()}
        return record.line if len(files) == 1 else self._at[node]


def _type(record: Record) -> str:
    return record.input["body"].get("type", "message")
