"""Does a node do what a log says?  Feeds it the inputs, compares all that it says.

The node is any command that speaks the protocol, one line in, some lines out; each log gets a
process of its own.  It may also be a function of this process, which is a hundred times as fast and
what mutants are tried with.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from .. import report
from ..logbook import logs
from ..logbook.canonical import canonical
from ..logbook.logs import LogError
from ..logbook.schema import SchemaError, check_record, is_message

Json = Any

Turn = Callable[[list[bytes]], bytes]
"""A node within this process: it takes lines, and returns the lines that it prints."""


class CommandError(Exception):
    """A node that cannot be run: its command, or the function that makes it."""


@dataclass(frozen=True)
class Difference:
    """The first record where the node did something else than the log says."""

    record: logs.Record
    found: list[Json]
    remark: str = ""

    def words(self) -> str:
        """What people need to see of it, expected beside found."""
        lines = [f"{self.record.place}: node {self.record.node} differs here"]
        lines += [f"  {self.remark}"] if self.remark else []
        lines += [f"  input:    {json.dumps(self.record.input)}"]
        return "\n".join(lines + report.beside(self.record.output, self.found))


@dataclass(frozen=True)
class Replayed:
    """The replay of one log: how many records agreed, and what differed, if anything."""

    path: Path
    steps: int
    difference: Difference | None


def check_command(command: Sequence[str]) -> None:
    """Raises `CommandError` unless the command names a program."""
    if not command:
        raise CommandError("no command for the node; give it after --, as in: -- python3 main.py")
    if shutil.which(command[0]) is None:
        raise CommandError(f"{command[0]}: no such command; the node cannot be started")


def replay_all(
    paths: Iterable[Path],
    command: Sequence[str],
    *,
    seconds: float = 30,
    workers: int = 2,
    on_done: Callable[[Replayed], None] = lambda replayed: None,
) -> list[Replayed]:
    """Replays logs, some at a time, each against a process of its own."""
    check_command(command)
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda path: replay(path, command, seconds=seconds), paths):
            on_done(result)
            results.append(result)
    return results


def replay(path: Path, command: Sequence[str], *, seconds: float = 30) -> Replayed:
    """Replays one log; each node of it is fed its own records in order."""
    return _replayed(path, lambda case: _difference(case.records, command, seconds))


def replay_all_within(
    paths: Iterable[Path],
    make: Callable[[], Turn],
    *,
    on_done: Callable[[Replayed], None] = lambda replayed: None,
) -> list[Replayed]:
    """Replays logs within this process, each node of each against one that is made for it."""
    results = []
    for path in paths:
        results.append(_replayed(path, lambda case: differs(case, make())))
        on_done(results[-1])
    return results


def _replayed(path: Path, differs: Callable[[Case], Difference | None]) -> Replayed:
    steps = 0
    for case in cases(path):
        difference = differs(case)
        if difference:
            return Replayed(path, steps + case.records.index(difference.record), difference)
        steps += len(case.records)
    return Replayed(path, steps, None)


@dataclass(frozen=True)
class Case:
    """What one node of a log is given and must say."""

    records: list[logs.Record]

    @cached_property
    def lines(self) -> list[bytes]:
        """Its inputs as lines."""
        return [json.dumps(record.input).encode() for record in self.records]

    @cached_property
    def texts(self) -> list[bytes]:
        """What it must say to each, as most nodes write it."""
        return [b"".join(map(_line, record.output)) for record in self.records]


def cases(path: Path) -> list[Case]:
    """The nodes of a log, each a case; raises `LogError` if one is never to say anything, for then
    a node that says nothing would agree."""
    found = logs.by_node(logs.read(path))
    for node, records in found.items():
        if not any(record.output for record in records):
            raise LogError(f"{path}: node {node} is never to say anything, so it shows nothing")
    return list(map(Case, found.values()))


def differs(case: Case, turn: Turn) -> Difference | None:
    """Gives a fresh node its inputs, one at a time, until it says something else than it must."""
    for record, line, text in zip(case.records, case.lines, case.texts, strict=True):
        try:
            said = turn([line])
        except Exception as error:
            return Difference(record, [], f"the node raised {error!r}")
        if said != text:
            found, remark = _read(said)
            if remark or not _same(found, record.output):
                return Difference(record, found, remark)
    return None


def maker(name: str) -> Callable[[], Turn]:
    """The function MODULE:FUNCTION, which makes a node to be run within this process."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise CommandError(f"{name}: not MODULE:FUNCTION, or it is not there: {error}") from None
    if not callable(found):
        raise CommandError(f"{name}: not a function")
    return found


def log_of(
    records: Sequence[Json], command: Sequence[str], *, seconds: float = 30
) -> list[Json] | None:
    """The log that tells what a node prints when it is given the inputs of one node's records.

    None if it prints what no log can hold, or does not end well.
    """
    given = [logs.Record(r["node"], r["input"], [], Path(), 0) for r in records]
    inputs, groups = _fenced(given)
    printed, remark = _run(inputs, command, seconds)
    made: list[Json] = []
    fences = 0
    for group, found in zip_longest(groups, _split(printed), fillvalue=[]):
        if any(record.input == "restart" for record in group):
            fences = 0
        made += [{"node": record.node, "input": record.input, "output": []} for record in group]
        # Of what is printed at the end of several, nobody can tell which of them it belongs to.
        made[-1]["output"] += [_renumbered(message, fences) for message in found]
        fences += 1
    try:
        for record in made:
            check_record(record)
    except SchemaError:
        return None
    return None if remark else made


def _difference(
    records: list[logs.Record], command: Sequence[str], seconds: float
) -> Difference | None:
    inputs, groups = _fenced(records)
    printed, remark = _run(inputs, command, seconds)
    segments = _split(printed)
    fences = 0
    for group, found in zip_longest(groups, segments, fillvalue=[]):
        if any(record.input == "restart" for record in group):
            fences = 0
        found = [_renumbered(message, fences) for message in found]
        expected = [message for record in group for message in record.output]
        if not _same(found, expected):
            return Difference((group or [records[-1]])[-1], found, remark)
        fences += 1
    return Difference(records[-1], [], remark) if remark else None


# When a node says something is as important as what it says.  So each record is followed by a
# fence, an `init` like the first from a client of the harness, which is answered at once and
# changes nothing: what is printed before the answer belongs to the record.

FENCE = "fence"


def _fenced(records: list[logs.Record]) -> tuple[list[Json], list[list[logs.Record]]]:
    """The inputs with fences between them, and the records that end with each fence.

    A node that is down answers nobody, so the records of a crash go together to the restart.
    """
    inputs: list[Json] = []
    groups: list[list[logs.Record]] = [[]]
    fence, up = None, True
    for record in records:
        inputs.append(record.input)
        groups[-1].append(record)
        if not is_message(record.input):
            up = record.input != "crash" and (up or record.input == "restart")
        elif record.starts and not record.refused:
            fence = {**record.input, "src": FENCE}
        if fence and up:
            inputs.append(fence)
            groups.append([])
    return inputs, groups if groups[-1] else groups[:-1]


def _split(printed: list[Json]) -> list[list[Json]]:
    segments: list[list[Json]] = [[]]
    for message in printed:
        if isinstance(message, dict) and message.get("dest") == FENCE:
            segments.append([])
        else:
            segments[-1].append(message)
    return segments if segments[-1] else segments[:-1]


def _renumbered(message: Json, fences: int) -> Json:
    """A reply's number without the answers to fences, which the log does not have."""
    try:
        number = message["body"]["msg_id"] - fences
        return {**message, "body": {**message["body"], "msg_id": number}}
    except (KeyError, TypeError):
        return message


def _same(found: list[Json], expected: list[Json]) -> bool:
    one, other = (canonical(list(map(_without_text, said))) for said in (found, expected))
    return one == other


def _without_text(message: Json) -> Json:
    """What an error tells people is free, as long as it is words."""
    match message:
        case {"body": {"type": "error", "text": str(), **fields}}:
            return {**message, "body": {"type": "error", **fields}}
    return message


def _run(inputs: list[Json], command: Sequence[str], seconds: float) -> tuple[list[Json], str]:
    """What the node prints for these inputs, and what else is wrong with how it ended."""
    lines = b"".join(map(_line, inputs))
    try:
        process = subprocess.run(
            command, input=lines, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return [], f"the node did not end within {seconds:g} s of the end of its input"
    found, remark = _read(process.stdout)
    if not remark and process.returncode != 0:
        told = process.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        remark = f"the node ended with status {process.returncode}: {' / '.join(told)}"
    return found, remark


def _line(message: Json) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _read(printed: bytes) -> tuple[list[Json], str]:
    """The messages that were printed, and what is wrong with the first that is none."""
    found: list[Json] = []
    for line in printed.decode("utf-8", "replace").splitlines():
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            found.append(line)
            return found, "the node printed a line that is not JSON"
    return found, ""
