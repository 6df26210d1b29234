"""What a node is measured against: each peer is a program, `python peers.py NAME ARGUMENT...`.

A peer is here in the form in which it is at its best; the clock that it is held against is in
`load`, or its own where it has no lines to answer.  Nothing of the harness is imported, so that a
peer starts and runs as it would anywhere.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

# The longest that PySyncObj may take before its run counts as lost, in seconds.
LONGEST = 30.0


def loop() -> None:
    """The least that a node must do: parse a line, print a line, flush it."""
    for line in sys.stdin:
        msg = json.loads(line)
        print(json.dumps(msg), flush=True)


def batches() -> None:
    """The same, but flushed once for all the lines that came together."""
    rest = b""
    while chunk := sys.stdin.buffer.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            print(json.dumps(json.loads(line)))
        sys.stdout.flush()


def sqlite(folder: str, rows: str, size: str) -> None:
    """Rows in synced commits of one size and nothing else; prints the seconds."""
    connection = sqlite3.connect(Path(folder) / "alone.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL)")
    told = [(slot, f'"set x={slot}"') for slot in range(int(rows))]
    started = time.perf_counter()
    for first in range(0, len(told), int(size)):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO decided VALUES (?, ?)", told[first : first + int(size)])
        connection.execute("COMMIT")
    print(time.perf_counter() - started, flush=True)
    connection.close()


def pysyncobj(
    index: str, ports: str, client: str, window: str, requests: str, folder: str = ""
) -> None:
    """One of three nodes on loopback; the first one leads, runs the load and prints the seconds.

    `client` tells where the load comes from, see `CLIENTS`.  With a folder it keeps its journal
    there.  It ends with its input.
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
    # Its thread for the ticks is no daemon and must not keep the process.
    os._exit(0)


def _store(index: int, nodes: list[str], window: int, folder: str) -> Any:
    """A replicated store of values, with the settings that are the fastest for this window."""
    from pysyncobj import SyncObj, SyncObjConf, replicated

    class Store(SyncObj):
        def __init__(self, **settings: Any) -> None:
            self.values: list[str] = []
            others = nodes[:index] + nodes[index + 1 :]
            super().__init__(nodes[index], others, SyncObjConf(**settings))

        @replicated
        def put(self, value: str) -> str:
            self.values.append(value)
            return value

    settings: dict[str, Any] = {"autoTickPeriod": 0.001, "connectionRetryTime": 0.1}
    # A command alone is sent at once; many are sent together, as often as there is a tick.
    settings |= {"appendEntriesPeriod": 0.001, "appendEntriesUseBatch": window > 1}
    # The first node is the only one that has the time to stand for leader, even on a busy machine.
    least = 0.4 if index == 0 else 10.0
    settings |= {"raftMinTimeout": least, "raftMaxTimeout": least + 0.2, "connectionTimeout": 30.0}
    # No run is long enough to need a compaction.
    settings |= {"logCompactionMinEntries": 1 << 30}
    if folder:
        settings["journalFile"] = str(Path(folder) / f"journal-{index}")
    return Store(**settings)


def _wait_until_leading(store: Any) -> None:
    deadline = time.monotonic() + LONGEST
    while not (store.isReady() and store._isLeader()):
        if time.monotonic() > deadline:
            sys.exit("PySyncObj found no leader")
        time.sleep(0.01)


def _put(store: Any, values: list[str], _: int = 1) -> None:
    for value in values:
        if store.put(value, sync=True, timeout=LONGEST) != value:
            sys.exit("PySyncObj returned another value")


def _put_ahead(store: Any, values: list[str], window: int) -> None:
    """Puts with so many of them under way, by a client that has a thread of its own."""
    answers: list[tuple[Any, Any]] = []
    free = threading.Semaphore(window)

    def answered(result: Any, error: Any) -> None:
        answers.append((result, error))
        free.release()

    for value in values:
        _take(free)
        store.put(value, callback=answered)
    for _ in range(window):
        _take(free)
    _check(answers, values)


def _take(free: threading.Semaphore) -> None:
    if not free.acquire(timeout=LONGEST):
        sys.exit("PySyncObj lost a command")


def _put_inside(store: Any, values: list[str], window: int) -> None:
    """The same with no client at all: each put is made by the leader itself, in the callback of an
    earlier one.  No service is used like this; it is what the replication alone is worth.
    """
    left = iter(values)
    answers: list[tuple[Any, Any]] = []
    done = threading.Event()

    def answered(result: Any, error: Any) -> None:
        answers.append((result, error))
        if len(answers) == len(values):
            done.set()
        put()

    def put() -> None:
        for value in islice(left, 1):
            store.put(value, callback=answered)

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
    "ahead": _put_ahead,
    "inside": _put_inside,
}

PEERS: dict[str, Callable[..., None]] = {
    "loop": loop,
    "batches": batches,
    "sqlite": sqlite,
    "pysyncobj": pysyncobj,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
