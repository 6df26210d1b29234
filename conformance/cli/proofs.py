"""The verb that proves the specification for every size: prove."""

from __future__ import annotations

import click

from ..proving import agreement, voting
from ..proving import prove as proving
from ..results import Results, case
from .group import verb
from .options import verdict


@verb("prove --mutants")
@click.option(
    "--mutants", is_flag=True, help="Check that no mutant of the specification is proved."
)
@click.option("--needed", is_flag=True, help="List the hypotheses that each proof of Voting needs.")
@click.option("--agreement", "compare", is_flag=True, help="Compare the translation with TLC.")
@click.option("--theorem", metavar="NAME", help="Only the theorem of this name.")
@verdict
def prove(mutants: bool, needed: bool, compare: bool, theorem: str | None, results: Results) -> str:
    """Prove the safety of the specification for every number of nodes and slots."""
    if mutants:
        return _mutants(results)
    if compare:
        return _compare(results)
    if needed:
        found = proving.needed(voting.obligations())
        proving.show_needed(found)
        results.add(case("prove", "needed", True, "", 0.0))
        return f"{len(found)} obligations"

    def add(each: proving.Theorem) -> None:
        reason = each.problem or f"{each.proved:,} of {len(each.results):,} obligations proved"
        results.add(case("prove", each.name, each.passed, reason, each.seconds))

    proved = proving.prove(on_theorem=add, only=theorem)
    proving.show(proved)
    total = sum(len(each.results) for each in proved)
    left = sum(each.open for each in proved)
    return f"{sum(each.proved for each in proved):,} of {total:,} obligations proved, {left} open"


def _mutants(results: Results) -> str:
    found = []
    for each in (*proving.mutants(), *proving.multipaxos_mutants()):
        found.append(each)
        results.add(case("prove --mutants", each.name, each.passed, "every obligation proved", 0.0))
    proving.show_mutants(found)
    return f"{sum(each.passed for each in found)} of {len(found)} mutants refused"


def _compare(results: Results) -> str:
    rows = agreement.compare()
    agreement.show(rows)
    for row in rows:
        reason = f"{row.different:,} of {row.evaluations:,} evaluations differ"
        results.add(case("prove --agreement", f"{row.name}, {row.kind}", row.passed, reason, 0.0))
    return f"{sum(row.evaluations for row in rows):,} evaluations"
