"""Files and directories that only their owner may read, with their entries synced to the disk.

Callers decide what to write and when; nothing here knows a message or SQLite.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

COUNTER = "node.commits"

CACHE_KIB = 4096
"""The usual page cache of SQLite, in KiB: the only memory that decided values take."""

NO_LOG = -1
"""The length of the message log if none covers all that the directory holds."""

RESTORE_LOG = "bring it back, or start once without --log, and then with a new file"


class StorageError(Exception):
    """The directory cannot be used, or no longer; the text says why, and what to do."""


class Damaged(Exception):
    """A file does not hold what was written into it; the text names it."""


def make_directory(folder: Path) -> None:
    """Make a directory, and its parents, for their owner alone; sync the entry of each."""
    if not folder.is_dir():
        make_directory(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            return
        folder.chmod(0o700)
        sync_directory(folder.parent)


def create(path: Path | str, flags: int = os.O_RDWR) -> int:
    """Open a file and return its descriptor.

    A new file is for its owner alone, whatever the umask.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # It may also be a dangling symbolic link.
        return os.open(path, flags | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    sync_directory(os.path.dirname(path) or os.curdir)
    return descriptor


def sync_directory(folder: Path | str) -> None:
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def last_line(file: BinaryIO, end: int) -> bytes:
    """Return the line whose newline is right before byte `end`; b"" if there is none."""
    line = b""
    while end > 0 and b"\n" not in line[:-1]:
        piece = min(end, 2**16)
        file.seek(end - piece)
        line = file.read(piece) + line
        end -= piece
        if line[-1:] != b"\n":
            return b""
    return line[line.rfind(b"\n", 0, -1) + 1 :]


class Counter:
    """A number in a file, which survives the process and is not synced at each write.

    After a power cut the file may hold an older number, never a newer one.
    """

    LENGTH = 21
    """Bytes of the file.  Its length never changes, and it stays within a sector."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / COUNTER
        self._descriptor: int | None = None

    def read(self) -> int | None:
        """Return the number; None if it was never written.  Raises Damaged."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if not text:
            return None
        if len(text) != self.LENGTH or not text[:-1].isdigit():
            raise Damaged(f"{self.path} is damaged")
        return int(text)

    def write(self, number: int) -> None:
        """Write the number.  The first write syncs the file, and `close` syncs it again."""
        text = b"%020d\n" % number
        if self._descriptor is None:
            self._descriptor = create(self.path)
            os.pwrite(self._descriptor, text, 0)
            os.fsync(self._descriptor)
        else:
            os.pwrite(self._descriptor, text, 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
