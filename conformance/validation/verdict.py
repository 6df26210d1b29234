"""What the judges of logs and of histories say: nothing here judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..formats.history import Entry
from ..formats.logs import Record

Json = Any


# A place that is not there at all is not the same as any JSON value.
MISSING = object()


@dataclass(frozen=True)
class Discrepancy:
    """A place where something is not what it must be; either side may be `MISSING`."""

    path: str
    expected: Json
    found: Json


@dataclass(frozen=True)
class Rejection:
    """The first bad record of a node's log.

    `judge` says which checker rejects it: "handshake", "delivery", "protocol" or "agreement".
    `action` is the one that was tried, `reason` what is wrong with it.  `unmet` is the condition of
    the action that is false, if that is what is wrong; otherwise `allowed` is the output that the
    specification demands, if it demands another one, and `differing` are the places where it is
    another.  `state` is the node's state before the record, as far as the specification was asked
    for it, and `before` are the last records before it.
    """

    record: Record
    judge: str
    reason: str
    action: str | None = None
    unmet: Discrepancy | None = None
    allowed: list[Json] | None = None
    differing: list[Discrepancy] = field(default_factory=list)
    state: Json | None = None
    before: Sequence[Record] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict on one cluster's logs.

    `absent` are the members whose logs are missing, so that nothing they sent was checked.
    """

    records: int
    rejections: list[Rejection]
    absent: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """An entry of a history that cannot be right, and the other one that it contradicts, if any."""

    rule: str
    entry: Entry
    other: Entry | None
    reason: str
