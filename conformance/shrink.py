"""Makes a log that fails as small as can be, for as long as it fails in the same way.

A log fails that the judges reject.  What a node does otherwise than a log says fails, too: the log
that it writes of the same inputs is rejected.  A judge is slow to start and quick with many logs,
so whatever can be left out is tried at once; for the same log the outcome is always the same.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from .formats import logs
from .formats.schema import action, is_message
from .jobs import at_once
from .running.replay import log_of, replay
from .validation.trace_validation import validate_logs
from .validation.verdict import Rejection, Verdict

Json = Any
Log = list[Json]
Left = frozenset[int]
"""The records that are left out, by their places in the log that was to be made smaller."""

Judge = Callable[[Sequence[Sequence[logs.Record]], int], list[Verdict]]

Write = Callable[[Log], Log | None]
"""The log that becomes of records, one for each, when others are left out; None if none does."""

# Records that are judged at once: at first so few that something is found soon, and twice as many
# each time that nothing is, up to where to start a judge is cheap.
FIRST_AT_ONCE, AT_ONCE = 10_000, 40_000

_ELECTING = ("prepare", "promise", "rejected")

# How long it is tried, unless the caller says.
SECONDS = 300.0

# Of so few records any two are tried together.
FEW = 12


@dataclass(frozen=True)
class Shrunk:
    """A log whose last record is rejected and no other; how many records it had before, and whether
    it is as small as can be, or time was over.
    """

    records: Log
    before: int
    smallest: bool


@dataclass(frozen=True)
class Effort:
    """How long a log is made smaller, in seconds, and who is told: `on_smaller` of each log that is
    the smallest so far, the first one soon.
    """

    seconds: float = SECONDS
    on_progress: Callable[[str], None] = lambda text: None
    on_smaller: Callable[[Log], None] = lambda records: None


def shrink_log(
    path: Path, batch: int, judge: Judge = validate_logs, effort: Effort = Effort()
) -> Shrunk:
    """Shrinks a log that is rejected.  What was sent in a step stays as it is, and what is demanded
    in the last one, too; only replies are numbered anew.

    Raises `LogError` for a log that is accepted.
    """
    records = logs.read_json(path)
    search = _Search(batch, judge, lambda some: _numbered(some, +1), _demand, effort)
    bare = _bare(records, path, search.reject)
    return search.run(_numbered(bare, -1), len(records))


def shrink_node(
    path: Path,
    command: Sequence[str],
    batch: int,
    seconds: float = 30,
    judge: Judge = validate_logs,
    effort: Effort = Effort(),
) -> Shrunk:
    """Shrinks the inputs of a log from which a node differs, for as long as what it does instead is
    rejected in the same way; what is left is the node's own log.

    Raises `LogError` if the node does not differ, or what it does is allowed.
    """
    difference = replay(path, command, seconds=seconds).difference
    if difference is None:
        raise logs.LogError(f"{path}: the node does what the log says; there is nothing to shrink")
    bad = difference.record
    records = logs.read_json(path)
    search = _Search(
        batch, judge, lambda some: log_of(some, command, seconds=seconds), _way, effort
    )
    mine = [record for record in records[: bad.line] if record["node"] == bad.node]
    return search.run(mine, len(records))


def _bare(records: Log, path: Path, reject: Callable[[Log], list[Rejection]]) -> Log:
    """The log up to its first bad record: that of the node alone, unless others had to send.

    Raises `LogError` if there is none.
    """
    found = reject(records)
    if not found:
        raise logs.LogError(f"{path}: the log is accepted, so there is nothing to shrink")
    first = min(found, key=lambda each: each.record.line)
    node, line = first.record.node, first.record.line
    bad, mine = records[line - 1], [r for r in records[: line - 1] if r["node"] == node]
    if first.checker in ("handshake", "specification"):
        return [*mine, bad]
    log = [*mine, *(record for record in records if record["node"] != node), bad]
    while end := {r.record.node: r.record.line for r in reject(log) if r.record.node != node}:
        # What waits in vain for something that the node did later would be rejected, too.
        last = len(log) + 1
        log = [r for at, r in enumerate(log, 1) if at < end.get(r["node"], last)]
    return log


class _Search:
    """Leaves out what it can, until nothing can be left out any more."""

    def __init__(
        self,
        batch: int,
        judge: Judge,
        write: Write,
        way: Callable[[Rejection], str],
        effort: Effort,
    ) -> None:
        self._batch = batch
        self._judge = judge
        self._write = write
        self._way = way
        self._effort = effort
        self._end = time.monotonic() + effort.seconds
        self._at_once = FIRST_AT_ONCE
        self._kept: dict[int, Json] = {}
        self._log: Log = []
        self._goal = ""

    def run(self, records: Log, before: int) -> Shrunk:
        self._kept = dict(enumerate(records))
        written = self._write(records)
        found = self.reject(written) if written else []
        if not found:
            raise logs.LogError("what the node does is allowed or no log at all: validate the log")
        self._goal = self._way(found[0])
        self._settle(frozenset(), written, found[0].record.line)
        self._leave_out(_likely(self._kept))
        size = 0
        while size != len(self._kept) and not self._over:
            size = len(self._kept)
            self._leave_out(_candidates(self._kept))
        return Shrunk(self._log, before, size == len(self._kept) and not self._over)

    @property
    def _over(self) -> bool:
        return time.monotonic() >= self._end

    def reject(self, log: Log) -> list[Rejection]:
        """What the judge rejects in a log."""
        [verdict] = self._judge([logs.of(log)], self._batch)
        return verdict.rejections

    def _leave_out(self, todo: list[Left]) -> None:
        """Tries each set of records, and then as many as can be of those that were not missed."""
        while todo and not self._over:
            size = max(1, self._at_once // len(self._kept))
            some, todo = todo[:size], todo[size:]
            fine = [left for left, *_ in self._fail_alike(some)]
            if not fine:
                self._at_once = min(2 * self._at_once, AT_ONCE)
                continue
            self._at_once = FIRST_AT_ONCE
            most = {
                frozenset().union(*fine[: len(fine) >> n]): len(fine) >> n
                for n in range(len(fine).bit_length())
            }
            left, log, line = max(self._fail_alike(most), key=lambda each: most[each[0]])
            self._settle(left, log, line)
            todo = fine[most[left] :] + todo

    def _fail_alike(self, sets: Iterable[Left]) -> Iterator[tuple[Left, Log, int]]:
        """Those of the sets without which a log still fails alike, that log, and where."""
        *_, last = self._kept
        inner = [left for left in sets if last not in left and left & self._kept.keys()]
        self._effort.on_progress(f"{len(self._kept):,} records left, trying {len(inner):,} ways")
        tried = [(left, log) for left, log in at_once(self._without, inner) if log]
        verdicts = self._judge([logs.of(log) for _, log in tried], self._batch) if tried else []
        for (left, log), verdict in zip(tried, verdicts, strict=True):
            if len(verdict.rejections) == 1 and self._way(verdict.rejections[0]) == self._goal:
                line = verdict.rejections[0].record.line
                if line == len(log) or len({record["node"] for record in log}) == 1:
                    yield left, log, line

    def _without(self, left: Left) -> Log | None:
        return self._write([record for at, record in self._kept.items() if at not in left])

    def _settle(self, left: Left, log: Log, line: int) -> None:
        """Leaves records out, and what comes behind the one that is rejected."""
        kept = [(at, record) for at, record in self._kept.items() if at not in left]
        self._kept, self._log = dict(kept[:line]), log[:line]
        self._effort.on_smaller(self._log)


def _likely(kept: dict[int, Json]) -> list[Left]:
    """All but what has to do with the last record: the same slot, ballot, type or request, what
    elects a leader, and the events, as many or as few of these as there are; the most first.
    """
    *_, last = kept.values()
    mine = set(_subjects(last))
    groups: dict[str, set[int]] = defaultdict(set)
    for at, record in kept.items():
        for subject in mine & set(_subjects(record)) - {f"node {last['node']}"}:
            groups[subject].add(at)
        if record["node"] != last["node"]:
            groups["other node"].add(at)
        elif not is_message(record["input"]):
            groups["event"].add(at)
        elif record["input"]["body"]["type"] in _ELECTING:
            groups["election"].add(at)
    every = list(map(frozenset, groups.values()))
    first = {record["node"]: at for at, record in reversed(kept.items())}
    needed = frozenset([*first.values(), *list(kept)[-1:]])
    unions = (needed.union(*some) for n in range(len(every) + 1) for some in combinations(every, n))
    return _largest_first({frozenset(kept) - some for some in unions})


def _stretches(groups: Sequence[Left]) -> Iterator[Left]:
    """All groups together, half of those that follow each other, a quarter and so on."""
    length = len(groups)
    while length:
        for at in range(0, len(groups), length):
            yield frozenset().union(*groups[at : at + length])
        length //= 2


def _candidates(kept: dict[int, Json]) -> list[Left]:
    """What may be missed together, the most records first: stretches of half of them, of a quarter
    and so on, those that have something in common, and any two of a few.
    """
    *places, last = kept
    sets: set[Left] = {some - {last} for some in _alike(kept)}
    sets |= set(_stretches([frozenset([place]) for place in places]))
    if len(places) <= FEW:
        sets |= set(map(frozenset, combinations(places, 2)))
    return _largest_first(sets)


def _largest_first(sets: Iterable[Left]) -> list[Left]:
    return sorted(sets, key=lambda some: (-len(some), sorted(some)))


def _alike(kept: dict[int, Json]) -> Iterable[Left]:
    """Records that speak of the same, and a crash with the restart that ends it."""
    alike: dict[str, set[int]] = defaultdict(set)
    down: dict[str, int] = {}
    for at, record in kept.items():
        for subject in _subjects(record):
            alike[subject].add(at)
        if record["input"] == "crash":
            down[record["node"]] = at
        elif record["input"] == "restart" and record["node"] in down:
            alike[f"crash {at}"] = {at, down[record["node"]]}
    return map(frozenset, alike.values())


def _subjects(record: Json) -> Iterator[str]:
    yield f"node {record['node']}"
    for message in record["input"], *record["output"]:
        if is_message(message):
            body = message["body"]
            yield f"type {body.get('type')}"
            for name in ("slot", "ballot"):
                if name in body:
                    yield f"{name} {body[name]}"
            if "msg_id" in body and message is record["input"]:
                yield f"request {message['src']} {body['msg_id']}"
            elif "in_reply_to" in body:
                yield f"request {message['dest']} {body['in_reply_to']}"


def _numbered(records: Log, sign: int) -> Log:
    """Replies by how wrong their numbers are (sign -1), and as they are numbered (+1).

    So the right number stays right when other replies are left out, and a wrong one as wrong.
    """
    replies: dict[str, int] = defaultdict(int)
    made = []
    for record in records:
        node, output = record["node"], []
        for message in record["output"]:
            body = message["body"]
            if "msg_id" in body:
                body = {**body, "msg_id": body["msg_id"] + sign * replies[node]}
                replies[node] += 1
            output.append({**message, "body": body})
        if record["input"] == "restart":
            replies[node] = 0
        made.append({**record, "output": output})
    return made


# In the same way: a log that fails otherwise is of no use to whoever looks for this failure.


def _way(found: Rejection) -> str:
    """Who rejects what and why; and of an output that is another, in which types and fields."""
    said, demanded = found.record.output, found.allowed
    reason = re.sub(r"\d+", "#", found.reason)
    way: list[Json] = [found.checker, reason, action(found.record.input)]
    if demanded is not None:
        types = [[message["body"]["type"] for message in each] for each in (said, demanded)]
        way += [types, sorted(_differing(said, demanded)) if types[0] == types[1] else []]
    return json.dumps(way)


def _differing(said: list[Json], demanded: list[Json]) -> set[str]:
    """The fields that are others; a judge tells neither a reply's number nor an error's text."""
    found: set[str] = set()
    for one, other in zip(said, demanded, strict=True):
        for each, beside in (one, other), (one["body"], other["body"]):
            told = (each.keys() | beside.keys()) - {"body", "msg_id", "text"}
            found |= {name for name in told if each.get(name) != beside.get(name)}
    return found


def _demand(found: Rejection) -> str:
    """The same, and the very output that is demanded: what was sent is not another one, either."""
    return json.dumps([_way(found), found.allowed], sort_keys=True)
