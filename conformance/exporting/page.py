"""Render a run as one HTML page, which needs no other file and no network.

This module turns the run into data; pages/ has the markup and scripts.  A log may contain anything,
so its data is JSON that cannot end the element around it, and pages/*.js shows it as text only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..formats import logs
from ..formats.schema import is_message
from ..running.replay import Difference
from ..validation.verdict import Rejection
from . import template
from .causality import Step
from .states import BY_SLOT, States

Json = Any

# In the order in which the browser runs them.
SCRIPTS = ("run.js", "states.js", "labels.js", "chart.js", "panel.js", "filter.js", "main.js")

# A browser represents whole numbers exactly up to this one.
_EXACT = 2**53


@dataclass(frozen=True)
class Mark:
    """A record at which something is wrong: the reason, the expected and the found output.

    `expected` is None if there is nothing to compare.
    """

    place: str
    reason: str
    expected: list[Json] | None
    found: list[Json]


def mark_of_difference(found: Difference) -> Mark:
    """Return the mark of a record at which a replayed node differs."""
    reason = found.remark or "the node's output differs from the log's"
    return Mark(found.record.place, reason, found.record.output, found.found)


def mark_of_rejection(found: Rejection) -> Mark:
    """Return the mark of a record that trace validation rejects."""
    reason = f"{found.reason} ({found.checker})"
    return Mark(found.record.place, reason, found.allowed, found.record.output)


def marks_of_states(steps: Sequence[Step], states: States) -> list[Mark]:
    """Return the marks of steps that the specification does not allow."""
    marks = []
    for record in (step.record for step in steps):
        if record.place in states.stopped:
            allowed = states.stopped[record.place]
            what = "does not allow this input" if allowed is None else "requires another output"
            reason = f"the specification {what} here"
            marks.append(Mark(record.place, reason, allowed, record.output))
    return marks


def html(
    title: str,
    steps: Sequence[Step],
    states: States | None,
    marks: Iterable[Mark],
    part: range | None = None,
) -> str:
    """Return the page of a run, or of a part of it; the first mark at a place counts."""
    by_place = {mark.place: mark for mark in reversed(list(marks))}
    data = _run(title, steps, states or States(), by_place, part or range(len(steps)))
    # Without <, the text has neither the end of its element nor a comment.
    text = json.dumps(_exact(data), separators=(",", ":")).replace("<", "\\u003c")
    script = "\n".join(map(template.read, SCRIPTS))
    style = template.read("run.css")
    return template.fill("run.html", {"STYLE": style, "SCRIPT": script, "DATA": text})


def _run(
    title: str, steps: Sequence[Step], states: States, marks: Mapping[str, Mark], part: range
) -> dict[str, Json]:
    """Return the data of the page.

    Each message is in `messages` once, and records refer to it by index.  Indices of steps count
    from the beginning of the part.
    """
    messages: dict[str, int] = {}

    def number(message: Json) -> int:
        return messages.setdefault(json.dumps(message), len(messages))

    records = []
    for record, sending in ((steps[at].record, steps[at].sending) for at in part):
        mark = marks.get(record.place)
        fields = {
            "node": record.node,
            "action": record.action,
            "input": number(record.input) if is_message(record.input) else record.input,
            "output": [number(message) for message in record.output],
            "place": record.place,
            "line": record.line,
            "sent": sending and [sending.step - part.start, sending.index],
            "change": states.changes.get(record.place),
            "mark": mark and [mark.reason, mark.expected, mark.found],
        }
        records.append({key: item for key, item in fields.items() if item is not None})
    return {
        "title": title,
        "begin": part.start,
        "length": len(steps),
        "files": len({step.record.path for step in steps}),
        "nodes": _nodes(steps),
        "members": _members(steps),
        "messages": [json.loads(text) for text in messages],
        "records": records,
        "fresh": states.fresh,
        "bySlot": BY_SLOT,
    }


def _members(steps: Iterable[Step]) -> list[str]:
    return list(logs.members(step.record for step in steps))


def _nodes(steps: Sequence[Step]) -> list[str]:
    """Return the nodes that have a log, in the order of the cluster."""
    logged = dict.fromkeys(step.record.node for step in steps)
    members = [node for node in _members(steps) if node in logged]
    return [*members, *(node for node in logged if node not in members)]


def _exact(found: Json) -> Json:
    """Replace each number that a browser would round, or not read, by its text."""
    if isinstance(found, dict):
        return {key: _exact(item) for key, item in found.items()}
    if isinstance(found, (list, tuple)):
        return [_exact(item) for item in found]
    if isinstance(found, float) or (isinstance(found, int) and abs(found) > _EXACT):
        return {"#number": json.dumps(found)}
    return found
