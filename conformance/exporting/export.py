"""Export a run: collect steps, states and marks from the other modules, and write the files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats import logs, vote_logs
from ..formats.logs import Record
from ..models.manifest import Model
from ..tlaplus import tlc
from ..validation.vote_verdict import VoteVerdict
from . import counterexample, outputs, page, shiviz, slots_page, votes
from . import states as computing
from .causality import Step, arrange
from .outputs import ExportError
from .page import Mark
from .states import States

Progress = Callable[[str], None]

# For how many records TLC computes the states of the nodes; it takes some seconds a thousand.
RECORDS_WITH_STATES = 5_000

# The most records on the page of a failed run, and how many of them follow the first bad one.
MOST_RECORDS, RECORDS_AFTER = 20_000, 1_000

# The constant Batch of every model.
MODELS_BATCH = 1


@dataclass(frozen=True)
class ExportOptions:
    """The files to write.

    `states` is for how many records to compute the states of the nodes, `replica` whether the ITF
    trace has them, too.  `force` overwrites files that were not made by an export.
    """

    html: Path | None
    itf: Path | None
    shiviz: Path | None
    states: int
    replica: bool
    force: bool = False
    votes: Path | None = None

    def files(self) -> list[Path]:
        """Return the paths of the files to write."""
        return [path for path in (self.html, self.itf, self.shiviz, self.votes) if path]


@dataclass(frozen=True)
class Run:
    """A run: its steps in causal order, the states of its nodes, and marks at what is wrong."""

    title: str
    steps: list[Step]
    states: States | None = None
    marks: Sequence[Mark] = ()
    part: range | None = None
    """The steps to show, None for all."""


def read(paths: Sequence[Path]) -> list[Record]:
    """Return the records of one run, whose nodes have a file each or share one."""
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


def make_run(
    title: str, records: Sequence[Record], batch: int, with_states: int, on_progress: Progress
) -> Run:
    """Return a run with states for its first records, and marks where a step is not allowed.

    `batch` is the spec's constant Batch that the nodes ran with, `with_states` the number of
    records to compute states for; with 0 there are none.
    """
    steps = arrange(records)
    if not with_states:
        return Run(title, steps)
    first = [step.record for step in steps[:with_states]]
    states = computing.compute_states(first, batch, on_progress=on_progress)
    return Run(title, steps, states, page.marks_of_states(steps, states))


def make_failed_run(
    title: str, records: Sequence[Record], marks: Sequence[Mark], batch: int, on_progress: Progress
) -> Run:
    """Return a run with marks, and states if possible; of a very long run, the part with the marks.

    There are no states if TLC fails, or if the first mark is after `RECORDS_WITH_STATES`.
    """
    steps = arrange(records)
    wrong = {mark.place for mark in marks}
    first = next((at for at, step in enumerate(steps) if step.record.place in wrong), len(steps))
    end = min(len(steps), first + RECORDS_AFTER)
    part = range(max(0, end - MOST_RECORDS), end) if len(steps) > MOST_RECORDS else None
    with_states = RECORDS_WITH_STATES if first < RECORDS_WITH_STATES else 0
    try:
        seen = make_run(title, records, batch, with_states, on_progress)
    except tlc.ToolError:
        return Run(title, steps, marks=marks, part=part)
    # The given marks come first: a replayed node may differ at another record than its log.
    return Run(title, seen.steps, seen.states, [*marks, *seen.marks], part)


def write_page(path: Path, found: Run, force: bool = False) -> None:
    """Write a run as one HTML file; raises `ExportError` as `outputs.write` does."""
    text = page.html(found.title, found.steps, found.states, found.marks, found.part)
    outputs.write(path, text, {step.record.path for step in found.steps}, force)


def export_logs(
    paths: Sequence[Path], options: ExportOptions, batch: int, on_progress: Progress
) -> Run:
    """Write the run in these logs, and return it."""
    for path in options.files():
        outputs.check(path, paths, options.force)
    records = read(paths)
    with_states = options.states if options.html or options.replica else 0
    title = paths[0].name if len(paths) == 1 else str(paths[0].parent)
    found = make_run(title, records, batch, with_states, on_progress)
    _export(found, options)
    if options.itf:
        trace = _itf(lambda itf: itf.of_run(found.steps, found.states if options.replica else None))
        outputs.write(options.itf, trace, paths, options.force)
    return found


def export_votes(paths: Sequence[Path], options: ExportOptions) -> None:
    """Write a page of the slots in vote logs, which are not checked."""
    assert options.html is not None
    outputs.check(options.html, paths, options.force)
    slots_page.write(options.html, VoteVerdict(vote_logs.read(paths)), options.force)


def export_model(model: Model, options: ExportOptions, on_progress: Progress) -> Run | None:
    """Write the counterexample of a model, and return its run, None if only ITF was requested.

    In the run of a mutant of the specification, the step that is no step of the specification is
    marked.
    """
    for path in options.files():
        outputs.check(path, (), options.force)
    found = counterexample.find(model, on_progress)
    if options.itf:
        trace = _itf(lambda itf: itf.of_counterexample(found))
        outputs.write(options.itf, trace, (), options.force)
    if not (options.html or options.shiviz or options.votes):
        return None
    title = f"{model.name}: {found.violated} is violated"
    taken = make_run(
        title, counterexample.records(found), MODELS_BATCH, options.states, on_progress
    )
    _export(taken, options)
    return taken


def _export(found: Run, options: ExportOptions) -> None:
    if options.html:
        write_page(options.html, found, options.force)
    sources = {step.record.path for step in found.steps}
    if options.shiviz:
        outputs.write(options.shiviz, shiviz.text(found.steps), sources, options.force)
    if options.votes:
        lines = votes.lines([step.record for step in found.steps])
        outputs.write(options.votes, vote_logs.text(lines), sources, options.force)


def _itf(trace: Callable[[Any], Any]) -> str:
    """Return the text of a trace.  Only this needs itf-py, so it is imported here."""
    try:
        from . import itf
    except ImportError:
        raise ExportError(
            "an ITF trace needs the package itf-py, which requires Python 3.11 or newer"
        ) from None
    try:
        return json.dumps(trace(itf), separators=(",", ":")) + "\n"
    except RecursionError:
        raise ExportError("a value in the log is nested too deep for an ITF trace") from None
