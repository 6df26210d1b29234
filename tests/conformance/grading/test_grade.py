"""Grades of correct nodes, of nodes with one bug, and of programs that are no nodes.

The checkers have tests of their own.  These check the grade, and that an independent
implementation passes.
"""

from __future__ import annotations

import copy
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance.formats import folders, logs
from conformance.formats.canonical import canonical
from conformance.formats.schema import check_results
from conformance.grading import challenge, faults, framing, grade, replay
from conformance.grading.challenge_cases import (
    BEGUN,
    CASES,
    Case,
    arranged,
    decided,
    difference,
    error,
    log_reply,
)
from conformance.grading.dialect import find_dialect, option_refusal
from conformance.grading.plan import Plan
from conformance.grading.probe import EFFECTS, probe
from conformance.grading.stage import Failure, Grade, Stage
from conformance.jobs import cores
from conformance.running import inject
from conformance.running.cluster import NodeError
from conformance.running.fenced import FencedNode
from conformance.running.inject import Dialect
from tests.support.conformance_command import Done, called
from tests.support.golden import generated
from tests.support.paths import BROKEN_NODE, CARELESS_NODE, NODE, NODES, ROOT
from tests.support.processes import PATIENCE

SOLVER = [sys.executable, str(NODES / "solver.py")]
PERL = ["perl", str(NODES / "multipaxos.pl")]
SMALL = {"clusters": (3,), "requests": 40, "seconds": 60.0, "kills": 1, "patience": PATIENCE}

DURATIONS = (3.0, 12.0, 48.0)
"""Seconds to try in turn for runs that only time ends: a slow machine needs more for an event."""


def has_perl() -> bool:
    try:
        return subprocess.run(["perl", "-MJSON::PP", "-MTime::HiRes", "-e", "1"]).returncode == 0
    except OSError:
        return False


with_perl = pytest.mark.skipif(not has_perl(), reason="there is no Perl with its JSON::PP here")


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Golden traces of a small model in which nodes come back after crashes."""
    folder = tmp_path_factory.mktemp("golden")
    generated(folder, "returns")
    return folder


def graded(command: Sequence[str], folder: Path, *only: str, **asked: Any) -> Grade:
    plan = Plan(folder, **{**SMALL, **asked}, **({"stages": only} if only else {}))
    return grade.grade(plan, command)


def graded_by_time(
    command: Sequence[str], folder: Path, *only: str, passes: bool, **asked: Any
) -> Grade:
    """Return the grade of the shortest run whose stage `faults` passes, or fails, as expected."""
    for seconds in DURATIONS:
        found = graded(command, folder / f"{seconds:g}", *only, seconds=seconds, **asked)
        if stage(found, "faults").passes is passes:
            break
    return found


def stage(found: Grade, name: str) -> Stage:
    [only] = [each for each in found.stages if each.name == name]
    return only


def first(found: Stage) -> tuple[str, Failure]:
    """The name of the first case that fails, and its failure."""
    return next((each.name, each.failure) for each in found.outcomes if each.failure)


def lost(found: Stage) -> str:
    return "; ".join(found.skipped)


def verb(*arguments: object) -> Done:
    """Run `grade`; its standard output may have the traceback of a node."""
    done = called("grade", *arguments)
    assert "Traceback" not in done.stderr
    return done


# Nodes that pass.


def test_this_node_passes(golden: Path, tmp_path: Path) -> None:
    found = graded(NODE, tmp_path, golden=golden)
    assert found.passes and found.complete and found.level == 3, found.as_json()
    assert [each.name for each in found.stages] == [
        "challenge, required",
        "challenge, recommended",
        "framing",
        "replay",
        "record",
        "faults",
    ]
    assert all(each.run for each in found.stages)
    assert set(found.options.values()) == {""}


@with_perl
def test_independent_implementation_passes(golden: Path, tmp_path: Path) -> None:
    found = graded_by_time(PERL, tmp_path, golden=golden, passes=True)
    assert found.passes, found.as_json()
    assert all(each.passed == len(each.run) > 0 for each in found.stages)
    assert {name for name, why in found.options.items() if why} == {"--data", "--log", "--seed"}


@pytest.mark.parametrize(("how", "passes"), [("destinations", True), ("messages", False)])
def test_order_of_receivers_is_free_but_not_that_of_one_receivers_messages(
    how: str, passes: bool, golden: Path, tmp_path: Path
) -> None:
    node = [sys.executable, str(NODES / "reordered.py"), how]
    found = graded(node, tmp_path, "replay", "record", golden=golden, sample=4, requests=25)
    assert found.passes is passes and stage(found, "record").passes is passes, found.as_json()


P1A_P2B = [sys.executable, str(NODES / "p1a_p2b.py")]


@pytest.mark.parametrize(("without", "level"), [((), 2), (("--votes",), 1)])
def test_node_with_messages_of_its_own_reaches_a_level(
    without: tuple[str, ...], level: int, tmp_path: Path
) -> None:
    """A slow machine may cut a run short, but no run has a failure."""
    for seed in range(1, 6):
        found = graded(P1A_P2B, tmp_path, without=without, seconds=20.0, kills=3, seed=seed)
        assert stage(found, "faults").passes is not False, found.as_json()
        if found.passes:
            break
    assert found.passes and found.level == level
    assert found.options == {"--data": "", "--votes": "not tried" if without else ""}
    assert "messages of its own" in lost(stage(found, "replay"))
    assert {each.name for each in stage(found, "faults").run} >= {"agreement", "order", "recovery"}
    written = {"command": "grade", "status": "pass", "seconds": 1, "cases": []}
    check_results({**written, **found.as_json()})


def test_node_that_loses_decisions_reaches_no_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inject, "RECOVERY_SECONDS", 2.0)
    # It gets most of its log back, unless others forget theirs at the same time.
    monkeypatch.setattr(inject, "Faults", partial(inject.Faults, kill=0.15, downtime=0.4))
    node = [*P1A_P2B, "--forget"]
    grades = (graded(node, tmp_path, "faults", kills=20, seed=seed) for seed in range(1, 6))
    assert any(found.passes is False and found.level is None for found in grades)


def test_opaque_node_may_name_slots(tmp_path: Path) -> None:
    """This node is one of any system, too."""
    assert find_dialect(NODE, 60) == Dialect()
    assert find_dialect(NODE, 60, opaque=True) == Dialect(opaque=True)
    assert find_dialect(P1A_P2B, 60) == Dialect(opaque=True, appends=True)
    assert option_refusal("--data", NODE, tmp_path, 60) == ""
    assert option_refusal("--votes", P1A_P2B, tmp_path, 60) == ""
    assert "writes nothing" in option_refusal("--data", SOLVER, tmp_path / "none", 1)


def test_level_is_the_highest_whose_cases_pass() -> None:
    def grade_of(*cases: tuple[int, bool]) -> Grade:
        only = Stage("any")
        for level, passes in cases:
            only.add("case", None if passes else Failure("wrong"), level=level)
        return Grade([], stages=[only])

    assert grade_of((0, True)).level is None
    assert grade_of((0, True), (1, True), (3, True)).level == 3
    assert grade_of((0, False), (1, True), (3, True)).level == 1
    assert grade_of((0, True), (1, True), (2, True), (3, False)).level == 2
    assert grade_of((1, True), (2, False)).level == 1
    assert grade_of((1, False), (2, True)).level is None


def test_node_without_options_is_validated_by_its_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = ("--manual-clock", "--data", "--log", "--seed", "--batch")
    found = stage(graded_by_time(NODE, tmp_path, "faults", without=without, passes=True), "faults")
    assert found.passes and len(found.run) == 8 + 3, found.as_json()
    monkeypatch.setattr(inject, "RECOVERY_SECONDS", 1.0)
    node = [*BROKEN_NODE, "phase1-skipped-as-of-reply"]
    broken = tmp_path / "broken"
    found = stage(graded_by_time(node, broken, "faults", without=without, passes=False), "faults")
    name, failure = first(found)
    assert name.startswith("the messages of n")
    seen = [
        json.loads(line)
        for path in broken.glob(f"*/faults/{name[-2:]}.messages.ndjson")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert {"output": failure.found[0]} in seen


@with_perl
def test_two_implementations_write_the_same_log(tmp_path: Path) -> None:
    """The specification is deterministic: the same seed gives the same run for every node."""
    for name, command in (("ours", NODE), ("theirs", PERL)):
        assert graded(command, tmp_path / name, "record", seed=4).passes
    ours, theirs = (
        logs.read(tmp_path / name / "recorded" / "3-nodes" / "seed-4.ndjson")
        for name in ("ours", "theirs")
    )
    assert len(ours) == len(theirs) > 100
    for one, other in zip(ours, theirs, strict=True):
        assert shown(one) == shown(other)


def shown(record: logs.Record) -> str:
    """Return a record as text, without the texts of errors: those are not specified."""
    output = copy.deepcopy(record.output)
    for message in output:
        message["body"].pop("text", None)
    return canonical([record.node, record.input, output])


# Nodes with one bug.


def broken(folder: Path, right: str, wrong: str) -> list[str]:
    text = (NODES / "multipaxos.pl").read_text("utf-8")
    assert text.count(right) == 1
    (folder / "broken.pl").write_text(text.replace(right, wrong), "utf-8")
    return ["perl", str(folder / "broken.pl")]


@with_perl
def test_wrong_reply_fails_the_challenge(tmp_path: Path) -> None:
    node = broken(tmp_path, "$skipped ? 'true' : 'false'", "'true'")
    done = verb("-o", tmp_path / "out", "--stage", "challenge", "--", *node)
    assert done.returncode == 1
    assert "FAIL  the first slot needs Phase 1\n" in done.stdout
    assert "  message 2 differs from the expected one\n" in done.stdout
    check_script(tmp_path / "out", "challenge, required", "the first slot needs Phase 1")


@with_perl
def test_golden_traces_catch_broken_promise(golden: Path, tmp_path: Path) -> None:
    node = broken(tmp_path, "grep { !within($_, \\@known) } ascending(keys %accepted)", "()")
    done = verb(
        "-o",
        tmp_path / "out",
        "--golden",
        golden,
        "--stage",
        "challenge",
        "--stage",
        "replay",
        "--",
        *node,
    )
    assert done.returncode == 1
    summary = json.loads((tmp_path / "out" / "grade.json").read_text("utf-8"))
    assert [each["name"] for each in summary["stages"] if each["failed"]] == ["replay"]
    failure = summary["failures"][0]
    check_script(tmp_path / "out", "replay", failure["name"])
    assert any(line.startswith("  state: ") for line in failure["details"])
    assert any(line.startswith("  action: ") for line in failure["details"])
    assert json.loads(failure["inputs"][-1])["body"]["type"] == "prepare"
    [expected], [found] = failure["expected"], failure["found"]
    assert expected["body"]["accepted"] and found["body"]["accepted"] == []


@with_perl
@pytest.mark.parametrize(
    ("edit", "level"),
    [
        # Another choice of ballots: safe, but another protocol.
        (("my $next = $promised + 1;", "my $next = $promised + 1 + @members;"), 2),
        # Ballots below the promise.
        (("my $next = $promised + 1;", "my $next = 1;"), None),
    ],
)
def test_node_that_differs_may_still_vote_safely(
    edit: tuple[str, str], level: int | None, tmp_path: Path
) -> None:
    found = graded(broken(tmp_path, *edit), tmp_path / "grade", "record", seed=2)
    assert found.passes is False and found.level == level, found.as_json()


def test_trace_validation_catches_lost_disk(tmp_path: Path) -> None:
    node = [*BROKEN_NODE, "disk-lost-at-restart"]
    done = verb("-o", tmp_path, "--stage", "record", "--nodes", 3, "--requests", 60, "--", *node)
    assert done.returncode == 1 and "  shrink:   python -m conformance shrink " in done.stdout
    summary = json.loads((tmp_path / "grade.json").read_text("utf-8"))
    check_script(tmp_path, "record", summary["failures"][0]["name"])


def check_script(folder: Path, suite: str, name: str) -> None:
    """Run the script of a failure: its output has what was found."""
    summary = json.loads((folder / "grade.json").read_text("utf-8"))
    assert summary["status"] == "fail"
    [failure] = [
        each for each in summary["failures"] if (each["suite"], each["name"]) == (suite, name)
    ]
    script = Path(failure["script"])
    assert shlex.join(failure["command"]) in script.read_text("utf-8")
    printed = subprocess.run(["sh", str(script)], cwd=ROOT, capture_output=True).stdout
    messages = [json.loads(line) for line in printed.splitlines()]
    assert failure["found"] and failure["found"] != failure["expected"]
    assert all(message in messages for message in failure["found"])


def test_exit_of_a_node_is_reported_with_its_error_output(tmp_path: Path) -> None:
    node = [*CARELESS_NODE, "leaves"]
    found = stage(graded(node, tmp_path, "record"), "record")
    assert (found.passed, len(found.run)) == (0, 1)
    _, failure = first(found)
    assert "ended by itself, with status 1" in failure.reason
    assert "enough" in failure.reason and len(failure.inputs) >= 5
    assert any("enough" in line for line in failure.lines() if "stderr" not in line)


def test_node_that_decides_alone_passes_only_the_challenge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inject, "RECOVERY_SECONDS", 1.0)
    found = graded_by_time(SOLVER, tmp_path, passes=False)
    assert stage(found, "challenge, required").passes
    assert stage(found, "challenge, recommended").passes is False
    for name in ("replay", "record"):
        assert stage(found, name).passes is None and "--manual-clock" in lost(stage(found, name))
    name, failure = first(stage(found, "faults"))
    assert name == "agreement" and "slot" in failure.reason and not found.passes


def test_missing_recommendation_does_not_fail(tmp_path: Path) -> None:
    done = verb("-o", tmp_path, "--stage", "challenge", "--", *SOLVER)
    assert done.returncode == 0
    assert "FAIL  a different init is refused with 12\n" in done.stdout


# Programs that are no nodes.


@pytest.mark.parametrize(
    "program, words",
    [
        ("import sys; [print(line, end='') for line in sys.stdin]", "found:    {"),
        ("pass", "found:    nothing"),
        ("import time; time.sleep(60)", "did not end within 2 s"),
        ("raise SystemExit('it is broken')", "it ended with status 1 / it is broken"),
        ("print('hello')", 'found:    "hello"'),
        ("print('[1')", 'found:    "[1"'),
        ("print(b'\\xff')", "found:    "),
    ],
)
def test_program_that_is_no_node_fails(program: str, words: str, tmp_path: Path) -> None:
    seconds = 2 if "sleep" in program else PATIENCE
    done = verb("-o", tmp_path, "--timeout-seconds", seconds, "--", sys.executable, "-c", program)
    assert done.returncode == 1
    assert words in done.stdout and "FAIL: 0 of 6 cases pass, 1 fail, 5 skipped" in done.stdout
    assert "the node does not reply to init" in done.stdout and "<<'END'" in done.stdout


def test_missing_command_is_an_error(tmp_path: Path) -> None:
    done = verb("-o", tmp_path, "--", "no-such-node")
    assert done.returncode == 2 and "no-such-node" in done.stderr
    assert verb("-o", tmp_path).returncode == 2


LATE = """
import json, sys
lines = [json.loads(line) for line in sys.stdin]
for line in lines:
    body = {"type": "init_ok", "in_reply_to": line["body"]["msg_id"], "msg_id": 0}
    print(json.dumps({"src": "n1", "dest": line["src"], "body": body}))
"""


def test_reply_only_at_end_of_input_fails(tmp_path: Path) -> None:
    failure = challenge.open_input_failure(
        Plan(tmp_path, patience=2.0), [sys.executable, "-c", LATE]
    )
    assert failure is not None and "flushed" in failure.reason
    assert challenge.open_input_failure(Plan(tmp_path, patience=PATIENCE), SOLVER) is None


# Nodes that handle input or output wrongly.

ALTERED = [sys.executable, "-S", str(NODES / "altered.py")]


@pytest.mark.parametrize(
    "how, case",
    [
        ("reads_are_lines", "a byte at a time"),
        ("reads_are_text", "a byte at a time, not ASCII"),
        ("one_a_read", "many lines at once"),
        ("short_lines", "lines longer than a read, and short ones between"),
    ],
)
def test_node_that_needs_whole_lines_per_read_fails(how: str, case: str, tmp_path: Path) -> None:
    """A correct node behind a filter fails only for input that is not split into lines."""
    plan = Plan(tmp_path, patience=PATIENCE)
    [fed] = [each for each in framing.FRAMING_CASES if each.name == case]
    found = framing.find_failure(plan, [*ALTERED, how], fed)
    assert found is not None and found.reason.endswith("with its input cut")
    assert framing.find_failure(plan, [*ALTERED, "utf8"], fed) is None


LOOP = """
import sys
body = '"body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}'
sys.stdin.readline()
while True: sys.stdout.write('{"src": "n1", "dest": "c0", ' + body + '\\n')
"""

# Runs a command, and prints the peak memory of its processes in KiB.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def test_node_that_prints_forever_is_killed(tmp_path: Path) -> None:
    asked = ["-o", tmp_path, "--stage", "challenge", "--stage", "faults"]
    command = [sys.executable, "-m", "conformance", "grade", *map(str, asked), "--"]
    command += [sys.executable, "-S", "-c", LOOP]
    measured = [sys.executable, "-c", MEASURE, *command]
    done = subprocess.run(measured, cwd=ROOT, capture_output=True, text=True, timeout=5 * PATIENCE)
    assert done.returncode == 1 and "it printed more than 11 messages and was ended" in done.stdout
    assert (
        "--data: with --data node n1 printed more than 10,000 messages in one step" in done.stdout
    )
    *_, most = done.stderr.split()
    assert int(most) < 200_000 or sys.platform != "linux"


def test_child_process_with_open_output_does_not_block(tmp_path: Path) -> None:
    node = ["sh", "-c", f"setsid sleep 300 & echo $! >> {tmp_path}/pids; exec {shlex.join(SOLVER)}"]
    try:
        found = graded(node, tmp_path / "out", "challenge", "framing", patience=200.0)
        assert stage(found, "challenge, required").passes and stage(found, "framing").passes
    finally:
        for pid in (tmp_path / "pids").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_log_is_compared_with_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a node with wrong output can be correct, and then passes trace validation."""
    monkeypatch.setattr(faults, "add_logs", lambda stage, clusters: None)
    found = stage(graded([*ALTERED, "liar"], tmp_path, "faults", kills=1), "faults")
    name, failure = first(found)
    assert name == "the log of n1 and its messages" and len(found.failures) == 3
    assert "phase1_skipped" in failure.reason and "(router)" in failure.reason


def test_node_that_hangs_skips_remaining_golden_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SILENT", 0.3)
    count = 8 + cores()
    for number in range(count):
        steps = [
            (
                init(),
                [
                    {
                        "src": "n1",
                        "dest": "c0",
                        "body": {"type": "init_ok", "in_reply_to": 7, "msg_id": 0},
                    }
                ],
            )
        ]
        records = [{"node": "n1", "input": given, "output": sent} for given, sent in steps]
        logs.write(tmp_path / "golden" / f"{number}.ndjson", records)
    plan = Plan(tmp_path, golden=tmp_path / "golden")
    found = replayed(plan, ["sh", "-c", "sleep 100"], dict.fromkeys(EFFECTS, ""))
    # Each trace is a case, and every third, from the second on, is one more under a renaming.
    assert (found.passed, len(found.outcomes)) == (0, count + (count + 1) // 3)
    assert "not tried: the node hangs in other golden traces" in lost(found)


def test_folder_of_others_is_not_overwritten(tmp_path: Path) -> None:
    plan = Plan(tmp_path)
    mine = tmp_path / "recorded" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(logs.LogError, match="this program has not made it"):
        plan.folder("recorded")
    assert mine.read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "recorded")
    with pytest.raises(logs.LogError):
        plan.folder("link")
    (plan.folder("faults") / "old").touch()
    assert [path.name for path in plan.folder("faults").iterdir()] == [folders.MARK]


def replayed(plan: Plan, command: Sequence[str], options: dict[str, str]) -> Stage:
    found = Stage("replay")
    replay.run(plan, command, options, found)
    return found


# Stages and cases that are skipped.


def test_run_with_too_few_events_is_not_graded(tmp_path: Path) -> None:
    found = stage(graded(NODE, tmp_path, "faults", seconds=0.1, without=("--log",)), "faults")
    assert found.passes is None and "too little happened to decide: " in lost(found)


def test_skipped_stages_are_reported(tmp_path: Path) -> None:
    asked = [
        "-o",
        tmp_path,
        "--stage",
        "challenge",
        "--stage",
        "replay",
        "--without",
        "--manual-clock",
        "--sample",
        2,
    ]
    done = verb(*asked, "--", *NODE)
    assert done.returncode == 0 and "NOT RUN  replay: 0 of 0" in done.stdout
    assert "  not run: golden traces: they need --manual-clock\n" in done.stdout
    assert verb(*asked, "--complete", "--", *NODE).returncode == 1


def test_grade_without_required_cases_exits_with_2(tmp_path: Path) -> None:
    done = verb("-o", tmp_path, "--stage", "replay", "--without", "--manual-clock", "--", *NODE)
    assert done.returncode == 2 and "nothing that is required was run" in done.stderr


def test_grade_fails_if_the_given_level_is_not_reached(tmp_path: Path) -> None:
    case = ("--case", "the log of nothing is empty", "--", *NODE)
    assert verb("-o", tmp_path, *case).returncode == 0
    done = verb("-o", tmp_path, "--level", "1", *case)
    assert done.returncode == 1 and "Level reached: none" in done.stdout


def test_traces_that_need_batches_are_skipped_without_batch_option(tmp_path: Path) -> None:
    """One trace has all decisions in one message, the other in several.

    One trace is also replayed under a renaming, which is one more case.
    """
    for name, more in (("whole", False), ("part", True)):
        decided = [{"slot": 1, "value": "v"}]
        learned = {"type": "learned", "decided": decided, "more": more, "version": 1 + more}
        steps = [
            (
                init(),
                [
                    {
                        "src": "n1",
                        "dest": "c0",
                        "body": {"type": "init_ok", "in_reply_to": 7, "msg_id": 0},
                    }
                ],
            ),
            *((between("decided", slot=slot, value="v"), []) for slot in range(1, 2 + more)),
            (between("learn", known=[]), [{"src": "n1", "dest": "n2", "body": learned}]),
        ]
        records = [{"node": "n1", "input": given, "output": sent} for given, sent in steps]
        logs.write(tmp_path / "golden" / f"{name}.ndjson", records)
    plan = Plan(tmp_path, golden=tmp_path / "golden")
    options = dict.fromkeys(EFFECTS, "")
    found = replayed(plan, NODE, options)
    assert (found.passed, len(found.run), lost(found)) == (2 + 1, 2 + 1, "")
    found = replayed(plan, NODE, {**options, "--batch": "it takes none"})
    assert (found.passed, len(found.run)) == (1 + 1, 1 + 1)
    assert lost(found) == "1 golden traces: they need --batch"


def test_ignored_options_are_detected(tmp_path: Path) -> None:
    found = probe(SOLVER, tmp_path, PATIENCE)
    assert [name for name, why in found.items() if not why] == ["--seed"]
    assert "writes nothing into DIR" in found["--data"] and "PATH" not in " ".join(found.values())
    assert set(probe(NODE, tmp_path, PATIENCE).values()) == {""}


# Cases.


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


EXPECTED = Case("", "", (), (BEGUN, decided(2, 1, True, skipped=False)))
MESSAGES = [
    {"dest": "c0", "src": "n1", "body": {"in_reply_to": 1, "type": "init_ok", "msg_id": 5}},
    {
        "src": "n1",
        "dest": "c1",
        "body": {
            "type": "multi_paxos_propose_ok",
            "value": True,
            "chosen": True,
            "slot": 1,
            "phase1_skipped": False,
            "in_reply_to": 2,
        },
    },
]


def test_messages_are_compared_as_json() -> None:
    assert difference(EXPECTED, MESSAGES) is None


def test_order_between_destinations_is_free() -> None:
    assert difference(EXPECTED, MESSAGES[::-1]) is None
    wanted = Case("", "", (), (decided(2, 1, "a"), log_reply(3), decided(2, 1, "a", dest="c2")))
    first, second, other = wanted.expected
    assert difference(wanted, [other, first, second]) is None
    assert difference(wanted, [other, second, first]) == 1
    assert arranged(wanted, [other, second, first]) == [other, first, second]


@pytest.mark.parametrize(
    "sent, place",
    [
        (MESSAGES[:1], 1),
        ([*MESSAGES, MESSAGES[1]], 2),
        ([MESSAGES[1], MESSAGES[1]], 1),
        ([MESSAGES[0], {**MESSAGES[1], "body": {**MESSAGES[1]["body"], "value": 1}}], 1),
        ([MESSAGES[0], {**MESSAGES[1], "body": {**MESSAGES[1]["body"], "ballot": 1}}], 1),
        ([MESSAGES[0], {**MESSAGES[1], "id": 1}], 1),
        (["text", MESSAGES[1]], 0),
        ([[], MESSAGES[1]], 0),
        ([], 0),
    ],
)
def test_first_message_that_differs_is_found(sent: list[Any], place: int) -> None:
    assert difference(EXPECTED, sent) == place


def test_text_of_an_error_is_free_but_not_its_code() -> None:
    wanted = Case("", "", (), (error(4, 12),))
    sent = {**error(4, 12), "body": {**error(4, 12)["body"], "text": "no", "msg_id": 3}}
    assert difference(wanted, [sent]) is None
    assert difference(wanted, [{**sent, "body": {**sent["body"], "code": 10}}]) == 0


def test_expected_msg_id_is_compared() -> None:
    wanted = Case("", "", (), ({**log_reply(3), "body": {**log_reply(3)["body"], "msg_id": 2}},))
    assert (
        difference(wanted, [{**log_reply(3), "body": {**log_reply(3)["body"], "msg_id": 2}}])
        is None
    )
    assert difference(wanted, [log_reply(3)]) == 0


# Records from the router.


def init() -> Any:
    body = {"type": "init", "msg_id": 7, "node_id": "n1", "node_ids": ["n1", "n2"]}
    return {"src": "c0", "dest": "n1", "body": body}


def between(kind: str, **fields: Any) -> Any:
    return {"src": "n2", "dest": "n1", "body": {"type": kind, **fields}}


def propose(msg_id: int, slot: int) -> Any:
    body = {"type": "multi_paxos_propose", "msg_id": msg_id, "slot": slot, "value": "v"}
    return {"src": "c1", "dest": "n1", "body": body}


def numbers(record: Any) -> list[int]:
    return [message["body"]["msg_id"] for message in record["output"]]


def test_fences_are_not_recorded(tmp_path: Path) -> None:
    node = FencedNode("n1", [*NODE, "--manual-clock"], tmp_path / "n1.stderr", PATIENCE)
    try:
        inputs = [
            init(),
            between("decided", slot=1, value="v"),
            propose(1, 1),
            propose(2, 1),
            "crash",
            "restart",
            propose(3, 1),
        ]
        records = [node.step(given) for given in inputs]
        assert [numbers(record) for record in records] == [[0], [], [1], [2], [], [], [0]]
        assert node.inputs == inputs
        node.end()
    finally:
        node.close()


@pytest.mark.parametrize(
    "program, words",
    [
        ("print('hello', flush=True)\ninput()\ninput()", "printed what is not JSON"),
        ("print('{}', flush=True)\ninput()\ninput()", "ended by itself, with status 0"),
        ("import sys; sys.exit('oh')", "ended by itself, with status 1\n  oh"),
        ("import time; time.sleep(60)", "did not answer a repeated init within 1 s"),
    ],
)
def test_failure_of_a_node_is_reported_with_its_reason(
    program: str, words: str, tmp_path: Path
) -> None:
    seconds = 1 if "sleep" in program else PATIENCE
    node = FencedNode("n1", [sys.executable, "-c", program], tmp_path / "n1.stderr", seconds)
    try:
        with pytest.raises(NodeError) as caught:
            node.step(init())
    finally:
        node.close()
    assert node.failed and str(caught.value).startswith("node n1 ") and words in str(caught.value)
