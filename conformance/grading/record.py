"""The stage `record`: clusters on a lossy network, whose logs the specification must accept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .. import checking, report
from ..exporting import votes
from ..formats import logs, vote_logs
from ..formats.canonical import canonical, same_output
from ..running import record as recording
from ..running.cluster import NodeError, NodeProcess
from ..running.fenced import FencedNode
from ..validation import explanation, vote_verdict
from ..validation.verdict import Rejection
from .plan import Plan
from .replay import Options, commands
from .stage import Failure, Stage

# The nodes' --batch where several decisions may go in one message: more than any run here has.
BATCH = 1000


def run(plan: Plan, command: Sequence[str], options: Options, stage: Stage) -> None:
    """Record each cluster as the router sees it, and as its nodes log it; validate the logs."""
    if options["--manual-clock"]:
        stage.skip("recorded clusters", "they need --manual-clock")
        return
    given = [*command, *([] if options["--batch"] else ["--batch", str(BATCH)])]
    folder = plan.folder("recorded")
    clusters: dict[str, list[logs.Record]] = {}
    for nodes in plan.select(plan.clusters, lambda nodes: f"record: {nodes} nodes"):
        name = f"{nodes} nodes"
        path, failure = _record(plan, given, folder / f"{nodes}-nodes", nodes)
        if failure is not None:
            stage.add(name, failure)
            continue
        clusters[name] = logs.read(path)
        if not options["--log"]:
            stage.add(f"{name}: logs of --log", _log_failure(plan, given, path, nodes))
    add_logs(stage, clusters, [*given, "--manual-clock"])
    for name, cluster in clusters.items() if stage.failures else ():
        if len(logs.members(cluster)) > 1:
            stage.add(f"{name}: votes", _votes_failure(cluster), level=2)
    if options["--log"]:
        stage.skip("logs of --log", "the node does not take --log")


def _record(
    plan: Plan, command: Sequence[str], folder: Path, nodes: int
) -> tuple[Path, Failure | None]:
    """Run a cluster whose log the router writes; return the log and what went wrong."""
    launched: list[FencedNode] = []
    timed = [*command, "--manual-clock"]

    def launch(node: str, given: Sequence[str], errors: Path, seconds: float) -> FencedNode:
        launched.append(FencedNode(node, given, errors, seconds))
        return launched[-1]

    path = folder / f"seed-{plan.seed}.ndjson"
    with report.Line(f"a cluster of {nodes} nodes, seed {plan.seed}") as line:
        try:
            recorded = recording.record(
                folder,
                timed,
                nodes=nodes,
                requests=plan.requests,
                seed=plan.seed,
                seconds=plan.patience,
                launch=launch,
                on_progress=lambda steps: line.update(f"{steps:,} steps"),
            )
        except NodeError as error:
            for node in launched:
                if node.failed:
                    inputs = [json.dumps(line) for line in node.inputs]
                    return path, Failure(str(error), timed, inputs, errors=node.errors)
            return path, Failure(str(error))
    if not recorded.happened["answered"]:
        return path, Failure(f"{path}: no request was answered")
    return path, None


def _log_failure(plan: Plan, command: Sequence[str], path: Path, nodes: int) -> Failure | None:
    """Run the same cluster again: the nodes' own logs must be equal to the router's."""
    folder = path.parent / "own"
    try:
        with report.Line(f"the logs of {nodes} nodes"):
            recorded = recording.record(
                folder,
                command,
                nodes=nodes,
                requests=plan.requests,
                seed=plan.seed,
                seconds=plan.patience,
                launch=NodeProcess,
            )
    except NodeError as error:
        return Failure(str(error))
    return log_difference(logs.read(path), logs.read(recorded.path))


def log_difference(seen: Sequence[logs.Record], own: Sequence[logs.Record]) -> Failure | None:
    """Return the first record of the nodes' logs that differs from the router's."""
    for one, other in zip(seen, own, strict=False):
        same = one.node == other.node and canonical(one.input) == canonical(other.input)
        if not same or not same_output(one.output, other.output):
            reason = f"{other.place} differs from {one.place}"
            return Failure(reason, expected=one.output, found=other.output)
    if len(seen) == len(own):
        return None
    return Failure(f"{own[0].path} has {len(own):,} records, not {len(seen):,}")


def add_logs(
    stage: Stage, clusters: dict[str, list[logs.Record]], command: Sequence[str] = ()
) -> None:
    """Validate recorded clusters; add a case for each node's log.

    With a command, a failure has the inputs that reproduce it.
    """
    verdicts = checking.validate(list(clusters.values()), BATCH) if clusters else []
    for (name, cluster), verdict in zip(clusters.items(), verdicts, strict=True):
        rejected = {rejection.record.node: rejection for rejection in verdict.rejections}
        for node in dict.fromkeys(record.node for record in cluster):
            found = rejected.get(node)
            failure = rejection_failure(found, cluster, command) if found else None
            stage.add(f"{name}: log of {node}", failure)


def _votes_failure(cluster: Sequence[logs.Record]) -> Failure | None:
    """Return whether a cluster whose messages are rejected votes safely all the same."""
    path = cluster[0].path.with_suffix(".votes.ndjson")
    path.write_text(vote_logs.text(votes.lines(cluster)), "utf-8")
    found = vote_logs.read([path])
    rejections = checking.validate_votes(found).rejections
    return Failure(vote_verdict.format_rejection(found, rejections[0])) if rejections else None


def rejection_failure(
    found: Rejection, cluster: Sequence[logs.Record], command: Sequence[str]
) -> Failure:
    """Return the failure of a log that the specification rejects."""
    bad = found.record
    inputs = [
        json.dumps(record.input)
        for record in cluster
        if record.node == bad.node and record.line <= bad.line
    ]
    errors = bad.path.parent / f"{bad.node}.stderr"
    return Failure(
        f"{bad.place}: {found.reason} ({found.checker})",
        command,
        inputs if command else (),
        found.allowed or (),
        bad.output,
        [f"  {line}" for line in explanation.format_rejection(found).split("\n")],
        commands(bad.path),
        errors if errors.exists() else None,
    )
