"""From the definitions of a module to formulas: what a TLA+ expression is in a state, or in a step.

`Translation.evaluate` is the translation.  The known part of the language: everything that
`syntax` parses except temporal operators, `UNION`, CHOOSE and RECURSIVE; functions of several
arguments; and sets of sets where these would have to be listed and are not known.  Operators of the
standard modules are in `natives`.  Anything else raises `Untranslatable`, with file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import z3

from . import syntax
from .logic import Abbreviations, Term, conj, disj, fresh, implies, known, neg
from .syntax import Definition, Expr, Module
from .values import (
    AnySet,
    Either,
    Filtered,
    Function,
    Functions,
    Image,
    Interval,
    Listed,
    Pairs,
    Plain,
    Record,
    Records,
    RecordShape,
    SequenceValue,
    SetValue,
    Subsets,
    Union,
    Untranslatable,
    Value,
    either,
    equal,
    sequence,
    symbol,
)

STANDARD = {"Naturals", "Sequences", "FiniteSets", "TLC", "Integers", "Randomization"}

Native = Callable[["Translation", list[Any]], Value]


class Problem(Exception):
    """An expression that the translation does not know; the message has file and line."""


@dataclass(frozen=True)
class Scope:
    """The definitions of a module, and what an instance puts in the place of its parameters."""

    module: str
    definitions: Mapping[str, Definition]
    parameters: frozenset[str]
    substitutions: Mapping[str, Expr] = field(default_factory=dict)
    outer: Env | None = None


@dataclass(frozen=True)
class Env:
    """Where an expression stands: its scope, the names bound there, and whether it is primed."""

    scope: Scope
    names: Mapping[str, Any] = field(default_factory=dict)
    primed: bool = False
    at: Value = None

    def bind(self, **names: Any) -> Env:
        """The same place with more names bound."""
        return replace(self, names={**self.names, **names})


class Operator:
    """A definition made inside an expression, or an operator given as an argument."""

    def __init__(self, definition: Definition, env: Env) -> None:
        self.definition, self.env = definition, env
        # What it was found to be: primed or not, and under which facts.
        self.found: list[tuple[bool, tuple[Any, ...], Value]] = []

    def value(self, primed: bool, path: Sequence[Any]) -> Value:
        """What it was found to be under these facts or fewer; None if it was not looked at."""
        for each, facts, value in self.found:
            if each == primed and tuple(path[: len(facts)]) == facts:
                return value
        return None


@dataclass
class Case:
    """One way to take a step: what must be so, each with where it is said, and the next values."""

    facts: list[tuple[str, Term]] = field(default_factory=list)
    after: dict[str, Value] = field(default_factory=dict)

    def given(self, more: list[tuple[str, Term]]) -> Case:
        """The same step with more facts."""
        return Case([*self.facts, *more], dict(self.after))


class Translation:
    """A module's definitions as formulas about a state `now` and, in a step, the next one `after`.

    `constants` are the values of the module's constants; `replaced` puts one definition in the
    place of another, as a configuration of TLC does; `natives` are operators that are given here
    and not by their definition, unless that is replaced.
    """

    def __init__(
        self,
        root: Path,
        constants: Mapping[str, Value],
        natives: Mapping[str, Native],
        replaced: Mapping[str, str] | None = None,
        libraries: Sequence[Path] = (),
    ) -> None:
        self.libraries = [root.parent, *libraries]
        self.modules: dict[str, Module] = {}
        self.constants = dict(constants)
        self.natives = {key: each for key, each in natives.items() if key not in (replaced or {})}
        self.now: dict[str, Value] = {}
        self.after: dict[str, Value] = {}
        # Whether `cases` looks at an initial state: there `v = e` gives v its value.
        self.starting = False
        # The constants that `members` made since this was emptied.
        self.taken: list[Term] = []
        # What is known where the translation is at the moment: see `splits`.
        self.path: list[tuple[str, Term]] = []
        # What is known of values that the translation had to introduce.
        # That is: by name, and given which path.
        self.facts: list[tuple[str, Term, tuple[Any, ...]]] = []
        # Predicates that stand for formulas.
        self.abbreviations = Abbreviations()
        self.variables: set[str] = set()
        self.scope = self._scope(root.stem, replaced or {})
        self.env = Env(self.scope)

    # Modules.

    def _module(self, name: str) -> Module:
        if name not in self.modules:
            paths = [each / f"{name}.tla" for each in self.libraries]
            found = next((path for path in paths if path.exists()), None)
            if found is None:
                raise Problem(f"module {name}: not in {self.libraries}")
            self.modules[name] = syntax.load(found)
        return self.modules[name]

    def _parts(self, name: str) -> Iterator[Module]:
        module = self._module(name)
        for extended in module.extends:
            if extended not in STANDARD:
                yield from self._parts(extended)
        yield module

    def _scope(self, name: str, replaced: Mapping[str, str]) -> Scope:
        definitions: dict[str, Definition] = {}
        parameters: set[str] = set()
        for module in self._parts(name):
            definitions.update(module.definitions)
            parameters |= {*module.constants, *module.variables}
            self.variables |= set(module.variables)
        for old, new in replaced.items():
            definitions[old] = replace(definitions[new], name=old)
        return Scope(name, definitions, frozenset(parameters))

    # Names.

    def call(self, name: str, *values: Value, primed: bool = False) -> Value:
        """The value of a definition of the module for these arguments."""
        return self._apply_name(name, list(values), replace(self.env, primed=primed))

    def lookup(self, name: str, arguments: Sequence[Expr], env: Env, where: str) -> Value:
        if name not in env.names:
            return self._apply_name(name, [self._argument(each, env) for each in arguments], env)
        found = env.names[name]
        if isinstance(found, Operator):
            return self._operate(found, [self._argument(each, env) for each in arguments], env)
        if callable(found):
            return found(*[self.evaluate(each, env) for each in arguments])
        return found

    def _apply_name(self, name: str, values: list[Any], env: Env) -> Value:
        scope = env.scope
        if scope.outer is not None and name in scope.parameters:
            if name in scope.substitutions:
                outer = replace(scope.outer, primed=env.primed)
                return self.evaluate(scope.substitutions[name], outer)
            return self._apply_name(name, values, replace(scope.outer, primed=env.primed))
        if name in self.natives:
            return self.natives[name](self, values)
        if scope.outer is None and name in self.variables:
            state = self.after if env.primed else self.now
            if name not in state:
                raise Untranslatable(f"{name}{chr(39) * env.primed} has no value here")
            return state[name]
        if name in self.constants:
            found = self.constants[name]
            return found(*values) if callable(found) else found
        if name not in scope.definitions:
            raise Untranslatable(f"{name} is not defined in {scope.module}")
        definition = scope.definitions[name]
        return self._operate(Operator(definition, replace(env, names={})), values, env)

    def _operate(self, operator: Operator, values: list[Any], env: Env) -> Value:
        definition = operator.definition
        inner = replace(operator.env, primed=env.primed or operator.env.primed)
        path = self.place()
        if not definition.parameters:
            found = operator.value(env.primed, path)
            if found is not None:
                return found
        found = self.evaluate(definition.body, self._bound(definition, values, inner))
        if not definition.parameters:
            operator.found.append((env.primed, tuple(path), found))
        return found

    def place(self) -> tuple[Any, ...]:
        """The path as a value that can be compared."""
        return tuple((where, fact if known(fact) else fact.get_id()) for where, fact in self.path)

    def know(self, *facts: tuple[str, Term]) -> None:
        """Facts about values that were introduced, known wherever the present path is."""
        self.facts += [(name, fact, self.place()) for name, fact in facts]

    def introduced(self) -> list[tuple[str, Term]]:
        """What is known of the values that were introduced on the present path."""
        here = self.place()
        return [(name, fact) for name, fact, place in self.facts if here[: len(place)] == place]

    def _bound(self, definition: Definition, values: list[Any], env: Env) -> Env:
        if len(values) != len(definition.parameters):
            raise Untranslatable(
                f"{definition.name} takes {len(definition.parameters)} arguments, not {len(values)}"
            )
        return env.bind(**dict(zip(definition.parameters, values, strict=True)))

    def _argument(self, expr: Expr, env: Env) -> Any:
        """The value of an argument, or the operator that it names."""
        if expr.kind == "lambda":
            return Operator(Definition("LAMBDA", expr.parts[0], expr.parts[1]), env)
        if expr.kind == "name" and not expr.parts[1]:
            name = expr.parts[0]
            bound = env.names.get(name)
            if isinstance(bound, Operator) and bound.definition.parameters:
                return bound
            definition = None if name in env.names else env.scope.definitions.get(name)
            if definition and definition.parameters:
                return Operator(definition, replace(env, names={}))
        return self.evaluate(expr, env)

    def operator(self, given: Any) -> Callable[..., Value]:
        """An operator that was given as an argument, as a function of Python."""
        if isinstance(given, Operator):
            return lambda *values: self._operate(given, list(values), given.env)
        raise Untranslatable("an operator expected")

    def instance(self, name: str, arguments: Sequence[Expr], env: Env) -> Env:
        """The scope of `name!...`."""
        definition = env.scope.definitions.get(name)
        if definition is None or definition.kind != "instance":
            raise Untranslatable(f"{name} is no instance")
        values = [self._argument(each, env) for each in arguments]
        outer = replace(env, names=dict(zip(definition.parameters, values, strict=True)))
        module, pairs = definition.body.parts
        inner = self._scope_of(module)
        return Env(replace(inner, substitutions=dict(pairs), outer=outer), primed=env.primed)

    def _scope_of(self, name: str) -> Scope:
        definitions: dict[str, Definition] = {}
        parameters: set[str] = set()
        for module in self._parts(name):
            definitions.update(module.definitions)
            parameters |= {*module.constants, *module.variables}
        return Scope(name, definitions, frozenset(parameters))

    def used_by(self, name: str) -> set[str]:
        """Return the names of all definitions that one uses, directly or not, and its own."""
        found, waiting = set(), [name]
        while waiting:
            each = waiting.pop()
            if each not in found and each in self.scope.definitions:
                found.add(each)
                waiting += self.scope.definitions[each].body.names()
        return found

    # Expressions.

    def evaluate(self, expr: Expr, env: Env) -> Value:
        """What an expression is where it stands; raises `Problem` with file and line."""
        try:
            rule = getattr(self, f"_{expr.kind}", None)
            if rule is None:
                raise Untranslatable(f"the translation does not know {expr.kind!r}")
            return rule(expr, env)
        except Untranslatable as error:
            raise Problem(f"{expr.where}: {error}") from None

    def _number(self, expr: Expr, env: Env) -> Value:
        return expr.parts[0]

    _string = _number

    def _at(self, expr: Expr, env: Env) -> Value:
        return env.at

    def _name(self, expr: Expr, env: Env) -> Value:
        name, arguments = expr.parts
        fixed = {"TRUE": True, "FALSE": False}
        if name in fixed:
            return fixed[name]
        if name == "BOOLEAN":
            return AnySet(Plain(z3.BoolSort(), "t"), lambda item: True)
        if name == "Nat":
            return Interval(0, None)
        return self.lookup(name, arguments, env, expr.where)

    def _within(self, expr: Expr, env: Env) -> Value:
        name, arguments, inner = expr.parts
        found = self.instance(name, arguments, env)
        if inner.kind == "within":
            return self.evaluate(inner, found)
        # The arguments belong to the place, the name to the instance.
        values = [self._argument(each, env) for each in inner.parts[1]]
        return self._apply_name(inner.parts[0], values, found)

    def _prime(self, expr: Expr, env: Env) -> Value:
        return self.evaluate(expr.parts[0], replace(env, primed=True))

    def _and(self, expr: Expr, env: Env) -> Value:
        found = []
        for part in expr.parts:
            found.append(self.evaluate(part, env))
            if found[-1] is False:
                return False
        return conj(*found)

    def _or(self, expr: Expr, env: Env) -> Value:
        found = []
        for part in expr.parts:
            found.append(self.evaluate(part, env))
            if found[-1] is True:
                return True
        return disj(*found)

    def _prefix(self, expr: Expr, env: Env) -> Value:
        operator, operand = expr.parts
        if operator == "UNCHANGED":
            items = operand.parts if operand.kind == "tuple" else (operand,)
            return conj(
                *[
                    equal(self.evaluate(each, replace(env, primed=True)), self.evaluate(each, env))
                    for each in items
                ]
            )
        value = self.evaluate(operand, env)
        if operator == "~":
            return neg(value)
        if operator == "-":
            return -value
        if operator == "SUBSET":
            return Subsets(value)
        if operator == "DOMAIN":
            if isinstance(value, Record):
                return Listed(list(value.fields))
            return self.function(value).domain
        raise Untranslatable(f"the translation does not know {operator}")

    def _infix(self, expr: Expr, env: Env) -> Value:
        operator, first, second = expr.parts
        left = self.evaluate(first, env)
        if operator == "=>":
            return implies(left, lambda: self.evaluate(second, env))
        if operator == "/\\":
            return False if left is False else conj(left, self.evaluate(second, env))
        if operator == "\\/":
            return True if left is True else disj(left, self.evaluate(second, env))
        return self.infix(operator, left, self.evaluate(second, env))

    def infix(self, operator: str, left: Value, right: Value) -> Value:
        """An operator between two values."""
        simple: dict[str, Callable[[], Value]] = {
            "=": lambda: equal(left, right),
            "#": lambda: neg(equal(left, right)),
            "<=>": lambda: equal(left, right),
            "\\in": lambda: right.contains(left),
            "\\notin": lambda: neg(right.contains(left)),
            "\\subseteq": lambda: left.subset(right),
            "\\cup": lambda: Union(left, right),
            "\\cap": lambda: Filtered(left, right.contains),
            "\\": lambda: Filtered(left, lambda item: neg(right.contains(item))),
            "..": lambda: Interval(left, right),
            "<": lambda: left < right,
            ">": lambda: left > right,
            "<=": lambda: left <= right,
            ">=": lambda: left >= right,
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "%": lambda: left % right,
            "\\o": lambda: self.join(left, right),
        }
        if operator not in simple:
            raise Untranslatable(f"the translation does not know {operator}")
        return simple[operator]()

    def join(self, first: SequenceValue, second: SequenceValue) -> SequenceValue:
        """Two sequences, one after the other; their order is only kept where all is known."""
        if known(first.length) and known(second.length):
            if first.length == 0:
                return second
            if second.length == 0:
                return first
            if first.ordered and second.ordered:
                indices = range(1, first.length + 1), range(1, second.length + 1)
                return sequence(
                    [
                        part.apply(i)
                        for part, found in zip((first, second), indices, strict=True)
                        for i in found
                    ]
                )
        return SequenceValue(first.length + second.length, None, Union(first.span, second.span))

    def _set(self, expr: Expr, env: Env) -> Value:
        return Listed([self.evaluate(part, env) for part in expr.parts])

    def _tuple(self, expr: Expr, env: Env) -> Value:
        return sequence([self.evaluate(part, env) for part in expr.parts])

    def _record(self, expr: Expr, env: Env) -> Value:
        return Record({name: self.evaluate(item, env) for name, item in expr.parts})

    def _records(self, expr: Expr, env: Env) -> Value:
        return Records({name: self.evaluate(item, env) for name, item in expr.parts})

    def _functions(self, expr: Expr, env: Env) -> Value:
        return Functions(*[self.evaluate(part, env) for part in expr.parts])

    def _filter(self, expr: Expr, env: Env) -> Value:
        name, domain, test = expr.parts
        return Filtered(
            self.evaluate(domain, env),
            lambda item: self.evaluate(test, env.bind(**{name: item})),
        )

    def _image(self, expr: Expr, env: Env) -> Value:
        body, bounds = expr.parts
        names = [name for name, _ in bounds]
        sets = [self.evaluate(domain, env) for _, domain in bounds]
        if len(sets) == 1:
            return Image(sets[0], lambda item: self.evaluate(body, env.bind(**{names[0]: item})))
        return Image(
            Pairs(sets),
            lambda items: self.evaluate(body, env.bind(**dict(zip(names, items, strict=True)))),
        )

    def _function(self, expr: Expr, env: Env) -> Value:
        bounds, body = expr.parts
        if len(bounds) != 1:
            raise Untranslatable("a function of several arguments")
        name, domain = bounds[0][0], self.evaluate(bounds[0][1], env)

        def apply(key: Value) -> Value:
            return self.evaluate(body, env.bind(**{name: key}))

        if isinstance(domain, Interval) and known(domain.low) and domain.low == 1:
            return SequenceValue(domain.high, apply)
        return Function(domain, apply)

    def function(self, value: Value) -> Function:
        if isinstance(value, Function):
            return value
        raise Untranslatable(f"{value} is not a function")

    def _field(self, expr: Expr, env: Env) -> Value:
        base = self.evaluate(expr.parts[0], env)
        return self.field(base, expr.parts[1])

    def field(self, base: Value, name: str) -> Value:
        if not isinstance(base, Record) or name not in base.fields:
            raise Untranslatable(f"{base} has no field {name}")
        return base.fields[name]

    def _apply(self, expr: Expr, env: Env) -> Value:
        base = self.evaluate(expr.parts[0], env)
        key = self.evaluate(expr.parts[1], env)
        if isinstance(base, Record) and isinstance(key, str):
            return self.field(base, key)
        return self.function(base).apply(key)

    def _except(self, expr: Expr, env: Env) -> Value:
        value = self.evaluate(expr.parts[0], env)
        for way, item in expr.parts[1]:
            value = self._change(value, way, item, env)
        return value

    def _change(self, value: Value, way: list[tuple[str, Any]], item: Expr, env: Env) -> Value:
        if not way:
            return self.evaluate(item, replace(env, at=value))
        (kind, place), *rest = way
        if kind == "field":
            changed = self._change(self.field(value, place), rest, item, env)
            return Record({**value.fields, place: changed})
        function, key = self.function(value), self.evaluate(place, env)
        changed = self._change(function.apply(key), rest, item, env)
        return Function(
            function.domain,
            lambda other: either(equal(other, key), changed, function.apply(other)),
        )

    def _if(self, expr: Expr, env: Env) -> Value:
        test, first, second = expr.parts
        found = self.evaluate(test, env)
        if isinstance(found, bool):
            return self.evaluate(first if found else second, env)
        return either(found, self.evaluate(first, env), self.evaluate(second, env))

    def _case(self, expr: Expr, env: Env) -> Value:
        found: list[tuple[Term, Expr]] = []
        for test, body in expr.parts:
            value = True if test is None else self.evaluate(test, env)
            if value is False:
                continue
            found.append((value, body))
            if value is True:
                break
        if not found:
            # What it is then TLA+ does not say.
            return fresh(z3.BoolSort(), "unspecified")
        result = self.evaluate(found[-1][1], env)
        for value, body in reversed(found[:-1]):
            result = either(value, self.evaluate(body, env), result)
        return result

    def _let(self, expr: Expr, env: Env) -> Value:
        return self.evaluate(expr.parts[1], self.let(expr, env))

    def let(self, expr: Expr, env: Env) -> Env:
        """The place of the body of a LET."""
        for definition in expr.parts[0]:
            env = env.bind(**{definition.name: Operator(definition, env)})
        return env

    def _a(self, expr: Expr, env: Env) -> Value:
        return self._quantify(expr.parts[0], expr.parts[1], env, True)

    def _e(self, expr: Expr, env: Env) -> Value:
        bounds, body = expr.parts
        if quorums := self.quorums(bounds, body, env):
            name = bounds[0][0]
            return quorums.some(lambda item: self.evaluate(body, env.bind(**{name: item})))
        return self._quantify(bounds, body, env, False)

    def quorums(self, bounds: Any, body: Expr, env: Env) -> SetValue | None:
        """The quorums in S, for `\\E Q \\in SUBSET S : IsQuorum(Q) /\\ ...`; None for any other."""
        choose = self.constants.get("quorums in")
        if choose is None or len(bounds) != 1 or bounds[0][1].parts[:1] != ("SUBSET",):
            return None
        first = body.parts[1] if body.kind == "infix" and body.parts[0] == "/\\" else body.parts[0]
        asked = Expr("name", ("IsQuorum", [Expr("name", (bounds[0][0], []))]))
        if first != asked:
            raise Untranslatable("of subsets, only those that are quorums can be quantified over")
        return choose(self.evaluate(bounds[0][1].parts[1], env))  # type: ignore[no-any-return]

    def _quantify(self, bounds: Any, body: Expr, env: Env, universal: bool) -> Term:
        if not bounds:
            return self.evaluate(body, env)
        (name, domain), *rest = bounds
        found = self.evaluate(domain, env)

        def test(item: Value) -> Term:
            return self._quantify(rest, body, env.bind(**{name: item}), universal)

        return found.every(test) if universal else found.some(test)

    # Steps.

    def cases(self, expr: Expr, env: Env, case: Case) -> Iterator[Case]:
        """The ways to take a step, or to be in a state, that an expression says is possible.

        Where it says `v' = e` the next value of v is e.
        """
        kind = expr.kind
        if kind == "and" or (kind == "infix" and expr.parts[0] == "/\\"):
            yield from self._all_of(list(expr.parts[kind != "and" :]), env, case)
        elif kind == "or" or (kind == "infix" and expr.parts[0] == "\\/"):
            for part in expr.parts[kind != "or" :]:
                yield from self.cases(part, env, case)
        elif kind == "e":
            yield from self._some_of(list(expr.parts[0]), expr.parts[1], env, case)
        elif kind == "let":
            yield from self.cases(expr.parts[1], self.let(expr, env), case)
        elif kind == "name" and self._is_defined(expr, env):
            name, arguments = expr.parts
            definition = env.scope.definitions[name]
            for facts, values in self._all_splits(arguments, env, case.facts):
                inner = self._bound(definition, values, replace(env, names={}))
                yield from self.cases(definition.body, inner, Case(facts, dict(case.after)))
        elif (target := self._assigned(expr, env, case)) is not None:
            self.path = case.facts
            after = {**case.after, target: self.evaluate(expr.parts[2], env)}
            yield Case(case.facts, after)
        elif kind == "prefix" and expr.parts[0] == "UNCHANGED":
            names = [
                part.parts[0]
                for part in (
                    expr.parts[1].parts if expr.parts[1].kind == "tuple" else (expr.parts[1],)
                )
            ]
            yield Case(case.facts, {**case.after, **{name: self.now[name] for name in names}})
        else:
            self.after = case.after
            self.path = case.facts
            yield case.given([(expr.where, self.evaluate(expr, env))])

    def splits(
        self, expr: Expr, env: Env, path: list[tuple[str, Term]]
    ) -> Iterator[tuple[list[tuple[str, Term]], Value]]:
        """The values that an expression may have, one for each way through its IFs, with the facts.

        `path` are the facts that are known before.
        """
        self.path = path
        if expr.kind == "if":
            test = self.evaluate(expr.parts[0], env)
            self._look_at(expr.parts[1].names() & expr.parts[2].names(), env)
            ways = (("THEN", test, expr.parts[1]), ("ELSE", neg(test), expr.parts[2]))
            for way, value, branch in ways:
                if value is not False:
                    more = [] if value is True else [(f"{expr.where} {way}", value)]
                    yield from self.splits(branch, env, [*path, *more])
        elif expr.kind == "let":
            yield from self.splits(expr.parts[1], self.let(expr, env), path)
        elif expr.kind == "name" and (operator := self._operator(expr, env)) is not None:
            for facts, values in self._all_splits(expr.parts[1], env, path):
                inner = replace(operator.env, primed=env.primed or operator.env.primed)
                bound = self._bound(operator.definition, values, inner)
                yield from self.splits(operator.definition.body, bound, facts)
        else:
            yield path, self.evaluate(expr, env)

    def _look_at(self, names: set[str], env: Env) -> None:
        """Evaluate what LET defines under these names, so that both ways from here share it."""
        for name in sorted(names):
            found = env.names.get(name)
            if isinstance(found, Operator) and not found.definition.parameters:
                self._operate(found, [], env)

    def _operator(self, expr: Expr, env: Env) -> Operator | None:
        """The operator with parameters that an expression applies."""
        name, arguments = expr.parts
        if not arguments:
            return None
        if name in env.names:
            return env.names[name] if isinstance(env.names[name], Operator) else None
        if not self._is_defined(expr, env):
            return None
        return Operator(env.scope.definitions[name], replace(env, names={}))

    def _all_splits(
        self, arguments: Sequence[Expr], env: Env, path: list[tuple[str, Term]]
    ) -> Iterator[tuple[list[tuple[str, Term]], list[Any]]]:
        if not arguments:
            yield path, []
            return
        first, *rest = arguments
        if first.kind == "lambda" or (first.kind == "name" and not first.parts[1]):
            self.path = path
            found: Any = [(path, self._argument(first, env))]
        else:
            found = self.splits(first, env, path)
        for facts, value in found:
            for more, values in self._all_splits(rest, env, facts):
                yield more, [value, *values]

    def _is_defined(self, expr: Expr, env: Env) -> bool:
        name = expr.parts[0]
        return name not in env.names and name not in self.natives and name in env.scope.definitions

    def _assigned(self, expr: Expr, env: Env, case: Case) -> str | None:
        target = "name" if self.starting else "prime"
        if expr.kind != "infix" or expr.parts[0] != "=" or expr.parts[1].kind != target:
            return None
        name = expr.parts[1].parts[0] if self.starting else expr.parts[1].parts[0].parts[0]
        return name if name in self.variables and name not in case.after else None

    def _all_of(self, parts: list[Expr], env: Env, case: Case) -> Iterator[Case]:
        if not parts:
            yield case
            return
        for each in self.cases(parts[0], env, case):
            yield from self._all_of(parts[1:], env, each)

    def _some_of(self, bounds: list[Any], body: Expr, env: Env, case: Case) -> Iterator[Case]:
        if not bounds:
            yield from self.cases(body, env, case)
            return
        name, domain = bounds[0]
        for item, facts in self.members(self.evaluate(domain, env), name):
            more = [(domain.where, fact) for fact in facts]
            yield from self._some_of(bounds[1:], body, env.bind(**{name: item}), case.given(more))

    def members(self, found: SetValue, name: str) -> list[tuple[Value, list[Term]]]:
        """Any member of a set: one for each way to be one, with what is known of it."""
        ways = self._members(found, name)
        return [(item, facts) for item, facts in ways if not any(fact is False for fact in facts)]

    def _members(self, found: SetValue, name: str) -> list[tuple[Value, list[Term]]]:
        if isinstance(found, AnySet):
            item, terms = _new(found.shape, name)
            self.taken += terms
            inside = found.contains(item)
            return [(item, [] if inside is True else [inside])]
        if isinstance(found, Filtered):
            return [
                (item, [*facts, found.test(item)]) for item, facts in self.members(found.base, name)
            ]
        if isinstance(found, Image):
            return [
                (found.expression(item), facts) for item, facts in self.members(found.base, name)
            ]
        if isinstance(found, Pairs):
            ways: list[tuple[Value, list[Term]]] = [([], [])]
            for each in found.sets:
                ways = [
                    ([*items, item], [*facts, *more])
                    for items, facts in ways
                    for item, more in self.members(each, name)
                ]
            return ways
        if isinstance(found, Subsets):
            shape = shape_of(self.members(found.base, name)[0][0])
            item = symbol(_name(name), _set_of(shape))
            return [(item, [item.subset(found.base)])]
        if isinstance(found, Listed):
            return [(item, []) for item in found.items]
        if isinstance(found, Union):
            return self.members(found.first, name) + self.members(found.second, name)
        if isinstance(found, Interval) and known(found.low) and isinstance(found.high, int):
            return [(item, []) for item in found.listed()]
        if isinstance(found, Interval):
            item, terms = _new(Plain(z3.IntSort()), name)
            self.taken += terms
            return [(item, [found.contains(item)])]
        if isinstance(found, Either):
            return [
                (item, [test, *facts])
                for test, base in ((found.test, found.first), (neg(found.test), found.second))
                for item, facts in self.members(base, name)
            ]
        raise Untranslatable(f"no member of {type(found).__name__} can be taken")

    def parts(self, expr: Expr, env: Env, label: str = "") -> Iterator[Goal]:
        """What has to be shown for an expression to hold: its conjuncts, under their names."""
        kind = expr.kind
        if kind == "and" or (kind == "infix" and expr.parts[0] == "/\\"):
            for part in expr.parts[kind != "and" :]:
                yield from self.parts(part, env, label)
        elif kind == "a":
            yield from self._every(list(expr.parts[0]), expr.parts[1], env, label)
        elif kind == "infix" and expr.parts[0] == "=>":
            fact = self.evaluate(expr.parts[1], env)
            if fact is not False:
                for goal in self.parts(expr.parts[2], env, label):
                    yield replace(goal, facts=[(expr.where, fact), *goal.facts])
        elif (only := self._only_way(expr, env)) is not None:
            yield from self.parts(only, env, label)
        elif kind == "let":
            yield from self.parts(expr.parts[1], self.let(expr, env), label)
        elif kind == "prime":
            yield from self.parts(expr.parts[0], replace(env, primed=True), label)
        elif kind == "if":
            test = self.evaluate(expr.parts[0], env)
            for value, branch in ((test, expr.parts[1]), (neg(test), expr.parts[2])):
                if value is not False:
                    for goal in self.parts(branch, env, label):
                        yield replace(goal, facts=[(expr.where, value), *goal.facts])
        elif kind == "name" and self._is_defined(expr, env):
            name, arguments = expr.parts
            definition = env.scope.definitions[name]
            values = [self._argument(each, env) for each in arguments]
            inner = replace(env, names=dict(zip(definition.parameters, values, strict=True)))
            yield from self.parts(definition.body, inner, name)
        elif kind == "within":
            name, arguments, inner_expr = expr.parts
            found = self.instance(name, arguments, env)
            if inner_expr.kind == "name" and inner_expr.parts[0] in found.scope.definitions:
                values = [self._argument(each, env) for each in inner_expr.parts[1]]
                definition = found.scope.definitions[inner_expr.parts[0]]
                place = replace(found, names=dict(zip(definition.parameters, values, strict=True)))
                yield from self.parts(definition.body, place, f"{name}!{definition.name}")
            else:
                yield from self.parts(inner_expr, found, label)
        else:
            yield Goal(label, expr.where, [], self.evaluate(expr, env))

    def _only_way(self, expr: Expr, env: Env) -> Expr | None:
        """The one disjunct that can be true or the one case that applies, if it is just one."""
        if expr.kind == "or":
            open_ = [part for part in expr.parts if self.evaluate(part, env) is not False]
            return open_[0] if len(open_) == 1 else None
        if expr.kind == "case":
            arms: tuple[tuple[Expr | None, Expr], ...] = expr.parts
            for test, body in arms:
                found = True if test is None else self.evaluate(test, env)
                if found is True:
                    return body
                if found is not False:
                    return None
        return None

    def _every(self, bounds: list[Any], body: Expr, env: Env, label: str) -> Iterator[Goal]:
        if not bounds:
            yield from self.parts(body, env, label)
            return
        name, domain = bounds[0]
        found = self.evaluate(domain, env)
        self.taken = []
        ways = self.members(found, name)
        bound = tuple(self.taken)
        for item, facts in ways:
            more = [(domain.where, fact) for fact in facts]
            for goal in self._every(bounds[1:], body, env.bind(**{name: item}), label):
                yield replace(goal, facts=[*more, *goal.facts], bound=(*bound, *goal.bound))


@dataclass(frozen=True)
class Goal:
    """What has to be shown: under which definition's name, where it stands, and given what."""

    label: str
    where: str
    facts: list[tuple[str, Term]]
    formula: Term
    # The constants that stand for any members of sets that it quantifies over.
    bound: tuple[Term, ...] = ()


def _name(hint: str) -> str:
    from .logic import fresh

    return str(fresh(z3.BoolSort(), hint))


def _new(shape: Any, hint: str) -> tuple[Value, list[Term]]:
    from .values import constants

    if isinstance(shape, Plain):
        return constants(Plain(shape.sort, hint))
    return constants(shape)


def _set_of(shape: Any) -> Any:
    from .values import SetShape

    return SetShape(shape)


def shape_of(value: Value) -> Any:
    """The shape of a value that is made of terms."""
    if isinstance(value, Record):
        return RecordShape({key: shape_of(item) for key, item in value.fields.items()})
    if isinstance(value, z3.ExprRef):
        return Plain(value.sort())
    raise Untranslatable(f"the shape of {value} is not known")
