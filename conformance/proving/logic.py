"""Formulas and terms: z3's, or Python's own where all that they are made of is known.

A truth value is a `bool` or a z3 term, a number an `int` or a z3 term, a name of a node, slot or
value a `str`, an `int` or a z3 term.  The same translation so makes a theorem of a definition, and
evaluates it in a state that TLC printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import z3

Term = Any

_numbers = count()


def fresh(sort: Any, hint: str) -> Term:
    """A constant that occurs nowhere else."""
    return z3.Const(f"{hint}!{next(_numbers)}", sort)


def fresh_function(hint: str, *sorts: Any) -> Any:
    """A function, or a relation, that occurs nowhere else."""
    return z3.Function(f"{hint}!{next(_numbers)}", *sorts)


def restart_numbers() -> None:
    """Number fresh constants from 0, so that the same obligation is the same text."""
    global _numbers
    _numbers = count()


def known(value: Term) -> bool:
    """Whether a value is one of Python, and no term."""
    return not isinstance(value, z3.AstRef)


def conj(*items: Term) -> Term:
    """All of them."""
    if any(item is False for item in items):
        return False
    rest = [item for item in items if item is not True]
    return True if not rest else rest[0] if len(rest) == 1 else z3.And(*rest)


def disj(*items: Term) -> Term:
    """One of them."""
    if any(item is True for item in items):
        return True
    rest = [item for item in items if item is not False]
    return False if not rest else rest[0] if len(rest) == 1 else z3.Or(*rest)


def neg(item: Term) -> Term:
    """Not that."""
    return not item if isinstance(item, bool) else z3.Not(item)


def implies(first: Term, second: Callable[[], Term]) -> Term:
    """The first implies the second, which is not looked at where the first is known to be false."""
    return True if first is False else disj(neg(first), second())


def choice(test: Term, first: Term, second: Term) -> Term:
    """An if-then-else of two truth values, numbers or names."""
    if isinstance(test, bool):
        return first if test else second
    if known(first) and known(second) and first == second:
        return first
    return z3.If(test, first, second)


def same(first: Term, second: Term) -> Term:
    """Equality of two truth values, numbers or names."""
    if known(first) and known(second):
        return bool(first == second)
    if first is second:
        return True
    if known(first) != known(second):
        first, second = _named(first, second), _named(second, first)
    if not known(first) and not known(second) and first.eq(second):
        return True
    return first == second


def _named(value: Term, beside: Term) -> Term:
    """A value of Python as one of the sort of a term: a name, where the sort has no numbers."""
    if not known(value) or beside.sort().kind() != z3.Z3_UNINTERPRETED_SORT:
        return value
    return z3.Const(f"'{value}'", beside.sort())


def forall(constants: Iterable[Term], body: Term, triggers: Sequence[Term] = ()) -> Term:
    """For all values of these constants.

    z3 looks at those of which it has all of the terms in `triggers`.
    """
    found = list(constants)
    if isinstance(body, bool) or not found:
        return body
    return z3.ForAll(found, body, patterns=[z3.MultiPattern(*triggers)] if triggers else [])


def exists(constants: Iterable[Term], body: Term) -> Term:
    """For some value of each of these constants."""
    found = list(constants)
    return body if isinstance(body, bool) or not found else z3.Exists(found, body)


def lift(value: Term) -> Term:
    """A truth value or number of Python as a term."""
    if isinstance(value, bool):
        return z3.BoolVal(value)
    return z3.IntVal(value) if isinstance(value, int) else value


class Abbreviations:
    """Predicates that stand for formulas, each with its definition.

    Formulas that differ in nothing but constants have one predicate, of these constants.  So where
    something is said twice z3 sees that it is the same, and need not look into it.
    """

    def __init__(self) -> None:
        # By the name of each predicate: its definition, and the formula, of bound variables.
        self.definitions: dict[str, Term] = {}
        self.formulas: dict[str, Term] = {}
        # Predicates by the structure of their formulas.
        self._predicates: dict[int, Any] = {}
        self._structures: dict[tuple[Any, ...], int] = {}
        self._mentioned: dict[int, tuple[Term, set[str]]] = {}

    def name(
        self, hint: str, formula: Term, define: Callable[[Term, Sequence[Term]], Iterable[Term]]
    ) -> Term:
        """Return an atom that stands for a formula.

        `define` returns what holds of the atom, for all values of the constants in it.
        """
        parameters: list[Term] = []
        structure = self._structure(formula, parameters)
        if structure not in self._predicates:
            name = f"{hint}!{len(self._predicates)}"
            sorts = [each.sort() for each in parameters]
            predicate = z3.Function(name, *sorts, z3.BoolSort())
            self._predicates[structure] = predicate
            self.formulas[name] = forall(parameters, formula).body() if parameters else formula
            self.definitions[name] = conj(*define(predicate(*parameters), parameters))
        return self._predicates[structure](*parameters)

    def _structure(self, term: Term, parameters: list[Term]) -> int:
        """Return a number that is the same for terms that differ in constants alone."""
        key: tuple[Any, ...]
        if z3.is_var(term):
            key = ("bound", z3.get_var_index(term))
        elif z3.is_quantifier(term):
            sorts = [term.var_sort(index).name() for index in range(term.num_vars())]
            key = (term.is_forall(), *sorts, self._structure(term.body(), parameters))
        elif z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            places = [index for index, each in enumerate(parameters) if each.eq(term)]
            if not places:
                parameters.append(term)
            key = ("given", term.sort().name(), (places or [len(parameters) - 1])[0])
        elif not term.children():
            key = ("value", str(term))
        else:
            inner = [self._structure(each, parameters) for each in term.children()]
            key = (term.decl().name(), *inner)
        return self._structures.setdefault(key, len(self._structures))

    def used_by(self, terms: Iterable[Term]) -> Iterator[tuple[str, Term]]:
        """Yield the names and definitions of the predicates in terms and in these definitions."""
        waiting = list(terms)
        found: set[str] = set()
        while waiting:
            for name in self._in(waiting.pop()) - found:
                found.add(name)
                waiting.append(self.definitions[name])
        yield from ((name, term) for name, term in self.definitions.items() if name in found)

    def _in(self, term: Term) -> set[str]:
        if known(term):
            return set()
        number = term.get_id()
        if number not in self._mentioned:
            names = set(_NAMES.findall(term.sexpr())) & set(self.definitions)
            self._mentioned[number] = (term, names)
        return self._mentioned[number][1]


_NAMES = re.compile(r"[A-Za-z]\w*!\d+")
