"""The verb that tests the checker of traces: mutate-traces."""

from __future__ import annotations

from pathlib import Path

import click

from .. import checking
from ..formats import logs
from ..mutation import trace_mutation
from ..mutation.mutations import KINDS
from ..results import Results, case
from .group import node_command, verb
from .options import FOLDER, SEEDS, batches, timeout, verdict


@verb("mutate-traces --seed 7")
@click.argument("log", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("out/mutated"),
    show_default=True,
    help="Folder for the traces, in sources/ and wrong/.",
)
@click.option(
    "--number",
    default=2000,
    show_default=True,
    type=click.IntRange(1),
    help="Number of mutated traces.",
)
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed gives the same traces."
)
@click.option(
    "--only", type=click.IntRange(1), metavar="N", help="Only the mutated trace of this number."
)
@click.option("--kind", type=click.Choice(KINDS), help="Only mutations of this kind.")
@batches
@timeout
@verdict
@node_command
def mutate_traces(
    command: tuple[str, ...],
    log: tuple[Path, ...],
    output: Path,
    number: int,
    seed: int,
    only: int | None,
    kind: str | None,
    batch: int,
    timeout_seconds: float,
    results: Results,
) -> None:
    """Mutate accepted traces, which the checker must then reject.

    Each LOG is mutated, or, if none is given, traces that are recorded first. Whether a mutated
    trace is legal follows from its mutation, or is computed by a node; the node's COMMAND may
    follow after --, without --manual-clock and --log.
    """
    holds = trace_mutation.mutate_traces(
        output,
        command or checking.NODE,
        number=number,
        seed=seed,
        only=only,
        paths=logs.find(log, logs.LOG) if log else (),
        batch=batch,
        seconds=timeout_seconds,
        kind=kind,
    )
    wrong = f"some mutated traces have a wrong verdict; they are in {output / 'wrong'}"
    results.add(case("mutate-traces", f"{number} traces, seed {seed}", holds, wrong))
