"""The tables of the database, and how a database of an older format gets those of this one.

- Format 1: commits have no number, and the node has no row before the first one.
- Format 2: no table has the ranges of the decided slots.
- Format 3: this one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

VERSION = 3

COUNTED = 2
"""The first format with numbered commits."""

KNOWN = "CREATE TABLE known (low INTEGER PRIMARY KEY, high INTEGER NOT NULL)"

TABLES = f"""
    CREATE TABLE node (node_id TEXT NOT NULL, promised INTEGER NOT NULL, logged INTEGER NOT NULL,
                       commits INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE node_ids (place INTEGER PRIMARY KEY, node_id TEXT NOT NULL);
    CREATE TABLE accepted (slot INTEGER PRIMARY KEY, ballot INTEGER NOT NULL, value TEXT NOT NULL);
    CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL);
    {KNOWN};
    INSERT INTO node VALUES ('', 0, -1, 0);
"""

FROM_FORMAT_1 = """
    ALTER TABLE node ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;
    UPDATE node SET logged = -1 WHERE logged = 0;
    INSERT INTO node SELECT '', 0, -1, 0 WHERE NOT EXISTS (SELECT * FROM node);
"""

REPORTED_SLOTS = 1_000_000
"""After how many decided slots a migration reports its progress."""


def migrate(db: sqlite3.Connection, version: int | None, report: Callable[[str], None]) -> None:
    """Make the tables of this format from those of an older one; None if there are no tables.

    The caller has begun a transaction, so a process that is killed in it has changed nothing.  The
    memory does not grow with the number of decided slots.
    """
    if version is None:
        execute(db, TABLES)
        return
    report(f"the data is brought from format {version} to format {VERSION}")
    if version == 1:
        execute(db, FROM_FORMAT_1)
    db.execute(KNOWN)
    db.executemany("INSERT INTO known VALUES (?, ?)", decided_ranges(db, report))


def execute(db: sqlite3.Connection, statements: str) -> None:
    # Not by `executescript`, which would commit first.
    for statement in statements.split(";"):
        db.execute(statement)


def decided_ranges(
    db: sqlite3.Connection, report: Callable[[str], None]
) -> Iterator[tuple[int, int]]:
    """Yield the ranges of the decided slots, in ascending order."""
    low = end = 0
    for number, (slot,) in enumerate(db.execute("SELECT slot FROM decided ORDER BY slot"), 1):
        if slot != end:
            if low < end:
                yield low, end - 1
            low = slot
        end = slot + 1
        if number % REPORTED_SLOTS == 0:
            report(f"{number:,} decided slots are read")
    if low < end:
        yield low, end - 1
