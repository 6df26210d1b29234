"""The group of all verbs: their order in `--help`, signals, unexpected errors, the exit status."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from typing import Any

import click

from .. import guard, jobs, locations, report
from ..benchmark import load
from ..coverage.pinned import PinnedError
from ..exporting.counterexample import NoCounterexample
from ..exporting.outputs import ExportError
from ..formats import logs
from ..golden.automaton import CoverError
from ..models import manifest
from ..running.cluster import NodeError
from ..running.replay import CommandError
from ..tlaplus import tlc

COULD_NOT_RUN = (
    OSError,
    PinnedError,
    CoverError,
    NodeError,
    NoCounterexample,
    ExportError,
    guard.Ended,
    jobs.JobError,
    load.LoadError,
    logs.LogError,
    manifest.UnknownModel,
    CommandError,
    tlc.ToolError,
)

# These signals end what the command started, and then the command.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# Set to show the traceback of an unexpected error.
TRACEBACK = "CONFORMANCE_TRACEBACK"

GROUPS = {
    "Check the specification": ("models", "prove", "coverage", "simulate", "distributed"),
    "Test a node with golden traces": ("generate", "replay"),
    "Record runs of nodes and validate them": (
        "record",
        "validate",
        "trace-coverage",
        "explore",
        "inject",
        "check-history",
    ),
    "Grade an independent implementation": ("grade",),
    "Look at a run": ("export", "shrink"),
    "Test the checker": ("mutate-traces",),
    "All of it": ("check", "bench"),
}
"""The verbs in the order of work.  A test checks that each verb is in one group."""

WIDEST = max(len(name) for names in GROUPS.values() for name in names)

EPILOG = """\b
Exit status:
  0  pass: everything that was checked is as it must be
  1  fail: something was shown to be wrong
  2  could not be decided: a usage error, a missing tool, too little evidence

\b
Shell completion, here for bash (zsh and fish likewise):
eval "$(_MULTIPAXOS_CONFORMANCE_COMPLETE=bash_source multipaxos-conformance)"
"""


def interrupted(number: int, *_: object) -> None:
    """End every process that was started, and then the command; ignore any further signal."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    guard.end_all()
    raise KeyboardInterrupt(signal.Signals(number).name)


class Verbs(click.Group):
    """A group that takes the node's command from behind `--`.

    What could not be run is reported on standard error, with status 2.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        end = args.index("--") if "--" in args else len(args)
        extra["obj"] = tuple(args[end + 1 :])
        return super().make_context(info_name, args[:end], parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        for ending in ENDINGS:
            # A process started by nohup survives its terminal.
            if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN:
                signal.signal(ending, interrupted)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except COULD_NOT_RUN as error:
            failed(str(error))
        except KeyboardInterrupt as error:
            failed(f"interrupted {error}".rstrip())
        except MemoryError:
            failed("out of memory")
        except Exception as error:
            # An unexpected error is not a verdict.
            failed(f"{type(error).__name__}: {error}; set {TRACEBACK}=1 to see where")
        sys.exit(2)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in GROUPS.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in GROUPS.items():
            verbs = [(name, self.commands[name]) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name.ljust(WIDEST), summary(verb)) for name, verb in verbs])


def summary(verb: click.Command) -> str:
    """Return the first sentence of a verb's help, whole."""
    return verb.get_short_help_str(limit=1000)


def failed(reason: str) -> None:
    """Print on standard error why there is no verdict; ignore that it is closed."""
    with contextlib.suppress(OSError):
        report.warn(f"conformance: {reason}", style="red")
        if os.environ.get(TRACEBACK):
            report.warn(traceback.format_exc())


def version() -> str:
    """Return the installed version; in a checkout that is not installed, that of the node."""
    try:
        return metadata.version("multipaxos")
    except metadata.PackageNotFoundError:
        text = (locations.PACKAGE.parent / "impl/multipaxos/__init__.py").read_text("utf-8")
        [found] = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
        return str(found)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        report.say(f"multipaxos-conformance {version()}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Check the TLA+ specification of Multi-Paxos, and test nodes against it.

    A node is any program that reads and writes Maelstrom messages. Its command follows after --.
    """


def verb(*examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Register a function as the verb of its name; its help ends with these examples."""
    heading = "Examples:" if len(examples) > 1 else "Example:"
    lines = [heading, *(f"  python -m conformance {example}" for example in examples)]
    return main.command(epilog="\b\n" + "\n".join(lines))


def node_command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the words after `--` as `command`."""

    @functools.wraps(function)
    def run(*args: Any, **given: Any) -> Any:
        return function(*args, command=click.get_current_context().find_root().obj, **given)

    return run
