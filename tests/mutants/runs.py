"""Real clusters of a mutant, recorded by the harness and judged by the specification.

A run with the same seed is the same run, so a log that is the right node's to the byte needs no
judge: the right node's was accepted.  What other judges say belongs elsewhere.
"""
from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from conformance import logs
from conformance import record as recording
from conformance.cluster import NodeError
from conformance.validate import validate

from .sources import command

Key = TypeVar("Key")

CLUSTERS = ((3, 100), (5, 100))
"""Nodes and requests of each run."""

BATCH = 1000
"""Of a node that is given no other --batch."""

MEMORY = 2 ** 30
"""Bytes that a node may have."""

SECONDS = 5
"""How long a node may think about a line."""

MOST_RECORDS = 10_000
"""Where a run ends in which nodes never fall silent: a right one has a tenth of them."""

AT_ONCE = 12_000
"""Records that one run of TLC judges, which costs it a second to begin."""


def record(main: Path, folder: Path, seed: int) -> str | None:
    """Run a node's clusters, and leave their logs in a folder; the result is what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)

    def count(records: int) -> None:
        if records > MOST_RECORDS:
            raise NodeError(f"the nodes are not silent after {records:,} records")

    for nodes, requests in CLUSTERS:
        try:
            recording.record(folder / f"{nodes}-nodes", command(main, MEMORY), nodes=nodes,
                             requests=requests, seed=seed, seconds=SECONDS, on_progress=count)
        except NodeError as error:
            return f"{nodes} nodes, seed {seed}: {str(error).splitlines()[0]}"
    return None


def alike(folder: Path, other: Path) -> bool:
    """Whether the runs in two folders are the same to the byte."""
    return texts(folder) == texts(other)


def texts(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in logs.find([folder])}


def rejected(folders: Mapping[Key, Path],
             on_progress: Callable[[str], None] = lambda text: None) -> dict[Key, str | None]:
    """What the specification says against the runs in each folder, if anything."""
    told: dict[Key, str | None] = {}
    for some in groups(folders):
        owners = [(key, path) for key in some for path in logs.find([folders[key]])]
        verdicts = validate([logs.read(path) for _, path in owners], BATCH, on_progress=on_progress)
        for (key, _), verdict in zip(owners, verdicts, strict=True):
            found = verdict.rejections
            told[key] = told.get(key) or (
                f"{found[0].record.path.parent.name}:{found[0].record.line}: {found[0].reason}"
                if found else None)
    return told


def groups(folders: Mapping[Key, Path]) -> Sequence[list[Key]]:
    """So many of them together as one run of TLC should judge."""
    found: list[list[Key]] = []
    records = AT_ONCE
    for key, folder in folders.items():
        size = sum(path.read_bytes().count(b"\n") for path in logs.find([folder]))
        if records + size > AT_ONCE:
            found.append([])
            records = 0
        found[-1].append(key)
        records += size
    return found
