"""Simulated clusters under load: the node serves each load within the bounds of `simulated.loaded`.

That the loads find bugs of time is shown by those of the catalogue that the judge `load` catches.
"""
from __future__ import annotations

import pytest
import simulate
from multipaxos.replica import Replica
from simulated import loads, trial
from simulated.faults import Script
from simulated.lives import Parts

SEEDS = {"steady": 3, "busy": 2, "takeover": 2, "duel": 4, "storm": 1}


@pytest.mark.parametrize("load", SEEDS)
def test_load_is_served_within_bounds(load: str) -> None:
    series = simulate.Series(1, SEEDS[load], nodes=None, seconds=60, load=load)
    failed = simulate.run_all(series, jobs=1)
    assert [(series.command(found.script.seed), found.failure) for found in failed] == []


@pytest.mark.parametrize("outstanding", [1, 32, 1000, 5000])
def test_burst_is_decided(outstanding: int) -> None:
    found = trial.run(loads.draw("burst", 1, nodes=3, outstanding=outstanding))
    assert found.failure is None
    assert found.happened["acknowledged"] == 1 + outstanding


class AllAgain(Replica):
    """Every leader's timeout repeats all open slots, however young: repetition feeds itself."""

    def receive_accepted(self, m: object) -> list:
        out = super().receive_accepted(m)
        if self.leading() and self.leader.votes and len(self.acceptor.decided) % 50 == 0:
            self.again(out)
        return out


def test_burst_that_feeds_itself_is_noticed() -> None:
    script = loads.draw("burst", 1, nodes=3, outstanding=1000)
    assert trial.run(script, Parts(replica=AllAgain)).rule in ("lines", "peace")


def test_load_is_the_same_each_time_and_comes_back_from_its_text() -> None:
    for load in loads.KINDS:
        script = loads.draw(load, 2, outstanding=10)
        again = Script.of(script.text())
        assert again.text() == script.text()
    assert trial.run(again, logs=True).digest() == trial.run(script, logs=True).digest()
