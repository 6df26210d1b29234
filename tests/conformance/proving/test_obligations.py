"""Formulas under names, and which hypotheses a search uses."""

from collections.abc import Iterator, Sequence

import z3

from conformance.proving.logic import Abbreviations, Term
from conformance.proving.obligations import Attempt, Hypothesis, Obligation, nearest, stated

X, Y = z3.Ints("x y")


def define(atom: Term, constants: Sequence[Term]) -> Iterator[Term]:
    yield atom == (constants[0] > 0)


def test_formulas_that_differ_in_constants_have_one_predicate() -> None:
    abbreviations = Abbreviations()
    first, second = (abbreviations.name("P", each > 0, define) for each in (X, Y))
    assert first.decl().eq(second.decl()) and not first.eq(second)
    assert not abbreviations.name("P", X > 1, define).decl().eq(first.decl())
    assert not abbreviations.name("P", X > Y, define).decl().eq(first.decl())


def test_same_constant_twice_is_another_formula() -> None:
    abbreviations = Abbreviations()
    atom = abbreviations.name("P", X > Y, define)
    assert not abbreviations.name("P", X > X, define).decl().eq(atom.decl())


def test_bound_variables_have_no_part_in_a_name() -> None:
    abbreviations = Abbreviations()
    first = abbreviations.name("P", z3.ForAll([X], X > 0), lambda atom, constants: [atom])
    second = abbreviations.name("P", z3.ForAll([Y], Y > 0), lambda atom, constants: [atom])
    assert first.eq(second)


def test_obligation_has_the_definitions_that_it_mentions() -> None:
    abbreviations = Abbreviations()
    atom, other = (abbreviations.name("P", each, define) for each in (X > 0, X > 1))
    made = stated("T", "goal", [], z3.Implies(X > 2, atom), abbreviations)
    assert [each.name for each in made.hypotheses] == [f"{atom.decl()}, by its definition"]
    assert stated("T", "goal", [], X > 2, abbreviations).hypotheses == []
    both = stated("T", "goal", [Hypothesis("other", other)], atom, abbreviations)
    assert len(both.hypotheses) == 3


def test_nearest_hypotheses_share_a_rare_symbol_with_the_goal() -> None:
    f, g = (z3.Function(name, z3.IntSort(), z3.BoolSort()) for name in "fg")
    rare = Hypothesis("rare", z3.ForAll([X], z3.Implies(f(X), g(X))))
    common = [Hypothesis(f"common {n}", z3.Implies(g(n), z3.Bool(f"p{n}"))) for n in range(4)]
    found = nearest([rare, *common], f(Y), 1)
    assert [each.name for each in found] == ["rare"]
    assert nearest([rare, *common], g(Y), 1) == []
    assert len(nearest([rare, *common], g(Y), 5)) == 5


def test_attempt_leaves_out_hypotheses_by_name_but_not_the_goals_own() -> None:
    named = [Hypothesis("before: A (M.tla:1)", X > 0), Hypothesis("B (M.tla:2)", X > 1)]
    attempt = Attempt(1, without=("A (M.tla:1)", "B (M.tla:2)"))
    chosen = attempt.chosen(Obligation("T", "A (M.tla:1)", named, X > 0))
    assert [each.name for each in chosen] == ["before: A (M.tla:1)"]
