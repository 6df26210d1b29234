"""The files of the message log: FILE, and with a limit of their length others that continue it.

The name of each other one is FILE and the number of bytes before it: FILE.00000000000000065536
begins with byte 65,536 of the log.  So no file has to be renamed, and a reader notices a gap.
"""

from __future__ import annotations

import fcntl
import math
import os
import zlib
from contextlib import suppress
from typing import BinaryIO

from . import files
from .files import NO_LOG, RESTORE_LOG, StorageError

DIGITS = 20
"""Digits of the number in a name, so that names are in the order of the log."""


def name_at(name: str, begin: int) -> str:
    """Return the name of the file that begins with this byte of the log."""
    return f"{name}.{begin:0{DIGITS}}" if begin else name


def position(name: str) -> int:
    """Return which byte a file of this name begins with; 0 unless it continues a log."""
    number = name[-DIGITS:]
    continues = name[-DIGITS - 1 : -DIGITS] == "." and number.isascii() and number.isdecimal()
    return int(number) if continues else 0


def later_files(name: str) -> list[int]:
    """Return where the files after the first one begin, in ascending order."""
    folder, first = os.path.split(name)
    found: list[str] = []
    with suppress(FileNotFoundError):
        found = os.listdir(folder or os.curdir)
    begins = [position(each) for each in found if each[: -DIGITS - 1] == first]
    return sorted(begin for begin in begins if begin)


def remove_later_files(name: str, end: int) -> None:
    """Remove the files that continue a log from this byte on.

    Raises StorageError, and removes none, if a file of such a name does not begin where the one
    before it ends: it may be a copy.
    """
    removed = [begin for begin in later_files(name) if begin >= end]
    for begin in removed:
        other = name_at(name, begin)
        if begin != end:
            raise StorageError(f"{other} is named like a part of {name}, and is none: move it away")
        end += os.path.getsize(other)
    # The last one first: whenever this is interrupted, what is left has no gap.
    for begin in reversed(removed):
        os.unlink(name_at(name, begin))
    if removed:
        # Or one could be back after a power cut, beside those that are written from now on.
        files.sync_directory(os.path.dirname(name) or os.curdir)


class Log:
    """A message log that is written; `file` begins with byte `begin`.

    `end` is the length of all files together.  A turn ends with `flush`; if its file has `most`
    bytes or more by then, the log continues in another one.  `lock` is the descriptor that keeps
    other nodes from this log.  What writes raises StorageError if the disk does.
    """

    def __init__(
        self,
        name: str,
        file: BinaryIO,
        begin: int = 0,
        most: float = math.inf,
        lock: int | None = None,
    ) -> None:
        self.name = name
        self.most = most
        self.begin = begin
        self.end = begin
        self._file = file
        self._lock = lock
        self._turn_is_over = False

    @property
    def mark(self) -> int:
        """A number below NO_LOG by which this log is known again before it has any record."""
        return NO_LOG - 1 - zlib.crc32(os.fsencode(os.path.abspath(self.name)))

    def write(self, text: bytes) -> None:
        if self._turn_is_over and self.end - self.begin >= self.most:
            self._continue()
        self._turn_is_over = False
        try:
            self._file.write(text)
        except OSError as error:
            raise self._failed(error) from None
        self.end += len(text)

    def _continue(self) -> None:
        self.sync()
        self._file.close()
        try:
            self._file = open(files.create(name_at(self.name, self.end)), "r+b")  # noqa: SIM115
        except OSError as error:
            raise self._failed(error) from None
        self.begin = self.end

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None
        self._turn_is_over = True

    def sync(self) -> None:
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"the log {self.name}: {error.strerror}; see that it is a file that can be written, "
            "and start the node again: nothing was lost"
        )

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
        remove_later_files(self.name, self.begin + self._file.seek(0, os.SEEK_END))
        self._file.truncate(end - self.begin)
        self._file.seek(end - self.begin)
        self.end = end

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from None
        finally:
            if self._lock is not None:
                os.close(self._lock)


def create(name: str, most: float = math.inf) -> Log:
    """Begin a log in the place of any other of this name; raise StorageError if it is in use."""
    if os.path.exists(name) and not os.path.isfile(name):
        if most < math.inf:
            raise StorageError(f"{name} is no regular file, so --log-max-bytes cannot limit it")
        return Log(name, open(name, "wb"))
    found = _open_first(name, most)
    found.cut(0)
    return found


def begin(name: str, most: float, beside: str, mark: int) -> Log:
    """Begin a log, or begin once more the one with this mark.

    Raises StorageError if there is one of this name, which is not of `beside`.
    """
    found = _open_first(name, most)
    taken = [] if os.path.getsize(name) == 0 else [name]
    taken += [name_at(name, later) for later in later_files(name)]
    if taken and found.mark != mark:
        found.close()
        raise StorageError(
            f"{taken[0]} is not empty, and it is not the log of {beside}: the log of another run "
            "is not overwritten; name a new file"
        )
    return found


def resume(name: str, most: float, end: int, beside: str) -> Log:
    """Open the file of a log with the last byte before `end`; raise StorageError if it lacks it."""
    first = max((later for later in later_files(name) if later < end), default=0)
    try:
        file = open(name_at(name, first), "r+b")  # noqa: SIM115
    except FileNotFoundError as error:
        raise StorageError(f"the log of {beside}: {error}; {RESTORE_LOG}") from None
    found = first + file.seek(0, os.SEEK_END)
    if found < end:
        file.close()
        raise StorageError(
            f"{name} is not the log that goes with {beside}: it has {found} bytes, not {end}; "
            f"{RESTORE_LOG}"
        )
    return Log(name, file, first, most, _lock(name))


def _open_first(name: str, most: float) -> Log:
    if position(name):
        raise StorageError(f"{name} is named like a part of another log; name another file")
    if os.path.exists(name) and not os.path.isfile(name):
        raise StorageError(f"{name} is no regular file, so no restart could continue it")
    descriptor = files.create(name)
    try:
        lock = _lock(name)
    except StorageError:
        os.close(descriptor)
        raise
    return Log(name, open(descriptor, "r+b"), most=most, lock=lock)


def _lock(name: str) -> int | None:
    """Lock the first file of a log for this process; raise StorageError if another has done so.

    Return the descriptor that holds the lock; None if there is no such file (it may be removed).
    """
    try:
        descriptor = os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StorageError(f"another node writes {name}: each needs a log of its own") from None
    except OSError:
        # Some network file systems have no locks.
        pass
    return descriptor
