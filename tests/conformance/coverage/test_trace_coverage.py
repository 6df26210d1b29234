"""Trace coverage: exactly the transitions and branches that runs cover are counted.

These tests use short logs and small models; `make check` measures the standard runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from conformance.coverage import real_runs, traces
from conformance.formats import logs
from conformance.golden.automaton import Automaton, Step, Transition
from conformance.golden.generate import Generated
from conformance.running import explore
from conformance.tlaplus import tlc
from tests.support.golden import generated
from tests.support.paths import BAD, BROKEN_NODE, IMPL, NODES, OK

NODE = [sys.executable, str(IMPL / "main.py"), "--batch", "1"]
BROKEN = BROKEN_NODE


# Logs.


def lonely(*events: str) -> list[logs.Record]:
    """Return the log of a single node with these events."""
    body = {"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": ["n1"]}
    opened = {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}
    steps = [
        ({"src": "c0", "dest": "n1", "body": body}, [{"src": "n1", "dest": "c0", "body": opened}]),
        *((event, []) for event in events),
    ]
    return [logs.Record("n1", *step, Path("lonely"), line) for line, step in enumerate(steps, 1)]


def operators(found: traces.TraceCoverage) -> set[str]:
    """The operators with a branch that was taken."""
    left = set(found.uncovered)
    return {branch.operator for branch in found.branches if branch not in left}


@pytest.fixture(scope="module")
def few() -> traces.TraceCoverage:
    """Return the coverage of a log with a crash and a restart."""
    [verdict], found = traces.validate([lonely("crash", "restart", "crash")], 1)
    assert verdict.rejections == []
    return found


def test_only_logged_transitions_are_counted(few: traces.TraceCoverage) -> None:
    counted = {name: count for name, count in few.actions.items() if count}
    assert counted == {"Crash": 2, "Restart": 1}
    # Trace validation selects the action of an event by its name, so it evaluates no other.
    assert operators(few) == {"Crash", "Restart"}
    assert not few.whole


def test_another_action_covers_more_branches(few: traces.TraceCoverage) -> None:
    _, more = traces.validate([lonely("crash", "restart", "timeout")], 1)
    assert few.actions["Timeout"] == 0 and more.actions["Timeout"] == 1
    assert {"Timeout", "Again"} <= operators(more) - operators(few)
    assert set(more.uncovered) < set(few.uncovered)


def test_rejected_records_do_not_count() -> None:
    accepted, rejected = logs.read(OK), logs.read(BAD)
    [good], alone = traces.validate([accepted], 1000)
    verdicts, both = traces.validate([rejected, accepted, rejected], 1000)
    assert good.rejections == []
    assert [bool(verdict.rejections) for verdict in verdicts] == [True, False, True]
    assert both == alone and operators(alone)
    _, none = traces.validate([rejected], 1000)
    assert set(none.actions.values()) == {0} and none.uncovered == none.branches


def test_unread_instrumented_module_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tlc.run

    def astray(*sources: str, libraries: list[Path], **options: object) -> tlc.Outcome:
        return original(*sources, libraries=libraries[1:], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tlc, "run", astray)
    with pytest.raises(tlc.ToolError, match="printed no mark"):
        traces.validate([lonely("crash")], 1)


def test_transitions_unreachable_to_the_checker_are_not_counted() -> None:
    found = {branch.operator for branch in traces.reachable()}
    assert set(traces.actions()) <= found and len(traces.actions()) == 17
    assert {"Decide", "Follow", "Lead"} <= found
    # Trace validation overrides the first two, and does not use the others.
    assert not found & {"Step", "Ascending", "Init", "Next", "TypeOK", "ReplyIsTrue", "Proposed"}


# Small models.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Golden traces of two nodes that may crash, query their peers and expire requests."""
    [found] = generated(tmp_path_factory.mktemp("golden"), "gives-up")
    return found


def explored(model: Generated, folder: Path, command: list[str], runs: int) -> explore.Explored:
    return explore.explore(folder, command, model.members, model.automata, runs=runs, seed=1)


def test_same_seed_covers_the_same(model: Generated, tmp_path: Path) -> None:
    first, again = (explored(model, tmp_path / name, NODE, 3) for name in ("first", "again"))
    assert first == again and first.differences == []
    assert first.runs == 3 and 0 < first.moved < first.covered <= first.inside
    assert first.covered < first.transitions == model.transitions
    assert real_runs.passed({"gives-up": first})
    # Only what differs is left behind.
    assert list(tmp_path.rglob("*.ndjson")) == []


def test_node_that_differs_from_the_model_is_found(model: Generated, tmp_path: Path) -> None:
    command = [*BROKEN, "promise-follows-back", "--batch", "1"]
    found = explored(model, tmp_path, command, 5)
    [difference] = found.differences
    assert not real_runs.passed({"gives-up": found})
    record = logs.read(difference.record.path)[difference.record.line - 1]
    assert record.input == difference.record.input
    assert difference.found != difference.record.output


def test_node_with_another_order_of_receivers_equals_the_model(
    model: Generated, tmp_path: Path
) -> None:
    reordered = [sys.executable, str(NODES / "reordered.py"), "destinations", "--batch", "1"]
    assert explored(model, tmp_path, reordered, 2).differences == []


def single_node_model(*events: str) -> Automaton:
    """Return a model of one node whose state these events do not change."""
    return Automaton("n1", "s", [Transition("s", Step("n1", event, []), "s") for event in events])


def test_transitions_out_of_bounds_are_counted_separately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "ANYWHERE", 1.0)
    found = explore.explore(tmp_path, NODE, ["n1"], [single_node_model("timeout")], runs=5, seed=1)
    assert found.differences == [] and found.runs == 5
    assert found.covered <= 1 == found.transitions and found.moves == found.moved == 0
    # A node that is out of bounds stays there, though the model has timeouts.
    assert found.outside > 5 * found.inside


def test_run_within_bounds_has_nothing_out_of_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "ANYWHERE", 0.0)
    model = single_node_model("timeout", "inquire")
    found = explore.explore(tmp_path, NODE, ["n1"], [model], runs=2, seed=1)
    assert (found.covered, found.outside) == (2, 0) and found.inside >= 2 * explore.IDLE


SILENT = """
import json, sys
given = json.loads(input())
opened = {"type": "init_ok", "in_reply_to": given["body"]["msg_id"], "msg_id": 0}
reply = {"src": given["dest"], "dest": given["src"], "body": opened}
with open(sys.argv[-1], "w") as log:
    log.write(json.dumps({"node": given["dest"], "input": given, "output": [reply]}) + "\\n")
print(json.dumps(reply))
"""


def test_missing_output_is_a_difference(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SILENT]
    model = single_node_model("timeout")
    found = explore.explore(tmp_path, command, ["n1"], [model], runs=2, seed=1)
    [difference] = found.differences
    assert "n1" in difference.remark and difference.record.input == "timeout"
    assert (found.runs, found.covered) == (1, 0)


def test_results_are_one_json_value(few: traces.TraceCoverage) -> None:
    one = explore.Explored(10, 4, covered=3, moved=2, runs=1, inside=5, outside=1)
    result = json.loads(json.dumps(real_runs.as_json(few, {"a": one, "b": one}, 7)))
    assert result["seed"] == 7 and result["actions"]["Crash"] == 2
    assert result["covered"] + len(result["uncovered"]) == result["branches"]
    assert result["models"]["a"]["covered"] == 3 and result["all_models"]["transitions"] == 20
