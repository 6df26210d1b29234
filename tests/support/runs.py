"""Records of runs, written by hand, and values that are hard to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conformance.formats.logs import Record


def message(src: str, dest: str, kind: str, **fields: Any) -> Any:
    return {"src": src, "dest": dest, "body": {"type": kind, **fields}}


def run(*steps: tuple[str, Any, list[Any]], path: str = "run") -> list[Record]:
    """Return the records of one log."""
    return [Record(*step, Path(path), line) for line, step in enumerate(steps, 1)]


PING, PONG = message("a", "b", "learn", known=[]), message("b", "a", "learn", known=[])

STRANGE = [
    None,
    1.5,
    True,
    2**70,
    -1,
    "",
    "\ud800",
    [],
    {},
    {"": 1},
    {"from": {"_x": None}},
    {"tag": "Bad", "value": 1},
    {"a b": [1, {"#bigint": "7"}]},
    {"class": [[]]},
]
