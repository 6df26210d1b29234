"""Simulations of the right node pass, repeat to the byte, and detect nodes with bugs.

`cluster` has the rules that a simulation checks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from multipaxos.storage import Storage

from conformance.formats import history, logs
from conformance.validation.trace_validation import validate_logs
from tests.simulation import buggy, faults, simulate, trial
from tests.simulation.disk import Disk
from tests.simulation.faults import Script, draw
from tests.simulation.lives import BATCH, Parts
from tests.simulation.shrink import shrink
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

SEEDS = 100


def test_correct_node_passes() -> None:
    total = simulate.run_all(simulate.Series(1, SEEDS, nodes=None, seconds=60), jobs=2)
    assert [(found.script.seed, found.failure) for found in total.failed] == []
    assert total.missing() == []


def test_runs_with_too_few_events_are_no_verdict() -> None:
    few = simulate.Total(seeds=3)
    assert few.missing() == ["0 of at least 3 slots acknowledged"]
    few.happened["acknowledged"] = 3
    assert few.missing() == []
    assert len(simulate.Total(seeds=simulate.FROM).missing()) == 1 + len(simulate.LEAST)


def test_run_with_too_few_events_exits_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "run_all", lambda series, jobs: simulate.Total(seeds=1))
    result = CliRunner().invoke(simulate.main, ["--seeds", "1..1"])
    assert result.exit_code == 2 and "0 of at least 1 slots acknowledged" in result.output


# The same seed is the same run.

SOME = range(1, 10)
DIGESTS = """
import sys
from tests.simulation import trial
from tests.simulation.faults import draw
for seed in map(int, sys.argv[1:]):
    print(trial.run(draw(seed, None, 20), logs=True).digest())
"""


def digests(hash_seed: str) -> list[str]:
    """Those of some seeds, as a process of its own finds them."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("impl", "."))
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, *map(str, SOME)],
        check=True,
        text=True,
        timeout=PATIENCE,
        env={"PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
    )
    return done.stdout.split()


def test_same_seed_gives_the_same_run_in_every_process() -> None:
    here = [trial.run(draw(seed, None, 20), logs=True).digest() for seed in SOME]
    assert digests("1") == digests("2") == here
    assert len(set(here)) == len(SOME)


def test_logging_does_not_change_a_run() -> None:
    for seed in SOME:
        logged, silent = (trial.run(draw(seed, None, 20), logs=logs) for logs in (True, False))
        assert (logged.happened, logged.seconds) == (silent.happened, silent.seconds)


def test_script_is_read_back_from_its_text() -> None:
    for seed in SOME:
        script = draw(seed, None, 20)
        # A pair is a list in JSON.
        assert Script.of(script.text()).text() == script.text()
        assert trial.run(Script.of(script.text())).seconds == trial.run(script).seconds


def test_trace_validation_accepts_simulated_runs(tmp_path: Path) -> None:
    clusters = []
    for seed in 1, 3, 4:
        trial.run(draw(seed, None, 20), logs=True).write(tmp_path)
        clusters.append(logs.read(tmp_path / "logs" / f"seed-{seed}.ndjson"))
        assert history.read(tmp_path / "histories" / f"seed-{seed}.ndjson")
    assert any(record.input == "crash" for cluster in clusters for record in cluster)
    assert [verdict.rejections for verdict in validate_logs(clusters, BATCH)] == [[], [], []]


# What is broken is noticed.

CROWDED = {"promise-not-resumed", "own-promise-not-resumed"}
"""Bugs that break nothing unless several nodes run ballots for the same slot between restarts."""

FOUND_BY = {"own-promise-not-resumed": 43, "learned-page-is-the-last": 40, "quorum-is-half": 12}
"""The first seed that finds a bug, of bugs that few seeds find: it is tried first."""


def crowded(seed: int) -> Script:
    """Each slot is asked for at two nodes, twice, and nodes restart all the time."""
    rng, gap, seconds = Random(f"{seed} crowded"), 0.3, 20
    script = Script(seed, 3, seconds, loss=0.1, repeat=0.0, base=0.01, spread=0.5, events=())
    members = script.members()
    events = list(faults.happening(rng, members, seconds, gap, faults.restart))
    events += (
        {
            "at": turn * gap,
            "kind": "propose",
            "client": faults.client(rng),
            "node": node,
            "slot": turn // 2,
            "tries": 0,
        }
        for turn in range(int(seconds / gap))
        for node in members[:2]
    )
    events.sort(key=lambda event: event["at"])
    return replace(script, events=tuple(events))


def test_correct_node_passes_with_duels_and_restarts() -> None:
    found = [trial.run(crowded(seed)) for seed in range(1, 9)]
    assert [(each.script.seed, each.failure) for each in found if each.failure] == []


@pytest.mark.parametrize(
    "name",
    [
        "output-leaves-before-disk",
        "votes-on-disk-too-late",
        "nothing-on-disk",
        "promise-not-resumed",
        "own-promise-not-resumed",
        "votes-not-on-disk",
        "decisions-not-on-disk",
        "votes-forgotten-at-decision",
        "no-back-off",
        "nothing-repeated",
        "never-inquires",
        "never-expires",
        "deferred-request-forgotten",
        "error-claims-nothing-happened",
        "prepare-never-sent-again",
        "accept-never-sent-again",
        "requests-dropped-at-preemption",
        "preempted-requests-wait-for-ever",
        "own-value-though-votes-reported",
        "vote-below-promise",
        "decided-one-vote-early",
        "quorum-is-half",
        "quorum-of-two",
        "learned-page-is-the-last",
        "loser-answered-with-own-value",
    ],
)
def test_simulation_catches_bug(name: str) -> None:
    seeds = [FOUND_BY.get(name, 1), *range(1, 101)]
    scripts = (crowded(seed) if name in CROWDED else draw(seed, None, 60) for seed in seeds)
    assert any(buggy.run(script, name).failure for script in scripts)


def test_node_that_stops_is_detected() -> None:
    class Stops(Disk):
        def save(self, journal: object) -> None:
            raise ZeroDivisionError

    assert trial.run(draw(1, None, 20), Parts(disk=Stops)).rule == "stopped"


# A failure is made smaller and left.


def test_failing_script_is_shrunk() -> None:
    script = draw(1, 3, 60)
    crashes = [event for event in script.events if event["kind"] == "crash"]
    needed = [*crashes[:1], *crashes[-1:]]
    smaller = shrink(script, lambda it: all(event in it.events for event in needed) and it.loss > 0)
    assert list(smaller.events) == needed and len(needed) == 2
    assert (smaller.loss, smaller.spread) == (script.loss, 0) and smaller.seconds < script.seconds


def simulated(*options: str) -> Result:
    return CliRunner().invoke(simulate.main, options)


def test_failure_is_saved_and_can_be_repeated(tmp_path: Path) -> None:
    bug = ("--bug", "vote-below-promise", "-o", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "1..5", "--seconds", "15", *bug],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    command = next(line for line in done.stdout.splitlines() if "--seeds" in line).split()
    again = simulated(*command[command.index("--seeds") :], "-o", str(tmp_path / "again"))
    reason = next(line for line in done.stdout.splitlines() if " failed: votes" in line)
    assert again.exit_code == 1 and reason in again.stdout
    [script] = (tmp_path / "scripts").iterdir()
    assert simulated("--script", str(script), *bug).exit_code == 1
    assert simulated("--script", str(script), "-o", str(tmp_path / "right")).exit_code == 0
    [log] = (tmp_path / "logs").iterdir()
    assert logs.read(log)


def test_options_out_of_range_are_rejected() -> None:
    for options in ["--seeds", "5"], ["--seeds", "5..1"], ["--nodes", "0"], ["--bug", "none"]:
        assert simulated(*options).exit_code == 2
    assert "Example:" in simulated("--help").stdout


# The disk that is made up.


def test_simulated_disk_equals_the_real_storage(tmp_path: Path) -> None:
    disk, rng = Disk("n1"), Random(1)
    for life in range(20):
        with closing(Storage(tmp_path)) as real:
            made_up = disk.mount()
            for turn in range(10):
                for storage in real, made_up:
                    work(storage, Random(f"{life} {turn}"))
                if rng.random() < 0.8:
                    real.commit(life)
                    made_up.commit(life)
        with closing(Storage(tmp_path)) as real:
            assert held(real) == held(disk.mount())


def work(storage: object, rng: Random) -> None:
    """A turn: a node claims its disk, promises, votes and decides."""
    storage.claim("n1", ("n1", "n2"))
    journal = storage.acceptor
    for _ in range(rng.randrange(4)):
        slot = rng.randrange(12)
        journal.promise(journal.promised + rng.randrange(3))
        if slot not in journal.known:
            journal.vote_for(journal.promised, slot, f'"{rng.random()}"')
            if rng.random() < 0.2:
                journal.decide(slot, journal.accepted[slot].value)


def held(storage: object) -> tuple:
    journal = storage.acceptor
    return (
        storage.cluster,
        storage.logged,
        journal.promised,
        journal.accepted,
        dict(journal.decided.read(journal.known)),
        journal.known.ranges(),
    )
