"""What the proofs take for granted, and what of the language is given here and not by a definition.

Quorums are a sort of their own: it holds every quorum that there is, so a set is a quorum if it has
one as a subset.  Two axioms: two quorums share a member, and (in that sentence) a set that has a
quorum in it is one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import z3

from .evaluate import Native, Translation
from .logic import Term, conj, exists, forall, fresh, fresh_function, known, lift
from .values import (
    AnySet,
    Image,
    Listed,
    Plain,
    Record,
    SequenceValue,
    SetValue,
    Test,
    Union,
    Untranslatable,
    Value,
    constants,
    either,
    equal,
    sequence,
)


class Quorums:
    """The quorums among the members of a sort, as a sort."""

    def __init__(self, members: Any) -> None:
        self.members = members
        self.sort = z3.DeclareSort("Quorum")
        # True of every quorum; it is what z3 finds the instances of a statement about quorums by.
        self.named = z3.Function("quorum", self.sort, z3.BoolSort())
        self.has = z3.Function("has", self.sort, members, z3.BoolSort())

    def meet(self) -> Term:
        """The axiom: any two share a member."""
        first, second = z3.Consts("q1 q2", self.sort)
        member = z3.Const("a", self.members)
        shared = z3.And(self.has(first, member), self.has(second, member))
        both = z3.And(self.named(first), self.named(second))
        return z3.ForAll([first, second], z3.Implies(both, z3.Exists([member], shared)))

    def set_of(self, quorum: Term) -> AQuorum:
        """The members of a quorum."""
        return AQuorum(Plain(self.members, "a"), lambda item: self.has(quorum, item))

    def is_quorum(self, translation: Translation, values: list[Any]) -> Term:
        """IsQuorum(S): a predicate, of which `_definition` says what it means."""
        found = values[0]
        if isinstance(found, AQuorum):
            return True
        quorum = fresh(self.sort, "q")
        within = exists([quorum], conj(self.named(quorum), self.set_of(quorum).subset(found)))
        return translation.abbreviations.name(
            "IsQuorum", within, functools.partial(self._definition, found)
        )

    def _definition(self, found: SetValue, atom: Term, given: Sequence[Term]) -> Iterator[Term]:
        """That a quorum is in a set just if `atom` holds; `given` are the constants in both."""
        quorum, member = fresh(self.sort, "q"), fresh(self.members, "a")
        sorts = [each.sort() for each in given]
        inside = fresh_function("inside", *sorts, self.sort)(*given)
        outsider = fresh_function("outsider", *sorts, self.sort, self.members)(*given, quorum)
        yield forall(given, z3.Implies(atom, self.named(inside)), [atom])
        has = self.has(inside, member)
        contained = z3.Implies(z3.And(atom, has), lift(found.contains(member)))
        yield forall([*given, member], contained, [atom, has])
        lacks = z3.And(self.has(quorum, outsider), z3.Not(lift(found.contains(outsider))))
        named = self.named(quorum)
        yield forall([*given, quorum], z3.Implies(named, z3.Or(atom, lacks)), [atom, named])

    def within(self, found: SetValue) -> SetValue:
        """The quorums that are subsets of a set."""
        return _Within(self, found)

    def all_of(self, translation: Translation, found: SetValue) -> Term:
        """That this set, if it is a quorum, is among the quorums: an instance of the axiom."""
        quorum = fresh(self.sort, "q")
        exact = exists([quorum], conj(self.named(quorum), equal(self.set_of(quorum), found)))
        return z3.Implies(self.is_quorum(translation, [found]), exact)


class AQuorum(AnySet):
    """A set that is a quorum."""


class _Within(SetValue):
    def __init__(self, quorums: Quorums, found: SetValue) -> None:
        self.quorums, self.found = quorums, found

    def some(self, test: Test) -> Term:
        quorum = fresh(self.quorums.sort, "Q")
        members = self.quorums.set_of(quorum)
        inside = members.subset(self.found)
        return exists([quorum], conj(self.quorums.named(quorum), inside, test(members)))


# Operators of the standard modules, and those of the specification that are recursive.


def cardinality(translation: Translation, values: list[Any]) -> Value:
    """Cardinality(S), of a set whose members are known."""
    return len(values[0].listed())


def length(translation: Translation, values: list[Any]) -> Value:
    """Len(s)"""
    return _ordered(values[0]).length


def append(translation: Translation, values: list[Any]) -> Value:
    """Append(s, e)"""
    base, item = _ordered(values[0]), values[1]
    if known(base.length):
        return sequence([*[base.apply(index) for index in range(1, base.length + 1)], item])
    last = base.length + 1
    return SequenceValue(
        last,
        lambda index: either(equal(index, last), item, base.apply(index)),
        Union(base.span, Listed([item])),
    )


def line_facts(line: SequenceValue, shape: Any) -> Term:
    """What makes an unknown sequence of items of a shape one: each item has a place, and back."""
    item, terms = constants(shape)
    index = fresh(z3.IntSort(), "i")
    inside, here = line.domain.contains(index), line.apply(index)
    contained = line.span.contains(item)
    placed = exists([index], conj(inside, equal(here, item)))
    return conj(
        line.length >= 0,
        forall([index], z3.Implies(inside, line.span.contains(here))),
        forall(terms, z3.Implies(contained, placed), [contained]),
    )


def head(translation: Translation, values: list[Any]) -> Value:
    """Head(s)"""
    return _ordered(values[0]).apply(1)


def tail(translation: Translation, values: list[Any]) -> Value:
    """Tail(s)"""
    base = _ordered(values[0])
    if known(base.length):
        return sequence([base.apply(index) for index in range(2, base.length + 1)])
    return SequenceValue(base.length - 1, lambda index: base.apply(index + 1))


def items(translation: Translation, values: list[Any]) -> Value:
    """Range(f), the set of what a function is anywhere."""
    if isinstance(values[0], SequenceValue):
        return values[0].span
    return Image(values[0].domain, values[0].apply)


def _ordered(value: Value) -> SequenceValue:
    if not isinstance(value, SequenceValue):
        raise Untranslatable(f"{value} is not a sequence")
    return value


STANDARD_NATIVES: dict[str, Native] = {
    "Cardinality": cardinality,
    "Len": length,
    "Append": append,
    "Head": head,
    "Tail": tail,
    "Range": items,
}

__all__ = ["STANDARD_NATIVES", "Listed", "Quorums", "Record"]
