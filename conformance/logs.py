"""Message logs as files: every record that comes in or goes out satisfies its schema.

A log is NDJSON; it may hold the records of one node or of a whole cluster, each node's in the
order of its steps.  What a record means is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .schema import action, check_record, is_refusal


class LogError(Exception):
    """A log that cannot be read; the text names the file and the line."""


@dataclass(frozen=True)
class Record:
    """One step of one node, and where it is written."""

    node: str
    input: Any
    output: list[Any]
    path: Path
    line: int

    @property
    def starts(self) -> bool:
        """Whether this tells of an `init`, be it the first, a repeated or a refused one."""
        return isinstance(self.input, dict) and self.input["body"].get("type") == "init"

    @property
    def refused(self) -> bool:
        """Whether this tells of a request that was refused, and so of no step."""
        return is_refusal({"input": self.input, "output": self.output})

    @property
    def action(self) -> str | None:
        """The name of the step in the specification, or Init, or Refuse."""
        return "Refuse" if self.refused else action(self.input)

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


def read(path: Path) -> list[Record]:
    """All records of a log file; raises `LogError` for the first line that is none."""
    return [
        Record(record["node"], record["input"], record["output"], path, line)
        for line, record in lines(path, "log", "log record", check_record)
    ]


def lines(
    path: Path, whole: str, part: str, check: Callable[[Any], None]
) -> Iterator[tuple[int, Any]]:
    """What stands in each line of an NDJSON file, with its number; `check` raises what is wrong.

    `whole` and `part` are what people call the file and a line of it.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: {error}") from None
    if not text:
        raise LogError(f"{path}: the {whole} is empty, so it shows nothing")
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        try:
            found = json.loads(line)
            check(found)
        except (ValueError, RecursionError) as error:
            raise LogError(f"{path}:{number}: not a {part}: {error}") from None
        yield number, found


def find(places: Iterable[Path]) -> list[Path]:
    """The log files among files and folders, in order; raises `LogError` where there are none."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(place.rglob("*.ndjson"))
            if not inside:
                raise LogError(f"{place}: no *.ndjson file in this folder")
            found += inside
        else:
            found.append(place)
    if not found:
        raise LogError("no log was given")
    return found


def check_free(folder: Path) -> None:
    """Raises `LogError` if a folder holds logs already, which new ones would be taken for."""
    if any(folder.glob("*.ndjson")):
        raise LogError(f"{folder}: there are logs in it already; remove them or name another one")


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes a log, each record checked on its way out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            check_record(record)
            file.write(json.dumps(record) + "\n")
