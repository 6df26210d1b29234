"""Programs to compare a node with: `python peers.py NAME ARGUMENT...`.

Each peer has its fastest settings.  A peer that answers lines is timed by `load`, another one
prints the seconds that it took.  Nothing of the harness is imported, so that a peer runs as it
would on its own.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

# The time limit for a command of PySyncObj, in seconds.
LONGEST = 30.0


def loop() -> None:
    """Parse, print and flush each line: the least that a node must do."""
    for line in sys.stdin:
        msg = json.loads(line)
        print(json.dumps(msg), flush=True)


def batches() -> None:
    """Parse and print each line, and flush once for all lines of a read."""
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            print(json.dumps(json.loads(line)))
        sys.stdout.flush()


def sqlite(folder: str, rows: str, size: str) -> None:
    """Insert rows in synced commits of one size, and print the seconds."""
    connection = sqlite3.connect(Path(folder) / "alone.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL)")
    values = [(slot, f'"set x={slot}"') for slot in range(int(rows))]
    started = time.perf_counter()
    for first in range(0, len(values), int(size)):
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO decided VALUES (?, ?)", values[first : first + int(size)]
        )
        connection.execute("COMMIT")
    print(time.perf_counter() - started, flush=True)
    connection.close()


def lookups(database: str, slots: str, number: str) -> None:
    """Look up random slots of a node's database, and print the seconds."""
    connection = sqlite3.connect(database, isolation_level=None)
    wanted = [random.randrange(int(slots)) for _ in range(int(number))]
    started = time.perf_counter()
    for slot in wanted:
        connection.execute("SELECT value FROM decided WHERE slot = ?", (slot,)).fetchone()
    print(time.perf_counter() - started, flush=True)
    connection.close()


def pysyncobj(
    index: str, ports: str, client: str, window: str, requests: str, folder: str = ""
) -> None:
    """Run one of three nodes on loopback; the first leads, runs the load and prints the seconds.

    `client` is one of `CLIENTS`.  With a folder, the node keeps its journal there.  It exits at the
    end of its input.
    """
    nodes = [f"127.0.0.1:{port}" for port in ports.split(",")]
    store = _store(int(index), nodes, int(window), folder)
    if int(index) == 0:
        _wait_until_leading(store)
        _put(store, ["warm up"])
        values = [f"set x={number}" for number in range(int(requests))]
        started = time.perf_counter()
        CLIENTS[client](store, values, int(window))
        print(time.perf_counter() - started, flush=True)
    sys.stdin.read()
    # PySyncObj's thread is not a daemon, and would keep the process alive.
    os._exit(0)


def _store(index: int, nodes: list[str], window: int, folder: str) -> Any:
    """Return a replicated store of values, with the fastest settings for this window."""
    from pysyncobj import SyncObj, SyncObjConf, replicated

    # PySyncObj has no types.
    class Store(SyncObj):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            self.values: list[str] = []
            others = nodes[:index] + nodes[index + 1 :]
            super().__init__(nodes[index], others, SyncObjConf(**settings))

        @replicated  # type: ignore[untyped-decorator]
        def put(self, value: str) -> str:
            self.values.append(value)
            return value

    settings: dict[str, Any] = {"autoTickPeriod": 0.001, "connectionRetryTime": 0.1}
    # A single command is sent at once; many are sent together, once a tick.
    settings |= {"appendEntriesPeriod": 0.001, "appendEntriesUseBatch": window > 1}
    # Only the first node has an election timeout that is short enough to become leader.
    least = 0.4 if index == 0 else 10.0
    settings |= {"raftMinTimeout": least, "raftMaxTimeout": least + 0.2, "connectionTimeout": 30.0}
    # No compaction during a run.
    settings |= {"logCompactionMinEntries": 1 << 30}
    if folder:
        settings["journalFile"] = str(Path(folder) / f"journal-{index}")
    return Store(**settings)


def _wait_until_leading(store: Any) -> None:
    deadline = time.monotonic() + LONGEST
    while not (store.isReady() and store._isLeader()):
        if time.monotonic() > deadline:
            sys.exit("PySyncObj elected no leader")
        time.sleep(0.01)


def _put(store: Any, values: list[str], _: int = 1) -> None:
    for value in values:
        if store.put(value, sync=True, timeout=LONGEST) != value:
            sys.exit("PySyncObj returned another value")


def _put_pipelined(store: Any, values: list[str], window: int) -> None:
    """Put values with `window` of them outstanding, from a thread of the client."""
    answers: list[tuple[Any, Any]] = []
    free = threading.Semaphore(window)

    def on_answer(result: Any, error: Any) -> None:
        answers.append((result, error))
        free.release()

    for value in values:
        _acquire(free)
        store.put(value, callback=on_answer)
    for _ in range(window):
        _acquire(free)
    _check(answers, values)


def _acquire(free: threading.Semaphore) -> None:
    if not free.acquire(timeout=LONGEST):
        sys.exit("PySyncObj lost a command")


def _put_inside(store: Any, values: list[str], window: int) -> None:
    """Put values without a client: the leader makes each put in the callback of an earlier one.

    No service works like this; it measures the replication alone.
    """
    left = iter(values)
    answers: list[tuple[Any, Any]] = []
    done = threading.Event()

    def on_answer(result: Any, error: Any) -> None:
        answers.append((result, error))
        if len(answers) == len(values):
            done.set()
        put()

    def put() -> None:
        for value in islice(left, 1):
            store.put(value, callback=on_answer)

    for _ in range(window):
        put()
    if not done.wait(LONGEST):
        sys.exit("PySyncObj lost a command")
    _check(answers, values)


def _check(answers: list[tuple[Any, Any]], values: list[str]) -> None:
    if answers != [(value, 0) for value in values]:
        sys.exit("PySyncObj failed a command, or returned another value")


CLIENTS: dict[str, Callable[..., None]] = {
    "waiting": _put,
    "pipelined": _put_pipelined,
    "inside": _put_inside,
}

PEERS: dict[str, Callable[..., None]] = {
    "loop": loop,
    "batches": batches,
    "sqlite": sqlite,
    "lookups": lookups,
    "pysyncobj": pysyncobj,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
