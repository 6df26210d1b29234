"""What the state of each node was after each record: the specification tells, and TLC works it out.

A log tells no states.  TLC follows each node's log as it does to judge it, and prints what every
step changes; where it cannot follow any further, no states are known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..formats.logs import Record, by_node
from ..models.manifest import LIBRARIES
from ..tlaplus import tlc, values
from ..validation.names import Names
from ..validation.step_checker import CONFIG, Cursor, Window, by_cluster_size, module

Json = Any

# Of these a change tells the slots that are new or different, and the slots that are gone.
BY_SLOT = ("accepted", "decided", "reported", "votes")


@dataclass
class States:
    """What each record that is a step changed, by the place of the record.

    Every node begins with `fresh`.  A change holds fields of the state as they are afterwards; of a
    field `BY_SLOT` it is a pair: entries that are new or different, slots that have none any more.

    `stopped` has the records that the specification does not allow, with the output that it demands
    there, None if it takes no such input.
    """

    fresh: Json = None
    changes: dict[str, Json] = field(default_factory=dict)
    stopped: dict[str, list[Json] | None] = field(default_factory=dict)


def follow(
    records: Sequence[Record], batch: int, *, on_progress: Callable[[str], None] = lambda text: None
) -> States:
    """The states of the nodes of one run, as far as the specification allows what they did.

    `batch` is the spec's constant Batch that the nodes ran with.  Raises `tlc.ToolError`.
    """
    found = States()
    cursors = [Cursor.at_start(log) for log in by_node(records).values()]
    for same in by_cluster_size(cursor for cursor in cursors if cursor.steps):
        windows = [Window.at(cursor, cursor.steps, at) for at, cursor in enumerate(same)]
        _follow(found, windows, batch, on_progress)
    return found


def after(state: Json, change: Json) -> Json:
    """The state of a node after a change."""
    new = dict(state)
    for name, item in change.items():
        if name in BY_SLOT:
            entries, gone = item
            kept = {entry["slot"]: entry for entry in state[name]}
            kept.update((entry["slot"], entry) for entry in entries)
            new[name] = [kept[slot] for slot in sorted(kept.keys() - set(gone))]
        else:
            new[name] = item
    return new


def _follow(
    found: States, windows: Sequence[Window], batch: int, on_progress: Callable[[str], None]
) -> None:
    def take(line: str) -> None:
        match values.parse(json.loads(line)):
            case ["fresh", fresh]:
                names = windows[0].names
                found.fresh = {
                    name: names.field_from_tla(name, item) for name, item in fresh.items()
                }
            case [what, number, at, said]:
                window = windows[number - 1]
                place = window.records[at - 1].place
                if what == "change":
                    told = {name: _told(window.names, name, item) for name, item in _fields(said)}
                    found.changes[place] = told
                elif what == "differs":
                    found.stopped[place] = [
                        window.names.message_from_tla(message) for message in said[1]
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
    """TLC prints a record without fields as a sequence."""
    return change.items() if isinstance(change, dict) else ()


def _told(names: Names, name: str, item: Any) -> Json:
    if name not in BY_SLOT:
        return names.field_from_tla(name, item)
    new, gone = item
    return [names.field_from_tla(name, new), names.slots_from_tla(gone)]
