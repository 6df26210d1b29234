"""Branch coverage of the specification: which branches no model evaluates.

The branches of every operator that Init and Next use are read from the text of the modules.  Each
is marked in a copy (see tla/Taken.tla).  TLC runs models with the copy in the place of the original
and prints each mark that it evaluates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .. import guard
from ..jobs import at_once
from ..locations import SPEC
from ..tlaplus import tlc
from .manifest import LIBRARIES, Model

# The modules whose branches are counted, and what their behaviours are made of.
ROOTS = {
    "Consensus": ("Init", "Next"),
    "Voting": ("Init", "Next"),
    "VoteLogs": ("Accepted",),
    "MultiPaxos": ("Init", "Next"),
    "Liveness": ("LossyInit", "LossyNext", "LossyStep"),
}

_OPENERS = ("THEN", "ELSE", "IN", "/\\", "\\/")
_TOKEN = re.compile(r'"[^"]*"|/\\|\\/|\\\w+|\w+|[^\s\w]')
_DEFINITION = re.compile(r"(?m)^(\w+)(?:\([^)]*\))? ==")
_COMMENT = re.compile(r"\(\*.*?\*\)|\\\*[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class Branch:
    """A part of an operator that TLC may or may not evaluate, and where it begins in the text."""

    module: str
    operator: str
    at: int
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"spec/{self.module}.tla:{self.line}"

    def uncovered(self) -> str:
        """Return the message for an uncovered branch."""
        return f"{self.place}: uncovered branch of {self.operator}: {self.text}"


def plain(text: str) -> str:
    """Return the text of a module with blanks for its comments; every position stays the same."""
    return _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def bodies(text: str) -> dict[str, tuple[int, int]]:
    """Return where the definition of each operator begins and ends in a text without comments."""
    heads = list(_DEFINITION.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: (head.end(), end) for head, end in zip(heads, ends, strict=True)}


def words(text: str) -> set[str]:
    """Return all names and keywords in a text."""
    return set(re.findall(r"\w+", text))


def branches(
    module: str, text: str, roots: Iterable[str], replaced: Iterable[str] = ()
) -> list[Branch]:
    """Return the branches of the operators that the roots use, in the text of a module.

    Operators that are replaced have none.  Raises `ToolError` if a root is missing: without it
    there would be no branch to cover.
    """
    bare = plain(text)
    every = bodies(bare)
    if missing := set(roots) - every.keys():
        raise tlc.ToolError(f"{module} does not define {', '.join(sorted(missing))}")
    found = {name: body for name, body in every.items() if name not in set(replaced)}
    used: set[str] = set()
    new = set(roots) & found.keys()
    while new:
        used |= new
        named = words(" ".join(bare[slice(*found[name])] for name in new))
        new = (named & found.keys()) - used
    return [
        Branch(module, name, at, bare.count("\n", 0, at) + 1, text[at:].split("\n", 1)[0])
        for name, body in found.items()
        if name in used
        for at in _places(name, bare, *body)
    ]


def _places(operator: str, bare: str, start: int, end: int) -> Iterator[int]:
    """Yield where the branches of one operator begin.

    Raises `ValueError` for an operator with a CASE: the mark, which is a CASE itself, would take
    its arms.
    """
    tokens = [(found[0], found.start()) for found in _TOKEN.finditer(bare, start, end)]
    if "CASE" in {token for token, _ in tokens}:
        raise ValueError(f"{operator} has a CASE: write IF, so that it can be marked")
    for (opener, _), (first, at) in pairwise(tokens):
        # A bullet opens a branch of its own.
        if opener in _OPENERS and first not in ("/\\", "\\/"):
            yield at


def marked(text: str, found: Sequence[Branch], first: int) -> str:
    """Return the text of a module with its branches marked by numbers from `first` on."""
    pieces, last = [], 0
    for number, branch in enumerate(found, first):
        # Bullets mean something by their column, so what follows stays in its own.
        column = branch.at - text.rfind("\n", 0, branch.at) - 1
        pieces += [text[last : branch.at], f"CASE Took({number}) ->\n{' ' * column}"]
        last = branch.at
    copy = "".join([*pieces, text[last:]])
    if re.search(r"(?m)^EXTENDS ", copy):
        return re.sub(r"(?m)^EXTENDS ", "EXTENDS Taken, ", copy, count=1)
    return re.sub(r"(?m)^(-+ MODULE \w+ -+)$", r"\1\nEXTENDS Taken", copy, count=1)


@dataclass(frozen=True)
class Coverage:
    """All branches, the uncovered ones, and the names of the models that covered the others."""

    branches: list[Branch]
    uncovered: list[Branch]
    models: list[str]
    cached: bool = False


def every_branch() -> list[Branch]:
    """Return the branches of all modules in `ROOTS`."""
    return [
        branch
        for name in ROOTS
        for branch in branches(name, source(name).read_text("utf-8"), ROOTS[name])
    ]


def source(module: str) -> Path:
    """Return the file of a module of the specification."""
    return SPEC / f"{module}.tla"


def measure(
    models: Iterable[Model], on_progress: Callable[[str, float], None] = lambda text, fraction: None
) -> Coverage:
    """Run models, as many at a time as there are cores, until every branch is covered."""
    every = every_branch()
    covered: set[int] = set()
    used: list[str] = []
    with guard.scratch("coverage-") as scratch:
        for name in ROOTS:
            own = [branch for branch in every if branch.module == name]
            copy = marked(source(name).read_text("utf-8"), own, every.index(own[0]) + 1)
            (scratch / f"{name}.tla").write_text(copy, "utf-8")

        def marks(model: Model) -> set[int]:
            if len(covered) == len(every):
                return set()
            share = len(covered) / len(every)
            on_progress(f"{len(covered)} of {len(every)} branches, {model.name}", share)
            outcome = tlc.run(
                *model.sources(),
                libraries=[scratch, *LIBRARIES],
                workers=model.workers,
                brief=model.brief,
            )
            return {int(json.loads(line)) for line in outcome.printed}

        for model, found in at_once(marks, models):
            used += [model.name] * (not found <= covered)
            covered |= found
    left = [branch for number, branch in enumerate(every, 1) if number not in covered]
    return Coverage(every, left, used)
