"""Anybody's node, graded in stages: each asks more of it than the one before.

What a node does not support is found out, left out and said.  What the cases are is told in
`challenge`, by the models and by the judges; how a grade is written down, in `marks`.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import checking, judge, logs, report, tlc
from . import endure as enduring
from . import generate as generating
from . import models as manifest
from . import record as recording
from .challenge import BEGIN, CASES, RECOMMENDED, REQUIRED, Case, difference
from .cluster import NodeError, NodeProcess
from .fenced import FencedNode
from .jobs import at_once
from .life import Life
from .marks import Failure, Grade, Stage
from .models import Model
from .probe import probe
from .replay import Replayed, check_command
from .verdict import Rejection

Json = Any
Options = dict[str, str]
"""Each option with "" if the node takes it, or with the reason why it does not."""

STAGES = ("challenge", "replay", "record", "endure")

# Seconds that the challenge gives a node for a case, and that it has here for any answer.
PATIENCE = 5.0

# The nodes' --batch where several decisions may go in one message: more than any run here has.
BATCH = 1000

RULES = ("answers", "agreement", "validity", "refusals", "durability", "peace")


@dataclass(frozen=True)
class Plan:
    """What is asked of a node: how much, by which chance, and where it is written down.

    `golden` is a folder of golden logs; without it they are made of `models`, by default of all
    that are meant for it.
    """

    output: Path
    stages: Collection[str] = STAGES
    without: Collection[str] = ()
    golden: Path | None = None
    models: Sequence[str] = ()
    clusters: Sequence[int] = (3, 5)
    requests: int = 200
    seconds: float = 15.0
    kills: int = 10
    seed: int = 1

    def folder(self, name: str) -> Path:
        """A folder of its own for one stage, with nothing in it."""
        path = self.output / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path


def grade(plan: Plan, command: Sequence[str]) -> Grade:
    """Grades a node; raises `CommandError` where there is no such command.

    A node that does not answer `init` is asked for nothing else.
    """
    check_command(command)
    plan.output.mkdir(parents=True, exist_ok=True)
    found = Grade(command)
    begun = time.monotonic()
    first = _case_failure(CASES[0], command)
    if first is not None:
        found.stages.append(_stage("challenge", [first], begun))
        lost = "not tried, for the node does not answer init"
        found.stages += [Stage(name, lost=lost) for name in plan.stages if name != "challenge"]
        return found
    if "challenge" in plan.stages:
        found.stages += _challenge(plan, command)
    if set(plan.stages) - {"challenge"}:
        with report.Line("which options the node takes"):
            found.options = probe(command, plan.output / "probe", PATIENCE, plan.without)
    for name, stage in (("replay", _replay), ("record", _record), ("endure", _endure)):
        if name in plan.stages:
            found.stages.append(stage(plan, command, found.options))
    return found


def _stage(name: str, cases: Sequence[Failure | None], begun: float, *lost: str) -> Stage:
    """A stage of these cases, each with how it failed, or None."""
    failures = [failure for failure in cases if failure is not None]
    return Stage(
        name, len(cases) - len(failures), len(cases), time.monotonic() - begun,
        failures[0] if failures else None, "; ".join(filter(None, lost)),
    )  # fmt: skip


# The challenge: lines in, lines out.


def _challenge(plan: Plan, command: Sequence[str]) -> list[Stage]:
    stages = []
    for weight in (REQUIRED, RECOMMENDED):
        begun = time.monotonic()
        cases = [case for case in CASES if case.weight == weight]
        with report.Line(f"challenge, {len(cases)} cases that are {weight}"):
            found = [found for _, found in at_once(lambda c: _case_failure(c, command), cases)]
        if weight == REQUIRED:
            found.append(_waiting_failure(command, plan.output))
        stages.append(_stage(f"challenge, {weight}", found, begun))
    return [stages[0], replace(stages[1], recommended=True)]


def _case_failure(case: Case, command: Sequence[str]) -> Failure | None:
    found, remark = _run(command, case.given)
    place = difference(case, found)
    if place is None and not remark:
        return None
    differs = "" if place is None else f"message {place + 1} is not the one that is expected"
    shown = slice(place, place + 1) if place is not None else slice(0, 0)
    return Failure(
        case.name, "; ".join(filter(None, (differs, remark))), command, case.given,
        case.expected[shown], found[shown],
    )  # fmt: skip


def _run(command: Sequence[str], lines: Sequence[str]) -> tuple[list[Json], str]:
    """What a node prints for these lines, and what else is wrong with how it ended."""
    given = "".join(f"{line}\n" for line in lines).encode()
    remark = ""
    # A group of its own, so that nothing is left of a command that starts others.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, told = process.communicate(given, PATIENCE)
    except subprocess.TimeoutExpired:
        remark = f"it did not end within {PATIENCE:g} s of the end of its input"
        os.killpg(process.pid, signal.SIGKILL)
        said, told = process.communicate()
    if not remark and process.returncode:
        last = told.decode("utf-8", "replace").strip().splitlines()[-3:]
        remark = f"it ended with status {process.returncode}: {' / '.join(last)}"
    return [_read(line) for line in said.decode("utf-8", "replace").splitlines()], remark


def _read(line: str) -> Json:
    """What a node printed; the text of the line, where that is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def _waiting_failure(command: Sequence[str], folder: Path) -> Failure | None:
    """Not of lines and lines alone: clients wait for an answer before they ask again."""
    case = "init is answered while the input is still open"
    with closing(Life(command, folder / "waiting.stderr")) as life:
        life.give(BEGIN.encode())
        if select.select([life.source], [], [], PATIENCE)[0] and life.hear():
            return None
    reason = f"nothing came within {PATIENCE:g} s: is each line flushed?"
    slowly = ("sh", "-c", f"(cat; sleep {PATIENCE:g}) | {shlex.join(command)}")
    return Failure(case, reason, slowly, (BEGIN,), CASES[0].expected)


# Replay: does the node do what the models say?


def _replay(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    begun = time.monotonic()
    if options["--manual-clock"]:
        lost = "no golden log was replayed, for that needs --manual-clock"
        return _stage("replay", [], begun, lost)
    paths, lost = _golden(plan), ""
    given = [*command, "--manual-clock"]
    if options["--batch"]:
        chosen = [path for path in paths if not _tells_by_ones(path)]
        lost = f"{len(paths) - len(chosen):,} golden logs were not replayed, for they need --batch"
        paths = chosen
    else:
        given += ["--batch", "1"]
    results = checking.replay(paths, given)
    # The log with the fewest lines is the easiest to understand.
    differing = sorted((r for r in results if r.difference), key=lambda r: len(_given(r)))
    failures = [_replay_failure(result, given) for result in differing]
    return _stage("replay", failures + [None] * (len(results) - len(failures)), begun, lost)


def _golden(plan: Plan) -> list[Path]:
    if plan.golden is not None:
        return logs.find([plan.golden])
    folder = plan.folder("golden")
    chosen = [manifest.get(name) for name in plan.models] or [
        model for model in manifest.load().values() if model.golden
    ]
    with report.Line(f"golden logs of {len(chosen)} models") as line:

        def make(model: Model) -> generating.Generated:
            return generating.generate(
                model, folder / model.name,
                on_progress=lambda text: line.tell(f"{model.name}, {text}"),
            )  # fmt: skip

        made = list(at_once(make, chosen, lambda model: model.workers))
    for model, found in made:
        if not found.complete:
            raise tlc.ToolError(f"{model.name}: its golden logs do not cover it")
    return [path for _, found in made for path in found.logs]


def _tells_by_ones(path: Path) -> bool:
    """Whether a log shows a node that has more to tell than fits in one message."""
    said = (message for record in logs.read(path) for message in record.output)
    return any(message["body"].get("more") for message in said)


def _given(result: Replayed) -> list[str]:
    """The inputs of the node that differs, up to the one where it does."""
    bad = result.difference.record  # type: ignore[union-attr]
    return [
        json.dumps(record.input)
        for record in logs.read(result.path)
        if record.node == bad.node and record.line <= bad.line
    ]


def _replay_failure(result: Replayed, command: Sequence[str]) -> Failure:
    found = result.difference
    assert found is not None
    reason = f"{found.record.place}: the last input is answered otherwise"
    if found.remark:
        reason = f"{found.record.place}: {found.remark}"
    return Failure(result.path.name, reason, command, _given(result), found.record.output,
                   found.found)  # fmt: skip


# Record: does the specification allow what a cluster of such nodes does?


def _record(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    begun = time.monotonic()
    if options["--manual-clock"]:
        lost = "no messages were recorded for the specification to judge, for that needs "
        return _stage("record", [], begun, f"{lost}--manual-clock")
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
    return _stage("record", cases, begun, lost)


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
                seconds=PATIENCE, launch=launch,
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
                seconds=PATIENCE, launch=NodeProcess,
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


def _endure(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    begun = time.monotonic()
    taken = [option for option in enduring.OPTIONS if not options[option]]
    lost = [
        "" if "--data" in taken else "nobody was killed, for it takes no --data",
        "" if "--log" in taken else "only what clients saw was judged, for it takes no --log",
    ]
    kills = plan.kills if "--data" in taken else None
    given = [*command, *([] if options["--batch"] else ["--batch", str(BATCH)])]
    try:
        with report.Line(f"3 nodes in real time, seed {plan.seed}") as line:
            endured = enduring.endure(
                plan.folder("endured"), given, nodes=3, kills=kills, seconds=plan.seconds,
                seed=plan.seed, options=taken, on_progress=line.tell,
            )  # fmt: skip
        cases = _history_failures(plan, endured)
        if "--log" in taken:
            cluster = [record for path in endured.logs for record in logs.read(path)]
            cases += _protocol_failures([cluster])
    except (NodeError, logs.LogError) as error:
        cases = [Failure("a cluster in real time", str(error))]
    return _stage("endure", cases, begun, *lost)


def _history_failures(plan: Plan, endured: enduring.Endured) -> list[Failure | None]:
    """What clients saw, held to one rule after the other."""
    found = judge.judge(endured.history, settled=True)
    where = plan.output / "endured" / "history.ndjson"
    cases: list[Failure | None] = []
    for rule in RULES:
        first = next((each for each in found if each.rule == rule), None)
        cases.append(first and Failure(rule, report.finding(first)))
    answered, settled = endured.happened["acknowledged"], endured.settled is not None
    cases.append(None if answered else Failure("progress", f"{where}: nothing was decided"))
    late = f"{where}: {enduring.PEACE:g} s of peace were too short for every node to know all"
    cases.append(None if settled else Failure("recovery", late))
    return cases


# What is left of a grade.


def write(found: Grade, folder: Path) -> dict[str, Path]:
    """Writes `grade.json`, and a script for each stage that can be seen to fail in a shell."""
    for old in folder.glob("first-failure-*.sh"):
        old.unlink()
    text = json.dumps(found.summary(), indent=2)
    (folder / "grade.json").write_text(f"{text}\n", "utf-8")
    scripts = {}
    for stage in found.stages:
        if stage.failure is not None and stage.failure.inputs:
            path = folder / f"first-failure-{stage.name.replace(', ', '-')}.sh"
            path.write_text(stage.failure.script(), "utf-8")
            scripts[stage.name] = path
    return scripts
