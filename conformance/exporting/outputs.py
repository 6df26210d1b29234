"""Files that are written for other tools and people, and never in the place of anything else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .shiviz import PARSER

MADE_BY = "made by multipaxos conformance"
"""Stands near the beginning of a file that was made here, but for one for ShiViz."""

# Where it is looked for, in bytes.
_BEGINNING = 2_000


class ExportError(Exception):
    """What was asked for cannot be written; the text says why and what to do."""


def check(path: Path, sources: Iterable[Path], force: bool = False) -> None:
    """Raises `ExportError` unless a file may be written: there is none, or one that was made here.

    With `force` any file may, but never one of the sources.  A link is never followed.
    """
    if not (path.exists() or path.is_symlink()):
        return
    if any(source.exists() and path.exists() and path.samefile(source) for source in sources):
        raise ExportError(f"{path} is the log itself; name another file")
    if path.is_dir():
        raise ExportError(f"{path} is a folder; name a file")
    if not force and (path.is_symlink() or not _is_ours(path)):
        raise ExportError(
            f"{path} is there already, and no export has made it; remove it, name another file or "
            "add --force"
        )


def write(path: Path, text: str, sources: Iterable[Path], force: bool = False) -> None:
    """Writes a file, whole or not at all; raises `ExportError` as `check` does."""
    check(path, sources, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    # What has no bytes, a lone surrogate in the name of a file, is escaped.
    part.write_text(text, "utf-8", "backslashreplace")
    part.replace(path)


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING).decode("utf-8", "replace")
    return not beginning or MADE_BY in beginning or beginning.startswith(f"{PARSER}\n")
