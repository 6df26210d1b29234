"""Folders that a command empties before it writes, unless they were not made by a command."""

from __future__ import annotations

import shutil
from pathlib import Path

from .logs import LogError

MARK = ".made-by-conformance"
"""A file in each folder that was made here, and that may therefore be deleted here."""


def fresh(folder: Path) -> Path:
    """Make a folder with nothing in it but the mark; return it.

    Deletes what an earlier call has made.  Raises `LogError` for a folder with content that has no
    mark, for a link and for a file.
    """
    if folder.is_symlink() or (folder.exists() and not _is_ours(folder)):
        raise LogError(
            f"{folder}: it is there already, and this program has not made it; remove it or name "
            "another place"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))
