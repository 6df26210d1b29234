"""The stages that need --manual-clock: golden logs and recorded clusters.

Each finds out how many of its cases pass and how to see the first that does not.  What a case is
and when it passes is told by the models and by the judges.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import checking, report
from ..formats import logs
from ..formats.canonical import canonical, same_output
from ..models import manifest
from ..running import record as recording
from ..running.cluster import NodeError, NodeProcess
from ..running.fenced import FencedNode
from ..running.replay import Replayed
from ..running.replay import read as reading
from ..tlaplus import tlc
from ..validation.verdict import Rejection
from .plan import Plan
from .results import Failure, Stage, stage

Json = Any
Options = dict[str, str]
"""Each option with "" if the node takes it, or with the reason why it does not."""

# The nodes' --batch where several decisions may go in one message: more than any run here has.
BATCH = 1000

# Seconds that a node may be silent while it is given a golden log.
SILENT = 30.0


# Replay: does the node do what the models say?


def replay(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    """A case is a golden log; raises `ToolError` where none can be made of a model."""
    begun = time.monotonic()
    if options["--manual-clock"]:
        lost = "no golden log was replayed, for that needs --manual-clock"
        return stage("replay", [], begun, lost)
    every = chosen = _golden(plan)
    given, lost = [*command, "--manual-clock"], []
    if options["--batch"]:
        chosen = [path for path in every if not _tells_in_parts(path)]
        lost.append(_left_out(len(every) - len(chosen), "they need --batch"))
    else:
        given += ["--batch", "1"]
    results = checking.replay(chosen, given, SILENT)
    results += checking.replay(checking.some_renamed(chosen, plan.seed), given, SILENT, plan.seed)
    untried = sum(not result.tried for result in results)
    lost.append(f"the node hangs: {untried:,} golden logs were not tried" if untried else "")
    # The log with the fewest lines is the easiest to understand.
    differing = sorted((r for r in results if r.difference), key=lambda r: len(_given(r)))
    failures = [_replay_failure(result, given) for result in differing]
    failures += [Failure("a golden log", "not tried, for the node hangs")] * untried
    return stage("replay", failures + [None] * (len(results) - len(failures)), begun, *lost)


def _left_out(number: int, why: str) -> str:
    return f"{number:,} golden logs were not replayed, for {why}" if number else ""


def _golden(plan: Plan) -> list[Path]:
    if plan.golden is not None:
        return logs.find([plan.golden], logs.LOG)
    chosen = [manifest.get(name) for name in plan.models] or manifest.golden()
    made = checking.generated(chosen, plan.folder("golden"), plan.seed)
    for model, found in made:
        if not found.complete:
            raise tlc.ToolError(f"{model.name}: its golden logs do not cover it")
    return [path for _, found in made for path in found.logs]


def _tells_in_parts(path: Path) -> bool:
    """Whether a log shows a node that has more to tell than fits in one message."""
    said = (message for record in logs.read(path) for message in record.output)
    return any(message["body"].get("more") for message in said)


def _given(result: Replayed) -> list[str]:
    """The inputs of the node that differs, up to the one where it does."""
    found = result.difference
    assert found is not None
    inputs: list[str] = []
    for record in reading(result.path, found.renamed):
        if record.node == found.record.node:
            inputs.append(json.dumps(record.input))
        if record == found.record:
            break
    return inputs


def _replay_failure(result: Replayed, command: Sequence[str]) -> Failure:
    found = result.difference
    assert found is not None
    reason = f"{found.record.place}: the last input is answered otherwise"
    if found.remark:
        reason = f"{found.record.place}: {found.remark}"
    if found.renamed is not None:
        reason += f" (under a renaming, seed {found.renamed})"
    return Failure(
        result.path.name, reason, command, _given(result), found.record.output, found.found
    )


# Record: does the specification allow what a cluster of such nodes does?


def record(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    """A case is the log of one node in a cluster, as the router saw it, or as the nodes kept it."""
    begun = time.monotonic()
    if options["--manual-clock"]:
        lost = "no messages were recorded for the specification to judge, for that needs "
        return stage("record", [], begun, f"{lost}--manual-clock")
    given = [*command, *([] if options["--batch"] else ["--batch", str(BATCH)])]
    folder = plan.folder("recorded")
    cases: list[Failure | None] = []
    clusters: list[list[logs.Record]] = []
    for nodes in plan.clusters:
        path, failure = _recorded(plan, given, folder / f"{nodes}-nodes", nodes)
        if failure is not None:
            cases += [failure] * nodes
        else:
            clusters.append(logs.read(path))
            if not options["--log"]:
                cases.append(_log_failure(plan, given, path, nodes))
    cases += protocol_failures(clusters, [*given, "--manual-clock"])
    lost = "no log of its own was compared, for it takes no --log" if options["--log"] else ""
    return stage("record", cases, begun, lost)


def _recorded(
    plan: Plan, command: Sequence[str], folder: Path, nodes: int
) -> tuple[Path, Failure | None]:
    """Runs a cluster whose log is made by the router; its log, and what went wrong in it."""
    launched: list[FencedNode] = []
    timed = [*command, "--manual-clock"]

    def launch(node: str, given: Sequence[str], errors: Path, seconds: float) -> FencedNode:
        launched.append(FencedNode(node, given, errors, seconds))
        return launched[-1]

    path = folder / f"seed-{plan.seed}.ndjson"
    case = f"a cluster of {nodes} nodes, seed {plan.seed}"
    with report.Line(case) as line:
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
            given = [json.dumps(line) for node in launched if node.troubled for line in node.inputs]
            return path, Failure(case, str(error), timed, given)
    if not recorded.happened["answered"]:
        return path, Failure(case, f"{path}: no request was answered")
    return path, None


def _log_failure(plan: Plan, command: Sequence[str], path: Path, nodes: int) -> Failure | None:
    """Runs the same cluster once more: its nodes' own logs must tell what the router saw."""
    case = f"the log that {nodes} nodes keep themselves"
    folder = path.parent / "own"
    try:
        with report.Line(case):
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
        return Failure(case, str(error))
    return difference(case, logs.read(path), logs.read(recorded.path))


def difference(
    case: str, seen: Sequence[logs.Record], own: Sequence[logs.Record]
) -> Failure | None:
    """The first record of a log that is not what the router saw."""
    for one, other in zip(seen, own, strict=False):
        same = one.node == other.node and canonical(one.input) == canonical(other.input)
        if not same or not same_output(one.output, other.output):
            return Failure(
                case,
                f"{other.place} differs from {one.place}",
                expected=one.output,
                found=other.output,
            )
    if len(seen) == len(own):
        return None
    return Failure(case, f"{own[0].path} has {len(own):,} records, not {len(seen):,}")


def protocol_failures(
    clusters: Sequence[Sequence[logs.Record]], command: Sequence[str] = ()
) -> list[Failure | None]:
    """What the specification says of recorded clusters: each node's log is a case.

    With a command, a failure tells what a node has to be given to see it.
    """
    verdicts = checking.validate(clusters, BATCH) if clusters else []
    cases: list[Failure | None] = []
    for cluster, verdict in zip(clusters, verdicts, strict=True):
        rejected = {rejection.record.node: rejection for rejection in verdict.rejections}
        for node in dict.fromkeys(record.node for record in cluster):
            rejection = rejected.get(node)
            cases.append(rejection and _protocol_failure(rejection, cluster, command))
    return cases


def _protocol_failure(
    found: Rejection, cluster: Sequence[logs.Record], command: Sequence[str]
) -> Failure:
    bad = found.record
    given = [
        json.dumps(record.input)
        for record in cluster
        if record.node == bad.node and record.line <= bad.line
    ]
    return Failure(
        f"the log of {bad.node}",
        f"{bad.place}: {found.reason} ({found.checker})",
        command,
        given if command else (),
        found.allowed or (),
        bad.output,
    )
