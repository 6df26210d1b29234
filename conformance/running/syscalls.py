"""Record the system calls of a process on files with strace, and parse the recording.

strace runs in a process group of its own, so the process keeps its pid, its exit status and its
signals.  A call is recorded before the process continues after it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CALLS = (
    "open,openat,creat,read,readv,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,"
    "fallocate,fsync,fdatasync,sync,syncfs,rename,renameat,renameat2,unlink,unlinkat,link,linkat,"
    "mmap,copy_file_range,sendfile,splice,io_uring_setup"
)

# Bytes of one call that are recorded; strace allocates four times as many.
LONGEST = 1 << 26


@dataclass(frozen=True)
class Call:
    """A system call that has ended: `arguments` as strace writes them, and what it returned.

    `paths` are the files of its descriptors: of the one that it returned, or of those among its
    arguments.  `begun` is how many calls had ended when it began.
    """

    name: str
    arguments: str
    result: int
    paths: tuple[str, ...]
    begun: int

    @property
    def path(self) -> str:
        return self.paths[0] if self.paths else ""

    def strings(self) -> list[bytes]:
        """The texts among the arguments."""
        return [_bytes(text) for text in _STRING.findall(self.arguments)]

    @property
    def descriptor(self) -> int:
        """The descriptor that is its first argument; -1 if there is none."""
        found = _DESCRIPTOR.match(self.arguments)
        return int(found[1]) if found else -1


@cache
def why_not() -> str:
    """Return why calls cannot be recorded here; "" if they can."""
    if shutil.which("strace") is None:
        return "there is no strace here: install the package strace (apt-get install strace)"
    command = [*recording(Path("/dev/null")), "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 and not done.stderr else f"strace: {done.stderr.strip()}"


def recording(trace: Path) -> list[str]:
    """Return the start of a command line that records the calls of a command in a file."""
    options = ["-DD", "-f", "-y", "-xx", "-qq", "--seccomp-bpf", "--signal=none"]
    return ["strace", *options, "-s", str(LONGEST), "-e", f"trace={CALLS}", "-o", str(trace), "--"]


def calls(trace: Path) -> Iterator[Call]:
    """Yield the calls of a recording that have returned something, in the order of their ends."""
    ended = 0
    open_: dict[str, tuple[str, int]] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            pid, _, text = line.rstrip("\n").partition(" ")
            text, begun = text.lstrip(), ended
            if text.endswith(_UNFINISHED):
                open_[pid] = text.removesuffix(_UNFINISHED), ended
                continue
            if resumed := _RESUMED.match(text):
                first, begun = open_.pop(pid)
                text = first + text[resumed.end() :]
            found = _CALL.fullmatch(text)
            if found is None or found[3] == "?":
                continue
            name, arguments, result, opened = found.groups()
            ended += 1
            paths = [opened] if opened else _PATH.findall(arguments)
            yield Call(name, arguments, int(result, 0), tuple(map(_path, paths)), begun)


_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\w+)(?:<([^>]*)>)?(?:\(deleted\))?(?: .*)?")
_DESCRIPTOR = re.compile(r"(\d+)<")
_PATH = re.compile(r"<([^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _path(text: str) -> str:
    # Sockets, pipes and the like are not written in hexadecimal.
    return os.fsdecode(_bytes(text)) if text.startswith("\\x") else text
