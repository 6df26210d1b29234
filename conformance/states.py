"""What the state of each node was after each record: the specification tells, and TLC works it out.

A log tells no states.  TLC follows each node's log as it does to judge it, and prints what every
step changes; where it cannot follow any further, no states are known.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from . import tlc, values
from .logs import Record
from .models import LIBRARIES
from .names import Names
from .validate import CONFIG, by_node, cluster_of, is_countable, is_step, module

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
    records: Sequence[Record],
    batch: int,
    *,
    on_progress: Callable[[str], None] = lambda text: None,
) -> States:
    """The states of the nodes of one run, as far as the specification allows what they did.

    `batch` is the spec's constant Batch that the nodes ran with.  Raises `tlc.ToolError`.
    """
    found = States()
    groups: dict[tuple[str, ...], list[list[Record]]] = defaultdict(list)
    for log in by_node(records).values():
        if steps := _steps(log):
            groups[cluster_of(log)].append(steps)
    for members, logs in groups.items():
        _follow(found, members, logs, batch, on_progress)
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


def _steps(log: Sequence[Record]) -> list[Record]:
    """The steps of a node's log, up to one that TLC cannot count with."""
    return list(takewhile(is_countable, filter(is_step, log)))


def _follow(
    found: States,
    members: tuple[str, ...],
    logs: list[list[Record]],
    batch: int,
    on_progress: Callable[[str], None],
) -> None:
    messages = [m for log in logs for r in log for m in (r.input, *r.output) if isinstance(m, dict)]
    names = Names(messages)

    def take(line: str) -> None:
        match values.parse(json.loads(line)):
            case ["fresh", fresh]:
                found.fresh = {name: names.state(name, item) for name, item in fresh.items()}
            case ["change", log, at, change]:
                told = {name: _told(names, name, item) for name, item in _fields(change)}
                found.changes[logs[log - 1][at - 1].place] = told
            case ["differs", log, at, output]:
                found.stopped[logs[log - 1][at - 1].place] = [names.meant(m) for m in output]
            case ["refused", log, at]:
                found.stopped[logs[log - 1][at - 1].place] = None

    config = CONFIG.format(batch=batch, last=names.last) + "ACTION_CONSTRAINT PrintChange\n"
    tlc.run(
        "Follow", module("Follow", "States", members, logs, names), config,
        libraries=LIBRARIES, on_progress=on_progress, on_print=take,
    )  # fmt: skip


def _fields(change: Any) -> Any:
    """TLC prints a record without fields as a sequence."""
    return change.items() if isinstance(change, dict) else ()


def _told(names: Names, name: str, item: Any) -> Json:
    if name not in BY_SLOT:
        return names.state(name, item)
    new, gone = item
    return [names.state(name, new), names.slots(gone)]
