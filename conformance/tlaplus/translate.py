"""Translate messages and records between TLA+ and JSON.

They differ only where JSON has no such value: a set of slots is written as ranges, a function from
slots as a list of entries in ascending order, an event as its name.  All else keeps its name and
its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..formats.schema import fields

Json = Any
Tla = Any


def ranges(slots: Iterable[int]) -> list[list[int]]:
    """Return a set of slots as inclusive ranges, ascending and as few as possible."""
    return merged((slot, slot) for slot in sorted(slots))


def merged(intervals: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return ascending, disjoint intervals of slots as ranges: adjacent ones become one."""
    found: list[list[int]] = []
    for low, high in intervals:
        if found and found[-1][1] == low - 1:
            found[-1][1] = high
        else:
            found.append([low, high])
    return found


def function(value: Tla) -> dict[int, Any]:
    """Return a function from slots; TLC prints one with the domain 1..n as a sequence."""
    return dict(enumerate(value, 1)) if isinstance(value, list) else value


def _entries(value: Tla, entry: Any) -> list[Json]:
    return [{"slot": slot, **entry(item)} for slot, item in sorted(function(value).items())]


_FIELD_TO_JSON = {
    "known": ranges,
    "accepted": lambda value: _entries(
        value, lambda vote: {"ballot": vote["ballot"], "value": vote["value"]}
    ),
    "decided": lambda value: _entries(value, lambda decision: {"value": decision}),
}

_FIELD_TO_TLA = {
    "known": lambda found: frozenset(s for low, high in found for s in range(low, high + 1)),
    "accepted": lambda entries: {
        entry["slot"]: {"ballot": entry["ballot"], "value": entry["value"]} for entry in entries
    },
    "decided": lambda entries: {entry["slot"]: entry["value"] for entry in entries},
}


def _body(body: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = {field: body[field] for field in fields(body["type"]) if field in body}
    return {field: other.get(field, _same)(item) for field, item in found.items()}


def _same(item: Any) -> Any:
    return item


def input_to_json(given: Tla) -> Json:
    """Return an input of the spec, a message or an event, as a log has it."""
    if "event" not in given:
        return message_to_json(given)
    if "slots" in given:
        return {"event": given["event"], "slots": ranges(given["slots"])}
    return given["event"]


def message_to_json(message: Tla) -> Json:
    """Return a message of the spec as a Maelstrom envelope, keys in the documented order."""
    return {
        "src": message["src"],
        "dest": message["dest"],
        "body": _body(message["body"], _FIELD_TO_JSON),
    }


def message_to_tla(message: Json) -> Tla:
    """Return an envelope of a log as a message of the spec."""
    return {
        "src": message["src"],
        "dest": message["dest"],
        "body": _body(message["body"], _FIELD_TO_TLA),
    }
