"""What people see: a line that moves while something runs, tables at the end, texts as they are.

Nothing here decides anything, or knows what it shows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Where nobody watches a terminal, a line this often shows that the job is alive.
QUIET_SECONDS = 20

# Wide enough for every table here.
WIDEST = 140

# An answer may tell a log of thousands of slots; the file has the rest.
LONGEST_ENTRY = 300


def say(text: str) -> None:
    """Prints a text as it is to standard output: a path that is cut in two cannot be copied."""
    out.print(text, markup=False, soft_wrap=True)


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


def pace(records: int, seconds: float) -> str:
    return f"{seconds:.1f} s, {records / seconds:,.0f} records a second"


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ENTRY else f"{text[:LONGEST_ENTRY]} ..."


def beside(expected: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Lines with the messages that were expected, and those that were found."""
    lines = []
    for name, messages in (("expected", expected), ("found", found)):
        texts = [json.dumps(message) for message in messages] or ["nothing"]
        lines += [f"  {name + ':':9} {text}" for text in texts]
    return lines
