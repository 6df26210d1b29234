"""Files beside the database: made for their owner alone, and known to be on the disk.

What is written into them, and when, is decided elsewhere; nothing here knows a message or SQLite.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

COUNTER = "node.commits"


def make(folder: Path) -> None:
    """Make a directory for its owner alone, whose own entry is on the disk, too."""
    if not folder.is_dir():
        make(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            return
        folder.chmod(0o700)
        sync_directory(folder.parent)


def create(path: Path | str, flags: int = os.O_RDWR) -> int:
    """Open a file; if it is not there, make it for its owner alone, whatever the umask is."""
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # It may also be a link to what is not there.
        return os.open(path, flags | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    sync_directory(Path(path).parent)
    return descriptor


def sync_directory(folder: Path) -> None:
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def last_line(file: BinaryIO, end: int) -> bytes:
    """The line whose end is the byte before `end`, with its end; b"" if no line ends there."""
    line = b""
    while end > 0 and b"\n" not in line[:-1]:
        piece = min(end, 2**16)
        file.seek(end - piece)
        line = file.read(piece) + line
        end -= piece
        if line[-1:] != b"\n":
            return b""
    return line[line.rfind(b"\n", 0, -1) + 1 :]


class Damaged(Exception):
    """A file does not hold what was written into it; the text says which."""


class Counter:
    """A number in a file, which outlives the process but is not synced each time.

    After a power cut it may be an older number, never a newer one.
    """

    LENGTH = 21
    """Bytes of the file: a number that never crosses a sector, and never changes its length."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / COUNTER
        self._descriptor: int | None = None

    def read(self) -> int | None:
        """The number; None if it was never written.  Raises Damaged."""
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
        """The first time since it was opened, the file is synced; `close` syncs it again."""
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
