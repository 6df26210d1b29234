"""The plan of a grade: stages, cases, sizes, seeds and folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import TypeVar

from ..formats.folders import fresh

Item = TypeVar("Item")

STAGES = ("challenge", "framing", "replay", "record", "faults")


@dataclass(frozen=True)
class Plan:
    """What is checked of a node, with which seed, and where results are written.

    Golden traces are those in the folder `golden`, or are generated from `models`, by default all
    models with golden traces.  `patience` is the number of seconds that a node has for a reply and
    for a case of the challenge.  `cases` are patterns of case names; `sample` limits the number of
    cases of the challenge, of framing and of replay, drawn at random from `seed`.  `opaque`: the
    node is of any system; without it, that is detected.
    """

    output: Path
    stages: Collection[str] = STAGES
    without: Collection[str] = ()
    golden: Path | None = None
    models: Sequence[str] = ()
    clusters: Sequence[int] = (3, 5)
    requests: int = 200
    seconds: float = 15.0
    kills: int = 10
    seed: int = 1
    patience: float = 5.0
    cases: Sequence[str] = ()
    sample: int | None = None
    opaque: bool = False
    matched: set[str] = field(default_factory=set, compare=False)

    def folder(self, name: str) -> Path:
        """Make an empty folder for one stage; raises `LogError` as `fresh` does."""
        return fresh(self.output / name)

    def selects(self, name: str) -> bool:
        """Return whether a case is to be run, and note which patterns it matches."""
        names = (name, name.partition(": ")[2])
        found = {
            pattern
            for pattern in self.cases
            if any(pattern == each or fnmatchcase(each, pattern) for each in names)
        }
        self.matched.update(found)
        return bool(found) or not self.cases

    def select(self, items: Sequence[Item], name: Callable[[Item], str]) -> list[Item]:
        """Return the items whose case is to be run: by its name, or by the sample."""
        chosen = [item for item in items if self.selects(name(item))]
        if self.sample is None or len(chosen) <= self.sample:
            return chosen
        places = Random(f"{self.seed} sample").sample(range(len(chosen)), self.sample)
        return [chosen[place] for place in sorted(places)]

    @property
    def unmatched(self) -> list[str]:
        """The patterns that have matched no case so far."""
        return [pattern for pattern in self.cases if pattern not in self.matched]

    def errors(self, stage: str, case: str) -> Path:
        """Return the file for a node's standard error in a case."""
        folder = self.output / "stderr"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{file_name(stage, case)}.txt"


def file_name(stage: str, case: str) -> str:
    """Return a name for files about a case, made of plain letters."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{stage} {case}".replace(".ndjson", "")).strip("-")[:100]
