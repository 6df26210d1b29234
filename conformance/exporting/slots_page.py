"""Render vote logs as one HTML page: slots by nodes, with votes, ballots and what was chosen.

The page needs no script, no other file and no network.  A log may contain anything, so all of its
text is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from ..formats.canonical import canonical
from ..formats.vote_logs import Line, Slot, VoteLogs, order
from ..report import plain, shortened
from ..validation.vote_verdict import (
    VoteRejection,
    VoteVerdict,
    chosen_in,
    name,
)
from . import outputs, template

MOST_SLOTS = 2_000
"""The most slots on a page; of more, those around the first rejected one are shown."""

MOST_REJECTIONS = 100
"""The most rejections at the top of a page."""


def write(path: Path, verdict: VoteVerdict, force: bool = False) -> None:
    """Write the page of a verdict; raises `ExportError` as `outputs.write` does."""
    sources = {line.path for line in verdict.cluster.lines}
    outputs.write(path, html(path.stem, verdict), sources, force)


def html(title: str, verdict: VoteVerdict) -> str:
    """Return the page of a verdict on the vote logs of one cluster."""
    cluster, slots = verdict.cluster, list(verdict.cluster.slots.values())
    wrong = {each.line.place for each in verdict.rejections}
    part = _part(slots, verdict.rejections)
    facts = f"{len(cluster.lines):,} lines of {len(cluster.logs):,} nodes, {len(slots):,} slots"
    if len(part) < len(slots):
        facts += f", showing {part[0].number} to {part[-1].number}"
    inserts = {
        "FACTS": facts,
        "REJECTIONS": _rejections(verdict.rejections),
        "HEAD": _head(cluster),
        "ROWS": "\n".join(_row(cluster, slot, wrong) for slot in part),
        "TITLE": _text(title),
    }
    return template.fill("slots.html", inserts)


def _part(slots: Sequence[Slot], rejections: Sequence[VoteRejection]) -> Sequence[Slot]:
    numbers = {each.slot.number for each in rejections if each.slot}
    first = next((at for at, slot in enumerate(slots) if slot.number in numbers), 0)
    begin = max(0, min(first - MOST_SLOTS // 2, len(slots) - MOST_SLOTS))
    return slots[begin : begin + MOST_SLOTS]


def _text(text: str) -> str:
    return escape(shortened(plain(text)))


def _rejections(found: Sequence[VoteRejection]) -> str:
    items = list(map(_rejection, found[:MOST_REJECTIONS]))
    if len(found) > MOST_REJECTIONS:
        items.append(f"<li>and {len(found) - MOST_REJECTIONS:,} more</li>")
    return "".join(items)


def _rejection(found: VoteRejection) -> str:
    text = f"{_text(found.line.place)}: {_text(found.reason)} ({_text(found.rule)})"
    if found.slot is None:
        return f"<li>{text}</li>"
    return f'<li><a href="#slot{found.slot.number}">{text}</a></li>'


def _head(cluster: VoteLogs) -> str:
    promises = cluster.promised
    cells = ["<th>slot</th>"]
    for node in cluster.members:
        if node not in promises:
            promised = "no log"
        else:
            promised = "" if promises[node] is None else f"promised {name(promises[node])}"
        cells.append(f'<th>{_text(node)}<br><span class="faint">{_text(promised)}</span></th>')
    return f"<tr>{''.join(cells)}<th>chosen</th></tr>"


def _row(cluster: VoteLogs, slot: Slot, wrong: set[str]) -> str:
    chosen = {(order(v.ballot), canonical(v.value)): v for v in chosen_in(cluster, slot)}
    cells = [f"<th>{slot.number}</th>"]
    for node in cluster.members:
        cells.append(f"<td>{''.join(_cell(slot, node, set(chosen), wrong))}</td>")
    found = "; ".join(f"{json.dumps(v.value)} in {name(v.ballot)}" for v in chosen.values())
    return f'<tr id="slot{slot.number}">{"".join(cells)}<td>{_text(found)}</td></tr>'


def _cell(
    slot: Slot, node: str, chosen: set[tuple[tuple[object, ...], str]], wrong: set[str]
) -> Iterator[str]:
    for vote in sorted(_of(node, slot.votes), key=lambda vote: order(vote.ballot)):
        kind = "chosen" if (order(vote.ballot), canonical(vote.value)) in chosen else ""
        yield _span(vote, f"{json.dumps(vote.value)} in {name(vote.ballot)}", "vote", kind, wrong)
    for line in _of(node, slot.decided):
        yield _span(line, f"\u2713 {json.dumps(line.value)}", "decided", "", wrong)


def _of(node: str, lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.node == node]


def _span(line: Line, text: str, what: str, kind: str, wrong: set[str]) -> str:
    kind = "wrong" if line.place in wrong else kind
    return f'<span class="{what} {kind}" title="{_text(line.place)}">{_text(text)}</span>'
