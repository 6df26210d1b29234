"""Jobs that run beside each other, as many as there are cores for.

What a job does, and what is made of what it found, is told by those who have it done.
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
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

# What this project is sized for.
CORES = 2

# Seconds that a wait goes on without a look at signals: one that comes just before it, or that the
# system hands to another thread, does not end it.
WAKE = 0.2


class JobError(Exception):
    """A job that cannot be done, for what does it is gone; the text says what."""


def at_once(
    do: Callable[[Item], Found],
    items: Iterable[Item],
    cores: Callable[[Item], int] = lambda item: 1,
) -> Iterator[tuple[Item, Found]]:
    """Yields each item with what was found for it: items in order, but greedy ones last.

    `cores` tells how many cores the job for an item uses by itself.  What goes wrong in one job, or
    in whoever reads this, ends those that have not begun.
    """
    chosen = list(items)
    for greed in sorted(set(map(cores, chosen))):
        alike = [item for item in chosen if cores(item) == greed]
        with ThreadPoolExecutor(max(1, CORES // greed)) as pool:
            try:
                futures = [pool.submit(do, item) for item in alike]
                for item, future in zip(alike, futures, strict=True):
                    while not future.done():
                        wait([future], WAKE)
                    yield item, future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def in_turns(do: Callable[[Item], bool], items: Iterable[Item]) -> None:
    """Has a step of each item done after another, again and again while there is more to do.

    `do` tells whether there is.  The steps of one item never run beside each other, and none begins
    after one has failed.
    """
    waiting = deque(items)
    running: dict[Future[bool], Item] = {}
    with ThreadPoolExecutor(CORES) as pool:
        while waiting or running:
            while waiting and len(running) < CORES:
                item = waiting.popleft()
                running[pool.submit(do, item)] = item
            for done in wait(running, WAKE, FIRST_COMPLETED).done:
                item = running.pop(done)
                if done.result():
                    waiting.append(item)


def in_copies(do: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """Yields what is found for each item, in order, by copies of this process.

    For what Python itself has to do much of.  Where a copy is not to be had or not safe, for other
    threads are under way here, this process does all of it.  Raises `JobError` if a copy is ended.
    """
    forks = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    if not forks:
        yield from map(do, items)
        return
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("fork"), _as_copy) as pool:
        try:
            yield from pool.map(do, items)
        except BrokenProcessPool:
            raise JobError("a process that helps to read was killed; is memory short?") from None
        except BaseException:
            for copy in multiprocessing.active_children():
                copy.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _as_copy() -> None:
    """The process that was copied hears of an interrupt as well, and ends its copies."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """Where that is killed, nobody else tells its copies, which would wait for ever."""
    wait_for([multiprocessing.parent_process().sentinel])  # type: ignore[union-attr]
    os._exit(1)
