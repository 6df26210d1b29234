"""The node's sources as text, and copies of the node with some of them changed.

Nothing here knows why a text is changed, or what is done with a copy.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
IMPL = ROOT / "impl"
PACKAGE = IMPL / "multipaxos"

Texts = Mapping[str, str]
"""The names of modules, and their texts."""


@dataclass(frozen=True)
class Mutant:
    """A node with something changed: what it is called, and the changed modules.

    Names must be unique.
    """

    name: str
    texts: Texts

    def digest(self) -> str:
        """Equal for two mutants only if the same is changed in the same way."""
        return hashlib.sha256(repr(sorted(self.texts.items())).encode()).hexdigest()[:16]


RIGHT = Mutant("the right node", {})


def read(module: str) -> str:
    return (PACKAGE / f"{module}.py").read_text("utf-8")


def copy(mutant: Mutant, folder: Path) -> None:
    """Write a mutant's whole node into a folder that is not there."""
    # What is compiled already is copied, too, or each copy would take its time to begin.
    stale = shutil.ignore_patterns(*(f"{module}.*.pyc" for module in mutant.texts))
    shutil.copytree(IMPL, folder, ignore=stale)
    for module, text in mutant.texts.items():
        (folder / "multipaxos" / f"{module}.py").write_text(text, "utf-8")


def digest(paths: Iterable[Path]) -> str:
    """Of the contents and names of files, in any order."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(
            f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}\0".encode()
            + hashlib.sha256(path.read_bytes()).digest()
        )
    return found.hexdigest()[:16]
