"""What can be expected of a mutated trace without running a checker or a node.

Some of it follows from the mutation itself (`mutations`).  The rest is visible in a trace without
knowledge of any node's state: whether messages have the right sender, whether the node is up, how
replies are numbered, whether each input was sent.  What needs more than that is left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ..formats.canonical import canonical

Json = Any


@dataclass(frozen=True)
class Expectation:
    """The expected verdict on a mutated trace, and the reason.

    `legal` is None if only a node can decide.  `at` are the nodes that must be rejected, each with
    the last line at which that may happen.
    """

    legal: bool | None
    reason: str
    at: dict[str, int] = field(default_factory=dict)


def illegal(node: str, line: int, reason: str) -> Expectation:
    return Expectation(False, reason, {node: line})


def combined(known: Expectation | None, records: Sequence[Json]) -> Expectation:
    """Combine what follows from the mutation with the errors that are visible in the trace."""
    seen = visible_errors(records)
    if not seen:
        return known or Expectation(None, "it depends on the state of a node")
    assert known is None or not known.legal, f"{known} is wrong: {seen}"
    at = {node: line for node, (line, _) in seen.items()}
    if known is not None:
        at |= {node: min(line, at.get(node, line)) for node, line in known.at.items()}
        return Expectation(False, known.reason, at)
    return Expectation(False, min(seen.values())[1], at)


def visible_errors(records: Sequence[Json]) -> dict[str, tuple[int, str]]:
    """Return the nodes that cannot have written their log in any state, each with line and reason.

    The line is the last one at which the node may be rejected.
    """
    found: dict[str, tuple[int, str]] = {}
    seen = {node: _Visible(node) for node in nodes_in(records)}
    sent = {message_key(message) for record in records for message in record["output"]}
    for line, record in enumerate(records, 1):
        node, given = record["node"], record["input"]
        reason = seen[node].error(given, record["output"])
        if is_message(given) and given.get("src") in seen and message_key(given) not in sent:
            reason = "a message was received that was never sent"
        if reason is not None:
            found.setdefault(node, (line, reason))
    return found


def unaffected_nodes(before: Sequence[Json], after: Sequence[Json]) -> frozenset[str]:
    """Return the nodes whose own log is not mutated, and that no mutation can have reached.

    A mutation reaches a node that received a message of a mutated record, as it was before or as it
    is now, or a message from a node that the mutation added.
    """
    mutated: set[str] = set()
    touched: set[str] = set()
    for node in nodes_in(before) | nodes_in(after):
        own = ([r for r in log if r["node"] == node] for log in (before, after))
        for record in _changed_records(*own):
            mutated.add(node)
            touched |= {message_key(message) for message in record["output"]}
    added = nodes_in(after) - nodes_in(before)
    reached = {
        record["node"]
        for record in after
        if is_message(given := record["input"])
        and (message_key(given) in touched or given.get("src") in added)
    }
    return frozenset(nodes_in(after) - mutated - reached)


def _changed_records(before: Sequence[Json], after: Sequence[Json]) -> Sequence[Json]:
    """Return the records of both logs between their common beginning and their common end."""
    old, new = ([canonical(record) for record in log] for log in (before, after))
    begin = _common_prefix(old, new)
    end = _common_prefix(old[begin:][::-1], new[begin:][::-1])
    return [*before[begin : len(old) - end], *after[begin : len(new) - end]]


def _common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the common beginning."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in pairs)


class _Visible:
    """What is visible of one node, record by record."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.initialised = False
        self.up = True
        self.replies = 0
        self.requests: set[str] = set()

    def error(self, given: Json, output: list[Json]) -> str | None:
        """Take the next record and return why no node can have logged it, or None."""
        reasons = [*self._input(given, output), self._numbers(output), *map(self._sent, output)]
        if given == "restart":
            self.replies = 0
        return next(filter(None, reasons), None)

    def _input(self, given: Json, output: list[Json]) -> Iterator[str]:
        if not self.initialised and not is_message(given, "init") and not is_refusal(given, output):
            yield "a step before init"
        self.initialised |= is_message(given, "init") and not is_refusal(given, output)
        if self.up == (given == "restart"):
            yield f"a node that is {'up was restarted' if self.up else 'down took a step'}"
        self.up = given != "crash" and (self.up or given == "restart")
        if is_message(given):
            self.requests.add(canonical([given.get("src"), given["body"].get("msg_id")]))
            if given.get("dest") != self.node:
                yield "a message for another node was received"

    def _numbers(self, output: list[Json]) -> str | None:
        """Check the numbers of replies; those of one step to different clients have no order."""
        numbers = [message["body"]["msg_id"] for message in output if "msg_id" in message["body"]]
        self.replies += len(numbers)
        if {*numbers} != {*range(self.replies - len(numbers), self.replies)}:
            return "a reply does not have the next number"
        return None

    def _sent(self, message: Json) -> str | None:
        body, dest = message["body"], message.get("dest")
        if message.get("src") != self.node:
            return "a message was sent in another node's name"
        if "in_reply_to" in body and canonical([dest, body["in_reply_to"]]) not in self.requests:
            return "a request was answered that was never received"
        return None


# Inputs that are no-ops, or no-ops the second time.  From the actions of spec/MultiPaxos.tla.

_READS = ("learn", "poll", "multi_paxos_log", "inquire")
_NOOP_REPLIES = {"accept": ("rejected", "decided"), "prepare": ("rejected",)}
_EFFECTIVE_ONCE = ("accepted", "promise", "multi_paxos_propose")


def is_noop(record: Json) -> bool:
    """Return whether a record visibly leaves the state of its node as it was."""
    kind, sent = kind_of(record["input"]), [m["body"]["type"] for m in record["output"]]
    return (
        kind in _READS
        or is_refusal(record["input"], record["output"])
        or (sent != [] and set(sent) <= set(_NOOP_REPLIES.get(kind, ())))
    )


def of_repeated(record: Json, line: int) -> Expectation:
    """Return what to expect of a record that is repeated, at this line, right after itself."""
    kind, node = kind_of(record["input"]), record["node"]
    if not sends_no_reply(record):
        return illegal(node, line, "a reply does not have the next number")
    if kind in ("crash", "restart"):
        return illegal(node, line, "a node does not crash or restart twice")
    if kind in _EFFECTIVE_ONCE and record["output"]:
        return illegal(node, line, "the second time, the input is a no-op")
    return Expectation(True, "the input comes twice, with the same effect")


def is_unreceived(record: Json, records: Sequence[Json]) -> bool:
    """Return whether no node received any message that was sent in a record."""
    sent = {message_key(message) for message in record["output"]}
    return not any(
        is_message(other["input"]) and message_key(other["input"]) in sent for other in records
    )


def sends_no_reply(record: Json) -> bool:
    """Return whether a record has no reply to a client, so that it changes no later number."""
    return not any("msg_id" in message["body"] for message in record["output"])


def nodes_in(records: Sequence[Json]) -> set[str]:
    """Return the nodes that wrote these records."""
    return {record["node"] for record in records}


def is_causal(records: Sequence[Json]) -> bool:
    """Return whether each message is sent in a line before the one that receives it."""
    logged = nodes_in(records)
    sent: set[str] = set()
    for record in records:
        given = record["input"]
        if is_message(given) and given["src"] in logged and message_key(given) not in sent:
            return False
        sent |= {message_key(message) for message in record["output"]}
    return True


def is_message(given: Json, kind: str | None = None) -> bool:
    return isinstance(given, dict) and "body" in given and kind in (None, given["body"].get("type"))


def is_refusal(given: Json, output: list[Json]) -> bool:
    return is_message(given) and [message["body"].get("type") for message in output] == ["error"]


def kind_of(given: Json) -> str:
    """Return the type of a message, or the name of an event."""
    if is_message(given):
        return str(given["body"].get("type"))
    return given if isinstance(given, str) else str(given["event"])


def message_key(message: Json) -> str:
    """Return the identity of a message; a network may add other fields to its envelope."""
    return canonical([message.get("src"), message.get("dest"), message["body"]])
