"""Verdicts in words: what is wrong, where, and what led to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..report import LONGEST_ENTRY, beside, listed, near, shortened
from .verdict import MISSING, Discrepancy, Finding, Rejection, Verdict

# One place that differs may make many others differ; the first ones tell why.
MOST_DIFFERING = 5


def rejection(found: Rejection) -> str:
    """The first bad record of a log, what is wrong with it, and what led to it."""
    record = found.record
    lines = [f"{record.place}: node {record.node}: {found.reason} ({found.judge})"]
    lines += [f"  action:   {found.action}", f"  input:    {shortened(json.dumps(record.input))}"]
    if found.unmet is not None:
        lines.append(f"  needs:    {discrepancy(found.unmet)}")
    if found.allowed is not None:
        lines += beside(found.allowed, record.output)
    else:
        lines += listed("found", record.output)
    lines += [f"  differs:  {discrepancy(each)}" for each in found.differing[:MOST_DIFFERING]]
    if len(found.differing) > MOST_DIFFERING:
        lines.append(f"            and in {len(found.differing) - MOST_DIFFERING:,} more places")
    if found.state is not None:
        lines.append(f"  state:    {shortened(json.dumps(found.state))}")
    for each in found.before:
        taken = json.dumps({"input": each.input, "output": each.output})
        lines.append(f"  line {each.line}, before: {shortened(taken)}")
    return "\n".join(lines)


def unchecked(verdicts: Sequence[Verdict]) -> list[str]:
    """Lines that say what of the logs could not be checked, for it is missing."""
    lacking = [verdict.absent for verdict in verdicts if verdict.absent]
    if not lacking:
        return []
    names = ", ".join(lacking[0])
    if len(verdicts) > 1:
        names = f"some members of {len(lacking):,} clusters"
    return [f"there is no log of {names}: what these nodes did and sent is not checked"]


def discrepancy(found: Discrepancy) -> str:
    """A place where something is not what it must be, with both values."""
    expected, other = map(_value, (found.expected, found.found))
    must, is_ = near(expected, other, LONGEST_ENTRY), near(other, expected, LONGEST_ENTRY)
    return f"{found.path} must be {must} and is {is_}"


def _value(item: Any) -> str:
    return "nothing" if item is MISSING else json.dumps(item)


def finding(found: Finding) -> str:
    """An entry of a history that is wrong, and what it contradicts."""
    entries = [each for each in (found.other, found.entry) if each is not None]
    lines = [f"{found.entry.place}: {found.reason} ({found.rule})"]
    for entry in sorted(entries, key=lambda each: each.line):
        shown = shortened(json.dumps(entry.message))
        lines.append(f"  line {entry.line}, {entry.kind}: {shown}")
    return "\n".join(lines)
