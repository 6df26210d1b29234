"""The verb that proves the specification for every size: prove.

z3 is imported where the verb runs: no other verb needs it, and its import takes a while.
"""

from __future__ import annotations

import click

from ..results import Results, case
from .group import verb
from .options import verdict


@verb("prove Voting")
@click.argument("theorem", nargs=-1)
@click.option("--mutants", is_flag=True, help="Check that no mutant of Voting is proved.")
@click.option("--needed", is_flag=True, help="List the hypotheses that each proof of Voting needs.")
@click.option(
    "--agreement", "compare", is_flag=True, help="Compare the translation of Voting with TLC."
)
@verdict
def prove(
    theorem: tuple[str, ...], mutants: bool, needed: bool, compare: bool, results: Results
) -> str:
    """Prove safety for every number of nodes with z3.

    THEOREM is Voting, MultiPaxos, an action such as Crash, Init, or what the steps of other nodes
    keep true: stable-node, stable-promise and so on. Without one, all are proved. A part of
    MultiPaxos is not proved yet, so all of it is UNDECIDED at best: see spec/proofs.md.
    """
    if mutants + needed + compare + bool(theorem) > 1:
        raise click.UsageError("name theorems, or give one of --mutants, --needed and --agreement")
    if mutants:
        return _mutants(results)
    if needed:
        return _needed(results)
    return _compare(results) if compare else _prove(theorem, results)


def _prove(names: tuple[str, ...], results: Results) -> str:
    from ..proving import prove as proving

    try:
        chosen = proving.selected(names or ("Voting", "MultiPaxos"))
    except KeyError as unknown:
        listed = ", ".join(name for name, _ in proving.theorems())
        raise click.UsageError(f"no theorem is called {unknown}; there are {listed}") from None
    found = proving.prove(chosen, lambda each: results.add(*each.cases()))
    proving.show(found)
    return proving.summary(found)


def _mutants(results: Results) -> str:
    from ..proving import prove as proving

    found = []
    for each in proving.mutants():
        found.append(each)
        results.add(case("prove --mutants", each.name, each.passed, "every obligation proved"))
    proving.show_mutants(found)
    return f"{sum(each.passed for each in found)} of {len(found)} mutants of Voting rejected"


def _needed(results: Results) -> str:
    from ..proving import prove as proving
    from ..proving import voting

    found = proving.needed(voting.obligations())
    proving.show_needed(found)
    results.add(*(case("prove --needed", name, True) for name in found))
    return f"{len(found)} obligations of Voting"


def _compare(results: Results) -> str:
    from ..proving import agreement

    rows = agreement.compare()
    agreement.show(rows)
    for row in rows:
        reason = f"{row.different:,} of {row.evaluations:,} evaluations differ"
        results.add(case("prove --agreement", f"{row.name}, {row.kind}", row.passed, reason))
    return f"{sum(row.evaluations for row in rows):,} evaluations of definitions of Voting"
