"""Golden traces check the node against the specification: mutants are caught.

The traces are generated from the golden models that are quick to search.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import locations
from conformance.golden import generate
from conformance.models import manifest
from conformance.running import replay
from conformance.tlaplus.tlc import ToolError
from tests.mutants import bugs
from tests.mutants.patched import patched
from tests.support import in_process
from tests.support.golden import generated
from tests.support.paths import ROOT

QUICK = ("reports", "stuck", "catchup", "gives-up", "reads", "single")
"""Models that together cover the state machine and catch the bugs; `make check` runs them all."""

CORE = sorted((ROOT / "impl" / "multipaxos").glob("*.py"))
OUTER = {
    *("__init__", "__main__"),
    *("node", "printed", "process"),
    *("storage", "journal", "formats", "files", "message_log"),
    *("wire", "readable"),
    *("clock", "overdue"),
}
"""Modules outside of the state machine, which golden traces cannot cover: processes, disks,
malformed lines, and time."""

FOR_THE_DISK = "Slots.range_of"

STATE_MACHINE = {path.stem for path in CORE} - OUTER
OUT_OF_BOUNDS = {
    *("members-sorted-by-name", "place-read-from-name"),
    *("requests-recognised-by-client-and-number", "requests-recognised-by-body"),
    *("slots-ordered-as-text", "ballots-compared-as-text"),
    *("quorum-of-three", "messages-to-four-peers", "repeated-to-four-peers"),
    *("closed-range-loses-its-upper-part", "closed-range-loses-its-lower-part"),
    *("middle-of-a-closed-range-stays-closed", "slot-between-closed-slots-is-closed"),
    *("gaps-are-known", "accepts-repeated-by-the-first-slot", "second-phase1-not-reported"),
}
"""Bugs that show only with names, numbers, nodes, slots or requests that no quick model has."""

RAISING = {"votes-forgotten-at-decision"}
"""Bugs that show by an exception as well as by an output."""

BUGS = {
    bug.name: bug
    for bug in bugs.load()
    if bug.modules <= STATE_MACHINE and bug.breaks != "growth" and bug.name not in OUT_OF_BOUNDS
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The golden traces of the quick models, in an order that is no model's."""
    folder = tmp_path_factory.mktemp("golden")
    made = generated(folder, *QUICK)
    states = [manifest.get(name).states for name in QUICK]
    assert [found.outcome.distinct for found in made] == states
    assert all(0 < found.no_ops < found.transitions for found in made)
    paths = [path for found in made for path in found.logs]
    random.Random(1).shuffle(paths)
    return paths


@pytest.fixture(scope="module")
def cases(golden: list[Path]) -> list[replay.Case]:
    return [case for path in golden for case in replay.cases(path)]


def test_golden_traces_cover_the_state_machine(golden: list[Path], tmp_path: Path) -> None:
    """Replay every trace with branch coverage of the node; no branch may be uncovered."""
    data = tmp_path / "coverage"
    measured = [
        *(sys.executable, "-m", "coverage", "run", "--branch", "--parallel-mode"),
        *(f"--data-file={data}", f"--source={ROOT / 'impl'}", "-m", "conformance", "replay"),
        *(str(golden[0].parent.parent), "--in-process", "tests.support.in_process:node"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(measured, env=environment, capture_output=True, text=True, check=True)
    assert f"{len(golden):,} traces" in done.stdout and " 0 traces differ" in done.stdout
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "-q", f"--data-file={data}", str(tmp_path)], check=True)
    report = tmp_path / "coverage.json"
    subprocess.run([*coverage, "json", "-q", f"--data-file={data}", "-o", str(report)], check=True)
    files = json.loads(report.read_text())["files"]
    core = {Path(name).stem: found for name, found in files.items()}
    missed = {
        (name, function): (found["missing_lines"], found["missing_branches"])
        for name in STATE_MACHINE
        for function, found in core[name]["functions"].items()
        if found["summary"]["percent_covered"] < 100 and function != FOR_THE_DISK
    }
    assert missed == {}


def first_difference(
    cases: list[replay.Case], node: Callable[[], Callable[[list[bytes]], bytes]]
) -> replay.Difference | None:
    found = (replay.differs(case, node()) for case in cases)
    return next((difference for difference in found if difference), None)


def test_correct_node_passes_every_golden_trace(cases: list[replay.Case]) -> None:
    assert first_difference(cases, in_process.node) is None


@pytest.mark.parametrize("name", BUGS)
def test_golden_traces_catch_bug(name: str, cases: list[replay.Case]) -> None:
    with patched(BUGS[name].mutant().texts):
        from multipaxos.node import Node
    found = first_difference(cases, lambda: Node(batch=1).turn)
    assert found, f"a node with {name} passes every golden trace"
    assert found.remark == "" or name in RAISING


# Vacuous traces.


def test_silent_node_fails_every_golden_trace(cases: list[replay.Case]) -> None:
    assert all(replay.differs(case, lambda lines: b"") for case in cases)


def test_model_without_steps_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without any step holds vacuously."""
    single = manifest.get("single")
    nothing = single.text().replace("SPECIFICATION Spec", "INIT Init\nNEXT Nothing")
    monkeypatch.setattr(manifest.Model, "text", lambda model: nothing)
    module = tmp_path / "Still.tla"
    module.write_text("---- MODULE Still ----\nEXTENDS MC\nNothing == FALSE /\\ Next\n====\n")
    monkeypatch.setattr(manifest.Model, "module", module)
    monkeypatch.setattr(generate, "LIBRARIES", (tmp_path, *locations.LIBRARIES))
    with pytest.raises(ToolError, match="it has no step, so it shows nothing"):
        generate.generate(single, tmp_path / "logs")
