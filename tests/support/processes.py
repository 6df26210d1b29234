"""Check whether a process runs, and wait for conditions."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

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
