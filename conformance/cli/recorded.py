"""Verbs for real runs: record, validate, trace-coverage, explore, inject, check-history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from .. import checking, guard, report
from ..coverage import real_runs
from ..formats import history as histories
from ..formats import logs, vote_logs
from ..models import manifest
from ..results import Results, case
from ..running import record as recording
from ..running.cluster import NodeWrong
from ..running.inject import Dialect
from ..validation import explanation, history_checker, vote_verdict
from ..validation.step_checker import WINDOW
from ..validation.verdict import Verdict
from .group import node_command, verb
from .options import (
    SECONDS,
    SEEDS,
    Finite,
    batches,
    new_folder,
    places,
    searchable,
    timeout,
    verdict,
)


@verb("record -o out/run --nodes 5 --seed 7 -- python3 impl/main.py")
@new_folder
@click.option(
    "--nodes", default=3, show_default=True, type=click.IntRange(1), help="Size of the cluster."
)
@click.option(
    "--requests",
    default=200,
    show_default=True,
    type=click.IntRange(1),
    help="Number of client requests.",
)
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed gives the same run."
)
@click.option(
    "--loss",
    default=0.1,
    show_default=True,
    type=Finite(0, 1),
    help="Probability that a message is lost.",
)
@click.option(
    "--repeat",
    default=0.1,
    show_default=True,
    type=Finite(0, 1),
    help="Probability that a message is delivered twice.",
)
@timeout
@verdict
@node_command
def record(
    command: tuple[str, ...],
    output: Path,
    nodes: int,
    requests: int,
    seed: int,
    loss: float,
    repeat: float,
    timeout_seconds: float,
    results: Results,
) -> str:
    """Run real processes on a lossy network and record a log.

    The node's COMMAND follows after --; --manual-clock and --log are added to it.
    """
    name, started = f"{nodes} nodes, seed {seed}", time.monotonic()
    with report.Line(f"cluster of {name}") as line:
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
            results.add(case("record", name, False, str(error), time.monotonic() - started))
            return name
    happened = ", ".join(f"{number:,} {what}" for what, number in recorded.happened.items())
    missing = recorded.missing(requests)
    if missing:
        report.warn(f"too little happened to decide: {missing}", style="red")
    enough = None if missing else True
    results.add(case("record", name, enough, missing, time.monotonic() - started))
    return f"{recorded.path}: {len(recorded.records):,} records; {happened}"


@verb("validate out/run", "validate --votes n1.ndjson n2.ndjson n3.ndjson")
@places
@batches
@click.option(
    "--window",
    default=WINDOW,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Number of records of a log that TLC reads at once.",
)
@click.option(
    "--whole", is_flag=True, help="Let TLC read whole logs at once; the verdict is the same."
)
@click.option(
    "--votes",
    is_flag=True,
    help="The LOGs are vote logs of one cluster, of any Paxos: promises, votes and decisions.",
)
@verdict
def validate(
    log: tuple[Path, ...], batch: int, window: int, whole: bool, votes: bool, results: Results
) -> str:
    """Check recorded logs against the specification with TLC.

    Each node's log must be a behaviour of the specification. LOG is a file or a folder of *.ndjson
    files. Logs with the same members belong to one cluster, in one file or in several. If the same
    node is in several files, these are several runs, each in a folder or a file of its own.
    """
    started = time.monotonic()
    if votes and whole:
        raise click.UsageError("--whole is for message logs: of vote logs, slots are checked")
    if votes:
        return validate_votes(log, results, started)
    clusters = logs.read_clusters(logs.clusters(log))
    verdicts = checking.validate(clusters, batch, None if whole else window)
    elapsed = time.monotonic() - started
    checking.show_rejections(list(map(logs.place, clusters)), clusters, verdicts, batch)
    add_logs(results, clusters, verdicts)
    for text in explanation.format_missing_logs(verdicts):
        report.warn(text)
    records = sum(verdict.records for verdict in verdicts)
    rejected = sum(bool(verdict.rejections) for verdict in verdicts)
    counted = f"{len(clusters):,} logs, {records:,} records checked, {rejected:,} logs rejected"
    return f"{counted}; {report.pace(records, elapsed)}"


def validate_votes(places: tuple[Path, ...], results: Results, started: float) -> str:
    """Check the vote logs of one cluster; return the text of the verdict."""
    cluster = vote_logs.read(logs.find(places, logs.VOTES))
    found = checking.validate_votes(cluster)
    checking.show_vote_rejections(found)
    suite = str(places[0])
    for node in cluster.logs:
        reasons = [
            vote_verdict.format_rejection(cluster, each)
            for each in found.rejections
            if each.line.node == node
        ]
        results.add(case(suite, node, not reasons, "\n".join(reasons)))
    if missing := vote_verdict.format_missing(found):
        report.warn(missing)
    if found.missing_quorum:
        reason = f"{missing}; they are a quorum, so the other logs show nothing"
        results.add(case(suite, "a quorum of logs", None, reason))
    lines = len(cluster.lines)
    counted = (
        f"{len(cluster.logs):,} vote logs, {lines:,} lines, {len(cluster.slots):,} slots, "
        f"{len(found.rejections):,} rejections"
    )
    return "; ".join(filter(None, [counted, missing, report.pace(lines, elapsed(started))]))


def elapsed(started: float) -> float:
    return time.monotonic() - started


def add_logs(
    results: Results, clusters: Sequence[Sequence[logs.Record]], verdicts: Sequence[Verdict]
) -> None:
    """Add a case for each node's log."""
    for cluster, found in zip(clusters, verdicts, strict=True):
        rejected = {
            each.record.node: explanation.format_rejection(each) for each in found.rejections
        }
        for node in dict.fromkeys(record.node for record in cluster):
            reason = rejected.get(node, "")
            results.add(case(str(logs.place(cluster)), node, not reason, reason))


@verb("trace-coverage out/run")
@places
@batches
@click.option(
    "--at-least",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Fail if fewer of the branches are covered.",
)
@verdict
def trace_coverage(
    log: tuple[Path, ...], batch: int, at_least: int | None, results: Results
) -> str:
    """Find branches of the specification that real runs cover.

    The logs are validated first, and rejected records do not count. LOG is a file or a folder of
    *.ndjson files, as for `validate`. Coverage is a figure: only rejected logs, or less than
    --at-least, end with status 1.
    """
    clusters = logs.read_clusters(logs.clusters(log))
    verdicts, found = real_runs.validate(clusters, batch)
    add_logs(results, clusters, verdicts)
    bad = [each for verdict in verdicts for each in verdict.rejections]
    for each in bad[:5]:
        report.say(explanation.format_rejection(each))
    real_runs.show_trace_coverage(found)
    if at_least is not None:
        reason = f"{found.percent} % of the branches are covered, and not {at_least} %"
        if found.percent < at_least:
            report.warn(reason)
        name = f"at least {at_least} % of the branches"
        results.add(case("trace-coverage", name, found.percent >= at_least, reason))
    return f"{found.percent} % of the branches are covered; {len(bad):,} logs rejected"


@verb("explore main returns -o out/explored --runs 100 --seed 7")
@click.argument("model", nargs=-1)
@new_folder
@click.option(
    "--runs",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Number of runs for each model.",
)
@click.option(
    "--seed", default=1, show_default=True, type=SEEDS, help="The same seed gives the same runs."
)
@timeout
@verdict
@node_command
def explore(
    command: tuple[str, ...],
    model: tuple[str, ...],
    output: Path,
    runs: int,
    seed: int,
    timeout_seconds: float,
    results: Results,
) -> str:
    """Run real processes within the bounds of models.

    Counts how many transitions of each model the nodes execute. Without a MODEL: in all models
    with golden traces. The node's COMMAND may follow after --; --manual-clock, --log and --batch 1
    are added to it. Without one, this project's node runs. The log of a run in which a node differs
    from the model is written into the folder.
    """
    chosen = [searchable(name) for name in model] or manifest.golden()
    node = command or checking.NODE
    with guard.scratch("explore-") as scratch:
        made = checking.generated(chosen, scratch, seed)
    found = real_runs.explore(output, node, made, runs, seed, timeout_seconds)
    real_runs.show_explored(found, node, seed)
    for name, each in found.items():
        reason = "\n".join(difference.text() for difference in each.differences)
        reason = reason or "no transition was covered"
        results.add(case("explore", name, real_runs.passed({name: each}), reason))
    differ = sum(len(each.differences) for each in found.values())
    total = sum(each.runs for each in found.values())
    return f"{len(found):,} models, {total:,} runs, {differ:,} runs differ"


@verb(
    "inject -o out/faults --nodes 5 --kills 500 --seconds 900 --seed 7",
    "inject -o out/any --opaque --append --votes --kills 5 -- ./my-node",
)
@new_folder
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--kills",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Stop injecting faults after N kills, or after --seconds, whichever comes first. With 0 "
    "no node is killed, and none gets --data.",
    metavar="N",
)
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=SECONDS,
    help="Stop injecting faults after this time.",
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=SEEDS,
    help="The same seed gives the same schedule of faults.",
)
@click.option(
    "--power-cuts",
    is_flag=True,
    help="With each kill, drop a random part of what the node has not synced. Needs strace.",
)
@click.option(
    "--opaque",
    is_flag=True,
    help="The nodes send each other lines of their own, and get no --log and no --seed; only the "
    "clients' history is checked.",
)
@click.option("--append", is_flag=True, help="Clients name no slot; replies do.")
@click.option(
    "--votes",
    is_flag=True,
    help="The opaque nodes get --votes FILE and write vote logs, which are checked.",
)
@click.option(
    "--records",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(0),
    help="Validate the nodes' logs with TLC if they have at most N records.",
    metavar="N",
)
@batches
@verdict
@node_command
def inject(
    command: tuple[str, ...],
    output: Path,
    nodes: int,
    kills: int,
    seconds: float,
    seed: int,
    power_cuts: bool,
    opaque: bool,
    append: bool,
    votes: bool,
    records: int,
    batch: int,
    results: Results,
) -> str | None:
    """Inject faults into real processes and check histories.

    Nodes are killed, paused and partitioned while clients compete. They run in real time, each
    with its own directory; --data, --log and --seed are added to their COMMAND, which may follow
    after --; without one, this project's node runs. The clients' history is written to
    history.ndjson, the log of each node beside it. With --opaque the nodes are of any system:
    conformance/levels.md.
    """
    if (append or votes) and not opaque:
        raise click.UsageError("--append and --votes need --opaque")
    if power_cuts and not kills:
        raise click.UsageError("--power-cuts needs --kills: each kill is a power cut")
    name, started = f"{nodes} nodes, seed {seed}", time.monotonic()
    try:
        holds = checking.inject_faults(
            output,
            command or checking.IMPATIENT,
            nodes=nodes,
            kills=kills,
            seconds=seconds,
            seed=seed,
            batch=batch,
            records=records,
            power_cuts=power_cuts,
            dialect=Dialect(opaque, append),
            votes=votes,
            on_row=lambda what, passes, figure: results.add(case("inject", what, passes, figure)),
        )
    except NodeWrong as error:
        report.say(str(error))
        results.add(case("inject", name, False, str(error), time.monotonic() - started))
        return name
    reason = "too little happened to decide"
    results.add(case("inject", name, holds, reason, time.monotonic() - started))
    return name


@verb(
    "check-history history.ndjson",
    "check-history --quiescent out/faults/history.ndjson",
)
@click.argument("history", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--quiescent",
    is_flag=True,
    help="The history ends in a fault-free period: the last whole log of each node must "
    "contain every decision that any reply contains.",
)
@verdict
def check_history(history: tuple[Path, ...], quiescent: bool, results: Results) -> str:
    """Check histories of clients for safety.

    The rules are agreement, validity, durability, the order of appends, and that no definite error
    is returned for a request that took effect: conformance/history.md. HISTORY is a file, or a
    folder of *.ndjson files: requests and replies in the order in which one observer saw them.
    """
    read, found = [], []
    for path in logs.find(history, logs.HISTORIES):
        read.append(histories.read(path))
        findings = history_checker.check_history(read[-1], quiescent)
        reason = "\n".join(map(explanation.format_finding, findings))
        results.add(case("check-history", str(path), not findings, reason))
        found += findings
    for finding in found[:5]:
        report.say(explanation.format_finding(finding))
    entries = f"{len(read):,} histories, {sum(map(len, read)):,} entries checked"
    return f"{entries}, {len(found):,} findings"
