"""A run as one HTML page, to be looked at in any browser: no other file and no network is needed.

Here the run becomes data; how it looks and moves is told in pages/.  What stands in a log may be
anything, so all of it travels as JSON that cannot end the element it stands in, and pages/*.js puts
it on the screen as text alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..formats import logs
from ..formats.schema import is_message
from ..running.replay import Difference
from ..validation.verdict import Rejection
from .causality import Step
from .states import BY_SLOT, States

Json = Any

# In the order in which the browser runs them.
SCRIPTS = ("run.js", "states.js", "labels.js", "chart.js", "panel.js", "filter.js", "main.js")

# A browser's numbers are whole up to here.
_EXACT = 2**53


@dataclass(frozen=True)
class Mark:
    """A record at which something is wrong: why, what was expected there and what was found.

    `expected` is None where there is nothing to compare.
    """

    place: str
    reason: str
    expected: list[Json] | None
    found: list[Json]


def of_difference(found: Difference) -> Mark:
    """What a replay found to differ."""
    reason = found.remark or "the node said something else than the log tells"
    return Mark(found.record.place, reason, found.record.output, found.found)


def of_rejection(found: Rejection) -> Mark:
    """What a judge of logs rejected."""
    reason = f"{found.reason} ({found.checker})"
    return Mark(found.record.place, reason, found.allowed, found.record.output)


def of_states(steps: Sequence[Step], states: States) -> list[Mark]:
    """What TLC could not follow."""
    marks = []
    for record in (step.record for step in steps):
        if record.place in states.stopped:
            allowed = states.stopped[record.place]
            what = "takes no such input" if allowed is None else "demands another output"
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
    """The page of a run, or of a part of it; of several marks at one place the first one counts."""
    by_place = {mark.place: mark for mark in reversed(list(marks))}
    data = _run(title, steps, states or States(), by_place, part or range(len(steps)))
    # No < is left, and so no end of the element and no comment; the rest of JSON is plain text.
    text = json.dumps(_exact(data), separators=(",", ":")).replace("<", "\\u003c")
    script = "\n".join(map(_read, SCRIPTS))
    page = _read("run.html")
    for name, part in (("STYLE", _read("run.css")), ("SCRIPT", script), ("DATA", text)):
        before, after = page.split(f"@{name}@")
        page = before + part + after
    return page


def _read(name: str) -> str:
    return files(__package__).joinpath("pages", name).read_text("utf-8")


def _run(
    title: str, steps: Sequence[Step], states: States, marks: Mapping[str, Mark], part: range
) -> dict[str, Json]:
    """What the page has to know.  A message that stands in several records is told once.

    A place in the run is counted from where the part begins.
    """
    messages: dict[str, int] = {}

    def number(message: Json) -> int:
        return messages.setdefault(json.dumps(message), len(messages))

    records = []
    for record, sending in ((steps[at].record, steps[at].sending) for at in part):
        mark = marks.get(record.place)
        told = {
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
        records.append({key: item for key, item in told.items() if item is not None})
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
    """The nodes that have a log, in the order of the cluster."""
    logged = dict.fromkeys(step.record.node for step in steps)
    members = [node for node in _members(steps) if node in logged]
    return [*members, *(node for node in logged if node not in members)]


def _exact(found: Json) -> Json:
    """The same with each number that a browser would round or not read as the text of it."""
    if isinstance(found, dict):
        return {key: _exact(item) for key, item in found.items()}
    if isinstance(found, (list, tuple)):
        return [_exact(item) for item in found]
    if isinstance(found, float) or (isinstance(found, int) and abs(found) > _EXACT):
        return {"#number": json.dumps(found)}
    return found
