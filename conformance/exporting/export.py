"""A run for other tools and for people: an ITF trace, a ShiViz log, a page to look at.

Puts together what the other rooms find out about the run, and writes the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats import logs
from ..formats.logs import Record
from ..models.manifest import Model
from ..tlaplus import tlc
from . import counterexample, outputs, page, shiviz
from . import states as following
from .causality import Step, arrange
from .outputs import ExportError
from .page import Mark
from .states import States

Tell = Callable[[str], None]

# For so many records TLC is asked for the states of the nodes; it takes some seconds a thousand.
FOLLOWED = 5_000

# The most records on a page that nobody chose, and how many of them come after what is wrong.
LONGEST, AFTERWARDS = 20_000, 1_000

# The constant Batch of every model.
MODELS_BATCH = 1


@dataclass(frozen=True)
class Asked:
    """Which files to write.

    `states` is for how many records the states of the nodes are told, `replica` whether in the ITF
    trace as well.  With `force` files are overwritten that no export has made.
    """

    html: Path | None
    itf: Path | None
    shiviz: Path | None
    states: int
    replica: bool
    force: bool = False

    def files(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.html, self.itf, self.shiviz) if path is not None]


@dataclass(frozen=True)
class Run:
    """A run, its records in an order in which it can have happened, and what is wrong with it."""

    title: str
    steps: list[Step]
    states: States | None = None
    marks: Sequence[Mark] = ()
    part: range | None = None
    """The part that is shown, if it is not all."""


def read(paths: Sequence[Path]) -> list[Record]:
    """The records of one run, whose nodes may have a file each or all stand in one."""
    records: list[Record] = []
    places: dict[str, Path] = {}
    for path in paths:
        found = logs.read(path)
        for record in found:
            other = places.setdefault(record.node, path)
            if other != path:
                raise ExportError(
                    f"node {record.node} is in {other} and in {path}: these are two runs; "
                    "export one at a time"
                )
        records += found
    return records


def run(title: str, records: Sequence[Record], batch: int, followed: int, on_progress: Tell) -> Run:
    """A run, with the states of its nodes for the first records, and marked where they end.

    `batch` is the spec's constant Batch that the nodes ran with, `followed` how many records TLC
    is given; with 0 there are no states.
    """
    steps = arrange(records)
    if not followed:
        return Run(title, steps)
    first = [step.record for step in steps[:followed]]
    states = following.follow(first, batch, on_progress=on_progress)
    return Run(title, steps, states, page.of_states(steps, states))


def failed(
    title: str, records: Sequence[Record], marks: Sequence[Mark], batch: int, on_progress: Tell
) -> Run:
    """A run that was found to be wrong, with what was found, and the states as far as can be.

    Where TLC cannot tell them, or what is wrong comes too late in the run, it does without; of a
    very long run it is the part about what is wrong.
    """
    steps = arrange(records)
    wrong = {mark.place for mark in marks}
    first = next((at for at, step in enumerate(steps) if step.record.place in wrong), len(steps))
    end = min(len(steps), first + AFTERWARDS)
    part = range(max(0, end - LONGEST), end) if len(steps) > LONGEST else None
    followed = FOLLOWED if first < FOLLOWED else 0
    try:
        seen = run(title, records, batch, followed, on_progress)
    except tlc.ToolError:
        return Run(title, steps, marks=marks, part=part)
    # What the judges say comes first: a node that is replayed need not differ where its log does.
    return Run(title, seen.steps, seen.states, [*marks, *seen.marks], part)


def write_page(path: Path, found: Run, force: bool = False) -> None:
    """One HTML file with everything in it; raises `ExportError` as `written.write`."""
    text = page.html(found.title, found.steps, found.states, found.marks, found.part)
    outputs.write(path, text, {step.record.path for step in found.steps}, force)


def export_logs(paths: Sequence[Path], asked: Asked, batch: int, on_progress: Tell) -> Run:
    """Writes the run that is in these logs as asked, and returns it."""
    for path in asked.files():
        outputs.check(path, paths, asked.force)
    records = read(paths)
    followed = asked.states if asked.html or asked.replica else 0
    title = paths[0].name if len(paths) == 1 else str(paths[0].parent)
    found = run(title, records, batch, followed, on_progress)
    _export(found, asked)
    if asked.itf:
        trace = _itf(lambda itf: itf.of_run(found.steps, asked.replica and found.states))
        outputs.write(asked.itf, trace, paths, asked.force)
    return found


def export_model(model: Model, asked: Asked, on_progress: Tell) -> Run | None:
    """Writes the counterexample of a model as asked, and returns its run if it has one.

    What is marked in the run of a broken model is where it leaves the specification.
    """
    for path in asked.files():
        outputs.check(path, (), asked.force)
    found = counterexample.find(model, on_progress)
    if asked.itf:
        trace = _itf(lambda itf: itf.of_counterexample(found))
        outputs.write(asked.itf, trace, (), asked.force)
    if not (asked.html or asked.shiviz):
        return None
    title = f"{model.name}: {found.violated} is violated"
    taken = run(title, counterexample.records(found), MODELS_BATCH, asked.states, on_progress)
    _export(taken, asked)
    return taken


def _export(found: Run, asked: Asked) -> None:
    if asked.html:
        write_page(asked.html, found, asked.force)
    if asked.shiviz:
        sources = {step.record.path for step in found.steps}
        outputs.write(asked.shiviz, shiviz.text(found.steps), sources, asked.force)


def _itf(trace: Callable[[Any], Any]) -> str:
    """The text of a trace.  Nothing else of the harness needs what is needed to write a trace."""
    try:
        from . import itf
    except ImportError:
        raise ExportError(
            "an ITF trace needs the package itf-py, which needs Python 3.11 or newer"
        ) from None
    try:
        return json.dumps(trace(itf), separators=(",", ":")) + "\n"
    except RecursionError:
        raise ExportError("a value in the log is nested too deep for an ITF trace") from None
