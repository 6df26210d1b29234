"""Names that TLC can hold for what real logs hold: any text, any JSON value, slots up to 2^63.

The specification only compares clients, values and request numbers, so each gets a short name.  It
orders slots as well, so they get their rank; a stretch of slots that nobody speaks of on its own
gets one rank for all of it, so that whoever claims to know more than there is, is found out.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from .schema import fields
from .translate import function, merged

Json = Any

# Far from where TLC's numbers end, so that it can go on counting from it.
LARGEST = 2**30

# What the specification reads of a request; a client may send more.
_REQUEST_FIELDS = {
    "multi_paxos_propose": ("type", "msg_id", "slot", "value"),
    "multi_paxos_log": ("type", "msg_id", "from", "limit"),
}

# What it does not tell of a reply: its number, and the reason that people are given.
_UNTOLD = ("msg_id", "text")


class Names:
    """The names for everything in some logs, and the way back for what TLC says of them."""

    def __init__(self, messages: Iterable[Json]) -> None:
        points = sorted({slot for m in messages for slot in _slots(m["body"])})
        gaps = [(low + 1, high - 1) for low, high in pairwise(points) if high > low + 1]
        self._stretches = sorted([(point, point) for point in points] + gaps)
        self._starts = [low for low, _ in self._stretches]
        self._given: dict[tuple[str, str], str] = {}
        self._meant: dict[str, Json] = {}

    @property
    def last(self) -> int:
        """The highest rank of a slot."""
        return max(0, len(self._stretches) - 1)

    # From JSON to the text of a TLA+ expression.

    def name(self, kind: str, meant: Json) -> str:
        """The short name of a node or client ("p"), a request number ("i") or a value ("v")."""
        key = (kind, json.dumps(meant))
        if key not in self._given:
            self._given[key] = f"{kind}{len(self._given)}"
            self._meant[self._given[key]] = meant
        return f'"{self._given[key]}"'

    def input(self, given: Json) -> str:
        """An input of a log, a message or an event."""
        return f'[event |-> "{given}"]' if isinstance(given, str) else self.message(given)

    def message(self, message: Json) -> str:
        """An envelope of a log."""
        body = message["body"]
        wanted = _REQUEST_FIELDS.get(body["type"]) or [f for f in body if f not in _UNTOLD]
        read = [field for field in wanted if field in body]
        inside = ", ".join(f"{field} |-> {self._field(field, body[field])}" for field in read)
        src, dest = self.name("p", message["src"]), self.name("p", message["dest"])
        return f"[src |-> {src}, dest |-> {dest}, body |-> [{inside}]]"

    def _field(self, field: str, meant: Json) -> str:
        if field in ("msg_id", "in_reply_to"):
            return self.name("i", meant)
        if field == "value":
            return self.name("v", meant)
        if field in ("slot", "from"):
            return str(self._rank(meant))
        if field == "limit":
            return str(min(meant, LARGEST))
        if field == "known":
            return self._known(meant)
        if field in ("accepted", "decided"):
            return self._function(field, meant)
        if field == "log":
            return "<<" + ", ".join(self._record(entry) for entry in meant) + ">>"
        return json.dumps(meant).upper() if isinstance(meant, bool) else json.dumps(meant)

    def _record(self, entry: Json) -> str:
        inside = ", ".join(f"{field} |-> {self._field(field, entry[field])}" for field in entry)
        return f"[{inside}]"

    def _function(self, field: str, entries: list[Json]) -> str:
        if not entries:
            return "<<>>"
        pairs = []
        for entry in entries:
            item = {key: entry[key] for key in entry if key != "slot"}
            named = (
                self._record(item) if field == "accepted" else self._field("value", item["value"])
            )
            pairs.append(f"{self._rank(entry['slot'])} :> {named}")
        return f"({' @@ '.join(pairs)})"

    def _known(self, found: list[list[int]]) -> str:
        inside = " \\cup ".join(f"({self._rank(low)}..{self._rank(high)})" for low, high in found)
        return f"({inside})" if inside else "{}"

    def _rank(self, slot: int) -> int:
        # A slot below or above all that is spoken of does not occur: _slots saw every message.
        return bisect_left(self._starts, slot)

    # From what TLC prints back to JSON.

    def meant(self, message: Any) -> Json:
        """A message that TLC printed, as an envelope; a reply's own number is not part of it."""
        body = message["body"]
        found = {field: self._meaning(field, body[field]) for field in fields(body["type"])
                 if field in body}  # fmt: skip
        return {
            "src": self._meant[message["src"]],
            "dest": self._meant[message["dest"]],
            "body": found,
        }

    def state(self, field: str, item: Any) -> Json:
        """A field of a node's state that TLC printed, as messages write the like."""
        if field == "promises":
            return self._nodes(item)
        if field == "votes":
            found = sorted(function(item).items())
            return [{"slot": self._starts[rank], "nodes": self._nodes(who)} for rank, who in found]
        if field == "waiting":
            return [{**asked, "request": self.meant(asked["request"])} for asked in item]
        alike = {"reported": "accepted", "closed": "known"}
        return self._meaning(alike.get(field, field), item)

    def slots(self, ranks: Iterable[int]) -> list[int]:
        """Slots that are spoken of, in ascending order."""
        return [self._starts[rank] for rank in sorted(ranks)]

    def _nodes(self, names: Iterable[str]) -> list[str]:
        return sorted(self._meant[name] for name in names)

    def _meaning(self, field: str, item: Any) -> Json:
        if field in ("msg_id", "in_reply_to", "value"):
            return self._meant[item]
        if field == "slot":
            return self._starts[item]
        if field == "known":
            return merged(self._stretches[rank] for rank in sorted(item))
        if field in ("accepted", "decided"):
            # A vote is a record already, a decision just a value.
            votes = field == "accepted"
            return [
                self._entry({"slot": rank, **(found if votes else {"value": found})})
                for rank, found in sorted(function(item).items())
            ]
        if field == "log":
            return [self._entry(entry) for entry in item]
        return item

    def _entry(self, entry: dict[str, Any]) -> Json:
        return {field: self._meaning(field, item) for field, item in entry.items()}


def countable(given: Json) -> bool:
    """Whether TLC, whose numbers have 32 bits, can count with every ballot of an input."""
    if isinstance(given, str):
        return True
    body = given["body"]
    found = [body.get("ballot", 0), body.get("promised", 0)]
    if body["type"] == "promise":
        found += [vote["ballot"] for vote in body["accepted"]]
    return max(found) <= LARGEST


def _slots(body: Json) -> Iterable[int]:
    """Every slot that a message speaks of."""
    for field in ("slot", "from"):
        if field in body:
            yield body[field]
    for low, high in body.get("known", ()):
        yield low
        yield high
    for field in ("accepted", "decided", "log"):
        for entry in body.get(field, ()):
            yield entry["slot"]
