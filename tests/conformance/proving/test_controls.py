"""Negative controls of the proofs: mutants are not proved."""

import pytest
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.models import manifest
from conformance.proving import actions, controls
from conformance.proving.evaluate import Translation
from conformance.proving.syntax import parse
from tests.support.paths import ROOT

OF_VOTING = [each.name for each in manifest.load().values() if each.module.stem == "BrokenVoting"]


def test_no_mutant_of_voting_is_proved() -> None:
    found = list(controls.mutants(OF_VOTING))
    assert len(found) == 12
    assert [each.name for each in found if not each.passed] == []
    assert [each.problem for each in found if each.problem] == []


@pytest.mark.parametrize(
    "name", ["broken-loses-promise", "broken-votes-below-promise", "broken-claims-too-much"]
)
def test_mutant_of_multipaxos_is_not_proved(name: str) -> None:
    (found,) = controls.mutants([name])
    assert found.refused is not None and not found.problem


def test_specification_is_no_mutant() -> None:
    assert controls._first_refused(actions.own("Crash", None)) is None


def test_mutants_of_what_is_not_proved_are_left_out() -> None:
    left_out = {model.name: model.violates for model in controls.unproved_mutants()}
    assert left_out["broken-teaches-to-first-gap"] == "LearnedIsNext"
    assert list(controls.mutants(left_out)) == []


def test_action_uses_what_its_definition_names() -> None:
    translation = actions.Cluster().translation
    assert "Durable" in translation.used_by("Crash")
    assert "Durable" not in translation.used_by("ReceiveLearn")
    assert "Propose" in translation.used_by("Timeout")


def test_names_in_an_expression() -> None:
    body = parse_body("A == LET f(x) == x + y IN [z EXCEPT !.b = {f(w) : w \\in S}]")
    assert {"f", "x", "y", "z", "w", "S"} <= body.names()


def parse_body(text: str):  # type: ignore[no-untyped-def]
    return parse(f"---- MODULE M ----\n{text}\n====\n", ROOT / "M.tla").definitions["A"].body


def test_replaced_definition_counts_and_not_what_is_given_for_it() -> None:
    found = actions.Cluster(controls.BROKEN, {"NextBallot": "SharesBallots"}).translation
    assert isinstance(found, Translation) and found.call("NextBallot", "n1", 3) == 4


def test_controls_are_about_all_theorems() -> None:
    done = CliRunner().invoke(main, ["prove", "--mutants", "Voting"])
    assert done.exit_code == 2 and "are about all theorems" in done.output
