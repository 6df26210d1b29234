"""Simulate power cuts: a node's files keep what was synced, and a random part of the rest.

A sync of a file makes durable its content and all names that were created, changed or removed
before, as the journals of ext4 and XFS do.  Of the writes after the last sync each may be on the
disk or not, whole or torn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ..formats.log_files import files_of, log_of
from .syscalls import Call

Write = tuple[int, bytes | None]
"""An offset and the bytes there; or, with None, the new size of the file."""

# Bytes that a disk writes atomically.
SECTOR = 512

SYNCS = ("fsync", "fdatasync", "sync", "syncfs")
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
RENAMES = ("rename", "renameat", "renameat2", "unlink", "unlinkat")
UNSUPPORTED = ("link", "linkat", "copy_file_range", "sendfile", "splice", "fallocate")

# The suffix of SQLite's shared memory, which it rebuilds from the write-ahead log.
SHARED_MEMORY = "-shm"


class UnsupportedCall(Exception):
    """A node uses files in a way that is not supported here; the text names it."""


@dataclass
class File:
    """The durable content of a file, and the pending writes with the numbers of their calls."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Write]] = field(default_factory=list)
    size: int = 0

    def write(self, call: int, write: Write) -> None:
        self.pending.append((call, write))
        offset, data = write
        self.size = offset if data is None else max(self.size, offset + len(data))

    def sync(self, before: int) -> None:
        """Make durable what calls with a number below `before` have written."""
        for call, write in self.pending:
            if call < before:
                put(self.content, write)
        self.pending = [(call, write) for call, write in self.pending if call >= before]

    def left(self, rng: Random | None) -> bytes:
        """Return the content after a power cut; without `rng`, only what is durable."""
        left = bytearray(self.content)
        for write in _survivors([write for _, write in self.pending], rng):
            put(left, write)
        return bytes(left)


def put(content: bytearray, write: Write) -> None:
    """Apply a write to the content of a file."""
    offset, data = write
    end = offset + len(data or b"")
    content.extend(bytes(max(0, end - len(content))))
    if data is None:
        del content[offset:]
    else:
        content[offset:end] = data


def _survivors(writes: list[Write], rng: Random | None) -> Iterator[Write]:
    """Yield some of the writes that were not synced: none, the first ones, or any, some torn."""
    how = rng.choice(("none", "first", "any")) if rng else "none"
    if rng is None or how == "none":
        return
    if how == "first":
        yield from writes[: rng.randint(0, len(writes))]
        return
    for offset, data in writes:
        if rng.random() < 0.5:
            if data is not None and rng.random() < 0.3:
                data = data[: rng.randrange(len(data) + 1) // SECTOR * SECTOR]
            yield offset, data


class Disk:
    """The files of a node in some places, tracked through its system calls.

    `places` are files and folders; the node's other files are ignored, but not those that continue
    a log.  The content at the beginning is durable.
    """

    def __init__(self, places: Iterable[Path]) -> None:
        self.places = [str(place.resolve()) for place in places]
        self.calls = 0
        self._names: dict[str, File] = {}
        for path in filter(self._is_ours, self._found()):
            content = bytearray(Path(path).read_bytes())
            self._names[path] = File(content, size=len(content))
        self._durable = dict(self._names)
        # Names that were added since the last sync, or removed (with None).
        self._renamed: list[tuple[str, File | None]] = []
        self._offsets: dict[tuple[int, str], int] = {}
        self._appends: set[tuple[int, str]] = set()
        self._synced: set[tuple[int, str]] = set()

    def _found(self) -> Iterator[str]:
        for place in map(Path, self.places):
            inside = place.rglob("*") if place.is_dir() else files_of(place)
            yield from (str(path) for path in inside if path.is_file())

    def _is_ours(self, path: str) -> bool:
        log = str(log_of(Path(path)))
        inside = any(log == place or path.startswith(f"{place}/") for place in self.places)
        return inside and not path.endswith(SHARED_MEMORY)

    # System calls of the node.

    def take(self, call: Call) -> None:
        """Process a call; raise `UnsupportedCall` if it is not supported."""
        self.calls += 1
        if call.name == "io_uring_setup":
            raise UnsupportedCall("io_uring_setup")
        if call.result < 0:
            return
        if call.name in SYNCS:
            self._sync(call)
        elif call.name in RENAMES:
            self._rename(call)
        elif call.name == "truncate":
            self._truncate(_absolute(call.strings()[0].decode()), call)
        elif any(map(self._is_ours, call.paths)):
            self._take_file_call(call, (_descriptor(call), call.path))

    def _take_file_call(self, call: Call, opened: tuple[int, str]) -> None:
        """Process a call on a descriptor of a file."""
        if call.name in ("open", "openat", "creat"):
            self._open(call, opened)
        elif call.name in WRITES:
            self._write(call, opened)
        elif call.name == "ftruncate":
            self._truncate(call.path, call)
        elif call.name == "lseek":
            self._offsets[opened] = call.result
        elif call.name in ("read", "readv"):
            self._offsets[opened] = self._offsets.get(opened, 0) + call.result
        elif call.name in UNSUPPORTED or _maps_for_writing(call):
            raise UnsupportedCall(f"{call.name} of {call.path}")

    def _open(self, call: Call, opened: tuple[int, str]) -> None:
        flags, path = call.arguments, call.path
        creates = "O_CREAT" in flags or call.name == "creat"
        if path not in self._names and creates and not os.path.isdir(path):
            self._names[path] = File()
            self._renamed.append((path, self._names[path]))
        elif path in self._names and ("O_TRUNC" in flags or call.name == "creat"):
            self._names[path].write(self.calls, (0, None))
        self._offsets[opened] = 0
        for flag, chosen in (("O_APPEND", self._appends), ("SYNC", self._synced)):
            (chosen.add if flag in flags else chosen.discard)(opened)

    def _write(self, call: Call, opened: tuple[int, str]) -> None:
        data = b"".join(call.strings())[: call.result]
        if opened not in self._offsets or len(data) < call.result:
            raise UnsupportedCall(f"{call.name} of {call.path}")
        file = self._names[call.path]
        if call.name.startswith("p"):
            [*_, offset] = re.findall(r"\], \d+, (\d+)|, (\d+)$", call.arguments)
            at = int("".join(offset))
        else:
            at = file.size if opened in self._appends else self._offsets[opened]
            self._offsets[opened] = at + len(data)
        file.write(self.calls, (at, data))
        if opened in self._synced:
            file.sync(self.calls + 1)

    def _truncate(self, path: str, call: Call) -> None:
        if path in self._names:
            size = int(call.arguments.rpartition(", ")[2])
            self._names[path].write(self.calls, (size, None))

    def _rename(self, call: Call) -> None:
        old, *new = (_absolute(text.decode(), call.path) for text in call.strings())
        file = self._names.pop(old, None)
        if file is not None:
            self._renamed.append((old, None))
        for path in filter(self._is_ours, new):
            self._names[path] = file or File()
            self._renamed.append((path, self._names[path]))

    def _sync(self, call: Call) -> None:
        for path, file in self._names.items():
            if call.name in ("sync", "syncfs") or path == call.path:
                file.sync(call.begun + 1)
        _renew(self._durable, self._renamed)
        self._renamed = []

    # Power cuts.

    def left(self, rng: Random | None = None) -> dict[str, bytes]:
        """Return the files after a power cut now; without `rng`, only what is durable."""
        names = dict(self._durable)
        kept = rng.randint(0, len(self._renamed)) if rng else 0
        _renew(names, self._renamed[:kept])
        return {path: file.left(rng) for path, file in names.items()}

    def cut(self, files: dict[str, bytes]) -> None:
        """Replace the files by what a power cut has left."""
        for path in self._found():
            if path not in files:
                os.unlink(path)
        for path, content in files.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(content)


def _renew(names: dict[str, File], renamed: Collection[tuple[str, File | None]]) -> None:
    for path, file in renamed:
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _descriptor(call: Call) -> int:
    return call.result if call.name in ("open", "openat", "creat") else call.descriptor


def _maps_for_writing(call: Call) -> bool:
    return "PROT_WRITE" in call.arguments and "MAP_SHARED" in call.arguments


def _absolute(path: str, folder: str = "") -> str:
    # The process has this process's working directory.
    return os.path.normpath(os.path.join(os.getcwd(), folder, path))
