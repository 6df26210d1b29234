"""A process of a node whose system calls are recorded, so that its end can be a power cut."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from . import syscalls
from .life import Life
from .power import Disk, UnsupportedCall
from .process import ready

# Seconds until the recording of a killed process must have ended.
RECORDING_SECONDS = 20.0


class RecordedProcess:
    """The recorded system calls of one process, and the node's files as they were before."""

    def __init__(self, trace: Path, files: Mapping[str, Path]) -> None:
        self._trace = trace
        self._disk = Disk(files.values())
        # Only the process and its recorder hold it open, so it ends when both have ended.
        self._end, self._held = os.pipe()

    def start(self, command: Sequence[str], errors: Path, pieces: Callable[[], int]) -> Life:
        """Start the process that is recorded."""
        given = [*syscalls.recording(self._trace), *command]
        life = Life(given, errors, pieces, kept=(self._held,))
        os.close(self._held)
        self._held = -1
        return life

    def cut(self, rng: Random) -> None:
        """Replace the files of a killed process by what a power cut leaves of them.

        Raises `UnsupportedCall` if that cannot be determined.
        """
        try:
            if not ready({self._end}, (), RECORDING_SECONDS)[0]:
                raise UnsupportedCall(
                    f"its recording goes on for {RECORDING_SECONDS:g} s after its end"
                )
            # Without a recording the process was killed before it did anything.
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
