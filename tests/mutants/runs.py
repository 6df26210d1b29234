"""Real clusters of a mutant, recorded by the harness and judged by the specification.

A run with the same seed is the same run, so a log that is the right node's to the byte needs no
judge: the right node's was accepted.  What other judges say belongs elsewhere.
"""
from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

from conformance import logs
from conformance import record as recording
from conformance.cluster import NodeError
from conformance.validate import validate
from conformance.verdict import Verdict

from .sources import command

Key = TypeVar("Key")

CLUSTERS = ((2, 50, 0.3), (3, 50, 0.1), (3, 50, 0.5), (4, 50, 0.3), (5, 50, 0.3))
"""Nodes, requests and lost messages of each run; a run begins in a way that it never comes back to,
so there are more of them instead of longer ones."""

SEEDS = 2
"""How many runs there are of each of them."""

BATCH = 2
"""Small enough for catching up to take more than one message."""

MEMORY = 2 ** 30
"""Bytes that a node may have."""

SECONDS = 20
"""How long a node may think about a line."""

MOST_RECORDS = 10_000
"""Where a run ends in which nodes never fall silent: a right one has a tenth of them."""


def record(main: Path, folder: Path, seed: int) -> str | None:
    """Run a node's clusters, and leave their logs in a folder; the result is what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)

    def count(records: int) -> None:
        if records > MOST_RECORDS:
            raise NodeError(f"the nodes are not silent after {records:,} records")

    node = (*command(main, MEMORY), "--batch", str(BATCH))
    for (nodes, requests, loss), each in product(CLUSTERS, range(seed, seed + SEEDS)):
        place = folder / f"{nodes}-nodes-{loss:.0%}-lost"
        try:
            recording.record(place, node, nodes=nodes, requests=requests, seed=each,
                             faults=recording.Faults(loss=loss), seconds=SECONDS, on_progress=count)
        except NodeError as error:
            return f"{nodes} nodes, seed {each}: {str(error).splitlines()[0]}"
    return None


def different(folder: Path, right: Path) -> list[Path]:
    """The logs in a folder that are not, to the byte, those of the right node."""
    return [path for path in logs.find([folder])
            if path.read_bytes() != (right / path.relative_to(folder)).read_bytes()]


def rejected(wanted: Mapping[Key, Sequence[Path]],
             on_progress: Callable[[str], None] = lambda text: None) -> dict[Key, str | None]:
    """What the specification says against somebody's logs, if anything.

    One log of each is judged at first, for one that is bad is enough.
    """
    told = judged({key: paths[:1] for key, paths in wanted.items()}, on_progress)
    left = {key: wanted[key][1:] for key, how in told.items() if how is None and wanted[key][1:]}
    return told | judged(left, on_progress)


def judged(wanted: Mapping[Key, Sequence[Path]],
           on_progress: Callable[[str], None]) -> dict[Key, str | None]:
    owners = [(key, path) for key, paths in wanted.items() for path in paths]
    verdicts = validate([logs.read(path) for _, path in owners], BATCH, on_progress=on_progress)
    told: dict[Key, str | None] = {}
    for (key, _), verdict in zip(owners, verdicts, strict=True):
        told[key] = told.get(key) or first(verdict)
    return told


def first(verdict: Verdict) -> str | None:
    """The first bad record of a run, and why it is bad."""
    for found in verdict.rejections:
        return f"{found.record.path.parent.name}:{found.record.line}: {found.reason}"
    return None
