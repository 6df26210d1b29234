"""The proofs: what holds is proved, what does not is not, and no proof is vacuous."""

import re
import subprocess
import sys
from collections import Counter

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


def test_fold_before_a_branch_is_proved_once() -> None:
    made = actions.own("ReceiveLearned", actions.MESSAGES["learned"])
    count = Counter(each.name for each in made)
    assert count["step of Voting: V!Act (Voting.tla:90)"] == 3, "asks on, or keeps a version or not"
    assert count["fold of decide begins: promises stays"] == 1


# The verdict.


def theorem_of(*statuses: str) -> prove.Theorem:
    made = [Obligation("T", f"goal {number}", [], True) for number in range(len(statuses))]
    results = [Result(each, status, 0, 0) for each, status in zip(made, statuses, strict=True)]
    return prove.Theorem("T", results)


@pytest.mark.parametrize(
    "statuses, passes",
    [
        (["proved", "proved"], True),
        (["proved", "unknown"], False),
        (["proved", "refuted"], False),
        ([], False),
    ],
)
def test_theorem_passes_if_all_is_proved(statuses: list[str], passes: bool) -> None:
    theorem = theorem_of(*statuses)
    cases = list(theorem.cases())
    assert theorem.passed == passes == (not theorem.reason)
    assert cases[0].status == ("pass" if passes else "fail")
    assert len(cases) == 1 + sum(status != "proved" for status in statuses)


def test_obligations_are_counted() -> None:
    found = [theorem_of("proved", "unknown"), theorem_of("proved")]
    assert prove.summary(found) == "2 of 3 obligations proved"


@pytest.mark.parametrize("place", [obligations.BACKED, obligations.TYPES])
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
