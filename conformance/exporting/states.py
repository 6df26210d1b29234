"""Compute the state of each node after each record with TLC.

A log has no states.  TLC runs the specification along each node's log, as in trace validation, and
prints what every step changes.  After a step that is not allowed, the states are unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..formats.logs import Record, by_node
from ..locations import LIBRARIES
from ..tlaplus import tlc, values
from ..validation.names import Names
from ..validation.step_checker import CONFIG, Cursor, Window, by_cluster_size, module

Json = Any

# Fields whose change has two parts: entries that are new or different, and slots that are removed.
BY_SLOT = ("accepted", "decided", "reported", "votes")


@dataclass
class States:
    """The changes of a run's states, by the place of the record.

    `fresh` is the initial state of every node.  A change has the new values of the changed fields;
    for a field in `BY_SLOT`, a pair: entries that are new or different, slots that are removed.

    `stopped` are the records that the specification does not allow, each with the output that it
    requires there, None if it does not allow the input.
    """

    fresh: Json = None
    changes: dict[str, Json] = field(default_factory=dict)
    stopped: dict[str, list[Json] | None] = field(default_factory=dict)


def compute_states(
    records: Sequence[Record], batch: int, *, on_progress: Callable[[str], None] = lambda text: None
) -> States:
    """Return the states of the nodes of one run, for each node up to a step that is not allowed.

    `batch` is the spec's constant Batch that the nodes ran with.  Raises `tlc.ToolError`.
    """
    found = States()
    logs = by_node(records).values()
    cursors = [Cursor.at_start(log) for log in logs]
    for first in (log[0] for log in logs):
        if first.state is not None:
            found.changes[first.place] = _change_to(first.state)
    for same in by_cluster_size(cursor for cursor in cursors if cursor.steps):
        windows = [Window.at(cursor, cursor.steps, at) for at, cursor in enumerate(same)]
        _run(found, windows, batch, on_progress)
    return found


def _change_to(state: Json) -> Json:
    """Return the change from the initial state to one that a log begins with."""
    by_slot = {name: [state[name], []] for name in BY_SLOT if name in state}
    return {"promised": state["promised"], **by_slot}


def apply_change(state: Json, change: Json) -> Json:
    """Return the state of a node after a change."""
    new = dict(state)
    for name, item in change.items():
        if name in BY_SLOT:
            entries, removed = item
            kept = {entry["slot"]: entry for entry in state[name]}
            kept.update((entry["slot"], entry) for entry in entries)
            new[name] = [kept[slot] for slot in sorted(kept.keys() - set(removed))]
        else:
            new[name] = item
    return new


def _run(
    found: States, windows: Sequence[Window], batch: int, on_progress: Callable[[str], None]
) -> None:
    def take(line: str) -> None:
        match values.parse(json.loads(line)):
            case ["fresh", fresh]:
                names = windows[0].names
                found.fresh = {
                    name: names.field_from_tla(name, item) for name, item in fresh.items()
                }
            case [what, number, at, printed]:
                window = windows[number - 1]
                place = window.records[at - 1].place
                if what == "change":
                    change = {
                        name: _field(window.names, name, item) for name, item in _fields(printed)
                    }
                    found.changes[place] = change
                elif what == "differs":
                    found.stopped[place] = [
                        window.names.message_from_tla(message) for message in printed[1]
                    ]
                elif what == "refused":
                    found.stopped[place] = None

    last = max(window.names.last for window in windows)
    tlc.run(
        "Follow",
        module("Follow", "States", windows),
        CONFIG.format(batch=batch, last=last) + "ACTION_CONSTRAINT PrintChange\n",
        libraries=LIBRARIES,
        workers=1,
        on_progress=on_progress,
        on_print=take,
    )


def _fields(change: Any) -> Any:
    """Return the fields of a printed record; TLC prints one without fields as a sequence."""
    return change.items() if isinstance(change, dict) else ()


def _field(names: Names, name: str, item: Any) -> Json:
    if name not in BY_SLOT:
        return names.field_from_tla(name, item)
    new, removed = item
    return [names.field_from_tla(name, new), names.slots_from_tla(removed)]
