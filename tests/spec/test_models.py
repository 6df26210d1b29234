"""The manifest, the configurations and the tables of spec/README.md are consistent.

`make check` runs the models; here one of each kind is run.
"""

from __future__ import annotations

import re
import threading

import pytest

from conformance import report
from conformance.models import manifest, searching, tables
from conformance.models.manifest import MODELS, load
from conformance.tlaplus import tlc
from conformance.tlaplus.config import listed, overridden

SPEC = MODELS.parent
ALL = load()
TINY = ("single", "sometimes-skips", "gives-up-again", "broken-claims-too-much")


def mistakes() -> set[str]:
    """The operators that are only there to take the place of a right one."""
    broken = [*MODELS.glob("Broken*.tla"), MODELS / "MCConsensus.tla"]
    texts = (path.read_text("utf-8") for path in broken)
    return {name for text in texts for name in re.findall(r"(?m)^(\w+)(?:\([^)]*\))? ==", text)}


def test_every_configuration_is_a_model() -> None:
    assert sorted(path.stem for path in MODELS.glob("**/*.cfg")) == sorted(ALL)
    assert [model.name for model in ALL.values() if not model.config.exists()] == []


def test_every_model_has_a_purpose() -> None:
    for model in ALL.values():
        assert model.expect in ("holds", "reaches", "needs", "breaks", "runs"), model.name
        assert model.tier in manifest.TIERS, model.name
        assert model.purpose.endswith("."), model.name
        assert (model.violates is None) == (model.expect in ("holds", "runs")), model.name
        # What is violated in an initial state has no number.
        assert model.states or model.expect in ("breaks", "runs"), model.name


def test_tables_of_the_readme_are_current() -> None:
    page = tables.README.read_text("utf-8")
    assert tables.render(page, ALL.values()) == page
    named = re.findall(r"(?m)^\| `([\w-]+)` \|", page)
    assert sorted(named) == sorted(ALL)


@pytest.mark.parametrize("model", [m for m in ALL.values() if m.violates], ids=lambda m: m.name)
def test_mutant_checks_only_the_property_that_it_violates(model) -> None:
    assert model.checked() == [model.violates]


WITHOUT_MUTANT = {"IsAccepted", "VotesAreRequested"}
"""That right vote logs are accepted, and what only the proof of RefusalIsTrue needs."""


def test_every_property_catches_some_bug() -> None:
    """Apart from the facts that the proofs assume, which are not about the protocol."""
    holds = [model for model in ALL.values() if model.expect == "holds" and model.name != "assumed"]
    held = {name for model in holds for name in model.checked()} - WITHOUT_MUTANT
    caught = {model.violates for model in ALL.values() if model.expect == "breaks"}
    assert held == caught


def test_there_are_enough_spec_mutants() -> None:
    assert sum(model.expect == "breaks" for model in ALL.values()) >= 30


def test_spec_mutant_is_one_override() -> None:
    wrong = mistakes()
    assert len(wrong) > 50
    for model in ALL.values():
        made = wrong & set(overridden(model.text()).values())
        # What is required of vote logs can stand in two operators.
        most = 2 if model.module.stem == "BrokenVoteLogs" else 1
        least = int(model.expect == "breaks")
        assert least <= len(made) <= most * least, (model.name, made)


def test_liveness_is_checked_without_view_or_constraint() -> None:
    """Both would make TLC take what is no cycle for one, or the reverse."""
    lively = [m for m in ALL.values() if "LossySpec" in m.text() or "DuelSpec" in m.text()]
    assert len(lively) > 20
    kept = ("VIEW", "CONSTRAINT", "CONSTRAINTS", "ACTION_CONSTRAINT", "SYMMETRY")
    assert [m.name for m in lively if listed(m.text(), *kept)] == []


def test_one_model_of_each_kind_matches_the_manifest() -> None:
    tiny = [ALL[name] for name in TINY]
    assert {model.expect for model in tiny} == {"holds", "reaches", "needs", "breaks"}
    rows = searching.models(tiny)
    assert [(row.model.name, row.outcome.violated) for row in rows if not row.passed] == []


def test_built_states_equal_enumerated_states() -> None:
    assert ALL["inductive-few"].states == ALL["inductive-plain"].states > 0


@pytest.mark.parametrize("batch", [1.0, 25.0, 40.0])
def test_random_behaviours_stop_in_time_and_report_progress(
    batch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch takes as long as it takes, by a clock that only batches move."""
    now, reported, lock = [0.0], [], threading.Lock()

    def run(*_: object, seed: int, **__: object) -> tlc.Outcome:
        with lock:
            now[0] += batch / searching.cores()
        return tlc.Outcome(generated=1000 * seed)

    monkeypatch.setattr(searching.tlc, "run", run)
    monkeypatch.setattr(searching.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report.Line, "update", lambda _, text, *rest: reported.append(text))
    assert searching.simulate(ALL["wide"], 1, 7, 150)
    assert abs(now[0] - 60) <= batch / 2
    # The last batches of all cores end at the same time.
    assert abs(len(reported) - now[0] / (batch / searching.cores())) <= searching.cores()
