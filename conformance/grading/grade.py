"""Anybody's node, graded in stages: each asks more of it than the one before.

What a node does not support is found out, left out and said.  The stages themselves are in
`answering`, `feeding`, `stages` and `realtime`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from .. import report
from ..running.replay import check_command
from . import answering, faults, feeding, stages
from .challenge import CASES
from .plan import STAGES, Plan
from .probe import probe
from .results import Grade, Stage, stage

DEEPER = {"replay": stages.replay, "record": stages.record, "faults": faults.faults}


def grade(plan: Plan, command: Sequence[str]) -> Grade:
    """Grades a node; raises `CommandError` where there is no such command.

    A node that does not answer `init` is asked for nothing else.
    """
    check_command(command)
    plan.output.mkdir(parents=True, exist_ok=True)
    found = Grade(command)
    if not answering.answers_init(plan, command):
        begun = time.monotonic()
        failure = answering.failure(plan, command, CASES[0])
        first = stage("challenge", [failure], begun, "only one case was tried")
        lost = "not tried, for the node does not answer init"
        left = [Stage(name, lost=lost) for name in STAGES[1:] if name in plan.stages]
        found.stages = [first, *left]
        return found
    if "challenge" in plan.stages:
        found.stages += answering.run(plan, command)
    if "feeding" in plan.stages:
        found.stages.append(feeding.run(plan, command))
    if DEEPER.keys() & set(plan.stages):
        with report.Line("which options the node takes"):
            place = plan.output / "probe"
            found.options = probe(command, place, plan.patience, plan.without)
    for name, run in DEEPER.items():
        if name in plan.stages:
            found.stages.append(run(plan, command, found.options))
    return found


def write(found: Grade, folder: Path) -> dict[str, Path]:
    """Writes `grade.json`, and a script for each stage that can be seen to fail in a shell."""
    for old in folder.glob("first-failure-*.sh"):
        old.unlink()
    text = json.dumps(found.summary(), indent=2)
    (folder / "grade.json").write_text(f"{text}\n", "utf-8")
    scripts = {}
    for each in found.stages:
        if each.failure is not None and each.failure.inputs:
            path = folder / f"first-failure-{each.name.replace(', ', '-')}.sh"
            path.write_text(each.failure.script(), "utf-8")
            scripts[each.name] = path
    return scripts
