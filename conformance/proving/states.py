"""States of clusters that TLC reaches, altered ones, and what TLC finds in them.

In each state TLC evaluates the assertions, takes every step, and evaluates what is claimed of it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..locations import LIBRARIES, SPEC
from ..tlaplus import tlc
from ..tlaplus import values as text
from . import actions
from .meaning import Concrete
from .values import FunctionShape, RecordShape, SetShape

STATE_OF = {
    "replica": FunctionShape(actions.NAME, actions.STATE),
    "cast": SetShape(actions.VOTE),
    "delayed": FunctionShape(actions.NAME, SetShape(actions.REQUEST)),
}
STEP = RecordShape({"state": actions.STATE, "cast": SetShape(actions.VOTE)})
AFTER = RecordShape({**STEP.fields, "delayed": SetShape(actions.REQUEST)})

# What is asserted of the votes, and of a node.
OF_VOTES = (
    *("V!TypeOK", "V!VotesKeepPromises"),
    *("OwnersVoteFirst", "VotesAreBacked", "VotesAreProposed"),
)
OF_NODE = {
    "DurableInv": "DurableInv(n, replica[n])",
    "RunsInv": "RunsInv(n, replica[n])",
    "Phase1Inv": "InPhase1(replica[n]) => Phase1Inv(replica[n])",
    "LeadInv": "Leading(replica[n]) => LeadInv(n, replica[n])",
    "WaitingInv": "WaitingInv(n, replica[n])",
    "DownInv": "DownInv(replica[n])",
}
# What is claimed of a step: properties `[][P]_vars`.
OF_STEP = (*actions.STEPS, *actions.TRUTHS)


@dataclass
class Known:
    """The constants of a cluster, as TLC prints them."""

    members: list[str]
    requests: frozenset[Concrete]
    batch: int

    def __post_init__(self) -> None:
        proposals = [each for each in self.requests if "value" in each["body"]]
        self.proposals = sorted(proposals, key=text.text)
        self.slots = sorted({each["body"]["slot"] for each in proposals})
        self.values = sorted({each["body"]["value"] for each in proposals})
        self.ids = [*self.members, *sorted({each["src"] for each in self.requests})]
        numbers = range(1 << len(self.members))
        subsets = (
            frozenset(n for i, n in enumerate(self.members) if mask >> i & 1) for mask in numbers
        )
        self.quorums = [each for each in subsets if 2 * len(each) > len(self.members)]

    def next_ballot(self, node: str, ballot: int) -> int:
        """NextBallot(n, b)"""
        size = len(self.members)
        owned = (b for b in range(ballot + 1, ballot + size + 1) if self.owner(b) == node)
        return next(owned, ballot + 1)

    def owner(self, ballot: int) -> str:
        """Owner(b)"""
        return self.members[(ballot - 1) % len(self.members)]


@dataclass(frozen=True)
class Cluster:
    """A cluster that TLC walks through: names of MC.tla."""

    members: str
    requests: str
    batch: int = 2
    ballots: int = 3
    fallible: str = '{"n1"}'


CLUSTERS = (
    Cluster("One", "ClashLog"),
    Cluster("Two", "Throng"),
    Cluster("Two", "SeriesRival", fallible="{}"),
    Cluster("Three", "LongSeriesRival"),
)


# What TLC says.


def _config(cluster: Cluster, rest: str) -> str:
    every = '{"n1", "n2", "n3"}'
    return f"""CONSTANTS
    Members <- {cluster.members}
    Requests <- {cluster.requests}
    Batch = {cluster.batch}
    Restless = {every}
    MaxBallot = {cluster.ballots}
    Fallible = {cluster.fallible}
    MaxLearn = 20
{rest}"""


def _walk() -> str:
    """Return a module that prints the states it comes through.

    TLC draws one of the actions, and then one of its steps.  Each action has the same chance here,
    whatever the number of nodes and messages: of what is not constant, such as the domain of a
    variable, TLC makes no actions of their own.
    """
    steps = "\n".join(
        f"    \\/ \\E m \\in network : {action}(m.dest, m) /\\ Bounded'"
        if shapes
        else f"    \\/ \\E n \\in DOMAIN replica : {action}(n) /\\ Bounded'"
        for action, shapes in actions.ACTIONS.items()
    )
    return f"""---- MODULE Walked ----
EXTENDS MC, Printing
Go ==
{steps}
Walk == Init /\\ [][Go]_vars
Shown == PrintT(Text(<<Members, Requests, replica, network, cast, delayed>>))
====
"""


def walked(cluster: Cluster, number: int, r: random.Random) -> tuple[Known, list[Concrete]]:
    """Return the constants of a cluster, and states that TLC reaches at random."""
    found: set[str] = set()
    tlc.run(
        "Walked",
        _walk(),
        _config(cluster, "SPECIFICATION Walk\nINVARIANT Shown\n"),
        libraries=LIBRARIES,
        workers=1,
        seed=r.randrange(1 << 30),
        options=["-simulate", f"num={2 * number}", "-depth", "60"],
        on_print=found.add,
        brief=True,
    )
    chosen = [_parsed(line) for line in _chosen(sorted(found), number, r)]
    members, requests, *_ = chosen[0]
    known = Known(members, frozenset(map(normal_message, requests)), cluster.batch)
    names = ("replica", "network", "cast", "delayed")
    return known, [_normal_state(dict(zip(names, state, strict=True))) for _, _, *state in chosen]


def _chosen(lines: list[str], number: int, r: random.Random) -> list[str]:
    """Return `number` of these states: every third any, others with messages of a rare type."""
    rest = r.sample(lines, len(lines))
    types = {line: Counter(re.findall(r'type \|-> \\"(\w+)', line)) for line in lines}
    had = Counter(dict.fromkeys(sorted(set().union(*types.values())), 0))
    found: list[str] = []
    while rest and len(found) < number:
        rarest = min(had, key=had.__getitem__)
        some = rest[:1] if len(found) % 3 == 0 else rest
        line = max(some, key=lambda line: types[line][rarest])
        rest.remove(line)
        found.append(line)
        had.update(types[line])
    return found


def _parsed(line: str) -> list[Concrete]:
    return text.parse(line.strip()[1:-1].replace('\\"', '"'))  # type: ignore[no-any-return]


def _stepped(states: list[Concrete]) -> str:
    """Return a module that prints what is so in each state, and after each step from there."""
    votes = ", ".join(OF_VOTES)
    primed = ", ".join(f"({each})'" for each in OF_VOTES)
    nodes = ", ".join(OF_NODE.values())
    bodies = "\n".join(f"Is{name} == {_body(name)}" for name in OF_STEP)
    written = ",\n".join(map(text.text, states))
    return f"""---- MODULE Stepped ----
EXTENDS MC, Invariant, Printing
States == <<{written}>>
VARIABLE index
{bodies}
Asserted ==     \\* of the states that are given, not of those that a step leads to
    record.input = Event("none") => PrintT(Text(
        <<"state", index, <<{votes}>>, [n \\in Node |-> <<{nodes}>>],
        {{<<m, MessageInv(m)>> : m \\in network}}>>))
Taken ==
    \\E n \\in {{record'.node}} :
        PrintT(Text(<<"step", index, record', replica'[n], cast', delayed'[n],
            <<{", ".join(f"Is{name}" for name in OF_STEP)},
              V!Act(n, replica'[n].promised, cast' \\ cast),
              <<{primed}>> = <<{", ".join("TRUE" for _ in OF_VOTES)}>>, NodeInv(n)'>>>>))
Start ==
    /\\ index \\in 1..Len(States)
    /\\ replica = States[index].replica /\\ network = States[index].network
    /\\ cast = States[index].cast /\\ delayed = States[index].delayed
    /\\ record = [node |-> Members[1], input |-> Event("none"), output |-> <<>>]
Go == TLCGet("level") = 1 /\\ Next /\\ UNCHANGED index
Run == Start /\\ [][Go]_<<vars, index>>
====
"""


def _body(name: str) -> str:
    """Return P of a property `name == [][P]_vars` of MultiPaxos.tla, as it stands there."""
    module = (SPEC / "MultiPaxos.tla").read_text("utf-8")
    found = re.search(rf"(?ms)^{name} ==\s*\[\]\[(.*?)\]_vars", module)
    assert found, name
    return found[1]


@dataclass
class Found:
    """What TLC finds in one state.

    `asserted` has the truth of each assertion, by its name and what it is about; `taken` the steps
    by the node that takes them and its input, each with what is so afterwards.
    """

    asserted: dict[tuple[str, Any], bool] = field(default_factory=dict)
    taken: dict[tuple[str, Any], list[Taken]] = field(default_factory=dict)


@dataclass
class Taken:
    """What a step leads to, and which claims are true of it."""

    after: Concrete
    output: list[Concrete]
    claims: dict[str, bool]


CLAIMS = (*OF_STEP, "V!Act", "VotesInv'", "NodeInv(n)'")


def evaluated(cluster: Cluster, states: list[Concrete]) -> list[Found]:
    """Return what TLC finds in each of these states."""
    found = [Found() for _ in states]

    def take(line: str) -> None:
        kind, index, *values = _parsed(line)
        if kind == "state":
            votes, nodes, messages = values
            asserted = found[index - 1].asserted
            asserted.update(
                {(name, None): each for name, each in zip(OF_VOTES, votes, strict=True)}
            )
            for node, truths in nodes.items():
                asserted.update(
                    {(name, node): each for name, each in zip(OF_NODE, truths, strict=True)}
                )
            asserted.update({("MessageInv", normal_message(m)): each for m, each in messages})
        else:
            record, state, cast, delayed, claims = values
            after = {"state": state, "cast": cast, "delayed": delayed}
            taken = Taken(
                normal(after, AFTER),
                [normal_message(m) for m in record["output"]],
                dict(zip(CLAIMS, claims, strict=True)),
            )
            key = record["node"], _input(record["input"])
            found[index - 1].taken.setdefault(key, []).append(taken)

    tlc.run(
        "Stepped",
        _stepped(states),
        _config(
            cluster, "SPECIFICATION Run\nINVARIANT Asserted\nACTION_CONSTRAINT Taken\n"
        ).replace(f"MaxBallot = {cluster.ballots}", "MaxBallot = 20\n    Ballots <- FewBallots"),
        libraries=LIBRARIES,
        workers=1,
        on_print=take,
        brief=True,
    )
    return found


def _input(found: Concrete) -> Any:
    return found["event"] if "event" in found else normal_message(found)


def message_shape(message: Concrete) -> RecordShape | None:
    """Return the shape of a message; None of one to a client."""
    body = message["body"]
    if body["type"] in actions.MESSAGES:
        return actions.MESSAGES[body["type"]]
    asked = [actions.REQUEST, actions.LOG, *actions.PARTS]
    fits = (each for each in asked if _fields(each) == (body["type"], {*body}))
    return next(fits, None)


def _fields(shape: RecordShape) -> tuple[str, set[str]]:
    body = shape.fields["body"].fields
    return body["type"].value, {*body}


def normal_message(found: Concrete) -> Concrete:
    return normal(found, message_shape(found))


def _normal_state(state: Concrete) -> Concrete:
    found = {key: normal(state[key], shape) for key, shape in STATE_OF.items()}
    return text.Function({**found, "network": frozenset(map(normal_message, state["network"]))})


def normal(value: Concrete, shape: Any) -> Concrete:
    """Return a value that TLC printed, with a function where it prints that as a sequence."""
    if isinstance(shape, FunctionShape) or (shape is None and isinstance(value, list)):
        pairs = enumerate(value, 1) if isinstance(value, list) else value.items()
        items = shape.items if shape else None
        return text.Function({key: normal(item, items) for key, item in pairs})
    if isinstance(value, dict):
        fields = shape.fields if shape else {}
        return text.Function({key: normal(item, fields.get(key)) for key, item in value.items()})
    if isinstance(value, list):
        return text.Sequence([normal(item, shape.items) for item in value])
    return value


# States that need not be reachable.


def altered(state: Concrete, cluster: Known, random_numbers: random.Random) -> Concrete:
    """Return a state with one or two changes, each of something that some assertion is about."""
    for _ in range(random_numbers.choice((1, 1, 2))):
        change = random_numbers.choice((_alter_node, _alter_node, _alter_votes, _alter_message))
        state = change(state, cluster, random_numbers)
    return state


def _put(value: Concrete, **fields: Concrete) -> Concrete:
    return text.Function({**value, **fields})


def _alter_node(state: Concrete, cluster: Known, r: random.Random) -> Concrete:
    node = r.choice(cluster.members)
    old = state["replica"][node]
    ballot, slot = r.randrange(6), r.choice(cluster.slots)
    some = frozenset(each for each in cluster.members if r.random() < 0.5)
    vote = text.Function(ballot=r.randrange(1, 6), value=r.choice(cluster.values))
    line = old["waiting"]
    changes: list[dict[str, Concrete]] = [
        {"promised": ballot},
        {"ballot": r.choice((0, ballot, old["promised"]))},
        {"promises": some},
        {"closed": old["closed"] ^ {slot}},
        {"reported": _with(old["reported"], slot, vote, r)},
        {"decided": _with(old["decided"], slot, r.choice(cluster.values), r)},
        {"accepted": _put_in(old["accepted"], slot, vote)},
        {"votes": dict.fromkeys(old["votes"], some)},
        {"up": not old["up"]},
        {"versions": _put_in(old["versions"], r.choice(cluster.members), r.randrange(3))},
        {"waiting": text.Sequence(line[1:])},
        {"waiting": text.Sequence([*line, *line[:1]])},
        {"waiting": text.Sequence([_put(w, phase1_skipped=not w["phase1_skipped"]) for w in line])},
    ]
    if r.random() < 0.1:
        asked = {each for each in cluster.requests if "value" in each["body"]}
        delayed = state["delayed"][node] ^ {r.choice(sorted(asked, key=text.text))}
        return _put(state, delayed=_put(state["delayed"], **{node: delayed}))
    new = text.Function({**old, **{k: _frozen(v) for k, v in r.choice(changes).items()}})
    return _put(state, replica=_put(state["replica"], **{node: new}))


def _frozen(value: Concrete) -> Concrete:
    return text.Function(value) if isinstance(value, dict) else value


def _with(function: Concrete, key: Any, value: Concrete, r: random.Random) -> Concrete:
    """Return a function with one more or another entry, or without one."""
    if key in function and r.random() < 0.5:
        return text.Function({k: v for k, v in function.items() if k != key})
    return _put_in(function, key, value)


def _put_in(function: Concrete, key: Any, value: Concrete) -> Concrete:
    return text.Function({**function, key: value})


def _alter_votes(state: Concrete, cluster: Known, r: random.Random) -> Concrete:
    cast = sorted(state["cast"], key=text.text)
    if cast and r.random() < 0.5:
        return _put(state, cast=frozenset(cast) - {r.choice(cast)})
    vote = text.Function(
        node=r.choice(cluster.members),
        slot=r.choice(cluster.slots),
        ballot=r.randrange(1, 6),
        value=r.choice(cluster.values),
    )
    return _put(state, cast=frozenset([*cast, vote]))


def _alter_message(state: Concrete, cluster: Known, r: random.Random) -> Concrete:
    messages = sorted(state["network"] - cluster.requests, key=text.text)
    if not messages:
        return state
    old = r.choice(messages)
    body, slot = dict(old["body"]), r.choice(cluster.slots)
    vote = text.Function(ballot=r.randrange(1, 6), value=r.choice(cluster.values))
    changes: dict[str, Callable[[Concrete], Concrete]] = {
        "ballot": lambda b: r.randrange(1, 6),
        "promised": lambda b: r.randrange(1, 8),
        "slot": lambda s: slot,
        "value": lambda v: r.choice(cluster.values),
        "known": lambda known: known ^ {slot},
        "accepted": lambda f: _with(f, slot, vote, r),
        "decided": lambda f: _with(f, slot, r.choice(cluster.values), r),
        "more": lambda more: not more,
        "version": lambda version: r.randrange(3),
    }
    name = r.choice(sorted(set(body) & set(changes)))
    body[name] = changes[name](body[name])
    new = _put(old, body=text.Function(body))
    if r.random() < 0.2:
        new = _put(new, **{r.choice(("src", "dest")): r.choice(cluster.members)})
    return _put(state, network=state["network"] - {old} | {new})


def steps_are_defined(state: Concrete) -> bool:
    """Return whether TLC can take every step: no function is applied outside of its domain."""
    return all(set(each["votes"]) <= set(each["accepted"]) for each in state["replica"].values())
