"""The whole check, and the pieces of it that are verbs of their own.

Puts the rooms together and shows what they found; what agreement means is decided in them.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import report
from .coverage import pinned as pinned
from .coverage import real_runs
from .coverage.traces import TraceCoverage
from .exporting import export as exporting
from .exporting import page
from .formats import logs
from .formats.folders import fresh
from .formats.logs import Record
from .golden import generate as generating
from .golden.generate import Generated
from .jobs import at_once
from .models import manifest, searching
from .models.manifest import Model
from .running import inject
from .running import record as recording
from .running import replay as replaying
from .running.explore import Explored
from .running.inject import FaultRun
from .running.replay import Difference, Replayed, Turn
from .validation import explanation, history_checker
from .validation import trace_validation as validating
from .validation.evidence import Contradiction, find_contradiction
from .validation.step_checker import WINDOW
from .validation.verdict import Verdict

# The node needs nothing installed, and starts in two thirds of the time without looking for it.
NODE = (sys.executable, "-S", str(manifest.ROOT / "impl" / "main.py"))

# So impatient that it gives requests up even where all is bad for moments only.
IMPATIENT = (*NODE, "--request-timeout-ms", "700")

# The standard runs of real processes: nodes and requests, and a --batch so small that a `learned`
# may have to leave something out.  Runs in the world of each model.  Those of random models: runs,
# steps.
CLUSTERS, BATCH = ((1, 50), (3, 200), (5, 200)), 2
RUNS = 10

# One golden log in so many is replayed under a renaming, too.
RENAMED = 3

# So small that even the standard runs are judged in several.
SMALL_WINDOW = 300
RANDOM_RUNS, RANDOM_STEPS = 10, 150


def show_generated(rows: Sequence[tuple[Model, Generated]]) -> None:
    """What was generated from models; of random runs nothing is counted but what they wrote."""
    shown = []
    for model, made in rows:
        counts = (
            made.outcome.generated,
            made.transitions,
            made.no_ops,
            made.covered,
            made.verified,
        )
        figures = counts if made.transitions else ("",) * len(counts)
        shown.append((model.name, *figures, len(made.logs), made.steps, made.outcome.seconds))
    columns = (
        "model",
        "#transitions",
        "#local",
        "#no-ops",
        "#covered",
        "#verified",
        "#logs",
        "#records",
        "#time",
    )
    report.table("Generated logs", columns, shown)


def replay(
    paths: Sequence[Path],
    node: Sequence[str] | Callable[[], Turn],
    seconds: float = 30,
    renamed: int | None = None,
) -> list[Replayed]:
    """Replays logs against a command, or against what a function makes, with a line that tells how
    many are done."""
    done = 0
    under = "" if renamed is None else f", renamed by seed {renamed}"
    with report.Line(f"replay of {len(paths):,} logs{under}") as line:

        def tell(_: Replayed) -> None:
            nonlocal done
            done += 1
            line.tell(f"{done:,} done")

        if callable(node):
            return replaying.replay_all_within(paths, node, renamed=renamed, on_done=tell)
        return replaying.replay_all(paths, node, seconds=seconds, renamed=renamed, on_done=tell)


def validate(
    clusters: Sequence[Sequence[logs.Record]], batch: int, window: int | None = WINDOW
) -> list[Verdict]:
    """Judges logs, with a line that tells how far it is; raises `LogError` for an idle cluster."""
    for cluster in clusters:
        if all(record.starts for record in cluster):
            raise logs.LogError(f"{cluster[0].path}: nothing but init is in it; it shows nothing")
    with report.Line(f"judging {sum(map(len, clusters)):,} records") as line:
        return validating.validate_logs(clusters, batch, window=window, on_progress=line.tell)


def show_differences(differing: Sequence[Difference], command: Sequence[str]) -> None:
    """The first of what replays found, each with a page of its run."""
    batch = command[command.index("--batch") + 1] if "--batch" in command[:-1] else "1000"
    for found in differing[:5]:
        report.say(found.words())
        path, marks = found.record.path, [page.mark_of_difference(found)]
        records = replaying.read(path, found.renamed)
        show_page(path.with_suffix(".html"), records, marks, int(batch))


def show_rejections(
    places: Sequence[Path],
    clusters: Sequence[Sequence[logs.Record]],
    verdicts: Sequence[Verdict],
    batch: int,
) -> None:
    """The first of what judges of logs rejected, each cluster with a page of its run.

    `places` are the logs, beside which the pages are left.
    """
    shown = 0
    for place, cluster, verdict in zip(places, clusters, verdicts, strict=True):
        if not verdict.rejections or shown >= 5:
            continue
        for found in verdict.rejections[: 5 - shown]:
            report.say(explanation.format_rejection(found))
        shown += len(verdict.rejections)
        marks = list(map(page.mark_of_rejection, verdict.rejections))
        show_page(place.with_suffix(".html"), cluster, marks, batch)


def show_page(
    place: Path, records: Sequence[logs.Record], marks: Sequence[page.Mark], batch: int
) -> None:
    """Leaves a page of a run that is wrong, and tells where; the verdict stands without it."""
    try:
        with report.Line(f"a page of {records[0].path.name}") as line:
            found = exporting.make_failed_run(place.stem, records, marks, batch, line.tell)
            exporting.write_page(place, found)
    except (OSError, RecursionError, exporting.ExportError) as error:
        report.warn(f"no page of this run: {error}")
    else:
        report.say(f"  to look at: {place}")


def inject_faults(
    output: Path,
    command: Sequence[str],
    *,
    nodes: int,
    kills: int,
    seconds: float,
    seed: int,
    batch: int,
    records: int,
    power_cuts: bool = False,
    on_row: Callable[[str, bool, str], None] = lambda what, passes, figure: None,
) -> bool | None:
    """Inject faults into a cluster, check what clients and nodes recorded, and print it.

    Return True if all is right, False if something is wrong, None if too little happened to decide.
    `on_row` is called with each check: what it is, whether it passes, its figure.
    """
    again = (
        f"python -m conformance inject -o {shlex.quote(str(output))}-again --nodes {nodes} "
        f"--kills {kills} --seconds {seconds:g} --seed {seed}{' --power-cuts' * power_cuts} "
        f"-- {shlex.join(command)}"
    )
    agrees = False
    try:
        with report.Line(f"{nodes} nodes, seed {seed}") as line:
            fault_run = inject.inject(
                output,
                command,
                nodes=nodes,
                kills=kills,
                seconds=seconds,
                seed=seed,
                power_cuts=power_cuts,
                on_progress=line.tell,
            )
        missing = list(fault_run.missing)
        rows = [*_happened(fault_run), *_judged(fault_run, batch, records, missing)]
        title = f"{nodes} nodes, seed {seed}, {fault_run.seconds:.0f} s"
        report.table(title, ("what", "figure", "agrees"), rows)
        agrees = all(row[-1] is not False for row in rows)
        for what, figure, passes in rows:
            if isinstance(passes, bool):
                on_row(what, passes, figure)
    finally:
        if not agrees:
            report.warn(f"the same faults again (seed {seed}), though time is never the same:")
            report.warn(f"  {again}")
    if agrees and missing:
        report.warn(f"too little happened to decide: {'; '.join(missing)}", style="red")
        return None
    return agrees


def _happened(fault_run: FaultRun) -> list[Any]:
    """What a faulty world was like; a run in which little happened shows little."""

    def told(*what: str) -> str:
        return ", ".join(f"{fault_run.happened[each]:,} {each}" for each in what)

    for text in fault_run.unrefused[:5]:
        report.say(text)
    left = sum(status == 0 for status in fault_run.statuses.values())
    peace = (
        "never"
        if fault_run.recovery_seconds is None
        else f"after {fault_run.recovery_seconds:.1f} s"
    )
    seconds = fault_run.happened["second processes"]
    refused = f"{seconds - len(fault_run.unrefused)} of {seconds}"
    return [
        ("nodes", told("kills", "restarts", "pauses"), ""),
        ("network", told("partitions", "delivered", "late", "repeated"), ""),
        ("", told("lost", "cut off", "node was down"), ""),
        ("clients", told("requests", "retries", "abandoned", "errors", "late replies"), ""),
        ("answers", told("acknowledged", "logs read"), ""),
        ("second processes on a directory refused", refused, not fault_run.unrefused),
        (
            "without faults every node decides and knows all",
            peace,
            fault_run.recovery_seconds is not None,
        ),
        (
            "left when asked to",
            f"{left} of {len(fault_run.statuses)}",
            left == len(fault_run.statuses),
        ),
    ]


def _judged(fault_run: FaultRun, batch: int, records: int, missing: list[str]) -> list[Any]:
    """What the judges say of what clients saw, and of what the nodes logged.

    Adds to `missing` what could not be judged.
    """
    # Where no peace came, what a node has not heard of is late and not lost.
    found = history_checker.check_history(
        fault_run.history, quiescent=fault_run.recovery_seconds is not None
    )
    for finding in found[:5]:
        report.say(explanation.format_finding(finding))
    lost = sum(finding.rule in ("durability", "quiescence") for finding in found)
    logged = logs_of(fault_run)
    against = contradictions(fault_run, logged)
    for each in against:
        report.say(str(each))
    rows = [
        ("acknowledged decisions lost", f"{lost:,}", lost == 0),
        ("other findings in the history", f"{len(found) - lost:,}", len(found) == lost),
        ("logs that are not what the router saw", f"{len(against):,}", not against),
    ]
    cluster = [record for records in logged.values() for record in records]
    if len(cluster) > records or not cluster:
        if records:
            missing.append(f"{len(cluster):,} records were not judged, of at most {records:,}")
        return [*rows, ("records not judged", f"{len(cluster):,}", "")]
    [verdict] = validate([cluster], batch)
    show_rejections([fault_run.logs[0].parent / "run"], [cluster], [verdict], batch)
    rejected = f"{len(verdict.rejections)} logs rejected of {len(cluster):,} records"
    return [*rows, ("what the specification says", rejected, not verdict.rejections)]


def logs_of(fault_run: FaultRun) -> dict[str, list[Record]]:
    """Reads what each node logged; nothing where it left no log, or an empty one."""
    paths = zip(fault_run.evidence, fault_run.logs, strict=True)
    return {
        node: logs.read(path) if path.is_file() and path.stat().st_size else []
        for node, path in paths
    }


def contradictions(fault_run: FaultRun, logged: dict[str, list[Record]]) -> list[Contradiction]:
    """Compares what each node logged with what the router saw of it."""
    found = [
        find_contradiction(node, logged[node], lives) for node, lives in fault_run.evidence.items()
    ]
    return [each for each in found if each is not None]


def check(output: Path, seed: int, command: Sequence[str], pin: bool = False) -> bool:
    """Runs everything on the standard models; True when all of it agrees.

    `pin` commits the certificate that was found, if it is whole.
    """
    node = tuple(command) or NODE
    replaying.check_command(node)
    for old in ("golden", "run", "explored"):
        fresh(output / old)
    rows = searching.models([model for model in searching.standard() if not model.golden])
    # Random runs of the deep model are golden logs, too.
    walked = [model for model in manifest.load().values() if model.expect == "runs"]
    made = generated([*manifest.golden(), *walked], output / "golden", seed)
    rows += [searching.ModelRow(model, found.outcome) for model, found in made if model.golden]
    branches = searching.coverage()
    golden = [path for _, found in made for path in found.logs]
    loop, replayed, covered = _loop(output, seed, node, golden)
    explored, row = _explored(output / "explored", seed, node, made)
    loop.append(row)
    searching.show_models(rows)
    searching.show_coverage(branches)
    show_generated(made)
    report.table("The loop", ("what", "figure", "#time", "agrees"), loop)
    real_runs.show_trace_coverage(covered)
    real_runs.show_explored(explored, node, seed)
    real = real_runs.as_json(covered, explored, seed)
    whole = hold_to_pinned(output, made, replayed, real, ours=not command, pin=pin)
    return (
        all(row.agrees for row in rows)
        and not branches.uncovered
        and all(found.complete for _, found in made)
        and all(row[-1] for row in loop)
        and covered.whole
        and whole
    )


def generated(chosen: Sequence[Model], folder: Path, seed: int) -> list[tuple[Model, Generated]]:
    """Golden logs of models that can be searched, and random runs of those that cannot."""
    with report.Line(f"golden logs of {len(chosen)} models") as line:

        def make(model: Model) -> Generated:
            place = folder / model.name
            if model.expect != "runs":
                return generating.generate(
                    model, place, on_progress=lambda text: line.tell(f"{model.name}, {text}")
                )
            return generating.simulate(model, place, RANDOM_RUNS, RANDOM_STEPS, seed)

        found = dict(at_once(make, chosen, lambda model: model.workers))
    return [(model, found[model]) for model in chosen]


def _loop(
    output: Path, seed: int, node: Sequence[str], golden: list[Path]
) -> tuple[list[Any], list[Replayed], TraceCoverage]:
    """Replays, records and validates, a row of the table for each; and what came of each replay,
    and what the recorded runs covered.
    """
    rows: list[Any] = []
    started = time.monotonic()
    replayed = [*node, "--manual-clock", "--batch", "1"]
    results = replay(golden, replayed)
    rows.append(_replayed("replay of {:,} golden logs", results, replayed, started))
    started = time.monotonic()
    renamed = replay(some_renamed(golden, seed), replayed, renamed=seed)
    rows.append(_replayed(f"{{:,}} of them renamed, seed {seed}", renamed, replayed, started))
    places, recorded, clusters = _recorded(output / "run", seed, node)
    validated, covered = _validated(places, clusters)
    return [*rows, *recorded, *validated], results, covered


def some_renamed(golden: Sequence[Path], seed: int) -> list[Path]:
    """The golden logs that are also replayed under a renaming: others for each seed."""
    return list(golden[seed % RENAMED :: RENAMED]) or list(golden)


def _replayed(
    what: str, results: Sequence[Replayed], command: Sequence[str], started: float
) -> Any:
    """Shows what differed in replays; a row of the table for them."""
    differing = [result.difference for result in results if result.difference]
    show_differences(differing, command)
    steps = sum(result.steps for result in results)
    agrees = bool(results) and not differing
    figure = f"{steps:,} records"
    return (what.format(len(results)), figure, time.monotonic() - started, agrees)


def _recorded(
    folder: Path, seed: int, node: Sequence[str]
) -> tuple[list[Path], list[Any], list[list[logs.Record]]]:
    """The standard runs: the log of each, a row of the table, and the log's records."""
    places, rows, clusters = [], [], []
    for nodes, requests in CLUSTERS:
        started = time.monotonic()
        with report.Line(f"cluster of {nodes} processes, seed {seed}") as line:
            recorded = recording.record(
                folder / f"{nodes}-nodes",
                [*node, "--batch", str(BATCH)],
                nodes=nodes,
                requests=requests,
                seed=seed,
                on_progress=lambda count, line=line: line.tell(f"{count:,} steps"),
            )
        places.append(recorded.path)
        clusters.append(logs.read(recorded.path))
        told = ("answered", "lost", "repeated", "crashes")
        faults = ", ".join(f"{recorded.happened[what]:,} {what}" for what in told)
        rows.append(
            (
                f"record {nodes} processes, {requests} requests, seed {seed}",
                faults,
                time.monotonic() - started,
                recorded.happened["answered"] > 0,
            )
        )
    return places, rows, clusters


def _validated(
    places: Sequence[Path], clusters: Sequence[Sequence[logs.Record]]
) -> tuple[list[Any], TraceCoverage]:
    """Judges logs window by window, and sees what they visit; and, as a cross-check, as wholes."""
    started = time.monotonic()
    verdicts, covered = real_runs.validate(clusters, BATCH, SMALL_WINDOW)
    between = time.monotonic()
    wholes = validate(clusters, BATCH, None)
    show_rejections(places, clusters, verdicts, BATCH)
    what, figure = f"validate {len(clusters)} logs", f"{sum(map(len, clusters)):,} records"
    accepted = not any(verdict.rejections for verdict in verdicts)
    return [
        (f"{what} in windows of {SMALL_WINDOW}", figure, between - started, accepted),
        (f"{what} as wholes", figure, time.monotonic() - between, wholes == verdicts),
    ], covered


def _explored(
    folder: Path, seed: int, node: Sequence[str], made: Sequence[tuple[Model, Generated]]
) -> tuple[dict[str, Explored], Any]:
    """What runs in the worlds of the models visit, and a row of the table for all of them."""
    started = time.monotonic()
    explored = real_runs.explore(folder, node, made, RUNS, seed)
    runs = sum(found.runs for found in explored.values())
    steps = sum(found.inside + found.outside for found in explored.values())
    what = f"explore {len(explored)} models, {runs} runs, seed {seed}"
    agrees = real_runs.agrees(explored)
    return explored, (what, f"{steps:,} records", time.monotonic() - started, agrees)


def hold_to_pinned(
    output: Path,
    made: Sequence[tuple[Model, Generated]],
    replayed: Sequence[Replayed],
    real: Any,
    *,
    ours: bool,
    pin: bool,
) -> bool:
    """Write the results; return whether they are complete and equal to the pinned ones."""
    by_log = {each.path: each for each in replayed}
    entries = {
        model.name: pinned.entry(model, found, [by_log[path] for path in found.logs])
        for model, found in made
        if model.golden
    }
    found = pinned.make(entries, real)
    pinned.write(output / "results.json", found)
    wrong = pinned.gaps(found)
    advice = "the node and the specification are not held against each other wholly"
    if not wrong and pin and ours:
        pinned.write(pinned.COMMITTED, found)
    if not wrong:
        committed = pinned.read(pinned.COMMITTED)
        if real["seed"] != committed["real_runs"]["seed"]:
            # Other runs cover something else.
            committed["real_runs"] = real
        wrong = list(pinned.drift(found, committed))
        advice = "if that is what a change means, commit what is found: check --pin"
    for line in wrong[:20]:
        report.warn(f"pinned results: {line}")
    if wrong:
        report.warn(f"pinned results: {advice}", style="red")
    return not wrong
