"""Check whether a process runs, wait for conditions and for the other processes that run tests."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import CACHE

PATIENCE = 120.0
"""Seconds after which a test that waits for a process fails; a slow machine is faster, too."""

LIMITS = (1.0, 5.0, 25.0)
"""Time limits to try in turn where a process must keep one: a slow machine exceeds the first."""


def exists(process: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def is_full(pipe: int) -> bool:
    """Return whether a process that writes to a pipe, given by its other end, is blocked."""
    sink = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [sink], [], 0)[1]
    finally:
        os.close(sink)


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Let one of the processes that run tests do something, while the others wait to use it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
