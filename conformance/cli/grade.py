"""The verb that grades an independent implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import jobs, report
from ..grading import grade as grading
from ..grading import plan as planning
from ..grading import probe as probing
from ..grading import summary
from ..grading.stage import Grade, Stage
from ..results import Case, Results, case
from .group import node_command, verb
from .options import FOLDER, SECONDS, SEEDS, jobs_at_a_time, searchable, verdict


@verb(
    "grade -o out/grade -- ./my-node",
    "grade --stage challenge -- ./my-node",
    "grade --opaque --level 2 -- ./my-node",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out/grade"),
    show_default=True,
    help="Folder for grade.json, scripts that reproduce failures, and logs.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(planning.STAGES),
    help="Run only this stage; may be repeated.",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="NAME",
    help="Run only this case, as --list prints it; may be repeated, and be a pattern with *.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help="Run N random cases of the challenge, of framing and of replay, drawn from --seed.",
)
@click.option("--list", "listing", is_flag=True, help="Print the names of all cases, and exit.")
@jobs_at_a_time
@click.option(
    "--golden",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Golden traces that `generate` has written, a folder for each model.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Replay golden traces of this model only; may be repeated.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice((*probing.EFFECTS, "--votes")),
    help="Do not use this option of the node.",
)
@click.option(
    "--nodes",
    "clusters",
    multiple=True,
    default=(3, 5),
    show_default=True,
    type=click.IntRange(1),
    help="Sizes of the recorded clusters.",
)
@click.option(
    "--requests",
    default=200,
    show_default=True,
    type=click.IntRange(1),
    help="Requests in each recorded cluster.",
)
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=SECONDS,
    help="Stop injecting faults after this time.",
)
@click.option(
    "--kills",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Stop injecting faults after N kills, or after --seconds, whichever comes first.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of all runs.")
@click.option(
    "--timeout-seconds",
    "patience",
    default=5.0,
    show_default=True,
    type=SECONDS,
    help="How long a node may take for a reply.",
)
@click.option(
    "--opaque",
    is_flag=True,
    help="Take the node for one of any system, and check only what clients see. Without it, that "
    "is detected.",
)
@click.option(
    "--level",
    type=click.IntRange(1, 3),
    metavar="N",
    help="Fail unless this level of conformance is reached: 1 clients, 2 votes, 3 messages.",
)
@click.option("--complete", is_flag=True, help="Fail if a case cannot be run with this node.")
@verdict
@node_command
def grade(
    command: tuple[str, ...],
    complete: bool,
    level: int | None,
    listing: bool,
    number: int | None,
    results: Results,
    **given: Any,
) -> str | None:
    """Test a node in stages, from single requests to faults.

    \b
    challenge  requests to a single node; no option needed
    framing    the same input cut into other pieces than lines
    replay     golden traces; needs --manual-clock
    record     a cluster on a lossy network; needs --manual-clock
    faults     a cluster in real time with partitions, pauses and, with --data, kills

    Options of the node are detected; what needs a missing option is not run. A node that sends its
    peers messages of its own is graded by what clients see. The node's COMMAND follows after --.
    conformance/nodes.md describes the protocol, conformance/levels.md the levels.
    """
    for name in given["models"]:
        searchable(name)
    plan = planning.Plan(**{**given, "stages": given["stages"] or planning.STAGES})
    if plan.golden is not None:
        grading.known_traces(plan)
    if listing:
        _list(plan)
    if number:
        jobs.use_cores(number)
    plan.output.mkdir(parents=True, exist_ok=True)
    results.json_files.append(plan.output / "grade.json")
    results.begin()

    def on_stage(found: Grade, stage: Stage) -> None:
        summary.show_stage(stage)
        results.cases = [case for each in found.stages for case in each.cases()]
        results.extra = found.as_json()
        results.save()

    found = grading.grade(plan, command, on_stage)
    summary.show(found)
    results.extra = found.as_json()
    for pattern in plan.unmatched:
        results.add(Case("grade", f"--case {pattern}", "unknown", reason="there is no such case"))
    if level:
        reached = (found.level or 0) >= level
        results.add(
            case("grade", f"level {level}", reached, f"level reached: {found.level or 'none'}")
        )
    if complete:
        for stage in found.stages:
            for line in stage.skipped:
                results.add(Case("complete", f"{stage.name}: {line}", "fail", reason="not run"))
    if found.passes is None:
        report.warn("nothing that is required was run", style="red")
    return None


def _list(plan: planning.Plan) -> None:
    """Print the names of the cases of a plan, and exit."""
    for stage in planning.STAGES:
        if stage not in plan.stages:
            continue
        names = [name for name in grading.case_names(plan, stage) if plan.selects(name)]
        for name in names:
            report.say(name)
        if stage == "replay" and not names:
            report.warn("replay: the golden traces are listed once a grade has generated them")
    click.get_current_context().exit()
