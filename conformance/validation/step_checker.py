"""The step checker: TLC decides whether each node's log is a behaviour of spec/MultiPaxos.tla.

Each log is checked alone, and in windows, so that a run of TLC reads at most some thousand records
of it.  A *window* starts from the state that TLC printed at the end of the window before, and the
slots that it does not distinguish are one (`intervals`), so the verdict is that of the whole log.
A *cursor* is the place in a log up to which it is checked.  Cursors whose windows share runs of TLC
are a *batch*.  A rejected record is checked once more, alone and from the state before it, so that
its explanation does not depend on where the windows begin.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, zip_longest
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record, members
from ..formats.schema import is_message
from ..jobs import in_turns
from ..locations import LIBRARIES
from ..tlaplus import tlc, values
from ..tlaplus.config import overridden
from .intervals import edges
from .names import UNSPECIFIED, Names
from .state import State
from .verdict import MISSING, Discrepancy, Rejection

Json = Any
Run = Callable[..., tlc.Outcome]

# How many records, and how many edges of slot intervals, a window has at most.  With larger windows
# TLC starts less often, but each step takes longer.
WINDOW = 4_000


@dataclass
class Cursor:
    """The place in the log of one node up to which it is checked.

    `steps` are the records that the specification describes; `done` of them are accepted.  `state`
    is the state after these, None for the initial one; at first, the one that the log begins with.
    `rejected`: the next step is bad.
    """

    node: str
    members: tuple[str, ...]
    steps: Sequence[Record]
    done: int = 0
    state: State | None = None
    rejected: bool = False

    @classmethod
    def at_start(cls, log: Sequence[Record]) -> Cursor:
        steps = [each for each in log if not (each.starts or each.refused or each.state)]
        begun, members = log[0].state, _members(log)
        state = State.durable(begun, members) if begun is not None else None
        return cls(log[0].node, members, steps, state=state)

    @property
    def ended(self) -> bool:
        return self.rejected or self.done == len(self.steps)


@dataclass(frozen=True)
class Window:
    """A part of one node's log, the state before it, and the names for what is in both."""

    node: str
    records: Sequence[Record]
    state: State | None
    names: Names

    @classmethod
    def at(cls, cursor: Cursor, records: Sequence[Record], number: int) -> Window:
        """Return the window of these records; `number` is its place in a run of TLC."""
        names = Names(cursor.members, _bodies(records), cursor.state, prefix=f"S{number}_")
        return cls(cursor.node, records, cursor.state, names)


def check_steps(
    logs: Sequence[Sequence[Record]],
    batch: int,
    window: int | None = WINDOW,
    on_progress: Callable[[str], None] = lambda text: None,
    run: Run | None = None,
) -> list[Rejection | None]:
    """Return the first record of each node's log that the specification does not allow, if any.

    `batch` is the spec's constant Batch, `window` about how many records a run of TLC reads of a
    log, None for whole logs.  `run` replaces `tlc.run`, to collect more from TLC.
    """
    cursors = [Cursor.at_start(log) for log in logs]
    total = sum(len(cursor.steps) for cursor in cursors)

    def check_next(some: Sequence[Cursor]) -> bool:
        _advance([cursor for cursor in some if not cursor.ended], batch, window, run)
        on_progress(f"{sum(cursor.done for cursor in cursors):,} of {total:,} steps checked")
        return not all(cursor.ended for cursor in some)

    in_turns(check_next, _batches(cursors, whole=window is None))
    rejections = iter(_explain([cursor for cursor in cursors if cursor.rejected], batch))
    return [next(rejections) if cursor.rejected else None for cursor in cursors]


def _members(log: Sequence[Record]) -> tuple[str, ...]:
    """Return the members that `init` names; `handshake` rejects a log without them."""
    node, named = log[0].node, members(log)
    return named if node in named else (node,)


def by_cluster_size(cursors: Iterable[Cursor]) -> list[list[Cursor]]:
    """Group cursors by the number of members.

    A run of TLC has one constant Members, and `Names` names members by their place in it.
    """
    groups: dict[int, list[Cursor]] = defaultdict(list)
    for cursor in cursors:
        groups[len(cursor.members)].append(cursor)
    return list(groups.values())


def _batches(cursors: Sequence[Cursor], whole: bool) -> Iterator[list[Cursor]]:
    """Yield the cursors that share runs of TLC: many short logs, or a single long one."""
    for same in by_cluster_size(cursor for cursor in cursors if cursor.steps):
        some: list[Cursor] = []
        for cursor in same:
            some.append(cursor)
            if not whole and sum(len(each.steps) for each in some) >= WINDOW:
                yield some
                some = []
        if some:
            yield some


def _advance(cursors: Sequence[Cursor], batch: int, size: int | None, run: Run | None) -> None:
    """Check the next window of each cursor."""
    records = [list(_next_records(cursor, size)) for cursor in cursors]
    windows = list(map(Window.at, cursors, records, count()))
    for cursor, window, result in zip(cursors, windows, _run(windows, batch, run), strict=True):
        cursor.rejected = result.what != "ends"
        cursor.done += result.at - 1 if cursor.rejected else result.at
        cursor.state = window.names.state_from_tla(result.found[0])


def _next_records(cursor: Cursor, size: int | None) -> Iterator[Record]:
    """Yield the records of the next window: at least one, and then as many as `size` allows."""
    found: set[int] = set()
    for at in range(cursor.done, len(cursor.steps)):
        record = cursor.steps[at]
        for body in _bodies([record]):
            found.update(edges(body))
        full = size is not None and (at - cursor.done >= size or len(found) > size)
        if full and at > cursor.done:
            return
        yield record


def _bodies(records: Iterable[Record]) -> Iterator[Json]:
    """Yield what names slots: the bodies of messages, and events with slots."""
    for record in records:
        if is_message(record.input):
            yield record.input["body"]
        elif isinstance(record.input, dict):
            yield record.input
        for message in record.output:
            yield message["body"]


# Why a record is rejected.


def _explain(cursors: Sequence[Cursor], batch: int) -> list[Rejection]:
    """Check the record that each cursor is rejected at alone, and return what is wrong with it."""
    found: dict[int, Rejection] = {}
    for same in by_cluster_size(cursors):
        # Without the record's own output, so that TLC prints the one that is allowed.
        bare = [[replace(cursor.steps[cursor.done], output=[])] for cursor in same]
        windows = list(map(Window.at, same, bare, count()))
        for cursor, window, result in zip(same, windows, _run(windows, batch), strict=True):
            found[id(cursor)] = _rejection(cursor, window.names, batch, result)
    return [found[id(cursor)] for cursor in cursors]


def _rejection(cursor: Cursor, names: Names, batch: int, result: Result) -> Rejection:
    assert cursor.state is not None  # TLC printed it together with the rejection.
    found = Rejection(
        cursor.steps[cursor.done],
        "specification",
        "the specification does not allow this input here",
        state=cursor.state.to_json(),
    )
    if result.what == "refused":
        return replace(found, unmet=Discrepancy(*map(names.scalar_from_tla, result.found[1])))
    allowed: list[Json] = []
    if result.what == "differs":
        allowed = [names.message_from_tla(message) for message in result.found[1]]
    for message in allowed:
        _shorten(message["body"], found.record, batch)
    paired = _pair(allowed, found.record.output)
    differing = list(_differing("output", paired, found.record.output))
    if not differing:
        raise tlc.ToolError(
            f"{found.record.place}: rejected in its window, but accepted alone; this is no verdict"
        )
    return replace(
        found,
        reason=f"the specification requires another output{_batch_hint(found.record, batch)}",
        allowed=[message for message in paired if message is not MISSING],
        differing=differing,
    )


def _batch_hint(record: Record, batch: int) -> str:
    """Return a hint for a `learned` with more decisions than the given --batch allows."""
    sent = max((len(m["body"].get("decided", ())) for m in record.output), default=0)
    if record.action != "ReceiveLearn" or sent <= batch:
        return ""
    return f"; it has {sent:,} decisions, and --batch says that nodes send at most {batch:,}"


def _shorten(body: Json, record: Record, batch: int) -> None:
    """Shorten an allowed answer, in place, to the number of slots that it may have.

    TLC counts slot intervals, so the answer that it printed may have more slots than allowed.  A
    `learned` may have from 1 to Batch decisions; keep as many as the record has.
    """
    if "decided" in body:
        sent = [len(m["body"]["decided"]) for m in record.output if "decided" in m["body"]]
        portion = min(max([1, *sent]), batch) if sent else batch
        body["more"] |= len(body["decided"]) > portion
        del body["decided"][portion:]
    if "log" in body and "limit" in record.input["body"]:
        del body["log"][record.input["body"]["limit"] :]


def _pair(allowed: Sequence[Json], found: Sequence[Json]) -> list[Json]:
    """Return the allowed messages, each at the place of the found one to the same destination.

    A found message without a counterpart has `MISSING`.  Only the order of messages to one
    destination counts.
    """
    left: dict[str, deque[Json]] = defaultdict(deque)
    for message in allowed:
        left[message["dest"]].append(message)
    placed = [
        left[message["dest"]].popleft() if left[message["dest"]] else MISSING for message in found
    ]
    rest = iter([message for messages in left.values() for message in messages])
    return [*(next(rest, MISSING) if each is MISSING else each for each in placed), *rest]


def _differing(path: str, expected: Json, found: Json) -> Iterator[Discrepancy]:
    """Yield the places where two JSON values differ.

    Fields that the specification leaves out do not count.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        left_out = UNSPECIFIED if path.endswith(".body") else ()
        for key in dict.fromkeys((*expected, *found)):
            if key not in left_out:
                sides = expected.get(key, MISSING), found.get(key, MISSING)
                yield from _differing(f"{path}.{key}", *sides)
    elif isinstance(expected, list) and isinstance(found, list):
        for at, sides in enumerate(zip_longest(expected, found, fillvalue=MISSING)):
            yield from _differing(f"{path}[{at}]", *sides)
    elif MISSING in (expected, found) or canonical(expected) != canonical(found):
        yield Discrepancy(path, expected, found)


# A run of TLC: the module that it reads, and what it prints.


@dataclass
class Result:
    """What TLC printed of a window.

    start: the state that it started from
    what:  "ends" if all records are allowed; "differs" or "refused" if record `at` is not
    at:    the number of the last record that was checked, from 1 on
    found: the state before that record or at the end, and the allowed output or the unmet condition
    """

    start: Any = None
    what: str = ""
    at: int = 0
    found: Any = None


def _run(windows: Sequence[Window], batch: int, run: Run | None = None) -> list[Result]:
    """Check windows with TLC; raises `ToolError` unless it checked each from start to end."""
    if not windows:
        return []
    results: dict[int, Result] = defaultdict(Result)

    def listen(line: str) -> None:
        what, number, at, found = values.parse(json.loads(line))
        if what == "starts":
            results[number].start = found[0]
        else:
            results[number] = Result(results[number].start, what, at, found)

    last = max(window.names.last for window in windows)
    (run or tlc.run)(
        "Windows",
        module("Windows", "Trace", windows),
        CONFIG.format(batch=batch, last=last),
        libraries=LIBRARIES,
        workers=1,
        brief=True,
        on_print=listen,
    )
    found = [results[number] for number in range(1, len(windows) + 1)]
    for window, each in zip(windows, found, strict=True):
        if not each.what or (each.what == "ends" and each.at != len(window.records)):
            raise tlc.ToolError("TLC did not come to the end of every log; this is no verdict")
        if window.state is not None and not _is_same_state(window, each.start):
            place = window.records[0].place
            raise tlc.ToolError(f"{place}: TLC started from another state; this is no verdict")
    return found


def _is_same_state(window: Window, start: Any) -> bool:
    """Return whether TLC started from the state at the end of the window before this one."""
    try:
        return window.names.state_from_tla(start) == window.state
    except (LookupError, ValueError):
        return False


# The constants of the specification in trace validation.
SPEC = """\
CONSTANTS
    Members <- TheMembers
    Requests = {{}}
    Batch = {batch}
    Restless <- Node
    Last = {last}
    Ascending <- InOrder
"""

CONFIG = f"""{SPEC}\
    Step <- TraceStep
    Overdue <- Named
    Portions <- Carried
    Version <- Unfolded
    KeepVersion <- Kept
SPECIFICATION TraceSpec
VIEW Place
"""

# The operators of the specification that the configuration overrides.
OVERRIDDEN = frozenset(overridden(CONFIG))


def module(name: str, base: str, windows: Sequence[Window]) -> str:
    """Return the windows as a TLA+ module that extends Trace or another base."""
    bodies = []
    for number, window in enumerate(windows, 1):
        names = window.names
        steps = ", ".join(map(names.record_to_tla, window.records))
        node, start = names.name("p", window.node), names.start_to_tla()
        bodies += [
            *names.definitions(),
            f"W{number} == [node |-> {node}, start |-> {start}, "
            f"folded |-> {names.folded()}, records |-> <<{steps}>>]",
        ]
    every = ", ".join(f"W{number}" for number in range(1, len(windows) + 1))
    lines = [
        f"---- MODULE {name} ----",
        f"EXTENDS {base}",
        f"TheMembers == <<{', '.join(windows[0].names.members)}>>",
        *bodies,
        f"ASSUME TLCSet(1, <<{every}>>)",
        "====",
        "",
    ]
    # No name contains a comma, and TLC takes much longer to read long lines.
    return "\n".join(lines).replace(", ", ",\n")
