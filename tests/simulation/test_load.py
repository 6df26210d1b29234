"""Simulated clusters under load: the node serves each load within the bounds of `simulated.loaded`.

That the loads find bugs of time is shown by those of the catalogue that the check `load` catches.
"""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from multipaxos.clock import Clock
from multipaxos.node import Node
from multipaxos.replica import Replica

from tests.simulation import loads, simulate, trial
from tests.simulation.faults import Script
from tests.simulation.lives import Parts

SEEDS = {"steady": 3, "busy": 2, "lossy": 2, "takeover": 3, "duel": 4, "storm": 1}


@pytest.mark.parametrize("load", SEEDS)
def test_load_is_served_within_bounds(load: str) -> None:
    series = simulate.Series(1, SEEDS[load], nodes=None, seconds=60, load=load)
    failed = simulate.run_all(series, jobs=1).failed
    assert [(series.command(found.script.seed), found.failure) for found in failed] == []


@pytest.mark.parametrize("outstanding", [1, 32, 1000, 5000])
def test_burst_is_decided(outstanding: int) -> None:
    found = trial.run(loads.draw("burst", 1, nodes=3, outstanding=outstanding))
    assert found.failure is None
    assert found.happened["acknowledged"] == 1 + outstanding


class AllAgain(Replica):
    """Every leader's timeout repeats all open slots, however young: repetition feeds itself."""

    def receive_accepted(self, src: str, m: object) -> list:
        out = super().receive_accepted(src, m)
        if self.leading() and self.leader.votes and self.acceptor.known.count() % 50 == 0:
            self.again(out)
        return out


def test_burst_that_feeds_itself_is_detected() -> None:
    script = loads.draw("burst", 1, nodes=3, outstanding=1000)
    assert trial.run(script, Parts(replica=AllAgain)).rule in ("lines", "quiescence")


class ForgetsOvertaken(Clock):
    """Open slots are repeated only if nothing is decided for a while."""

    def note_step(self, now: float, output: list) -> None:
        super().note_step(now, output)
        self.unanswered.reached = 0.0


class WaitsForOpenSlots(Clock):
    """A leader queries its peers about closed slots only while it has no open ones."""

    def closed_slot_events(self, now: float) -> Iterator[str]:
        return iter(()) if self.replica.leader.votes else super().closed_slot_events(now)


class WaitsForQuiet(Node):
    """Time passes only in turns without input."""

    def turn(self, lines: list[bytes], now: float = 0.0) -> bytes:
        if self.clock is None or not lines:
            return super().turn(lines, now)
        with mock.patch.object(self.clock, "events", return_value=()):
            return super().turn(lines, now)


@pytest.mark.parametrize(
    ("load", "seed", "parts", "rule"),
    [
        ("lossy", 1, Parts(clock=ForgetsOvertaken), "live"),
        ("lossy", 1, Parts(node=WaitsForQuiet), "answers"),
        ("takeover", 3, Parts(clock=WaitsForOpenSlots), "quiescence"),
    ],
    ids=["overtaken", "quiet", "closed"],
)
def test_node_that_never_resends_under_load_is_detected(
    load: str, seed: int, parts: Parts, rule: str
) -> None:
    script = loads.draw(load, seed, nodes=3)
    assert trial.run(script).failure is None
    assert trial.run(script, parts).rule == rule


@pytest.mark.parametrize("load", loads.KINDS)
def test_load_is_read_back_from_its_text(load: str) -> None:
    script = loads.draw(load, 2)
    assert Script.of(script.text()).text() == script.text()


def test_load_is_deterministic() -> None:
    first, second = (trial.run(loads.draw("takeover", 2), logs=True) for _ in range(2))
    assert first.digest() == second.digest()
