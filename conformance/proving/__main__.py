"""`python -m conformance.proving`: the verb `prove`."""

from __future__ import annotations

import sys

import click

from . import agreement, voting
from . import prove as proofs


@click.command()
@click.option("--all", "everything", is_flag=True, help="Try what is known to be open, too.")
@click.option("--mutants", is_flag=True, help="Test that no mutant is proved.")
@click.option("--needed", is_flag=True, help="List the hypotheses that each proof of Voting needs.")
@click.option("--agreement", "agrees", is_flag=True, help="Compare the translation with TLC.")
@click.option("--theorem", help="Only the theorem of this name.")
def prove(everything: bool, mutants: bool, needed: bool, agrees: bool, theorem: str | None) -> None:
    """Prove the safety of the specification for every number of nodes, slots and ballots."""
    passed = True
    if mutants:
        found = [*proofs.mutants(), *proofs.multipaxos_mutants()]
        proofs.show_mutants(found)
        passed = all(each.passed for each in found)
    elif needed:
        proofs.show_needed(proofs.needed(voting.obligations()))
    elif agrees:
        rows = agreement.compare()
        agreement.show(rows)
        passed = all(row.passed for row in rows)
    else:
        proved = proofs.prove(everything, only=theorem)
        proofs.show(proved)
        passed = bool(proved) and all(each.passed for each in proved)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    prove(prog_name="python -m conformance.proving")
