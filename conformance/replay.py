"""Does a node do what a log says?  Feeds the inputs to a fresh process, compares all it prints.

The node is any command that speaks the protocol: one line in, some lines out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from . import logs
from .schema import SchemaError, check_record

Json = Any


class CommandError(Exception):
    """A node's command that cannot be run."""


@dataclass(frozen=True)
class Difference:
    """The first record where the node did something else than the log says."""

    record: logs.Record
    found: list[Json]
    remark: str = ""


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
    """Replays one log; each node of it is fed its own records in order.

    Raises `LogError` for one that any node would agree with.
    """
    records = logs.read(path)
    for node in dict.fromkeys(record.node for record in records):
        mine = [record for record in records if record.node == node]
        if not any(record.output for record in mine):
            raise logs.LogError(f"{path}: {node} is to say nothing, so the log shows nothing")
        difference = _difference(mine, command, seconds)
        if difference:
            return Replayed(path, mine.index(difference.record), difference)
    return Replayed(path, len(records), None)


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
        if isinstance(record.input, str):
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
    # As text, for to Python true equals 1 and 1.0; the order of keys is of no account.
    one, other = (
        json.dumps([_without_text(message) for message in said], sort_keys=True)
        for said in (found, expected)
    )
    return one == other


def _without_text(message: Json) -> Json:
    """What an error tells people is free, as long as it is words."""
    match message:
        case {"body": {"type": "error", "text": str(), **fields}}:
            return {**message, "body": {"type": "error", **fields}}
    return message


def _run(inputs: list[Json], command: Sequence[str], seconds: float) -> tuple[list[Json], str]:
    """What the node prints for these inputs, and what else is wrong with how it ended."""
    lines = "".join(json.dumps(given) + "\n" for given in inputs)
    try:
        process = subprocess.run(
            command, input=lines.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return [], f"the node did not end within {seconds:g} s of the end of its input"
    found: list[Json] = []
    for line in process.stdout.decode("utf-8", "replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append(line)
            return found, "the node printed a line that is not JSON"
    if process.returncode != 0:
        told = process.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        return found, f"the node ended with status {process.returncode}: {' / '.join(told)}"
    return found, ""
