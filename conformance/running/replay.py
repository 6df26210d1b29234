"""Replays golden traces: gives a node the inputs and compares its output.

The node is any command that speaks the protocol; each trace gets a fresh process.  It may also be a
function of this process, which is a hundred times as fast and is used for mutants of the node.
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
from .preloaded import Run, Start, starting
from .process import Flood, Process, Silence

Json = Any

# After so many traces in which the node hangs, no other is started.
HANGS = 3

# Seconds that a node may be silent when it gets one input at a time, after a difference.
STEPWISE_SECONDS = 3.0

# Bytes that a node may print beyond eight times the expected ones (which suffices to write each
# character as an escape): longer texts of errors, and spaces.
MORE = 1 << 20

Turn = Callable[[list[bytes]], bytes]
"""A node within this process: a function from input lines to output lines."""


class CommandError(Exception):
    """A command or a function of a node that cannot be run."""


@dataclass(frozen=True)
class Difference:
    """The first record where the node's output differs from the golden trace.

    `remark` is what else is wrong: the node ended, hangs, or printed too much or malformed output.
    `hangs` is true if it was silent for longer than it may be.  `ahead` is true if it differs only
    when it can read all inputs at once.  `renamed` is the seed of the renaming of the record, None
    for none.
    """

    record: logs.Record
    found: list[Json]
    remark: str = ""
    hangs: bool = False
    renamed: int | None = None
    ahead: bool = False

    def text(self) -> str:
        """Return the difference as text, expected beside found."""
        lines = [f"{self.record.place}: node {self.record.node} differs here"]
        if self.renamed is not None:
            lines.append(f"  under a renaming; again: replay --renamed {self.renamed}")
        lines += [f"  {self.remark}"] if self.remark else []
        lines += [f"  input:    {json.dumps(self.record.input)}"]
        return "\n".join(lines + report.beside(self.record.output, self.found))


@dataclass(frozen=True)
class Replayed:
    """The replay of one golden trace: how many records are equal, and the first difference.

    `tried` is false if the node hung in other traces before.
    """

    path: Path
    steps: int
    difference: Difference | None
    tried: bool = True
    seconds: float = field(default=0.0, compare=False)


def check_command(command: Sequence[str]) -> None:
    """Raise `CommandError` unless the command names a program."""
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
    errors: Callable[[Path], Path] | None = None,
) -> list[Replayed]:
    """Replay golden traces, some at a time, each with a fresh process.

    `renamed` is the seed of a renaming (see `renaming`), None for none.  A node may be silent for
    some seconds; after `HANGS` traces in which it was silent for longer, the others are not tried.
    `errors` returns the file for standard error in a trace; it is kept if the node differs.
    """
    check_command(command)
    results: list[Replayed] = []
    hanging: list[Path] = []

    def do(path: Path) -> Replayed:
        if len(hanging) >= HANGS:
            return Replayed(path, 0, None, tried=False)
        file = errors(path) if errors else None
        found = replay(path, command, seconds=seconds, renamed=renamed, errors=file, start=start)
        if file and file.exists() and not (found.difference and file.stat().st_size):
            file.unlink()
        if found.difference and found.difference.hangs:
            hanging.append(path)
        return found

    with starting(command) as start:
        for _, result in at_once(do, paths):
            on_done(result)
            results.append(result)
    return results


def replay(
    path: Path,
    command: Sequence[str],
    *,
    seconds: float = 30,
    renamed: int | None = None,
    errors: Path | None = None,
    start: Start = Process,
) -> Replayed:
    """Replay one golden trace; each node in it gets its own inputs in order."""
    return _replayed(
        path, lambda case: _difference(case.records, command, seconds, errors, start), renamed
    )


def replay_all_within(
    paths: Iterable[Path],
    make: Callable[[], Turn],
    *,
    renamed: int | None = None,
    on_done: Callable[[Replayed], None] = lambda replayed: None,
) -> list[Replayed]:
    """Replay golden traces within this process, with a fresh node for each node of a trace."""
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
    """The inputs and expected outputs of one node in a golden trace."""

    records: list[logs.Record]

    @cached_property
    def lines(self) -> list[bytes]:
        """The inputs as lines."""
        return [json.dumps(record.input).encode() for record in self.records]

    @cached_property
    def texts(self) -> list[bytes]:
        """The expected output of each input, as most nodes write it."""
        return [b"".join(map(_line, record.output)) for record in self.records]


def cases(path: Path, renamed: int | None = None) -> list[Case]:
    """Return a case for each node of a golden trace.

    Raises `LogError` for a node without expected output: a node that prints nothing would pass.
    """
    found = logs.by_node(read(path, renamed))
    for node, records in found.items():
        if not any(record.output for record in records):
            raise LogError(f"{path}: node {node} has no expected output, so it shows nothing")
    return list(map(Case, found.values()))


def read(path: Path, renamed: int | None) -> list[logs.Record]:
    """Return the records of a golden trace, under the renaming of a seed if one is given.

    Raises `LogError` for a log that begins with a state: no node can be given one.
    """
    found = logs.read(path) if renamed is None else renaming.read(path, renamed)
    if any(record.state is not None for record in found):
        raise LogError(f"{path}: the log begins with a state, so it cannot be replayed")
    return found


def differs(case: Case, turn: Turn) -> Difference | None:
    """Give a fresh node its inputs one at a time; return the first difference."""
    for record, line, text in zip(case.records, case.lines, case.texts, strict=True):
        try:
            output = turn([line])
        except Exception as error:
            return Difference(record, [], f"the node raised {error!r}")
        if output != text:
            found, remark = _read(output)
            if remark or not same_output(found, record.output):
                return Difference(record, found, remark)
    return None


def maker(name: str) -> Callable[[], Turn]:
    """Return the function MODULE:FUNCTION, which returns a node within this process."""
    module, _, function = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise CommandError(f"{name}: not MODULE:FUNCTION, or it is not there: {error}") from None
    if not callable(found):
        raise CommandError(f"{name}: not a function")
    make: Callable[[], Turn] = found
    return make


def log_of(
    records: Sequence[Json], command: Sequence[str], *, seconds: float = 30
) -> list[Json] | None:
    """Return the log of a node that gets the inputs of one node's records.

    None if its output is malformed, or it ends with an error.
    """
    given = [logs.Record(r["node"], r["input"], [], Path(), 0) for r in records]
    made: list[Json] = []
    with closing(_ReplayProcess(groups(given), command, seconds)) as node:
        for group in node.groups:
            found = node.output(group, MOST_MESSAGES)
            some = [{"node": r.node, "input": r.input, "output": []} for r in group.records]
            # Output after several inputs is attributed to the last of them.
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
    records: list[logs.Record],
    command: Sequence[str],
    seconds: float,
    errors: Path | None,
    start: Start,
) -> Difference | None:
    """Give a node all its inputs and read until its output differs.

    A node may end or print malformed output because of an input that it has read ahead, so then
    each input is given only after the node has replied to the one before.
    """
    found = _first_difference(records, command, seconds, errors, start)
    if found is None or not found.remark or found.hangs:
        return found
    if errors:
        errors.unlink(missing_ok=True)
    patience = min(seconds, STEPWISE_SECONDS)
    stepwise = _first_difference(records, command, patience, errors, stepwise=True)
    if stepwise is None:
        return replace(found, ahead=True)
    return found if stepwise.hangs else stepwise


def _first_difference(
    records: list[logs.Record],
    command: Sequence[str],
    seconds: float,
    errors: Path | None,
    start: Start = Process,
    stepwise: bool = False,
) -> Difference | None:
    with closing(
        _ReplayProcess(groups(records), command, seconds, errors, start, stepwise)
    ) as node:
        for group in node.groups:
            found = node.output(group, len(group.expected))
            if node.remark or not same_output(found, group.expected):
                return Difference(group.records[-1], found, node.remark, node.hangs)
        found = node.finish()
    if node.remark or found:
        return Difference(records[-1], found, node.remark, node.hangs)
    return None


@dataclass
class _ReplayProcess:
    """A process that gets all inputs of a node with fences; its output is read group by group.

    `stepwise` gives it the inputs of a group only when its output is to be read.  `remark` is what
    is wrong with how it printed or ended; nothing is read after that.
    """

    groups: list[Group]
    command: Sequence[str]
    seconds: float
    errors: Path | None = None
    start: Start = Process
    stepwise: bool = False
    remark: str = ""
    hangs: bool = False
    process: Process | Run = field(init=False)

    def __post_init__(self) -> None:
        expected = sum(len(_line(m)) for group in self.groups for m in group.expected)
        self.process = self.start(self.command, self.errors, longest=MORE + 8 * expected)
        if not self.stepwise:
            self._give(self.groups)
        self._lines = self.process.lines(self.seconds, lambda: not self.stepwise)

    def _give(self, some: Sequence[Group]) -> None:
        inputs: list[Json] = []
        for group in some:
            inputs += [record.input for record in group.records]
            inputs += [group.fence.line] if group.fence else []
        self.process.give(b"".join(map(_line, inputs)).removesuffix(b"\n"))

    def output(self, group: Group, most: int) -> list[Json]:
        """Return the messages of a group, and at most one more than `most`."""
        if self.stepwise:
            self._give([group])
            self.stepwise = group.fence is not None
        found, answered = self._read(most, group.fence)
        if group.fence and not answered and not self.remark:
            self._check_end()
            self.remark = self.remark or "the node ended without a reply to a repeated init"
        return [group.plain(message) for message in found]

    def finish(self) -> list[Json]:
        """Return what the node prints after all expected output, until it ends."""
        if self.remark:
            return []
        self.stepwise = False
        found, _ = self._read(0, None)
        if not self.remark:
            self._check_end()
        return found

    def _read(self, most: int, fence: Fence | None) -> tuple[list[Json], bool]:
        """Return the messages before the reply to a fence, and whether that came."""
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
            last = " / ".join(self.process.last_error_lines())
            self.remark = f"the node ended with status {status}: {last}"
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
    """Return the messages in an output, and what is wrong with its first malformed line."""
    found: list[Json] = []
    lines, rest = split_lines(printed)
    for line in lines:
        try:
            found.append(loads(line))
        except NotJson:
            found.append(line.decode("utf-8", "replace"))
            return found, "the node printed a line that is not JSON"
    return found, "the last line that the node printed does not end" if rest else ""
