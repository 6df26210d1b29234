"""Jobs that run beside each other, as many as there are cores for.

What a job does, and what is made of what it found, is told by those who have it done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

# What this project is sized for.
CORES = 2


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
                yield from zip(alike, pool.map(do, alike), strict=True)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
