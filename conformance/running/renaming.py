"""Rename golden traces: other names, slots, request numbers and values.

The traces of a model use few names and numbers, all of them small.  The specification is
data-independent (see `vocabulary`), so a trace stays valid if its inputs and expected outputs are
renamed in the same way.  Ballots stay, as their owners depend only on the order of members.

The clients, numbers and values of different requests may become equal, but no two requests do.  So
a node fails that recognises a repeated request by only a part of it.  No-ops are added: log
requests for no entries, and malformed requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from ..formats import logs
from ..formats.canonical import canonical
from ..formats.schema import is_message
from .vocabulary import HIGHEST, NO_SLOTS, Slots, Vocabulary, reordered

Json = Any
RequestId = tuple[str, int]
"""A client and its request number."""

# The probability of a no-op after a step, and the most places that a renaming can have.
ADDED = 0.03
MOST_PLACES = 10_000

_REQUESTS = ("init", "multi_paxos_propose", "multi_paxos_log")
_LISTS = ("accepted", "decided", "log")


def read(path: Path, seed: int) -> list[logs.Record]:
    """Return the records of a log under the renaming of a seed, which differs between files.

    Raises `LogError` for a malformed log, or one that cannot be renamed: with very high slots,
    refused requests, or replies to requests that are not in it.
    """
    return renamed(logs.read(path), f"{seed} {path.parent.name}/{path.name}")


def renamed(records: Sequence[logs.Record], seed: object) -> list[logs.Record]:
    """Return records under the renaming of a seed, with no-ops between them."""
    for record in records:
        if record.refused:
            raise logs.LogError(f"{record.place}: a log with refused requests cannot be renamed")
        if record.state is not None:
            raise logs.LogError(f"{record.place}: a log that begins with a state cannot be renamed")
    renaming = _Renaming(records, Vocabulary(seed))
    return list(_with_no_ops(list(map(renaming.record, records)), Random(f"{seed} more")))


class _Renaming:
    """A random renaming for one log."""

    def __init__(self, records: Sequence[logs.Record], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._rng = vocabulary.rng("order of keys")
        self._names = _names(records, vocabulary)
        self._slots = _slots(records, vocabulary)
        self._values: dict[int, dict[str, int]] = {}
        self._one_value = False
        requests = [record.input for record in records if _is_request(record.input)]
        self._request_ids = self._distinct_ids(requests)
        self._merge_ids([m for m in requests if m["body"]["type"] == "multi_paxos_propose"])

    # Requests.

    def _distinct_ids(self, requests: Sequence[Json]) -> dict[RequestId, RequestId]:
        """Map each client and each number to another one, different ones to different ones."""
        old = dict.fromkeys(message["body"]["msg_id"] for message in requests)
        new = {number: self._vocabulary.number(place) for place, number in enumerate(old)}
        ids = map(_request_id, requests)
        return {(src, number): (self._names[src], new[number]) for src, number in ids}

    def _merge_ids(self, proposals: Sequence[Json]) -> None:
        """Give all proposals one number and, in half of these logs, one client; else one value.

        Done in two of three logs, and only if different proposals stay different.
        """
        how = self._vocabulary.rng("requests").choice(("distinct", "one id", "one value"))
        if how == "distinct" or not proposals:
            return
        distinct = self._request_ids
        client, number = distinct[_request_id(proposals[0])]
        merged = {
            old: (client if how == "one id" else distinct[old][0], number)
            for old in map(_request_id, proposals)
        }
        self._request_ids, self._one_value = {**distinct, **merged}, how == "one value"
        before = {canonical(message) for message in proposals}
        if len({canonical(self._message(message)) for message in proposals}) < len(before):
            self._request_ids, self._one_value = distinct, False

    # Records.

    def record(self, record: logs.Record) -> logs.Record:
        """Return a record under this renaming."""
        given = record.input
        output = [self._message(message) for message in record.output]
        if is_message(given):
            given = reordered(self._message(given), self._rng)
            _raise_limit(given["body"], output, self._rng)
        elif isinstance(given, dict):
            given = {**given, "slots": self._slots.ranges(given["slots"])}
        return replace(record, node=self._names[record.node], input=given, output=output)

    def _message(self, message: Json) -> Json:
        src, dest, body = message["src"], message["dest"], message["body"]
        new_src, new_dest, new = self._names[src], self._names[dest], self._body(body)
        if _is_request(message):
            new_src, new["msg_id"] = self._request_ids[src, body["msg_id"]]
        elif "in_reply_to" in body:
            replied = dest, body["in_reply_to"]
            if replied not in self._request_ids:
                raise logs.LogError(f"a reply without a request to {replied}: {message}")
            new_dest, new["in_reply_to"] = self._request_ids[replied]
        return {**message, "src": new_src, "dest": new_dest, "body": new}

    def _body(self, body: Json) -> Json:
        new = self._entry(body)
        if "node_ids" in body:
            new["node_id"] = self._names[body["node_id"]]
            new["node_ids"] = [self._names[name] for name in body["node_ids"]]
        if "from" in body:
            new["from"] = self._slots(body["from"])
        if "known" in body:
            new["known"] = self._slots.ranges(body["known"])
        for field in _LISTS:
            if field in body:
                new[field] = list(map(self._entry, body[field]))
        return new

    def _entry(self, entry: Json) -> Json:
        """Rename the slot and the value of a body or of an entry, if it has them."""
        new = dict(entry)
        if "value" in entry:
            new["value"] = self._value(entry["slot"], entry["value"])
        if "slot" in entry:
            new["slot"] = self._slots(entry["slot"])
        return new

    def _value(self, slot: int, value: Json) -> Json:
        """Rename a value: those of one slot become almost equal; others are never compared."""
        variants = self._values.setdefault(slot, {})
        variant = variants.setdefault(canonical(value), len(variants))
        return self._vocabulary.value(slot, 0 if self._one_value else variant)


def _is_request(given: Json) -> bool:
    return is_message(given) and given["body"].get("type") in _REQUESTS


def _request_id(message: Json) -> RequestId:
    return message["src"], message["body"]["msg_id"]


def _messages(records: Iterable[logs.Record]) -> Iterator[Json]:
    for record in records:
        yield from [record.input] if isinstance(record.input, dict) else []
        yield from record.output


def _names(records: Sequence[logs.Record], vocabulary: Vocabulary) -> dict[str, str]:
    old = list(logs.members(records))
    new = vocabulary.members(len(old))
    ends = (m.get(end) for m in _messages(records) for end in ("src", "dest"))
    named = dict.fromkeys([*(record.node for record in records), *ends])
    others = [name for name in named if name is not None and name not in old]
    return dict(zip([*old, *others], [*new, *vocabulary.clients(len(others), new)], strict=True))


def _slots(records: Sequence[logs.Record], vocabulary: Vocabulary) -> Slots:
    """Return a slot for each one from the lowest to the highest that is named.

    A log request from a lower slot becomes one from the first of them.
    """
    named = [slot for message in _messages(records) for slot in _named(message)]
    beginnings = [m["body"]["from"] for m in _messages(records) if "from" in m.get("body", {})]
    first, highest = min(named, default=0), max([*named, *beginnings], default=0)
    if highest - first >= MOST_PLACES:
        raise logs.LogError(f"{records[0].path}: slot {highest} is too high to be renamed")
    return vocabulary.slots(highest - first + 1, first)


def _named(message: Json) -> Iterator[int]:
    """Yield the slots that a message or an event names."""
    body = message.get("body", {})
    yield from [body["slot"]] if "slot" in body else []
    for low, high in (*body.get("known", ()), *message.get("slots", ())):
        yield from (low, high)
    for field in _LISTS:
        yield from (entry["slot"] for entry in body.get(field, ()))


def _raise_limit(body: Json, output: Sequence[Json], rng: Random) -> None:
    """Replace the limit by the highest in half of the log requests whose limit has no effect."""
    found = [message["body"]["log"] for message in output if "log" in message["body"]]
    if found and body.get("limit", 0) > len(found[0]) and rng.random() < 0.5:
        body["limit"] = HIGHEST


# No-ops.


def _with_no_ops(records: Sequence[logs.Record], rng: Random) -> Iterator[logs.Record]:
    """Add no-ops at nodes that are up, and renumber the replies of each node."""
    members = logs.members(records)
    clients = [record.input["src"] for record in records if _is_request(record.input)]
    up: set[str] = set()
    replies: Counter[str] = Counter()
    for record in records:
        if record.starts or record.input == "restart":
            up.add(record.node)
        elif record.input == "crash":
            up.discard(record.node)
        yield _numbered(record, members, replies)
        if record.input == "restart":
            del replies[record.node]
        if record.node in up and rng.random() < ADDED:
            yield _numbered(_no_op(record, rng.choice(clients), rng), members, replies)


def _no_op(record: logs.Record, client: str, rng: Random) -> logs.Record:
    """Return a no-op at the node of a record, with the same file and line."""
    number = rng.choice((0, -1, 2**53 + 1))
    propose, log = "multi_paxos_propose", "multi_paxos_log"
    refused = {"type": "error", "in_reply_to": number, "code": 12, "text": ""}
    body, reply = rng.choice(
        (
            ({"type": log, "limit": 0}, {"type": f"{log}_ok", "in_reply_to": number, "log": []}),
            ({"type": propose, "slot": rng.choice(NO_SLOTS), "value": "no slot"}, refused),
            ({"type": log, "from": rng.choice(NO_SLOTS)}, refused),
        )
    )
    given = {"src": client, "dest": record.node, "body": {**body, "msg_id": number}}
    output = [{"src": record.node, "dest": client, "body": reply}]
    return replace(record, input=given, output=output)


def _numbered(record: logs.Record, members: Sequence[str], replies: Counter[str]) -> logs.Record:
    """Return a record whose replies are numbered after those before it."""
    output = []
    for message in record.output:
        if message["dest"] not in members:
            body = {**message["body"], "msg_id": replies[record.node]}
            message = {**message, "body": body}
            replies[record.node] += 1
        output.append(message)
    return replace(record, output=output)
