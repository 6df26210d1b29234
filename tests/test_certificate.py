"""The certificate: what it names, when it is whole, and what differs from the committed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance import checking
from conformance.coverage import certificate
from conformance.golden.generate import Generated
from conformance.models import manifest
from conformance.running.replay import Replayed
from conformance.tlaplus import tlc

GOLDEN = [model for model in manifest.load().values() if model.golden]
SINGLE = manifest.get("single")
LOG = Path("n1-0001.ndjson")
REAL = {
    "seed": 1,
    "actions": {"Timeout": 2},
    "branches": 3,
    "visited": 3,
    "untouched": [],
    "models": {},
    "all_models": {"transitions": 0},
}


def made(**counts: int) -> Generated:
    found = {"states": 3, "pairs": 3, "transitions": 8, "refused": 5, "covered": 8, "told": 8}
    return Generated(tlc.Outcome(generated=20), [LOG], steps=10, **{**found, **counts})


def certified(steps: int = 10, **counts: int) -> certificate.Json:
    entry = certificate.entry(SINGLE, made(**counts), [Replayed(LOG, steps, None)])
    return certificate.make({"single": entry}, REAL, "0" * 64)


def test_the_committed_one_is_whole_and_of_every_golden_model() -> None:
    committed = certificate.read(certificate.COMMITTED)
    assert certificate.gaps(committed) == []
    assert committed["models"].keys() == {model.name for model in GOLDEN}


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    certificate.write(tmp_path / "certificate.json", certified())
    assert certificate.read(tmp_path / "certificate.json") == certified()
    with pytest.raises(ValueError, match="unexpected"):
        certificate.write(tmp_path / "certificate.json", {**certified(), "at": "noon"})
    (tmp_path / "certificate.json").write_text("{}")
    with pytest.raises(certificate.CertificateError, match="not a certificate"):
        certificate.read(tmp_path / "certificate.json")


@pytest.mark.parametrize(
    "found, line",
    [
        (certified(covered=7), "single: 7 covered of 8 distinct"),
        (certified(told=6), "single: 6 told of 8 distinct"),
        (certified(steps=9), "single: 9 agreed of 10 records"),
        (certified(transitions=0, covered=0, told=0), "single: nothing was generated"),
        (certificate.make({}, REAL, None), "no model was held against the node"),
    ],
)
def test_what_is_not_whole_is_told(found: certificate.Json, line: str) -> None:
    assert certificate.gaps(found) == [line]
    assert certificate.gaps(certified()) == []


def test_what_differs_from_the_committed_one_is_told() -> None:
    assert list(certificate.drift(certified(), certified())) == []
    assert list(certificate.drift(certified(refused=6), certified())) == [
        "models.single.refused: 5 is committed, 6 was found"
    ]
    assert list(certificate.drift({**certified(), "node": "1" * 64}, certified())) == [
        f"node: {'0' * 16} is committed, {'1' * 16} was found"
    ]
    assert list(certificate.drift(certified(), certificate.make({}, REAL, "0" * 64))) == [
        "models.single: nothing is committed, something was found"
    ]


def test_the_checksum_is_of_all_that_tlc_reads() -> None:
    read = {path.name for path in certificate.spec_of(SINGLE)}
    assert {"single.cfg", "MC.tla", "MultiPaxos.tla", "Voting.tla", "Consensus.tla"} <= read
    assert {"EveryInput.tla", "LocalTransitions.tla", "Printing.tla"} <= read
    assert "Liveness.tla" not in read and "main.cfg" not in read


def test_a_changed_file_changes_the_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "ROOT", tmp_path)
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1"), other.write_text("2")
    first = certificate.checksum([one, other])
    assert certificate.checksum([other, one]) == first != certificate.checksum([one])
    one.write_text("12"), other.write_text("")
    assert certificate.checksum([one, other]) != first


# The part of `check` that makes it.


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "committed.json"
    certificate.write(path, {**certified(), "node": certificate.checksum(certificate.node())})
    monkeypatch.setattr(certificate, "COMMITTED", path)
    return path


def check(
    output: Path,
    steps: int = 10,
    *,
    ours: bool = True,
    pin: bool = False,
    real: certificate.Json = REAL,
    **counts: int,
):
    rows = [(SINGLE, made(**counts)), (manifest.get("wide"), Generated(tlc.Outcome()))]
    replayed = [Replayed(LOG, steps, None)]
    return checking.certified(output, rows, replayed, real, ours=ours, pin=pin)


def test_what_is_committed_is_certified(committed: Path, tmp_path: Path) -> None:
    assert check(tmp_path) is True
    assert (tmp_path / "certificate.json").read_bytes() == committed.read_bytes()


def test_another_node_has_no_checksum(committed: Path, tmp_path: Path) -> None:
    assert check(tmp_path, ours=False) is True
    assert json.loads((tmp_path / "certificate.json").read_text())["node"] is None


def test_real_runs_are_the_same_for_the_same_seed(committed: Path, tmp_path: Path) -> None:
    assert check(tmp_path, real={**REAL, "visited": 2}) is False
    assert check(tmp_path, real={**REAL, "visited": 2, "seed": 7}) is True


def test_drift_fails_and_may_be_committed(
    committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed.read_bytes()
    assert check(tmp_path, refused=6) is False
    said = " ".join(capsys.readouterr().err.split())
    assert "models.single.refused: 5 is committed, 6 was found" in said and "check --pin" in said
    assert committed.read_bytes() == before
    assert check(tmp_path, refused=6, pin=True) is True
    assert check(tmp_path, refused=6) is True


@pytest.mark.parametrize("hole", [{"told": 7}, {"covered": 7}, {"steps": 9}])
def test_what_is_not_whole_is_never_committed(
    hole: dict[str, int], committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed.read_bytes()
    assert check(tmp_path, pin=True, **hole) is False
    assert "held against each other wholly" in " ".join(capsys.readouterr().err.split())
    assert committed.read_bytes() == before
