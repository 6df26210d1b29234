"""Equality of JSON values, the same for all checkers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

Json = Any


def canonical(item: Json) -> str:
    """Return a text that is the same for equal values, whatever the order of their keys.

    Comparing the values themselves would be wrong: in Python, true equals 1 and 1.0.
    """
    return json.dumps(item, sort_keys=True)


def by_destination(messages: Iterable[Json]) -> dict[str, list[str]]:
    """Return the texts of the messages to each destination, in order.

    Messages to different destinations have no order, as the network keeps none.  A value that is
    not a message has a key of its own, its text.
    """
    found: dict[str, list[str]] = {}
    for message in messages:
        match message:
            case {"dest": str(dest)}:
                found.setdefault(f"to {dest}", []).append(canonical(_without_text(message)))
            case _:
                found.setdefault(canonical(message), []).append("")
    return found


def same_output(one: Iterable[Json], other: Iterable[Json]) -> bool:
    """Return whether two outputs of a step have the same messages to each destination, in order."""
    return by_destination(one) == by_destination(other)


def _without_text(message: Json) -> Json:
    """Return a message without the text of an error, which may be any string."""
    match message:
        case {"body": {"type": "error", "text": str(), **fields}}:
            return {**message, "body": {"type": "error", **fields}}
    return message
