"""Steps that several verbs share: generate, replay, validate, inject faults, and show the results.

Calls the packages that do the work, with progress on a line; the verdicts are theirs.
"""

from __future__ import annotations

import compileall
import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from . import cache, locations, report
from .cache import Cache
from .coverage import pinned
from .exporting import export as exporting
from .exporting import page, slots_page
from .exporting.outputs import ExportError
from .formats import log_files, logs, vote_logs
from .formats.logs import Record
from .formats.vote_logs import VoteLogs
from .golden import generate as generating
from .golden import stored
from .golden.generate import Generated
from .jobs import at_once
from .models import searching
from .models.manifest import Model
from .running import inject
from .running import replay as replaying
from .running.inject import PROTOCOL, Dialect, FaultRun
from .running.nodes import OPTIONS
from .running.replay import Difference, Replayed, Turn
from .tlaplus import tlc
from .validation import explanation, history_checker, vote_verdict
from .validation import trace_validation as validating
from .validation.evidence import Contradiction, find_contradiction
from .validation.step_checker import WINDOW
from .validation.verdict import Verdict
from .validation.vote_verdict import VoteVerdict

NODE = locations.NODE

# So impatient that it drops requests even in short fault periods.
IMPATIENT = (*NODE, "--request-timeout-ms", "700")

# One golden trace in so many is replayed with other names.
RENAMED = 3

RANDOM_RUNS, RANDOM_STEPS = 10, 150


def compile_node() -> None:
    """Compile this project's own node, as Python does when it may write bytecode.

    Where it may not (PYTHONDONTWRITEBYTECODE), each of the thousands of processes of a replay
    would compile all of the node.  The bytecode has a checksum of its source, so a node that is
    edited within the same second is compiled anew.
    """
    compileall.compile_dir(
        locations.NODE_FOLDER, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH
    )


def show_generated(rows: Sequence[tuple[Model, Generated]]) -> None:
    """Print what was generated from models; random runs have no count of transitions."""
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
        seconds = "cached" if made.cached else made.outcome.seconds
        row = (model.name, *figures, len(made.logs), made.steps, seconds, made.complete)
        shown.append(row)
    columns = (
        "model",
        "#searched",
        "#transitions",
        "#no-ops",
        "#covered",
        "#verified",
        "#traces",
        "#records",
        "#time",
        "result",
    )
    report.table("Golden traces", columns, shown)


def replay(
    paths: Sequence[Path],
    node: Sequence[str] | Callable[[], Turn],
    seconds: float = 30,
    renamed: int | None = None,
) -> list[Replayed]:
    """Replay golden traces against a command, or in this process, and show how many are done."""
    done = 0
    under = "" if renamed is None else f", renamed by seed {renamed}"
    with report.Line(f"replay of {len(paths):,} golden traces{under}") as line:

        def count(_: Replayed) -> None:
            nonlocal done
            done += 1
            line.update(f"{done:,} done", done / len(paths))

        if callable(node):
            return replaying.replay_all_within(paths, node, renamed=renamed, on_done=count)
        return replaying.replay_all(paths, node, seconds=seconds, renamed=renamed, on_done=count)


def validate(
    clusters: Sequence[Sequence[logs.Record]], batch: int, window: int | None = WINDOW
) -> list[Verdict]:
    """Validate traces and show progress; raises `LogError` for a cluster that only has `init`."""
    for cluster in clusters:
        if all(record.starts for record in cluster):
            raise logs.LogError(f"{cluster[0].path}: nothing but init is in it; it shows nothing")
    with report.Line(f"validating {sum(map(len, clusters)):,} records") as line:
        return validating.validate_logs(clusters, batch, window=window, on_progress=line.update)


def validate_votes(cluster: VoteLogs) -> VoteVerdict:
    """Validate the vote logs of one cluster and show progress."""
    with report.Line(f"validating {len(cluster.lines):,} lines") as line:
        [verdict] = vote_verdict.validate_votes([cluster], line.update)
        return verdict


def show_vote_rejections(verdict: VoteVerdict) -> None:
    """Print the first rejections of vote logs, and write a page of their slots."""
    for found in verdict.rejections[:5]:
        report.say(vote_verdict.format_rejection(verdict.cluster, found))
    if verdict.rejections:
        files = {line.path: None for line in verdict.cluster.lines}
        first = next(iter(files))
        place = (first if len(files) == 1 else first.parent / "votes").with_suffix(".html")
        _show_written(place, functools.partial(slots_page.write, place, verdict))


def show_differences(differing: Sequence[Difference], command: Sequence[str]) -> None:
    """Print the first differences that replays found, each with a page of its run."""
    batch = command[command.index("--batch") + 1] if "--batch" in command[:-1] else "1000"
    for found in differing[:5]:
        report.say(found.text())
        path, marks = found.record.path, [page.mark_of_difference(found)]
        records = replaying.read(path, found.renamed)
        show_page(path.with_suffix(".html"), records, marks, int(batch))


def show_rejections(
    places: Sequence[Path],
    clusters: Sequence[Sequence[logs.Record]],
    verdicts: Sequence[Verdict],
    batch: int,
) -> None:
    """Print the first rejections of trace validation, and write a page of each rejected run.

    `places` are the traces; the pages are written beside them.
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
    """Write a page of a run that fails, and print its path; the verdict does not depend on it."""

    def write() -> None:
        with report.Line(f"a page of {records[0].path.name}") as line:
            found = exporting.make_failed_run(place.stem, records, marks, batch, line.update)
            exporting.write_page(place, found)

    _show_written(place, write)


def _show_written(place: Path, write: Callable[[], None]) -> None:
    """Write a page and print its path, or why there is none; the verdict does not depend on it."""
    try:
        write()
    except (OSError, RecursionError, ExportError) as error:
        report.warn(f"no page of this run: {error}")
    else:
        report.say(f"  page: {place}")


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
    dialect: Dialect = PROTOCOL,
    votes: bool = False,
    on_row: Callable[[str, bool, str], None] = lambda what, passes, figure: None,
) -> bool | None:
    """Run a cluster under fault injection, check what came of it and print that.

    Return True if everything passes, False if something fails, None if too little happened.  With
    no kills the nodes get no --data.  `votes`: opaque nodes write vote logs, which are checked.

    `on_row` is called with each check: what it is, whether it passes, its figure.
    """
    flags = [
        *["--power-cuts"] * power_cuts,
        *["--opaque"] * dialect.opaque,
        *["--append"] * dialect.appends,
        *["--votes"] * votes,
    ]
    again = (
        f"python -m conformance inject -o {shlex.quote(str(output))}-again --nodes {nodes} "
        f"--kills {kills} --seconds {seconds:g} --seed {seed}{''.join(f' {f}' for f in flags)} "
        f"-- {shlex.join(command)}"
    )
    taken = ("--data", *["--votes"] * votes) if dialect.opaque else OPTIONS
    options = [option for option in taken if kills or option != "--data"]
    passes: bool | None = False
    try:
        with report.Line(f"{nodes} nodes, seed {seed}") as line:
            fault_run = inject.inject(
                output,
                command,
                nodes=nodes,
                kills=kills or None,
                seconds=seconds,
                seed=seed,
                power_cuts=power_cuts,
                options=options,
                dialect=dialect,
                # The sizes that a value may have are a matter of the protocol.
                large=not dialect.opaque,
                on_progress=line.update,
            )
        checks, missing = _checks(fault_run, dialect.opaque, votes, batch, records)
        title = f"{nodes} nodes, seed {seed}, {fault_run.seconds:.0f} s"
        passes = _show_checks(title, checks, missing, on_row)
    finally:
        if passes is False:
            report.warn(f"the same faults again (seed {seed}), though time is never the same:")
            report.warn(f"  {again}")
    return passes


def _checks(
    fault_run: FaultRun, opaque: bool, votes: bool, batch: int, records: int
) -> tuple[list[Any], list[str]]:
    """Check a run with faults; return a row for each check, and what is missing to decide."""
    missing = list(fault_run.missing)
    rows = [*_happened(fault_run), *_history_rows(fault_run)]
    if not opaque:
        rows += [*_process_rows(fault_run), *_log_rows(fault_run, batch, records, missing)]
    rows += _vote_rows(fault_run) if votes else []
    return rows, missing


def _show_checks(
    title: str,
    rows: list[Any],
    missing: list[str],
    on_row: Callable[[str, bool, str], None],
) -> bool | None:
    """Print the checks and call `on_row` with each; return whether all pass, None if undecided."""
    report.table(title, ("what", "figure", "result"), rows)
    for what, figure, passes in rows:
        if isinstance(passes, bool):
            on_row(what, passes, figure)
    if any(row[-1] is False for row in rows):
        return False
    if missing:
        report.warn(f"too little happened to decide: {'; '.join(missing)}", style="red")
    return None if missing else True


def _happened(fault_run: FaultRun) -> list[Any]:
    """Return rows with the events of a run with faults."""

    def counts(*what: str) -> str:
        return ", ".join(f"{fault_run.happened[each]:,} {each}" for each in what)

    recovery = (
        "never"
        if fault_run.recovery_seconds is None
        else f"after {fault_run.recovery_seconds:.1f} s"
    )
    return [
        ("nodes", counts("kills", "restarts", "pauses"), ""),
        ("network", counts("partitions", "delivered", "late", "repeated"), ""),
        ("", counts("lost", "cut off", "node was down"), ""),
        ("clients", counts("requests", "retries", "abandoned", "errors", "late replies"), ""),
        ("answers", counts("acknowledged", "logs read"), ""),
        (
            "without faults every node decides and knows all",
            recovery,
            fault_run.recovery_seconds is not None,
        ),
    ]


def _process_rows(fault_run: FaultRun) -> list[Any]:
    """Return rows with the verdicts on the nodes' processes."""
    for text in fault_run.unrefused[:5]:
        report.say(text)
    seconds = fault_run.happened["second processes"]
    refused = f"{seconds - len(fault_run.unrefused)} of {seconds}"
    left = sum(status == 0 for status in fault_run.statuses.values())
    nodes = len(fault_run.statuses)
    return [
        ("second processes on a directory refused", refused, not fault_run.unrefused),
        ("ended after SIGTERM", f"{left} of {nodes}", left == nodes),
    ]


def _history_rows(fault_run: FaultRun) -> list[Any]:
    """Return rows with the verdicts on the clients' history."""
    # Without recovery, what a node has not learned is late and not lost.
    found = history_checker.check_history(
        fault_run.history, quiescent=fault_run.recovery_seconds is not None
    )
    for finding in found[:5]:
        report.say(explanation.format_finding(finding))
    lost = sum(finding.rule in ("durability", "quiescence") for finding in found)
    return [
        ("acknowledged decisions lost", f"{lost:,}", lost == 0),
        ("other findings in the history", f"{len(found) - lost:,}", len(found) == lost),
    ]


def _log_rows(fault_run: FaultRun, batch: int, records: int, missing: list[str]) -> list[Any]:
    """Return rows with the verdicts on the nodes' logs.

    Adds to `missing` what could not be checked.
    """
    logged = logs_of(fault_run)
    against = contradictions(fault_run, logged)
    for each in against:
        report.say(str(each))
    rows: list[Any] = [
        ("logs that are not what the router saw", f"{len(against):,}", not against),
    ]
    cluster = [record for records in logged.values() for record in records]
    if len(cluster) > records or not cluster:
        if records:
            missing.append(f"{len(cluster):,} records were not validated, of at most {records:,}")
        return [*rows, ("records not validated", f"{len(cluster):,}", "")]
    [verdict] = validate([cluster], batch)
    show_rejections([fault_run.logs[0].parent / "run"], [cluster], [verdict], batch)
    rejected = f"{len(verdict.rejections)} logs rejected of {len(cluster):,} records"
    return [*rows, ("trace validation", rejected, not verdict.rejections)]


def _vote_rows(fault_run: FaultRun) -> list[Any]:
    """Return rows with the verdict on the vote logs."""
    verdict = validate_votes(vote_logs.read(fault_run.vote_logs))
    show_vote_rejections(verdict)
    lines = sum(map(len, verdict.cluster.logs.values()))
    figure = f"{len(verdict.rejections)} rejections of {lines:,} lines"
    return [("vote logs", figure, not verdict.rejections)]


def logs_of(fault_run: FaultRun) -> dict[str, list[Record]]:
    """Read what each node logged: an empty list where it wrote no log, or an empty one."""
    paths = zip(fault_run.evidence, fault_run.logs, strict=True)
    return {node: logs.read(path) if log_files.size(path) else [] for node, path in paths}


def contradictions(fault_run: FaultRun, logged: dict[str, list[Record]]) -> list[Contradiction]:
    """Compare what each node logged with what the router saw of it."""
    found = [
        find_contradiction(node, logged[node], lives) for node, lives in fault_run.evidence.items()
    ]
    return [each for each in found if each is not None]


def generated(
    chosen: Sequence[Model], folder: Path, seed: int, store: Cache | None = None
) -> list[tuple[Model, Generated]]:
    """Generate golden traces of models, and random runs of those that are too large to search.

    What is complete is kept in `store` and taken from there.
    """
    store = store or Cache(None)
    keys = {model: _golden_key(model, seed) for model in chosen}
    found: dict[Model, Generated | None] = {}
    for model in chosen:
        value = store.get("golden", keys[model])
        found[model] = value and stored.from_json(value, folder / model.name)
    missing = [model for model in chosen if found[model] is None]
    searching.make_startup_cache(missing)
    total, done = sum(map(searching.cost, missing)), 0.0
    with report.Line(f"golden traces of {len(missing)} models") as line:

        def make(model: Model) -> Generated:
            nonlocal done

            def update(text: str) -> None:
                line.update(f"{model.name}, {text}", done / total)

            place = folder / model.name
            if model.expect == "runs":
                made = generating.simulate(model, place, RANDOM_RUNS, RANDOM_STEPS, seed)
            else:
                made = generating.generate(model, place, on_progress=update)
            if made.complete:
                store.put("golden", keys[model], stored.to_json(made))
            done += searching.cost(model)
            return made

        # While paths are found of a model that two workers searched, a core is free for another.
        found |= dict(at_once(make, missing, cost=searching.cost))
    return [(model, made) for model, made in found.items() if made]


def _golden_key(model: Model, seed: int) -> str:
    """Return a checksum of everything that the golden traces of a model depend on."""
    random = [RANDOM_RUNS, RANDOM_STEPS, seed] if model.expect == "runs" else []
    read = model.files(*pinned.PRINTERS)
    entry = {**asdict(model), "config": model.config.name}
    code = cache.code("golden.generate", "golden.stored")
    return cache.key(entry, random, cache.files(read), tlc.version(), code)


def some_renamed(golden: Sequence[Path], seed: int) -> list[Path]:
    """Return the golden traces that are replayed with other names: others for each seed."""
    return list(golden[seed % RENAMED :: RENAMED]) or list(golden)
