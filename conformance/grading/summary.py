"""A grade in words, and the first failure of each stage as lines to paste into a shell."""

from __future__ import annotations

from pathlib import Path

from ..report import LONGEST_LINE, beside, listed, say, table
from .results import Failure, Grade

# Longer lists of inputs are not shown whole; the script has them all.
MOST_INPUTS = 40


def show(found: Grade, scripts: dict[str, Path]) -> None:
    """Prints a grade: the stages, what failed first in each, and what was not graded.

    `scripts` has the file of each stage that failed and can be seen to fail in a shell.
    """
    rows = [
        (stage.name, f"{stage.passed:,} of {stage.cases:,}", stage.seconds, stage.agrees)
        if stage.cases
        else (stage.name, "not graded", "", "")
        for stage in found.stages
    ]
    table("Grade", ("stage", "#passed", "#time", "agrees"), rows)
    for stage in found.stages:
        if stage.failure is not None:
            text = failure(stage.name, stage.failure, scripts.get(stage.name))
            say(f"{text}\n")
    lost = [f"  {stage.name}: {stage.lost}" for stage in found.stages if stage.lost]
    lost += [f"  {option}: {why}" for option, why in found.options.items() if why]
    if lost:
        say("Not graded, and the options that the node does not take:")
        say("\n".join(lost) + "\n")
    passed, cases = (sum(getattr(each, of) for each in found.stages) for of in ("passed", "cases"))
    say(f"{passed:,} of {cases:,} cases passed")


def failure(stage: str, found: Failure, script: Path | None) -> str:
    """The first case of a stage that failed, and what to paste into a shell to see it."""
    lines = [f"{stage}, first failure: {found.case}", f"  {found.reason}"]
    # What is shortened cannot be pasted.
    short = all(len(line) < LONGEST_LINE for line in found.inputs)
    if 0 < len(found.inputs) <= MOST_INPUTS and short:
        lines += ["", *found.script().split("\n"), ""]
    elif found.inputs:
        lines += [f"  its {len(found.inputs):,} lines are in {script}, and the last of them is"]
        lines += [f"  {found.inputs[-1]}"]
    if found.inputs or found.expected:
        lines += beside(found.expected, found.found)
    else:
        lines += listed("found", found.found)
    return "\n".join(lines)
