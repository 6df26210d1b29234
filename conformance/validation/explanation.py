"""Format verdicts for people: what is wrong, where, and the records before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..report import LONGEST_ENTRY, beside, listed, near, shortened
from .verdict import MISSING, Discrepancy, Finding, Rejection, Verdict

# One difference may cause many others; the first ones explain it.
MOST_DIFFERING = 5


def format_rejection(found: Rejection) -> str:
    """Return the first bad record of a log, what is wrong with it, and the records before it."""
    record = found.record
    lines = [f"{record.place}: node {record.node}: {found.reason} ({found.checker})"]
    lines += [f"  action:   {found.action}", f"  input:    {shortened(json.dumps(record.input))}"]
    if found.unmet is not None:
        lines.append(f"  needs:    {format_discrepancy(found.unmet)}")
    if found.allowed is not None:
        lines += beside(found.allowed, record.output)
    else:
        lines += listed("found", record.output)
    lines += [
        f"  differs:  {format_discrepancy(each)}" for each in found.differing[:MOST_DIFFERING]
    ]
    if len(found.differing) > MOST_DIFFERING:
        lines.append(f"            and in {len(found.differing) - MOST_DIFFERING:,} more places")
    if found.state is not None:
        lines.append(f"  state:    {shortened(json.dumps(found.state))}")
    for each in found.before:
        step = json.dumps({"input": each.input, "output": each.output})
        where = f"line {each.line}" if each.file is None else each.place
        lines.append(f"  {where}, before: {shortened(step)}")
    return "\n".join(lines)


def format_missing_logs(verdicts: Sequence[Verdict]) -> list[str]:
    """Return lines about the logs that are missing or begin with a state: what is not checked."""
    found = []
    if names := _names([verdict.missing_logs for verdict in verdicts]):
        found.append(f"there is no log of {names}: what these nodes did and sent is not checked")
    if names := _names([verdict.begun_logs for verdict in verdicts]):
        found.append(
            f"a log begins with a state, of {names}: what these nodes did and sent before it is "
            "checked only against that state"
        )
    return found


def _names(of_each: Sequence[Sequence[str]]) -> str:
    """Return the names of nodes, or of how many clusters they are; "" if there are none."""
    some = [nodes for nodes in of_each if nodes]
    if not some:
        return ""
    return ", ".join(some[0]) if len(of_each) == 1 else f"some members of {len(some):,} clusters"


def format_discrepancy(found: Discrepancy) -> str:
    """Return the path of a differing place, with both values."""
    expected, other = map(_value, (found.expected, found.found))
    must, is_ = near(expected, other, LONGEST_ENTRY), near(other, expected, LONGEST_ENTRY)
    return f"{found.path} must be {must} and is {is_}"


def _value(item: Any) -> str:
    return "nothing" if item is MISSING else json.dumps(item)


def format_finding(found: Finding) -> str:
    """Return a bad entry of a history, and the entry that it contradicts."""
    entries = [each for each in (found.other, found.entry) if each is not None]
    lines = [f"{found.entry.place}: {found.reason} ({found.rule})"]
    for entry in sorted(entries, key=lambda each: each.line):
        shown = shortened(json.dumps(entry.message))
        lines.append(f"  line {entry.line}, {entry.kind}: {shown}")
    return "\n".join(lines)
