"""The checks that may catch a mutant within one process.

A check returns how it has caught the node, or None.  The node's modules are imported when a check
begins, so that the caller decides which node it is; what a check has read is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from conformance.formats.schema import check_record
from conformance.running import record as recording
from conformance.running.cluster import NodeError
from conformance.running.record import Faults
from conformance.running.replay import Case, Difference, cases, differs

CLUSTERS = ((2, 50, 0.3), (3, 50, 0.1), (3, 50, 0.5), (4, 50, 0.3), (5, 50, 0.3), (7, 50, 0.1))
"""Nodes, requests and lost messages of each recorded run.  A run begins in a way that it never
comes back to, so there are more runs instead of longer ones."""

SEEDS = 2
"""How many runs there are of each of these clusters: one on disks, one in memory, in turn."""

ON_DISK, IN_MEMORY = Faults(crash=100), Faults()
"""A disk is only seen through when its node comes back."""

BATCH = 2
"""Small enough for catching up to take more than one message."""

MOST_RECORDS = 10_000
"""Where a run ends in which nodes never fall silent: a right one has a tenth of them."""


RENAMING = 1
"""The seed of the renamings for the second replay of all golden traces."""


def read_logs(folders: Iterable[Sequence[Path]]) -> list[Case]:
    """The logs of some folders: the first of each, then the second, for what is unlike is to come
    early."""
    paths = [path for row in zip_longest(*folders) for path in row if path is not None]
    return [case for seed in (None, RENAMING) for path in paths for case in cases(path, seed)]


# Golden traces.


def replay(given: Iterable[Case]) -> str | None:
    """Give nodes in memory the inputs of the logs."""
    from .within import InMemory

    for case in given:
        found = differs(case, InMemory().turn)
        if found is not None:
            return described(found)
    return None


def replay_with_disks(given: Iterable[Case]) -> str | None:
    """Give nodes with disks the inputs of the logs that have a crash."""
    from .within import OnDisk, scratch

    with TemporaryDirectory(prefix="mutant-", dir=scratch()) as folder:
        for number, case in enumerate(filter(crashes, given)):
            node = OnDisk(Path(folder) / str(number), batch=1)
            found = differs(case, node.turn)
            node.close()
            if found is not None:
                return described(found)
    return None


def crashes(case: Case) -> bool:
    return any(record.input == "crash" for record in case.records)


def described(found: Difference) -> str:
    record = found.record
    given = record.input if isinstance(record.input, str) else record.input["body"]["type"]
    place = f"{record.path.parent.name}/{record.path.name}:{record.line}"
    return f"{place}: {given}: {found.remark or 'another output'}"


# Recorded runs.


def record(
    folder: Path,
    first: int,
    clusters: Sequence[tuple[int, int, float]] = CLUSTERS,
    seeds: int = SEEDS,
    faults: tuple[Faults, Faults] = (ON_DISK, IN_MEMORY),
) -> str | None:
    """Record clusters of the node, and leave their logs; trace validation checks them later."""
    from .within import Logged, OnDisk, Recorded, scratch

    def count(records: int) -> None:
        if records > MOST_RECORDS:
            raise NodeError(f"the nodes are not silent after {records:,} records")

    def in_memory(node: str, *_: object) -> Recorded:
        return Recorded(node, Logged(BATCH))

    def on_disk(node: str, *_: object) -> Recorded:
        return Recorded(node, OnDisk(Path(mkdtemp(dir=disks)), BATCH))

    with TemporaryDirectory(prefix="mutant-", dir=scratch()) as disks:
        for (nodes, requests, loss), seed in product(clusters, range(first, first + seeds)):
            launch, rates = (on_disk, faults[0]) if seed % 2 else (in_memory, faults[1])
            place = folder / f"{nodes}-nodes-{loss:.0%}-lost"
            try:
                recording.record(
                    place,
                    (),
                    nodes=nodes,
                    requests=requests,
                    seed=seed,
                    faults=replace(rates, loss=loss),
                    launch=launch,
                    on_progress=count,
                )
            except NodeError as error:
                return f"{place.name}/seed-{seed}.ndjson: {error}"
    return None


# Deterministic simulation.


def simulate(first: int, seeds: int) -> str | None:
    """Run this number of simulations; stop at the first that fails or writes an invalid log."""
    from tests.simulation import trial
    from tests.simulation.faults import draw

    for seed in range(first, first + seeds):
        found = trial.run(draw(seed, None, 60.0), logs=seed == first)
        if found.failure:
            return f"seed {seed}: {found.failure}"
        for line in found.log.splitlines():
            try:
                check_record(json.loads(line))
            except ValueError as error:
                return f"seed {seed}: log: {error}"
    return None


# Load, and growth.

LOADS = {"steady": 2, "busy": 2, "lossy": 2, "takeover": 6, "duel": 3, "storm": 1, "burst": 1}
"""How many seeds of each load are run: about ten seconds of a processor in all."""

OUTSTANDING = 20_000
"""Requests of the burst: more than a node answers within the time of a request."""


def load(first: int) -> str | None:
    """Put loads on simulated clusters of three, and stop at the first that is not served."""
    from tests.simulation import loads, trial

    for kind, seeds in LOADS.items():
        for seed in range(first, first + seeds):
            found = trial.run(loads.draw(kind, seed, nodes=3, outstanding=OUTSTANDING))
            if found.failure:
                return f"{kind}, seed {seed}: {found.failure}"
    return None


def growth() -> str | None:
    """Count the work of each operation at two sizes, and stop at the first that grows too fast."""
    from tests.growth.work import too_steep

    return too_steep()
