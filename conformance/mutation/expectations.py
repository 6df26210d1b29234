"""What is known of an altered log without any judge.

Some of it follows from how the log was altered, which is told in `alterations`; the rest is what
anybody sees in a log who knows nothing of a node's state: whom it speaks for, whether it is up, how
it numbers its replies, whether what it received was ever sent.  Whatever needs more is left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ..formats.canonical import canonical

Json = Any


@dataclass(frozen=True)
class Claim:
    """Whether an altered log is legal (None where only a node can tell), and why.

    `at` are the nodes that must be rejected, and the line of the record where at the latest.
    """

    legal: bool | None
    reason: str
    at: dict[str, int] = field(default_factory=dict)


def illegal(node: str, line: int, reason: str) -> Claim:
    return Claim(False, reason, {node: line})


def agreed(known: Claim | None, records: Sequence[Json]) -> Claim:
    """What is known of a log by how it was altered, together with what can be seen in it."""
    seen = visible(records)
    if not seen:
        return known or Claim(None, "what a node would do")
    assert known is None or not known.legal, f"{known} is wrong: {seen}"
    at = {node: line for node, (line, _) in seen.items()}
    if known is not None:
        at |= {node: min(line, at.get(node, line)) for node, line in known.at.items()}
        return Claim(False, known.reason, at)
    return Claim(False, min(seen.values())[1], at)


def visible(records: Sequence[Json]) -> dict[str, tuple[int, str]]:
    """For each node that cannot have written its log in any state: where at the latest, and why."""
    found: dict[str, tuple[int, str]] = {}
    eyes = {node: _Eye(node) for node in nodes(records)}
    sent = {key(message) for record in records for message in record["output"]}
    for line, record in enumerate(records, 1):
        node, given = record["node"], record["input"]
        reason = eyes[node].wrong(given, record["output"])
        if is_message(given) and given.get("src") in eyes and key(given) not in sent:
            reason = "a message was received that nobody sent"
        if reason is not None:
            found.setdefault(node, (line, reason))
    return found


def innocent(before: Sequence[Json], after: Sequence[Json]) -> frozenset[str]:
    """The nodes whose own log is not altered, and that received nothing which the altered part of
    another one sends: now or before, or under another name.
    """
    altered: set[str] = set()
    touched: set[str] = set()
    for node in nodes(before) | nodes(after):
        for part in _changed(*([r for r in log if r["node"] == node] for log in (before, after))):
            altered.add(node)
            touched |= {key(message) for message in part["output"]}
    strangers = nodes(after) - nodes(before)
    reached = {
        record["node"]
        for record in after
        if is_message(given := record["input"])
        and (key(given) in touched or given.get("src") in strangers)
    }
    return frozenset(nodes(after) - altered - reached)


def _changed(before: Sequence[Json], after: Sequence[Json]) -> Sequence[Json]:
    """The records between what two logs begin and end with alike."""
    old, new = ([canonical(record) for record in log] for log in (before, after))
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    return [*before[begin : len(old) - end], *after[begin : len(new) - end]]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items both begin with."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in pairs)


class _Eye:
    """Looks at the records of one node."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.begun = False
        self.up = True
        self.replies = 0
        self.asked: set[str] = set()

    def wrong(self, given: Json, output: list[Json]) -> str | None:
        """What nobody can have logged, seen in the next record."""
        reasons = [*self._taken(given, output), self._numbered(output), *map(self._said, output)]
        if given == "restart":
            self.replies = 0
        return next(filter(None, reasons), None)

    def _taken(self, given: Json, output: list[Json]) -> Iterator[str]:
        if not self.begun and not is_message(given, "init") and not is_refusal(given, output):
            yield "a step before init"
        self.begun |= is_message(given, "init") and not is_refusal(given, output)
        if self.up == (given == "restart"):
            yield f"a node that is {'up was restarted' if self.up else 'down took a step'}"
        self.up = given != "crash" and (self.up or given == "restart")
        if is_message(given):
            self.asked.add(canonical([given.get("src"), given["body"].get("msg_id")]))
            if given.get("dest") != self.node:
                yield "a message for another node was taken"

    def _numbered(self, output: list[Json]) -> str | None:
        """Replies of one step to different clients are in no order."""
        numbers = [message["body"]["msg_id"] for message in output if "msg_id" in message["body"]]
        self.replies += len(numbers)
        if {*numbers} != {*range(self.replies - len(numbers), self.replies)}:
            return "a reply has another number than the next one"
        return None

    def _said(self, message: Json) -> str | None:
        body, dest = message["body"], message.get("dest")
        if message.get("src") != self.node:
            return "a message was sent in another's name"
        if "in_reply_to" in body and canonical([dest, body["in_reply_to"]]) not in self.asked:
            return "a question was answered that was never asked"
        return None


# Which inputs change nothing in a node, or nothing more when they come a second time.  This is
# read from the actions of spec/MultiPaxos.tla.

_READ = ("learn", "multi_paxos_log", "inquire")
_SAID_INSTEAD = {"accept": ("rejected", "decided"), "prepare": ("rejected",)}
_FELT_ONCE = ("accepted", "promise", "multi_paxos_propose")


def changes_nothing(record: Json) -> bool:
    """Whether the node is afterwards as it was before, as anybody can see."""
    kind, said = kind_of(record["input"]), [m["body"]["type"] for m in record["output"]]
    return (
        kind in _READ
        or is_refusal(record["input"], record["output"])
        or (said != [] and set(said) <= set(_SAID_INSTEAD.get(kind, ())))
    )


def repeated(record: Json, line: int) -> Claim:
    """Of a record that stands a second time, at this line, right behind the first."""
    kind, node = kind_of(record["input"]), record["node"]
    if any("msg_id" in message["body"] for message in record["output"]):
        return illegal(node, line, "a reply has another number than the next one")
    if kind in ("crash", "restart"):
        return illegal(node, line, "a node does not crash or restart twice")
    if kind in _FELT_ONCE and record["output"]:
        return illegal(node, line, "what was done about it is not done again")
    return Claim(True, "it is received or happens twice, and the same comes of it")


def unheard(record: Json, records: Sequence[Json]) -> bool:
    """Whether nobody received anything that the record's node sent in it."""
    sent = {key(message) for message in record["output"]}
    return not any(is_message(other["input"]) and key(other["input"]) in sent for other in records)


def unanswered(record: Json) -> bool:
    """Whether no client was answered, so that no later reply gets another number without it."""
    return not any("msg_id" in message["body"] for message in record["output"])


def nodes(records: Sequence[Json]) -> set[str]:
    """The nodes whose logs these are."""
    return {record["node"] for record in records}


def is_causal(records: Sequence[Json]) -> bool:
    """Whether the file's order is one in which all of it can have happened."""
    logged, sent = nodes(records), set()
    for record in records:
        given = record["input"]
        if is_message(given) and given["src"] in logged and key(given) not in sent:
            return False
        sent |= {key(message) for message in record["output"]}
    return True


def is_message(given: Json, kind: str | None = None) -> bool:
    return isinstance(given, dict) and "body" in given and kind in (None, given["body"].get("type"))


def is_refusal(given: Json, output: list[Json]) -> bool:
    return is_message(given) and [message["body"].get("type") for message in output] == ["error"]


def kind_of(given: Json) -> str:
    """The type of a message, or the name of an event."""
    if is_message(given):
        return given["body"].get("type")
    return given if isinstance(given, str) else given["event"]


def key(message: Json) -> str:
    """What of a message must have been sent; the rest of an envelope is the network's."""
    return canonical([message.get("src"), message.get("dest"), message["body"]])
