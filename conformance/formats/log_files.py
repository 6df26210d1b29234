"""The files of a message log: FILE, and those that continue it where the one before ends.

The name of each other one is FILE and its position, how many bytes of the log come before it, as 20
digits: n1.ndjson.00000000000001048600.  It is above 0, where FILE itself begins.  Node and harness
know the same names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

# `\d` would match the digits of other scripts, and `.` no newline, which a name may have.
_LATER = re.compile(r"(.+)\.(?!0{20})([0-9]{20})", re.DOTALL)


def log_of(path: Path) -> Path:
    """Return the log that a file belongs to, as the name of its first file."""
    later = _LATER.fullmatch(path.name)
    return path.with_name(later[1]) if later else path


def position(file: Path) -> int:
    """Return how many bytes of a log come before this file of it."""
    later = _LATER.fullmatch(file.name)
    return int(later[2]) if later else 0


def files_of(log: Path) -> list[Path]:
    """Return the files of a log that exist, in order.  An empty one begins what was not saved."""
    # Of a folder with thousands of logs, `glob` would take most of the time of reading them.
    names = os.listdir(log.parent) if log.parent.is_dir() else []
    near = (log.with_name(name) for name in names if name.startswith(log.name))
    found = [path for path in near if log_of(path) == log]
    return sorted((path for path in found if path == log or path.stat().st_size), key=position)


def has(log: Path, file: Path) -> bool:
    """Return whether a file is one of a log that exists, or would be by its name."""
    files = files_of(log)
    if file.exists() and any(map(file.samefile, files)):
        return True
    return bool(files) and os.path.realpath(log_of(file)) == os.path.realpath(log)


def size(log: Path) -> int:
    """Return how many bytes the files of a log have."""
    return sum(file.stat().st_size for file in files_of(log))


def logs_in(folder: Path) -> list[Path]:
    """Return the logs in a folder and its folders, named *.ndjson; some may lack files."""
    return sorted(set(_logs(folder.rglob("*.ndjson*"))))


def _logs(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file() and (log := log_of(path)).name.endswith(".ndjson"):
            yield log


def missing_part(log: Path) -> str | None:
    """Return what is missing of a log, and what to do; None if its files are without a gap."""
    files = files_of(log)
    if files and position(files[0]):
        return (
            f"{files[0]}: the log begins in the middle: {position(files[0]):,} bytes before this "
            "file are missing; bring back its first files, or start the node once without --log "
            "and then with a new file, which begins with the state"
        )
    for file, later in pairwise(files):
        end = position(file) + file.stat().st_size
        if end != position(later):
            return (
                f"{later}: the file before it ends with byte {end:,} of the log, not "
                f"{position(later):,}: bring back what is missing"
            )
    return None
