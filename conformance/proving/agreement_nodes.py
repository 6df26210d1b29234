"""The translation of MultiPaxos.tla and Invariant.tla held to TLC, in the states of `states`.

The translation must say what TLC says.  The terms that z3 gets are evaluated in each state
(`meaning`): of actions those of every way to take a step, and of a fold those of one iteration, as
often as it has items.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import z3

from ..tlaplus import values as text
from . import actions, syntax
from .agreement import Row
from .evaluate import Case, Env
from .logic import fresh
from .meaning import Compiled, Compiler, Concrete, Meanings, Reader, parts_of, whole
from .states import (
    AFTER,
    CLUSTERS,
    OF_NODE,
    OF_STEP,
    OF_VOTES,
    STATE_OF,
    STEP,
    Cluster,
    Found,
    Known,
    Taken,
    altered,
    evaluated,
    message_shape,
    normal,
    steps_are_defined,
    walked,
)
from .syntax import Expr
from .values import (
    Filtered,
    Record,
    RecordShape,
    SequenceShape,
    SequenceValue,
    SetShape,
    constants,
    is_empty,
    symbol,
)
from .voting import named


def meanings_of(known: Known, state: Concrete) -> Meanings:
    """Return what the symbols of a `actions.Cluster` are in a state."""
    high = 2 + max(_numbers(state), default=0)
    found = Meanings(
        {
            "Id": known.ids,
            "Value": known.values,
            "Int": range(max(high, 6)),
            "Quorum": known.quorums,
            "Bool": (False, True),
        }
    )
    proposed = {(each["body"]["slot"], each["body"]["value"]) for each in known.proposals}
    found.update(
        {
            "quorum": lambda q: True,
            "has": lambda q, a: a in q,
            "Node": lambda a: a in known.members,
            "Owner": known.owner,
            "NextBallot": known.next_ballot,
            "Slots": lambda slot: slot in known.slots,
            "Proposed": lambda slot, value: (slot, value) in proposed,
            "Restless": lambda a: a in known.members,
            "Batch": lambda: known.batch,
        }
    )
    found.give("Members", SequenceShape(actions.NAME), lambda: known.members)
    found.give("Requests", SetShape(actions.REQUEST), lambda: known.requests)
    logs: list[RecordShape] = [actions.LOG, *actions.PARTS]
    for index, log in enumerate(logs):
        found.give(f"Requests.log{index}", SetShape(log), lambda: known.requests)
    for name, shape in STATE_OF.items():
        found.give(name, shape, lambda name=name: state[name])
    found.extensions.update(
        {
            "Node": (1, lambda: [(each,) for each in known.members]),
            "Slots": (1, lambda: [(each,) for each in known.slots]),
            "Proposed": (2, lambda: sorted(proposed)),
        }
    )
    proposals = [(tuple(parts_of(each, actions.REQUEST)), each) for each in known.proposals]
    votes = [
        (parts, whole(parts, actions.VOTE))
        for parts in product(known.members, known.slots, range(1, high), known.values)
    ]
    found.finite = [(actions.REQUEST, proposals), (actions.VOTE, votes)]
    return found


def _numbers(value: Concrete) -> Iterator[int]:
    if isinstance(value, int):
        yield int(value)
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_numbers, chain(value, value.values())))
    elif isinstance(value, (list, frozenset)):
        yield len(value)
        yield from chain.from_iterable(map(_numbers, value))


@dataclass
class Loop:
    """A fold: what it begins with, its items, and the ways through one iteration."""

    path: tuple[Any, ...]
    start: Reader
    items: Reader
    shape: Any
    item: list[str]
    current: str
    ways: list[Way]
    # The symbols of sequences that each iteration has anew, and those of the result.
    anew: list[str]
    result: str = ""

    def run(self, meanings: Meanings) -> set[Concrete]:
        """Take all iterations; return what they send, and give the result its meaning."""
        now, sent = self.start(meanings), set()
        for item in self.items(meanings):
            for name in self.anew:
                meanings.pop(name, None)
            _give_step(meanings, self.current, now)
            for name, part in zip(self.item, parts_of(item, self.shape), strict=True):
                meanings[name] = lambda part=part: part
            (way,) = [way for way in self.ways if way.is_taken(meanings)]
            now = way.after(meanings)
            sent |= set(way.sent(meanings))
        _give_step(meanings, self.result, now)
        return sent


@dataclass
class Way:
    """One way through a step or an iteration: its facts, what is known of symbols, what it does.

    `sent` reads the messages, as a sequence, or as a set where their order is not known.
    """

    facts: list[Compiled]
    known: list[tuple[str, Compiled]]
    after: Reader
    sent: Reader
    loops: list[Loop] = field(default_factory=list)
    claims: dict[str, Compiled] = field(default_factory=dict)

    def is_taken(self, meanings: Meanings) -> bool:
        """Return whether this is the way that is taken."""
        return all(fact(meanings, ()) for fact in self.facts)


def _give_step(meanings: Meanings, name: str, step: Concrete) -> None:
    """Give the symbols of a step in progress their meaning, if it has its own."""
    if "!" in name:
        for key, shape in actions.STATE.fields.items():
            meanings.give(f"{name}.{key}", shape, lambda key=key: step["state"][key])
        meanings.give(f"{name}.cast", STEP.fields["cast"], lambda: step["cast"])


class Watched(actions.Cluster):
    """The ways to take one action, and what the symbols that the translation introduces mean."""

    def __init__(self, action: str, shape: RecordShape | None) -> None:
        super().__init__()
        self.compiler = Compiler()
        self.loops: list[Loop] = []
        translation = self.translation
        self.node = fresh(actions.ID, "n")
        self.input_shape = shape
        names: dict[str, Any] = {"n": self.node}
        self.input = Record({"event": "none"})
        if shape is not None:
            self.input = names["m"] = translation.constants["m"] = symbol("m", shape)
            self.input.fields["dest"] = self.node
        env = translation.env.bind(**names)
        step = Expr("name", (action, [named(name) for name in names]))
        self.ways = [self._way_of(case, env) for case in translation.cases(step, env, Case())]

    def _way_of(self, case: Case, env: Env) -> Way:
        translation = self.translation
        translation.after, translation.path = case.after, case.facts
        after = Record(
            {
                "state": case.after["replica"].apply(self.node),
                "cast": case.after["cast"],
                "delayed": case.after["delayed"].apply(self.node),
            }
        )
        way = self._way(case.facts, after, AFTER, case.after["record"].fields["output"])
        here = translation.place()
        way.loops = [loop for loop in self.loops if here[: len(loop.path)] == loop.path]
        way.claims = {name: self._claim(claim, env) for name, claim in self._claims().items()}
        return way

    def _way(
        self, facts: list[tuple[str, Any]], after: Record, shape: Any, output: SequenceValue
    ) -> Way:
        compiler = self.compiler
        if output.ordered or is_empty(output):
            sent = compiler.reader(output)
        else:
            sent = compiler.span_reader(self.translation, actions._new(output.span))
        return Way(
            [compiler.compile(fact) for _, fact in facts],
            [
                (name, compiler.compile(fact))
                for name, fact in self.translation.introduced()
                # Also known of symbols that nothing else is said of.
                if name != "a line is a sequence"
            ],
            compiler.reader(after, shape),
            sent,
        )

    def _claims(self) -> dict[str, Expr]:
        """Return the claims about a step: what the proofs show of it."""
        definitions = self.translation.scope.definitions
        bodies = {name: definitions[name].body.parts[1].parts[0] for name in OF_STEP}
        act = Expr("name", ("Act", [named("n"), named("b"), named("new")]))
        return {
            **bodies,
            "V!Act": Expr("within", ("V", [], act)),
            "VotesInv'": Expr("prime", (named("VotesInv"),)),
            "NodeInv(n)'": Expr("prime", (Expr("name", ("NodeInv", [named("n")])),)),
        }

    def _claim(self, claim: Expr, env: Env) -> Compiled:
        translation = self.translation
        after, now = translation.after, translation.now
        output = after["record"].fields["output"]
        shown = SequenceValue(output.length, None, actions._new(output.span))
        record = Record({**after["record"].fields, "output": shown})
        translation.after = {**after, "record": record}
        bound = env.bind(
            b=after["replica"].apply(self.node).fields["promised"],
            new=Filtered(after["cast"], lambda x: actions.lift_not(now["cast"].contains(x))),
        )
        parts = [self.compiler.compile(each) for _, each in self.holds(claim, bound)]
        translation.after = after
        return lambda meanings, on: all(part(meanings, on) for part in parts)

    # Folds: their iterations are looked at here, and nothing is to be proved.

    def _fold(self, translation: Any, values: list[Any]) -> Any:
        before = len(self.loops)
        result = super()._fold(translation, values)
        if len(self.loops) > before:
            self.loops[-1].result = _prefix(result)
        return result

    def _iteration(
        self, operator: Any, start: Any, line: SequenceValue, asserted: Any, shape: Any, name: str
    ) -> None:
        translation, compiler = self.translation, self.compiler
        item, terms = constants(shape)
        current = self._progress(start, name)
        path, facts = list(translation.path), list(translation.facts)
        definition = operator.definition
        bound = operator.env.bind(**dict(zip(definition.parameters, (current, item), strict=True)))
        ways, known = [], len(self.enumerations)
        for more, result in list(translation.splits(definition.body, bound, path)):
            translation.path = more
            ways.append(self._way(more[len(path) :], result, STEP, result.fields["output"]))
        translation.path, translation.facts = path, facts
        anew = [name for each in self.enumerations[known:] for name in _names(each)]
        self.loops.append(
            Loop(
                translation.place(),
                compiler.reader(
                    Record({"state": start.fields["state"], "cast": start.fields["cast"]}), STEP
                ),
                compiler.reader(line, SequenceShape(shape)),
                shape,
                [each.decl().name() for each in terms],
                _prefix(current),
                ways,
                anew,
            )
        )

    # In a state.

    def meanings(self, base: Meanings, node: str, message: Concrete) -> Meanings:
        """Return what all symbols are, given the constants and a state, a node and a message."""
        found = base.copied()
        found[str(self.node.decl().name())] = lambda: node
        if message is not None:
            found.give("m", self.input_shape, lambda: message)
        self.compiler.abbreviated(found, self.translation.abbreviations)
        for each in self.enumerations:
            for name in _names(each):
                found.later[name] = partial(self._enumerate, each)
        for loop in self.loops:
            if "!" in loop.result:
                found.later[loop.result] = loop.run
        return found

    def _enumerate(self, each: actions.Enumeration, meanings: Meanings) -> None:
        """Give the symbols for the numbers that pass a test their meaning."""
        item = f"{_names(each)[0]}.item"
        passes = self.compiler.compile(each.test(z3.Int(item)))
        found = []
        for number in meanings.ranges["Int"]:
            meanings[item] = lambda number=number: number
            if passes(meanings, ()):
                found.append(number)
        places = {number: place for place, number in enumerate(found, 1)}
        count, at, back = _names(each)
        meanings[count] = lambda: len(found)
        meanings[at] = lambda place: found[place - 1] if 1 <= place <= len(found) else 0
        meanings[back] = lambda number: places.get(number, 0)

    def outcomes(
        self, known: Known, base: Meanings, state: Concrete, node: str, message: Concrete
    ) -> Iterator[tuple[Way, Meanings, Concrete, Concrete]]:
        """Yield every way that the node may take: what the state and the output are afterwards."""
        for choice in self._choices(known, state["replica"][node]):
            for way in self.ways:
                meanings = self.meanings(base, node, message)
                meanings.update(choice)
                if way.is_taken(meanings):
                    sent = way.sent(meanings)
                    for loop in way.loops:
                        sent = frozenset(sent) | loop.run(meanings)
                    yield way, meanings, way.after(meanings), sent

    def _choices(self, known: Known, state: Concrete) -> Iterator[dict[str, Callable[..., Any]]]:
        """Yield what the symbols may be that the action leaves open: a number, or slots."""
        free = {name.split("!")[0]: name for name in self.compiler.names if "!" in name}
        if name := free.get("k"):
            yield from ({name: lambda k=k: k} for k in range(known.batch + 2))
        elif name := free.get("slots"):
            slots = sorted({*state["votes"], *known.slots})
            sizes = range(len(slots) + 1)
            for chosen in chain.from_iterable(combinations(slots, size) for size in sizes):
                yield {name: lambda slot, chosen=chosen: slot in chosen}
        else:
            yield {}


def _names(each: actions.Enumeration) -> list[str]:
    return [each.count.decl().name(), each.at.name(), each.back.name()]


def _prefix(t: Record) -> str:
    """Return the name that the symbols of a step in progress begin with."""
    closed = t.fields["state"].fields["closed"].contains(fresh(actions.NUMBER.sort, "i"))
    return str(closed.decl().name()).split(".")[0]


class Assertions:
    """The assertions of Invariant.tla as terms, for any node and for each shape of a message."""

    def __init__(self) -> None:
        self.cluster = actions.Cluster()
        self.compiler = Compiler()
        self.node = fresh(actions.ID, "n")
        written = {**{name: name for name in OF_VOTES}, **OF_NODE}
        module = "\n".join(f"A{at}(n) == {each}" for at, each in enumerate(written.values()))
        parsed = syntax.parse(f"---- MODULE Asserted ----\n{module}\n====\n", Path("Asserted"))
        self.terms = {
            name: self._term(each.body, n=self.node)
            for name, each in zip(written, parsed.definitions.values(), strict=True)
        }
        self.of_messages = []
        for shape in (*actions.MESSAGES.values(), actions.REQUEST, actions.LOG, *actions.PARTS):
            message = self.cluster.translation.constants["m"] = symbol("m", shape)
            claim = Expr("name", ("MessageInv", [named("m")]))
            self.of_messages.append((shape, self._term(claim, m=message)))

    def _term(self, expr: Expr, **names: Any) -> Compiled:
        env = self.cluster.translation.env.bind(**names)
        parts = [self.compiler.compile(each) for _, each in self.cluster.holds(expr, env)]
        return lambda meanings, bound: all(part(meanings, bound) for part in parts)

    def evaluated(self, base: Meanings, name: str, about: Any) -> bool:
        """Return whether an assertion about a node, a message or the votes is true."""
        meanings = base.copied()
        self.compiler.abbreviated(meanings, self.cluster.translation.abbreviations)
        if name == "MessageInv":
            shape = message_shape(about)
            meanings.give("m", shape, lambda: about)
            return bool(
                next(term for each, term in self.of_messages if each is shape)(meanings, ())
            )
        meanings[self.node.decl().name()] = lambda: about
        return bool(self.terms[name](meanings, ()))


# The comparison.


def compare(
    number: int,
    seed: int = 1,
    clusters: Iterable[Cluster] = CLUSTERS,
    only: Sequence[str] = tuple(actions.ACTIONS),
) -> list[Row]:
    """Evaluate the assertions and these actions in `number` states of each cluster and kind.

    An action that no state has an input for has a row without evaluations, which does not pass.
    """
    random_numbers = random.Random(seed)
    rows = {(name, "reachable"): Row(name, "reachable", 0, 0, 0) for name in only}
    asserted = Assertions()
    watched = [
        (action, shape, Watched(action, shape))
        for action in only
        for shape in actions.inputs(action)
    ]
    for cluster in clusters:
        known, reached = walked(cluster, number, random_numbers)
        changed = [altered(each, known, random_numbers) for each in reached]
        for kind, states in (("reachable", reached), ("altered", changed)):
            states = [each for each in states if steps_are_defined(each)]
            for state, found in zip(states, evaluated(cluster, states), strict=True):
                comparison = Comparison(rows, kind, known, state, found)
                comparison.assertions(asserted)
                for action, shape, each in watched:
                    comparison.steps(action, shape, each)
    return list(rows.values())


@dataclass
class Comparison:
    """Compares what TLC found in one state with the terms, into rows."""

    rows: dict[tuple[str, str], Row]
    kind: str
    known: Known
    state: Concrete
    found: Found

    def __post_init__(self) -> None:
        self.base = meanings_of(self.known, self.state)

    def count(self, name: str, ours: Any, theirs: Any, true: bool, about: Any = "") -> None:
        """Count one evaluation."""
        row = self.rows.setdefault((name, self.kind), Row(name, self.kind, 0, 0, 0))
        row.evaluations += 1
        row.true += true
        row.different += ours != theirs
        if ours != theirs and len(row.examples) < 3:
            row.examples.append(f"{about}: {ours}, not {theirs}")

    def assertions(self, asserted: Assertions) -> None:
        """Compare every assertion about the votes, the nodes and the messages."""
        for (name, about), theirs in self.found.asserted.items():
            ours = asserted.evaluated(self.base, name, about)
            self.count(name, ours, theirs, theirs, about)

    def steps(self, action: str, shape: RecordShape | None, watched: Watched) -> None:
        """Compare the steps of every node, with every message of the shape that there is."""
        for node in self.known.members:
            if shape is None:
                self._step(action, action.lower(), node, None, watched)
                continue
            for message in sorted(self.state["network"], key=text.text):
                if message_shape(message) is shape and message["dest"] == node:
                    self._step(action, message, node, message, watched)

    def _step(self, action: str, key: Any, node: str, message: Concrete, watched: Watched) -> None:
        theirs = self.found.taken.get((node, key), [])
        ours = list(watched.outcomes(self.known, self.base, self.state, node, message))
        pairs = [
            [each for each in theirs if each.after == after and _same_output(sent, each.output)]
            for _, _, after, sent in ours
        ]
        met = [each for each in theirs if any(each in pair for pair in pairs)]
        agrees = all(pairs) and len(met) == len(theirs)
        self.count(action, agrees, True, bool(theirs), (node, key))
        lawful = all(self.found.asserted.values())
        for (way, meanings, _, _), pair in zip(ours, pairs, strict=True):
            if pair:
                self._claims(way, meanings, pair[0])
            for name, fact in way.known:
                if lawful or not name.startswith("after the fold"):
                    self.count("known of new symbols", bool(fact(meanings, ())), True, True)

    def _claims(self, way: Way, meanings: Meanings, taken: Taken) -> None:
        for name, claim in way.claims.items():
            # What an iteration sends is looked at where it is sent.
            if not way.loops or name not in actions.TRUTHS:
                theirs = taken.claims[name]
                self.count(name, bool(claim(meanings, ())), theirs, theirs)


def _same_output(ours: Concrete, theirs: list[Concrete]) -> bool:
    """Compare sequences, or sets where the order of ours is not known."""
    if isinstance(ours, frozenset):
        return {_plain(each) for each in ours} == {_plain(each) for each in theirs}
    return [_plain(each) for each in ours] == [_plain(each) for each in theirs]


def _plain(value: Concrete) -> Concrete:
    """Return a message with functions in place of sequences."""
    return normal(value, None)
