"""Equality of JSON values, the same for all checkers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
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
    """Return whether two outputs are those of the same step, as far as the network keeps them.

    Each destination gets the same messages in the same order, apart from the numbers of replies:
    these are the same in all, and ascend for each client.  Which client's reply is the first one
    is free.
    """
    return _unnumbered(one) == _unnumbered(other)


def _unnumbered(messages: Iterable[Json]) -> tuple[dict[str, list[str]], list[str], bool]:
    """Return the messages to each destination without `msg_id`, these, and whether they ascend."""
    plain: list[Json] = []
    numbers: dict[str, list[Json]] = defaultdict(list)
    for message in messages:
        match message:
            case {"dest": str(dest), "body": {"msg_id": number, **fields}}:
                plain.append({**message, "body": {**fields, "msg_id": "compared apart"}})
                numbers[dest].append(number)
            case _:
                plain.append(message)
    texts = sorted(map(canonical, chain(*numbers.values())))
    ascend = all(its == sorted(its, key=_number_or_less) for its in numbers.values())
    return by_destination(plain), texts, ascend


def _number_or_less(number: Json) -> float:
    return number if isinstance(number, (int, float)) else -1


def _without_text(message: Json) -> Json:
    """Return a message without the text of an error, which may be any string."""
    match message:
        case {"body": {"type": "error", "text": str(), **fields}}:
            return {**message, "body": {"type": "error", **fields}}
    return message
