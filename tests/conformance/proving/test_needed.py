"""Which hypotheses the proofs need: one that is needed is found, and one that is not."""

from pathlib import Path

import pytest
import z3
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.cache import Cache
from conformance.proving import needed, prove, voting
from conformance.proving.logic import Term
from conformance.proving.needed import Found, Search
from conformance.proving.obligations import Hypothesis, Obligation

X, Y = z3.Ints("x y")


def obligation(name: str, goal: Term, **hypotheses: Term) -> Obligation:
    return Obligation("T", name, [Hypothesis(*each) for each in hypotheses.items()], goal)


def found(*made: Obligation) -> Found:
    search = Search(list(made))
    for _ in search.steps():
        pass
    return search.found("T")


def test_hypothesis_that_is_needed_is_found_and_the_other_not() -> None:
    first = obligation("first", X > 0, a=X > 1, b=Y > 1)
    assert found(first) == Found("T", {"a": "first"}, ["b"])
    second = obligation("second", Y > 0, a=X > 1, b=Y > 1)
    assert found(first, second) == Found("T", {"a": "first", "b": "second"})


def test_each_is_left_out_while_all_others_are_there() -> None:
    assert found(obligation("either", X > 0, a=X > 1, b=X > 2)) == Found("T", {}, ["a", "b"])


def test_all_that_use_a_hypothesis_are_tried_without_it() -> None:
    made = [obligation(f"goal {n}", n < X, a=X > 20, b=X > 10) for n in (1, 2, 3, 11, 4)]
    assert found(*made) == Found("T", {"a": "goal 11"}, ["b"])


def test_proof_names_what_it_uses() -> None:
    made = obligation("goal", X > 0, a=X > Y, b=Y > 1, c=Y > -5)
    assert needed.proof(made) == ["a", "b"]
    assert needed.proof(made, "b") is None


def test_hypotheses_of_one_name_are_left_out_together() -> None:
    hypotheses = [
        Hypothesis("before: A (M.tla:1)", X > 0),
        Hypothesis("A (M.tla:1)", X > 1),
        Hypothesis("M.tla:2 THEN", Y > 0),
    ]
    made = Obligation("T", "goal", hypotheses, z3.And(X > 0, Y > 0))
    assert found(made) == Found("T", {"A (M.tla:1)": "goal"})


def test_what_counts_in_a_name() -> None:
    assert needed.plain("IsQuorum!3, by its definition") == "IsQuorum, by its definition"
    assert needed.plain("after the fold of serve: Alone") == "Alone"
    assert needed.plain("after: TypeOK") == "after: TypeOK"


def test_nothing_is_said_of_a_theorem_that_is_not_proved() -> None:
    fails = obligation("fails", X > 0, a=X > -1)
    assert found(fails) == Found("T", unproved=["fails"])


def test_planted_hypothesis_of_voting_is_not_needed_and_all_others_are() -> None:
    made = list(voting.obligations())
    planted = z3.Function("planted", voting.ACCEPTOR, z3.BoolSort())
    a, b = z3.Consts("a b", voting.ACCEPTOR)
    fact = z3.ForAll([a, b], z3.Implies(planted(a), planted(b)))
    for each in made:
        each.hypotheses.append(Hypothesis("planted", fact))
    result = found(*made)
    assert result.spare == ["planted"]
    assert {"two quorums share an acceptor", "VotesSafe", "TypeOK"} <= {*result.needed}


def test_search_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [obligation("first", X > 0, a=X > 1), obligation("second", Y > 0, b=Y > 1)]
    monkeypatch.setattr(prove, "theorems", lambda: [("T", lambda: made)])
    interrupted = Search(made)
    steps = interrupted.steps()
    next(steps), next(steps), next(steps)
    rest = Search(made, interrupted.known())
    assert len(list(rest.steps())) == 1
    assert rest.found("T") == found(*made)

    (first,) = needed.needed(["T"], Cache(tmp_path))
    monkeypatch.setattr(needed, "proof", None)
    (again,) = needed.needed(["T"], Cache(tmp_path))
    assert first == again == Found("T", {"a": "first", "b": "second"})


def test_hypothesis_that_no_theorem_needs_fails_only_if_all_were_looked_at() -> None:
    some = [Found("T", {"a": "first"}, ["b"]), Found("U", {}, ["a", "b"])]
    a, b = needed.by_hypothesis(some)
    assert (a.name, a.needing, b.name, b.needing) == ("a", ["T: first"], "b", [])
    assert a.case(all_theorems=True).status == "pass"
    assert b.case(all_theorems=True).status == "fail"
    assert b.case(all_theorems=False).status == "pass"
    assert needed.summary([a, b]) == "1 of 2 hypotheses are needed"


def test_hypothesis_that_no_proof_uses_is_left_out_of_all_searches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [obligation("first", X > 0, a=X > 1, c=Y > 0), obligation("second", Y > 0, b=Y > 1)]
    monkeypatch.setattr(prove, "theorems", lambda: [("T", lambda: made)])
    every = [needed.Hypothesis(name) for name in "abc"]
    every[1].needing.append("known before")
    needed.search_without(every, ["T"])
    assert [each.needing for each in every] == [["T: first"], ["known before"], []]


def test_verb_says_what_voting_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["prove", "--needed", "Voting"])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "PASS: 6 of 6 hypotheses are needed"
