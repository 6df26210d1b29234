"""The proofs: what holds is proved, what does not is not, and no proof is vacuous."""

import re
import subprocess
import sys

import pytest
import z3
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.proving import actions, obligations, prove, voting
from conformance.proving.obligations import Hypothesis, Obligation, Result
from tests.support.paths import ROOT


def test_voting_is_proved() -> None:
    results = [obligations.prove(each) for each in voting.obligations()]
    assert len(results) == 19
    assert [each.obligation.name for each in results if not each.proved] == []


def test_statement_without_its_hypothesis_is_not_proved() -> None:
    made = next(each for each in voting.obligations() if "Agreement" in each.theorem)
    axioms = [each for each in made.hypotheses if each.name != "two quorums share an acceptor"]
    assert not obligations.prove(Obligation("", "", axioms, made.goal)).proved


def test_hypotheses_of_voting_do_not_contradict_each_other() -> None:
    for each in voting.obligations():
        assert not obligations.contradictory(each.hypotheses)


def test_contradictory_hypotheses_are_found() -> None:
    x = z3.Int("x")
    assert obligations.contradictory([Hypothesis("a", x > 0), Hypothesis("b", x < 0)])


def test_what_is_false_is_refuted_with_a_model() -> None:
    x = z3.Int("x")
    found = obligations.prove(Obligation("", "", [Hypothesis("x > 0", x > 0)], x > 1))
    assert found.status == obligations.REFUTED
    assert found.model is not None and str(found.model) == "[x = 1]"


def test_crash_is_proved() -> None:
    made = actions.own("Crash", None)
    assert made
    assert all(obligations.prove(each).proved for each in made)


# The verdict.


def theorem_of(*statuses: str) -> prove.Theorem:
    made = [Obligation("T", f"goal {number}", [], True) for number in range(len(statuses))]
    results = [Result(each, status, 0, 0) for each, status in zip(made, statuses, strict=True)]
    return prove.Theorem("T", results)


@pytest.mark.parametrize(
    "statuses, expected",
    [
        (["proved", "proved"], "pass"),
        (["proved", "open"], "unknown"),
        (["proved", "unknown"], "fail"),
        (["open", "refuted"], "fail"),
        ([], "fail"),
    ],
)
def test_status_of_a_theorem(statuses: list[str], expected: str) -> None:
    theorem = theorem_of(*statuses)
    cases = list(theorem.cases())
    assert theorem.status == cases[0].status == expected
    assert len(cases) == 1 + sum(status != "proved" for status in statuses)


def test_open_obligations_are_named() -> None:
    found = [theorem_of("proved", "open")]
    assert prove.summary(found) == "1 of 2 obligations proved, 1 open: T: goal 1 (1)"


def open_obligation(goal: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the status of the only obligation of a theorem, which is listed as open."""
    made = Obligation("Voting", "goal", [], goal)
    monkeypatch.setattr(voting, "obligations", lambda: [made])
    monkeypatch.setitem(prove.EXPECTED_OPEN, "Voting", ("goal",))
    [theorem] = prove.prove(["Voting"])
    return theorem.results[0].status


def test_open_obligation_that_is_false_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_obligation(z3.Int("x") > 1, monkeypatch) == obligations.REFUTED


def test_entry_that_is_no_obligation_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prove.EXPECTED_OPEN, "Init => Inv", ("moved (Voting.tla:1)",))
    [theorem] = prove.prove(prove.selected(["Init"]))
    assert theorem.status == "fail" and "moved (Voting.tla:1)" in theorem.problem


PLACES = [each for names in prove.EXPECTED_OPEN.values() for each in names if ".tla" in each]


@pytest.mark.parametrize("place", [*PLACES, obligations.BACKED, obligations.TYPES])
def test_line_of_an_obligation_is_in_its_definition(place: str) -> None:
    name, file, line = re.findall(r"(\w+) +\((\w+\.tla):(\d+)\)$", place)[0]
    lines = (ROOT / "spec" / file).read_text("utf-8").splitlines()[: int(line)]
    defined = [found[1] for each in lines if (found := re.match(r"(\w+)(\(.*?\))? ==", each))]
    assert defined[-1] == name


def test_verb_proves_voting() -> None:
    done = CliRunner().invoke(main, ["prove", "Voting"])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "PASS: 19 of 19 obligations proved"


def test_unknown_theorem_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["prove", "Nothing"])
    assert done.exit_code == 2 and "no theorem is called 'Nothing'" in done.output


def test_only_this_verb_imports_z3() -> None:
    script = "import sys, conformance.__main__; sys.exit('z3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
