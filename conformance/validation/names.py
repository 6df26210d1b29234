"""Translate a window of a log to TLA+ and back: any text, any JSON value, slots up to 2^63.

The specification only compares clients, values and request numbers, so each gets a short name.
Slots are ordered as well, so they become the ranks of slot intervals (`intervals`).  Ballots become
smaller ones of the same owner (`ballots`).
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
from .ballots import Ballots, ballots_in
from .intervals import Ranges, SlotIntervals, edges, ranges_of_log
from .state import State

Json = Any

# More slots than any log has, and far below the largest number of TLC.
UNLIMITED = 2**30

# The fields of a request that the specification reads; a client may send more.
_REQUEST_FIELDS = {
    "multi_paxos_propose": ("type", "msg_id", "slot", "value"),
    "multi_paxos_log": ("type", "msg_id", "from", "limit"),
}

# The fields of a reply that the specification leaves out: its number, and the text of an error.
UNSPECIFIED = ("msg_id", "text")

# Stands for the content of a decided interval that no message of the window reads.
_UNREAD = '"unread"'

# How many ranges of a set one definition holds.
_DEFINED_RANGES = 8


class Names:
    """The names for everything in a window of one node's log, and the way back.

    `bodies` are those of its messages, and its events that name slots.  `state` is what the window
    starts from, None for the initial state.  The names of definitions begin with `prefix`, for
    several windows may share a module.
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
        self._intervals = SlotIntervals(
            chain(*map(edges, bodies), state.edges() if state is not None else ())
        )
        self._ballots = Ballots(
            chain(*map(ballots_in, bodies), state.ballots() if state is not None else ()),
            len(members),
        )
        versions = chain(
            (body["version"] for body in bodies if "version" in body),
            state.versions.values() if state is not None else (),
        )
        # No node has such a version: of these only which are equal matters.
        self._unreal = sorted({each for each in versions if each >= UNLIMITED})
        logs = chain(*(ranges_of_log(body["log"]) for body in bodies if "log" in body))
        self._read = {r for low, high in self._intervals.ranks(logs) for r in range(low, high + 1)}
        self._definitions: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._originals: dict[str, Json] = {}
        # In this order, so that all windows of one run have the same names for members.
        self.members = [self.name("p", member) for member in members]
        self._order = {member: place for place, member in enumerate(members)}

    @property
    def last(self) -> int:
        """The highest rank of a slot interval."""
        return self._intervals.last

    # From JSON to the text of a TLA+ expression.

    def name(self, kind: str, original: Json) -> str:
        """Return the short name of an item, as a TLA+ string.

        `kind` is "p" for a node or client, "i" for a request number, "v" for a value, "s" for the
        values of a slot interval.
        """
        key = (kind, canonical(original))
        if key not in self._names:
            self._names[key] = f"{kind}{len(self._names)}"
            self._originals[self._names[key]] = original
        return f'"{self._names[key]}"'

    def record_to_tla(self, record: Record) -> str:
        if is_message(record.input):
            given = self._message(record.input, self._limit(record))
        else:
            given = self._event(record.input)
        sent = " \\o ".join(self._sent(record.output)) or "<<>>"
        return f"[input |-> {given}, output |-> {sent}]"

    def _event(self, event: Json) -> str:
        if isinstance(event, str):
            return f'Event("{event}")'
        return f'[event |-> "{event["event"]}", slots |-> {self._set(event["slots"])}]'

    def _message(self, message: Json, limit: int | None = None) -> str:
        src, dest = self.name("p", message["src"]), self.name("p", message["dest"])
        body = message["body"] if limit is None else {**message["body"], "limit": limit}
        return f"Message({src}, {dest}, {self.body_to_tla(body)})"

    def _sent(self, output: Iterable[Json]) -> Iterator[str]:
        """Yield the messages of an output; the same body to several destinations is one `Send`."""
        named = (
            (self.name("p", m["src"]), self.body_to_tla(m["body"]), self.name("p", m["dest"]))
            for m in output
        )
        for (src, body), same in groupby(named, lambda parts: parts[:2]):
            yield f"Send({src}, <<{', '.join(dest for _, _, dest in same)}>>, {body})"

    def _limit(self, record: Record) -> int | None:
        """Return the `limit` of a request for a log as a number of slot intervals.

        No limit if the answer has fewer slots than it may; if it has as many, the number of its
        intervals; 0 if it has more.
        """
        if "limit" not in record.input["body"]:
            return None
        limit = record.input["body"]["limit"]
        logs = [message["body"]["log"] for message in record.output if "log" in message["body"]]
        if not logs or len(logs[0]) < limit:
            return UNLIMITED
        if len(logs[0]) > limit:
            return 0
        return sum(high - low + 1 for low, high in self._intervals.ranks(ranges_of_log(logs[0])))

    def body_to_tla(self, body: Json) -> str:
        wanted = _REQUEST_FIELDS.get(body["type"]) or [f for f in body if f not in UNSPECIFIED]
        read = [field for field in wanted if field in body]
        return self._record({field: body[field] for field in read})

    def _record(self, items: Json) -> str:
        inside = ", ".join(f"{field} |-> {self._field(field, items[field])}" for field in items)
        return f"[{inside}]"

    def _field(self, field: str, item: Json) -> str:
        if field in ("msg_id", "in_reply_to"):
            return self.name("i", item)
        if field == "value":
            return self.name("v", item)
        if field in ("slot", "from"):
            return str(self._intervals.rank(item))
        if field in ("ballot", "promised"):
            return str(self._ballots.compress(item))
        if field == "limit":
            return str(min(item, UNLIMITED))
        if field == "version":
            return str(item if item < UNLIMITED else UNLIMITED + self._unreal.index(item))
        if field == "known":
            return self._set(item)
        if field in ("accepted", "decided"):
            slots = {entry["slot"]: {k: entry[k] for k in entry if k != "slot"} for entry in item}
            return self._function(slots, self._record if field == "accepted" else self._decision)
        if field == "log":
            return self._log(item)
        return json.dumps(item).upper() if isinstance(item, bool) else json.dumps(item)

    def _decision(self, entry: Json) -> str:
        return self.name("v", entry["value"])

    def _function(self, slots: dict[int, Any], text: Callable[[Any], str]) -> str:
        return _function({self._intervals.rank(slot): text(slots[slot]) for slot in slots})

    def _set(self, found: Iterable[Sequence[int]]) -> str:
        """Return a set of slots.

        Most changes of `known` are at its end, so equal beginnings of sets share a definition.
        """
        ranks = [f"({low}..{high})" for low, high in self._intervals.ranks(found)]
        begun: list[str] = []
        while len(ranks) > _DEFINED_RANGES:
            begun = [self._define(_union(begun + ranks[:_DEFINED_RANGES]))]
            ranks = ranks[_DEFINED_RANGES:]
        return _union(begun + ranks)

    def _define(self, text: str) -> str:
        return self._definitions.setdefault(text, f"{self._prefix}{len(self._definitions)}")

    def definitions(self) -> list[str]:
        """Return the definitions that the expressions built so far need."""
        return [f"{name} == {text}" for text, name in self._definitions.items()]

    def _log(self, entries: list[Json]) -> str:
        """Return the log in an answer, with one entry for each slot interval."""
        values = {entry["slot"]: entry["value"] for entry in entries}
        found = []
        for low, high in self._intervals.ranks(ranges_of_log(entries)):
            for rank in range(low, high + 1):
                value = self._values(rank, values)
                found.append(f'[slot |-> {rank}, value |-> {value}, status |-> "chosen"]')
        return "<<" + ", ".join(found) + ">>"

    def _values(self, rank: int, values: dict[int, Json]) -> str:
        """Return the name of the content of a slot interval."""
        slots = self._intervals.slots(rank)
        if len(slots) == 1:
            return self.name("v", values[slots[0]])
        return self.name("s", [values[slot] for slot in slots])

    def start_to_tla(self) -> str:
        """Return the state that the window starts from."""
        state = self._state
        if state is None:
            return "Fresh"
        decided = {
            rank: self._values(rank, state.decided)
            if rank in self._read or len(self._intervals.slots(rank)) == 1
            else _UNREAD
            for low, high in self._intervals.ranks(state.known)
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
            "versions": self._versions(state.versions),
        }
        return "[" + ", ".join(f"{field} |-> {item}" for field, item in text.items()) + "]"

    def folded(self) -> int:
        """Return how many slots more than slot intervals the window starts with."""
        known = self._state.known if self._state is not None else []
        ranks = self._intervals.ranks(known)
        return sum(high - low for low, high in known) - sum(high - low for low, high in ranks)

    def _versions(self, versions: dict[str, int]) -> str:
        pairs = (
            f"{self.name('p', node)} :> {self._field('version', version)}"
            for node, version in versions.items()
        )
        return f"({' @@ '.join(pairs)})"

    def _nodes(self, nodes: Iterable[str]) -> str:
        return "{" + ", ".join(self.name("p", node) for node in nodes) + "}"

    def _waiting(self, waits: Json) -> str:
        request = self._message(waits["request"])
        skipped = self._field("phase1_skipped", waits["phase1_skipped"])
        return f"[request |-> {request}, phase1_skipped |-> {skipped}]"

    # From what TLC prints back to JSON.

    def message_from_tla(self, message: Any) -> Json:
        """Return a message that TLC printed as an envelope, without the number of a reply."""
        body = message["body"]
        found = {
            field: self._field_of_body(field, body[field])
            for field in fields(body["type"])
            if field in body
        }
        return {
            "src": self._originals[message["src"]],
            "dest": self._originals[message["dest"]],
            "body": found,
        }

    def scalar_from_tla(self, item: Any) -> Json:
        """Return a boolean, a number, or the original of a short name."""
        return self._originals.get(item, item) if isinstance(item, str) else item

    def state_from_tla(self, printed: dict[str, Any]) -> State:
        """Return a state that TLC printed.

        The content of an interval of several slots was decided before the window.  Raises
        `ValueError` if a slot that was decided before has another value now.
        """
        decided = self._state.decided if self._state is not None else {}
        for rank, value in function(printed["decided"]).items():
            slots = self._intervals.slots(rank)
            if len(slots) == 1:
                original = self._originals[value]
                if canonical(decided.setdefault(slots[0], original)) != canonical(original):
                    raise ValueError(f"slot {slots[0]} has another value than before")
        return State(
            promised=self._ballots.expand(printed["promised"]),
            accepted=self._by_slot(printed["accepted"], self._vote),
            decided=decided,
            known=self._ranges(function(printed["decided"])),
            up=printed["up"],
            ballot=self._ballots.expand(printed["ballot"]),
            promises=self._in_member_order(printed["promises"]),
            reported=self._by_slot(printed["reported"], self._vote),
            closed=self._ranges(printed["closed"]),
            votes=self._by_slot(printed["votes"], self._in_member_order),
            waiting=self.field_from_tla("waiting", printed["waiting"]),
            versions=self.field_from_tla("versions", printed["versions"]),
        )

    def field_from_tla(self, field: str, item: Any) -> Json:
        """Return a field of a state that TLC printed, or a part of it.

        The result has the form that messages have for such a field.
        """
        if field == "promises":
            return self._in_member_order(item)
        if field == "votes":
            voters = self._by_slot(item, self._in_member_order)
            return [{"slot": slot, "nodes": nodes} for slot, nodes in voters.items()]
        if field == "versions":
            nodes = self._in_member_order(item)
            by_node = {self._originals[node]: version for node, version in item.items()}
            return {node: self._field_of_body("version", by_node[node]) for node in nodes}
        if field == "waiting":
            return [
                {
                    "request": self.message_from_tla(waits["request"]),
                    "phase1_skipped": waits["phase1_skipped"],
                }
                for waits in item
            ]
        same_form = {"reported": "accepted", "closed": "known"}
        return self._field_of_body(same_form.get(field, field), item)

    def slots_from_tla(self, ranks: Iterable[int]) -> list[int]:
        """Return slots that are intervals of their own, in ascending order."""
        return [self._intervals.slots(rank)[0] for rank in sorted(ranks)]

    def _field_of_body(self, field: str, item: Any) -> Json:
        if field in ("msg_id", "in_reply_to", "value"):
            return self._originals[item]
        if field == "slot":
            return self._intervals.slots(item)[0]
        if field in ("ballot", "promised"):
            return self._ballots.expand(item)
        if field == "version":
            return item if item < UNLIMITED else self._unreal[item - UNLIMITED]
        if field == "known":
            return self._ranges(item)
        if field == "accepted":
            votes = self._by_slot(item, self._vote)
            return [{"slot": slot, **vote} for slot, vote in votes.items()]
        if field == "decided":
            decisions = sorted(function(item).items())
            return [{"slot": s, "value": v} for each in decisions for s, v in self._content(*each)]
        if field == "log":
            entries = ((entry["slot"], entry["value"]) for entry in item)
            return [
                {"slot": s, "value": v, "status": "chosen"}
                for each in entries
                for s, v in self._content(*each)
            ]
        return item

    def _vote(self, vote: dict[str, Any]) -> Json:
        # TLC prints the fields of a record in an order that differs from run to run.
        return {field: self._field_of_body(field, vote[field]) for field in ("ballot", "value")}

    def _ranges(self, ranks: Iterable[int]) -> Ranges:
        intervals = (self._intervals.slots(rank) for rank in sorted(ranks))
        return merged((slots[0], slots[-1]) for slots in intervals)

    def _by_slot(self, printed: Any, convert: Callable[[Any], Any]) -> dict[int, Any]:
        """Return a function from slots, each of which is an interval of its own."""
        found = sorted(function(printed).items())
        return {self._intervals.slots(rank)[0]: convert(item) for rank, item in found}

    def _content(self, rank: int, value: str) -> Iterator[tuple[int, Json]]:
        """Yield the slots of an interval with their values."""
        slots = self._intervals.slots(rank)
        if len(slots) == 1:
            yield slots[0], self._originals[value]
        else:
            # Nothing is decided in such an interval within the window.
            assert self._state is not None
            for slot in slots:
                yield slot, self._state.decided[slot]

    def _in_member_order(self, nodes: Iterable[str]) -> list[str]:
        """Return nodes in the order of the cluster, then senders that are no members."""
        return sorted(
            (self._originals[node] for node in nodes),
            key=lambda node: (self._order.get(node, len(self._order)), node),
        )


def _union(sets: Sequence[str]) -> str:
    union = " \\cup ".join(sets)
    return f"({union})" if sets else "{}"


def _function(items: dict[int, str]) -> str:
    pairs = " @@ ".join(f"{rank} :> {item}" for rank, item in items.items())
    return f"({pairs})" if pairs else "<<>>"
