"""Terms evaluated: quantifiers, symbols of every shape, and an error for what is not known."""

import pytest
import z3

from conformance.proving.meaning import Compiler, Meanings
from conformance.proving.values import FunctionShape, Plain, RecordShape, SetShape, symbol

NUMBER = Plain(z3.IntSort(), "i")
X, Y = z3.Ints("x y")


def evaluated(term: z3.ExprRef, meanings: Meanings) -> object:
    return Compiler().compile(term)(meanings, ())


def meanings() -> Meanings:
    return Meanings({"Int": range(5), "Bool": (False, True)})


@pytest.mark.parametrize(
    "term, expected",
    [
        (z3.ForAll([X], X < 5), True),
        (z3.ForAll([X, Y], X <= Y), False),
        (z3.Exists([X], z3.ForAll([Y], X >= Y)), True),
        (z3.ForAll([Y], z3.Exists([X], X > Y)), False),
        (z3.If(z3.BoolVal(True), z3.IntVal(2), X) + 1 == 3, True),
        (z3.Implies(z3.BoolVal(False), z3.BoolVal(False)), True),
    ],
)
def test_term_is_evaluated(term: z3.ExprRef, expected: bool) -> None:
    assert evaluated(term, meanings()) is expected


def test_set_and_function_mean_their_values() -> None:
    found = meanings()
    pair = RecordShape({"a": NUMBER, "b": NUMBER})
    found.give("s", SetShape(pair), lambda: frozenset())
    found.give("f", FunctionShape(NUMBER, NUMBER), lambda: {1: 7, 2: 7})
    f = symbol("f", FunctionShape(NUMBER, NUMBER))
    assert evaluated(f.domain.every(lambda key: f.apply(key) == 7), found) is True
    assert evaluated(f.domain.contains(z3.IntVal(3)), found) is False
    assert evaluated(symbol("s", SetShape(pair)).some(lambda item: True), found) is False


def test_guard_reaches_values_beyond_the_range() -> None:
    found = meanings()
    found.give("s", SetShape(NUMBER), lambda: frozenset({9}))
    s = symbol("s", SetShape(NUMBER))
    assert evaluated(s.some(lambda item: item == 9), found) is True
    assert evaluated(s.every(lambda item: z3.Not(item == 9)), found) is False


def test_unknown_term_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not know"):
        evaluated(z3.BitVec("b", 8) ^ 1 == 0, meanings())
