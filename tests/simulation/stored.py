"""A disk of a simulation that is the real `storage`, in real files.

Each life of a node gets a copy of the files as the killed one left them, so nothing is closed in
between.  A power failure comes between any two statements of a commit.  A directory may be one of
an older format when the node starts, and its migration may be killed.  The cache has a few pages.
What a life finds must be what the simulated disk, which has no files, holds.

The message log has files of a few records, or of one turn.  Some lives write none; the log of the
next one is new, and begins with the state.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from multipaxos import formats, storage
from multipaxos.files import COUNTER, NO_LOG, StorageError
from multipaxos.message_log import Log, later_files, name_at
from multipaxos.storage import FILE, Storage

from .disk import Disk, Mounted, PowerCut, RecordingJournal, Saved
from .lives import Failed

STATEMENTS = 12
"""More than a commit has."""

CACHE_PAGES = 2

WITHOUT_LOG = 0.2
"""How likely it is that a life writes no message log."""

TO_FORMAT_2 = "DROP TABLE known; PRAGMA user_version = 2"
TO_FORMAT_1 = f"""
    {TO_FORMAT_2};
    CREATE TABLE old (node_id TEXT NOT NULL, promised INTEGER NOT NULL, logged INTEGER NOT NULL);
    INSERT INTO old SELECT node_id, promised, max(logged, 0) FROM node;
    DROP TABLE node;
    ALTER TABLE old RENAME TO node;
    PRAGMA user_version = 1;
"""
FORMER = {2: TO_FORMAT_2, 1: TO_FORMAT_1}


class Connection(sqlite3.Connection):
    """A connection that loses its power before a statement."""

    left: int | None = None
    committed = False

    def execute(self, query: str, *given: Any) -> sqlite3.Cursor:
        self.count()
        found = super().execute(query, *given)
        if query == "BEGIN":
            self.committed = False
        if query == "COMMIT":
            self.committed = True
            # The number of the commit is not yet written.
            self.count()
        return found

    def executemany(self, query: str, *given: Any) -> sqlite3.Cursor:
        self.count()
        return super().executemany(query, *given)

    def count(self) -> None:
        if self.left == 0:
            raise PowerCut
        if self.left is not None:
            self.left -= 1


class StoredDisk(Disk):
    """A disk whose files are in a folder; `events` counts what has happened to it."""

    def __init__(self, node: str, saved: Saved, folder: Path, events: Counter[str]) -> None:
        super().__init__(node, saved)
        self.folder = folder / node.encode().hex()
        self.events = events
        self.rng = Random(f"{node} disk")
        self.lives = 0
        self.life: Storage | None = None
        self.log_rng = Random(f"{node} log")
        self.logs = 0
        self.writes_log = False

    def mount(self) -> Stored:
        before, self.lives = self.folder / f"{self.lives}", self.lives + 1
        now = self.folder / f"{self.lives}"
        if before.exists():
            shutil.copytree(before, now)
        if self.life is not None:
            self.life._db.close()
            shutil.rmtree(before)
        if self.cluster is not None:
            self.make_older(now)
        try:
            self.life = self.open(now)
        except StorageError as error:
            raise Failed(f"disk: {error}") from error
        return Stored(self, self.life)

    def log_path(self) -> Path:
        return self.folder / f"{self.lives}" / f"log-{self.logs}"

    def log_text(self) -> bytes:
        if not self.writes_log:
            return b""
        first = str(self.log_path())
        files = [name_at(first, begin) for begin in (0, *later_files(first))]
        return b"".join(Path(file).read_bytes() for file in files)

    def make_older(self, folder: Path) -> None:
        """Give the directory an older format, or leave it as it is."""
        version = self.rng.choice((3, 2, 1))
        if version not in FORMER or (version == 1 and self.logged == 0):
            return
        db = sqlite3.connect(folder / FILE)
        db.executescript(FORMER[version])
        db.close()
        if version == 1:
            (folder / COUNTER).unlink()
        self.events[f"format {version}"] += 1

    def open(self, folder: Path) -> Storage:
        """Open the storage; a migration may be killed, and then begins again."""

        def report(text: str) -> None:
            if self.rng.random() < 0.2:
                self.events["killed migration"] += 1
                raise PowerCut

        connect = sqlite3.connect
        with (
            mock.patch.object(storage, "Journal", RecordingJournal),
            mock.patch.object(formats, "REPORTED_SLOTS", 3),
            mock.patch.object(sqlite3, "connect", partial(connect, factory=Connection)),
        ):
            while True:
                with suppress(PowerCut):
                    found = Storage(folder, report)
                    found._db.execute(f"PRAGMA cache_size = {CACHE_PAGES}")
                    return found


class Stored(Mounted):
    """The storage of one life, and what the simulated disk holds beside it."""

    disk: StoredDisk

    def __init__(self, disk: StoredDisk, life: Storage) -> None:
        super().__init__(disk)
        expected = self.acceptor
        self.storage, self.acceptor = life, life.acceptor
        for name in "promised", "accepted":
            self.require_equal(name, getattr(expected, name), getattr(self.acceptor, name))
        known = expected.known.ranges()
        self.require_equal("known", known, self.acceptor.known.ranges())
        decided = dict(self.acceptor.decided.read(self.acceptor.known))
        self.require_equal("decided", dict(sorted(disk.decided.items())), decided)
        self.require_equal("its owner", disk.cluster, life.cluster)
        if disk.cluster is not None:
            self.require_equal("logged", disk.logged, life.logged)

    def require_equal(self, name: str, expected: object, found: object) -> None:
        # As text: a value in memory equals one with its keys in another order.
        if str(found) != str(expected):
            raise Failed(f"disk: {self.path} has as {name} {found}, not {expected}")

    def open_log(self) -> Log | None:
        disk, logged = self.disk, self.storage.logged
        disk.writes_log = logged <= 0 or disk.log_rng.random() >= WITHOUT_LOG
        if not disk.writes_log:
            disk.events["life without a log"] += 1
            return None
        disk.logs += logged == NO_LOG
        first = str(disk.log_path())
        files = len(later_files(first))
        disk.events["file of a log"] += files
        try:
            # The disk is copied for each life, so its files have other names.
            with mock.patch.object(Log, "mark", NO_LOG - 1 - disk.logs):
                log = self.storage.open_log(first, disk.log_rng.choice((1, 5000)))
        except StorageError as error:
            raise Failed(f"disk: {error}") from error
        disk.events["log begins with a state"] += logged == NO_LOG and disk.cluster is not None
        # A log that is new is committed at once.
        disk.logged = self.logged = self.storage.logged
        return log

    def claim(self, node_id: str, node_ids: tuple[str, ...]) -> None:
        super().claim(node_id, node_ids)
        self.storage.claim(node_id, node_ids)

    def commit(self, logged: int = 0) -> None:
        """Commit to both; if the power fails, before a random statement or after the last one."""
        disk, journal, connection = self.disk, self.acceptor, self.storage._db
        changes = journal.voted.copy(), journal.decisions.copy()
        fails = disk.power_fails and self.changed()
        if fails:
            connection.left = disk.rng.randrange(STATEMENTS)
        if not (disk.full and self.changed()):
            connection.committed = False
            with suppress(PowerCut) if fails else nullcontext():
                self.storage.commit(logged)
            disk.events[f"power cut, committed {connection.committed}"] += fails
            if fails and not connection.committed:
                raise PowerCut
        disk.power_fails = False
        journal.voted.update(changes[0])
        journal.decided.update(changes[1])
        super().commit(logged)
        if fails:
            raise PowerCut
