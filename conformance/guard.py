"""Processes and scratch folders that end with this process, however it ends.

The handler of a signal calls `end_all`, which kills every process.  For SIGKILL, the OOM killer and
crashes there is the guard: a small process that reads from a pipe which processes and folders
exist.  When the system closes the pipe, the guard kills and removes them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

# A folder whose name any program can take on its command line, in any locale.
_PLAIN = re.compile(r"[\w/.+-]+", re.ASCII)
_PLACES = ("/tmp", "/var/tmp")

_lock = threading.Lock()
_under_way: set[subprocess.Popen[Any]] = set()
_ending = False


class Ended(Exception):
    """No process can be started after `end_all`."""


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process in a session of its own, so that signals reach its whole group.

    `options` are those of `subprocess.Popen`.  The caller must call `finish` later.
    """
    # Signals are handled in the main thread.  Its handler would miss a process that is just being
    # started there, so another thread starts it.
    with ThreadPoolExecutor(1) as starter:
        return starter.submit(_start, command, options).result()


def _start(command: Sequence[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
    if _ending:
        raise Ended("interrupted")
    _guard()
    process = subprocess.Popen(command, start_new_session=True, **options)
    _under_way.add(process)
    _notify("+", process.pid)
    if _ending:
        finish(process)
        raise Ended("interrupted")
    return process


def terminate(process: subprocess.Popen[Any]) -> None:
    """Send SIGTERM to a process and its group."""
    send(process, signal.SIGTERM)


def finish(process: subprocess.Popen[Any], seconds: float = 0) -> int:
    """Wait some seconds for a process to exit, kill its group, and return its exit status."""
    deadline = time.monotonic() + seconds
    while status(process) is None and time.monotonic() < deadline:
        time.sleep(0.005)
    send(process, signal.SIGKILL)
    found = process.wait()
    _under_way.discard(process)
    _notify("-", process.pid)
    return found


def status(process: subprocess.Popen[Any]) -> int | None:
    """Return the exit status of a process, a signal as a negative number; None if it still runs."""
    if process.returncode is not None:
        return process.returncode
    # The process is not reaped here, so its pid and its group are not reused yet.
    try:
        left = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # Another thread has just reaped it.
        return process.wait()
    if left is None:
        return None
    return left.si_status if left.si_code == os.CLD_EXITED else -left.si_status


def end_all() -> None:
    """Kill every process that was started, in whatever thread, and allow no more to start."""
    global _ending
    _ending = True
    for process in list(_under_way):
        send(process, signal.SIGKILL)


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Create a folder that is removed at the end; its path has only plain characters."""
    _guard()
    place = _plain_place()
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=place, ignore_cleanup_errors=True
    ) as folder:
        _notify("+", folder)
        yield Path(folder)
    if not Path(folder).exists():
        _notify("-", folder)


def _plain_place() -> str | None:
    """Return a parent for scratch folders; None for the default, also if no other is usable."""
    if _PLAIN.fullmatch(tempfile.gettempdir()):
        return None
    return next((place for place in _PLACES if os.access(place, os.W_OK)), None)


def send(process: subprocess.Popen[Any], number: int) -> None:
    """Send a signal to a process and its group, unless it was reaped: its pid may be reused."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


@cache
def _guard() -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )
    atexit.register(guard.communicate)
    return guard


def _notify(sign: str, what: int | str) -> None:
    # Without the guard, processes and folders are left only if this process is killed.
    with _lock, contextlib.suppress(OSError):
        _guard().stdin.write(json.dumps([sign, what]).encode() + b"\n")  # type: ignore[union-attr]


def watch(lines: Iterable[bytes]) -> None:
    """Run the guard: at the end of its input, kill the groups and remove the remaining folders."""
    kept: list[int | str] = []
    for line in lines:
        sign, what = json.loads(line)
        if sign == "+":
            kept.append(what)
        elif what in kept:
            kept.remove(what)
    for group in (what for what in kept if isinstance(what, int)):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    for folder in (what for what in kept if isinstance(what, str)):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.stdin.buffer)
