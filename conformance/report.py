"""What people see: a line that moves while something runs, tables at the end, texts as they are.

Nothing else in the harness prints.  A text may hold anything that a node or a file name holds, so
what could move a terminal's cursor, hide or reorder text, or command a CI runner is escaped here,
and what is too long is shortened.  Nothing here decides anything, or knows what it shows.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# Where nobody watches a terminal, a line this often shows that the job is alive.
QUIET_SECONDS = 20

# Wide enough for every table here.
WIDEST = 140

# An answer may tell a log of thousands of slots; the file has the rest.
LONGEST_ENTRY = 300

# Of a message that is compared with another one, and of any line at all.
LONGEST_MESSAGE, LONGEST_LINE = 1_000, 4_000

# So many of the messages of one step are shown.
MOST_MESSAGES = 20

# What is printed: "quiet" leaves out progress and tables, "verbose" adds a line for each case.
detail: Literal["quiet", "normal", "verbose"] = "normal"

# A CI runner obeys the first where a line begins with it, and the others anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#(?:\[|vso\[))")


class _Console(Console):
    """A console that interprets nothing in the text, and lets the command fail if it is closed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Rich would end the process here with status 1, which means something else."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BrokenPipeError("standard output was closed before all was printed")


out = _Console()
err = _Console(stderr=True)


def say(text: str) -> None:
    """Prints a text as it is to standard output: a path that is cut in two cannot be copied."""
    _print(out, text)


def warn(text: str, style: str = "") -> None:
    """The same to standard error."""
    _print(err, text, style)


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(plain(text, console.encoding), style), soft_wrap=True)


def plain(text: str, encoding: str = "utf-8") -> str:
    """The text with escapes for all that is not visible, or that the encoding does not have."""
    return "\n".join(_plain(line, encoding) for line in text.split("\n"))


def _plain(line: str, encoding: str) -> str:
    if len(line) > LONGEST_LINE:
        half = LONGEST_LINE // 2
        line = f"{line[:half]} ... {line[-half:]}"
    if not line.isprintable():
        line = "".join(
            each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode()
            for each in line
        )
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    return _COMMAND.sub(lambda found: (found[1] or "") + f"\\x{ord(found[0][-1]):02x}", line)


class Line:
    """One line that tells what is being done; a context manager, on standard error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = time.monotonic()
        self._progress = Progress(
            SpinnerColumn("dots" if err.encoding.startswith("utf") else "line"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )

    def __enter__(self) -> Line:
        if err.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(self._shown(self._what), total=None)
        elif detail != "quiet":
            warn(f"{self._what} ...")
        return self

    def __exit__(self, *_: object) -> None:
        if err.is_terminal:
            self._progress.stop()

    def tell(self, how_far: str) -> None:
        """Says how far it is."""
        if err.is_terminal:
            self._progress.update(self._task, description=self._shown(f"{self._what}: {how_far}"))
        elif detail != "quiet" and time.monotonic() - self._told >= QUIET_SECONDS:
            self._told = time.monotonic()
            warn(f"{self._what}: {how_far}")

    def _shown(self, text: str) -> str:
        return plain(text, err.encoding).replace("\n", " ")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table; a column whose name starts with # holds figures."""
    if detail == "quiet":
        return
    heading = Text(plain(title, out.encoding), "bold")
    shown = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        right = column.startswith("#")
        shown.add_column(
            column.lstrip("#"), justify="right" if right else "left", no_wrap=True, overflow="crop"
        )
    for row in rows:
        shown.add_row(*map(_cell, row))
    # A line that a narrow terminal wraps tells more than one that is cut.
    _Console(width=max(out.width, WIDEST)).print(shown)


def _cell(item: Any) -> Text:
    if isinstance(item, bool):
        return Text("yes", "green") if item else Text("NO", "bold red")
    if isinstance(item, int):
        return Text(f"{item:,}")
    if isinstance(item, float):
        return Text(f"{item:.1f} s")
    return Text(near(plain(str(item), out.encoding), "", WIDEST // 2))


def pace(records: int, seconds: float) -> str:
    return f"{seconds:.1f} s, {records / max(seconds, 0.001):,.0f} records a second"


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ENTRY else f"{text[:LONGEST_ENTRY]} ..."


def near(text: str, other: str, longest: int = LONGEST_MESSAGE) -> str:
    """What stands in a text about the first place where it differs from another one."""
    if len(text) <= longest:
        return text
    ends = range(min(len(text), len(other)) + 1)
    differs = bisect_left(ends, True, key=lambda end: text[:end] != other[:end])
    begin = max(0, min(differs - longest // 2, len(text) - longest))
    end = begin + longest
    before, after = "... " if begin else "", " ..." if end < len(text) else ""
    return f"{before}{text[begin:end]}{after}"


def beside(expected: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Lines with the messages that were expected, and those that were found."""
    if not expected and not found:
        return []
    one, other = ([json.dumps(message) for message in said] for said in (expected, found))
    same = next((at for at, (a, b) in enumerate(zip_longest(one, other)) if a != b), 0)
    first = max(0, same + 1 - MOST_MESSAGES)
    return [*_listed("expected", one, other, first), *_listed("found", other, one, first)]


def listed(name: str, messages: Iterable[Any]) -> list[str]:
    """Lines with messages that there is nothing to compare with."""
    return list(_listed(name, list(map(json.dumps, messages)), [], 0))


def _listed(name: str, texts: list[str], others: list[str], first: int) -> Iterable[str]:
    """The messages of one side from `first` on, as many as are shown."""
    head = f"  {name + ':':9} "
    if not texts:
        yield f"{head}nothing"
    elif first:
        yield f"{head}{first:,} messages that are the same, and then"
    shown = texts[first : first + MOST_MESSAGES]
    beside_them = others[first : first + len(shown)]
    for text, other in zip_longest(shown, beside_them, fillvalue=""):
        yield f"{head}{near(text, other)}"
    if (more := len(texts) - first - len(shown)) > 0:
        yield f"{head}and {more:,} more"
