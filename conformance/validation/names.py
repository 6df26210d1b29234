"""Names that TLC can hold for what real logs hold: any text, any JSON value, slots up to 2^63.

The specification only compares clients, values and request numbers, so each gets a short name.  It
orders slots as well, so stretches of them get their rank; and ballots, which get smaller ones of
the same owner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

from ..formats.canonical import canonical
from ..formats.logs import Record
from ..formats.schema import fields, is_message
from ..tlaplus.translate import function, merged
from .ballots import Ballots, ballots
from .intervals import Ranges, Stretches, cuts, told_in
from .state import State

Json = Any

# More than any log has slots, and far from where TLC's numbers end.
UNLIMITED = 2**30

# What the specification reads of a request; a client may send more.
_REQUEST_FIELDS = {
    "multi_paxos_propose": ("type", "msg_id", "slot", "value"),
    "multi_paxos_log": ("type", "msg_id", "from", "limit"),
}

# What it does not tell of a reply: its number, and the reason that people are given.
UNTOLD = ("msg_id", "text")

# What a stretch holds where nobody asks.
_UNASKED = '"unasked"'

# How many ranges of a set stand together.
_BEGINNING = 8


class Names:
    """The names for everything in a window of one node's log, and the way back.

    `bodies` are those of its messages, and the events that name slots.
    `state` is what the window starts from, None for the initial state.  The names of definitions
    begin with `prefix`, since several windows may share a module.
    """

    def __init__(
        self,
        members: Sequence[str],
        bodies: Iterable[Json],
        state: State | None = None,
        prefix: str = "S",
    ) -> None:
        bodies = list(bodies)
        self._state = state
        self._prefix = prefix
        self._stretches = Stretches(
            chain(*map(cuts, bodies), state.cuts() if state is not None else ())
        )
        self._ballots = Ballots(
            chain(*map(ballots, bodies), state.ballots() if state is not None else ()), len(members)
        )
        told = chain(*(told_in(body["log"]) for body in bodies if "log" in body))
        self._told = {r for low, high in self._stretches.ranks(told) for r in range(low, high + 1)}
        self._defined: dict[str, str] = {}
        self._given: dict[tuple[str, str], str] = {}
        self._meant: dict[str, Json] = {}
        # In this order, so that all windows of one run mean the same by them.
        self.members = [self.name("p", member) for member in members]
        self._order = {member: place for place, member in enumerate(members)}

    @property
    def last(self) -> int:
        """The highest rank of a slot."""
        return self._stretches.last

    # From JSON to the text of a TLA+ expression.

    def name(self, kind: str, meant: Json) -> str:
        """The short name of a node or client ("p"), a request number ("i"), a value ("v") or the
        values of a stretch ("s").
        """
        key = (kind, canonical(meant))
        if key not in self._given:
            self._given[key] = f"{kind}{len(self._given)}"
            self._meant[self._given[key]] = meant
        return f'"{self._given[key]}"'

    def record(self, record: Record) -> str:
        """A record of the window."""
        if is_message(record.input):
            taken = self._message(record.input, self._limit(record))
        else:
            taken = self._event(record.input)
        said = " \\o ".join(self._sent(record.output)) or "<<>>"
        return f"[input |-> {taken}, output |-> {said}]"

    def _event(self, event: Json) -> str:
        if isinstance(event, str):
            return f'Event("{event}")'
        return f'[event |-> "{event["event"]}", slots |-> {self._set(event["slots"])}]'

    def _message(self, message: Json, limit: int | None = None) -> str:
        src, dest = self.name("p", message["src"]), self.name("p", message["dest"])
        body = message["body"] if limit is None else {**message["body"], "limit": limit}
        return f"Message({src}, {dest}, {self.body(body)})"

    def _sent(self, output: Iterable[Json]) -> Iterator[str]:
        """Messages that were sent, what goes to many said once."""
        named = (
            (self.name("p", m["src"]), self.body(m["body"]), self.name("p", m["dest"]))
            for m in output
        )
        for (src, body), same in groupby(named, lambda parts: parts[:2]):
            yield f"Send({src}, <<{', '.join(dest for _, _, dest in same)}>>, {body})"

    def _limit(self, record: Record) -> int | None:
        """How many stretches an answer may tell that may tell so many slots, if it tells the right
        ones: all, if it tells fewer slots than it may, and what it tells, if it tells as many.
        """
        if "limit" not in record.input["body"]:
            return None
        limit = record.input["body"]["limit"]
        logs = [message["body"]["log"] for message in record.output if "log" in message["body"]]
        if not logs or len(logs[0]) < limit:
            return UNLIMITED
        if len(logs[0]) > limit:
            return 0
        return sum(high - low + 1 for low, high in self._stretches.ranks(told_in(logs[0])))

    def body(self, body: Json) -> str:
        """What is in an envelope."""
        wanted = _REQUEST_FIELDS.get(body["type"]) or [f for f in body if f not in UNTOLD]
        read = [field for field in wanted if field in body]
        return self._record({field: body[field] for field in read})

    def _record(self, items: Json) -> str:
        inside = ", ".join(f"{field} |-> {self._field(field, items[field])}" for field in items)
        return f"[{inside}]"

    def _field(self, field: str, meant: Json) -> str:
        if field in ("msg_id", "in_reply_to"):
            return self.name("i", meant)
        if field == "value":
            return self.name("v", meant)
        if field in ("slot", "from"):
            return str(self._stretches.rank(meant))
        if field in ("ballot", "promised"):
            return str(self._ballots.small(meant))
        if field == "limit":
            return str(min(meant, UNLIMITED))
        if field == "known":
            return self._set(meant)
        if field in ("accepted", "decided"):
            slots = {entry["slot"]: {k: entry[k] for k in entry if k != "slot"} for entry in meant}
            return self._function(slots, self._record if field == "accepted" else self._decision)
        if field == "log":
            return self._log(meant)
        return json.dumps(meant).upper() if isinstance(meant, bool) else json.dumps(meant)

    def _decision(self, entry: Json) -> str:
        return self.name("v", entry["value"])

    def _function(self, slots: dict[int, Any], text: Callable[[Any], str]) -> str:
        return _function({self._stretches.rank(slot): text(slots[slot]) for slot in slots})

    def _set(self, found: Iterable[Sequence[int]]) -> str:
        """A set of slots.  What is known changes at its end for the most part, so what it begins
        with is defined for all that begin alike.
        """
        ranks = [f"({low}..{high})" for low, high in self._stretches.ranks(found)]
        begun: list[str] = []
        while len(ranks) > _BEGINNING:
            begun = [self._define(_union(begun + ranks[:_BEGINNING]))]
            ranks = ranks[_BEGINNING:]
        return _union(begun + ranks)

    def _define(self, text: str) -> str:
        return self._defined.setdefault(text, f"{self._prefix}{len(self._defined)}")

    def definitions(self) -> list[str]:
        """What must be defined for the texts that were asked for so far."""
        return [f"{name} == {text}" for text, name in self._defined.items()]

    def _log(self, entries: list[Json]) -> str:
        """What a client was told, an entry a stretch."""
        values = {entry["slot"]: entry["value"] for entry in entries}
        told = []
        for low, high in self._stretches.ranks(told_in(entries)):
            for rank in range(low, high + 1):
                value = self._values(rank, values)
                told.append(f'[slot |-> {rank}, value |-> {value}, status |-> "chosen"]')
        return "<<" + ", ".join(told) + ">>"

    def _values(self, rank: int, values: dict[int, Json]) -> str:
        """What is in the slots of a stretch."""
        slots = self._stretches.slots(rank)
        if len(slots) == 1:
            return self.name("v", values[slots[0]])
        return self.name("s", [values[slot] for slot in slots])

    def start(self) -> str:
        """The state that the window starts from."""
        state = self._state
        if state is None:
            return "Fresh"
        decided = {
            rank: self._values(rank, state.decided)
            if rank in self._told or len(self._stretches.slots(rank)) == 1
            else _UNASKED
            for low, high in self._stretches.ranks(state.known)
            for rank in range(low, high + 1)
        }
        text = {
            "promised": self._field("promised", state.promised),
            "accepted": self._function(state.accepted, self._record),
            "decided": _function(decided),
            "up": str(state.up).upper(),
            "ballot": self._field("ballot", state.ballot),
            "promises": self._nodes(state.promises),
            "reported": self._function(state.reported, self._record),
            "closed": self._set(state.closed),
            "votes": self._function(state.votes, self._nodes),
            "waiting": "<<" + ", ".join(map(self._waiting, state.waiting)) + ">>",
        }
        return "[" + ", ".join(f"{field} |-> {item}" for field, item in text.items()) + "]"

    def _nodes(self, nodes: Iterable[str]) -> str:
        return "{" + ", ".join(self.name("p", node) for node in nodes) + "}"

    def _waiting(self, waits: Json) -> str:
        request = self._message(waits["request"])
        skipped = self._field("phase1_skipped", waits["phase1_skipped"])
        return f"[request |-> {request}, phase1_skipped |-> {skipped}]"

    # From what TLC prints back to JSON.

    def meant(self, message: Any) -> Json:
        """A message that TLC printed, as an envelope; a reply's own number is not part of it."""
        body = message["body"]
        found = {
            field: self._meaning(field, body[field])
            for field in fields(body["type"])
            if field in body
        }
        return {
            "src": self._meant[message["src"]],
            "dest": self._meant[message["dest"]],
            "body": found,
        }

    def plain(self, item: Any) -> Json:
        """A truth, a number, or what has a name."""
        return self._meant.get(item, item) if isinstance(item, str) else item

    def state(self, said: dict[str, Any]) -> State:
        """A state that TLC printed.

        What is in a stretch of several slots was decided before the window.  Raises `ValueError` if
        a slot that was decided before holds another value.
        """
        decided = self._state.decided if self._state is not None else {}
        for rank, value in function(said["decided"]).items():
            slots = self._stretches.slots(rank)
            if len(slots) == 1:
                meant = self._meant[value]
                if canonical(decided.setdefault(slots[0], meant)) != canonical(meant):
                    raise ValueError(f"slot {slots[0]} holds another value")
        return State(
            promised=self._ballots.meant(said["promised"]),
            accepted=self._by_slot(said["accepted"], self._vote),
            decided=decided,
            known=self._ranges(function(said["decided"])),
            up=said["up"],
            ballot=self._ballots.meant(said["ballot"]),
            promises=self._named(said["promises"]),
            reported=self._by_slot(said["reported"], self._vote),
            closed=self._ranges(said["closed"]),
            votes=self._by_slot(said["votes"], self._named),
            waiting=self.part("waiting", said["waiting"]),
        )

    def part(self, field: str, item: Any) -> Json:
        """A field of a state that TLC printed, or some of it, as messages write the like."""
        if field == "promises":
            return self._named(item)
        if field == "votes":
            voters = self._by_slot(item, self._named)
            return [{"slot": slot, "nodes": nodes} for slot, nodes in voters.items()]
        if field == "waiting":
            return [
                {"request": self.meant(asked["request"]), "phase1_skipped": asked["phase1_skipped"]}
                for asked in item
            ]
        alike = {"reported": "accepted", "closed": "known"}
        return self._meaning(alike.get(field, field), item)

    def slots(self, ranks: Iterable[int]) -> list[int]:
        """Slots that are spoken of, in ascending order."""
        return [self._stretches.slots(rank)[0] for rank in sorted(ranks)]

    def _meaning(self, field: str, item: Any) -> Json:
        if field in ("msg_id", "in_reply_to", "value"):
            return self._meant[item]
        if field == "slot":
            return self._stretches.slots(item)[0]
        if field in ("ballot", "promised"):
            return self._ballots.meant(item)
        if field == "known":
            return self._ranges(item)
        if field == "accepted":
            votes = self._by_slot(item, self._vote)
            return [{"slot": slot, **vote} for slot, vote in votes.items()]
        if field == "decided":
            told = sorted(function(item).items())
            return [{"slot": s, "value": v} for each in told for s, v in self._held(*each)]
        if field == "log":
            told = ((entry["slot"], entry["value"]) for entry in item)
            return [
                {"slot": s, "value": v, "status": "chosen"}
                for each in told
                for s, v in self._held(*each)
            ]
        return item

    def _vote(self, vote: dict[str, Any]) -> Json:
        # TLC prints the fields of a record in an order that differs from run to run.
        return {field: self._meaning(field, vote[field]) for field in ("ballot", "value")}

    def _ranges(self, ranks: Iterable[int]) -> Ranges:
        stretches = (self._stretches.slots(rank) for rank in sorted(ranks))
        return merged((slots[0], slots[-1]) for slots in stretches)

    def _by_slot(self, said: Any, meaning: Callable[[Any], Any]) -> dict[int, Any]:
        """A function from slots, each of which is a stretch of its own."""
        found = sorted(function(said).items())
        return {self._stretches.slots(rank)[0]: meaning(item) for rank, item in found}

    def _held(self, rank: int, value: str) -> Iterator[tuple[int, Json]]:
        """The slots of a stretch and what they hold."""
        slots = self._stretches.slots(rank)
        if len(slots) == 1:
            yield slots[0], self._meant[value]
        else:
            yield from ((slot, self._state.decided[slot]) for slot in slots)

    def _named(self, nodes: Iterable[str]) -> list[str]:
        """Nodes in the order of the cluster; strangers, who may claim to be nodes, come last."""
        return sorted(
            (self._meant[node] for node in nodes),
            key=lambda node: (self._order.get(node, len(self._order)), node),
        )


def _union(sets: Sequence[str]) -> str:
    union = " \\cup ".join(sets)
    return f"({union})" if sets else "{}"


def _function(items: dict[int, str]) -> str:
    pairs = " @@ ".join(f"{rank} :> {item}" for rank, item in items.items())
    return f"({pairs})" if pairs else "<<>>"
