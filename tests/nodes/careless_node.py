"""Run the node with a bug in how its process starts, stops, writes or shares its directory.

    python tests/nodes/careless_node.py BUG [options of the node]

These bugs act before the node starts, on its files, or count its turns, so they are no patches of
its modules; `broken_node.py` has those.  The process id is printed on standard error.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "impl"))

from multipaxos import message_log, process
from multipaxos.node import Node
from multipaxos.storage import FILE, Storage


def none(options: Namespace) -> None:
    """Run the right node."""


def forgets(options: Namespace) -> None:
    """Delete the data and the log at every start."""
    shutil.rmtree(options.data, ignore_errors=True)
    Path(options.log).unlink(missing_ok=True)


def forgets_votes(options: Namespace) -> None:
    """Delete votes and promises at every start, and keep decisions."""
    path = Path(options.data) / FILE
    if path.exists():
        with closing(sqlite3.connect(path)) as db, db:
            # A node that was killed at once has no tables yet.
            for (table,) in db.execute("SELECT name FROM sqlite_master").fetchall():
                if table == "node":
                    db.execute("UPDATE node SET promised = 0")
                if table == "accepted":
                    db.execute("DELETE FROM accepted")


def answers_first(options: Namespace) -> None:
    """Print output at once, and commit only the first turn of a life."""
    commit, committed = Storage.commit, False

    def commit_once(storage: Storage, logged: int = 0) -> None:
        nonlocal committed
        if not committed:
            # Without this one the log would belong to no directory.
            commit(storage, logged)
        committed = True

    Storage.commit = commit_once


def leaves(options: Namespace) -> None:
    """End after some turns, with a reason and a status."""
    after(20, lambda: sys.exit("enough"))


def mumbles(options: Namespace) -> None:
    """Print a line that is not a message."""
    after(20, lambda: print("{}", flush=True))


def after(turns: int, act: object) -> None:
    turn, left = Node.turn, turns

    def counted(node: Node, *given: object) -> bytes:
        nonlocal left
        left -= 1
        if left == 0:
            act()
        return turn(node, *given)

    Node.turn = counted


def lies(options: Namespace) -> None:
    """Log the right output, and print every `phase1_skipped` negated."""
    write, yes, no = process.write, b'"phase1_skipped": true', b'"phase1_skipped": false'
    process.write = lambda sink, output, *rest: write(
        sink, output.replace(yes, b"\0").replace(no, yes).replace(b"\0", no), *rest
    )


def floods(options: Namespace) -> None:
    """Answer, and then repeat one message without end."""

    def flood() -> None:
        with open(1, "wb", closefd=False) as output:
            while True:
                output.write(100 * FLOOD)

    after(20, flood)


FLOOD = b'{"src": "n1", "dest": "c1", "body": {"type": "init_ok", "in_reply_to": 0, "msg_id": 0}}\n'


def shares(options: Namespace) -> None:
    """Let a second process use the same directory and log."""
    message_log._lock = lambda name: None
    connect = sqlite3.connect

    class Shared(sqlite3.Connection):
        def execute(self, query: str, *given: object) -> sqlite3.Cursor:
            return super().execute(query.replace("EXCLUSIVE", "NORMAL"), *given)

    # Nor does it fail where both write at once.
    sqlite3.connect = lambda path, **options: connect(
        path, factory=Shared, **{**options, "timeout": 5}
    )


def stays(options: Namespace) -> None:
    """Ignore SIGTERM."""
    process.Signals.handle = lambda *_: None


BUGS = {
    bug.__name__.replace("_", "-"): bug
    for bug in (
        none,
        forgets,
        forgets_votes,
        answers_first,
        leaves,
        mumbles,
        lies,
        floods,
        shares,
        stays,
    )
}


def main() -> int:
    bug, *options = sys.argv[1:]
    print(f"pid {os.getpid()}", file=sys.stderr, flush=True)
    BUGS[bug](process.command_line().parse_args(options))
    return process.main(options)


if __name__ == "__main__":
    sys.exit(main())
