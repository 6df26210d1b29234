"""The translation held to TLC: each evaluates the same definitions in the same states.

States are reached by steps of Voting, or drawn at random.  TLC evaluates the definitions in all of
them, and so does the translation, in which all that is not known to it is a term: here
everything is known, so what comes out is a truth value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .. import report
from ..locations import LIBRARIES
from ..tlaplus import tlc
from ..tlaplus import values as text
from . import voting
from .assumed import STANDARD_NATIVES
from .evaluate import Translation
from .values import Function, Listed, Record, Value, definite

ACCEPTORS, SLOTS, VALUES, BALLOTS = ("a1", "a2", "a3"), (1, 2), ("v1", "v2"), (1, 2, 3)

# Expressions about a state, for all acceptors, slots, ballots and values, by what is translated.
STATE = {
    "TypeOK": "TypeOK",
    "VotesKeepPromises": "VotesKeepPromises",
    "OneValuePerBallot": "OneValuePerBallot",
    "VotesSafe": "VotesSafe",
    "Inv": "Inv",
    "Init": "Init",
    "Agreement": "C!Agreement",
}
POINT = {
    "VotedFor": "VotedFor(a, slot, b, v)",
    "DidNotVoteAt": "DidNotVoteAt(a, slot, b)",
    "ChosenAt": "ChosenAt(slot, b, v)",
    "Choices": "[slot |-> slot, value |-> v] \\in Choices",
    "CannotVoteAt": "CannotVoteAt(a, slot, b)",
    "NoneOtherChoosableAt": "NoneOtherChoosableAt(slot, b, v)",
    "SafeAt": "SafeAt(slot, b, v)",
    "ShowsSafeAt": "ShowsSafeAt(Acceptor \\ {a}, slot, b, v)",
    "MayVote": "MayVote(a, slot, b, v)",
}


@dataclass
class Row:
    """How often TLC and the translation evaluated a definition, and how often they differed."""

    name: str
    kind: str
    evaluations: int
    true: int
    different: int
    examples: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Return whether there were evaluations, and none differed."""
        return self.different == 0 and self.evaluations > 0


def _config(rest: str) -> str:
    names = {"Acceptor": ACCEPTORS, "Slot": SLOTS, "Value": VALUES, "Ballot": BALLOTS}
    lines = [f"    {key} = {text.text(set(items))}" for key, items in names.items()]
    return "CONSTANTS\n" + "\n".join(lines) + "\n    Sample = 0\n    IsQuorum <- Majority\n" + rest


def drawn(number: int, random_numbers: random.Random) -> list[dict[str, Any]]:
    """States that need not be reachable: votes and promises drawn at random."""
    found = []
    for _ in range(number):
        votes = {
            (
                random_numbers.choice(ACCEPTORS),
                random_numbers.choice(SLOTS),
                random_numbers.choice(BALLOTS),
                random_numbers.choice(VALUES),
            )
            for _ in range(random_numbers.randrange(8))
        }
        promised = {a: random_numbers.randrange(4) for a in ACCEPTORS}
        found.append({"votes": votes, "promised": promised})
    return found


def walked(number: int, random_numbers: random.Random) -> list[dict[str, Any]]:
    """States that steps of Voting lead to, found by the translation."""
    found: list[dict[str, Any]] = []
    while len(found) < number:
        votes: set[tuple[str, int, int, str]] = set()
        promised = dict.fromkeys(ACCEPTORS, 0)
        for _ in range(random_numbers.randrange(1, 9)):
            a, b = random_numbers.choice(ACCEPTORS), random_numbers.choice(BALLOTS)
            slot, v = random_numbers.choice(SLOTS), random_numbers.choice(VALUES)
            if b < promised[a]:
                continue
            translation = _translation(votes, promised)
            if definite(translation.call("MayVote", a, slot, b, v)):
                votes.add((a, slot, b, v))
            promised[a] = b
            found.append({"votes": set(votes), "promised": dict(promised)})
    return found[:number]


@cache
def _voting() -> Translation:
    """Return the translation of Voting, which is made once and given one state after another."""

    def quorum(translation: Translation, values: list[Any]) -> Value:
        return 2 * len(values[0].listed()) > len(ACCEPTORS)

    return Translation(
        voting.ROOT,
        {
            "Acceptor": Listed(ACCEPTORS),
            "Slot": Listed(SLOTS),
            "Value": Listed(VALUES),
            "Ballot": Listed(BALLOTS),
        },
        {**STANDARD_NATIVES, "IsQuorum": quorum},
        libraries=LIBRARIES,
    )


def _translation(votes: Iterable[tuple[Any, ...]], promised: Mapping[str, int]) -> Translation:
    translation = _voting()
    fields = ("node", "slot", "ballot", "value")
    translation.now = {
        "votes": Listed([Record(dict(zip(fields, vote, strict=True))) for vote in sorted(votes)]),
        "promised": Function(Listed(ACCEPTORS), lambda a: promised[a]),
    }
    return translation


def _ours(state: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """What the translation says of a state, in the order in which TLC is asked."""
    translation = _translation(state["votes"], state["promised"])
    found = []
    for name, definition in STATE.items():
        if definition == "C!Agreement":
            value = translation.evaluate(voting.of_consensus("Agreement"), translation.env)
        else:
            value = translation.call(definition)
        found.append((name, definite(value)))
    for a in ACCEPTORS:
        for slot in SLOTS:
            for b in BALLOTS:
                for v in VALUES:
                    found += _points(translation, a, slot, b, v)
    return found


def _points(t: Translation, a: str, slot: int, b: int, v: str) -> list[tuple[str, bool]]:
    others = Listed([each for each in ACCEPTORS if each != a])
    choice = Record({"slot": slot, "value": v})
    calls: dict[str, Callable[[], Value]] = {
        "VotedFor": lambda: t.call("VotedFor", a, slot, b, v),
        "DidNotVoteAt": lambda: t.call("DidNotVoteAt", a, slot, b),
        "ChosenAt": lambda: t.call("ChosenAt", slot, b, v),
        "Choices": lambda: t.call("Choices").contains(choice),
        "CannotVoteAt": lambda: t.call("CannotVoteAt", a, slot, b),
        "NoneOtherChoosableAt": lambda: t.call("NoneOtherChoosableAt", slot, b, v),
        "SafeAt": lambda: t.call("SafeAt", slot, b, v),
        "ShowsSafeAt": lambda: t.call("ShowsSafeAt", others, slot, b, v),
        "MayVote": lambda: t.call("MayVote", a, slot, b, v),
    }
    return [(name, definite(call())) for name, call in calls.items()]


def _theirs(states: list[dict[str, Any]]) -> list[list[bool]]:
    """Return what TLC evaluates in the same states."""
    found: dict[int, list[bool]] = {}

    def take(line: str) -> None:
        index, plain, nested = text.parse(line.strip()[1:-1].replace('\\"', '"'))
        points = [
            item
            for a in ACCEPTORS
            for slot in SLOTS
            for b in BALLOTS
            for v in VALUES
            for item in nested[a][slot - 1][b - 1][v]
        ]
        found[index] = [*plain, *points]

    tlc.run(
        "Evaluated",
        _module(states),
        _config("SPECIFICATION Run\nINVARIANT Shown\n"),
        libraries=LIBRARIES,
        workers=1,
        on_print=take,
        brief=True,
    )
    return [found[index] for index in range(1, len(states) + 1)]


def _module(states: list[dict[str, Any]]) -> str:
    """Return a module that prints the value of each expression in these states."""
    written = ",\n".join(map(_written, states))
    points = ", ".join(POINT.values())
    return f"""---- MODULE Evaluated ----
EXTENDS MCVoting, Sequences
States == <<{written}>>
VARIABLE index
At_(a, slot, b, v) == <<{points}>>
Shown ==
    PrintT(ToString(<<index, <<{", ".join(STATE.values())}>>,
        [a \\in Acceptor |-> [slot \\in Slot |-> [b \\in Ballot |-> [v \\in Value |->
            At_(a, slot, b, v)]]]]>>))
Start ==
    /\\ index \\in 1..Len(States)
    /\\ votes = States[index].votes
    /\\ promised = [a \\in Acceptor |-> States[index].promised[a]]
Run == Start /\\ [][FALSE]_<<index, votes, promised>>
====
"""


def _written(state: Mapping[str, Any]) -> str:
    fields = ("node", "slot", "ballot", "value")
    votes = {text.Function(dict(zip(fields, vote, strict=True))) for vote in state["votes"]}
    return text.text({"votes": votes, "promised": state["promised"]})


def compare(number: int = 100, seed: int = 1) -> list[Row]:
    """Evaluate every definition in `number` states of each kind, by TLC and by the translation."""
    random_numbers = random.Random(seed)
    kinds = {"reachable": walked(number, random_numbers), "drawn": drawn(number, random_numbers)}
    rows: dict[tuple[str, str], Row] = {}
    for kind, states in kinds.items():
        for state, theirs in zip(states, _theirs(states), strict=True):
            for (name, ours), other in zip(_ours(state), theirs, strict=True):
                row = rows.setdefault((name, kind), Row(name, kind, 0, 0, 0))
                row.evaluations += 1
                row.true += ours
                row.different += ours != other
    return list(rows.values())


def show(rows: list[Row]) -> None:
    """Print the table of definitions."""
    report.table(
        "Translation against TLC",
        ("definition", "states", "evaluations", "true", "different", "result"),
        [
            (
                row.name,
                row.kind,
                f"{row.evaluations:,}",
                f"{row.true:,}",
                f"{row.different:,}",
                "PASS" if row.passed else "FAIL",
            )
            for row in rows
        ],
    )
