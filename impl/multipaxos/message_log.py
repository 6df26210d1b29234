"""The files of the message log: FILE, and with a limit of their length others that continue it.

The name of each other one is FILE and the number of bytes before it: FILE.00000000000000065536
begins with byte 65,536 of the log.  So no file has to be renamed, and a reader notices a gap.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import suppress
from typing import BinaryIO

from . import files
from .files import RESTORE_LOG, StorageError

DIGITS = 20
"""Digits of the number in a name, so that names are in the order of the log."""


def name_at(name: str, begin: int) -> str:
    """Return the name of the file that begins with this byte of the log."""
    return f"{name}.{begin:0{DIGITS}}" if begin else name


def later_files(name: str) -> list[int]:
    """Return where the files after the first one begin, in ascending order."""
    folder, first = os.path.split(name)
    begins = []
    with suppress(FileNotFoundError):
        for found in os.listdir(folder or os.curdir):
            number = found[len(first) + 1 :]
            if found.startswith(f"{first}.") and len(number) == DIGITS and number.isdecimal():
                begins.append(int(number))
    return sorted(begins)


def remove_later_files(name: str, end: int = 0) -> None:
    """Remove the files after the first one that begin at or behind this end of the log."""
    removed = [begin for begin in later_files(name) if begin >= end]
    # The last one first: whenever this is interrupted, what is left has no gap.
    for begin in reversed(removed):
        os.unlink(name_at(name, begin))
    if removed:
        # Or one could be back after a power cut, beside those that are written from now on.
        files.sync_directory(os.path.dirname(name) or os.curdir)


class Log:
    """A message log that is written; `file` begins with byte `begin`.

    `end` is the length of all files together.  A turn ends with `flush`; if its file has `most`
    bytes or more by then, the log continues in another one.
    """

    def __init__(self, name: str, file: BinaryIO, begin: int = 0, most: float = math.inf) -> None:
        self.name = name
        self.most = most
        self.begin = begin
        self.end = begin
        self._file = file
        self._turn_is_over = False

    def write(self, text: bytes) -> None:
        if self._turn_is_over and self.end - self.begin >= self.most:
            self._continue()
        self._turn_is_over = False
        self._file.write(text)
        self.end += len(text)

    def _continue(self) -> None:
        self.sync()
        self._file.close()
        self._file = open(files.create(name_at(self.name, self.end)), "r+b")  # noqa: SIM115
        self.begin = self.end

    def flush(self) -> None:
        self._file.flush()
        self._turn_is_over = True

    def sync(self) -> None:
        os.fdatasync(self._file.fileno())

    def holds(self, end: int, beginning: bytes) -> bool:
        """Return whether a line that begins so ends at byte `end`.

        At byte 0: whether the file begins so, as far as it was written.
        """
        if end:
            return files.last_line(self._file, end - self.begin).startswith(beginning)
        self._file.seek(0)
        return beginning.startswith(self._file.read(len(beginning)))

    def cut(self, end: int) -> None:
        """Remove what is behind this byte."""
        remove_later_files(self.name, end)
        self._file.truncate(end - self.begin)
        self._file.seek(end - self.begin)
        self.end = end

    def close(self) -> None:
        self._file.close()


def create(name: str, most: float = math.inf) -> Log:
    """Begin a log in the place of any other of this name."""
    file = open(name, "wb", opener=files.create)  # noqa: SIM115
    if most < math.inf and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise StorageError(f"{name} is no regular file, so --log-max-bytes cannot limit it")
    remove_later_files(name)
    return Log(name, file, most=most)


def begin(name: str, most: float, beside: str) -> Log:
    """Begin a log; raise StorageError if there is one of this name, which is not of `beside`."""
    file = open(name, "r+b", opener=lambda *_: files.create(name))  # noqa: SIM115
    taken = [] if file.seek(0, os.SEEK_END) == 0 else [name]
    taken += [name_at(name, later) for later in later_files(name)]
    if taken:
        file.close()
        raise StorageError(
            f"{taken[0]} is not empty, and it is not the log of {beside}: the log of another run "
            "is not overwritten; name a new file"
        )
    return Log(name, file, most=most)


def resume(name: str, most: float, end: int, beside: str) -> Log:
    """Open the file of a log with the last byte before `end`; raise StorageError if it lacks it."""
    first = max((later for later in later_files(name) if later < end), default=0)
    # If nothing of it was committed, it may be missing.
    opener = None if end else lambda *_: files.create(name)
    file = open(name_at(name, first), "r+b", opener=opener)  # noqa: SIM115
    found = first + file.seek(0, os.SEEK_END)
    if found < end:
        file.close()
        raise StorageError(
            f"{name} is not the log that goes with {beside}: it has {found} bytes, not {end}; "
            f"{RESTORE_LOG}"
        )
    return Log(name, file, first, most)
