"""Grades any node in stages: each demands more of it than the one before.

Options that a node does not take are detected; what needs them is skipped and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .. import report
from ..formats import logs
from ..formats.folders import fresh
from ..running.nodes import OPAQUE_OPTIONS
from ..running.replay import check_command
from . import challenge, faults, framing, record, replay
from .challenge_cases import CASES, RECOMMENDED, REQUIRED
from .dialect import find_dialect, option_refusal
from .framing import FRAMING_CASES
from .plan import STAGES, Plan, file_name
from .probe import probe
from .stage import Grade, Stage

OPAQUE = "the node sends its peers messages of its own"

DEEPER = {"replay": replay.run, "record": record.run, "faults": faults.run}


def grade(
    plan: Plan,
    command: Sequence[str],
    on_stage: Callable[[Grade, Stage], None] = lambda grade, stage: None,
) -> Grade:
    """Grade a node; raises `CommandError` if there is no such command.

    `on_stage` is called when a stage ends, also if it is interrupted.  A node that does not reply
    to `init` gets that one case only.
    """
    check_command(command)
    plan.output.mkdir(parents=True, exist_ok=True)
    for name in ("failures", "stderr"):
        plan.folder(name)
    found = Grade(command)

    def run(name: str, do: Callable[[Stage], None], recommended: bool = False) -> None:
        stage = Stage(name, recommended, level=3 if name in DEEPER else 0)
        found.stages.append(stage)
        try:
            do(stage)
        finally:
            write_scripts(plan, stage)
            on_stage(found, stage)

    if not challenge.answers_init(plan, command):
        run("challenge, required", partial(_only_init, plan, command))
        for name in STAGES[1:]:
            if name in plan.stages:
                run(name, partial(_skip_all, "the node does not reply to init"))
        return found
    wanted = wanted_stages(plan)
    with report.Line("the messages of the node"):
        dialect = find_dialect(command, plan.patience, plan.opaque)
    if dialect.opaque:
        for name in STAGES:
            if name in plan.stages and name != "faults":
                run(name, partial(_skip_all, OPAQUE))
        if "faults" in wanted:
            found.options = _options_of_opaque(plan, command)
            run("faults", partial(faults.run, plan, command, found.options, dialect=dialect))
        return found
    if "challenge" in wanted:
        for weight in (REQUIRED, RECOMMENDED):
            do = partial(challenge.run, plan, command, weight)
            run(f"challenge, {weight}", do, weight == RECOMMENDED)
    if "framing" in wanted:
        run("framing", partial(framing.run, plan, command))
    if DEEPER.keys() & set(wanted):
        with report.Line("the options of the node"):
            found.options = probe(command, plan.output / "probe", plan.patience, plan.without)
    for name, run_stage in DEEPER.items():
        if name in wanted:
            run(name, partial(run_stage, plan, command, found.options))
    return found


def _only_init(plan: Plan, command: Sequence[str], stage: Stage) -> None:
    stage.add(CASES[0].name, challenge.find_failure(plan, command, CASES[0]))
    stage.skip("all other cases", "the node does not reply to init")


def _skip_all(reason: str, stage: Stage) -> None:
    stage.skip("all cases", reason)


def _options_of_opaque(plan: Plan, command: Sequence[str]) -> dict[str, str]:
    """Return the options of a node of any system, and why they are not taken."""
    folder = fresh(plan.output / "probe")
    return {
        option: "not tried"
        if option in plan.without
        else option_refusal(option, command, folder, plan.patience)
        for option in OPAQUE_OPTIONS
    }


def wanted_stages(plan: Plan) -> list[str]:
    """Return the stages of a plan that have a case to run.

    The names of golden traces are known only once they are generated.
    """
    if not plan.cases:
        return [stage for stage in STAGES if stage in plan.stages]
    found = [
        stage
        for stage in STAGES
        if stage in plan.stages and any(plan.selects(name) for name in case_names(plan, stage))
    ]
    if "replay" in plan.stages and "replay" not in found and plan.unmatched:
        found.append("replay")
    return found


def case_names(plan: Plan, stage: str) -> list[str]:
    """Return the names of a stage's cases, as far as they are known before it runs."""
    if stage == "challenge":
        return [
            f"challenge, {weight}: {name}"
            for weight in (REQUIRED, RECOMMENDED)
            for name in challenge.names(weight)
        ]
    if stage == "framing":
        return [f"framing: {case.name}" for case in FRAMING_CASES]
    if stage == "replay":
        return [f"replay: {replay.case_name(path, None)}" for path in known_traces(plan)]
    if stage == "record":
        return [f"record: {nodes} nodes" for nodes in plan.clusters]
    return [f"faults: {faults.NODES} nodes"]


def known_traces(plan: Plan) -> list[Path]:
    """Return the golden traces that need not be generated first."""
    if plan.golden is not None:
        return replay.given_traces(plan.golden, plan.models)
    folders = [(plan.output / "golden" / model.name, model) for model in replay.models(plan)]
    current = [folder for folder, model in folders if replay.is_current(folder, model)]
    return logs.find(current, logs.LOG) if current else []


def write_scripts(plan: Plan, stage: Stage) -> None:
    """Write a script for each failure that a shell can reproduce."""
    folder = plan.output / "failures"
    for outcome in stage.outcomes:
        failure = outcome.failure
        if failure is not None and failure.inputs:
            failure.script = folder / f"{file_name(stage.name, outcome.name)}.sh"
            failure.script.write_text(failure.script_text(), "utf-8")
