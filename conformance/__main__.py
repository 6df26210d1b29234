"""`python -m conformance VERB`, and the command `multipaxos-conformance VERB`."""

from __future__ import annotations

from .cli import everything, golden, grade, mutation, proofs, recorded, show, specification
from .cli.group import Verbs, main

# The order in which `--help` lists the verbs is the order in which these modules are imported by
# name here: a verb registers itself with `main`.
__all__ = [
    "Verbs",
    "everything",
    "golden",
    "grade",
    "main",
    "mutation",
    "proofs",
    "recorded",
    "show",
    "specification",
]

if __name__ == "__main__":
    main(prog_name="python -m conformance")
