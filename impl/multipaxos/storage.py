"""What must survive a crash, in a directory: the fields of `acceptor`, in SQLite.

A commit is on the disk when it returns, and whoever calls it lets nothing out before.  What the
fields mean and when they change is told elsewhere; nothing here knows a message or the clock.
"""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .acceptor import Acceptor
from .messages import Value, Vote

FILE = "node.db"
MARK = 0x6D705058
"""SQLite's `application_id` of such a file."""

VERSION = 1
TABLES = """
    CREATE TABLE node (node_id TEXT NOT NULL, promised INTEGER NOT NULL, logged INTEGER NOT NULL);
    CREATE TABLE node_ids (place INTEGER PRIMARY KEY, node_id TEXT NOT NULL);
    CREATE TABLE accepted (slot INTEGER PRIMARY KEY, ballot INTEGER NOT NULL, value TEXT NOT NULL);
    CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL);
"""


class StorageError(Exception):
    """The directory cannot be used, or no longer; the text says which, why, and what to do."""


class Journal(Acceptor):
    """An acceptor that remembers what has changed since it was last saved."""

    def __init__(self) -> None:
        super().__init__()
        self.votes: dict[int, Vote] = {}
        self.decisions: dict[int, Value] = {}

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        super().vote_for(ballot, slot, value)
        self.votes[slot] = self.accepted[slot]

    def decide(self, slot: int, value: Value) -> None:
        super().decide(slot, value)
        self.decisions[slot] = value
        self.votes.pop(slot, None)


class Storage:
    """One node's directory.

    `acceptor` is what it holds, to be worked with; `cluster` whose it is, as (node_id, node_ids),
    once that is known; `logged` how many bytes of the message log belong to what it holds.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.cluster: tuple[str, tuple[str, ...]] | None = None
        self.logged = 0
        self.acceptor = Journal()
        self._saved: tuple[int, int] | None = None
        self._voted: set[int] = set()
        with self._explained():
            make(folder)
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            self._open()
            self._load()

    def claim(self, node_id: str, node_ids: tuple[str, ...]) -> None:
        """Make the directory this node's, with the first commit; raises StorageError if it is
        another's."""
        if self.cluster is None:
            self.cluster = (node_id, node_ids)
        elif self.cluster != (node_id, node_ids):
            owner, members = self.cluster
            raise StorageError(f"{self.path} is the data of {owner} in {', '.join(members)}, not "
                               f"of {node_id} in {', '.join(node_ids)}; give each its own --data")

    def commit(self, logged: int = 0) -> None:
        """Put all changes on the disk, at once or not at all; `logged` as above."""
        journal = self.acceptor
        now = (journal.promised, logged)
        if now == self._saved and not journal.votes and not journal.decisions:
            return
        with self._explained():
            self._db.execute("BEGIN")
            if self._saved is None:
                node_id, node_ids = self.cluster
                self._db.execute("INSERT INTO node VALUES (?, 0, 0)", (node_id,))
                self._db.executemany("INSERT INTO node_ids VALUES (?, ?)", enumerate(node_ids))
            self._db.execute("UPDATE node SET promised = ?, logged = ?", now)
            self._db.executemany("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)",
                                 ((slot, vote.ballot, vote.value)
                                  for slot, vote in journal.votes.items()))
            self._db.executemany("INSERT INTO decided VALUES (?, ?)", journal.decisions.items())
            done = self._voted & journal.decisions.keys()
            self._db.executemany("DELETE FROM accepted WHERE slot = ?", ((slot,) for slot in done))
            self._db.execute("COMMIT")
        self._saved = now
        self._voted = (self._voted - done) | journal.votes.keys()
        journal.votes, journal.decisions = {}, {}

    def close(self) -> None:
        self._db.close()

    def _open(self) -> None:
        """See whose file it is, and keep everybody else out of it."""
        mark, version, tables = (self._db.execute(query).fetchone()[0] for query in (
            "PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master"))
        if mark != MARK and (mark or version or tables):
            raise StorageError(f"{self.path} is another program's; name another directory")
        if version > VERSION:
            raise StorageError(f"{self.path} was written by a newer version of this program "
                               f"(format {version}, this one knows {VERSION}); use that one")
        for pragma in "locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL":
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("BEGIN IMMEDIATE")
        if not tables:
            for statement in TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {MARK}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute("COMMIT")

    def _load(self) -> None:
        journal, rows = self.acceptor, self._db.execute("SELECT * FROM node").fetchall()
        if not rows:
            return
        [(node_id, journal.promised, self.logged)] = rows
        members = self._db.execute("SELECT node_id FROM node_ids ORDER BY place")
        self.cluster = (node_id, tuple(member for member, in members))
        for slot, ballot, value in self._db.execute("SELECT * FROM accepted ORDER BY slot"):
            journal.accepted[slot] = Vote(ballot, value)
        journal.decided = dict(self._db.execute("SELECT * FROM decided ORDER BY slot"))
        for slot in journal.decided:
            journal.known.add(slot)
        self._voted = set(journal.accepted)
        self._saved = (journal.promised, self.logged)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: {error}; {advice(error)}") from None
        except OSError as error:
            raise StorageError(f"{error}; --data needs a directory that can be written") from None


def advice(error: sqlite3.Error) -> str:
    text = str(error)
    for sign, what in (
        ("locked", "another node runs on this directory: each needs its own"),
        ("full", "make room on the disk and start the node again: nothing was lost"),
        ("readonly", "let it be written, and start the node again"),
        ("unable to open", "see that the directory is there and can be written"),
        ("disk I/O", "see to the disk and start the node again: what was answered is kept"),
    ):
        if sign in text:
            return what
    return "bring back a copy of the directory of a node that was stopped, or leave this node out"


def make(folder: Path) -> None:
    """Make a directory whose own entry is on the disk, too."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        entry = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
