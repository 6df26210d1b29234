"""Golden logs hold the node to the specification: the right one passes, broken ones are caught.

The logs are generated here from the golden models that are quick to search.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from broken_node import BUGS

from conformance import generate, models, replay
from conformance.cover import Automaton, CoverError, Step, Transition, cover

ROOT = Path(__file__).parent.parent
QUICK = [m for m in models.load().values() if m.golden and m.states < 100_000]
OPTIONS = ("--manual-clock", "--batch", "1")
CORE = sorted((ROOT / "impl" / "multipaxos").glob("*.py"))
OUTER = {"__init__", "clock", "node", "process", "storage", "wire"}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The golden logs of the quick models, in an order that is no model's."""
    folder = tmp_path_factory.mktemp("golden")
    made = {m.name: generate.generate(m, folder / m.name) for m in QUICK}
    assert {m.name: made[m.name].outcome.distinct for m in QUICK} == {
        m.name: m.states for m in QUICK
    }
    assert all(found.complete and found.transitions > 0 for found in made.values())
    paths = [path for found in made.values() for path in found.logs]
    random.Random(1).shuffle(paths)
    return paths


def test_the_core_is_covered_by_golden_logs_alone(golden: list[Path], tmp_path: Path) -> None:
    """Replays every log under branch coverage; the node agrees with each, and nothing is left."""
    data = tmp_path / "coverage"
    measured = [
        *(sys.executable, "-m", "coverage", "run", "--branch", "--parallel-mode"),
        *(f"--data-file={data}", f"--source={ROOT / 'impl'}", str(ROOT / "impl" / "main.py")),
    ]
    results = replay.replay_all(golden, [*measured, *OPTIONS], seconds=60)
    assert [result for result in results if result.difference] == []
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "-q", f"--data-file={data}", str(tmp_path)], check=True)
    report = tmp_path / "coverage.json"
    subprocess.run([*coverage, "json", "-q", f"--data-file={data}", "-o", str(report)], check=True)
    files = json.loads(report.read_text())["files"]
    core = {Path(name).stem: found for name, found in files.items()}
    missed = {
        name: (core[name]["missing_lines"], core[name]["missing_branches"])
        for name in {path.stem for path in CORE} - OUTER
        if core[name]["summary"]["percent_covered"] < 100
    }
    assert missed == {}


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_broken_node_is_caught(bug: str, golden: list[Path]) -> None:
    command = [sys.executable, str(ROOT / "tests" / "broken_node.py"), bug, *OPTIONS]
    for start in range(0, len(golden), 8):
        for result in replay.replay_all(golden[start : start + 8], command):
            if result.difference:
                assert result.difference.remark == ""
                return
    pytest.fail(f"{bug} gives every answer that the golden logs demand")


# The cover itself.


def step(given: str, output: str = "") -> Step:
    message = {"src": "n1", "dest": "n2", "body": {"type": output}}
    return Step("n1", given, [message] if output else [])


def test_a_cover_takes_every_transition_of_a_graph() -> None:
    found = [
        Transition("a", step("timeout"), "b"),
        Transition("b", step("timeout", "learn"), "b"),
        Transition("b", step("crash"), "c"),
        Transition("c", step("restart"), "a"),
        Transition("a", step("crash"), "d"),
    ]
    automaton = Automaton("n1", "a", found)
    paths = list(cover(automaton))
    assert {id(t) for path in paths for t in path} == set(map(id, found))
    for path in paths:
        assert list(automaton.walk(t.step.input for t in path)) == path


def test_what_cannot_be_reached_is_not_passed_over() -> None:
    with pytest.raises(CoverError, match="1 transitions cannot be reached"):
        list(cover(Automaton("n1", "a", [Transition("b", step("timeout"), "c")])))


def test_two_outcomes_of_one_input_are_no_automaton() -> None:
    with pytest.raises(CoverError, match="two things"):
        Automaton(
            "n1",
            "a",
            [
                Transition("a", step("timeout"), "b"),
                Transition("a", step("timeout", "learn"), "b"),
            ],
        )
