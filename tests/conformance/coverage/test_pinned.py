"""The pinned: what it names, when it is whole, and what differs from the committed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance import locations, whole_check
from conformance.coverage import pinned
from conformance.formats.logs import Record
from conformance.golden.generate import Generated
from conformance.models import manifest
from conformance.running.replay import Difference, Replayed
from conformance.tlaplus import tlc

GOLDEN = [model for model in manifest.load().values() if model.golden]
SINGLE = manifest.get("single")
LOG = Path("n1-0001.ndjson")
REAL = {
    "seed": 1,
    "actions": {"Timeout": 2},
    "branches": 3,
    "covered": 3,
    "uncovered": [],
    "models": {},
    "all_models": {"transitions": 0},
}
PROOFS = {"Voting": {"obligations": 19, "proved": 19}}


def made(**counts: int) -> Generated:
    found = {"states": 3, "pairs": 3, "transitions": 8, "no_ops": 5, "covered": 8, "verified": 8}
    return Generated(tlc.Outcome(generated=20), [LOG], steps=10, **{**found, **counts})


AGREED = Replayed(LOG, 10, None)
DIFFERENT = Replayed(LOG, 9, Difference(Record("n1", "timeout", [], LOG, 10), []))


def results(replayed: Replayed = AGREED, **counts: int) -> pinned.Json:
    entry = pinned.entry(SINGLE, made(**counts), [replayed])
    return pinned.make({"single": entry}, REAL, PROOFS)


def test_pinned_results_cover_every_golden_model() -> None:
    committed = pinned.read(pinned.COMMITTED)
    assert pinned.gaps(committed) == []
    assert committed["models"].keys() == {model.name for model in GOLDEN}


def test_written_pinned_results_are_read_back(tmp_path: Path) -> None:
    pinned.write(tmp_path / "results.json", results())
    assert pinned.read(tmp_path / "results.json") == results()
    with pytest.raises(ValueError, match="unexpected"):
        pinned.write(tmp_path / "results.json", {**results(), "at": "noon"})
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(pinned.PinnedError, match="no pinned results"):
        pinned.read(tmp_path / "results.json")


@pytest.mark.parametrize(
    "found, line",
    [
        (results(covered=7), "single: 7 covered of 8 transitions"),
        (results(verified=6), "single: 6 verified of 8 transitions"),
        (results(DIFFERENT), "single: 0 agreed of 1 traces"),
        (results(Replayed(LOG, 0, None, tried=False)), "single: 0 agreed of 1 traces"),
        (results(transitions=0, covered=0, verified=0), "single: nothing was generated"),
        (pinned.make({}, REAL, PROOFS), "no model was held against the node"),
        (
            pinned.make(results()["models"], REAL, {"Voting": {"obligations": 19, "proved": 18}}),
            "Voting: 18 of 19 are proved",
        ),
    ],
)
def test_incomplete_results_are_reported(found: pinned.Json, line: str) -> None:
    assert pinned.gaps(found) == [line]
    assert pinned.gaps(results()) == []


def test_difference_from_the_pinned_results_is_reported() -> None:
    assert list(pinned.drift(results(), results())) == []
    assert list(pinned.drift(results(no_ops=6), results())) == [
        "models.single.no_ops: 5 is pinned, 6 was found"
    ]
    assert list(pinned.drift(results(), pinned.make({}, REAL, PROOFS))) == [
        "models.single: nothing is pinned, something was found"
    ]


def test_checksum_covers_all_files_that_tlc_reads() -> None:
    read = {path.name for path in pinned.spec_of(SINGLE)}
    assert {"single.cfg", "MC.tla", "MultiPaxos.tla", "Voting.tla", "Consensus.tla"} <= read
    assert {"EveryInput.tla", "LocalTransitions.tla", "Printing.tla"} <= read
    assert "Liveness.tla" not in read and "main.cfg" not in read


def test_changed_file_changes_the_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "PACKAGE", tmp_path)
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1"), other.write_text("2")
    first = pinned.checksum([one, other])
    assert pinned.checksum([other, one]) == first != pinned.checksum([one])
    one.write_text("12"), other.write_text("")
    assert pinned.checksum([one, other]) != first


# The part of `check` that makes it.


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "committed.json"
    pinned.write(path, results())
    monkeypatch.setattr(pinned, "COMMITTED", path)
    return path


def check(
    output: Path,
    replayed: Replayed = AGREED,
    *,
    ours: bool = True,
    pin: bool = False,
    real: pinned.Json = REAL,
    **counts: int,
):
    rows = [(SINGLE, made(**counts)), (manifest.get("wide"), Generated(tlc.Outcome()))]
    return not whole_check.hold_to_pinned(
        output, rows, [replayed], real, PROOFS, ours=ours, pin=pin
    )


def test_pinned_results_are_found_again(committed: Path, tmp_path: Path) -> None:
    assert check(tmp_path) is True
    assert (tmp_path / "results.json").read_bytes() == committed.read_bytes()


def test_real_runs_are_the_same_for_the_same_seed(committed: Path, tmp_path: Path) -> None:
    assert check(tmp_path, real={**REAL, "covered": 2}) is False
    assert check(tmp_path, real={**REAL, "covered": 2, "seed": 7}) is True


def test_drift_fails_and_may_be_committed(
    committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed.read_bytes()
    assert check(tmp_path, no_ops=6) is False
    printed = " ".join(capsys.readouterr().err.split())
    assert "models.single.no_ops: 5 is pinned, 6 was found" in printed and "check --pin" in printed
    assert committed.read_bytes() == before
    assert check(tmp_path, no_ops=6, pin=True) is True
    assert check(tmp_path, no_ops=6) is True


@pytest.mark.parametrize("hole", [{"verified": 7}, {"covered": 7}, {"replayed": DIFFERENT}])
def test_incomplete_results_are_never_pinned(
    hole: dict[str, Any], committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed.read_bytes()
    assert check(tmp_path, pin=True, **hole) is False
    assert "not compared completely" in " ".join(capsys.readouterr().err.split())
    assert committed.read_bytes() == before
