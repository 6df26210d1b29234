"""Does a node do what a log says?  Feeds it the inputs, compares all that it says.

The node is any command that speaks the protocol, one line in, some lines out; each log gets a
process of its own.  It may also be a function of this process, which is a hundred times as fast and
what mutants are tried with.
"""

from __future__ import annotations

import importlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import report
from ..formats import logs
from ..formats.canonical import same_output
from ..formats.logs import LogError
from ..formats.schema import SchemaError, check_record
from ..formats.strict import NotJson, loads, split_lines
from ..jobs import at_once
from . import renaming
from .fences import MOST_MESSAGES, Fence, Group, groups
from .process import Flood, Process, Silence

Json = Any

# After so many logs in which the node hangs no more are begun.
HANGS = 3

# What a node may print besides eight times what is expected (as much as it takes to write each
# character as an escape), in bytes: longer texts of errors, and spaces.
MORE = 1 << 20

Turn = Callable[[list[bytes]], bytes]
"""A node within this process: it takes lines, and returns the lines that it prints."""


class CommandError(Exception):
    """A node that cannot be run: its command, or the function that makes it."""


@dataclass(frozen=True)
class Difference:
    """The first record where the node did something else than the log says.

    `hangs` tells that it did nothing more, for as long as it may be silent.
    `renamed` is the seed of the renaming that the record is under, None if it is as it was written.
    """

    record: logs.Record
    found: list[Json]
    remark: str = ""
    hangs: bool = False
    renamed: int | None = None

    def words(self) -> str:
        """What people need to see of it, expected beside found."""
        lines = [f"{self.record.place}: node {self.record.node} differs here"]
        if self.renamed is not None:
            lines.append(f"  under a renaming; again: replay --renamed {self.renamed}")
        lines += [f"  {self.remark}"] if self.remark else []
        lines += [f"  input:    {json.dumps(self.record.input)}"]
        return "\n".join(lines + report.beside(self.record.output, self.found))


@dataclass(frozen=True)
class Replayed:
    """The replay of one log: how many records agreed, and what differed, if anything.

    It was not `tried` where the node hanged in others before.
    """

    path: Path
    steps: int
    difference: Difference | None
    tried: bool = True
    seconds: float = field(default=0.0, compare=False)


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
    renamed: int | None = None,
    on_done: Callable[[Replayed], None] = lambda replayed: None,
) -> list[Replayed]:
    """Replays logs, some at a time, each against a process of its own.

    `renamed` is the seed of a renaming (see `renaming`); without it, logs are replayed as they are.
    A node may be silent for some seconds.  After a few logs in which it was silent for longer the
    others are not tried.
    """
    check_command(command)
    results: list[Replayed] = []
    hanging: list[Path] = []

    def do(path: Path) -> Replayed:
        if len(hanging) >= HANGS:
            return Replayed(path, 0, None, tried=False)
        found = replay(path, command, seconds=seconds, renamed=renamed)
        if found.difference and found.difference.hangs:
            hanging.append(path)
        return found

    for _, result in at_once(do, paths):
        on_done(result)
        results.append(result)
    return results


def replay(
    path: Path, command: Sequence[str], *, seconds: float = 30, renamed: int | None = None
) -> Replayed:
    """Replays one log; each node of it is fed its own records in order."""
    return _replayed(path, lambda case: _difference(case.records, command, seconds), renamed)


def replay_all_within(
    paths: Iterable[Path],
    make: Callable[[], Turn],
    *,
    renamed: int | None = None,
    on_done: Callable[[Replayed], None] = lambda replayed: None,
) -> list[Replayed]:
    """Replays logs within this process, each node of each against one that is made for it."""
    results = []
    for path in paths:
        results.append(_replayed(path, lambda case: differs(case, make()), renamed))
        on_done(results[-1])
    return results


def _replayed(
    path: Path, differs: Callable[[Case], Difference | None], renamed: int | None
) -> Replayed:
    steps, started = 0, time.monotonic()
    for case in cases(path, renamed):
        difference = differs(case)
        if difference:
            steps += case.records.index(difference.record)
            difference = replace(difference, renamed=renamed)
            return Replayed(path, steps, difference, seconds=time.monotonic() - started)
        steps += len(case.records)
    return Replayed(path, steps, None, seconds=time.monotonic() - started)


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


def cases(path: Path, renamed: int | None = None) -> list[Case]:
    """The nodes of a log, each a case; raises `LogError` if one is never to say anything, for then
    a node that says nothing would agree."""
    found = logs.by_node(read(path, renamed))
    for node, records in found.items():
        if not any(record.output for record in records):
            raise LogError(f"{path}: node {node} is never to say anything, so it shows nothing")
    return list(map(Case, found.values()))


def read(path: Path, renamed: int | None) -> list[logs.Record]:
    """The records of a log, under the renaming of a seed if one is given."""
    return logs.read(path) if renamed is None else renaming.read(path, renamed)


def differs(case: Case, turn: Turn) -> Difference | None:
    """Gives a fresh node its inputs, one at a time, until it says something else than it must."""
    for record, line, text in zip(case.records, case.lines, case.texts, strict=True):
        try:
            said = turn([line])
        except Exception as error:
            return Difference(record, [], f"the node raised {error!r}")
        if said != text:
            found, remark = _read(said)
            if remark or not same_output(found, record.output):
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
    made: list[Json] = []
    with closing(_Fed(groups(given), command, seconds)) as node:
        for group in node.groups:
            found = node.output(group, MOST_MESSAGES)
            some = [{"node": r.node, "input": r.input, "output": []} for r in group.records]
            # Of what is printed at the end of several, nobody can tell which of them it belongs to.
            some[-1]["output"] += found
            made += some
        node.finish()
    try:
        for record in made:
            check_record(record)
    except SchemaError:
        return None
    return None if node.remark else made


def _difference(
    records: list[logs.Record], command: Sequence[str], seconds: float
) -> Difference | None:
    """Feeds a node all its inputs and reads until it prints something else than it must."""
    with closing(_Fed(groups(records), command, seconds)) as node:
        for group in node.groups:
            found = node.output(group, len(group.expected))
            if node.remark or not same_output(found, group.expected):
                return Difference(group.records[-1], found, node.remark, node.hangs)
        found = node.finish()
    if node.remark or found:
        return Difference(records[-1], found, node.remark, node.hangs)
    return None


@dataclass
class _Fed:
    """A process that is fed all inputs of a node with fences; its output is read group by group.

    `remark` tells what is wrong with how it printed or ended; nothing is read after that.
    """

    groups: list[Group]
    command: Sequence[str]
    seconds: float
    remark: str = ""
    hangs: bool = False
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        inputs: list[Json] = []
        for group in self.groups:
            inputs += [record.input for record in group.records]
            inputs += [group.fence.line] if group.fence else []
        text = b"".join(map(_line, inputs))
        expected = sum(len(_line(m)) for group in self.groups for m in group.expected)
        self.process = Process(self.command, longest=MORE + 8 * expected)
        self.process.give(text.removesuffix(b"\n"))
        self._lines = self.process.lines(self.seconds)

    def output(self, group: Group, most: int) -> list[Json]:
        """The messages of a group, and not more than one that is too many."""
        found, answered = self._read(most, group.fence)
        if group.fence and not answered and not self.remark:
            self._check_end()
            self.remark = self.remark or "the node ended without an answer to a repeated init"
        return [group.plain(message) for message in found]

    def finish(self) -> list[Json]:
        """What the node prints behind all that it must, until it has ended."""
        if self.remark:
            return []
        found, _ = self._read(0, None)
        if not self.remark:
            self._check_end()
        return found

    def _read(self, most: int, fence: Fence | None) -> tuple[list[Json], bool]:
        """Messages up to the answer to a fence, and whether it came."""
        found: list[Json] = []
        try:
            for line in self._lines:
                found.append(loads(line))
                if fence and fence.is_answered_by(found[-1]):
                    return found[:-1], True
                if len(found) > most:
                    self.remark = "the node printed more messages than these; it was ended"
                    break
        except NotJson:
            found.append(line.decode("utf-8", "replace"))
            self.remark = "the node printed a line that is not JSON"
        except Flood as error:
            self.remark = f"the node {error}; it was ended"
        except Silence:
            self._hang()
        return found, False

    def _check_end(self) -> None:
        status = self.process.status(self.seconds)
        if status is None:
            self._hang()
        elif status:
            told = " / ".join(self.process.last_words())
            self.remark = f"the node ended with status {status}: {told}"
        elif self.process.rest:
            self.remark = "the last line that the node printed does not end"

    def _hang(self) -> None:
        self.hangs = True
        self.remark = f"the node hangs: it was silent for {self.seconds:g} s and did not end"

    def close(self) -> None:
        self.process.close()


def _line(message: Json) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _read(printed: bytes) -> tuple[list[Json], str]:
    """The messages that were printed, and what is wrong with the first that is none."""
    found: list[Json] = []
    lines, rest = split_lines(printed)
    for line in lines:
        try:
            found.append(loads(line))
        except NotJson:
            found.append(line.decode("utf-8", "replace"))
            return found, "the node printed a line that is not JSON"
    return found, "the last line that the node printed does not end" if rest else ""
