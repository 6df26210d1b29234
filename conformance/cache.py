"""Results of `check` in files, each named by a checksum of everything that it depends on.

Only complete results that pass are stored, so a cache cannot turn a failure into a pass.  A file
that is not whole, or whose content is not what was written, counts as absent.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .locations import PACKAGE

HARNESS = PACKAGE

# What the harness itself runs on: versions of the packages, where they are pinned.
_ENVIRONMENT = (HARNESS.parent / "constraints.txt",)

Json = Any


class Cache:
    """A folder of results; without a folder nothing is found and nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, kind: str, key: str) -> Json | None:
        """Return the result that was stored under a key, None if there is none."""
        if self._folder is None:
            return None
        try:
            digest, _, content = self._path(kind, key).read_bytes().partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() != digest:
                return None
            stored = json.loads(gzip.decompress(content))
        except (OSError, EOFError, ValueError, zlib.error):
            return None
        # A file that was copied to another name is no result of that name.
        return stored["value"] if stored["key"] == [kind, key] else None

    def put(self, kind: str, key: str, value: Json) -> None:
        """Store a result, which JSON can hold; the file is complete or not there."""
        if self._folder is None:
            return
        path = self._path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = json.dumps({"key": [kind, key], "value": value}, separators=(",", ":"))
        content = gzip.compress(stored.encode(), 1, mtime=0)
        digest = hashlib.sha256(content).hexdigest().encode()
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(digest + b"\n" + content)
        new.replace(path)

    def _path(self, kind: str, key: str) -> Path:
        assert self._folder is not None
        return self._folder / kind / f"{key}.gz"


def key(*parts: Json) -> str:
    """Return the checksum of what a result depends on, given as values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def files(paths: Iterable[Path]) -> Mapping[str, str]:
    """Return the checksum of each file by its path."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


@cache
def code(*modules: str) -> str:
    """Return a checksum of modules of the harness and of all that they import, directly or not.

    A module is named without the package, as "golden.generate".  The schemas, the version of
    Python and the pinned packages count as well.
    """
    found: set[Path] = set()
    new = {HARNESS.joinpath(*name.split(".")).with_suffix(".py") for name in modules}
    while new:
        found |= new
        new = {path for each in new for path in imported(each)} - found
    schemas = HARNESS.glob("schemas/*.json")
    environment = (path for path in _ENVIRONMENT if path.is_file())
    return key(files([*found, *schemas, *environment]), sys.version)


def imported(path: Path) -> set[Path]:
    """Return the modules of the harness that a module imports, with their packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or _is_own(node.module)):
            base = path.parents[node.level - 1] if node.level else HARNESS.parent
            package = base.joinpath(*(node.module or "").split("."))
            places = [package, *(package / each.name for each in node.names)]
        elif isinstance(node, ast.Import):
            named = [each.name for each in node.names if _is_own(each.name)]
            places = [HARNESS.parent.joinpath(*name.split(".")) for name in named]
        else:
            continue
        found |= {file for place in places for file in _files_of(place)}
    return found


def _is_own(module: str | None) -> bool:
    return (module or "").split(".")[0] == HARNESS.name


def _files_of(place: Path) -> list[Path]:
    return [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]
