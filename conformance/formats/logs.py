"""Read and write message logs; each record is checked against its schema.

A log is NDJSON; it may hold the records of one node or of a whole cluster, each node's in the
order of its steps.  It may have several files (`log_files`), and is named by the first one.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..jobs import in_copies
from . import log_files
from .schema import action, check_record, is_message, is_refusal
from .strict import loads, split_lines

# Kinds of files, as error messages name them, and a key that only lines of this kind have.
LOG, HISTORIES, VOTES = "log of a node", "history of clients", "vote log"
_KEYS = {LOG: "input", HISTORIES: "at", VOTES: "members"}

# The clients' history, in a folder with the logs of the nodes.
HISTORY = "history.ndjson"

_MAY_BE_NULL = "from", "limit"

# How many lines a process checks at a time: checking a line takes much longer than reading it.
_GROUP = 2_000


class LogError(Exception):
    """A log that cannot be read; the text names the file and the line."""


@dataclass(frozen=True)
class Record:
    """A step of a node, with its log, and its line in all files of the log together.

    `file` is the file that it is in, if that is not the first one, with `before` lines before it.
    """

    node: str
    input: Any
    output: list[Any]
    path: Path
    line: int
    file: Path | None = None
    before: int = 0

    @property
    def starts(self) -> bool:
        """Whether this is an `init`: the first, a repeated or a refused one."""
        return is_message(self.input) and self.input["body"].get("type") == "init"

    @property
    def refused(self) -> bool:
        """Whether this is a refused request, which is no step."""
        return is_refusal({"input": self.input, "output": self.output})

    @property
    def state(self) -> Any:
        """The durable state that the log of the node begins with, if this is that: it is no step.

        None for any other record.
        """
        begins = isinstance(self.input, dict) and self.input.get("event") == "state"
        return self.input if begins else None

    @property
    def action(self) -> str | None:
        """The name of the step in the specification, or Init, or Refuse, or State."""
        return "Refuse" if self.refused else action(self.input)

    @property
    def place(self) -> str:
        return f"{self.file or self.path}:{self.line - self.before}"


def read(path: Path) -> list[Record]:
    """Return all records of a log; raise `LogError` for the first malformed line, or for a gap."""
    found: list[Record] = []
    for file in _files(path):
        later, before = (None, 0) if file == path else (file, len(found))
        found += [
            replace(record, line=before + record.line, file=later, before=before)
            for record in of(_values(file), path)
        ]
    return found


def read_json(path: Path) -> list[Any]:
    """Return all records of a log as JSON values, as they are written."""
    return [record for file in _files(path) for record in _values(file)]


def _files(log: Path) -> list[Path]:
    """Return the files of a log; raise `LogError` if one is missing."""
    if missing := log_files.missing_part(log):
        raise LogError(missing)
    # Of one that does not exist, the first file is reported.
    return log_files.files_of(log) or [log]


def _values(file: Path) -> list[Any]:
    return [record for _, record in lines(file, "log", "log record", check_record)]


def of(records: Iterable[Any], path: Path = Path()) -> list[Record]:
    """Return records from the JSON values that are, or will be, the lines of a file."""
    return [
        Record(record["node"], without_nulls(record["input"]), record["output"], path, line)
        for line, record in enumerate(records, 1)
    ]


def without_nulls(taken: Any) -> Any:
    """Return an input without the fields of a request that are null, which means absent."""
    body = taken["body"] if is_message(taken) else {}
    absent = [field for field in _MAY_BE_NULL if field in body and body[field] is None]
    if body.get("type") != "multi_paxos_log" or not absent:
        return taken
    return {**taken, "body": {field: body[field] for field in body if field not in absent}}


def lines(
    path: Path, whole: str, part: str, check: Callable[[Any], None]
) -> Iterator[tuple[int, Any]]:
    """Yield the value of each line of an NDJSON file, with its number.

    `check` raises `ValueError` for a malformed value.  `whole` and `part` are what error messages
    call the file and a line of it.  Raises `LogError`.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: {error}") from None
    if not text:
        raise LogError(f"{path}: the {whole} is empty, so it shows nothing")
    every, rest = split_lines(text)
    every += [rest] if rest else []
    groups = [every[at : at + _GROUP] for at in range(0, len(every), _GROUP)]
    checked = (map if len(groups) == 1 else in_copies)(partial(_wrong, check), groups)
    number = 0
    for group, wrong in zip(groups, checked, strict=True):
        for at, line in enumerate(group):
            number += 1
            try:
                found = loads(line)
                if wrong is not None and wrong[0] == at:
                    raise ValueError(wrong[1])
            except ValueError as error:
                raise LogError(f"{path}:{number}: not a {part}: {error}") from None
            yield number, found


def _wrong(check: Callable[[Any], None], group: list[bytes]) -> tuple[int, str] | None:
    """Return the index of the first malformed line and the reason; None if there is none."""
    for at, line in enumerate(group):
        try:
            check(loads(line))
        except ValueError as error:
            return at, str(error)
    return None


def find(places: Iterable[Path], kind: str | None = None) -> list[Path]:
    """Return the files among files and folders, in order; raise `LogError` if there are none.

    In a folder only regular files count, and with a `kind`, LOG, HISTORIES or VOTES, not those of
    another kind: `inject` writes two kinds into one folder.  A log is named by its first file.
    Raises for a pipe or a device, too: a file is read several times, and a pipe may never end.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = log_files.logs_in(place)
            if not inside:
                raise LogError(f"{place}: no *.ndjson file in this folder")
            chosen = [path for path in inside if kind is None or kind_of(path) in (kind, None)]
            if not chosen:
                raise LogError(f"{place}: no {kind} in this folder, but {kind_of(inside[0])}")
            found += chosen
        elif place.exists() and not place.is_file():
            raise LogError(f"{place}: neither a regular file nor a folder; copy it into a file")
        else:
            found.append(log_files.log_of(place))
    if not found:
        raise LogError("no log was given")
    return list(dict.fromkeys(found))


def kind_of(path: Path) -> str | None:
    """Return LOG, HISTORIES or VOTES by the keys of the first line of a file; None if unknown."""
    try:
        with (log_files.files_of(path) or [path])[0].open("rb") as file:
            first = loads(file.readline())
    except (OSError, ValueError):
        return None
    keys = first.keys() if isinstance(first, dict) else set()
    return next((kind for kind, key in _KEYS.items() if key in keys), None)


def clusters(places: Iterable[Path]) -> list[list[Path]]:
    """Return the log files among files and folders, in groups that belong together.

    Files with a history beside them, as `inject` writes it, are one group; any other file is a
    group of its own.  The history itself is not a log, and is left out.
    """
    found: dict[Path, list[Path]] = {}
    for path in find(places, LOG):
        # An observer that was killed early leaves an empty history.
        kind = kind_of(path)
        empty = path.name == HISTORY and kind is None
        if kind == VOTES:
            raise LogError(f"{path}: this is a vote log; validate it with --votes")
        if not empty and kind != HISTORIES:
            beside = path.with_name(HISTORY).exists()
            found.setdefault(path.parent if beside else path, []).append(path)
    if not found:
        raise LogError("a history is for the verb check-history; no log was given")
    return list(found.values())


def read_clusters(found: Iterable[Iterable[Path]]) -> list[list[Record]]:
    """Return the records of each cluster; a cluster may have several files.

    Groups of files whose logs name the same members are one cluster.  If they have logs of the same
    node they are several runs: then each folder holds one, or if that cannot be either, each group.
    Raises `LogError` if files that belong together have logs of the same node.
    """
    groups = [_whole([read(path) for path in paths]) for paths in found]
    named: dict[frozenset[str] | int, list[list[Record]]] = defaultdict(list)
    for at, group in enumerate(groups):
        named[frozenset(members(group)) or at].append(group)
    return [cluster for same in named.values() for cluster in _joined(same)]


def place(cluster: Sequence[Record]) -> Path:
    """Return a path that names a cluster: its file, or `run` in the folder of its first file."""
    first = cluster[0].path
    return first if all(record.path == first for record in cluster) else first.parent / "run"


def _whole(parts: Sequence[list[Record]]) -> list[Record]:
    if nodes := _twice(parts):
        node = min(nodes)
        places = [str(part[0].path) for part in parts if node in by_node(part)]
        raise LogError(f"node {node} is in {' and in '.join(places)}: these are several runs")
    return [record for part in parts for record in part]


def _joined(groups: Sequence[list[Record]]) -> list[list[Record]]:
    """Return the clusters of groups that name the same members."""
    if not _twice(groups):
        return [_whole(groups)]
    folders: dict[Path, list[list[Record]]] = defaultdict(list)
    for group in groups:
        folders[place(group).parent].append(group)
    if len(folders) == 1:
        return list(groups)
    return [cluster for inside in folders.values() for cluster in _joined(inside)]


def _twice(parts: Sequence[list[Record]]) -> set[str]:
    """Return the nodes with a log in more than one part."""
    counts = Counter(node for part in parts for node in {record.node for record in part})
    return {node for node, count in counts.items() if count > 1}


def by_node(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the records of each node, in the order of its steps."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.node].append(record)
    return dict(found)


def members(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the members that the first accepted `init` names; empty if there is none."""
    for record in records:
        if record.starts and not record.refused:
            return tuple(record.input["body"]["node_ids"])
    return ()


def check_free(folder: Path) -> None:
    """Raise `LogError` if a folder has logs already, as they could be taken for new ones."""
    if any(log.parent == folder for log in log_files.logs_in(folder)):
        raise LogError(f"{folder}: there are logs in it already; remove them or name another one")


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a log; check each record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            check_record(record)
            file.write(json.dumps(record) + "\n")


def overwrite(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Replace a log atomically."""
    part = path.with_name(f"{path.name}.part")
    write(part, records)
    part.replace(path)
