"""Write exported files without overwriting anything but earlier exports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..formats import log_files
from .shiviz import PARSER

MADE_BY = "made by multipaxos conformance"
"""Marks a file as an export, near its beginning; a ShiViz file has no place for it."""

# In how many bytes the mark is searched.
_BEGINNING = 2_000


class ExportError(Exception):
    """An export is not possible; the text says why and what to do."""


def check(path: Path, sources: Iterable[Path], force: bool = False) -> None:
    """Raise `ExportError` if a file exists that is not an export, or if it is one of a source.

    A source is a log, which may have several files; a new file must not continue it.  With `force`,
    any other file may be overwritten.  A link is never followed.
    """
    if any(log_files.has(log_files.log_of(source), path) for source in sources):
        raise ExportError(f"{path} is the log itself; name another file")
    if not (path.exists() or path.is_symlink()):
        return
    if path.is_dir():
        raise ExportError(f"{path} is a folder; name a file")
    if not force and (path.is_symlink() or not _is_ours(path)):
        raise ExportError(
            f"{path} exists and was not made by an export; remove it, name another file or "
            "add --force"
        )


def write(path: Path, text: str, sources: Iterable[Path], force: bool = False) -> None:
    """Write a file, whole or not at all; raises `ExportError` as `check` does."""
    check(path, sources, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    # A lone surrogate in the name of a file has no encoding and is escaped.
    part.write_text(text, "utf-8", "backslashreplace")
    part.replace(path)


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING).decode("utf-8", "replace")
    return not beginning or MADE_BY in beginning or beginning.startswith(f"{PARSER}\n")
