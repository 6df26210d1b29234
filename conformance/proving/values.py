"""Values of TLA+ as the translation holds them: sets by what is in them, functions by application.

A set is never listed unless all is known of it: it knows when something is a member, and how to
quantify over its members.  So the translation of a set comprehension is its defining formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from .logic import (
    Term,
    choice,
    conj,
    disj,
    exists,
    forall,
    fresh,
    implies,
    known,
    lift,
    neg,
    same,
)

Value = Any
Test = Callable[[Value], Term]


class Untranslatable(Exception):
    """A value or expression that the translation has no terms for."""


# Shapes: of what kind the values of a variable are.


@dataclass(frozen=True)
class Plain:
    """Values of one sort of z3: truth values, numbers, or names."""

    sort: Any
    hint: str = "x"


@dataclass(frozen=True)
class Fixed:
    """The one value given."""

    value: Any


@dataclass(frozen=True)
class RecordShape:
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class SetShape:
    items: Any


@dataclass(frozen=True)
class FunctionShape:
    """Functions from `keys` to `items`; total on `domain`, or partial where that is None."""

    keys: Any
    items: Any
    domain: SetValue | None = None


@dataclass(frozen=True)
class SequenceShape:
    items: Any


def symbol(name: str, shape: Any, depends: Sequence[Term] = ()) -> Value:
    """An unknown value of a shape; a function of the terms that it depends on.

    Called twice with the same name and sorts it is the same function.
    """

    def declared(sort: Any) -> Term:
        if not depends:
            return z3.Const(name, sort)
        return z3.Function(name, *[each.sort() for each in depends], sort)(*depends)

    if isinstance(shape, Fixed):
        return shape.value
    if isinstance(shape, Plain):
        return declared(shape.sort)
    if isinstance(shape, RecordShape):
        return Record(
            {key: symbol(f"{name}.{key}", item, depends) for key, item in shape.fields.items()}
        )
    if isinstance(shape, SetShape):

        def contains(item: Value) -> Term:
            if not fits(item, shape.items):
                return False
            terms = [*depends, *flat(item, shape.items)]
            return z3.Function(name, *[each.sort() for each in terms], z3.BoolSort())(*terms)

        return AnySet(shape.items, contains)
    if isinstance(shape, FunctionShape):
        domain = shape.domain or symbol(f"{name}.domain", SetShape(shape.keys), depends)

        def apply(key: Value) -> Value:
            return symbol(f"{name}.at", shape.items, [*depends, *flat(key, shape.keys)])

        return Function(domain, apply)
    if isinstance(shape, SequenceShape):
        # Of what is in it there is a relation, so that few statements need its places.
        return SequenceValue(
            declared(z3.IntSort()),
            lambda index: symbol(f"{name}.at", shape.items, [*depends, lift(index)]),
            symbol(f"{name}.items", SetShape(shape.items), depends),
        )
    raise Untranslatable(f"no symbol of shape {shape}")


def flat(value: Value, shape: Any) -> list[Term]:
    """The terms that a value of a plain or record shape is made of."""
    if isinstance(shape, Fixed):
        return []
    if isinstance(shape, Plain):
        return [lift(value)]
    if isinstance(shape, RecordShape) and isinstance(value, Record):
        if set(value.fields) != set(shape.fields):
            raise Untranslatable(f"fields {sorted(value.fields)}, not {sorted(shape.fields)}")
        return [term for key in shape.fields for term in flat(value.fields[key], shape.fields[key])]
    raise Untranslatable(f"{value} cannot be an argument of shape {shape}")


def fits(value: Value, shape: Any) -> bool:
    """Whether a value can be one of a shape."""
    if isinstance(shape, Fixed):
        return same(value, shape.value) is True
    if isinstance(shape, RecordShape):
        return (
            isinstance(value, Record)
            and set(value.fields) == set(shape.fields)
            and all(fits(value.fields[key], item) for key, item in shape.fields.items())
        )
    return True


def constants(shape: Any) -> tuple[Value, list[Term]]:
    """A new value of a plain or record shape, and the constants that it is made of."""
    if isinstance(shape, Fixed):
        return shape.value, []
    if isinstance(shape, Plain):
        found = fresh(shape.sort, shape.hint)
        return found, [found]
    if isinstance(shape, RecordShape):
        fields, terms = {}, []
        for key, item in shape.fields.items():
            fields[key], more = constants(item)
            terms += more
        return Record(fields), terms
    raise Untranslatable(f"cannot quantify over values of shape {shape}")


# Values.


class Record:
    """A record: its fields by name."""

    def __init__(self, fields: Mapping[str, Value]) -> None:
        self.fields = dict(fields)

    def __repr__(self) -> str:
        return f"[{', '.join(f'{key} |-> {item}' for key, item in self.fields.items())}]"


class SetValue:
    """A set: whether it contains something, and whether all or some of its members pass a test."""

    def contains(self, item: Value) -> Term:
        raise NotImplementedError

    def every(self, test: Test) -> Term:
        raise NotImplementedError

    def some(self, test: Test) -> Term:
        return neg(self.every(lambda item: neg(test(item))))

    def listed(self) -> list[Value]:
        """The members, each once; only where all is known."""
        raise Untranslatable(f"{type(self).__name__} cannot be listed")

    def subset(self, other: SetValue) -> Term:
        return self.every(other.contains)


class AnySet(SetValue):
    """The values of a shape that pass a test."""

    def __init__(self, shape: Any, contains: Test) -> None:
        self.shape = shape
        self._contains = contains

    def contains(self, item: Value) -> Term:
        return self._contains(item)

    def every(self, test: Test) -> Term:
        item, terms = constants(self.shape)
        return forall(terms, implies(self._contains(item), lambda: test(item)))

    def some(self, test: Test) -> Term:
        item, terms = constants(self.shape)
        inside = self._contains(item)
        return exists(terms, False if inside is False else conj(inside, test(item)))


class Listed(SetValue):
    """Finitely many values, given one by one."""

    def __init__(self, items: Sequence[Value]) -> None:
        self.items = list(items)

    def contains(self, item: Value) -> Term:
        for each in self.items:
            if equal(item, each) is True:
                return True
        return disj(*[equal(item, each) for each in self.items])

    def every(self, test: Test) -> Term:
        found = []
        for item in self.items:
            found.append(test(item))
            if found[-1] is False:
                return False
        return conj(*found)

    def listed(self) -> list[Value]:
        found: list[Value] = []
        for item in self.items:
            matches = [equal(item, other) for other in found]
            if not all(isinstance(match, bool) for match in matches):
                raise Untranslatable("a set whose members are not known cannot be listed")
            if not any(matches):
                found.append(item)
        return found


class Filtered(SetValue):
    """{x \\in S : P}"""

    def __init__(self, base: SetValue, test: Test) -> None:
        self.base, self.test = base, test

    def contains(self, item: Value) -> Term:
        inside = self.base.contains(item)
        return False if inside is False else conj(inside, self.test(item))

    def every(self, test: Test) -> Term:
        return self.base.every(lambda item: implies(self.test(item), lambda: test(item)))

    def some(self, test: Test) -> Term:
        def both(item: Value) -> Term:
            first = self.test(item)
            return False if first is False else conj(first, test(item))

        return self.base.some(both)

    def listed(self) -> list[Value]:
        return [item for item in self.base.listed() if definite(self.test(item))]


class Image(SetValue):
    """{e : x \\in S}"""

    def __init__(self, base: SetValue, expression: Callable[[Value], Value]) -> None:
        self.base, self.expression = base, expression

    def contains(self, item: Value) -> Term:
        return self.base.some(lambda each: equal(item, self.expression(each)))

    def every(self, test: Test) -> Term:
        return self.base.every(lambda each: test(self.expression(each)))

    def some(self, test: Test) -> Term:
        return self.base.some(lambda each: test(self.expression(each)))

    def listed(self) -> list[Value]:
        return Listed([self.expression(item) for item in self.base.listed()]).listed()


class Pairs(SetValue):
    """The pairs of members of several sets, as lists; for {e : x \\in S, y \\in T}."""

    def __init__(self, sets: Sequence[SetValue]) -> None:
        self.sets = sets

    def every(self, test: Test) -> Term:
        def over(index: int, chosen: list[Value]) -> Term:
            if index == len(self.sets):
                return test(chosen)
            return self.sets[index].every(lambda item: over(index + 1, [*chosen, item]))

        return over(0, [])

    def some(self, test: Test) -> Term:
        def over(index: int, chosen: list[Value]) -> Term:
            if index == len(self.sets):
                return test(chosen)
            return self.sets[index].some(lambda item: over(index + 1, [*chosen, item]))

        return over(0, [])

    def listed(self) -> list[Value]:
        found: list[list[Value]] = [[]]
        for each in self.sets:
            found = [[*chosen, item] for chosen in found for item in each.listed()]
        return found


class Union(SetValue):
    """S \\cup T"""

    def __init__(self, first: SetValue, second: SetValue) -> None:
        self.first, self.second = first, second

    def contains(self, item: Value) -> Term:
        return disj(self.first.contains(item), self.second.contains(item))

    def every(self, test: Test) -> Term:
        return conj(self.first.every(test), self.second.every(test))

    def some(self, test: Test) -> Term:
        return disj(self.first.some(test), self.second.some(test))

    def listed(self) -> list[Value]:
        return Listed([*self.first.listed(), *self.second.listed()]).listed()


class Either(SetValue):
    """IF test THEN S ELSE T"""

    def __init__(self, test: Term, first: SetValue, second: SetValue) -> None:
        self.test, self.first, self.second = test, first, second

    def contains(self, item: Value) -> Term:
        first, second = self.first.contains(item), self.second.contains(item)
        return conj(implies(self.test, lambda: first), implies(neg(self.test), lambda: second))

    def every(self, test: Test) -> Term:
        return conj(
            implies(self.test, lambda: self.first.every(test)),
            implies(neg(self.test), lambda: self.second.every(test)),
        )

    def some(self, test: Test) -> Term:
        return disj(
            conj(self.test, self.first.some(test)),
            conj(neg(self.test), self.second.some(test)),
        )


class Interval(SetValue):
    """low..high, or the numbers from `low` on."""

    def __init__(self, low: Term, high: Term | None) -> None:
        self.low, self.high = low, high

    def contains(self, item: Value) -> Term:
        if self.high is not None and known(self.low) and known(self.high) and self.low > self.high:
            return False
        above = item >= self.low
        return above if self.high is None else conj(above, item <= self.high)

    def every(self, test: Test) -> Term:
        if self.high is not None and known(self.low) and known(self.high):
            return Listed(self.listed()).every(test)
        return AnySet(Plain(z3.IntSort(), "i"), self.contains).every(test)

    def some(self, test: Test) -> Term:
        if self.high is not None and known(self.low) and known(self.high):
            return Listed(self.listed()).some(test)
        return AnySet(Plain(z3.IntSort(), "i"), self.contains).some(test)

    def listed(self) -> list[Value]:
        if self.high is None or not known(self.low) or not known(self.high):
            raise Untranslatable("an interval whose ends are not known cannot be listed")
        return list(range(self.low, self.high + 1))


class Records(SetValue):
    """[field : S, ...]"""

    def __init__(self, fields: Mapping[str, SetValue]) -> None:
        self.fields = fields

    def contains(self, item: Value) -> Term:
        if not isinstance(item, Record) or set(item.fields) != set(self.fields):
            return False
        return conj(*[each.contains(item.fields[key]) for key, each in self.fields.items()])

    def _pairs(self) -> Image:
        return Image(
            Pairs(list(self.fields.values())),
            lambda items: Record(dict(zip(self.fields, items, strict=True))),
        )

    def every(self, test: Test) -> Term:
        return self._pairs().every(test)

    def some(self, test: Test) -> Term:
        return self._pairs().some(test)

    def listed(self) -> list[Value]:
        return self._pairs().listed()


class Subsets(SetValue):
    """SUBSET S"""

    def __init__(self, base: SetValue) -> None:
        self.base = base

    def contains(self, item: Value) -> Term:
        return item.subset(self.base)

    def every(self, test: Test) -> Term:
        return Listed(self.listed()).every(test)

    def some(self, test: Test) -> Term:
        return Listed(self.listed()).some(test)

    def listed(self) -> list[Value]:
        items = self.base.listed()
        return [
            Listed([item for index, item in enumerate(items) if mask >> index & 1])
            for mask in range(1 << len(items))
        ]


class Functions(SetValue):
    """[S -> T]"""

    def __init__(self, domain: SetValue, items: SetValue) -> None:
        self.domain, self.items = domain, items

    def contains(self, item: Value) -> Term:
        function = as_function(item)
        return conj(
            equal(function.domain, self.domain),
            self.domain.every(lambda key: self.items.contains(function.apply(key))),
        )


class Function:
    """A function: its domain, and what it is at a key (anything, for a key outside)."""

    def __init__(self, domain: SetValue, apply: Callable[[Value], Value]) -> None:
        self.domain, self.apply = domain, apply


class Nowhere:
    """What an empty sequence is at a place: nothing asks for it but with a false condition."""


class SequenceValue(Function):
    """A sequence; of one made of several, only what is in it may be known (`span` then)."""

    def __init__(
        self,
        length: Term,
        apply: Callable[[Value], Value] | None,
        span: SetValue | None = None,
    ) -> None:
        self.length = length
        self.ordered = apply is not None
        self._span = span

        def nowhere(key: Value) -> Value:
            if known(length) and length == 0:
                return Nowhere()
            raise Untranslatable("the order of this sequence is not known")

        super().__init__(Interval(1, length), apply or nowhere)

    @property
    def span(self) -> SetValue:
        """The set of its items."""
        return self._span or Image(self.domain, self.apply)


def sequence(items: Sequence[Value]) -> SequenceValue:
    """A sequence of these items."""

    def apply(key: Value) -> Value:
        if known(key):
            if not 1 <= key <= len(items):
                raise Untranslatable(f"item {key} of a sequence of {len(items)}")
            return items[key - 1]
        found = items[-1]
        for index in range(len(items) - 1, 0, -1):
            found = either(same(key, index), items[index - 1], found)
        return found

    return SequenceValue(len(items), apply if items else None, Listed(items))


def as_function(value: Value) -> Function:
    """A function, also where the value is one under another name."""
    if isinstance(value, Function):
        return value
    raise Untranslatable(f"{value} is not a function")


def definite(value: Term) -> bool:
    """A truth value that has to be known."""
    if isinstance(value, bool):
        return value
    raise Untranslatable(f"the value of {value} has to be known")


def either(test: Term, first: Value, second: Value) -> Value:
    """IF test THEN first ELSE second, of any two values of one kind."""
    if isinstance(test, bool):
        return first if test else second
    if first is second:
        return first
    if isinstance(first, Record) and isinstance(second, Record):
        if set(first.fields) != set(second.fields):
            raise Untranslatable(f"two kinds of record, {first} and {second}")
        return Record(
            {key: either(test, item, second.fields[key]) for key, item in first.fields.items()}
        )
    if isinstance(first, SetValue) and isinstance(second, SetValue):
        return Either(test, first, second)
    if isinstance(first, SequenceValue) and isinstance(second, SequenceValue):
        return _either_sequence(test, first, second)
    if isinstance(first, Function) and isinstance(second, Function):
        one, two = first, second
        return Function(
            Either(test, one.domain, two.domain),
            lambda key: _either_apply(test, one, two, key),
        )
    if isinstance(first, str) and isinstance(second, str) and first != second:
        raise Untranslatable(f"either {first!r} or {second!r}: texts have to be known")
    return choice(test, first, second)


def _either_apply(test: Term, first: Function, second: Function, key: Value) -> Value:
    """Applied; an empty sequence stands for the empty function, which is nothing anywhere."""
    for one, other in ((first, second), (second, first)):
        if isinstance(one, SequenceValue) and one.length is not None and is_empty(one):
            return other.apply(key)
    return either(test, first.apply(key), second.apply(key))


def is_empty(value: Function) -> bool:
    """Whether this is <<>>."""
    return isinstance(value, SequenceValue) and known(value.length) and value.length == 0


def _either_sequence(test: Term, first: SequenceValue, second: SequenceValue) -> SequenceValue:
    span = Either(test, first.span, second.span)
    length = choice(test, first.length, second.length)
    if is_empty(first) and second.ordered:
        return SequenceValue(length, second.apply, span)
    if is_empty(second) and first.ordered:
        return SequenceValue(length, first.apply, span)
    if first.ordered and second.ordered:
        return SequenceValue(
            length, lambda key: either(test, first.apply(key), second.apply(key)), span
        )
    return SequenceValue(length, None, span)


def equal(first: Value, second: Value) -> Term:
    """Whether two values are equal."""
    if isinstance(first, Record) and isinstance(second, Record):
        if set(first.fields) != set(second.fields):
            return False
        found = []
        for key, item in first.fields.items():
            found.append(equal(item, second.fields[key]))
            if found[-1] is False:
                return False
        return conj(*found)
    if isinstance(first, SetValue) and isinstance(second, SetValue):
        return conj(first.subset(second), second.subset(first))
    if isinstance(first, Function) and isinstance(second, Function):
        for one, other in ((first, second), (second, first)):
            if is_empty(one):
                return other.domain.every(lambda key: False)
        return conj(
            equal(first.domain, second.domain),
            first.domain.every(lambda key: equal(first.apply(key), second.apply(key))),
        )
    compound = (Record, SetValue, Function)
    if isinstance(first, compound) or isinstance(second, compound):
        return False
    return same(first, second)
