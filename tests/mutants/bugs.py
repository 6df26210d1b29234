"""Bugs written by hand: `bugs.toml`, a patch each.

A patch names text that must stand in a module exactly once.  One that no longer fits is an error,
for a bug that is not there would be a node that survives, or worse, one that is not missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tomlkit

from .sources import Mutant, Texts, read

FILE = Path(__file__).parent / "bugs.toml"
BREAKS = ("safety", "liveness", "client", "process", "growth")


class PatchError(Exception):
    """A patch that does not fit; the text says which, and why."""


@dataclass(frozen=True)
class Edit:
    """In this module, `old` becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """What a bug is, in a sentence; what it breaks; its twin among the broken models, if any."""

    name: str
    what: str
    breaks: str
    edits: tuple[Edit, ...]
    twin: str = ""

    def mutant(self) -> Mutant:
        """The node with this bug; raises PatchError unless every edit fits exactly once."""
        texts: dict[str, str] = {}
        for edit in self.edits:
            text = texts.get(edit.module) or read(edit.module)
            if text.count(edit.old) != 1:
                raise PatchError(
                    f"{self.name}: in {edit.module}.py {text.count(edit.old)} places "
                    f"have this text, and one should:\n{edit.old}"
                )
            texts[edit.module] = text.replace(edit.old, edit.new)
        check_compiles(self.name, texts)
        return Mutant(self.name, texts)


def check_compiles(name: str, texts: Texts) -> None:
    for module, text in texts.items():
        try:
            compile(text, module, "exec")
        except SyntaxError as error:
            raise PatchError(f"{name}: {module}.py is no Python any more: {error}") from None


def load() -> list[Bug]:
    """All bugs of the file, in its order; raises PatchError for one that is told wrong."""
    found = []
    for name, table in tomlkit.parse(FILE.read_text("utf-8")).unwrap().items():
        edits = tuple(Edit(**edit) for edit in table.pop("edit"))
        bug = Bug(name, edits=edits, **table)
        if bug.breaks not in BREAKS:
            raise PatchError(f"{name}: breaks is one of {', '.join(BREAKS)}, not {bug.breaks}")
        found.append(bug)
    return found
