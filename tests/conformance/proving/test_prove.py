"""The proofs: what holds is proved, what does not is not, and no proof is vacuous."""

import z3

from conformance.proving import multipaxos, obligations, prove, voting
from conformance.proving.obligations import Hypothesis, Obligation


def test_voting_is_proved() -> None:
    results = [obligations.prove(each) for each in voting.obligations()]
    assert len(results) == 19
    assert [each.obligation.name for each in results if not each.proved] == []


def test_every_mutant_of_voting_is_refused() -> None:
    found = list(prove.mutants())
    assert len(found) == 12
    assert [each.name for each in found if not each.passed] == []


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
    assert found.model is not None and found.model[x].as_long() == 1


def test_crash_that_loses_the_promise_is_not_proved() -> None:
    root = voting.SPEC / "models" / "BrokenInvariant.tla"
    made = multipaxos.own("Crash", None, root, {"Durable": "LosesPromise"})
    assert not all(obligations.prove(each, obligations.ATTEMPTS[:4]).proved for each in made)


def test_crash_is_proved() -> None:
    made = multipaxos.own("Crash", None)
    assert made
    assert all(obligations.prove(each).proved for each in made)
