"""Options that several verbs have, and the types of their values."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .. import report
from ..formats import logs
from ..models import manifest
from ..results import Results, written

# Limits of the system's calls, far above any real run.
LONGEST_SECONDS = 1_000_000

STATUSES = {"pass": 0, "fail": 1, "unknown": 2}
WORDS = {"pass": "PASS", "fail": "FAIL", "unknown": "UNDECIDED"}

# What a verb returns that has printed its verdict itself.
PRINTED = ""


class Finite(click.FloatRange):
    """A number within bounds; nan and inf are rejected."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


SECONDS = Finite(0, LONGEST_SECONDS, min_open=True)
SEEDS = click.IntRange(0, 2**63 - 1)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

new_folder = click.option(
    "-o", "--output", type=FOLDER, required=True, help="Folder for the logs; created if missing."
)
places = click.argument("log", nargs=-1, required=True, type=click.Path(path_type=Path))
timeout = click.option(
    "--timeout-seconds",
    default=30.0,
    show_default=True,
    type=SECONDS,
    help="How long a node may be silent.",
)
batches = click.option(
    "--batch",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="The nodes' --batch: the most decisions in one `learned`.",
)
jobs_at_a_time = click.option(
    "-j",
    "--jobs",
    "number",
    type=click.IntRange(1),
    metavar="N",
    help="Run N jobs at a time (default: the number of cores).",
)


def searchable(name: str) -> manifest.Model:
    """Return a model that TLC can search completely; raises `UnknownModel`, `UsageError`."""
    model = manifest.get(name)
    if model.expect == "runs":
        raise click.UsageError(f"{name} is too big to search; generate --simulate N walks it")
    return model


def detailed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --quiet and --verbose."""

    @click.option("-q", "--quiet", is_flag=True, help="Print failures and the verdict only.")
    @click.option("-v", "--verbose", is_flag=True, help="Print a line for each test case.")
    @functools.wraps(function)
    def run(*, quiet: bool, verbose: bool, **given: Any) -> Any:
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other")
        report.detail = "quiet" if quiet else "verbose" if verbose else "normal"
        return function(**given)

    return run


def verdict(function: Callable[..., str | None]) -> Callable[..., None]:
    """Add --json, --junit, --quiet and --verbose to a verb that returns the text of its verdict.

    The verb gets the `Results` to fill in as `results`; they decide the exit status.
    """

    @click.option(
        "--json", "json_file", type=FILE, metavar="FILE", help="Write the results as JSON."
    )
    @click.option(
        "--junit", "junit_file", type=FILE, metavar="FILE", help="Write the results as JUnit XML."
    )
    @detailed
    @functools.wraps(function)
    def run(*, json_file: Path | None, junit_file: Path | None, **given: Any) -> None:
        for path in filter(None, (json_file, junit_file)):
            # Results are written before the work begins, so the log would be lost unread.
            if path.is_file() and (kind := logs.kind_of(path)):
                raise click.UsageError(f"{path} is a {kind}; name another file for the results")
        name = click.get_current_context().info_name or ""
        with written(name, json_file, junit_file) as results:
            text = function(results=results, **given)
        conclude(results, text)

    return run


def conclude(results: Results, text: str | None) -> None:
    """Print the verdict as the last line and exit with its status."""
    if text != PRINTED:
        report.say(f"{WORDS[results.status]}: {text or results.summary()}")
    sys.exit(STATUSES[results.status])
