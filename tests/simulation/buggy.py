"""Simulated clusters whose nodes have a bug of the catalogue."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from tests.mutants import bugs
from tests.mutants.patched import patched

from . import trial
from .faults import Script
from .trial import Trial

BUGS = {bug.name: bug for bug in bugs.load()}


def run(script: Script, bug: str | None, logs: bool = False) -> Trial:
    """Run a script with nodes that have a bug, or with correct ones if it is None."""
    if bug is None:
        return trial.run(script, logs=logs)
    # Its class is another one than the one here, and could not be sent to another process.
    return Trial(**vars(simulation_with(bug).run(script, logs=logs)))


@cache
def simulation_with(bug: str) -> ModuleType:
    """Return the module `trial` of a simulation whose nodes have the bug."""
    with patched(BUGS[bug].mutant().texts, __package__):
        from tests.simulation import trial as found

        return found
