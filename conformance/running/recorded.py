"""One life of a node whose calls are recorded, so that its power can be cut at the end of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from . import syscalls
from .life import Life
from .power import Disk, NotFollowed
from .process import ready

# Seconds until the recording of a process that was killed has ended.
ENDED = 20.0


class Recorded:
    """A recording in a file, and the disk with the node's own files as they were before."""

    def __init__(self, trace: Path, files: Mapping[str, Path]) -> None:
        self._trace = trace
        self._disk = Disk(files.values())
        # Open in the process and in its recorder alone: the end of it is the end of both.
        self._end, self._held = os.pipe()

    def start(self, command: Sequence[str], errors: Path, pieces: Callable[[], int]) -> Life:
        """Begin the life that is recorded."""
        given = [*syscalls.recording(self._trace), *command]
        life = Life(given, errors, pieces, kept=(self._held,))
        os.close(self._held)
        self._held = -1
        return life

    def cut(self, rng: Random) -> None:
        """Leave of the files of a process that was killed what a power cut leaves.

        Raises `NotFollowed` if that cannot be known.
        """
        try:
            if not ready({self._end}, (), ENDED)[0]:
                raise NotFollowed(f"its recording goes on for {ENDED:g} s after its end")
            # A process that was killed before its recording began has done nothing yet.
            if self._trace.exists():
                for call in syscalls.calls(self._trace):
                    self._disk.take(call)
            self._disk.cut(self._disk.left(rng))
        finally:
            self.close()

    def close(self) -> None:
        for number in {self._end, self._held} - {-1}:
            os.close(number)
        self._end = self._held = -1
        self._trace.unlink(missing_ok=True)
