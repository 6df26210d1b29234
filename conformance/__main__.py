"""The command line: `python -m conformance VERB`.

Only reads arguments, calls the room that does the work and turns its answer into words and an
exit status: 0 agreed, 1 disagreed, 2 could not be run.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from . import checking, guard, jobs, report, whole_check
from . import shrink as shrinking
from .benchmark import bench as measuring
from .benchmark import load
from .coverage import pinned as pinned
from .coverage import real_runs
from .exporting import counterexample
from .exporting import export as exporting
from .exporting.shiviz import PARSER
from .formats import history as histories
from .formats import logs
from .golden import generate as generating
from .golden.automaton import CoverError
from .grading import grade as grading
from .grading import plan as planning
from .grading import probe as probing
from .grading.summary import show as show_grade
from .models import distributed as distributing
from .models import manifest, searching
from .models.isolation import isolate
from .mutation import trace_mutation
from .mutation.mutations import KINDS
from .running import record as recording
from .running import replay as replaying
from .running.cluster import NodeError, NodeWrong
from .tlaplus import tlc
from .validation import explanation, history_checker
from .validation.step_checker import WINDOW

COULD_NOT_RUN = (
    OSError,
    pinned.PinnedError,
    CoverError,
    NodeError,
    counterexample.NoCounterexample,
    exporting.ExportError,
    guard.Ended,
    jobs.JobError,
    load.LoadError,
    logs.LogError,
    manifest.UnknownModel,
    replaying.CommandError,
    tlc.ToolError,
)

# What a verdict is as an exit status; where nothing can be told, it is None.
STATUSES = {True: 0, False: 1, None: 2}


# Whoever is asked to end must end what it started, and wait for nothing else.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# The traceback of what nobody foresaw, for those who mend it.
TRACEBACK = "CONFORMANCE_TRACEBACK"


def interrupted(number: int, *_: object) -> None:
    """Ends every search under way, and then the command; another signal does not end the ending."""
    for asked in ENDINGS:
        signal.signal(asked, signal.SIG_IGN)
    guard.end_all()
    raise KeyboardInterrupt(signal.Signals(number).name)


class Verbs(click.Group):
    """Takes the node's command from behind --, and reports what could not be run, with status 2."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        return super().main(given[:end], obj=tuple(given[end + 1 :]), **extra)

    def invoke(self, ctx: click.Context) -> Any:
        for asked in ENDINGS:
            # What was started by nohup is not to end with its terminal.
            if asked != signal.SIGHUP or signal.getsignal(asked) != signal.SIG_IGN:
                signal.signal(asked, interrupted)
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
            # A verdict is never an accident, so this one has no status but that of no verdict.
            failed(f"{type(error).__name__}: {error}; set {TRACEBACK}=1 to see where")
        sys.exit(2)


def failed(reason: str) -> None:
    """Says on standard error why there is no verdict; where that is closed, nobody is told."""
    with contextlib.suppress(OSError):
        report.warn(f"conformance: {reason}", style="red")
        if os.environ.get(TRACEBACK):
            report.warn(traceback.format_exc())


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 agreed, 1 disagreed, 2 could not be run.",
)
def main() -> None:
    """Holds a Multi-Paxos node and its TLA+ specification to each other."""


def example(text: str) -> Callable[..., Any]:
    """Registers a verb whose help ends with an example."""
    return main.command(epilog=f"\b\nExample:\n  python -m conformance {text}")


def searched(name: str) -> manifest.Model:
    """A model that TLC can search to the end."""
    model = manifest.get(name)
    if model.expect == "runs":
        raise click.UsageError(f"{name} is too big to search; generate --simulate N walks it")
    return model


class Finite(click.FloatRange):
    """A number within bounds; nan and inf are none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


# What the system's calls take as a limit, and more than anybody waits for.
LONGEST_SECONDS = 1_000_000
SECONDS = Finite(0, LONGEST_SECONDS, min_open=True)
SEEDS = click.IntRange(0, 2**63 - 1)

folder = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the logs; made if it is not there.",
)
written = click.Path(dir_okay=False, path_type=Path)
places = click.argument("log", nargs=-1, required=True, type=click.Path(path_type=Path))
seconds = click.option(
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


@example("models single sometimes-inherits")
@click.argument("name", nargs=-1)
@click.option(
    "--tier",
    type=click.Choice(manifest.TIERS[:-1]),
    help="Those of this size, if none are named (tiny and standard).",
)
@click.option(
    "--pin", is_flag=True, help="Write what is found into the manifest and into spec/README.md."
)
@click.option(
    "--checkpoints",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep checkpoints here, and go on from those that are left here.",
)
def models(name: tuple[str, ...], tier: str | None, pin: bool, checkpoints: Path | None) -> None:
    """Run models with TLC and hold them against the manifest: all of them, or those named."""
    everything = manifest.load().values()
    chosen = [searched(each) for each in name] or (
        [each for each in everything if each.tier == tier] if tier else searching.standard()
    )
    rows = searching.models(chosen, checkpoints, searching.pin if pin else lambda row: None)
    if pin:
        rows = [searching.ModelRow(manifest.get(row.model.name), row.outcome) for row in rows]
    searching.show_models(rows)
    sys.exit(0 if all(row.passed for row in rows) else 1)


@example("coverage")
def coverage() -> None:
    """See which branches of the specification the small models never take."""
    found = searching.coverage()
    searching.show_coverage(found)
    sys.exit(1 if found.uncovered else 0)


@example("simulate --minutes 30 --seed 7")
@click.option(
    "--minutes",
    default=10.0,
    show_default=True,
    type=Finite(0, LONGEST_SECONDS / 60),
    help="How long, to the nearest end of a batch; 0 runs one on each core.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the first batch.")
@click.option(
    "--steps",
    default=150,
    show_default=True,
    type=click.IntRange(1),
    help="Steps of each behaviour.",
)
def simulate(minutes: float, seed: int, steps: int) -> None:
    """Look for violations in random behaviours of the model that is too big to search."""
    [deep] = [each for each in manifest.load().values() if each.tier == "deep"]
    sys.exit(0 if searching.simulate(deep, minutes, seed, steps) else 1)


@example("distributed closed --host big1 --host big2")
@click.argument("model", nargs=-1, required=True)
@click.option(
    "--host",
    multiple=True,
    metavar="HOST",
    help="Where a worker runs: a name that ssh knows, or localhost for one more thread "
    "here. Without any, two workers here.",
)
@click.option(
    "--address", help="What the hosts find this machine by; as they see it, if not given."
)
@click.option(
    "--jar",
    default=distributing.JAR,
    show_default=True,
    metavar="PATH",
    help="Where the hosts have the TLA+ tools, the same as here.",
)
def distributed(
    model: tuple[str, ...], host: tuple[str, ...], address: str | None, jar: str
) -> None:
    """Run each MODEL with TLC's server here and workers on hosts; hold it against the manifest.

    Without a HOST it runs where there is no network but loopback, if the system allows that.
    """
    chosen = [searched(each) for each in model]
    if set(host) <= {distributing.HERE} and not isolate():
        report.warn(
            "this system gives no network of its own: while TLC runs, its server and workers "
            "listen on all interfaces",
            style="yellow",
        )
    rows = searching.distributed(chosen, host or distributing.TWO_HERE, address, jar)
    searching.show_distributed(rows)
    sys.exit(0 if all(row.passed for row in rows) else 1)


@example("generate main -o out/main")
@click.argument("model")
@folder
@click.option(
    "--simulate",
    type=click.IntRange(1),
    metavar="N",
    help="Instead of a cover, N random runs of the whole cluster.",
)
@click.option(
    "--depth",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Steps of each random run.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the random runs.")
def generate(model: str, output: Path, simulate: int | None, depth: int, seed: int) -> None:
    """Write golden logs from MODEL: every distinct local transition, covered."""
    with report.Line(f"model {model}") as line:
        if simulate:
            generated = generating.simulate(manifest.get(model), output, simulate, depth, seed)
        else:
            generated = generating.generate(searched(model), output, on_progress=line.update)
    checking.show_generated([(manifest.get(model), generated)])
    violated = generated.outcome.violated
    if violated:
        report.warn(f"{model}: {violated} is violated", style="red")
    sys.exit(1 if violated or not generated.complete else 0)


@example("replay out/main -- python3 impl/main.py --manual-clock --batch 1")
@places
@seconds
@click.option(
    "--in-process",
    metavar="MODULE:FUNCTION",
    help="Instead of a command, a function that makes a node within this process: "
    "a function from lines to what the node prints.",
)
@click.option(
    "--renamed",
    type=SEEDS,
    metavar="SEED",
    help="Replay each log under other names, slots, request numbers and values, drawn "
    "from this seed and the log's name.",
)
@click.pass_obj
def replay(
    command: tuple[str, ...],
    log: tuple[Path, ...],
    timeout_seconds: float,
    in_process: str | None,
    renamed: int | None,
) -> None:
    """Feed each LOG's inputs to a fresh node and compare all that it prints.

    LOG is a file or a folder of *.ndjson files; the node's COMMAND follows after --.
    """
    if in_process and command:
        raise click.UsageError("a command and --in-process are two nodes; give one")
    paths = logs.find(log, logs.LOG)
    node = replaying.maker(in_process) if in_process else command
    started = time.monotonic()
    results = checking.replay(paths, node, timeout_seconds, renamed)
    elapsed = time.monotonic() - started
    differing = [result.difference for result in results if result.difference]
    checking.show_differences(differing, command)
    steps = sum(result.steps for result in results)
    if untried := sum(not result.tried for result in results):
        report.warn(f"the node hangs: {untried:,} logs not tried", style="red")
    tried = f"{len(results) - untried:,} logs"
    counted = f"{tried}, {steps:,} records agreed, {len(differing):,} logs differ"
    report.say(f"{counted}; {report.pace(steps, elapsed)}")
    sys.exit(1 if differing else 0)


@example("record -o out/run --nodes 5 --seed 7 -- python3 impl/main.py")
@folder
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1))
@click.option("--requests", default=200, show_default=True, type=click.IntRange(1))
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed is the same run."
)
@click.option(
    "--loss",
    default=0.1,
    show_default=True,
    type=Finite(0, 1),
    help="Chance that a message is lost.",
)
@click.option(
    "--repeat",
    default=0.1,
    show_default=True,
    type=Finite(0, 1),
    help="Chance that a message arrives twice.",
)
@seconds
@click.pass_obj
def record(
    command: tuple[str, ...],
    output: Path,
    nodes: int,
    requests: int,
    seed: int,
    loss: float,
    repeat: float,
    timeout_seconds: float,
) -> None:
    """Run a cluster of real processes in a bad network and leave its log.

    The node's COMMAND follows after --; --manual-clock and --log are added to it.
    """
    with report.Line(f"cluster of {nodes}, seed {seed}") as line:
        try:
            recorded = recording.record(
                output,
                command,
                nodes=nodes,
                requests=requests,
                seed=seed,
                faults=recording.Faults(loss=loss, repeat=repeat),
                seconds=timeout_seconds,
                on_progress=lambda steps: line.update(f"{steps:,} steps"),
            )
        except NodeWrong as error:
            report.say(str(error))
            sys.exit(1)
    happened = ", ".join(f"{number:,} {what}" for what, number in recorded.happened.items())
    report.say(f"{recorded.path}: {len(recorded.records):,} records; {happened}")
    if missing := recorded.missing(requests):
        report.warn(f"too little happened to tell: {missing}", style="red")
        sys.exit(2)


@example("validate out/run")
@places
@batches
@click.option(
    "--window",
    default=WINDOW,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="How many records of a log TLC reads at once.",
)
@click.option(
    "--whole", is_flag=True, help="Let TLC read whole logs at once; the verdict is the same."
)
def validate(log: tuple[Path, ...], batch: int, window: int, whole: bool) -> None:
    """Let TLC decide whether each node's log is a behaviour of the specification.

    LOG is a file or a folder of *.ndjson files. Logs that name the same members are those of one
    cluster, in one file or in several. If the same node is in several files, these are several
    runs, each in a folder or a file of its own.
    """
    started = time.monotonic()
    clusters = logs.read_clusters(logs.clusters(log))
    verdicts = checking.validate(clusters, batch, None if whole else window)
    elapsed = time.monotonic() - started
    bad = [found for verdict in verdicts for found in verdict.rejections]
    checking.show_rejections(list(map(logs.place, clusters)), clusters, verdicts, batch)
    for text in explanation.format_missing_logs(verdicts):
        report.warn(text)
    records = sum(verdict.records for verdict in verdicts)
    rejected = sum(bool(verdict.rejections) for verdict in verdicts)
    counted = f"{len(clusters):,} logs, {records:,} records judged, {rejected:,} logs rejected"
    report.say(f"{counted}; {report.pace(records, elapsed)}")
    sys.exit(1 if bad else 0)


@example("shrink out/run/seed-7.ndjson -o tests/fixtures/takeover-bad.ndjson")
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write.",
)
@click.option(
    "--seconds",
    default=shrinking.SECONDS,
    show_default=True,
    type=SECONDS,
    help="Stop after so long with the smallest log so far.",
)
@batches
@seconds
@click.pass_obj
def shrink(
    command: tuple[str, ...],
    log: Path,
    output: Path,
    seconds: float,
    batch: int,
    timeout_seconds: float,
) -> None:
    """Make LOG, which is rejected, as small as can be while it is rejected in the same way.

    With a node's COMMAND after --, as it is given to replay: a log from which that node differs.
    What is left is then the node's own log of the inputs that are needed. The smallest log so far
    is always in the file, so that nothing is lost by an interrupt.
    """
    if output.exists() and output.samefile(log):
        raise click.UsageError("the smaller log needs a file of its own")
    with report.Line(f"{log} made smaller") as line:
        effort = shrinking.Effort(seconds, line.update, functools.partial(logs.replace, output))
        if command:
            shrunk = shrinking.shrink_node(log, command, batch, timeout_seconds, effort=effort)
        else:
            shrunk = shrinking.shrink_log(log, batch, effort=effort)
    [verdict] = checking.validate([logs.read(output)], batch)
    [rejection] = verdict.rejections
    report.say(explanation.format_rejection(rejection))
    rest = "" if shrunk.smallest else f"; more may go with more than --seconds {seconds:g}"
    report.say(f"{output}: {len(shrunk.records):,} records of {shrunk.before:,}{rest}")


@example("trace-coverage out/run")
@places
@batches
@click.option(
    "--at-least",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Fail if fewer of the branches are covered.",
)
def trace_coverage(log: tuple[Path, ...], batch: int, at_least: int | None) -> None:
    """See which actions and branches of the specification the LOGs of real runs cover.

    They are judged as by `validate`, and what is rejected does not count. LOG is a file or a folder
    of *.ndjson files, as `validate` takes them. How much is covered is a figure: only logs that are
    rejected, or less than --at-least, end with status 1.
    """
    verdicts, found = real_runs.validate(logs.read_clusters(logs.clusters(log)), batch)
    bad = [each for verdict in verdicts for each in verdict.rejections]
    for each in bad[:5]:
        report.say(explanation.format_rejection(each))
    real_runs.show_trace_coverage(found)
    low = at_least is not None and found.percent < at_least
    if low:
        report.warn(f"{found.percent} % of the branches are covered, and not {at_least} %")
    sys.exit(1 if bad or low else 0)


@example("explore main returns -o out/explored --runs 100 --seed 7")
@click.argument("model", nargs=-1)
@folder
@click.option(
    "--runs",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="How many for each model.",
)
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed is the same runs."
)
@seconds
@click.pass_obj
def explore(
    command: tuple[str, ...],
    model: tuple[str, ...],
    output: Path,
    runs: int,
    seed: int,
    timeout_seconds: float,
) -> None:
    """Run real processes in each MODEL's own world; see how many local transitions they visit.

    Without a MODEL, in all that golden logs are made from. The node's COMMAND may follow after --;
    --manual-clock, --log and --batch 1 are added to it. Without one, it is this project's own. The
    log of a run in which a node differs from the model is left in the folder.
    """
    chosen = [searched(name) for name in model] or manifest.golden()
    node = command or checking.NODE
    with guard.scratch("explore-") as scratch:
        made = checking.generated(chosen, scratch, seed)
    found = real_runs.explore(output, node, made, runs, seed, timeout_seconds)
    real_runs.show_explored(found, node, seed)
    sys.exit(0 if real_runs.passed(found) else 1)


@example("check-history --settled out/faults/history.ndjson")
@click.argument("history", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--settled",
    is_flag=True,
    help="The history ends in peace: each node's last whole log must tell everything "
    "that was ever told to be decided.",
)
def check_history(history: tuple[Path, ...], settled: bool) -> None:
    """Judge what clients saw: agreement, validity, durability, and that errors told the truth.

    HISTORY is a file, or a folder of *.ndjson files: questions and answers in the order in which
    one observer saw them.
    """
    read = [histories.read(path) for path in logs.find(history, logs.HISTORIES)]
    found = [finding for each in read for finding in history_checker.check_history(each, settled)]
    for finding in found[:5]:
        report.say(explanation.format_finding(finding))
    entries = f"{len(read):,} histories, {sum(map(len, read)):,} entries judged"
    report.say(f"{entries}, {len(found):,} findings")
    sys.exit(1 if found else 0)


@example("export --html out/run.html out/run/seed-7.ndjson")
@click.argument("log", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME",
    help="Instead of logs, the counterexample that TLC finds for a model.",
)
@click.option(
    "--html",
    type=written,
    metavar="FILE",
    help="A page to look at in a browser; nothing else is needed for it.",
)
@click.option(
    "--itf",
    type=written,
    metavar="FILE",
    help="A trace in the Informal Trace Format of Apalache and Quint.",
)
@click.option(
    "--shiviz",
    type=written,
    metavar="FILE",
    help="A log with vector clocks for ShiViz; its first line is the expression that "
    f"reads the rest: {PARSER}",
)
@click.option(
    "--states",
    default=exporting.RECORDS_WITH_STATES,
    show_default=True,
    type=click.IntRange(0),
    help="Show the states of the nodes, which TLC works out, for the first so many "
    "records; some seconds a thousand.",
)
@click.option(
    "--replica", is_flag=True, help="States in the ITF trace, too: of all nodes after each record."
)
@click.option(
    "--force", is_flag=True, help="Overwrite files that no export made; never a log that is read."
)
@batches
def export(
    log: tuple[Path, ...],
    model: str | None,
    html: Path | None,
    itf: Path | None,
    shiviz: Path | None,
    states: int,
    replica: bool,
    force: bool,
    batch: int,
) -> None:
    """Write a run for other tools and for people: a page, an ITF trace, a ShiViz log.

    LOG is a file or a folder of *.ndjson files, together one run: a cluster's records stand in one
    file, or those of each node in its own.
    """
    if bool(log) == bool(model):
        raise click.UsageError("give the LOGs of one run, or --model NAME")
    if not (html or itf or shiviz):
        raise click.UsageError("say what to write: --html FILE, --itf FILE, --shiviz FILE")
    options = exporting.ExportOptions(html, itf, shiviz, states, replica, force)
    with report.Line(f"export of {model or 'a run'}") as line:
        if model:
            exporting.export_model(searched(model), options, line.update)
        else:
            exporting.export_logs(logs.find(log, logs.LOG), options, batch, line.update)
    for path in options.files():
        report.say(f"{path} is written")


@example("inject -o out/faults --nodes 5 --kills 500 --seconds 900 --seed 7")
@folder
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--kills",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="The faults end with so many kills,",
)
@click.option("--seconds", default=60.0, show_default=True, type=SECONDS, help="or after so long.")
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=SEEDS,
    help="The same seed is the same schedule of faults.",
)
@click.option(
    "--power-cuts",
    is_flag=True,
    help="Cut the power with each kill: what a node has not synced may be lost. Needs strace.",
)
@click.option(
    "--records",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(0),
    help="Let TLC judge the nodes' logs up to so many records.",
)
@batches
@click.pass_obj
def inject(
    command: tuple[str, ...],
    output: Path,
    nodes: int,
    kills: int,
    seconds: float,
    seed: int,
    power_cuts: bool,
    records: int,
    batch: int,
) -> None:
    """Have real processes killed, stopped and cut off while clients duel; judge what came of it.

    The nodes run in real time, each on a directory of its own; --data, --log and --seed are added
    to their COMMAND, which may follow after --; without one, it is this project's own. What clients
    saw is left in history.ndjson, what each node logged beside it.
    """
    try:
        agrees = checking.inject_faults(
            output,
            command or checking.IMPATIENT,
            nodes=nodes,
            kills=kills,
            seconds=seconds,
            seed=seed,
            batch=batch,
            records=records,
            power_cuts=power_cuts,
        )
    except NodeWrong as error:
        report.say(str(error))
        sys.exit(1)
    sys.exit(STATUSES[agrees])


@example("check --seed 7")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for all traces, the cache and check.txt.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of the recorded runs.")
@click.option(
    "-j",
    "--jobs",
    "number",
    type=click.IntRange(1),
    metavar="N",
    help="Run N jobs at a time; as many as there are cores, if not given.",
)
@click.option("--no-cache", is_flag=True, help="Neither use nor keep results of earlier runs.")
@click.option("-v", "--verbose", is_flag=True, help="Print all rows, not only those that fail.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the last line only.")
@click.option("--pin", is_flag=True, help="Write complete results to conformance/pinned.json.")
@click.pass_obj
def check(
    command: tuple[str, ...],
    output: Path,
    seed: int,
    number: int | None,
    no_cache: bool,
    verbose: bool,
    quiet: bool,
    pin: bool,
) -> None:
    """Check models, node and specification in seven phases, with one verdict at the end.

    The node's COMMAND may follow after --; without one, it is this project's own. Results that
    depend on nothing that changed are taken from the cache; runs of another node never are.
    """
    if pin and command:
        raise click.UsageError("--pin is for this project's own node")
    jobs.use_cores(number or 0)
    passed = whole_check.check(
        output,
        seed,
        command,
        pin=pin,
        use_cache=not no_cache,
        verbose=verbose,
        quiet=quiet,
    )
    sys.exit(0 if passed else 1)


@example("mutate-traces --seed 7")
@click.argument("log", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/mutated"),
    show_default=True,
    help="Folder for the logs, in sources/ and wrong/.",
)
@click.option(
    "--number",
    default=2000,
    show_default=True,
    type=click.IntRange(1),
    help="How many altered logs.",
)
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed is the same logs."
)
@click.option("--only", type=click.IntRange(1), metavar="N", help="Just the altered log number N.")
@click.option("--kind", type=click.Choice(KINDS), help="Alter all logs in this way.")
@batches
@seconds
@click.pass_obj
def mutate_traces(
    command: tuple[str, ...],
    log: tuple[Path, ...],
    output: Path,
    number: int,
    seed: int,
    only: int | None,
    kind: str | None,
    batch: int,
    timeout_seconds: float,
) -> None:
    """Put the judge of logs on trial: alter accepted logs, see that it finds what is wrong.

    Each LOG is altered, or, if none is given, logs that are made first. Whether an altered log is
    legal is known from how it was altered or told by a node; its COMMAND may follow after --,
    without --manual-clock and --log.
    """
    agrees = trace_mutation.mutate_traces(
        output,
        command or checking.NODE,
        number=number,
        seed=seed,
        only=only,
        paths=logs.find(log, logs.LOG) if log else (),
        batch=batch,
        seconds=timeout_seconds,
        kind=kind,
    )
    sys.exit(0 if agrees else 1)


@example("grade -o out/grade -- ./my-node")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/grade"),
    show_default=True,
    help="Folder for grade.json, scripts that show failures, and logs.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(planning.STAGES),
    help="Only this stage, or these.",
)
@click.option(
    "--golden",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Golden logs that are there already, as of `generate`.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Make golden logs of this model, or these; of all that are meant for it if none is given.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(tuple(probing.SIGNS)),
    help="Take it that the node does not take this option.",
)
@click.option(
    "--nodes",
    "clusters",
    multiple=True,
    default=(3, 5),
    show_default=True,
    type=click.IntRange(1),
    help="Sizes of the recorded clusters.",
)
@click.option(
    "--requests",
    default=200,
    show_default=True,
    type=click.IntRange(1),
    help="Requests in each recorded cluster.",
)
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=SECONDS,
    help="How long the run in real time has faults,",
)
@click.option(
    "--kills",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="or how many kills they end with.",
)
@click.option("--seed", default=1, show_default=True, type=SEEDS, help="Seed of all runs.")
@click.option(
    "--timeout-seconds",
    "patience",
    default=5.0,
    show_default=True,
    type=SECONDS,
    help="How long a node has for an answer.",
)
@click.option("--complete", is_flag=True, help="What could not be graded fails, too.")
@click.pass_obj
def grade(command: tuple[str, ...], complete: bool, **asked: Any) -> None:
    """Grade any node, in stages: what it supports is found out, and what is left out is said.

    challenge: lines in and lines out, with no option. replay: golden logs, with --manual-clock.
    record: a cluster in a bad network, with --manual-clock. endure: a cluster in real time, killed
    if the node takes --data. conformance/README.md has the protocol.
    """
    for name in asked["models"]:
        searched(name)
    plan = planning.Plan(**{**asked, "stages": asked["stages"] or planning.STAGES})
    found = grading.grade(plan, command)
    show_grade(found, grading.write(found, plan.output))
    if found.agrees is None:
        report.warn("nothing was graded", style="red")
        sys.exit(2)
    sys.exit(0 if found.agrees and (found.complete or not complete) else 1)


@example("bench --repetitions 9 -- ./my-node")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder on the disk that is measured; nothing is left there.",
)
@click.option(
    "--repetitions",
    default=7,
    show_default=True,
    type=click.IntRange(1),
    help="How often each figure is taken, in turn with the others.",
)
@click.option(
    "--requests",
    default=90_000,
    show_default=True,
    type=click.IntRange(1),
    help="Requests of a streamed run; the other runs have fewer.",
)
@click.option(
    "--largest-burst",
    default=200_000,
    show_default=True,
    type=click.IntRange(1),
    help="Leave out bursts of more requests at once.",
)
@click.option(
    "--without-pysyncobj",
    is_flag=True,
    help="Do not measure PySyncObj, which has to be installed otherwise.",
)
@click.pass_obj
def bench(
    command: tuple[str, ...],
    output: Path,
    repetitions: int,
    requests: int,
    largest_burst: int,
    without_pysyncobj: bool,
) -> None:
    """Measure a node side by side with its peers; whether a target is reached fails nothing.

    The node's COMMAND may follow after --; without one, it is this project's own.
    """
    node = command or checking.NODE
    measuring.bench(node, output, repetitions, requests, not without_pysyncobj, largest_burst)


if __name__ == "__main__":
    main(prog_name="python -m conformance")
