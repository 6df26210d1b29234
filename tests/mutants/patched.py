"""Import the node with some of its modules changed, without a copy of it on the disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

from .sources import PACKAGE, Texts, read

NODE = "multipaxos"
SIBLINGS = re.compile(r"(?m)^\s*from \.(\w*) import (\w+(?:, \w+)*)?")


@contextmanager
def patched(texts: Texts, *reloaded: str) -> Iterator[None]:
    """Within the block, imports of the node's modules find these texts.

    Modules of the node that depend on none of the texts stay the same objects.  `reloaded` are
    names of other modules or packages that are imported anew, too.  What was imported within the
    block keeps its modules after it.
    """
    changed = {f"{NODE}.{module}" for module in (*texts, *dependents(texts))}

    def loaded() -> dict[str, ModuleType]:
        return {
            name: module
            for name, module in sys.modules.items()
            if name in changed or any(f"{name}.".startswith(f"{each}.") for each in reloaded)
        }

    before, finder = loaded(), PatchFinder(texts)
    forget(before)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        forget(loaded())
        for name, module in before.items():
            sys.modules[name] = module
            bind(name, module)


def dependents(texts: Texts) -> set[str]:
    """Return the modules of the node that import one of these, directly or not."""
    imports = {path.stem: siblings(read(path.stem)) for path in PACKAGE.glob("[a-z]*.py")}
    found = set(texts)
    while more := {module for module, used in imports.items() if used & found} - found:
        found |= more
    return found - set(texts)


def siblings(source: str) -> set[str]:
    """Return the modules of the same package that a source imports."""
    found: set[str] = set()
    for module, names in SIBLINGS.findall(source):
        found |= {module} if module else set(names.split(", "))
    return found


def forget(names: Iterable[str]) -> None:
    """Remove modules, so that the next import of each makes it anew."""
    for name in names:
        sys.modules.pop(name, None)
        package, _, module = name.rpartition(".")
        # `from package import module` looks at the package first.
        vars(sys.modules.get(package, ModuleType("none"))).pop(module, None)


def bind(name: str, module: ModuleType) -> None:
    package, _, last = name.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], last, module)


class PatchFinder(MetaPathFinder):
    """Finds the changed modules, before the finders that know the files."""

    def __init__(self, texts: Texts) -> None:
        self.texts = {f"{NODE}.{module}": text for module, text in texts.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.texts:
            return None
        return spec_from_loader(fullname, TextLoader(self.texts[fullname]))


class TextLoader(SourceLoader):
    """Loads a module from a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_filename(self, fullname: str) -> str:
        return f"<{fullname}, patched>"

    def get_data(self, path: str) -> bytes:
        return self.text.encode()
