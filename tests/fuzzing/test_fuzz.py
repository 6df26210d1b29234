"""The node survives malformed lines, and fuzzing catches a node that does not."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from multipaxos import wire
from multipaxos.node import Node
from multipaxos.process import Lines
from multipaxos.wire import Parts

from tests.fuzzing import fuzz
from tests.fuzzing.line_mutations import MUTATIONS, mutated
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE


def test_node_survives_malformed_lines() -> None:
    counted = fuzz.fuzz(15_000, seed=1)
    assert counted["dropped"] > 5_000 and counted["refused"] > 200
    assert counted["taken"] > 2_000 and counted["printed"] > 2_000


def test_same_seed_gives_the_same_lines() -> None:
    right = [b'{"src": "n2", "dest": "n1", "body": {"type": "learn", "known": [[1, 2]]}}', b"{}"]
    assert list(fuzz.lines(right, 300, 7)) == list(fuzz.lines(right, 300, 7))
    assert list(fuzz.lines(right, 300, 7)) != list(fuzz.lines(right, 300, 8))


@pytest.mark.parametrize("mutation", dict.fromkeys(MUTATIONS), ids=lambda it: it.__name__)
@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"\xff", b"1", b'{"src": 1}', b'{"body": {}}', b"[" * 3000]
)
def test_any_line_can_be_mutated(mutation: object, line: bytes) -> None:
    for seed in range(20):
        assert isinstance(mutation(line, [line], Random(seed)), bytes)
        assert isinstance(mutated([line], Random(seed)), bytes)


# Nodes that do not stand them.


def numbers_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wire, "natural", lambda body, key, least=0: body.get(key))


def depth_is_not_thought_of(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wire, "RecursionError", KeyError, raising=False)


def a_ballot_is_believed_before_it_is_checked(patch: pytest.MonkeyPatch) -> None:
    step = Node.step

    def hasty(self: Node, line: Parts | str, *wrong: object) -> object:
        if self.replica is not None and type(line) is tuple and type(line[2].get("ballot")) is int:
            self.replica.acceptor.promised = max(self.replica.acceptor.promised, line[2]["ballot"])
        return step(self, line, *wrong)

    patch.setattr(Node, "step", hasty)


def strangers_are_answered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wire, "answerable", lambda src, body, members: "msg_id" in body)


def lines_end_with_a_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lines, "keep", lambda self, piece: self.given.append(piece))


@pytest.mark.parametrize(
    "bug",
    [
        lines_end_with_a_read,
        numbers_are_not_looked_at,
        depth_is_not_thought_of,
        strangers_are_answered,
        a_ballot_is_believed_before_it_is_checked,
    ],
)
def test_fuzzing_catches_careless_node(bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    right = fuzz.real_lines()
    monkeypatch.setattr(fuzz, "real_lines", lambda: right)
    bug(monkeypatch)
    with pytest.raises(fuzz.Wrong, match=r"line .* of seed 1: "):
        fuzz.fuzz(10_000, seed=1)


def test_command_prints_its_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", "--lines", "500"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0 and done.stdout.startswith("500 lines, ")


def test_too_few_lines_give_no_verdict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", "--lines", "1"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and "too few events for a verdict: no line was" in done.stderr
