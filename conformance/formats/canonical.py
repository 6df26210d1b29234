"""Equality of JSON values, the same for all checkers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

Json = Any


def canonical(item: Json) -> str:
    """One text for all that is the same: the order of keys is of no account.

    Values are not compared themselves, for to Python true equals 1 and 1.0.
    """
    return json.dumps(item, sort_keys=True)


def by_destination(messages: Iterable[Json]) -> dict[str, list[str]]:
    """Return the texts of what each destination is sent, in order.

    What is sent to different destinations has no order between them, for the network keeps none.
    What is not a message at all stands under its own text.
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
    """Whether two outputs of a step are the same: each destination is sent the same, in order."""
    return by_destination(one) == by_destination(other)


def _without_text(message: Json) -> Json:
    """The text of an error is free, as long as it is a string."""
    match message:
        case {"body": {"type": "error", "text": str(), **fields}}:
            return {**message, "body": {"type": "error", **fields}}
    return message
