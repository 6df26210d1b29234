"""The verb that grades an independent implementation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .. import report
from ..grading import grade as grading
from ..grading import plan as planning
from ..grading import probe as probing
from ..grading.summary import show as show_grade
from .group import node_command, verb
from .options import FOLDER, SECONDS, SEEDS, searchable


@verb("grade -o out/grade -- ./my-node")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out/grade"),
    show_default=True,
    help="Folder for grade.json, scripts that show failures, and logs.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(planning.STAGES),
    help="Only this stage, or these.",
)
@click.option(
    "--golden",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Golden logs that are there already, as of `generate`.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Make golden logs of this model, or these; of all that are meant for it if none is given.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(tuple(probing.SIGNS)),
    help="Take it that the node does not take this option.",
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
    help="How long the run in real time has faults,",
)
@click.option(
    "--kills",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="or how many kills they end with.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of all runs.")
@click.option(
    "--timeout-seconds",
    "patience",
    default=5.0,
    show_default=True,
    type=SECONDS,
    help="How long a node has for an answer.",
)
@click.option("--complete", is_flag=True, help="What could not be graded fails, too.")
@node_command
def grade(command: tuple[str, ...], complete: bool, **options: Any) -> None:
    """Test a node in stages, from single requests to faults.

    challenge: lines in and lines out, with no option. replay: golden logs, with --manual-clock.
    record: a cluster in a bad network, with --manual-clock. endure: a cluster in real time, killed
    if the node takes --data. conformance/README.md has the protocol.
    """
    for name in options["models"]:
        searchable(name)
    plan = planning.Plan(**{**options, "stages": asked["stages"] or planning.STAGES})
    found = grading.grade(plan, command)
    show_grade(found, grading.write(found, plan.output))
    if found.agrees is None:
        report.warn("nothing was graded", style="red")
        sys.exit(2)
    sys.exit(0 if found.agrees and (found.complete or not complete) else 1)
