"""The theorems of MultiPaxos.tla: each action keeps Inv, is a step of Voting, and sends the truth.

As in models/MCInvariant.tla the invariant is shown for one node and one message: an action of a
node keeps what is asserted of the votes, of that node and of what it sends (`own`), and no step of
another node harms what is asserted of a node or of a message (`stable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from ..locations import LIBRARIES, PACKAGE
from .assumed import STANDARD_NATIVES, Quorums, line_facts
from .evaluate import Case, Env, Native, Translation
from .logic import Term, conj, forall, fresh, fresh_function, implies, lift, restart_numbers
from .obligations import Hypothesis, Obligation, stated
from .syntax import Expr
from .values import (
    AnySet,
    Either,
    Filtered,
    Fixed,
    Function,
    FunctionShape,
    Image,
    Listed,
    Plain,
    Record,
    RecordShape,
    SequenceShape,
    SequenceValue,
    SetShape,
    SetValue,
    Test,
    Union,
    Untranslatable,
    Value,
    either,
    equal,
    sequence,
    symbol,
)
from .voting import named

ROOT = PACKAGE / "tla" / "Loops.tla"

# Names of nodes and clients; a slot, a ballot and the number of a message are numbers.
ID, VALUE = z3.DeclareSort("Id"), z3.DeclareSort("Value")
NUMBER = Plain(z3.IntSort(), "i")
SLOT, BALLOT = Plain(z3.IntSort(), "slot"), Plain(z3.IntSort(), "b")
NAME, TEXT, TRUTH = Plain(ID, "a"), Plain(VALUE, "v"), Plain(z3.BoolSort(), "t")

VOTE = RecordShape({"node": NAME, "slot": SLOT, "ballot": BALLOT, "value": TEXT})
LAST_VOTE = RecordShape({"ballot": BALLOT, "value": TEXT})
VOTES = FunctionShape(SLOT, LAST_VOTE)


def message(type_: str, **body: Any) -> RecordShape:
    """The shape of a message of a type."""
    return RecordShape(
        {"src": NAME, "dest": NAME, "body": RecordShape({"type": Fixed(type_), **body})}
    )


REQUEST = message("multi_paxos_propose", msg_id=NUMBER, slot=SLOT, value=TEXT)
LOG = message("multi_paxos_log", msg_id=NUMBER)
PARTS = [
    message("multi_paxos_log", msg_id=NUMBER, **{"from": SLOT}),
    message("multi_paxos_log", msg_id=NUMBER, limit=NUMBER),
    message("multi_paxos_log", msg_id=NUMBER, **{"from": SLOT, "limit": NUMBER}),
]
WAITS = RecordShape({"request": REQUEST, "phase1_skipped": TRUTH})

MESSAGES = {
    "prepare": message("prepare", ballot=BALLOT, known=SetShape(SLOT)),
    "promise": message("promise", ballot=BALLOT, accepted=VOTES, known=SetShape(SLOT)),
    "accept": message("accept", ballot=BALLOT, slot=SLOT, value=TEXT),
    "accepted": message("accepted", ballot=BALLOT, slot=SLOT),
    "rejected": message("rejected", promised=BALLOT),
    "decided": message("decided", slot=SLOT, value=TEXT),
    "poll": message("poll", version=NUMBER),
    "learn": message("learn", known=SetShape(SLOT)),
    "learned": message("learned", decided=FunctionShape(SLOT, TEXT), more=TRUTH, version=NUMBER),
}

STATE = RecordShape(
    {
        "promised": BALLOT,
        "accepted": VOTES,
        "decided": FunctionShape(SLOT, TEXT),
        "up": TRUTH,
        "ballot": BALLOT,
        "promises": SetShape(NAME),
        "reported": VOTES,
        "closed": SetShape(SLOT),
        "votes": FunctionShape(SLOT, SetShape(NAME)),
        "waiting": SequenceShape(WAITS),
        "versions": FunctionShape(NAME, NUMBER),
    }
)

# Action -> the messages that it receives; none for one that takes no message.
ACTIONS: dict[str, list[RecordShape]] = {
    "ReceiveMultiPaxosPropose": [REQUEST],
    "ReceiveMultiPaxosLog": [LOG, *PARTS],
    "ReceivePrepare": [MESSAGES["prepare"]],
    "ReceivePromise": [MESSAGES["promise"]],
    "ReceiveAccept": [MESSAGES["accept"]],
    "ReceiveAccepted": [MESSAGES["accepted"]],
    "ReceiveRejected": [MESSAGES["rejected"]],
    "ReceiveDecided": [MESSAGES["decided"]],
    "ReceivePoll": [MESSAGES["poll"]],
    "ReceiveLearn": [MESSAGES["learn"]],
    "ReceiveLearned": [MESSAGES["learned"]],
    "Timeout": [],
    "Repeat": [],
    "Inquire": [],
    "Expire": [],
    "Crash": [],
    "Restart": [],
}

# Properties of what a step sends, and of what it does.
TRUTHS = ("ReplyIsTrue", "LogIsTrue", "SkipIsTrue", "RefusalIsTrue", "KnownIsSent")
STEPS = ("DecidedStays", "PromisedGrows", "BallotsAreAwaited")


class Network(SetValue):
    """The messages on their way, of which nothing is known in general."""


class SentByFold(SetValue):
    """What a fold sent: an obligation of the iteration that sent it."""

    def every(self, test: Test) -> Term:
        raise Untranslatable("what a fold sends is looked at where it is sent")


@dataclass(frozen=True)
class Enumeration:
    """Symbols for the numbers that pass a test, in ascending order: how many, which, and where."""

    count: Term
    at: Any
    back: Any
    test: Callable[[Term], Term]


class Enumerated(SequenceValue):
    """The members of a set of numbers in ascending order."""

    def __init__(self, length: Term, apply: Callable[[Value], Value], members: SetValue) -> None:
        super().__init__(length, apply, members)


class Cluster:
    """MultiPaxos with arbitrary constants, in an arbitrary state; and one step of a node."""

    def __init__(self, root: Path = ROOT, replaced: Mapping[str, str] | None = None) -> None:
        restart_numbers()
        self.quorums = Quorums(ID)
        self.is_node = z3.Function("Node", ID, z3.BoolSort())
        self.nodes = AnySet(NAME, lambda item: self.is_node(item))
        self.owner = z3.Function("Owner", z3.IntSort(), ID)
        self.next_ballot = z3.Function("NextBallot", ID, z3.IntSort(), z3.IntSort())
        self.is_slot = z3.Function("Slots", z3.IntSort(), z3.BoolSort())
        self.is_proposed = z3.Function("Proposed", z3.IntSort(), VALUE, z3.BoolSort())
        self.obligations: list[Obligation] = []
        self.enumerations: list[Enumeration] = []
        self.theorem = ""
        # What is asserted of the node: between two iterations most of it is asserted anew.
        self.of_node: list[Hypothesis] = []
        # Whether what is asserted of a fold is taken as known at the moment, or is to be shown.
        self.assuming = False
        self.base: list[Hypothesis] = []
        self.node: Term = None
        self.input: Value = None
        members = symbol("Members", SequenceShape(NAME))
        self.translation = Translation(
            root, self._constants(members), self._natives(), dict(replaced or {}), LIBRARIES
        )
        self.translation.now = {
            "replica": symbol("replica", FunctionShape(NAME, STATE, self.nodes)),
            "network": Network(),
            "cast": symbol("cast", SetShape(VOTE)),
            "delayed": symbol("delayed", FunctionShape(NAME, SetShape(REQUEST), self.nodes)),
            "record": Record({}),
        }
        self.axioms = self._axioms(members)

    def _constants(self, members: SequenceValue) -> dict[str, Any]:
        restless = z3.Function("Restless", ID, z3.BoolSort())
        return {
            "Members": SequenceValue(members.length, members.apply, self.nodes),
            "Requests": self._requests(),
            "Batch": z3.Int("Batch"),
            "Restless": AnySet(NAME, lambda item: restless(item)),
            "quorums in": self.quorums.within,
        }

    def _natives(self) -> dict[str, Native]:
        """Return the operators that are given by axioms or by symbols of their own."""
        return {
            **STANDARD_NATIVES,
            "IsQuorum": self.quorums.is_quorum,
            "Owner": lambda translation, values: self.owner(lift(values[0])),
            "NextBallot": lambda translation, values: self.next_ballot(values[0], values[1]),
            "SelectSeq": self._select,
            "Ascending": self._ascending,
            "Version": self._version,
            "Fold": self._fold,
            "Slots": lambda translation, values: AnySet(
                SLOT, lambda item: self.is_slot(lift(item))
            ),
            "Proposed": lambda translation, values: self.is_proposed(lift(values[0]), values[1]),
        }

    def _requests(self) -> SetValue:
        found: SetValue = symbol("Requests", SetShape(REQUEST))
        for index, shape in enumerate([LOG, *PARTS]):
            found = Union(found, symbol(f"Requests.log{index}", SetShape(shape)))
        return found

    def _axioms(self, members: SequenceValue) -> list[Hypothesis]:
        a, q, b, i = z3.Const("a", ID), z3.Const("q", self.quorums.sort), z3.Int("b"), z3.Int("i")
        above, other = self.next_ballot(a, b), z3.Const("other", ID)
        alone = self.quorums.is_quorum(self.translation, [Listed([a])])
        slot, value = z3.Int("slot"), z3.Const("v", VALUE)
        slots = self._defined("Slots").contains(slot)
        proposed = self._defined("Proposed", slot, value)
        return [
            Hypothesis(
                "the members of a quorum are nodes",
                z3.ForAll([q, a], z3.Implies(self.quorums.has(q, a), self.is_node(a))),
            ),
            Hypothesis(
                "every node has a ballot above any other",
                z3.ForAll(
                    [a, b], z3.Implies(self.is_node(a), z3.And(above > b, self.owner(above) == a))
                ),
            ),
            Hypothesis(
                "requests come from clients",
                self.translation.constants["Requests"].every(
                    lambda request: z3.Not(self.is_node(request.fields["src"]))
                ),
            ),
            Hypothesis(
                "members are nodes",
                z3.ForAll(
                    [i],
                    z3.Implies(z3.And(i >= 1, i <= members.length), self.is_node(members.apply(i))),
                ),
            ),
            Hypothesis(
                "Slots, by its definition", z3.ForAll([slot], self.is_slot(slot) == lift(slots))
            ),
            Hypothesis(
                "Proposed, by its definition",
                z3.ForAll([slot, value], self.is_proposed(slot, value) == lift(proposed)),
            ),
            Hypothesis(
                "a node that is a quorum is alone",
                forall(
                    [a, other],
                    z3.Implies(z3.And(alone, self.is_node(other)), a == other),
                    [alone, self.is_node(other)],
                ),
            ),
        ]

    def _defined(self, name: str, *values: Value) -> Value:
        """What a definition says, of one that has a symbol of its own in the obligations."""
        translation = self.translation
        definition = translation.scope.definitions[name]
        names = dict(zip(definition.parameters, values, strict=True))
        return translation.evaluate(definition.body, translation.env.bind(**names))

    # Sequences that are not known item by item.

    def _select(self, translation: Translation, values: list[Any]) -> Value:
        """SelectSeq(s, test): the items that pass, in their order."""
        base, test = values[0], translation.operator(values[1])
        if isinstance(base.length, int):
            kept = [base.apply(i) for i in range(1, base.length + 1)]
            tests = [test(item) for item in kept]
            if all(isinstance(each, bool) for each in tests):
                return sequence([item for item, each in zip(kept, tests, strict=True) if each])
        integer = z3.IntSort()
        count = fresh(integer, "selected")
        place, back = (
            fresh_function("place", integer, integer),
            fresh_function("back", integer, integer),
        )
        i, j = fresh(integer, "i"), fresh(integer, "j")
        inside = z3.And(i >= 1, i <= count)
        there = z3.And(j >= 1, j <= lift(base.length))
        facts = [
            z3.And(count >= 0, count <= lift(base.length)),
            z3.ForAll(
                [i],
                z3.Implies(
                    inside,
                    z3.And(
                        place(i) >= 1,
                        place(i) <= lift(base.length),
                        back(place(i)) == i,
                        lift(test(base.apply(place(i)))),
                    ),
                ),
                patterns=[place(i)],
            ),
            z3.ForAll(
                [j],
                z3.Implies(
                    z3.And(there, lift(test(base.apply(j)))),
                    z3.And(back(j) >= 1, back(j) <= count, place(back(j)) == j),
                ),
            ),
        ]
        translation.know(*[("selected", fact) for fact in facts])

        def passes(index: Term) -> Term:
            within = conj(index >= 1, index <= lift(base.length))
            return conj(within, lift(test(base.apply(index))))

        self.enumerations.append(Enumeration(count, place, back, passes))
        return SequenceValue(
            count, lambda index: base.apply(place(lift(index))), Filtered(base.span, test)
        )

    def _ascending(self, translation: Translation, values: list[Any]) -> Value:
        """Ascending(S): all of its members, each once."""
        integer = z3.IntSort()
        count, at = fresh(integer, "members"), fresh_function("member", integer, integer)
        back = fresh_function("position", integer, integer)
        i, slot = fresh(integer, "i"), fresh(integer, "slot")
        facts = [
            z3.Implies(count > 0, lift(values[0].contains(at(1)))),
            count >= 0,
            z3.ForAll(
                [i],
                z3.Implies(
                    z3.And(i >= 1, i <= count),
                    z3.And(lift(values[0].contains(at(i))), back(at(i)) == i),
                ),
                patterns=[at(i)],
            ),
            z3.ForAll(
                [slot],
                z3.Implies(
                    lift(values[0].contains(slot)),
                    z3.And(back(slot) >= 1, back(slot) <= count, at(back(slot)) == slot),
                ),
            ),
        ]
        translation.know(*[("ascending", fact) for fact in facts])
        self.enumerations.append(Enumeration(count, at, back, values[0].contains))
        return Enumerated(count, lambda index: at(lift(index)), values[0])

    def _version(self, translation: Translation, values: list[Any]) -> Value:
        """Version(s): how many slots are known, as the length of the sequence of them."""
        return self._ascending(translation, [values[0].fields["decided"].domain]).length

    # Folds, by induction.

    def _fold(self, translation: Translation, values: list[Any]) -> Value:
        operator, start, line = values
        name = operator.definition.name
        if isinstance(line.length, int):
            apply = translation.operator(operator)
            for index in range(1, line.length + 1):
                start = apply(start, line.apply(index))
            return start
        loops = {
            "inherit": self._inherits,
            "again": self._inherits,
            "serve": self._serves,
            "decide": self._decides,
            "repeat": self._repeats,
        }
        if name not in loops:
            raise Untranslatable(f"there is no assertion for the fold of {name}")
        asserted, shape = loops[name](operator, start, line)
        promises = start.fields["state"].fields["promises"]
        translation.know(
            ("a set with a quorum in it is one", self.quorums.all_of(translation, promises))
        )
        before = [*self.given_before(), *_given(translation.path), *self.known()]
        empty = AnySet(shape, lambda item: False)
        for label, goal in asserted(empty, start):
            self._oblige(f"fold of {name} begins: {label}", before, goal)
        self._iteration(operator, start, line, asserted, shape, name)
        result = self._progress(start, name)
        self.assuming = True
        translation.know(
            *[
                (f"after the fold of {name}: {label}", goal)
                for label, goal in asserted(line.span, result)
            ]
        )
        self.assuming = False
        output = SequenceValue(
            fresh(z3.IntSort(), "sent"), None, Union(start.fields["output"].span, SentByFold())
        )
        return Record({**result.fields, "output": output})

    def _iteration(
        self, operator: Any, start: Value, line: SequenceValue, asserted: Any, shape: Any, name: str
    ) -> None:
        """That one iteration keeps what is asserted of the fold."""
        translation = self.translation
        done = symbol(str(fresh(z3.BoolSort(), "done")), SetShape(shape))
        item, _ = _constants(shape)
        current = self._progress(start, name)
        path, facts = list(translation.path), list(translation.facts)
        self.assuming = True
        entry: list[tuple[str, Term]] = [
            ("an item of the fold", line.span.contains(item)),
            ("done once", z3.Not(lift(done.contains(item)))),
            *[(f"fold of {name}: {label}", goal) for label, goal in asserted(done, current)],
        ]
        self.assuming = False
        both = Union(done, Listed([item]))
        definition = operator.definition
        bound = operator.env.bind(**dict(zip(definition.parameters, (current, item), strict=True)))
        for more, result in translation.splits(definition.body, bound, [*path, *entry]):
            translation.path = more
            hypotheses = [*self.given_before(True), *_given(more), *self.known()]
            plain = Record({**result.fields, "output": SequenceValue(0, None, Listed([]))})
            for label, goal in asserted(both, plain):
                self._oblige(f"fold of {name}: {label}", hypotheses, goal)
            self._sent(f"fold of {name}: ", result, hypotheses)
            translation.path = path
        translation.path, translation.facts = path, facts

    def given_before(self, within: bool = False) -> list[Hypothesis]:
        """The base, with what is asserted of the node marked if a fold has changed it since."""
        names = [name for name, _ in self.translation.introduced()]
        if not within and not any(name.startswith("after the fold") for name in names):
            return self.base
        return [
            Hypothesis(f"before: {each.name}", each.term) if each in self.of_node else each
            for each in self.base
        ]

    def _progress(self, start: Value, name: str) -> Value:
        """A step in progress that differs from `start` in what the fold may change."""
        hint = str(fresh(z3.BoolSort(), name))
        state = start.fields["state"]
        varies = {"accepted", "decided", "votes", "closed", "waiting"}
        if name == "decide":
            varies.add("reported")
        if name == "repeat":
            varies = set()
        fields = {
            key: symbol(f"{hint}.{key}", STATE.fields[key]) if key in varies else value
            for key, value in state.fields.items()
        }
        casts = name not in ("decide", "repeat")
        cast = symbol(f"{hint}.cast", SetShape(VOTE)) if casts else start.fields["cast"]
        empty = SequenceValue(0, None, Listed([]))
        for key in varies & {"waiting"}:
            self.translation.know(("a line is a sequence", line_facts(fields[key], WAITS)))
        return Record({"state": Record(fields), "output": empty, "cast": cast})

    def _frame(self, start: Value, t: Value, name: str) -> Iterator[tuple[str, Term]]:
        """That nothing else was changed.  Of a step in progress that is so (see `_progress`)."""
        if self.assuming:
            return
        fixed = {"promised", "ballot", "promises", "up"}
        if name == "repeat":
            fixed = set(STATE.fields)
        elif name != "decide":
            fixed.add("reported")
        for key in sorted(fixed):
            yield (
                f"{key} stays",
                equal(t.fields["state"].fields[key], start.fields["state"].fields[key]),
            )
        if name in ("decide", "repeat"):
            yield "no vote is cast", equal(t.fields["cast"], start.fields["cast"])

    def _inherits(self, operator: Any, start: Value, line: SequenceValue) -> Any:
        inherited = self.translation.lookup("inherited", [], operator.env, "")

        def asserted(done: SetValue, t: Value) -> Iterator[tuple[str, Term]]:
            pending = Filtered(line.span, lambda slot: lift_not(done.contains(slot)))
            yield from self._frame(start, t, "inherit")
            yield from self._leads(start, t, pending, inherited)
            ballot = t.fields["state"].fields["ballot"]
            votes = self._applied("MayInherit", self.node, ballot, pending, inherited)
            yield from self._shown(*votes)

        return asserted, SLOT

    def _serves(self, operator: Any, start: Value, line: SequenceValue) -> Any:
        nothing = AnySet(SLOT, lambda slot: False)

        def asserted(done: SetValue, t: Value) -> Iterator[tuple[str, Term]]:
            yield from self._frame(start, t, "serve")
            yield from self._leads(start, t, nothing, t.fields["state"].fields["reported"])
            yield from self._after(t, "Served", self.node, line.span, done)

        return asserted, WAITS

    def _leads(
        self, start: Value, t: Value, pending: SetValue, reports: Value
    ) -> Iterator[tuple[str, Term]]:
        yield from self._after(t, "VotesAreRequested")
        yield from self._after(t, "Leads", self.node, pending, reports)
        yield from self._after(t, "Keeps", self.node, start.fields["state"])
        ballot, votes = t.fields["state"].fields["ballot"], t.fields["cast"]
        yield from self._shown(*self._applied("Casts", self.node, ballot, votes))

    def _decides(self, operator: Any, start: Value, line: SequenceValue) -> Any:
        def asserted(done: SetValue, t: Value) -> Iterator[tuple[str, Term]]:
            yield from self._frame(start, t, "decide")
            yield from self._after(t, "NodeInv", self.node)
            yield from self._after(t, "Keeps", self.node, start.fields["state"])

        return asserted, SLOT

    def _repeats(self, operator: Any, start: Value, line: SequenceValue) -> Any:
        def asserted(done: SetValue, t: Value) -> Iterator[tuple[str, Term]]:
            yield from self._frame(start, t, "repeat")

        return asserted, SLOT

    # Steps.

    def step(self, t: Value) -> dict[str, Value]:
        """The next values if the step ended with t: the definition of Step."""
        translation = self.translation
        definition = translation.scope.definitions["Step"]
        names = dict(zip(definition.parameters, (self.node, self.input, t), strict=True))
        env = Env(translation.scope, names)
        path = translation.path
        (case,) = translation.cases(definition.body, env, Case(list(path)))
        translation.path = path
        return case.after

    def _after(self, t: Value, name: str, *values: Value) -> Iterator[tuple[str, Term]]:
        """The conjuncts of a definition in the state after t, under their names."""
        translation, kept = self.translation, self.translation.after
        translation.after = self.step(t)
        goal, env = self._applied(name, *values)
        found = list(self._shown(Expr("prime", (goal,)), env))
        translation.after = kept
        yield from found

    def _applied(self, name: str, *values: Value) -> tuple[Expr, Env]:
        """A definition of these values, as an expression and where it stands."""
        names = [f"given{index}" for index in range(len(values))]
        env = self.translation.env.bind(**dict(zip(names, values, strict=True)))
        return Expr("name", (name, [named(each) for each in names])), env

    def _shown(self, goal: Expr, env: Env) -> Iterator[tuple[str, Term]]:
        """The conjuncts of what is asserted of a fold, as assumptions or as goals."""
        return self.holds(goal, env) if self.assuming else self.parts(goal, env)

    def parts(self, goal: Expr, env: Env | None = None) -> Iterator[tuple[str, Term]]:
        """What has to be shown for an expression: its conjuncts, under their names."""
        for each in self.translation.parts(goal, env or self.translation.env):
            fact = conj(*[fact for _, fact in each.facts])
            yield (
                f"{each.label} ({each.where})",
                implies(fact, lambda each=each: each.formula),  # type: ignore[misc]
            )

    def holds(self, goal: Expr, env: Env | None = None) -> Iterator[tuple[str, Term]]:
        """The conjuncts of an expression that is known to hold, under their names."""
        for each in self.translation.parts(goal, env or self.translation.env):
            fact = conj(*[fact for _, fact in each.facts])
            whole = implies(fact, lambda each=each: each.formula)  # type: ignore[misc]
            yield f"{each.label} ({each.where})", forall(each.bound, whole)

    def known(self) -> list[Hypothesis]:
        """What is known of the values that the translation introduced so far."""
        return [Hypothesis(name, fact) for name, fact in self.translation.introduced()]

    def _oblige(self, name: str, hypotheses: list[Hypothesis], goal: Term) -> None:
        if goal is not True:
            abbreviations = self.translation.abbreviations
            self.obligations.append(stated(self.theorem, name, hypotheses, goal, abbreviations))

    # What is sent.

    def _sent(self, label: str, t: Value, hypotheses: list[Hypothesis]) -> None:
        """What a step says is true: every message to a node, and every answer to a client."""

        def oblige(name: str, goal: Term) -> None:
            self._oblige(f"{label}{name}", [*hypotheses, *self.known()], goal)

        translation, kept = self.translation, self.translation.after
        translation.after = self.step(t)
        env = translation.env.bind(
            **{
                "sent": Image(
                    Filtered(
                        _new(t.fields["output"].span), lambda m: self.is_node(m.fields["dest"])
                    ),
                    lambda m: m,
                )
            }
        )
        every = Expr(
            "prime",
            (
                Expr(
                    "a",
                    (
                        [("m", Expr("name", ("sent", [])))],
                        Expr("name", ("MessageInv", [Expr("name", ("m", []))])),
                    ),
                ),
            ),
        )
        for name, goal in self.parts(every, env):
            oblige(f"sends {name}", goal)
        output = translation.after["record"].fields["output"]
        sent = SequenceValue(output.length, None, _new(output.span))
        record = Record({**translation.after["record"].fields, "output": sent})
        translation.after = {**translation.after, "record": record}
        for truth in TRUTHS:
            body = translation.scope.definitions[truth].body
            # [][P]_vars: P of this step.
            for name, goal in self.parts(body.parts[1].parts[0]):
                oblige(f"{truth} {name}", goal)
        translation.after = kept


def _new(span: SetValue) -> SetValue:
    """What was sent, without what a fold sent: that is an obligation of the iteration."""
    if isinstance(span, SentByFold):
        return Listed([])
    if isinstance(span, Union):
        return Union(_new(span.first), _new(span.second))
    if isinstance(span, Either):
        return Either(span.test, _new(span.first), _new(span.second))
    return span


def lift_not(term: Term) -> Term:
    """Not that, as a term."""
    return z3.Not(lift(term))


def _constants(shape: Any) -> tuple[Value, list[Term]]:
    from .values import constants

    return constants(shape)


def _given(facts: list[tuple[str, Term]]) -> list[Hypothesis]:
    return [Hypothesis(where, fact) for where, fact in facts if fact is not True]


def inputs(action: str) -> list[RecordShape | None]:
    """The shapes of the messages that an action takes; None alone for one that takes none."""
    return [*ACTIONS[action]] or [None]


def own(
    action: str,
    shape: RecordShape | None,
    root: Path = ROOT,
    replaced: Mapping[str, str] | None = None,
) -> list[Obligation]:
    """What has to be shown of one action of a node that takes a message of a shape, or none."""
    return _own(action, shape, root, replaced).obligations


def _own(
    action: str, shape: RecordShape | None, root: Path, replaced: Mapping[str, str] | None
) -> Cluster:
    cluster = Cluster(root, replaced)
    translation = cluster.translation
    cluster.theorem = action
    node = fresh(ID, "n")
    cluster.node = node
    names: dict[str, Any] = {"n": node}
    assumed: list[tuple[str, Term]] = [("n is a node", cluster.is_node(node))]
    if shape is None:
        cluster.input = Record({"event": "none"})
    else:
        received = symbol("m", shape)
        received.fields["dest"] = node
        cluster.input = received
        names["m"] = received
        translation.constants["m"] = received
        claim = Expr("name", ("MessageInv", [named("m")]))
        assumed.append(
            ("MessageInv(m)", translation.evaluate(claim, translation.env.bind(m=received)))
        )
    env = translation.env.bind(**names)
    votes = [*cluster.holds(named("VotesInv")), *cluster.holds(named("VotesAreRequested"))]
    cluster.of_node = _given(list(cluster.holds(Expr("name", ("NodeInv", [named("n")])), env)))
    state = translation.now["replica"].apply(node)
    cluster.base = [
        *cluster.axioms,
        *_given(assumed),
        *_given(votes),
        *cluster.of_node,
        Hypothesis("a line is a sequence", line_facts(state.fields["waiting"], WAITS)),
    ]
    arguments = [named(name) for name in names]
    for case in translation.cases(Expr("name", (action, arguments)), env, Case()):
        translation.after, translation.path = case.after, case.facts
        _ends(cluster, case, names)
    return cluster


def _ends(cluster: Cluster, case: Case, names: Mapping[str, Any]) -> None:
    """What has to hold after one way to take a step."""
    translation = cluster.translation
    translation.after, translation.path = case.after, case.facts
    hypotheses = [*cluster.given_before(), *_given(case.facts)]
    env = translation.env.bind(**names)
    for goal in (named("VotesFit"), Expr("name", ("NodeInv", [named("n")]))):
        primed = Expr("prime", (goal,))
        for name, term in cluster.parts(primed, env):
            cluster._oblige(name, [*hypotheses, *cluster.known()], term)
    new = case.after["replica"].apply(cluster.node)
    env = env.bind(
        b=new.fields["promised"],
        new=Filtered(case.after["cast"], lambda x: lift_not(translation.now["cast"].contains(x))),
    )
    act = Expr("within", ("V", [], Expr("name", ("Act", [named("n"), named("b"), named("new")]))))
    for name, term in cluster.parts(act, env):
        cluster._oblige(f"step of Voting: {name}", [*hypotheses, *cluster.known()], term)
    for truth in STEPS:
        body = translation.scope.definitions[truth].body.parts[1].parts[0]
        for name, term in cluster.parts(body, env):
            cluster._oblige(f"{truth} {name}", [*hypotheses, *cluster.known()], term)
    t = Record({"state": new, "output": case.after["record"].fields["output"], "cast": Listed([])})
    kept = cluster.step
    cluster.step = lambda t: case.after  # type: ignore[method-assign]
    cluster._sent("", t, hypotheses)
    cluster.step = kept  # type: ignore[method-assign]


def stable(
    shape: RecordShape | None, root: Path = ROOT, replaced: Mapping[str, str] | None = None
) -> list[Obligation]:
    """That no step of a node q harms what is asserted of another node, or of a message of a shape.

    Of the step only this is used: it is one of Voting after which OwnersVoteFirst holds, it keeps
    what q knows to be decided, and it changes no other node.
    """
    cluster = Cluster(root, replaced)
    translation = cluster.translation
    other = fresh(ID, "q")
    new = symbol("new", SetShape(VOTE))
    before = translation.now["replica"]
    changed = symbol("changed", STATE)
    grown = symbol("grown", SetShape(REQUEST))
    translation.after = {
        **translation.now,
        "cast": Union(translation.now["cast"], new),
        "replica": _except(before, other, changed),
        "delayed": _except(translation.now["delayed"], other, grown),
    }
    names: dict[str, Any] = {"q": other, "b": changed.fields["promised"], "new": new}
    facts: list[tuple[str, Term]] = []
    if shape is None:
        node = fresh(ID, "n")
        names["n"] = node
        facts.append(("another node", lift_not(node == other)))
        asserted = Expr("name", ("NodeInv", [named("n")]))
    else:
        names["m"] = symbol("m", shape)
        asserted = Expr("name", ("MessageInv", [named("m")]))
    env = translation.env.bind(**names)
    act = Expr("within", ("V", [], Expr("name", ("Act", [named("q"), named("b"), named("new")]))))
    facts += cluster.holds(asserted, env)
    facts += [("V!Act", fact) for _, fact in cluster.holds(act, env)]
    after = Expr("prime", (named("OwnersVoteFirst"),))
    facts += [(f"after: {name}", term) for name, term in cluster.holds(after, env)]
    stays = translation.scope.definitions["DecidedStays"].body.parts[1].parts[0]
    facts += [("DecidedStays", fact) for _, fact in cluster.holds(stays, env)]
    of_what = "a node" if shape is None else str(shape.fields["body"].fields["type"].value)
    cluster.theorem = f"stable: {of_what}"
    for name, goal in cluster.parts(Expr("prime", (asserted,)), env):
        cluster._oblige(name, [*_given(facts), *cluster.known()], goal)
    return cluster.obligations


def backed(root: Path = ROOT, replaced: Mapping[str, str] | None = None) -> list[Obligation]:
    """That all votes are backed after a step of Voting, so after each step that is one."""
    cluster = Cluster(root, replaced)
    translation = cluster.translation
    node, ballot, new = fresh(ID, "n"), fresh(z3.IntSort(), "b"), symbol("new", SetShape(VOTE))
    before = translation.now["replica"]
    state = before.apply(node)
    promised = Record({**state.fields, "promised": ballot})
    translation.after = {
        **translation.now,
        "cast": Union(translation.now["cast"], new),
        "replica": _except(before, node, promised),
    }
    env = translation.env.bind(n=node, b=ballot, new=new)
    act = Expr("within", ("V", [], Expr("name", ("Act", [named("n"), named("b"), named("new")]))))
    keep = Expr("within", ("V", [], named("VotesKeepPromises")))
    facts: list[tuple[str, Term]] = []
    for holds in (named("VotesAreBacked"), keep):
        facts += cluster.holds(holds, env)
    facts += [("V!Act", fact) for _, fact in cluster.holds(act, env)]
    cluster.theorem = "stable: votes"
    for name, goal in cluster.parts(Expr("prime", (named("VotesAreBacked"),)), env):
        cluster._oblige(name, _given(facts), goal)
    return cluster.obligations


def _except(function: Function, key: Term, value: Value) -> Function:
    """[function EXCEPT ![key] = value]"""
    return Function(
        function.domain,
        lambda other: either(equal(other, key), value, function.apply(other)),
    )


def starts(root: Path = ROOT, replaced: Mapping[str, str] | None = None) -> list[Obligation]:
    """That Inv holds at first."""
    cluster = Cluster(root, replaced)
    translation = cluster.translation
    cluster.theorem = "Init => Inv"
    translation.starting = True
    for case in translation.cases(named("Init"), translation.env, Case()):
        translation.now = case.after
        for goal in (named("Inv"), named("VotesAreRequested")):
            for name, term in cluster.parts(goal):
                cluster._oblige(name, _given(case.facts), term)
    return cluster.obligations
