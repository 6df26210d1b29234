"""What the judges of logs and of histories say: nothing here judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .history import Entry
from .logs import Record

Json = Any


@dataclass(frozen=True)
class Rejection:
    """The first bad record of a node's log: who says so, and what was allowed there.

    `allowed` is None where the specification takes no such input at all, otherwise the output
    that it demands.
    """

    record: Record
    judge: str
    reason: str
    allowed: list[Json] | None = None


@dataclass(frozen=True)
class Verdict:
    """The judgement of one cluster's log."""

    records: int
    rejections: list[Rejection]


@dataclass(frozen=True)
class Finding:
    """An entry of a history that cannot be right, and the other one that it contradicts, if any."""

    rule: str
    entry: Entry
    other: Entry | None
    reason: str
