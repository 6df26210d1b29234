"""What people see: a line that moves while something runs, tables at the end, verdicts in words.

Nothing here decides anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .grading.marks import Failure, Grade
from .judging.verdict import MISSING, Discrepancy, Finding, Rejection
from .models.branches import Branch
from .running.replay import Difference

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Where nobody watches a terminal, a line this often shows that the job is alive.
QUIET_SECONDS = 20

# Wide enough for every table here.
WIDEST = 140

# An answer may tell a log of thousands of slots; the file has the rest.
LONGEST_ENTRY = 300

# One place that differs may make many others differ; the first ones tell why.
MOST_DIFFERING = 5


def say(text: str, style: str = "") -> None:
    """Prints a text as it is to standard output: a path that is cut in two cannot be copied."""
    out.print(text, style=style, markup=False, soft_wrap=True)


def warn(text: str, style: str = "") -> None:
    """The same to standard error."""
    err.print(text, style=style, markup=False, soft_wrap=True)


class Line:
    """One line that tells what is being done; a context manager, on standard error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = time.monotonic()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=err, transient=True,
        )  # fmt: skip

    def __enter__(self) -> Line:
        if err.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(escape(self._what), total=None)
        else:
            warn(f"{self._what} ...")
        return self

    def __exit__(self, *_: object) -> None:
        if err.is_terminal:
            self._progress.stop()

    def tell(self, how_far: str) -> None:
        """Says how far it is."""
        if err.is_terminal:
            self._progress.update(self._task, description=escape(f"{self._what}: {how_far}"))
        elif time.monotonic() - self._told >= QUIET_SECONDS:
            self._told = time.monotonic()
            warn(f"{self._what}: {how_far}")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table; a column whose name starts with # holds figures."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        right = column.startswith("#")
        shown.add_column(column.lstrip("#"), justify="right" if right else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*(_cell(item) for item in row))
    # A line that a narrow terminal wraps tells more than one that is cut.
    Console(highlight=False, width=max(out.width, WIDEST)).print(shown)


def _cell(item: Any) -> str:
    if isinstance(item, bool):
        return "[green]yes[/]" if item else "[bold red]NO[/]"
    if isinstance(item, int):
        return f"{item:,}"
    if isinstance(item, float):
        return f"{item:.1f} s"
    return escape(str(item))


def difference(found: Difference) -> str:
    """The first record that differs, expected beside found."""
    lines = [f"{found.record.place}: node {found.record.node} differs here"]
    if found.remark:
        lines.append(f"  {found.remark}")
    lines += [f"  input:    {json.dumps(found.record.input)}"]
    lines += _beside(found.record.output, found.found)
    return "\n".join(lines)


def rejection(found: Rejection) -> str:
    """The first bad record of a log, what is wrong with it, and what led to it."""
    record = found.record
    lines = [f"{record.place}: node {record.node}: {found.reason} ({found.judge})"]
    lines += [f"  action:   {found.action}", f"  input:    {json.dumps(record.input)}"]
    if found.unmet is not None:
        lines.append(f"  needs:    {discrepancy(found.unmet)}")
    if found.allowed is not None:
        lines += _beside(found.allowed, record.output)
    else:
        lines += [f"  found:    {json.dumps(message)}" for message in record.output]
    lines += [f"  differs:  {discrepancy(each)}" for each in found.differing[:MOST_DIFFERING]]
    if len(found.differing) > MOST_DIFFERING:
        lines.append(f"            and in {len(found.differing) - MOST_DIFFERING:,} more places")
    if found.state is not None:
        lines.append(f"  state:    {_shortened(json.dumps(found.state))}")
    for each in found.before:
        taken = json.dumps({"input": each.input, "output": each.output})
        lines.append(f"  line {each.line}, before: {_shortened(taken)}")
    return "\n".join(lines)


def discrepancy(found: Discrepancy) -> str:
    """A place where something is not what it must be, with both values."""
    expected, other = map(_value, (found.expected, found.found))
    return f"{found.path} must be {expected} and is {other}"


def _value(item: Any) -> str:
    return "nothing" if item is MISSING else _shortened(json.dumps(item))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ENTRY else f"{text[:LONGEST_ENTRY]} ..."


def untouched(branch: Branch) -> str:
    """A branch of the specification that was never taken."""
    return f"{branch.place}: {branch.operator} never takes: {branch.text}"


def finding(found: Finding) -> str:
    """An entry of a history that is wrong, and what it contradicts."""
    entries = [each for each in (found.other, found.entry) if each is not None]
    lines = [f"{found.entry.place}: {found.reason} ({found.rule})"]
    for entry in sorted(entries, key=lambda each: each.line):
        shown = _shortened(json.dumps(entry.message))
        lines.append(f"  line {entry.line}, {entry.kind}: {shown}")
    return "\n".join(lines)


def _beside(expected: list[Any], found: list[Any]) -> list[str]:
    lines = []
    for name, messages in (("expected", expected), ("found", found)):
        texts = [json.dumps(message) for message in messages] or ["nothing"]
        lines += [f"  {name + ':':9} {text}" for text in texts]
    return lines


# Longer lists of inputs are not shown whole; the script has them all.
MOST_INPUTS = 40


def grade(found: Grade, scripts: dict[str, Path]) -> None:
    """Prints a grade: the stages, what failed first in each, and what was not graded.

    `scripts` has the file of each stage that failed and can be seen to fail in a shell.
    """
    rows = [
        (stage.name, f"{stage.passed:,} of {stage.cases:,}", stage.seconds, stage.agrees)
        if stage.cases else (stage.name, "not graded", "", "")
        for stage in found.stages
    ]  # fmt: skip
    table("Grade", ("stage", "#passed", "#time", "agrees"), rows)
    for stage in found.stages:
        if stage.failure is not None:
            text = failure(stage.name, stage.failure, scripts.get(stage.name))
            say(f"{text}\n")
    lost = [f"  {stage.name}: {stage.lost}" for stage in found.stages if stage.lost]
    lost += [f"  {option}: {why}" for option, why in found.options.items() if why]
    if lost:
        say("Not graded, and the options that the node does not take:")
        say("\n".join(lost) + "\n")
    passed, cases = (sum(getattr(each, of) for each in found.stages) for of in ("passed", "cases"))
    say(f"{passed:,} of {cases:,} cases passed")


def failure(stage: str, found: Failure, script: Path | None) -> str:
    """The first case of a stage that failed, and what to paste into a shell to see it."""
    lines = [f"{stage}, first failure: {found.case}", f"  {found.reason}"]
    if 0 < len(found.inputs) <= MOST_INPUTS:
        lines += ["", *found.script().splitlines(), ""]
    elif found.inputs:
        lines += [f"  its {len(found.inputs):,} lines are in {script}, and the last of them is"]
        lines += [f"  {found.inputs[-1]}"]
    if found.inputs or found.expected:
        lines += _beside(list(found.expected), list(found.found))
    else:
        lines += [f"  found:    {json.dumps(message)}" for message in found.found]
    return "\n".join(lines)
