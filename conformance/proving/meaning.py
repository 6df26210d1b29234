"""Terms evaluated: what a formula is where each symbol in it has a meaning.

z3 gets terms for symbols that stand for anything.  Here the symbols stand for the values of one
state, and a variable that is quantified takes every value of a finite range.  So a term can be
compared with what TLC says in that state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import product
from typing import Any

import z3

from ..tlaplus import values as text
from .evaluate import Translation
from .logic import Abbreviations, Term, lift
from .values import (
    Either,
    Fixed,
    Function,
    FunctionShape,
    Plain,
    Record,
    RecordShape,
    SequenceShape,
    SequenceValue,
    SetShape,
    SetValue,
    Union,
    Value,
    constants,
    is_empty,
)

# What a compiled term is evaluated with: the meanings, and the values of the bound variables.
Compiled = Callable[["Meanings", tuple[Any, ...]], Any]
# Relations by name, each with its arguments: which variable each is, and the term.
Guards = list[tuple[str, list[int | None], list[Compiled]]]
Concrete = Any
Reader = Callable[["Meanings"], Concrete]


class Meanings(dict[str, Callable[..., Any]]):
    """What each symbol is, by name, as a function of its arguments.

    `ranges` has the values of each sort.  A symbol without a meaning gets it from `later`, by the
    part of its name before the first dot.
    """

    def __init__(self, ranges: Mapping[str, Sequence[Any]]) -> None:
        super().__init__()
        self.ranges = ranges
        # Of some relations, all that they hold of: a quantifier need not look at anything else.
        self.extensions: dict[str, tuple[int, Callable[..., Iterable[tuple[Any, ...]]]]] = {}
        # Of some shapes, the only values that a set is looked through for, each with its parts.
        self.finite: list[tuple[Any, Sequence[tuple[tuple[Any, ...], Concrete]]]] = []
        self.later: dict[str, Callable[[Meanings], object]] = {}

    def __missing__(self, name: str) -> Callable[..., Any]:
        self.later[name.split(".")[0]](self)
        return self[name]

    def extension(self, name: str) -> tuple[int, Callable[..., Iterable[tuple[Any, ...]]]] | None:
        """Return all that a relation holds of, given the arguments before its last; their number.

        None if that is not known.
        """
        if name not in self.extensions and name not in self and name.split(".")[0] in self.later:
            self.__missing__(name)
        return self.extensions.get(name)

    def copied(self) -> Meanings:
        """Return the same meanings, to which others can be added."""
        found = Meanings(self.ranges)
        found.update(self)
        found.extensions, found.finite = dict(self.extensions), self.finite
        return found

    def give(
        self, name: str, shape: Any, value: Callable[..., Concrete], depends: bool = False
    ) -> None:
        """Give a meaning to what `values.symbol` made of a shape: its value, by what it depends on.

        Outside of its domain a function is `nothing` of its shape.
        """
        if isinstance(shape, Plain):
            self[name] = value
        elif isinstance(shape, RecordShape):
            for key, item in shape.fields.items():
                self.give(f"{name}.{key}", item, lambda *on, key=key: value(*on)[key], depends)
        elif isinstance(shape, SetShape):
            size = _width(shape.items)

            @cache
            def extension(*on: Any) -> dict[tuple[Any, ...], None]:
                items = (each for each in value(*on) if _fits(each, shape.items))
                return dict.fromkeys(tuple(parts_of(each, shape.items)) for each in items)

            self[name] = lambda *on: on[len(on) - size :] in extension(*on[: len(on) - size])
            self.extensions[name] = size, extension
        elif isinstance(shape, FunctionShape):
            if shape.domain is None:
                self.give(f"{name}.domain", SetShape(shape.keys), value, depends)
            empty = self.nothing(shape.items)
            self.give(
                f"{name}.at", shape.items, lambda *on: value(*on[:-1]).get(on[-1], empty), True
            )
        elif isinstance(shape, SequenceShape):
            self[name] = lambda *on: len(value(*on))
            absent = self.nothing(shape.items)

            def at(*on: Any) -> Any:
                line = value(*on[:-1])
                return line[on[-1] - 1] if 1 <= on[-1] <= len(line) else absent

            self.give(f"{name}.at", shape.items, at, True)
            self.give(f"{name}.items", SetShape(shape.items), value, depends)

    def nothing(self, shape: Any) -> Concrete:
        """Some value of a shape."""
        if isinstance(shape, Fixed):
            return shape.value
        if isinstance(shape, Plain):
            return self.ranges[str(shape.sort)][0]
        if isinstance(shape, RecordShape):
            return text.Function({key: self.nothing(item) for key, item in shape.fields.items()})
        return frozenset() if isinstance(shape, SetShape) else text.Function()

    def all_of(self, shape: Any) -> Iterator[tuple[tuple[Any, ...], Concrete]]:
        """Yield every value of a plain or record shape, with the values that it is made of."""
        for known, items in self.finite:
            if known is shape:
                yield from items
                return
        _, terms = constants(shape)
        for items in product(*[self.ranges[str(each.sort())] for each in terms]):
            yield items, whole(items, shape)


def _width(shape: Any) -> int:
    if isinstance(shape, RecordShape):
        return sum(map(_width, shape.fields.values()))
    return 0 if isinstance(shape, Fixed) else 1


def whole(parts: Sequence[Any], shape: Any) -> Concrete:
    """Return the value of a shape that consists of these parts."""
    if isinstance(shape, Plain):
        return parts[0]
    if isinstance(shape, Fixed):
        return shape.value
    found, at = text.Function(), 0
    for key, item in shape.fields.items():
        width = _width(item)
        found[key] = whole(parts[at : at + width], item)
        at += width
    return found


def _fits(value: Concrete, shape: Any) -> bool:
    if isinstance(shape, Fixed):
        return bool(value == shape.value)
    if isinstance(shape, RecordShape):
        same = isinstance(value, dict) and value.keys() == shape.fields.keys()
        return same and all(_fits(value[key], item) for key, item in shape.fields.items())
    return True


def parts_of(value: Concrete, shape: Any) -> Iterator[Any]:
    """Yield the values that a value of a shape consists of."""
    if isinstance(shape, Plain):
        yield value
    elif isinstance(shape, RecordShape):
        for key, item in shape.fields.items():
            yield from parts_of(value[key], item)


def _mean(name: str, formula: Compiled, meanings: Meanings) -> None:
    meanings[name] = lambda *values: formula(meanings, values)


# Evaluation.

_OPERATORS: dict[int, Callable[..., Any]] = {
    z3.Z3_OP_EQ: lambda a, b: a == b,
    z3.Z3_OP_IFF: lambda a, b: a == b,
    z3.Z3_OP_LE: lambda a, b: a <= b,
    z3.Z3_OP_LT: lambda a, b: a < b,
    z3.Z3_OP_GE: lambda a, b: a >= b,
    z3.Z3_OP_GT: lambda a, b: a > b,
    z3.Z3_OP_ADD: lambda *items: sum(items),
    z3.Z3_OP_SUB: lambda a, b: a - b,
    z3.Z3_OP_UMINUS: lambda a: -a,
    z3.Z3_OP_MUL: lambda a, b: a * b,
    z3.Z3_OP_NOT: lambda a: not a,
}


class Compiler:
    """Terms as functions of Python; a term that occurs twice is compiled once."""

    def __init__(self) -> None:
        # A term is kept with what it became, so that no other term gets its number.
        self._done: dict[int, tuple[Term, Compiled]] = {}
        self._free: dict[int, tuple[Term, frozenset[int]]] = {}
        self.names: set[str] = set()

    def compile(self, term: Term) -> Compiled:
        """Return a term, or a value of Python, as a function; raises `ValueError`."""
        term = lift(term)
        if not isinstance(term, z3.AstRef):
            return lambda meanings, bound: term
        if term.get_id() not in self._done:
            self._done[term.get_id()] = term, self._compiled(term)
        return self._done[term.get_id()][1]

    def _compiled(self, term: Term) -> Compiled:
        if z3.is_quantifier(term):
            return self._quantifier(term)
        if z3.is_var(term):
            place = -1 - z3.get_var_index(term)
            return lambda meanings, bound: bound[place]
        if z3.is_int_value(term):
            number = term.as_long()
            return lambda meanings, bound: number
        parts = [self.compile(each) for each in term.children()]
        kind = term.decl().kind()
        if kind in (z3.Z3_OP_TRUE, z3.Z3_OP_FALSE):
            truth = kind == z3.Z3_OP_TRUE
            return lambda meanings, bound: truth
        if kind == z3.Z3_OP_AND:
            return lambda meanings, bound: all(part(meanings, bound) for part in parts)
        if kind == z3.Z3_OP_OR:
            return lambda meanings, bound: any(part(meanings, bound) for part in parts)
        if kind == z3.Z3_OP_IMPLIES:
            first, second = parts
            return lambda meanings, bound: not first(meanings, bound) or second(meanings, bound)
        if kind == z3.Z3_OP_ITE:
            test, then, other = parts
            return lambda meanings, bound: (
                then(meanings, bound) if test(meanings, bound) else other(meanings, bound)
            )
        if kind == z3.Z3_OP_UNINTERPRETED:
            name = term.decl().name()
            self.names.add(name)
            return lambda meanings, bound: meanings[name](
                *[part(meanings, bound) for part in parts]
            )
        if kind not in _OPERATORS:
            raise ValueError(f"the evaluation does not know {term.decl()}")
        operator = _OPERATORS[kind]
        if len(parts) == 2:
            left, right = parts
            return lambda meanings, bound: operator(left(meanings, bound), right(meanings, bound))
        return lambda meanings, bound: operator(*[part(meanings, bound) for part in parts])

    def _indices(self, term: Term) -> frozenset[int]:
        """Return the indices of the variables that are free in a term: 0 is the innermost one."""
        if term.get_id() not in self._free:
            if z3.is_var(term):
                found = frozenset([z3.get_var_index(term)])
            elif z3.is_quantifier(term):
                size = term.num_vars()
                free = self._indices(term.body())
                found = frozenset(index - size for index in free if index >= size)
            else:
                found = frozenset().union(*map(self._indices, term.children()))
            self._free[term.get_id()] = term, found
        return self._free[term.get_id()][1]

    def _variables(self, term: Term, size: int) -> set[int]:
        """Return which variables of the innermost quantifier, of so many, occur in a term."""
        return {size - 1 - index for index in self._indices(term) if index < size}

    def _quantifier(self, term: z3.QuantifierRef) -> Compiled:
        body = self.compile(term.body())
        size = term.num_vars()
        sorts = [str(term.var_sort(index)) for index in range(size)]
        decide = all if term.is_forall() else any
        # By what relation each guard is, and its arguments: variables, or terms.
        guards = [
            (
                each.decl().name(),
                [_place(part, size) for part in each.children()],
                [self.compile(part) for part in each.children()],
            )
            for each in _guards(term)
            if not any(
                _place(part, size) is None and self._variables(part, size)
                for part in each.children()
            )
        ]
        used = self._variables(term.body(), size)
        absent = (None,) * size

        def chosen(
            meanings: Meanings, bound: tuple[Any, ...], left: Guards, given: dict[int, Any]
        ) -> Iterator[tuple[Any, ...]]:
            """Yield the values of the variables for which the body may be of consequence."""
            if not left:
                yield from product(
                    *[
                        [given[at]]
                        if at in given
                        else meanings.ranges[sort][: None if at in used else 1]
                        for at, sort in enumerate(sorts)
                    ]
                )
                return
            name, places, terms = left[0]
            held = meanings.extension(name)
            before = len(places) - (held[0] if held else 0)
            if held is None or any(at is not None and at not in given for at in places[:before]):
                yield from chosen(meanings, bound, left[1:], given)
                return
            first = [
                terms[index](meanings, bound + absent) if at is None else given[at]
                for index, at in enumerate(places[:before])
            ]
            for items in held[1](*first):
                pairs = zip(places[before:], items, strict=True)
                more = {at: each for at, each in pairs if at is not None}
                if all(given.get(at, each) == each for at, each in more.items()):
                    yield from chosen(meanings, bound, left[1:], {**given, **more})

        return lambda meanings, bound: decide(
            body(meanings, bound + each) for each in chosen(meanings, bound, guards, {})
        )

    def abbreviated(self, meanings: Meanings, abbreviations: Abbreviations) -> None:
        """Give predicates that stand for formulas the meaning of these."""
        for name, formula in abbreviations.formulas.items():
            meanings.later[name] = partial(_mean, name, self.compile(formula))

    # Values.

    def reader(self, value: Value, shape: Any = None) -> Reader:
        """Return what reads a value; a set or a domain without a shape has numbers."""
        if isinstance(value, Record):
            fields = shape.fields if shape else dict.fromkeys(value.fields)
            readers = {key: self.reader(value.fields[key], fields[key]) for key in fields}
            return lambda meanings: text.Function(
                {key: reader(meanings) for key, reader in readers.items()}
            )
        ordered = isinstance(value, SequenceValue) and (value.ordered or is_empty(value))
        if ordered and not isinstance(shape, FunctionShape):
            return self._sequence_reader(value, shape)
        if isinstance(value, Function):
            return self._function_reader(value, shape)
        if isinstance(value, SetValue):
            return self._set_reader(value, shape.items if shape else Plain(z3.IntSort()))
        found = self.compile(value)
        return lambda meanings: found(meanings, ())

    def _set_reader(self, value: SetValue, items: Any) -> Reader:
        item, terms = constants(items)
        names = [each.decl().name() for each in terms]
        contains = self.compile(value.contains(item))

        def read(meanings: Meanings) -> Concrete:
            found = []
            for parts, whole in meanings.all_of(items):
                for name, part in zip(names, parts, strict=True):
                    meanings[name] = lambda part=part: part
                if contains(meanings, ()):
                    found.append(whole)
            return frozenset(found)

        return read

    def _function_reader(self, value: Function, shape: Any) -> Reader:
        keys = shape.keys if shape else Plain(z3.IntSort())
        key, (term,) = constants(keys)
        name = term.decl().name()
        domain = self._set_reader(value.domain, keys)
        item = (
            None
            if is_empty(value)
            else self.reader(value.apply(key), shape.items if shape else None)
        )

        def read(meanings: Meanings) -> Concrete:
            found = text.Function()
            for place in domain(meanings) if item else ():
                meanings[name] = lambda place=place: place
                found[place] = item(meanings)  # type: ignore[misc]
            return found

        return read

    def _sequence_reader(self, value: SequenceValue, shape: Any) -> Reader:
        length = self.compile(value.length)
        if is_empty(value):
            return lambda meanings: text.Sequence()
        key = z3.FreshInt("index")
        name = key.decl().name()
        item = self.reader(value.apply(key), shape.items if shape else None)

        def read(meanings: Meanings) -> Concrete:
            found = text.Sequence()
            for place in range(1, length(meanings, ()) + 1):
                meanings[name] = lambda place=place: place
                found.append(item(meanings))
            return found

        return read

    def span_reader(self, translation: Translation, value: SetValue) -> Reader:
        """Return what reads a set of records of several kinds, such as messages."""
        if isinstance(value, Union):
            first, second = (
                self.span_reader(translation, each) for each in (value.first, value.second)
            )
            return lambda meanings: first(meanings) | second(meanings)
        if isinstance(value, Either):
            test = self.compile(value.test)
            then, other = (
                self.span_reader(translation, each) for each in (value.first, value.second)
            )
            return lambda meanings: (then if test(meanings, ()) else other)(meanings)
        translation.taken = []
        ways = [
            (self.reader(item), [self.compile(fact) for fact in facts])
            for item, facts in translation.members(value, "sent")
        ]
        names = [(each.decl().name(), str(each.sort())) for each in translation.taken]

        def read(meanings: Meanings) -> Concrete:
            found = set()
            for chosen in product(*[meanings.ranges[sort] for _, sort in names]):
                for (name, _), part in zip(names, chosen, strict=True):
                    meanings[name] = lambda part=part: part
                for reader, facts in ways:
                    if all(fact(meanings, ()) for fact in facts):
                        found.add(reader(meanings))
            return frozenset(found)

        return read


def _place(term: Term, size: int) -> int | None:
    """Return which variable of the innermost quantifier, of so many variables, a term is."""
    if not z3.is_var(term) or z3.get_var_index(term) >= size:
        return None
    return size - 1 - int(z3.get_var_index(term))


def _guards(term: z3.QuantifierRef) -> list[Term]:
    """Return relations that restrict the variables, those of most of them first.

    Where a guard is false the body says nothing: it is true of all, or false of some.
    """
    size = term.num_vars()
    found = []
    for each in _conditions(term.body(), term.is_forall()):
        if each.decl().kind() == z3.Z3_OP_UNINTERPRETED and each.num_args():
            covered = {_place(part, size) for part in each.children()} - {None}
            found.append((len(covered), each))
    found.sort(key=lambda pair: -pair[0])
    return [each for covered, each in found if covered]


def _conditions(body: Term, universal: bool) -> Iterator[Term]:
    """Yield the conjuncts of a body, or for a universal one those of what implies the rest."""
    if z3.is_quantifier(body) or z3.is_var(body):
        return
    if universal:
        for each in body.children() if z3.is_or(body) else [body]:
            if z3.is_not(each):
                yield from _conditions(each.arg(0), False)
            elif z3.is_or(each):
                yield from _conditions(each, True)
    elif z3.is_and(body):
        for each in body.children():
            yield from _conditions(each, False)
    else:
        yield body
