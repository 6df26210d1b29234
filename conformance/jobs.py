"""Jobs that run concurrently, as many as there are cores.

The caller defines what a job does, and uses the result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

# Seconds until a wait looks at signals again: one that comes just before the wait, or that the
# system hands to another thread, does not end it.
WAKE = 0.2

_CGROUPS = Path("/sys/fs/cgroup")

_chosen = 0


class JobError(Exception):
    """A job that cannot be done because its process is gone; the text says which."""


def use_cores(number: int) -> None:
    """Run so many jobs at a time from now on (the option `-j`)."""
    global _chosen
    _chosen = number


def cores() -> int:
    """Return how many jobs run at a time: as chosen by `use_cores`, or all cores there are."""
    return _chosen or available_cores()


def available_cores() -> int:
    """Return how many cores this process may use: by its CPU affinity and its cgroup's quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *_quotas(_CGROUPS)]))


def _quotas(root: Path) -> Iterator[int]:
    """Yield the CPU limits of this process's cgroups, rounded up: version 2, then version 1."""
    try:
        entries = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    own = next((entry[3:] for entry in entries if entry.startswith("0::")), "/").strip("/")
    places = [root / own, *(root / own).parents]
    for place in (place for place in places if place.is_relative_to(root)):
        yield from _quota(place / "cpu.max")
    yield from _quota(root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us")


def _quota(*paths: Path) -> Iterator[int]:
    """Yield the limit in files with a quota and a period, nothing if it is "max" or -1."""
    try:
        quota, period = map(int, " ".join(path.read_text() for path in paths).split())
    except (OSError, ValueError):
        return
    if quota > 0 and period > 0:
        yield -(-quota // period)


def at_once(
    do: Callable[[Item], Found],
    items: Iterable[Item],
    needs: Callable[[Item], int] = lambda item: 1,
    cost: Callable[[Item], float] = lambda item: 0.0,
) -> Iterator[tuple[Item, Found]]:
    """Yield each item with its result, in the order of the items.

    `needs` returns how many cores the job of an item uses.  Jobs that need the most cores start
    first, then those of the highest `cost`, so that no long job is left for the end.  An exception
    in a job, or in the caller's loop, cancels the jobs that have not begun.
    """
    chosen, free = list(items), cores()
    waiting = deque(
        sorted(range(len(chosen)), key=lambda at: (-needs(chosen[at]), -cost(chosen[at])))
    )
    running: dict[Future[Found], tuple[int, int]] = {}
    results: dict[int, Found] = {}
    following = 0
    with ThreadPoolExecutor(free) as pool:
        try:
            while following < len(chosen):
                while waiting and ((need := needs(chosen[waiting[0]])) <= free or not running):
                    at = waiting.popleft()
                    running[pool.submit(do, chosen[at])] = at, need
                    free -= need
                for done in wait(running, WAKE, FIRST_COMPLETED).done:
                    at, need = running.pop(done)
                    free += need
                    results[at] = done.result()
                while following in results:
                    yield chosen[following], results.pop(following)
                    following += 1
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def in_turns(do: Callable[[Item], bool], items: Iterable[Item]) -> None:
    """Do one step of each item after another, again and again while there is more to do.

    `do` returns whether there is.  The steps of one item never run concurrently, and none begins
    after one has failed.
    """
    waiting = deque(items)
    running: dict[Future[bool], Item] = {}
    with ThreadPoolExecutor(cores()) as pool:
        while waiting or running:
            while waiting and len(running) < cores():
                item = waiting.popleft()
                running[pool.submit(do, item)] = item
            for done in wait(running, WAKE, FIRST_COMPLETED).done:
                item = running.pop(done)
                if done.result():
                    waiting.append(item)


def in_copies(do: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """Yield the result of each item, in order, computed by forks of this process.

    For jobs whose time is spent in Python itself.  Where this process cannot be forked safely, for
    it has other threads, it does all of them itself.  Raises `JobError` if a fork is killed.
    """
    forks = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    if not forks:
        yield from map(do, items)
        return
    with ProcessPoolExecutor(cores(), multiprocessing.get_context("fork"), _as_copy) as pool:
        try:
            yield from pool.map(do, items)
        except BrokenProcessPool:
            raise JobError("a helper process was killed; is memory short?") from None
        except BaseException:
            for copy in multiprocessing.active_children():
                copy.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _as_copy() -> None:
    """Ignore interrupts: the parent process gets them as well, and ends its forks."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this fork when its parent is killed; otherwise it would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
    os._exit(1)
