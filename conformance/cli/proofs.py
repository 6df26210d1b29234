"""The verb that proves the specification for every size: prove.

z3 is imported where the verb runs: no other verb needs it, and its import takes a while.
"""

from __future__ import annotations

from pathlib import Path

import click

from .. import report
from ..cache import Cache
from ..results import Results, case
from .group import verb
from .options import verdict


@verb("prove Voting", "prove --agreement", "prove --mutants")
@click.argument("theorem", nargs=-1)
@click.option(
    "--mutants", is_flag=True, help="Check that no mutant of the specification is proved."
)
@click.option("--needed", is_flag=True, help="Leave out each hypothesis once.")
@click.option(
    "--agreement",
    "states",
    is_flag=False,
    flag_value=48,
    type=click.IntRange(1),
    metavar="[N]",
    help="Compare the translation with TLC in N states (48) of each cluster.",
)
@verdict
def prove(
    theorem: tuple[str, ...], mutants: bool, needed: bool, states: int | None, results: Results
) -> str:
    """Prove safety for every number of nodes with z3.

    THEOREM is Voting, MultiPaxos, an action such as Crash, Init, or what the steps of other nodes
    keep true: stable-node, stable-promise and so on. Without one, all are proved. What is
    proved, and what is assumed: see spec/proofs.md.
    """
    if mutants + needed + bool(states) > 1:
        raise click.UsageError("one of --mutants, --needed and --agreement")
    if theorem and (mutants or states):
        raise click.UsageError("--mutants and --agreement are about all theorems")
    if mutants:
        return _mutants(results)
    if needed:
        return _needed(theorem, results)
    return _compare(states, results) if states else _prove(theorem, results)


def _prove(names: tuple[str, ...], results: Results) -> str:
    from ..proving import prove as proving

    found = proving.prove(_selected(names), lambda each: results.add(*each.cases()))
    proving.show(found)
    return proving.summary(found)


def _selected(names: tuple[str, ...]) -> list[str]:
    from ..proving import prove as proving

    try:
        return proving.selected(names or ("Voting", "MultiPaxos"))
    except KeyError as unknown:
        listed = ", ".join(name for name, _ in proving.theorems())
        raise click.UsageError(f"no theorem is called {unknown}; there are {listed}") from None


def _mutants(results: Results) -> str:
    from ..proving import controls

    found = []
    for each in controls.mutants():
        found.append(each)
        results.add(case("prove --mutants", each.name, each.passed, "every obligation proved"))
    controls.show_mutants(found)
    left = ", ".join(f"{model.name} ({model.violates})" for model in controls.unproved_mutants())
    report.say(f"Not tried, as they violate what is not proved of the specification: {left}")
    return f"{sum(each.passed for each in found)} of {len(found)} mutants rejected"


def _needed(names: tuple[str, ...], results: Results) -> str:
    from ..proving import needed

    found, chosen = [], _selected(names)
    with report.Line("hypotheses") as line:
        for each in needed.needed(chosen, Cache(Path("out/cache"))):
            found.append(each)
            line.update(f"{len(found)} theorems, the last: {each.theorem}")
        every = needed.by_hypothesis(found)
        if not names:
            line.update("those that no proof uses")
            needed.search_without(every, chosen)
    needed.show(found, every)
    results.add(*(each.case(all_theorems=not names) for each in every))
    for theorem in found:
        reason = f"{len(theorem.unproved)} obligations are not proved with all hypotheses"
        results.add(case("prove --needed", theorem.theorem, not theorem.unproved, reason))
    return needed.summary(every)


def _compare(states: int, results: Results) -> str:
    from ..proving import agreement, agreement_nodes

    rows = [*agreement.compare(), *agreement_nodes.compare(states)]
    agreement.show(rows)
    for row in rows:
        reason = f"{row.different:,} of {row.evaluations:,} evaluations differ"
        results.add(case("prove --agreement", f"{row.name}, {row.kind}", row.passed, reason))
    evaluations, different = (
        sum(row.evaluations for row in rows),
        sum(row.different for row in rows),
    )
    return f"{evaluations:,} evaluations, {different:,} different"
