"""The proofs as a phase of `check`: what is counted, cached, and what fails."""

from pathlib import Path

import pytest

from conformance import checking, whole_check
from conformance.cache import Cache
from conformance.proving import counts, obligations, prove
from conformance.proving.counts import Proofs
from conformance.proving.obligations import Obligation, Result
from conformance.results import Results


def test_obligations_of_each_theorem_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def obligations_of(*statuses: str) -> list[Obligation]:
        return [Obligation("T", f"goal {at}", [], each) for at, each in enumerate(statuses)]

    made = {
        "Voting": obligations_of("proved", "proved"),
        "MultiPaxos: Init": obligations_of("proved", "refuted"),
    }
    monkeypatch.setattr(
        prove, "theorems", lambda: ((name, lambda n=name: made[n]) for name in made)
    )
    monkeypatch.setattr(obligations, "prove", lambda each, *attempts: Result(each, each.goal, 0, 0))
    found = counts.proved()
    assert found.figures == {
        "Voting": {"obligations": 2, "proved": 2},
        "MultiPaxos: Init": {"obligations": 2, "proved": 1},
    }
    assert found.failures["Voting"] == ""
    assert found.failures["MultiPaxos: Init"].startswith("goal 1 is refuted")
    assert found.summary == "3 of 4 obligations proved"


def phase(folder: Path, found: Proofs, monkeypatch: pytest.MonkeyPatch) -> whole_check.Phase:
    monkeypatch.setattr(counts, "proved", lambda: found)
    run = whole_check.Check(folder, 1, checking.NODE, Cache(folder), Cache(None), Results("check"))
    whole_check._prove(run)
    return run.phases[0]


PROVED = Proofs({"Voting": {"obligations": 2, "proved": 2}}, {"Voting": ""})


def test_proofs_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert phase(tmp_path, PROVED, monkeypatch).cached == 0
    again = phase(tmp_path, Proofs({}, {}), monkeypatch)
    assert again.cached == 1 and again.summary == PROVED.summary


def test_failure_fails_the_phase_and_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Proofs(PROVED.figures, {"Voting": "goal is refuted"})
    assert not phase(tmp_path, failed, monkeypatch).passed
    assert phase(tmp_path, PROVED, monkeypatch).cached == 0


def test_another_release_of_the_solver_is_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    before = counts.key()
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.0")
    assert counts.key() != before
