"""Verbs to look at a run: export draws it, shrink makes it smaller."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from .. import checking, report
from .. import shrink as shrinking
from ..exporting import export as exporting
from ..exporting.shiviz import PARSER
from ..formats import log_files, logs
from ..validation import explanation
from .group import node_command, verb
from .options import FILE, SECONDS, batches, searchable, timeout


@verb(
    "export --html out/run.html out/run/seed-7.ndjson",
    "export --votes out/votes.ndjson out/run/seed-7.ndjson",
    "export --html out/slots.html out/votes.ndjson",
)
@click.argument("log", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME",
    help="Instead of logs, the counterexample that TLC finds for this model.",
)
@click.option(
    "--html",
    type=FILE,
    metavar="FILE",
    help="A self-contained page for a browser.",
)
@click.option(
    "--itf",
    type=FILE,
    metavar="FILE",
    help="A trace in the Informal Trace Format of Apalache and Quint.",
)
@click.option(
    "--shiviz",
    type=FILE,
    metavar="FILE",
    help="A log with vector clocks for ShiViz; its first line is the expression that "
    f"reads the rest: {PARSER}",
)
@click.option(
    "--votes",
    type=FILE,
    metavar="FILE",
    help="The vote logs of the nodes, for `validate --votes`.",
)
@click.option(
    "--states",
    default=exporting.RECORDS_WITH_STATES,
    show_default=True,
    type=click.IntRange(0),
    help="Show the states of the nodes for the first N records; TLC computes them in some "
    "seconds per thousand.",
    metavar="N",
)
@click.option(
    "--replica",
    is_flag=True,
    help="Add the states of all nodes after each record to the ITF trace.",
)
@click.option(
    "--force", is_flag=True, help="Overwrite files that export did not write; never an input log."
)
@batches
def export(
    log: tuple[Path, ...],
    model: str | None,
    html: Path | None,
    itf: Path | None,
    shiviz: Path | None,
    votes: Path | None,
    states: int,
    replica: bool,
    force: bool,
    batch: int,
) -> None:
    """Write a run as a page, an ITF trace, a ShiViz log or votes.

    LOG is a file or a folder of *.ndjson files, together one run: one file with the records of the
    cluster, or one file for each node. Of vote logs it is a page of slots by nodes.
    """
    if bool(log) == bool(model):
        raise click.UsageError("give the LOGs of one run, or --model NAME")
    if not (html or itf or shiviz or votes):
        raise click.UsageError(
            "give a file to write: --html FILE, --itf FILE, --shiviz FILE, --votes FILE"
        )
    options = exporting.ExportOptions(html, itf, shiviz, states, replica, force, votes)
    with report.Line(f"export of {model or 'a run'}") as line:
        if log and logs.kind_of(logs.find(log)[0]) == logs.VOTES:
            if options.files() != [html]:
                raise click.UsageError("of vote logs there is a page only: --html FILE")
            exporting.export_votes(logs.find(log, logs.VOTES), options)
        elif model:
            exporting.export_model(searchable(model), options, line.update)
        else:
            exporting.export_logs(logs.find(log, logs.LOG), options, batch, line.update)
    for path in options.files():
        report.say(f"{path}: written")


@verb("shrink out/run/seed-7.ndjson -o tests/fixtures/takeover-bad.ndjson")
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=FILE,
    required=True,
    help="The file to write.",
)
@click.option(
    "--seconds",
    default=shrinking.SECONDS,
    show_default=True,
    type=SECONDS,
    help="Stop after this time with the smallest log so far.",
)
@batches
@timeout
@node_command
def shrink(
    command: tuple[str, ...],
    log: Path,
    output: Path,
    seconds: float,
    batch: int,
    timeout_seconds: float,
) -> None:
    """Make a rejected log smaller while it fails in the same way.

    With a node's COMMAND after --, as for replay, LOG is a golden trace from which that node
    differs; the result is the node's own log of the inputs that are needed. The file always holds
    the smallest log so far, so an interrupt loses nothing.
    """
    if log.is_dir():
        raise click.UsageError(f"{log} is a folder; name the file of one log")
    [log] = logs.find([log])
    _check_output(output, log)
    with report.Line(f"shrinking {log}") as line:
        effort = shrinking.Effort(seconds, line.update, functools.partial(logs.overwrite, output))
        if command:
            shrunk = shrinking.shrink_node(log, command, batch, timeout_seconds, effort=effort)
        else:
            shrunk = shrinking.shrink_log(log, batch, effort=effort)
    [verdict] = checking.validate([logs.read(output)], batch)
    [rejection] = verdict.rejections
    report.say(explanation.format_rejection(rejection))
    rest = "" if shrunk.smallest else f"; more may go with more than --seconds {seconds:g}"
    report.say(f"{output}: {len(shrunk.records):,} records of {shrunk.before:,}{rest}")


def _check_output(output: Path, log: Path) -> None:
    """Raise `UsageError` if a file is of the log to shrink, or of another log in several files."""
    if log_files.has(log, output):
        raise click.UsageError("-o must name another file than LOG")
    first = log_files.log_of(output)
    if others := [file for file in log_files.files_of(first) if file != output]:
        raise click.UsageError(
            f"{output} and {others[0]} are files of one log; remove them or name another file"
        )
