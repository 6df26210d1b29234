"""Why mutants that a tool has made survive: `survivors.toml`, an explanation for each.

An explanation names its mutants as `machine` describes them.  One that is no longer true is an
error, for it would hide what comes next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from .machine import Change

FILE = Path(__file__).parent / "survivors.toml"
EQUIVALENT, GAP = "equivalent", "gap"


class ExplanationError(Exception):
    """An explanation that is malformed."""


@dataclass(frozen=True)
class Explanation:
    """Whether a mutant does the same as the node, or is missed; and why."""

    verdict: str
    why: str


def load(file: Path = FILE) -> dict[Change, Explanation]:
    found: dict[Change, Explanation] = {}
    for table in tomlkit.parse(file.read_text("utf-8")).unwrap().get("survivor", ()):
        explanation = Explanation(table["verdict"], table["why"])
        if explanation.verdict not in (EQUIVALENT, GAP) or not explanation.why:
            raise ExplanationError(f"{file.name}: {table['line']}: equivalent or gap, and why?")
        for mutated in table["mutated"]:
            change = Change(table["module"], table["place"], table["line"], mutated)
            if change in found:
                raise ExplanationError(f"{file.name}: listed twice: {change}")
            found[change] = explanation
    return found


def stale(
    explained: Mapping[Change, Explanation],
    made: Collection[Change],
    caught: Collection[Change],
    by_logs: Collection[Change],
) -> list[str]:
    """What is wrong with explanations, given which mutants are caught, and which by golden traces.

    A gap may be hit by accident, by recorded runs and simulations of another seed.
    """
    found = []
    for change, explanation in explained.items():
        if change not in made:
            found.append(f"no such mutant is made any more: {change}")
        elif explanation.verdict == EQUIVALENT and change in caught:
            found.append(f"not equivalent, for it is caught: {change}")
        elif explanation.verdict == GAP and change in by_logs:
            found.append(f"no gap any more: {change}")
    return found
