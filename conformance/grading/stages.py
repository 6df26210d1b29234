"""The stages that look behind a node's answers: golden logs, recorded clusters, real time.

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
from ..judging import judge, words
from ..judging.observed import Seen, explain
from ..judging.verdict import Rejection
from ..logbook import logs
from ..models import manifest
from ..running import endure as enduring
from ..running import record as recording
from ..running.cluster import NodeError, NodeProcess
from ..running.fenced import FencedNode
from ..running.replay import Replayed, replay_all
from ..running.replay import read as reading
from ..tlaplus import tlc
from .marks import Failure, Stage, stage
from .plan import Plan

Json = Any
Options = dict[str, str]
"""Each option with "" if the node takes it, or with the reason why it does not."""

# The size of the cluster in real time, and how many messages of each node are to be explained.
IN_REAL_TIME, MOST_SAID = 3, 500

# The nodes' --batch where several decisions may go in one message: more than any run here has.
BATCH = 1000

# The rules of the judge of histories, the worst to break first.
RULES = ("agreement", "durability", "validity", "refusals", "answers", "peace")

# Logs that are replayed at a time, seconds that a node has for each, and after how many seconds no
# more are begun if one differs: it may be that the node hangs each time.
AT_A_TIME, A_LOG, ENOUGH = 50, 30.0, 120.0


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
    renamed = checking.some_renamed(chosen, plan.seed)
    results = _replayed(chosen, given) + _replayed(renamed, given, plan.seed)
    left = len(chosen) + len(renamed) - len(results)
    lost.append(_left_out(left, "those before took too long"))
    # The log with the fewest lines is the easiest to understand.
    differing = sorted((r for r in results if r.difference), key=lambda r: len(_given(r)))
    failures = [_replay_failure(result, given) for result in differing]
    return stage("replay", failures + [None] * (len(results) - len(failures)), begun, *lost)


def _left_out(number: int, why: str) -> str:
    return f"{number:,} golden logs were not replayed, for {why}" if number else ""


def _replayed(
    paths: Sequence[Path], command: Sequence[str], renamed: int | None = None
) -> list[Replayed]:
    """Replays logs, under the renaming of a seed if one is given."""
    results: list[Replayed] = []
    begun = time.monotonic()
    with report.Line(f"replay of {len(paths):,} logs") as line:
        for at in range(0, len(paths), AT_A_TIME):
            some = paths[at : at + AT_A_TIME]
            results += replay_all(some, command, seconds=A_LOG, renamed=renamed)
            line.tell(f"{len(results):,} done")
            differ = any(result.difference for result in results)
            if differ and time.monotonic() - begun > ENOUGH:
                break
    return results


def _golden(plan: Plan) -> list[Path]:
    if plan.golden is not None:
        return logs.find([plan.golden])
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
    return Failure(result.path.name, reason, command, _given(result), found.record.output,
                   found.found)  # fmt: skip


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
    cases += _protocol_failures(clusters, [*given, "--manual-clock"])
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
                folder, timed, nodes=nodes, requests=plan.requests, seed=plan.seed,
                seconds=plan.patience, launch=launch,
                on_progress=lambda steps: line.tell(f"{steps:,} steps"),
            )  # fmt: skip
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
                folder, command, nodes=nodes, requests=plan.requests, seed=plan.seed,
                seconds=plan.patience, launch=NodeProcess,
            )  # fmt: skip
    except NodeError as error:
        return Failure(case, str(error))
    seen, own = logs.read(path), logs.read(recorded.path)
    for one, other in zip(seen, own, strict=False):
        if (one.node, one.input, one.output) != (other.node, other.input, other.output):
            return Failure(case, f"{other.place} differs from {one.place}", expected=one.output,
                           found=other.output)  # fmt: skip
    return None if len(seen) == len(own) else Failure(case, f"{path.parent}: one is longer")


def _protocol_failures(
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
    given = [json.dumps(record.input) for record in cluster
             if record.node == bad.node and record.line <= bad.line]  # fmt: skip
    return Failure(
        f"the log of {bad.node}", f"{bad.place}: {found.reason} ({found.judge})", command,
        given if command else (), found.allowed or (), bad.output,
    )  # fmt: skip


# Endure: real time, and as far as the node can, real kills.


def endure(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    """A case is a rule for what clients saw, or what one node said: its log, or as it was seen."""
    begun = time.monotonic()
    taken = [option for option in enduring.OPTIONS if not options[option]]
    kills = plan.kills if "--data" in taken else None
    lost = ["" if kills else "nobody was killed, for it takes no --data"]
    given = [*command, *([] if options["--batch"] else ["--batch", str(BATCH)])]
    folder = plan.folder("endured")
    seen = {f"n{number}": Seen() for number in range(1, IN_REAL_TIME + 1)}
    try:
        with report.Line(f"{IN_REAL_TIME} nodes in real time, seed {plan.seed}") as line:
            endured = enduring.endure(
                folder, given, nodes=IN_REAL_TIME, kills=kills, seconds=plan.seconds,
                seed=plan.seed, options=taken, on_progress=line.tell,
                watch=lambda node, was_given, message: seen[node].add(was_given, message),
            )  # fmt: skip
        cases = _history_failures(folder, endured)
        if "--log" in taken:
            cases += _protocol_failures(logs.read_clusters([endured.logs]))
        elif kills:
            lost.append("only what clients saw was judged, for it takes no --log")
        else:
            cases += _unexplained(folder, seen, lost)
    except (NodeError, logs.LogError) as error:
        cases = [Failure("a cluster in real time", str(error))]
    return stage("endure", cases, begun, *lost)


def _history_failures(folder: Path, endured: enduring.Endured) -> list[Failure | None]:
    """What clients saw, held to one rule after the other."""
    settled = endured.settled is not None
    found = judge.judge(endured.history, settled=settled)
    where = folder / logs.HISTORY
    cases: list[Failure | None] = []
    for rule in RULES:
        first = next((each for each in found if each.rule == rule), None)
        cases.append(first and Failure(rule, words.finding(first)))
    answered = endured.happened["acknowledged"]
    cases.append(None if answered else Failure("progress", f"{where}: nothing was decided"))
    late = f"{where}: {enduring.PEACE:g} s of peace were too short for every node to know all"
    cases.append(None if settled else Failure("recovery", late))
    return cases


def _unexplained(folder: Path, seen: dict[str, Seen], lost: list[str]) -> list[Failure | None]:
    """Whether the specification can explain what each node said; adds to `lost` what is open."""
    for node, each in seen.items():
        text = "".join(f"{line}\n" for line in each.lines())
        (folder / f"{node}.seen.ndjson").write_text(text, "utf-8")
    judged = [(node, each.beginning(MOST_SAID)) for node, each in seen.items()]
    with report.Line(f"explaining what {len(seen)} nodes said") as line:
        found = explain(list(seen), judged, BATCH, line.tell)
    cases: list[Failure | None] = []
    for (node, said), each in zip(judged, found, strict=True):
        if each.whole is None:
            lost.append(f"what {node} said was explained up to message {each.outputs} only")
            continue
        reason = (
            f"{folder / node}.seen.ndjson: the specification explains {each.outputs:,} messages "
            "that the node said, and the next one never"
        )
        rest = said.outputs[each.outputs : each.outputs + 1]
        cases.append(None if each.whole else Failure(f"what {node} said", reason, found=rest))
    return cases
