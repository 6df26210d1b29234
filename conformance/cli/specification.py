"""Verbs that check the specification with TLC: models, coverage, simulate, distributed."""

from __future__ import annotations

from pathlib import Path

import click

from .. import locations, report
from ..models import branches, manifest, searching
from ..models import distributed as distributing
from ..models.isolation import isolate
from ..results import Results, case
from .group import verb
from .options import FOLDER, LONGEST_SECONDS, SEEDS, Finite, searchable, verdict


@verb("models single sometimes-inherits")
@click.argument("name", nargs=-1)
@click.option(
    "--tier",
    type=click.Choice(manifest.TIERS[:-1]),
    help="The models of this size, if none is named (default: tiny and standard).",
)
@click.option(
    "--pin", is_flag=True, help="Write the counts that are found to models.toml and spec/README.md."
)
@click.option(
    "--checkpoints",
    type=FOLDER,
    metavar="DIR",
    help="Keep checkpoints in this folder, and resume from those in it.",
)
@verdict
def models(
    name: tuple[str, ...], tier: str | None, pin: bool, checkpoints: Path | None, results: Results
) -> str:
    """Run models with TLC and compare with models.toml."""
    if pin:
        locations.demand_checkout("--pin")
    everything = manifest.load().values()
    chosen = [searchable(each) for each in name] or (
        [each for each in everything if each.tier == tier] if tier else searching.standard()
    )

    def found(row: searching.ModelRow) -> None:
        if pin:
            searching.pin(row)
            row = searching.ModelRow(manifest.get(row.model.name), row.outcome)
        reason = f"expected: {row.model.expected}; found: {_found(row.outcome.violated)}, "
        reason += f"{row.outcome.distinct:,} states of {row.model.states:,}"
        results.add(case("models", row.model.name, row.passed, reason, row.outcome.seconds))

    rows = searching.models(chosen, checkpoints, found)
    if pin:
        rows = [searching.ModelRow(manifest.get(row.model.name), row.outcome) for row in rows]
    searching.show_models(rows)
    return f"{len(rows):,} models, {sum(not row.passed for row in rows):,} not as expected"


def _found(violated: str | None) -> str:
    return f"violates {violated}" if violated else "no violation"


@verb("coverage")
@verdict
def coverage(results: Results) -> str:
    """Find branches of the specification that no model covers."""
    found = searching.coverage()
    searching.show_coverage(found)
    for module in branches.ROOTS:
        uncovered = [each.uncovered() for each in found.uncovered if each.module == module]
        results.add(case("coverage", module, not uncovered, "\n".join(uncovered)))
    return f"{len(found.branches):,} branches, {len(found.uncovered):,} uncovered"


@verb("simulate --minutes 30 --seed 7")
@click.option(
    "--minutes",
    default=10.0,
    show_default=True,
    type=Finite(0, LONGEST_SECONDS / 60),
    help="How long, to the nearest end of a batch; 0 runs one batch on each core.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the first batch.")
@click.option(
    "--steps",
    default=150,
    show_default=True,
    type=click.IntRange(1),
    help="Steps of each behaviour.",
)
@verdict
def simulate(minutes: float, seed: int, steps: int, results: Results) -> str:
    """Check random behaviours of a model too big to search."""
    [deep] = [each for each in manifest.load().values() if each.tier == "deep"]
    holds = searching.simulate(deep, minutes, seed, steps)
    results.add(case("simulate", deep.name, holds, "an invariant or property is violated"))
    return f"{deep.name}: {'nothing is' if holds else 'a property is'} violated"


@verb("distributed closed --host big1 --host big2")
@click.argument("model", nargs=-1, required=True)
@click.option(
    "--host",
    multiple=True,
    metavar="HOST",
    help="Where a worker runs: a name that ssh knows, or localhost for one more thread "
    "here. Without any, two workers here.",
)
@click.option("--address", help="The address of this machine for the hosts; detected if not given.")
@click.option(
    "--jar",
    default=distributing.JAR,
    show_default=True,
    metavar="PATH",
    help="The path of the TLA+ tools on the hosts, the same release as here.",
)
@verdict
def distributed(
    model: tuple[str, ...], host: tuple[str, ...], address: str | None, jar: str, results: Results
) -> str:
    """Run models with TLC on several hosts.

    TLC's server runs here, and the results are compared with models.toml. Without a HOST it runs
    in a network namespace that has loopback only, if the system allows that.
    """
    chosen = [searchable(each) for each in model]
    if set(host) <= {distributing.HERE} and not isolate():
        report.warn(
            "no network namespace on this system: while TLC runs, its server and workers "
            "listen on all interfaces",
            style="yellow",
        )
    rows = searching.distributed(chosen, host or distributing.TWO_HERE, address, jar)
    searching.show_distributed(rows)
    for row in rows:
        reason = f"expected: {row.model.expected}; found: {_found(row.outcome.violated)}, "
        reason += f"{row.outcome.distinct:,} states of {row.model.states:,}"
        results.add(case("distributed", row.model.name, row.passed, reason, row.outcome.seconds))
    return f"{len(rows):,} models, {sum(not row.passed for row in rows):,} not as expected"
