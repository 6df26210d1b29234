"""Message logs as files: every record that comes in or goes out satisfies its schema.

A log is NDJSON; it may hold the records of one node or of a whole cluster, each node's in the
order of its steps.  What a record means is not known here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..jobs import in_copies
from .schema import action, check_record, is_message, is_refusal

# What clients saw, in a folder with the logs of the nodes that they asked.
HISTORY = "history.ndjson"

# To hold a line against its schema takes much longer than to read it, so it is done so many at a
# time.
_GROUP = 2_000


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
        return is_message(self.input) and self.input["body"].get("type") == "init"

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
    return of(read_json(path), path)


def read_json(path: Path) -> list[Any]:
    """The same as they are written."""
    return [record for _, record in lines(path, "log", "log record", check_record)]


def of(records: Iterable[Any], path: Path = Path()) -> list[Record]:
    """Records that are, or will be, the lines of a file."""
    return [
        Record(record["node"], record["input"], record["output"], path, line)
        for line, record in enumerate(records, 1)
    ]


def lines(
    path: Path, whole: str, part: str, check: Callable[[Any], None]
) -> Iterator[tuple[int, Any]]:
    """What stands in each line of an NDJSON file, with its number; `check` raises what is wrong.

    `whole` and `part` are what people call the file and a line of it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: {error}") from None
    if not text:
        raise LogError(f"{path}: the {whole} is empty, so it shows nothing")
    every = text.removesuffix(b"\n").split(b"\n")
    groups = [every[at : at + _GROUP] for at in range(0, len(every), _GROUP)]
    judged = (map if len(groups) == 1 else in_copies)(partial(_wrong, check), groups)
    number = 0
    for group, wrong in zip(groups, judged, strict=True):
        for at, line in enumerate(group):
            number += 1
            try:
                found = json.loads(line.decode("utf-8"))
                if wrong is not None and wrong[0] == at:
                    raise ValueError(wrong[1])
            except (ValueError, RecursionError) as error:
                raise LogError(f"{path}:{number}: not a {part}: {error}") from None
            yield number, found


def _wrong(check: Callable[[Any], None], group: list[bytes]) -> tuple[int, str] | None:
    """The first of these lines that is not as it should be, and why."""
    for at, line in enumerate(group):
        try:
            check(json.loads(line.decode("utf-8")))
        except (ValueError, RecursionError) as error:
            return at, str(error)
    return None


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


def clusters(places: Iterable[Path]) -> list[list[Path]]:
    """The log files among files and folders, those of one cluster together.

    A file is a cluster, but files that have a history beside them, as `endure` leaves it, are one;
    the history itself is no log, and is left out.
    """
    found: dict[Path, list[Path]] = {}
    for path in find(places):
        if path.name != HISTORY:
            beside = path.with_name(HISTORY).exists()
            found.setdefault(path.parent if beside else path, []).append(path)
    if not found:
        raise LogError(f"{HISTORY} is what clients saw, for the verb judge; no log was given")
    return list(found.values())


def read_clusters(found: Iterable[Iterable[Path]]) -> list[list[Record]]:
    """The records of each cluster, however many files it has."""
    return [[record for path in paths for record in read(path)] for paths in found]


def by_node(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Each node's records, in its own order."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.node].append(record)
    return dict(found)


def members(records: Iterable[Record]) -> tuple[str, ...]:
    """The cluster as the first `init` that was accepted names it; empty if there is none."""
    for record in records:
        if record.starts and not record.refused:
            return tuple(record.input["body"]["node_ids"])
    return ()


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
