"""Check that every received message was sent before, in some order of all steps.

The specification is checked node by node; only this module and `agreement` look at a cluster as a
whole.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record, members
from ..formats.schema import is_message
from .beginning import Beginning
from .verdict import Rejection

Json = Any
Logs = Mapping[str, Sequence[Record]]


def check_delivery(logs: Logs) -> list[Rejection]:
    """Reject receipts of messages that were never sent, but not the consequences of a rejected one.

    Messages from nodes without a log are not checked, and of nodes whose log begins with a state
    not those that they may have sent before.  A vote in such a state is the receipt of an `accept`.
    """
    merge = _Merge(logs)
    unsent = [(record, reason) for record, reason in merge.run() if reason]
    unsent += [(log[0], reason) for log in logs.values() if (reason := merge.state_error(log[0]))]
    return [Rejection(record, "delivery", reason) for record, reason in unsent]


def causal_order(logs: Logs) -> Iterator[tuple[Record, str | None]]:
    """Yield all records in an order in which each message is sent before it is received.

    The second item is None, or the reason why the record's input cannot have been sent.  Such an
    input then counts as sent, so that a missing message is reported once, without all that follows
    from it.  Takes time in proportion to the number of messages.
    """
    return _Merge(logs).run()


def message_key(message: Json) -> str:
    """Return the identity of a message: sender, destination and body."""
    # A network may add fields to the envelope.
    return canonical([message["src"], message["dest"], message["body"]])


class _Merge:
    """Runs the logs side by side: a node takes its next step once its input was sent."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        states = {node: log[0].state for node, log in logs.items()}
        self._beginnings = {
            node: Beginning(state) for node, state in states.items() if state is not None
        }
        self._numbers: dict[str, int] = {}
        # For each record of a node: the number of its input, None if it needs no sending, and the
        # numbers of its outputs.
        self._inputs: dict[str, list[int | None]] = {}
        self._outputs: dict[str, list[list[int]]] = {}
        # Message -> the nodes that send it, and the first step in which each does.
        self._senders: dict[int, dict[str, Record]] = defaultdict(dict)
        for node, log in logs.items():
            self._inputs[node] = [self._needed(record) for record in log]
            self._outputs[node] = [[*map(self._number, record.output)] for record in log]
            for record, sent in zip(log, self._outputs[node], strict=True):
                for message in sent:
                    self._senders[message].setdefault(node, record)
        self._next_step = dict.fromkeys(logs, 0)
        self._sent: set[int] = set()
        self._blocked: dict[int, list[str]] = defaultdict(list)
        self._ready = deque(logs)

    def _number(self, message: Json) -> int:
        return self._numbers.setdefault(message_key(message), len(self._numbers))

    def _needed(self, record: Record) -> int | None:
        given = record.input
        if not is_message(given) or given["src"] not in self._logs or self._may_precede(given):
            return None
        return self._number(given)

    def _may_precede(self, message: Json) -> bool:
        """Return whether a message may have been sent before the log of its sender began."""
        beginning = self._beginnings.get(message["src"])
        return beginning is not None and beginning.may_have_sent(message["body"])

    def state_error(self, record: Record) -> str | None:
        """Return the vote in a state, if any, for which no `accept` can have been sent."""
        named = members(self._logs[record.node])
        for vote in (record.state or {}).get("accepted", ()):
            owner = named[(vote["ballot"] - 1) % len(named)] if named else record.node
            accept = {"src": owner, "dest": record.node, "body": {"type": "accept", **vote}}
            if owner == record.node or owner not in self._logs or self._may_precede(accept):
                continue
            if self._number(accept) not in self._senders:
                return f"no accept for the vote in slot {vote['slot']} was ever sent"
        return None

    def run(self) -> Iterator[tuple[Record, str | None]]:
        while self._ready or self._blocked:
            if not self._ready:
                yield self._step(*self._break_cycle())
                continue
            node = self._ready.popleft()
            if self._next_step[node] == len(self._logs[node]):
                continue
            needed = self._inputs[node][self._next_step[node]]
            if needed is None or needed in self._sent:
                yield self._step(node, None)
            elif needed in self._senders:
                self._blocked[needed].append(node)
            else:
                yield self._step(node, self._never_sent(self._next(node)))

    def _never_sent(self, record: Record) -> str:
        src = record.input["src"]
        begun = f", and the state in {self._logs[src][0].place} shows none" * (
            src in self._beginnings
        )
        return f"no {_type(record)} like this was ever sent{begun}"

    def _next(self, node: str) -> Record:
        return self._logs[node][self._next_step[node]]

    def _step(self, node: str, reason: str | None) -> tuple[Record, str | None]:
        """Take the next step of a node.

        If it is rejected for a `reason`, its input counts as sent from here on.
        """
        record, at = self._next(node), self._next_step[node]
        needed = self._inputs[node][at]
        self._next_step[node] += 1
        self._ready.append(node)
        for message in self._outputs[node][at]:
            self._send(message)
        if reason is not None and needed is not None:
            self._send(needed)
        return record, reason

    def _send(self, message: int) -> None:
        self._sent.add(message)
        self._ready.extend(self._blocked.pop(message, ()))

    def _break_cycle(self) -> tuple[str, str]:
        """Return a node that received a message too early, and the reason; every node is blocked.

        Along a cycle of blocked nodes, each receipt comes after what it waits for, except where the
        cycle closes.  In a file that is in order, that is the first receipt of the cycle.
        """
        waits = {node: need for need, nodes in self._blocked.items() for node in nodes}
        node = min(waits)
        path: list[str] = []
        while node not in path:
            path.append(node)
            node = min(self._senders[waits[node]].keys() & waits.keys())
        first = min(path[path.index(node) :], key=lambda each: (self._position(each), each))
        needed = waits[first]
        self._blocked[needed].remove(first)
        sender = min(self._senders[needed].keys() & waits.keys())
        later = self._senders[needed][sender].place
        kind = _type(self._next(first))
        return first, f"this {kind} was sent only in {later}, after what follows from its receipt"

    def _position(self, node: str) -> int:
        """Return the line of a node's next record.

        If the logs are in several files, which leave no order between nodes, it is the record's
        place in the log of its node.
        """
        record = self._next(node)
        files = {log[0].path for log in self._logs.values()}
        return record.line if len(files) == 1 else self._next_step[node]


def _type(record: Record) -> str:
    return str(record.input["body"].get("type", "message"))
