"""Golden logs hold the node to the specification: the right one passes, broken ones are caught.

The logs are generated here from the golden models that are quick to search.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from multipaxos import node
from multipaxos.replica import Replica

from conformance.golden import generate
from conformance.models import manifest
from conformance.running import replay
from conformance.tlaplus.tlc import ToolError
from tests.broken_node import BUGS, replica_with
from tests.support import in_process
from tests.support.paths import ROOT

SLOW = ("main", "gaps", "old-answers")
"""Models whose golden logs take long to make: `make check` makes them, too."""

QUICK = [m for m in manifest.load().values() if m.golden and m.name not in SLOW]
CORE = sorted((ROOT / "impl" / "multipaxos").glob("*.py"))
OUTER = {
    "__init__",
    *("node", "process", "storage", "files"),
    *("wire", "readable"),
    *("clock", "overdue"),
}
"""What is no part of the state machine, so that no golden log can show all of it: processes and
disks, lines that are no messages, and time."""


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The golden logs of the quick models, in an order that is no model's."""
    folder = tmp_path_factory.mktemp("golden")
    made = {m.name: generate.generate(m, folder / m.name) for m in QUICK}
    assert {m.name: made[m.name].outcome.distinct for m in QUICK} == {
        m.name: m.states for m in QUICK
    }
    assert all(found.complete for found in made.values())
    assert all(0 < found.refused < found.transitions for found in made.values())
    paths = [path for found in made.values() for path in found.logs]
    random.Random(1).shuffle(paths)
    return paths


@pytest.fixture(scope="module")
def cases(golden: list[Path]) -> list[replay.Case]:
    return [case for path in golden for case in replay.cases(path)]


def test_the_core_is_covered_by_golden_logs_alone(golden: list[Path], tmp_path: Path) -> None:
    """Replays every log under branch coverage; the node agrees with each, and nothing is left."""
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
        name: (core[name]["missing_lines"], core[name]["missing_branches"])
        for name in {path.stem for path in CORE} - OUTER
        if core[name]["summary"]["percent_covered"] < 100
    }
    assert missed == {}


@pytest.fixture
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """While it lasts, nodes that are made have a bug."""
    monkeypatch.setattr(node, "Replica", replica_with(request.param))
    yield request.param.__name__


def first_difference(cases: list[replay.Case]) -> replay.Difference | None:
    found = (replay.differs(case, in_process.node()) for case in cases)
    return next((difference for difference in found if difference), None)


def test_the_right_node_differs_nowhere(cases: list[replay.Case]) -> None:
    assert first_difference(cases) is None


@pytest.mark.parametrize("broken", BUGS.values(), ids=BUGS, indirect=True)
def test_a_broken_node_is_caught(broken: str, cases: list[replay.Case]) -> None:
    found = first_difference(cases)
    assert found, f"{broken} gives every answer that the golden logs demand"
    assert found.remark == ""


# Nodes that are wrong only in what they do with what they should ignore or refuse.


class IgnoresLess(Replica):
    """A second promise of a ballot that is led already has it led once more."""

    def receive_promise(self, m):
        if self.leading() and m.body.ballot == self.leader.ballot:
            out = []
            self.lead(out)
            return out
        return super().receive_promise(m)


class HeedsAnOldPromise(Replica):
    """What an ignored promise reports is remembered, and shows only at a later takeover."""

    def receive_promise(self, m):
        if not self.in_phase1() or m.body.ballot != self.leader.ballot:
            for slot, vote in m.body.accepted.items():
                if slot not in self.acceptor.decided and slot not in self.acceptor.accepted:
                    self.acceptor.vote(vote.ballot, slot, vote.value)
        return super().receive_promise(m)


class RefusesAndPromises(Replica):
    """A prepare is refused and yet kept: the next ballot is higher than it should be."""

    def receive_prepare(self, m):
        out = super().receive_prepare(m)
        if m.body.ballot < self.acceptor.promised and self.leader.ballot == 0:
            self.acceptor.promise(self.acceptor.promised + len(self.members.nodes))
        return out


class ForgetsWhenItAnswersAgain(Replica):
    """An accept that is answered once more takes a waiting request with it."""

    def receive_accept(self, m):
        vote = self.acceptor.accepted.get(m.body.slot)
        again = vote is not None and vote.ballot == m.body.ballot
        out = super().receive_accept(m)
        if again and self.leader.waiting:
            self.leader.waiting.give_up()
        return out


class LateVoteCounts(Replica):
    """An accepted of an old ballot is ignored, but its sender is taken to have voted in this."""

    def receive_accepted(self, m):
        out = super().receive_accepted(m)
        voters = self.leader.votes.get(m.body.slot)
        if voters is not None and m.body.ballot != self.leader.ballot:
            voters.add(m.src)
        return out


SILENT = [
    IgnoresLess,
    HeedsAnOldPromise,
    RefusesAndPromises,
    ForgetsWhenItAnswersAgain,
    LateVoteCounts,
]


@pytest.mark.parametrize("broken", SILENT, indirect=True, ids=lambda bug: bug.__name__)
def test_a_node_that_does_not_ignore_is_caught(broken: str, cases: list[replay.Case]) -> None:
    assert first_difference(cases), f"{broken} is not seen"


# What shows nothing.


def test_a_node_that_says_nothing_differs(cases: list[replay.Case]) -> None:
    assert all(replay.differs(case, lambda lines: b"") for case in cases)


def test_a_model_without_behaviour_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every message is dead, nothing may be done: the model holds, and shows nothing."""
    single = manifest.get("single")
    nothing = single.text().replace("SPECIFICATION Spec", "INIT Init\nNEXT Nothing")
    monkeypatch.setattr(manifest.Model, "text", lambda model: nothing)
    module = tmp_path / "Still.tla"
    module.write_text("---- MODULE Still ----\nEXTENDS MC\nNothing == FALSE /\\ Next\n====\n")
    monkeypatch.setattr(manifest.Model, "module", module)
    monkeypatch.setattr(generate, "LIBRARIES", (tmp_path, *manifest.LIBRARIES))
    with pytest.raises(ToolError, match="it has no step, so it shows nothing"):
        generate.generate(single, tmp_path / "logs")
