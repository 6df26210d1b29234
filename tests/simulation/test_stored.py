"""Simulated clusters whose nodes keep their state in real files, through kills and migrations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from multipaxos import formats, message_log
from multipaxos.journal import Journal
from multipaxos.message_log import Log
from multipaxos.storage import Storage

from conformance.formats import logs
from conformance.validation.trace_validation import validate_logs
from tests.simulation import trial
from tests.simulation.faults import Script, draw
from tests.simulation.lives import BATCH, Parts
from tests.simulation.stored import StoredDisk
from tests.simulation.test_simulation import crowded

SCRIPTS = [*map(crowded, (1, 2)), *(draw(seed, 3, 30) for seed in range(1, 9))]


EVENTS = (
    "power cut, committed True",
    "power cut, committed False",
    "killed migration",
    "format 1",
    "format 2",
    "life without a log",
    "file of a log",
    "log begins with a state",
)


def soak(folder: Path, script: Script, events: Counter[str]) -> trial.Trial:
    make = partial(StoredDisk, folder=folder / str(script.seconds + script.seed), events=events)
    return trial.run(script, Parts(disk=make), logs=True)


def test_storage_survives_kills_and_migrations(tmp_path: Path) -> None:
    events: Counter[str] = Counter()
    found = [soak(tmp_path, script, events) for script in SCRIPTS]
    assert [each.failure for each in found] == [None] * len(SCRIPTS)
    assert all(events[kind] >= 5 for kind in EVENTS), events
    clusters = []
    for each in found:
        path = tmp_path / "logs" / f"{each.script.seconds}-{each.script.seed}.ndjson"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(each.log)
        clusters.append(logs.read(path))
    verdicts = validate_logs(clusters, BATCH)
    assert [verdict.rejections for verdict in verdicts] == [[]] * len(SCRIPTS)
    assert sum(len(verdict.begun_logs) for verdict in verdicts) >= 5


commit_ranges, decided_ranges = Storage._commit_ranges, formats.decided_ranges


def in_a_second_transaction(storage: Storage, ranges: list[tuple[int, int]]) -> None:
    storage._db.execute("COMMIT")
    storage._db.execute("BEGIN")
    commit_ranges(storage, ranges)


def without_the_first(db: object, report: object) -> list[tuple[int, int]]:
    return list(decided_ranges(db, report))[1:]


def keep_what_was_not_saved(log: Log, end: int) -> None:
    log.end = log.begin + log._file.seek(0, os.SEEK_END)


@pytest.mark.parametrize(
    ("owner", "name", "bug"),
    [
        (Storage, "_commit_ranges", in_a_second_transaction),
        (formats, "decided_ranges", without_the_first),
        (Journal, "changed_ranges", lambda journal: []),
        (message_log, "remove_later_files", lambda name, end=0: None),
        (Log, "cut", keep_what_was_not_saved),
    ],
    ids=["two transactions", "migration", "no ranges", "old files of a log", "log is not cut"],
)
def test_storage_that_loses_state_is_detected(
    tmp_path: Path, owner: object, name: str, bug: Callable[..., object]
) -> None:
    with mock.patch.object(owner, name, bug):
        found = (soak(tmp_path, script, Counter()) for script in SCRIPTS)
        assert any(each.rule == "disk" for each in found)
