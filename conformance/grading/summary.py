"""The text of a grade: the failures of each stage when it ends, and a table at the end."""

from __future__ import annotations

from ..report import LONGEST_LINE, say, table
from .stage import LEVELS, Failure, Grade, Stage

# Inputs of a failure that are printed; the script has all of them.
MOST_INPUTS = 40

# Failures of a stage that are printed with all details; the others get a line each.
DETAILED = 5


def show_stage(stage: Stage) -> None:
    """Print a stage when it ends: its figures, and each failure."""
    verdict = {True: "PASS", False: "FAIL", None: "NOT RUN"}[stage.passes]
    if stage.recommended and not stage.passes:
        verdict = "NOTE"
    say(
        f"{verdict}  {stage.name}: {stage.passed:,} of {len(stage.run):,} cases pass, "
        f"{stage.seconds:.1f} s"
    )
    for line in stage.skipped:
        say(f"  not run: {line}")
    failing = [(each.name, each.failure) for each in stage.outcomes if each.failure]
    for name, failure in failing[:DETAILED]:
        say("\n" + failure_text(name, failure))
    if failing:
        say("")
    for name, failure in failing[DETAILED:]:
        say(f"  FAIL  {name}: {failure.reason}")


def failure_text(name: str, found: Failure) -> str:
    """Return a failure as text, with what to paste into a shell to see it."""
    lines = [f"FAIL  {name}"]
    short = all(len(line) < LONGEST_LINE for line in found.inputs)
    if 0 < len(found.inputs) <= MOST_INPUTS and short:
        lines += ["", *found.script_text().rstrip("\n").split("\n"), ""]
    elif found.inputs:
        lines.append(f"  its {len(found.inputs):,} input lines are in the script; the last one is")
        lines.append(f"  {found.inputs[-1]}")
    lines += found.lines()
    if found.script is not None:
        lines.append(f"  script:   sh {found.script}")
    return "\n".join(lines)


def show(found: Grade) -> None:
    """Print the table of all stages, and the options that the node does not take."""
    rows = [
        (stage.name, stage.passed, len(stage.failures), len(stage.skipped), stage.seconds)
        for stage in found.stages
    ]
    table("Grade", ("stage", "#pass", "#fail", "#not run", "#time"), rows)
    level = found.level
    say(f"Level reached: {f'{level}, {LEVELS[level]}' if level else 'none'}\n")
    missing = [f"  {option}: {why}" for option, why in found.options.items() if why]
    if missing:
        say("Options that the node does not take:")
        say("\n".join(missing) + "\n")
