"""The proofs as `check` runs and caches them: counts and names.

z3 is imported only if something has to be proved.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from dataclasses import dataclass

from .. import cache, report
from ..locations import PACKAGE, SPEC


@dataclass
class Proofs:
    """What became of all obligations.

    `figures` has the counts of each theorem, as they are pinned; `failures` why each fails, or "".
    """

    figures: dict[str, dict[str, int]]
    failures: dict[str, str]

    @property
    def summary(self) -> str:
        """Return how many obligations are proved."""
        total = Counter[str]()
        for each in self.figures.values():
            total.update(each)
        return f"{total['proved']:,} of {total['obligations']:,} obligations proved"


def key() -> str:
    """Return the checksum of what the proofs depend on."""
    modules = [*SPEC.glob("*.tla"), *(PACKAGE / "tla").glob("*Loops.tla")]
    version = importlib.metadata.version("z3-solver")
    return cache.key(cache.files(modules), cache.code("proving.prove"), version)


def proved() -> Proofs:
    """Prove everything."""
    from . import prove

    found = Proofs({}, {})
    with report.Line("proofs") as line:

        def take(theorem: prove.Theorem) -> None:
            counts = {"obligations": len(theorem.results), "proved": theorem.proved}
            found.figures[theorem.name] = counts
            found.failures[theorem.name] = "\n".join([*theorem.failures, theorem.reason])
            line.update(found.summary)

        prove.show(prove.prove(prove.selected(("Voting", "MultiPaxos")), take))
    return found
