"""Shrink a failing log: leave out records as long as it fails in the same way.

A log fails if trace validation rejects it.  If a node differs from a log, the log that the node
writes from the same inputs is shrunk.  TLC is slow to start and fast with many logs, so many
smaller logs are tried at once.  The result is deterministic unless time runs out.
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
from .validation.names import UNSPECIFIED
from .validation.trace_validation import Checker, validate_logs
from .validation.verdict import Rejection

Json = Any
Log = list[Json]
Omitted = frozenset[int]
"""Records to leave out, by their index in the original log."""

Write = Callable[[Log], Log | None]
"""Turns the remaining records into a log with one record for each, None if that is impossible."""

# How many records a run of TLC checks: few at first, for an early result, then twice as many after
# each run without one, up to where the start of TLC does not count.
FIRST_AT_ONCE, AT_ONCE = 10_000, 40_000

# The messages of an election.
_ELECTION = ("prepare", "promise", "rejected")

# The default time limit.
SECONDS = 300.0

# Of at most so many records, every pair is tried.
FEW = 12


@dataclass(frozen=True)
class Shrunk:
    """A log of which only the last record is rejected.

    `before` is the number of records of the original log; `smallest` is False if time ran out.
    """

    records: Log
    before: int
    smallest: bool


@dataclass(frozen=True)
class Effort:
    """The time limit in seconds, and callbacks.

    `on_smaller` gets each log that is the smallest so far, the first one soon.
    """

    seconds: float = SECONDS
    on_progress: Callable[[str], None] = lambda text: None
    on_smaller: Callable[[Log], None] = lambda records: None


def shrink_log(
    path: Path, batch: int, checker: Checker = validate_logs, effort: Effort = Effort()
) -> Shrunk:
    """Shrink a rejected log; raises `LogError` if it is accepted.

    The outputs stay as they are, and so does the output that is required at the last record; only
    replies are renumbered.
    """
    records = logs.read_json(path)
    search = _Search(
        batch, checker, lambda some: _renumbered(some, +1), _failure_and_output, effort
    )
    needed = _up_to_first_bad(records, path, search.rejections)
    return search.run(_renumbered(needed, -1), len(records))


def shrink_node(
    path: Path,
    command: Sequence[str],
    batch: int,
    seconds: float = 30,
    checker: Checker = validate_logs,
    effort: Effort = Effort(),
) -> Shrunk:
    """Shrink the inputs of a log that a node differs from; the result is the node's own log.

    Raises `LogError` if the node does not differ, or if its log is accepted.
    """
    difference = replay(path, command, seconds=seconds).difference
    if difference is None:
        raise logs.LogError(
            f"{path}: the node does not differ from the log; there is nothing to shrink"
        )
    bad = difference.record
    records = logs.read_json(path)
    search = _Search(
        batch, checker, lambda some: log_of(some, command, seconds=seconds), _failure, effort
    )
    mine = [record for record in records[: bad.line] if record["node"] == bad.node]
    return search.run(mine, len(records))


def _up_to_first_bad(records: Log, path: Path, rejections: Callable[[Log], list[Rejection]]) -> Log:
    """Return the log up to its first bad record, without other nodes if they do not matter for it.

    Raises `LogError` if no record is bad.
    """
    found = rejections(records)
    if not found:
        raise logs.LogError(f"{path}: the log is accepted, so there is nothing to shrink")
    first = min(found, key=lambda each: each.record.line)
    node, line = first.record.node, first.record.line
    bad, mine = records[line - 1], [r for r in records[: line - 1] if r["node"] == node]
    if first.checker in ("handshake", "specification"):
        return [*mine, bad]
    log = [*mine, *(record for record in records if record["node"] != node), bad]
    while end := {r.record.node: r.record.line for r in rejections(log) if r.record.node != node}:
        # Records that depend on later steps of the node would be rejected, too.
        last = len(log) + 1
        log = [r for at, r in enumerate(log, 1) if at < end.get(r["node"], last)]
    return log


class _Search:
    """Leaves out sets of records until none can be left out."""

    def __init__(
        self,
        batch: int,
        checker: Checker,
        write: Write,
        failure: Callable[[Rejection], str],
        effort: Effort,
    ) -> None:
        self._batch = batch
        self._checker = checker
        self._write = write
        self._failure = failure
        self._effort = effort
        self._end = time.monotonic() + effort.seconds
        self._at_once = FIRST_AT_ONCE
        self._kept: dict[int, Json] = {}
        self._log: Log = []
        self._goal = ""

    def run(self, records: Log, before: int) -> Shrunk:
        self._kept = dict(enumerate(records))
        written = self._write(records)
        found = self.rejections(written) if written else []
        if written is None or not found:
            raise logs.LogError(
                "the node differs from the log, but its own log is accepted or incomplete: "
                "validate the log"
            )
        self._goal = self._failure(found[0])
        self._accept(frozenset(), written, found[0].record.line)
        self._leave_out(_likely(self._kept))
        size = 0
        while size != len(self._kept) and not self._out_of_time:
            size = len(self._kept)
            self._leave_out(_candidates(self._kept))
        return Shrunk(self._log, before, size == len(self._kept) and not self._out_of_time)

    @property
    def _out_of_time(self) -> bool:
        return time.monotonic() >= self._end

    def rejections(self, log: Log) -> list[Rejection]:
        [verdict] = self._checker([logs.of(log)], self._batch)
        return verdict.rejections

    def _leave_out(self, todo: list[Omitted]) -> None:
        """Try to leave out each set, and then as many of the successful ones as possible."""
        while todo and not self._out_of_time:
            size = max(1, self._at_once // len(self._kept))
            some, todo = todo[:size], todo[size:]
            found = list(self._still_failing(some))
            if not found:
                self._at_once = min(2 * self._at_once, AT_ONCE)
                continue
            self._at_once = FIRST_AT_ONCE
            fine = [omitted for omitted, *_ in found]
            most = {
                frozenset().union(*fine[: len(fine) >> n]): len(fine) >> n
                for n in range(len(fine).bit_length())
            }
            # The first one alone was tried just now.
            more = self._still_failing(each for each in most if each != fine[0])
            omitted, log, line = max([*more, found[0]], key=lambda each: most[each[0]])
            self._accept(omitted, log, line)
            todo = fine[most[omitted] :] + todo

    def _still_failing(self, sets: Iterable[Omitted]) -> Iterator[tuple[Omitted, Log, int]]:
        """Yield the sets without which the log fails in the same way, with log and bad line."""
        *_, last = self._kept
        inner = [each for each in sets if last not in each and each & self._kept.keys()]
        self._effort.on_progress(
            f"{len(self._kept):,} records left, trying to leave out {len(inner):,} sets"
        )
        tried = [(omitted, log) for omitted, log in at_once(self._without, inner) if log]
        verdicts = self._checker([logs.of(log) for _, log in tried], self._batch) if tried else []
        for (omitted, log), verdict in zip(tried, verdicts, strict=True):
            if len(verdict.rejections) == 1 and self._failure(verdict.rejections[0]) == self._goal:
                line = verdict.rejections[0].record.line
                if line == len(log) or len({record["node"] for record in log}) == 1:
                    yield omitted, log, line

    def _without(self, omitted: Omitted) -> Log | None:
        return self._write([record for at, record in self._kept.items() if at not in omitted])

    def _accept(self, omitted: Omitted, log: Log, line: int) -> None:
        """Leave records out, and all records after the rejected one."""
        kept = [(at, record) for at, record in self._kept.items() if at not in omitted]
        self._kept, self._log = dict(kept[:line]), log[:line]
        self._effort.on_smaller(self._log)


def _likely(kept: dict[int, Json]) -> list[Omitted]:
    """Return sets that are likely to succeed, the largest first.

    Each keeps the last record, the first of each node, and some groups of records: those with the
    same slot, ballot, type or request as the last one, elections, events, other nodes.
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
        elif record["input"]["body"]["type"] in _ELECTION:
            groups["election"].add(at)
    every = list(map(frozenset, groups.values()))
    first = {record["node"]: at for at, record in reversed(kept.items())}
    needed = frozenset([*first.values(), *list(kept)[-1:]])
    unions = (needed.union(*some) for n in range(len(every) + 1) for some in combinations(every, n))
    return _largest_first({frozenset(kept) - some for some in unions})


def _halvings(groups: Sequence[Omitted]) -> Iterator[Omitted]:
    """Yield all groups together, each half of them, each quarter and so on."""
    length = len(groups)
    while length:
        for at in range(0, len(groups), length):
            yield frozenset().union(*groups[at : at + length])
        length //= 2


def _candidates(kept: dict[int, Json]) -> list[Omitted]:
    """Return sets to leave out, the largest first.

    These are halves, quarters and so on of the records, records with something in common, and every
    pair of a few.
    """
    *places, last = kept
    sets: set[Omitted] = {some - {last} for some in _related(kept)}
    sets |= set(_halvings([frozenset([place]) for place in places]))
    if len(places) <= FEW:
        sets |= set(map(frozenset, combinations(places, 2)))
    return _largest_first(sets)


def _largest_first(sets: Iterable[Omitted]) -> list[Omitted]:
    return sorted(sets, key=lambda some: (-len(some), sorted(some)))


def _related(kept: dict[int, Json]) -> Iterable[Omitted]:
    """Return sets of records with the same subject, and each crash with its restart."""
    related: dict[str, set[int]] = defaultdict(set)
    down: dict[str, int] = {}
    for at, record in kept.items():
        for subject in _subjects(record):
            related[subject].add(at)
        if record["input"] == "crash":
            down[record["node"]] = at
        elif record["input"] == "restart" and record["node"] in down:
            related[f"crash {at}"] = {at, down[record["node"]]}
    return map(frozenset, related.values())


def _subjects(record: Json) -> Iterator[str]:
    """Yield what a record is about: its node, and type, slot, ballot, request of its messages."""
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


def _renumbered(records: Log, sign: int) -> Log:
    """Replace the numbers of replies by their error (sign -1), or the other way round (+1).

    So a right number stays right when other replies are left out, and a wrong one as wrong.
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


# What it means to fail in the same way.


def _failure(found: Rejection) -> str:
    """Return checker, reason and action of a rejection, and types and fields of wrong output."""
    sent, allowed = found.record.output, found.allowed
    reason = re.sub(r"\d+", "#", found.reason)
    failure: list[Json] = [found.checker, reason, action(found.record.input)]
    if allowed is not None:
        types = [[message["body"]["type"] for message in each] for each in (sent, allowed)]
        failure += [types, sorted(_differing(sent, allowed)) if types[0] == types[1] else []]
    return json.dumps(failure)


def _differing(sent: list[Json], allowed: list[Json]) -> set[str]:
    """Return the fields that differ, except those that the specification leaves out."""
    found: set[str] = set()
    for one, other in zip(sent, allowed, strict=True):
        for each, beside in (one, other), (one["body"], other["body"]):
            fields = (each.keys() | beside.keys()) - {"body", *UNSPECIFIED}
            found |= {name for name in fields if each.get(name) != beside.get(name)}
    return found


def _failure_and_output(found: Rejection) -> str:
    """Return the failure with the whole required output, for the found output does not change."""
    return json.dumps([_failure(found), found.allowed], sort_keys=True)
