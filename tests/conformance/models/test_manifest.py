"""What is pinned is written where it is read, and what is found is held against it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from conformance.models import manifest, searching, tables
from conformance.tlaplus import config, tlc

SINGLE = manifest.get("single")

CONFIG = """CONSTANTS
    Members <- Three
    MaxBallot = 2
SPECIFICATION Spec
VIEW Seen
INVARIANTS TypeOK
    Agreement
PROPERTY Refines
"""


def row(**found: object) -> searching.ModelRow:
    outcome = {"distinct": SINGLE.states, "depth": SINGLE.depth, **found}
    return searching.ModelRow(SINGLE, tlc.Outcome(**outcome))  # type: ignore[arg-type]


def test_results_must_equal_the_pinned_ones() -> None:
    assert row().passed
    assert not row(distinct=SINGLE.states + 1).passed
    assert not row(depth=SINGLE.depth + 1).passed
    assert not row(violated="Agreement").passed


def test_property_that_holds_in_no_state_is_vacuous() -> None:
    empty = replace(SINGLE, states=0, depth=0)
    assert not searching.ModelRow(empty, tlc.Outcome()).passed


def test_pin_changes_only_pinned_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = manifest.MANIFEST.read_text("utf-8")
    copy = tmp_path / "manifest.toml"
    copy.write_text(before, "utf-8")
    monkeypatch.setattr(manifest, "MANIFEST", copy)
    manifest.pin("single", 1_234_567, 89, 1.26)
    assert (manifest.get("single").states, manifest.get("single").depth) == (1_234_567, 89)
    after = copy.read_text("utf-8").splitlines()
    pairs = zip(after, before.splitlines(), strict=True)
    changed = [line for line, other in pairs if line != other]
    assert set(changed) <= {"states = 1_234_567", "depth = 89", "seconds = 1.3"}
    assert "states = 1_234_567" in changed


def test_model_with_another_outcome_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []
    monkeypatch.setattr(manifest, "pin", lambda name, states, depth, seconds: pinned.append(states))
    monkeypatch.setattr(tables, "write", lambda: None)
    searching.pin(row(violated="Agreement"))
    searching.pin(row(distinct=0))
    searching.pin(row(distinct=5))
    assert pinned == [5]


def test_table_is_written_between_its_marks() -> None:
    page = "a\n<!-- models that holds -->\nold\n<!-- end -->\nb\n"
    lines = tables.render(page, [SINGLE]).split("\n")
    assert [lines[0], lines[1], *lines[-3:]] == [
        *("a", "<!-- models that holds -->", "<!-- end -->", "b", "")
    ]
    assert lines[4].startswith("| `single` | tiny |") and "old" not in lines


def test_configuration_is_parsed_into_sections() -> None:
    assert config.listed(CONFIG, "INVARIANT", "PROPERTY") == ["TypeOK", "Agreement", "Refines"]
    assert config.overridden(CONFIG) == {"Members": "Three"}
    assert config.constants(CONFIG) == CONFIG[: CONFIG.index("SPECIFICATION")]
    assert config.without(CONFIG, "VIEW") == CONFIG.replace("VIEW Seen\n", "")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulations here are much shorter than those that Java's better compiler is for."""
    monkeypatch.setattr(searching.tlc, "run", partial(tlc.run, brief=True))


def test_correct_random_behaviours_pass(brief: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert searching.simulate(manifest.get("wide"), minutes=0, seed=5, steps=10) is True
    printed = " ".join(capsys.readouterr().out.split())
    assert "wide: 40 behaviours of 10 steps" in printed and "seeds 5 to 6" in printed


def test_violation_names_its_seed(brief: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert searching.simulate(manifest.get("broken-takes-half"), 0.5, seed=3, steps=30) is False
    printed = " ".join(capsys.readouterr().err.split())
    assert "violates Agreement, seed 3" in printed
    assert "python -m conformance simulate --seed 3 --steps 30 --minutes 0" in printed
