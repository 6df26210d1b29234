"""TLC judges the protocol: that each node's log, taken alone, is a behaviour of the automaton that
spec/MultiPaxos.tla describes.

A log is judged window by window, so that a run of TLC reads no more of it than some thousand
records.  A window starts from the state that TLC itself printed at the end of the one before, and
slots that a window does not tell apart are one (`stretches`); so the verdict is that of the whole
log.  A record that is rejected is judged once more, alone and from the state before it: what is
told of it does not depend on how its log was cut.
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
from .intervals import cuts
from .names import UNTOLD, Names
from .state import State
from .verdict import MISSING, Discrepancy, Rejection

Json = Any
Run = Callable[..., tlc.Outcome]

# How many records of a log TLC reads at once, and how many cuts between slots: with more of them
# TLC is started less often, but each step takes longer.
WINDOW = 4_000


@dataclass
class Course:
    """The log of one node, and how far it is judged.

    `steps` are what the specification can judge of it.  `state` is that before the next step, None
    for the initial one; `stopped` says that the next step is bad.
    """

    node: str
    members: tuple[str, ...]
    steps: Sequence[Record]
    done: int = 0
    state: State | None = None
    stopped: bool = False

    @property
    def over(self) -> bool:
        return self.stopped or self.done == len(self.steps)


@dataclass(frozen=True)
class Window:
    """A part of one node's log, the state before it, and the names for what is in both."""

    node: str
    records: Sequence[Record]
    state: State | None
    names: Names

    @classmethod
    def of(cls, course: Course, records: Sequence[Record], number: int) -> Window:
        """The window that stands at this place among those of a run."""
        bodies = _bodies(records)
        names = Names(course.members, bodies, course.state, prefix=f"S{number}_")
        return cls(course.node, records, course.state, names)


def protocol(
    logs: Sequence[Sequence[Record]],
    batch: int,
    window: int | None = WINDOW,
    on_progress: Callable[[str], None] = lambda text: None,
    run: Run | None = None,
) -> list[Rejection | None]:
    """TLC's judgement of each node's log, in the same order.

    `batch` is the spec's constant Batch, `window` about how many records are judged at once, None
    if each log is to be judged as a whole.  `run` stands for `tlc.run` where more is to be learned
    from TLC.
    """
    courses = [course_of(log) for log in logs]
    total = sum(len(course.steps) for course in courses)

    def judge(lane: Sequence[Course]) -> bool:
        _go_on([course for course in lane if not course.over], batch, window, run)
        on_progress(f"{sum(course.done for course in courses):,} of {total:,} steps judged")
        return not all(course.over for course in lane)

    in_turns(judge, _lanes(courses, whole=window is None))
    told = _explain([course for course in courses if course.stopped], batch)
    return [told.pop(0) if course.stopped else None for course in courses]


def course_of(log: Sequence[Record]) -> Course:
    """What TLC can judge of a log: its steps."""
    steps = [record for record in log if _is_step(record)]
    return Course(log[0].node, _members(log), steps)


def _is_step(record: Record) -> bool:
    return not record.starts and not record.refused


def _members(log: Sequence[Record]) -> tuple[str, ...]:
    """The cluster that `init` names; the judge of the handshake sees to it that there is one."""
    node, named = log[0].node, members(log)
    return named if node in named else (node,)


def alike(courses: Iterable[Course]) -> list[list[Course]]:
    """The courses of as many members, which one run of TLC can judge: `Names` gives members their
    names by their places."""
    groups: dict[int, list[Course]] = defaultdict(list)
    for course in courses:
        groups[len(course.members)].append(course)
    return list(groups.values())


def _lanes(courses: Sequence[Course], whole: bool) -> Iterator[list[Course]]:
    """Courses that are judged by the same runs of TLC: short ones share them."""
    for same in alike(course for course in courses if course.steps):
        lane: list[Course] = []
        for course in same:
            lane.append(course)
            if not whole and sum(len(each.steps) for each in lane) >= WINDOW:
                yield lane
                lane = []
        if lane:
            yield lane


def _go_on(lane: Sequence[Course], batch: int, size: int | None, run: Run | None) -> None:
    """Judges the next window of each course."""
    windows = list(map(Window.of, lane, [list(_next(course, size)) for course in lane], count()))
    for course, window, said in zip(lane, windows, _run(windows, batch, run), strict=True):
        course.stopped = said.what != "ends"
        course.done += said.at - 1 if course.stopped else said.at
        course.state = window.names.state(said.found[0])


def _next(course: Course, size: int | None) -> Iterator[Record]:
    """The records of the next window; no two windows can be too large, but one record can."""
    found: set[int] = set()
    for at in range(course.done, len(course.steps)):
        record = course.steps[at]
        for body in _bodies([record]):
            found.update(cuts(body))
        full = size is not None and (at - course.done >= size or len(found) > size)
        if full and at > course.done:
            return
        yield record


def _bodies(records: Iterable[Record]) -> Iterator[Json]:
    """Whatever speaks of slots: the bodies of messages, and events that name some."""
    for record in records:
        if is_message(record.input):
            yield record.input["body"]
        elif isinstance(record.input, dict):
            yield record.input
        for message in record.output:
            yield message["body"]


def _explain(courses: Sequence[Course], batch: int) -> list[Rejection]:
    """What is wrong with the record that each of these courses stopped at, judged alone."""
    found: dict[int, Rejection] = {}
    for same in alike(courses):
        # Without an output of its own, so that TLC tells the one that is allowed.
        bare = [[replace(course.steps[course.done], output=[])] for course in same]
        windows = list(map(Window.of, same, bare, count()))
        for course, window, said in zip(same, windows, _run(windows, batch), strict=True):
            found[id(course)] = _rejection(course, window.names, batch, said)
    return [found[id(course)] for course in courses]


def _rejection(course: Course, names: Names, batch: int, said: Said) -> Rejection:
    found = Rejection(
        course.steps[course.done],
        "protocol",
        "the specification takes no such input here",
        state=course.state.shown(),
    )
    if said.what == "refused":
        return replace(found, unmet=Discrepancy(*map(names.plain, said.found[1])))
    allowed = [] if said.what == "ends" else [names.meant(message) for message in said.found[1]]
    for message in allowed:
        _shorten(message["body"], found.record, batch)
    beside = _beside(allowed, found.record.output)
    differing = list(_differing("output", beside, found.record.output))
    allowed = [message for message in beside if message is not MISSING]
    if not differing:
        raise tlc.ToolError(f"{found.record.place}: rejected, but not alone; this is no verdict")
    reason = f"the specification demands another output{_over(found.record, batch)}"
    return replace(found, reason=reason, allowed=allowed, differing=differing)


def _over(record: Record, batch: int) -> str:
    """What to add if a `learned` carries more decisions than the nodes are said to put in one."""
    told = max((len(m["body"].get("decided", ())) for m in record.output), default=0)
    if record.action != "ReceiveLearn" or told <= batch:
        return ""
    return f"; {told:,} decisions are more than --batch {batch:,}, if the nodes ran with that"


def _shorten(body: Json, record: Record, batch: int) -> None:
    """TLC counted stretches, so an answer may tell more slots than it should; and of decisions it
    may tell as many as it does, from 1 to Batch.
    """
    if "decided" in body:
        told = [len(m["body"]["decided"]) for m in record.output if "decided" in m["body"]]
        portion = min(max([1, *told]), batch) if told else batch
        body["more"] |= len(body["decided"]) > portion
        del body["decided"][portion:]
    if "log" in body and "limit" in record.input["body"]:
        del body["log"][record.input["body"]["limit"] :]


def _beside(allowed: Sequence[Json], found: Sequence[Json]) -> list[Json]:
    """The messages that are allowed, each in the place of the one found instead, `MISSING` where
    there is none: only the order of messages to one destination counts.
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
    """The places where two JSON values are not the same, but for what the specification leaves
    out of messages.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        left_out = UNTOLD if path.endswith(".body") else ()
        for key in dict.fromkeys((*expected, *found)):
            if key not in left_out:
                sides = expected.get(key, MISSING), found.get(key, MISSING)
                yield from _differing(f"{path}.{key}", *sides)
    elif isinstance(expected, list) and isinstance(found, list):
        for at, sides in enumerate(zip_longest(expected, found, fillvalue=MISSING)):
            yield from _differing(f"{path}[{at}]", *sides)
    elif MISSING in (expected, found) or canonical(expected) != canonical(found):
        yield Discrepancy(path, expected, found)


# What TLC is given, and what it says.


@dataclass
class Said:
    """What TLC says of a window: what it starts from, how it ends, and what it found there.

    It "ends" with its last record, or the record `at` "differs" or is "refused".
    """

    start: Any = None
    what: str = ""
    at: int = 0
    found: Any = None


def _run(windows: Sequence[Window], batch: int, run: Run | None = None) -> list[Said]:
    """Lets TLC judge windows; raises `ToolError` unless each is judged, from start to end."""
    if not windows:
        return []
    said: dict[int, Said] = defaultdict(Said)

    def listen(line: str) -> None:
        what, number, at, found = values.parse(json.loads(line))
        if what == "starts":
            said[number].start = found[0]
        else:
            said[number] = Said(said[number].start, what, at, found)

    last = max(window.names.last for window in windows)
    (run or tlc.run)(
        "Judge",
        module("Judge", "Trace", windows),
        CONFIG.format(batch=batch, last=last),
        libraries=LIBRARIES,
        workers=1,
        brief=True,
        on_print=listen,
    )
    found = [said[number] for number in range(1, len(windows) + 1)]
    for window, each in zip(windows, found, strict=True):
        if not each.what or (each.what == "ends" and each.at != len(window.records)):
            raise tlc.ToolError("TLC did not come to the end of every log; this is no verdict")
        if window.state is not None and not _is_same(window, each.start):
            place = window.records[0].place
            raise tlc.ToolError(f"{place}: TLC starts from another state; this is no verdict")
    return found


def _is_same(window: Window, start: Any) -> bool:
    """Whether TLC started from the state that the window before this one ended with."""
    try:
        return window.names.state(start) == window.state
    except (LookupError, ValueError):
        return False


# The specification as it is held against what nodes did.
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
SPECIFICATION TraceSpec
VIEW Place
"""

# The operators of the specification that others are put in the place of.
REPLACED = frozenset(overridden(CONFIG))


def module(name: str, base: str, windows: Sequence[Window]) -> str:
    """The windows as a TLA+ module of this name, which extends Trace or another base."""
    bodies = []
    for number, window in enumerate(windows, 1):
        names = window.names
        steps = ", ".join(map(names.record, window.records))
        node, start = names.name("p", window.node), names.start()
        bodies += [
            *names.definitions(),
            f"W{number} == [node |-> {node}, start |-> {start}, records |-> <<{steps}>>]",
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
    # No name has a comma in it, and TLC takes much longer to read long lines.
    return "\n".join(lines).replace(", ", ",\n")
