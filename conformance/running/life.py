"""A process of a node with faults: pauses, and input in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .process import CHUNK, Process


class Life(Process):
    """A process that can be paused, and gets its input in pieces of any size.

    `pieces` returns the maximum size of the next piece in bytes.
    """

    def __init__(
        self,
        command: Sequence[str],
        errors: Path,
        pieces: Callable[[], int] = lambda: CHUNK,
        kept: Sequence[int] = (),
    ) -> None:
        self.paused = False
        self._pieces = pieces
        super().__init__(command, errors, kept=kept)

    def push(self) -> bool:
        return self._put(self._pieces())

    def pause(self) -> None:
        self.paused = True
        super().pause()

    def resume(self) -> None:
        self.paused = False
        super().resume()
