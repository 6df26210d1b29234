"""The durable state of a node in a directory: the fields of `acceptor`, in SQLite.

A commit is on the disk when it returns, and the node sends no output of a step before that.

SQLite recovers from a damaged write-ahead log by dropping its last commits, and the node would lose
state that it has already sent messages about.  So commits are numbered, and the number of the last
one is also kept in a file beside the database, written when the commit is on the disk.
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from . import files, formats, message_log
from .files import CACHE_KIB, NO_LOG, StorageError
from .formats import VERSION
from .journal import Journal
from .message_log import Log
from .messages import Value, Vote
from .slots import Slots

FILE = "node.db"
MARK = 0x6D705058
"""SQLite's `application_id` of such a file."""

PRAGMAS = (
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    # Mapped pages would be counted as memory of the node.
    "mmap_size = 0",
    # A statement that inserts many rows may need more room than memory is used for by default, and
    # the directory for temporary files may be full, or not to be written.
    "temp_store = MEMORY",
)

LAST = "SELECT (SELECT max(slot) FROM decided), (SELECT high FROM known ORDER BY low DESC LIMIT 1)"
VALUE = "SELECT value FROM decided WHERE slot = ?"
VALUES = "SELECT slot, value FROM decided WHERE slot BETWEEN ? AND ? ORDER BY slot"

INSERT = "INSERT INTO decided VALUES (?, ?)"
ROWS = 100
"""How many decisions one statement inserts: every SQLite allows 999 parameters."""
INSERT_ROWS = INSERT + (ROWS - 1) * ", (?, ?)"

WRITABLE = "--log needs a file that can be written"
RESTORE = "bring back a copy of the directory of a node that was stopped, or leave this node out"


class Rows:
    """The committed decisions.  The methods raise StorageError."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.db = db
        self.path = path

    def value(self, slot: int) -> Value:
        try:
            row = self.db.execute(VALUE, (slot,)).fetchone()
        except sqlite3.Error as error:
            raise failed(self.path, error) from None
        if row is None:
            raise lost(self.path, slot)
        return str(row[0])

    def values(self, low: int, high: int) -> Iterator[tuple[int, Value]]:
        expected = low
        try:
            for slot, value in self.db.execute(VALUES, (low, high)):
                if slot != expected:
                    break
                yield slot, value
                expected += 1
        except sqlite3.Error as error:
            raise failed(self.path, error) from None
        if expected <= high:
            raise lost(self.path, expected)


class Storage:
    """One node's directory.

    `acceptor` is the state that it holds; `cluster` is its owner as (node_id, node_ids), once that
    is known; `logged` is the number of bytes of the message log that belong to this state, or
    NO_LOG.  In the database, a log without bytes that belong to it has its mark in the place of 0.
    `on_progress` is called with lines of text while a directory of an older format is brought to
    this one.  SQLite has a page cache of `cache_kib` KiB.
    """

    def __init__(
        self,
        folder: Path,
        on_progress: Callable[[str], None] = lambda text: None,
        cache_kib: int = CACHE_KIB,
    ) -> None:
        self.path = folder / FILE
        self.cluster: tuple[str, tuple[str, ...]] | None = None
        self.logged = NO_LOG
        self._mark = 0
        self._on_progress = on_progress
        self._cache_kib = cache_kib
        self._commits = 0
        self._saved: tuple[int, int] | None = None
        self._voted: set[int] = set()
        self._counter = files.Counter(folder)
        self._log: Log | None = None
        with self._storage_errors():
            files.make_directory(folder)
            self._check_not_lost()
            os.close(files.create(self.path))
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            self.acceptor = Journal(Rows(self._db, self.path))
            try:
                self._open()
                self._load()
            except BaseException:
                self._db.close()
                raise

    def claim(self, node_id: str, node_ids: tuple[str, ...]) -> None:
        """Make this node the owner of the directory, with the first commit.

        Raises StorageError if another node is.
        """
        if self.cluster is None:
            self.cluster, self._saved = (node_id, node_ids), None
        elif self.cluster != (node_id, node_ids):
            owner, members = self.cluster
            raise StorageError(
                f"{self.path} is the data of {owner} in {', '.join(members)}, not "
                f"of {node_id} in {', '.join(node_ids)}; give each its own --data"
            )

    def commit(self, logged: int = NO_LOG) -> None:
        """Write all changes to the disk in one transaction; `logged` as above."""
        journal = self.acceptor
        votes, decisions = journal.votes, journal.decisions
        now = (journal.promised, logged or self._mark)
        if now == self._saved and not votes and not decisions:
            return
        with self._storage_errors():
            if self._log is not None:
                # Or, after a power cut, the log may be shorter than `logged`.
                self._log.sync()
            self._db.execute("BEGIN")
            if self._saved is None and self.cluster is not None:
                node_id, node_ids = self.cluster
                self._db.execute("UPDATE node SET node_id = ?", (node_id,))
                self._db.executemany("INSERT INTO node_ids VALUES (?, ?)", enumerate(node_ids))
            self._db.execute(
                "UPDATE node SET promised = ?, logged = ?, commits = ?", (*now, self._commits + 1)
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)",
                ((slot, vote.ballot, vote.value) for slot, vote in votes.items()),
            )
            self._insert(list(decisions.items()))
            self._commit_ranges(journal.changed_ranges())
            done = self._voted & decisions.keys()
            self._db.executemany("DELETE FROM accepted WHERE slot = ?", ((slot,) for slot in done))
            self._db.execute("COMMIT")
            self._commits += 1
            # After the commit: the number outside may be behind the database, never ahead of it.
            self._counter.write(self._commits)
        self._saved = now
        self._voted = (self._voted - done) | votes.keys()
        journal.forget_changes()

    def _insert(self, decisions: list[tuple[int, Value]]) -> None:
        """Insert many rows with each statement: this takes less time than one row with each."""
        at = 0
        for at in range(ROWS, len(decisions) + 1, ROWS):
            self._db.execute(INSERT_ROWS, list(chain.from_iterable(decisions[at - ROWS : at])))
        self._db.executemany(INSERT, decisions[at:])

    def _commit_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """Write these ranges in the place of those that they include."""
        self._db.executemany("DELETE FROM known WHERE low > ? AND low <= ?", ranges)
        self._db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?)", ranges)

    def open_log(self, name: str, most: float = math.inf) -> Log:
        """Open the message log that belongs to the directory, or begin one.

        Its files have about `most` bytes.  Raises StorageError if the file is another log, or
        cannot be written.
        """
        if self.logged > 0:
            with storage_errors(f"the log of {self.path}", WRITABLE):
                self._log = message_log.resume(name, most, self.logged, str(self.path))
            return self._log
        with storage_errors("", WRITABLE):
            self._log = message_log.begin(name, most, str(self.path), self._mark)
        # From now on a start may cut off what stands in the file.
        self._mark, self.logged = self._log.mark, 0
        self.commit(0)
        return self._log

    def end_log(self) -> None:
        """Forget the message log, if there is one: it will lack what comes now."""
        if self.logged != NO_LOG:
            self.logged = NO_LOG
            self.commit()

    def close(self) -> None:
        self._db.close()
        with self._storage_errors():
            self._counter.close()

    def _check_not_lost(self) -> None:
        """Raise StorageError if the database is lost.

        This comes before SQLite opens it: beside an empty file it deletes the write-ahead log.
        """
        if self._counter.read() and not (self.path.exists() and self.path.stat().st_size):
            raise StorageError(
                f"{self.path} is missing or empty, but this node was running with it: {RESTORE}"
            )

    def _open(self) -> None:
        """Check that it is a file of this program, lock it, and bring it to this format."""
        mark, version, tables = (
            self._db.execute(query).fetchone()[0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if mark != MARK and (mark or version or tables):
            raise StorageError(f"{self.path} is another program's; name another directory")
        if version > VERSION:
            raise StorageError(
                f"{self.path} was written by a newer version of this program "
                f"(format {version}, this one knows {VERSION}); use that one"
            )
        for pragma in (*PRAGMAS, f"cache_size = -{self._cache_kib}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("BEGIN IMMEDIATE")
        self._check_newest(version)
        if version < VERSION:
            if version < formats.COUNTED:
                self._counter.write(0)
            formats.migrate(self._db, version if tables else None, self._on_progress)
            self._db.execute(f"PRAGMA application_id = {MARK}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute("COMMIT")

    def _check_newest(self, version: int) -> None:
        """Raise StorageError if commits are lost that the node may have sent messages about."""
        counted = self._counter.read()
        if version >= formats.COUNTED:
            [self._commits] = self._db.execute("SELECT max(commits) FROM node").fetchone()
            if counted is None or self._commits is None:
                raise StorageError(
                    f"{self._counter.path if counted is None else self.path} does not "
                    f"hold what was written into it: {RESTORE}"
                )
        if counted is not None and counted > self._commits:
            raise StorageError(
                f"{self.path} ends with commit {self._commits}, but this node has "
                f"made commit {counted}: its write-ahead log is damaged or gone, or "
                f"it is an old copy; {RESTORE}"
            )

    def _load(self) -> None:
        journal = self.acceptor
        node = self._db.execute("SELECT node_id, promised, logged FROM node")
        node_id, journal.promised, logged = node.fetchone()
        self.logged, self._mark = (0, logged) if logged < NO_LOG else (logged, 0)
        members = self._db.execute("SELECT node_id FROM node_ids ORDER BY place").fetchall()
        if not members:
            return
        self.cluster = (node_id, tuple(member for (member,) in members))
        for slot, ballot, value in self._db.execute("SELECT * FROM accepted ORDER BY slot"):
            journal.accepted[slot] = Vote(ballot, value)
        journal.known.update(Slots(self._db.execute("SELECT * FROM known ORDER BY low")))
        self._check_ranges()
        self._voted = set(journal.accepted)
        self._saved = (journal.promised, logged)

    def _check_ranges(self) -> None:
        """Raise StorageError if the last range does not end with the last decision."""
        decided, known = self._db.execute(LAST).fetchone()
        if decided != known:
            raise lost(self.path, decided if known is None else known)

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            with storage_errors("", "--data needs a directory that can be written"):
                yield
        except sqlite3.Error as error:
            raise failed(self.path, error) from None
        except OverflowError:
            raise StorageError(
                f"{self.path}: the ballots of the cluster are used up, which only "
                "a faulty member can do; nothing was lost"
            ) from None
        except files.Damaged as error:
            raise StorageError(f"{error}: {RESTORE}") from None


@contextmanager
def storage_errors(what: str, to_do: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}{': ' if what else ''}{error}; {to_do}") from None


def lost(path: Path, slot: int) -> StorageError:
    return StorageError(f"{path} does not hold the decision of slot {slot}: {RESTORE}")


def failed(path: Path, error: sqlite3.Error) -> StorageError:
    return StorageError(f"{path}: {error}; {advice(error)}")


def advice(error: sqlite3.Error) -> str:
    text = str(error)
    for sign, what in (
        ("locked", "another node runs on this directory: each needs its own"),
        ("full", "free space on the disk and start the node again: nothing was lost"),
        ("readonly", "let it be written, and start the node again"),
        ("unable to open", "see that the directory is there and can be written"),
        ("disk I/O", "see to the disk and start the node again: what was answered is kept"),
    ):
        if sign in text:
            return what
    return RESTORE
