"""Parse TLA+ values that TLC prints, and write those that it reads.

A record or a function is a `dict`, a sequence a `list`, a set a `frozenset`.  TLC prints a function
whose domain is 1..n as a sequence, so it is parsed as one.  A parsed value must not be changed, as
it may be in a set.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|<<|>>|\|->|:>|@@|\.\.|[\[\]{}(),]|-?\d+|\w+)')


class Sequence(list[Any]):
    """A sequence that can be in a set."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


class Function(dict[Any, Any]):
    """A record or a function that can be in a set."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def parse(text: str) -> Any:
    """Parse one value as TLC prints it; raise `ValueError` if the text is malformed."""
    tokens = _TOKEN.findall(text)
    value, end = _value(tokens, 0)
    if end != len(tokens):
        raise ValueError(f"text after the value: {' '.join(tokens[end:])[:80]}")
    return value


def _value(tokens: list[str], at: int) -> tuple[Any, int]:
    token = tokens[at]
    if token == "<<":
        return _many(tokens, at + 1, ">>")
    if token == "{":
        items, end = _many(tokens, at + 1, "}")
        return frozenset(items), end
    if token == "[":
        return _pairs(tokens, at + 1, "|->", ",", "]")
    if token == "(":
        return _pairs(tokens, at + 1, ":>", "@@", ")")
    if tokens[at + 1 : at + 2] == [".."]:
        return frozenset(range(int(token), int(tokens[at + 2]) + 1)), at + 3
    return _scalar(token), at + 1


def _scalar(token: str) -> Any:
    if token[0] == '"':
        return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if token in ("TRUE", "FALSE"):
        return token == "TRUE"
    return int(token) if token.lstrip("-").isdigit() else token


def _many(tokens: list[str], at: int, close: str) -> tuple[list[Any], int]:
    items = Sequence()
    while tokens[at] != close:
        item, at = _value(tokens, at)
        items.append(item)
        at += tokens[at] == ","
    return items, at + 1


def _pairs(
    tokens: list[str], at: int, arrow: str, between: str, close: str
) -> tuple[dict[Any, Any], int]:
    pairs = Function()
    while tokens[at] != close:
        key, at = _value(tokens, at)
        if tokens[at] != arrow:
            raise ValueError(f"{arrow} expected, {tokens[at]} found")
        pairs[key], at = _value(tokens, at + 1)
        at += tokens[at] == between
    return pairs, at + 1


def text(value: Any) -> str:
    """Return a value as TLA+ text; a `dict` with text keys is a record, any other a function."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "<<" + ", ".join(map(text, value)) + ">>"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(text, value))) + "}"
    if value and all(isinstance(key, str) for key in value):
        return "[" + ", ".join(f"{key} |-> {text(item)}" for key, item in value.items()) + "]"
    if not value:
        return "<<>>"
    return "(" + " @@ ".join(f"{text(key)} :> {text(item)}" for key, item in value.items()) + ")"
