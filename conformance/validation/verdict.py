"""The results of trace validation and of the history checker, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..formats.history import Entry
from ..formats.logs import Record

Json = Any


# An absent field differs from every JSON value, null included.
MISSING = object()


@dataclass(frozen=True)
class Discrepancy:
    """A place where a value is not the expected one; either side may be `MISSING`."""

    path: str
    expected: Json
    found: Json


@dataclass(frozen=True)
class Rejection:
    """The first bad record of a node's log, and why it is bad.

    record:    the bad record
    checker:   the checker that rejects it: "handshake", "delivery", "specification", "agreement"
    reason:    what is wrong with it
    action:    the specification's action for its input
    unmet:     the false condition of the action, if the specification does not allow the input
    allowed:   the output that the specification requires, if it requires another one
    differing: where `allowed` and the record's output differ
    state:     the node's state before the record, if the specification was evaluated
    before:    the last records before it
    """

    record: Record
    checker: str
    reason: str
    action: str | None = None
    unmet: Discrepancy | None = None
    allowed: list[Json] | None = None
    differing: list[Discrepancy] = field(default_factory=list)
    state: Json | None = None
    before: Sequence[Record] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict on the logs of one cluster.

    `records` is their number; `missing_logs` are the members whose logs are missing, so that what
    they sent was not checked.  `begun_logs` are the nodes whose logs begin with a state: what they
    sent before it was checked only against that state.
    """

    records: int
    rejections: list[Rejection]
    missing_logs: Sequence[str] = ()
    begun_logs: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """An entry of a history that breaks a rule, and the entry that it contradicts, if any."""

    rule: str
    entry: Entry
    other: Entry | None
    reason: str
