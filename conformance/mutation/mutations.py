"""Mutations of accepted traces: records dropped, repeated, swapped or edited, traces spliced, files
truncated.

Each kind of mutation takes a random generator, and returns the mutated records with what can be
expected of them.  Nothing here reads a file or runs a checker.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from ..formats.canonical import canonical
from . import expectations
from .expectations import Expectation, illegal

Json = Any
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Source:
    """An accepted trace of a cluster, in an order in which each message is sent before its receipt.

    `batch` is the spec's constant Batch that its nodes ran with.
    """

    name: str
    records: list[Json]
    batch: int

    @property
    def cluster(self) -> str:
        """The members and `batch`, as text; traces of equal clusters can be spliced."""
        opened = next(
            r["input"]["body"] for r in self.records if expectations.is_message(r["input"])
        )
        return json.dumps([opened["node_ids"], self.batch])


@dataclass(frozen=True)
class MutatedTrace:
    """A mutated trace: its records, and how many characters are missing at the end of its file.

    `first` is the first line that is mutated; no line before it may be rejected.
    """

    kind: str
    what: str
    source: Source
    records: list[Json]
    first: int
    expectation: Expectation
    missing: int = 0

    @property
    def unaffected(self) -> frozenset[str]:
        """The nodes that must not be rejected."""
        return expectations.unaffected_nodes(self.source.records, self.records)

    @property
    def text(self) -> str:
        whole = "".join(json.dumps(record) + "\n" for record in self.records)
        return whole[: len(whole) - self.missing]

    @property
    def whole(self) -> bool:
        """Whether no record is truncated; the end of a line is no part of its record."""
        return self.missing <= 1


Mutation = tuple[str, list[Json], int, Expectation | None]
"""A description, the mutated records, the first mutated line, what follows from the mutation."""

Mutator = Callable[[random.Random, Source, Sequence[Source]], Mutation | None]
"""Mutates a trace at a random place, or returns None if it cannot be mutated there.  The third
argument are the traces to splice with.
"""


def drop_record(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    at = rng.randrange(len(source.records))
    gone, rest = source.records[at], [*source.records[:at], *source.records[at + 1 :]]
    if not rest:
        return None
    later = [record for record in rest[at:] if record["node"] == gone["node"]]
    known = None
    if expectations.is_unreceived(gone, rest) and not later:
        known = Expectation(True, "it was its node's last step, and no node received its output")
    elif (
        expectations.is_unreceived(gone, rest)
        and expectations.sends_no_reply(gone)
        and expectations.is_noop(gone)
    ):
        known = Expectation(True, "it was a no-op, and no node received its output")
    return f"line {at + 1} dropped", rest, at + 1, known


def repeat_record(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    at = rng.randrange(len(source.records))
    record = source.records[at]
    made = [*source.records[: at + 1], record, *source.records[at + 1 :]]
    return f"line {at + 1} repeated", made, at + 2, expectations.of_repeated(record, at + 2)


def swap_records(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    """Swap two neighbouring records of the file."""
    if len(source.records) < 2:
        return None
    at = rng.randrange(len(source.records) - 1)
    return _swap(source, at, at + 1)


def swap_within_node(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    """Swap two neighbouring records of one node."""
    at = rng.randrange(len(source.records))
    node = source.records[at]["node"]
    later = range(at + 1, len(source.records))
    after = next((i for i in later if source.records[i]["node"] == node), None)
    return None if after is None else _swap(source, at, after)


def _swap(source: Source, at: int, other: int) -> Mutation | None:
    """Swap two records; none of the first one's node is between them."""
    one, two = source.records[at], source.records[other]
    if one == two:
        return None
    made = list(source.records)
    made[at], made[other] = two, one
    known = None
    if one["node"] != two["node"]:
        known = Expectation(True, "records of different nodes have no order")
    elif all(expectations.is_noop(r) and expectations.sends_no_reply(r) for r in (one, two)) and (
        expectations.is_unreceived(one, made)
    ):
        known = Expectation(True, "both were no-ops, and no node received the output of the first")
    return f"lines {at + 1} and {other + 1} swapped", made, at + 1, known


def splice_traces(rng: random.Random, source: Source, others: Sequence[Source]) -> Mutation | None:
    """Join the beginning of one trace with the end of another, or of the same one."""
    other = rng.choice(others)
    end, begin = rng.randint(1, len(source.records)), rng.randrange(len(other.records))
    if other is source and end == begin:
        return None
    made = source.records[:end] + other.records[begin:]
    return f"cut before line {end + 1}, {other.name} from line {begin + 1} on", made, end + 1, None


def splice_node(rng: random.Random, source: Source, others: Sequence[Source]) -> Mutation | None:
    """Replace the log of one node by its log in another run."""
    other = rng.choice(others)
    node = rng.choice(sorted({record["node"] for record in source.records}))
    others_log = [record for record in other.records if record["node"] == node]
    lines = [at for at, r in enumerate(source.records) if r["node"] == node]
    if other is source or not others_log or len(lines) == len(source.records):
        return None
    kept = [record for record in source.records if record["node"] != node]
    return f"{node} is that of {other.name}", kept + others_log, lines[0] + 1, None


# Edit one field.  Mutations take turns over all places, so that every field of every message is
# edited.

ADDED = "extra"
_OPAQUE = ("value", "text")
_TYPES = ("accept", "accepted", "decided", "error", "learn", "prepare", "promise", "unheard-of")
_VALUES: tuple[Json, ...] = ("w", 1, 1.0, True, False, None, 0, "", [], {}, {"set": 1}, [1, None])
_NOTHING = object()

Place = tuple[str, str, str]
"""Side of the record, type of the message, field: ("output", "promise", "accepted[].ballot")."""


def places(sources: Sequence[Source]) -> dict[Place, list[tuple[Source, int, Path]]]:
    """Return all places with their occurrences: source, index of the record, path into it."""
    found: dict[Place, list[tuple[Source, int, Path]]] = defaultdict(list)
    for source in sources:
        for at, record in enumerate(source.records):
            for side, kind, path in _fields(record):
                name = "".join("[]" if isinstance(s, int) else f".{s}" for s in path[1:])
                name = name.removeprefix("[]").removeprefix(".")
                found[side, kind, name or path[0]].append((source, at, path))
    return dict(sorted(found.items()))


def _fields(record: Json) -> Iterator[tuple[str, str, Path]]:
    for name in ("node", "action", ADDED):
        yield "record", "", (name,)
    given = record["input"]
    if not expectations.is_message(given):
        yield "input", "event", ("input",)
    messages: list[tuple[str, Path, Json]] = [("input", ("input",), given)]
    messages += [("output", ("output", at), each) for at, each in enumerate(record["output"])]
    for side, path, message in messages:
        if expectations.is_message(message):
            kind = expectations.kind_of(message)
            for name in ("src", "dest", ADDED):
                yield side, kind, (*path, name)
            for inner in _inner(message["body"]):
                yield side, kind, (*path, "body", *inner)
            yield side, kind, (*path, "body", ADDED)


def _inner(item: Json) -> Iterator[Path]:
    """Yield the paths of all fields in a body."""
    steps = item.items() if isinstance(item, dict) else enumerate(item)
    for step, inner in steps:
        if not (isinstance(step, int) and isinstance(inner, (dict, list))):
            yield (step,)
        if isinstance(inner, (dict, list)) and step not in _OPAQUE:
            yield from ((step, *path) for path in _inner(inner))


def edit_field(rng: random.Random, source: Source, at: int, path: Path) -> Mutation | None:
    """Replace or remove one field of one record."""
    record = source.records[at]
    old = _get(record, path)
    choices = [new for new in _others(source, path, old) if new is _NOTHING or not _same(new, old)]
    new = rng.choice(choices)
    made = list(source.records)
    made[at] = _with(record, path, new)
    place = ".".join(map(str, path))
    what = f"line {at + 1}: {place} is {_shown(new)} instead of {_shown(old)}"
    return what, made, at + 1, _expectation_of_edit(record, made[at], path, at + 1)


def _expectation_of_edit(record: Json, made: Json, path: Path, line: int) -> Expectation | None:
    node, missing = record["node"], _get(made, path) is _NOTHING
    if path[0] == "output":
        free = path[-1] == "text" and (missing or isinstance(_get(made, path), str))
        if free:
            return Expectation(True, "the text of an error is free")
        return illegal(node, line, "the output is a function of state and input")
    if path == ("action",) and missing:
        return Expectation(True, "a record need not have an action")
    if path in (("action",), (ADDED,)):
        return illegal(node, line, "the schema does not allow such a record")
    if path[-1] == ADDED and (len(path) == 2 or _is_request(record)):
        return Expectation(True, "an envelope and a request may have more fields")
    if path == ("input",) and made["input"] == "tick":
        return illegal(node, line, "the schema has no such event")
    return None


def _is_request(record: Json) -> bool:
    return "msg_id" in record["input"]["body"]


def _others(source: Source, path: Path, old: Json) -> list[Json]:
    """Return values to put in a place, well formed or not."""
    names = [*_members(source), "c1", "c9", ""]
    if path[-1] == ADDED:
        return [0, "x"]
    gone = [] if isinstance(path[-1], int) else [_NOTHING]
    if {"src", "dest", "node_id", "node_ids"} & {path[-1], *path[-2:-1]} and isinstance(old, str):
        return [*names, None, *gone]
    if path == ("node",):
        return names
    if path == ("input",):
        return ["timeout", "inquire", "expire", "crash", "restart", "tick"]
    by_name = {"type": _TYPES, "status": ("open",), "value": _VALUES, "text": ("other", "", None)}
    by_name["action"] = ("Timeout", "ReceivePrepare", "Nothing")
    if path[-1] in by_name:
        return [*by_name[path[-1]], _NOTHING]
    if isinstance(old, bool):
        return [not old, int(old), *gone]
    if isinstance(old, int):
        # A checker need not support larger ballots.
        large = 2**20 if path[-1] in ("ballot", "promised") else 2**62
        next_own = old + len(_members(source))
        return [old + 1, old - 1, next_own, 0, 7, 11, large, -1, float(old), str(old), *gone]
    shorter = [old[:at] + old[at + 1 :] for at in range(len(old))]
    longer = [[*old, *old[-1:]], [*old, [2**40, 2**41]], {"0": old}]
    return [*shorter, *longer, *gone]


def _members(source: Source) -> list[str]:
    members: list[str] = json.loads(source.cluster)[0]
    return members


def _get(item: Json, path: Path) -> Json:
    for step in path:
        if isinstance(item, dict) and step not in item:
            return _NOTHING
        item = item[step]
    return item


def _with(item: Json, path: Path, new: Json) -> Json:
    """Return a copy with another value at a path."""
    step, *rest = path
    if isinstance(item, list):
        return [
            *item[:step],
            _with(item[step], tuple(rest), new) if rest else new,
            *item[step + 1 :],
        ]
    changed = {**item, step: _with(item[step], tuple(rest), new) if rest else new}
    return {name: inner for name, inner in changed.items() if inner is not _NOTHING}


def _same(one: Json, other: Json) -> bool:
    return other is not _NOTHING and canonical(one) == canonical(other)


def _shown(item: Json) -> str:
    text = "nothing" if item is _NOTHING else json.dumps(item)
    return text if len(text) <= 60 else f"{text[:60]}..."


# Change what a node sent in one step.


def change_output(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    """Drop or repeat a message of an output, or move it to the front."""
    sending = [at for at, record in enumerate(source.records) if record["output"]]
    at = rng.choice(sending)
    record, output = source.records[at], source.records[at]["output"]
    place = rng.randrange(len(output))
    what, changed = rng.choice(
        [
            ("dropped", output[:place] + output[place + 1 :]),
            ("repeated", output[: place + 1] + output[place:]),
            ("put first", [output[place], *output[:place], *output[place + 1 :]]),
        ]
    )
    if changed == output:
        return None
    made = list(source.records)
    made[at] = {**record, "output": changed}
    if all(_to(dest, changed) == _to(dest, output) for dest in _dests(changed) | _dests(output)):
        known = Expectation(True, "messages to different destinations have no order")
    else:
        known = illegal(record["node"], at + 1, "the order of messages to one destination is fixed")
    return f"line {at + 1}: output.{place} {what}", made, at + 1, known


def lose_message(rng: random.Random, source: Source, _: Sequence[Source]) -> Mutation | None:
    """Remove a message between nodes from the output that sent it, received or not."""
    logged = expectations.nodes_in(source.records)
    sent = [
        (at, place)
        for at, record in enumerate(source.records)
        for place, message in enumerate(record["output"])
        if message["dest"] in logged
    ]
    if not sent:
        return None
    at, place = rng.choice(sent)
    record = source.records[at]
    made = list(source.records)
    made[at] = {**record, "output": record["output"][:place] + record["output"][place + 1 :]}
    known = illegal(record["node"], at + 1, "the output is a function of state and input")
    return f"line {at + 1}: output.{place} dropped", made, at + 1, known


def _dests(output: Sequence[Json]) -> set[str]:
    return {message["dest"] for message in output}


def _to(dest: str, output: Sequence[Json]) -> list[str]:
    return [canonical(message) for message in output if message["dest"] == dest]


# Truncate the file.


def truncate_file(rng: random.Random, source: Source) -> MutatedTrace:
    """Truncate mostly in the middle of a record, sometimes at the end of one or of its line."""
    at = rng.randrange(1, len(source.records))
    length = len(json.dumps(source.records[at]))
    end = rng.choice([*[rng.randrange(1, length)] * 8, length, 0])
    known = illegal(source.records[at]["node"], at + 1, "the last record is incomplete")
    if end == length:
        known = Expectation(True, "the last line may lack its end")
    elif end == 0:
        known = Expectation(True, "it is a prefix of the trace")
    what = f"truncated after character {end} of line {at + 1}"
    kept, missing = source.records[: at + bool(end)], (length + 1 - end) * bool(end)
    return MutatedTrace("truncate-file", what, source, kept, at + 1, known, missing)


# All of it.

_MUTATORS: dict[str, Mutator] = {
    "drop-record": drop_record,
    "repeat-record": repeat_record,
    "swap-records": swap_records,
    "swap-within-node": swap_within_node,
    "splice-traces": splice_traces,
    "splice-node": splice_node,
    "change-output": change_output,
    "lose-message": lose_message,
}

# How often a random place is tried before another kind of mutation is taken.
TRIES = 200

# One mutation of so many is of a long trace; coprime to the sum of the shares below.
LONG_EVERY = 97

# How many of some twenty mutations are of each kind.
_SHARES = {
    "edit-input": 5,
    "edit-output": 4,
    "edit-record": 1,
    "drop-record": 2,
    "repeat-record": 2,
    "swap-records": 1,
    "swap-within-node": 1,
    "splice-traces": 1,
    "splice-node": 1,
    "change-output": 1,
    "truncate-file": 1,
    "lose-message": 1,
}

KINDS = tuple(_SHARES)


def mutated_traces(
    sources: Sequence[Source],
    long: Sequence[Source],
    seed: int,
    first: int = 1,
    only: str | None = None,
) -> Iterator[MutatedTrace]:
    """Yield mutated traces without end, from number `first` on.

    `only` is the kind of all of them, if given.  Edits take turns over all fields, and one mutation
    in `LONG_EVERY` is of a trace in `long`.
    """
    kinds = cycle([only] if only else [kind for kind, n in _SHARES.items() for _ in range(n)])
    everything = [*sources, *long]
    every, every_long = places(sources), places(long)
    sides = {
        f"edit-{side}": cycle([place for place in every if place[0] == side])
        for side in ("input", "output", "record")
    }
    planned = (
        (n, kind, next(sides[kind]) if kind in sides else None) for n, kind in enumerate(kinds, 1)
    )
    for n, kind, place in islice(planned, first - 1, None):
        rng = random.Random(f"{seed} {n}")
        if long and n % LONG_EVERY == 0 and (place is None or place in every_long):
            yield _one(rng, kind, long, everything, every_long[place] if place else [])
        else:
            yield _one(rng, kind, sources, everything, every[place] if place else [])


def _one(
    rng: random.Random,
    kind: str,
    sources: Sequence[Source],
    everything: Sequence[Source],
    where: Sequence[tuple[Source, int, Path]],
) -> MutatedTrace:
    for _ in range(TRIES):
        if where:
            source, at, path = rng.choice(where)
            made = edit_field(rng, source, at, path)
        else:
            source = rng.choice(sources)
            if kind == "truncate-file":
                return truncate_file(rng, source)
            others = [other for other in everything if other.cluster == source.cluster]
            made = _MUTATORS[kind](rng, source, others)
        if made is not None:
            what, records, first, known = made
            # If a node is added, earlier messages from it must have been sent, too.
            same_nodes = expectations.nodes_in(records) == expectations.nodes_in(source.records)
            expectation = expectations.combined(known, records)
            return MutatedTrace(
                kind, what, source, records, first if same_nodes else 1, expectation
            )
    # These traces cannot be mutated in this way, but every trace can be in the following one.
    return _one(rng, "repeat-record", sources, everything, [])
