"""Read the catalogue of node bugs, `bugs.toml`: a patch each.

A patch names text that must stand in a module exactly once.  A patch that does not fit is an error:
it would leave the node as it is, and the node would count as a mutant that survives.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sources import Mutant, Texts, read

FILE = Path(__file__).parent / "bugs.toml"
BREAKS = ("safety", "liveness", "client", "process", "growth")


class PatchError(Exception):
    """A patch does not fit; the text is its name and the reason."""


@dataclass(frozen=True)
class Edit:
    """A change in one module: `old` becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """A bug: a sentence about it, what it breaks, and the same bug among the mutants of the
    specification, if there is one."""

    name: str
    what: str
    breaks: str
    edits: tuple[Edit, ...]
    spec_mutant: str = ""

    @property
    def modules(self) -> set[str]:
        """The modules that the patch changes."""
        return {edit.module for edit in self.edits}

    def mutant(self) -> Mutant:
        """Return the node with this bug; raise PatchError unless every edit fits exactly once."""
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
            raise PatchError(f"{name}: {module}.py is no longer Python: {error}") from None


def parsed(text: str) -> dict[str, Any]:
    """Read TOML with the standard library, which is fast, or else with tomlkit."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomlkit

        return tomlkit.parse(text).unwrap()
    return tomllib.loads(text)


def load() -> list[Bug]:
    """Return all bugs in the order of the file; raise PatchError for a malformed entry."""
    found = []
    for name, table in parsed(FILE.read_text("utf-8")).items():
        edits = tuple(Edit(**edit) for edit in table.pop("edit"))
        bug = Bug(name, edits=edits, **table)
        if bug.breaks not in BREAKS:
            raise PatchError(f"{name}: breaks is one of {', '.join(BREAKS)}, not {bug.breaks}")
        found.append(bug)
    return found
