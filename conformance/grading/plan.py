"""What a grade asks of a node, which nothing that a node does can change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats.folders import fresh

STAGES = ("challenge", "feeding", "replay", "record", "faults")


@dataclass(frozen=True)
class Plan:
    """What is asked of a node: how much, by which chance, and where it is written down.

    Golden logs are those of the folder `golden`; without it they are made of `models`, by default
    of all that are meant for it.  `patience` is how many seconds the node has for an answer, and
    for a case of the challenge.
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

    def folder(self, name: str) -> Path:
        """Make a folder for one stage, with nothing in it; raises `LogError` as `fresh` does."""
        return fresh(self.output / name)
