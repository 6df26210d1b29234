"""The stage `faults`: a cluster in real time with partitions, pauses and, with --data, kills.

The router's observations are the evidence.  A node's own log is compared with them before the
specification checks the log, so that a node cannot log one thing and send another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import checking, report
from ..formats import logs, vote_logs
from ..running import inject
from ..running.cluster import NodeError
from ..running.inject import PROTOCOL, Dialect
from ..running.nodes import OPAQUE_OPTIONS, OPTIONS
from ..validation import explanation, history_checker, vote_verdict
from ..validation.evidence import Evidence, find_contradiction
from ..validation.observed import find_explanations
from .plan import Plan
from .record import BATCH, add_logs
from .replay import Options
from .stage import CLIENT_RULES, Failure, Stage

# The size of the cluster, and how many messages of each node the specification must explain.
NODES, MOST_EXPLAINED = 3, 500


def run(
    plan: Plan,
    command: Sequence[str],
    options: Options,
    stage: Stage,
    dialect: Dialect = PROTOCOL,
) -> None:
    """Check each rule for what clients saw, and each node's log or its messages.

    Of an opaque cluster only what clients saw is checked.
    """
    # Large values are left to the stage `framing`: a slow node may not be done with them in time.
    name = f"{NODES} nodes"
    if not plan.selects(f"faults: {name}"):
        return
    every = OPAQUE_OPTIONS if dialect.opaque else OPTIONS
    taken = [option for option in every if options[option] == ""]
    kills = plan.kills if "--data" in taken else None
    given = [*command, *(["--batch", str(BATCH)] if options.get("--batch") == "" else [])]
    folder = plan.folder("faults")
    found = Stage(stage.name, level=stage.level, shown=False)
    try:
        with report.Line(f"{NODES} nodes in real time, seed {plan.seed}") as line:
            fault_run = inject.inject(
                folder,
                given,
                nodes=NODES,
                kills=kills,
                seconds=plan.seconds,
                seed=plan.seed,
                options=taken,
                dialect=dialect,
                large=False,
                on_progress=line.update,
            )
        _add_rules(found, folder, fault_run, dialect)
        if not dialect.opaque:
            _add_nodes(found, folder, fault_run, taken)
        elif "--votes" in taken:
            _add_votes(found, fault_run)
    except (NodeError, logs.LogError) as error:
        stage.add(name, Failure(str(error)))
        return
    if not kills:
        found.skip("kills", "the node does not take --data")
    elif "--log" not in taken and not dialect.opaque:
        found.skip("messages after the first kill of a node", "the node does not take --log")
    if fault_run.missing and not found.failures:
        # A short run without a failure shows nothing.
        stage.skip(name, f"too little happened to decide: {'; '.join(fault_run.missing)}")
        return
    for outcome in found.outcomes:
        stage.append(outcome)


def _add_nodes(
    stage: Stage, folder: Path, fault_run: inject.FaultRun, taken: Sequence[str]
) -> None:
    """Check the processes and the messages of nodes that take some options."""
    if "--data" in taken:
        _add_second_process(stage, fault_run)
    if "--log" in taken:
        _add_logs(stage, fault_run)
    else:
        _add_explanations(stage, folder, fault_run.evidence)


def _add_votes(stage: Stage, fault_run: inject.FaultRun) -> None:
    """Check the vote logs of opaque nodes."""
    cluster = vote_logs.read(fault_run.vote_logs)
    verdict = checking.validate_votes(cluster)
    for node in cluster.logs:
        first = next((each for each in verdict.rejections if each.line.node == node), None)
        failure = Failure(vote_verdict.format_rejection(cluster, first)) if first else None
        stage.add(f"the votes of {node}", failure, level=2)


def _add_second_process(stage: Stage, fault_run: inject.FaultRun) -> None:
    found = fault_run.unrefused
    stage.add("a second process on --data is refused", Failure(found[0]) if found else None)


def _add_logs(stage: Stage, fault_run: inject.FaultRun) -> None:
    """Compare each node's log with what the router saw, and with the specification."""
    [cluster] = logs.read_clusters([fault_run.logs])
    records = logs.by_node(cluster)
    for node, lives in fault_run.evidence.items():
        found = find_contradiction(node, records.get(node, []), lives)
        stage.add(f"the log of {node} and its messages", Failure(str(found)) if found else None)
    add_logs(stage, {f"{NODES} nodes": list(cluster)})


def _add_rules(stage: Stage, folder: Path, fault_run: inject.FaultRun, dialect: Dialect) -> None:
    """Check the clients' history by each rule; only appends have an order."""
    recovered = fault_run.recovery_seconds is not None
    found = history_checker.check_history(fault_run.history, quiescent=recovered)
    for rule in CLIENT_RULES if dialect.appends else CLIENT_RULES[:-1]:
        first = next((each for each in found if each.rule == rule), None)
        failure = Failure(explanation.format_finding(first)) if first else None
        stage.add(rule, failure, level=1)
    path = folder / logs.HISTORY
    decided = fault_run.happened["acknowledged"]
    progress = None if decided else Failure(f"{path}: nothing was decided")
    stage.add("progress", progress, level=1)
    late = f"{path}: after {inject.RECOVERY_SECONDS:g} s without faults a node lacks decisions"
    stage.add("recovery", None if recovered else Failure(late), level=1)


def _add_explanations(
    stage: Stage, folder: Path, evidence: Mapping[str, Sequence[Evidence]]
) -> None:
    """Check whether the specification explains each node's messages before its first crash."""
    observed = {node: lives[0].observation() for node, lives in evidence.items()}
    for node, each in observed.items():
        text = "".join(f"{line}\n" for line in each.lines())
        (folder / f"{node}.messages.ndjson").write_text(text, "utf-8")
    checked = [(node, each.prefix(MOST_EXPLAINED)) for node, each in observed.items()]
    with report.Line(f"explaining the messages of {len(observed)} nodes") as line:
        found = find_explanations(list(observed), checked, BATCH, line.update)
    for (node, prefix), explained in zip(checked, found, strict=True):
        name = f"the messages of {node}"
        if explained.whole is None:
            stage.skip(name, f"explained up to message {explained.outputs} only")
            continue
        reason = (
            f"{folder / node}.messages.ndjson: the specification explains "
            f"{explained.outputs:,} messages that the node sent, and not the next one"
        )
        rest = prefix.outputs[explained.outputs : explained.outputs + 1]
        stage.add(name, None if explained.whole else Failure(reason, found=rest))
