"""How an accepted log is altered: records dropped, repeated, swapped, edited, cut off, spliced.

Each kind takes its chance from outside and says what is known of what it made, for it knows what it
did.  Nothing here reads a file or asks a judge.
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
from .expectations import Claim, illegal

Json = Any
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Source:
    """An accepted log of a cluster, in an order in which it can have happened.

    `batch` is what its nodes ran with.
    """

    name: str
    records: list[Json]
    batch: int

    @property
    def cluster(self) -> str:
        """Logs can be spliced where this is the same."""
        opened = next(
            r["input"]["body"] for r in self.records if expectations.is_message(r["input"])
        )
        return json.dumps([opened["node_ids"], self.batch])


@dataclass(frozen=True)
class Altered:
    """An altered log: its records, and how many characters are missing at the end of its file.

    Nothing may be rejected before line `first`, for up to there it is as it was.
    """

    kind: str
    what: str
    source: Source
    records: list[Json]
    first: int
    claim: Claim
    missing: int = 0

    @property
    def innocent(self) -> frozenset[str]:
        """The nodes that must not be rejected."""
        return expectations.innocent(self.source.records, self.records)

    @property
    def text(self) -> str:
        whole = "".join(json.dumps(record) + "\n" for record in self.records)
        return whole[: len(whole) - self.missing]

    @property
    def whole(self) -> bool:
        """Whether no record is cut off; the end of its line is no part of one."""
        return self.missing <= 1


Made = tuple[str, list[Json], int, Claim | None]
"""What was done, the records that came of it, the first line that is another, what is known."""

Alter = Callable[[random.Random, Source, Sequence[Source]], Made | None]
"""Alters a log by chance; None where chance found nothing to alter.  The last are for splicing."""


def dropped(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    at = chance.randrange(len(source.records))
    gone, rest = source.records[at], [*source.records[:at], *source.records[at + 1 :]]
    if not rest:
        return None
    later = [record for record in rest[at:] if record["node"] == gone["node"]]
    known = None
    if expectations.unheard(gone, rest) and not later:
        known = Claim(True, "it was its node's last step, and nobody received what it sent")
    elif (
        expectations.unheard(gone, rest)
        and expectations.unanswered(gone)
        and expectations.changes_nothing(gone)
    ):
        known = Claim(True, "it changed nothing, and nobody received what it sent")
    return f"line {at + 1} dropped", rest, at + 1, known


def repeated(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    at = chance.randrange(len(source.records))
    record = source.records[at]
    made = [*source.records[: at + 1], record, *source.records[at + 1 :]]
    return f"line {at + 1} repeated", made, at + 2, expectations.repeated(record, at + 2)


def swapped(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    """Neighbours in the file."""
    if len(source.records) < 2:
        return None
    at = chance.randrange(len(source.records) - 1)
    return _swap(source, at, at + 1)


def swapped_in_node(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    """Neighbours in the log of a node."""
    at = chance.randrange(len(source.records))
    node = source.records[at]["node"]
    later = range(at + 1, len(source.records))
    after = next((i for i in later if source.records[i]["node"] == node), None)
    return None if after is None else _swap(source, at, after)


def _swap(source: Source, at: int, other: int) -> Made | None:
    """Two records, between which there is none of the first one's node."""
    one, two = source.records[at], source.records[other]
    if one == two:
        return None
    made = list(source.records)
    made[at], made[other] = two, one
    known = None
    if one["node"] != two["node"]:
        known = Claim(True, "records of different nodes stand in no order")
    elif all(
        expectations.changes_nothing(r) and expectations.unanswered(r) for r in (one, two)
    ) and (expectations.unheard(one, made)):
        known = Claim(True, "neither changed anything, and nobody received what the first one sent")
    return f"lines {at + 1} and {other + 1} swapped", made, at + 1, known


def spliced(chance: random.Random, source: Source, others: Sequence[Source]) -> Made | None:
    """The beginning of one log and the end of another, or of the same one."""
    other = chance.choice(others)
    end, begin = chance.randint(1, len(source.records)), chance.randrange(len(other.records))
    if other is source and end == begin:
        return None
    made = source.records[:end] + other.records[begin:]
    return f"cut before line {end + 1}, {other.name} from line {begin + 1} on", made, end + 1, None


def spliced_in_node(chance: random.Random, source: Source, others: Sequence[Source]) -> Made | None:
    """The log of one node is that of another run."""
    other = chance.choice(others)
    node = chance.choice(sorted({record["node"] for record in source.records}))
    strange = [record for record in other.records if record["node"] == node]
    lines = [at for at, r in enumerate(source.records) if r["node"] == node]
    if other is source or not strange or len(lines) == len(source.records):
        return None
    kept = [record for record in source.records if record["node"] != node]
    return f"{node} is that of {other.name}", kept + strange, lines[0] + 1, None


# One field is edited.  A place is a path into a record; what is edited there is named by the side
# of the record, the type of the message and the field, so that none of them is forgotten.

ADDED = "extra"
_OPAQUE = ("value", "text")
_TYPES = ("accept", "accepted", "decided", "error", "learn", "prepare", "promise", "unheard-of")
_VALUES = ("w", 1, 1.0, True, False, None, 0, "", [], {}, {"set": 1}, [1, None])
_NOTHING = object()

Place = tuple[str, str, str]
"""Side, type and field: ("output", "promise", "accepted[].ballot")."""


def places(sources: Sequence[Source]) -> dict[Place, list[tuple[Source, int, Path]]]:
    """Every field that there is, and where it stands: source, place in the log, path."""
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
    for path, message in (
        (("input",), given),
        *((("output", at), message) for at, message in enumerate(record["output"])),
    ):
        if expectations.is_message(message):
            for name in ("src", "dest", ADDED):
                yield path[0], expectations.kind_of(message), (*path, name)
            for inner in _inner(message["body"]):
                yield path[0], expectations.kind_of(message), (*path, "body", *inner)
            yield path[0], expectations.kind_of(message), (*path, "body", ADDED)


def _inner(item: Json) -> Iterator[Path]:
    """The paths of all fields in a body."""
    steps = item.items() if isinstance(item, dict) else enumerate(item)
    for step, inner in steps:
        if not (isinstance(step, int) and isinstance(inner, (dict, list))):
            yield (step,)
        if isinstance(inner, (dict, list)) and step not in _OPAQUE:
            yield from ((step, *path) for path in _inner(inner))


def edited(chance: random.Random, source: Source, at: int, path: Path) -> Made | None:
    """One field of one record is another one, or gone."""
    record = source.records[at]
    old = _get(record, path)
    choices = [new for new in _others(source, path, old) if new is _NOTHING or not _same(new, old)]
    new = chance.choice(choices)
    made = list(source.records)
    made[at] = _with(record, path, new)
    place = ".".join(map(str, path))
    what = f"line {at + 1}: {place} is {_shown(new)} instead of {_shown(old)}"
    return what, made, at + 1, _known_of_edit(record, made[at], path, at + 1)


def _known_of_edit(record: Json, made: Json, path: Path, line: int) -> Claim | None:
    node, missing = record["node"], _get(made, path) is _NOTHING
    if path[0] == "output":
        free = path[-1] == "text" and (missing or isinstance(_get(made, path), str))
        if free:
            return Claim(True, "what an error tells people is free")
        return illegal(node, line, "a node does one thing only in one state with one input")
    if path == ("action",) and missing:
        return Claim(True, "an action need not be told")
    if path in (("action",), (ADDED,)):
        return illegal(node, line, "the schema has no such record")
    if path[-1] == ADDED and (len(path) == 2 or _is_request(record)):
        return Claim(True, "an envelope and a request may have more fields")
    if path == ("input",) and made["input"] == "tick":
        return illegal(node, line, "the schema has no such event")
    return None


def _is_request(record: Json) -> bool:
    return "msg_id" in record["input"]["body"]


def _others(source: Source, path: Path, old: Json) -> list[Json]:
    """What could stand in a place, well formed or not."""
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
        # With a larger ballot than this a judge need not be able to count.
        large = 2**20 if path[-1] in ("ballot", "promised") else 2**62
        next_own = old + len(_members(source))
        return [old + 1, old - 1, next_own, 0, 7, 11, large, -1, float(old), str(old), *gone]
    shorter = [old[:at] + old[at + 1 :] for at in range(len(old))]
    longer = [[*old, *old[-1:]], [*old, [2**40, 2**41]], {"0": old}]
    return [*shorter, *longer, *gone]


def _members(source: Source) -> list[str]:
    return json.loads(source.cluster)[0]


def _get(item: Json, path: Path) -> Json:
    for step in path:
        if isinstance(item, dict) and step not in item:
            return _NOTHING
        item = item[step]
    return item


def _with(item: Json, path: Path, new: Json) -> Json:
    """A copy with something else in one place."""
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


# What a node sent in one step is another list.


def said_otherwise(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    """A message of an output is dropped or repeated, or two of them are swapped."""
    talkative = [at for at, record in enumerate(source.records) if record["output"]]
    at = chance.choice(talkative)
    record, output = source.records[at], source.records[at]["output"]
    place = chance.randrange(len(output))
    what, said = chance.choice(
        [
            ("dropped", output[:place] + output[place + 1 :]),
            ("repeated", output[: place + 1] + output[place:]),
            ("put first", [output[place], *output[:place], *output[place + 1 :]]),
        ]
    )
    if said == output:
        return None
    made = list(source.records)
    made[at] = {**record, "output": said}
    if all(_to(dest, said) == _to(dest, output) for dest in _dests(said) | _dests(output)):
        known = Claim(True, "what goes to different nodes and clients is in no order")
    else:
        known = illegal(record["node"], at + 1, "a node sends what it sends, in one order to each")
    return f"line {at + 1}: output.{place} {what}", made, at + 1, known


def lost(chance: random.Random, source: Source, _: Sequence[Source]) -> Made | None:
    """A message between nodes is no more among what was sent, whether it was received or not."""
    logged = expectations.nodes(source.records)
    sent = [
        (at, place)
        for at, record in enumerate(source.records)
        for place, message in enumerate(record["output"])
        if message["dest"] in logged
    ]
    if not sent:
        return None
    at, place = chance.choice(sent)
    record = source.records[at]
    made = list(source.records)
    made[at] = {**record, "output": record["output"][:place] + record["output"][place + 1 :]}
    known = illegal(record["node"], at + 1, "a node sends what it sends")
    return f"line {at + 1}: output.{place} dropped", made, at + 1, known


def _dests(output: Sequence[Json]) -> set[str]:
    return {message["dest"] for message in output}


def _to(dest: str, output: Sequence[Json]) -> list[str]:
    return [canonical(message) for message in output if message["dest"] == dest]


# The file is cut off.


def cut_off(chance: random.Random, source: Source) -> Altered:
    """Most often in the middle of a record, sometimes at the end of one or of its line."""
    at = chance.randrange(1, len(source.records))
    length = len(json.dumps(source.records[at]))
    end = chance.choice([*[chance.randrange(1, length)] * 8, length, 0])
    known = illegal(source.records[at]["node"], at + 1, "half a record is none")
    if end == length:
        known = Claim(True, "the end of the last line may be missing")
    elif end == 0:
        known = Claim(True, "up to there it has happened")
    what = f"cut off behind character {end} of line {at + 1}"
    kept, missing = source.records[: at + bool(end)], (length + 1 - end) * bool(end)
    return Altered("cut off", what, source, kept, at + 1, known, missing)


# All of it.

_KINDS: dict[str, Alter] = {
    "drop": dropped,
    "repeat": repeated,
    "swap": swapped,
    "swap in one node": swapped_in_node,
    "splice": spliced,
    "splice one node": spliced_in_node,
    "other messages": said_otherwise,
    "lost message": lost,
}

# So often chance may find nothing to alter.
TRIES = 200

# A long log is altered so often; a number that shares no factor with the number of shares below.
LONG_EVERY = 97

# Of some twenty alterations so many are of each kind.
_SHARES = {
    **{"edit input": 5, "edit output": 4, "edit record": 1, "drop": 2, "repeat": 2, "swap": 1},
    **{"swap in one node": 1, "splice": 1, "splice one node": 1, "other messages": 1, "cut off": 1},
    "lost message": 1,
}

KINDS = tuple(_SHARES)


def alterations(
    sources: Sequence[Source],
    long: Sequence[Source],
    seed: int,
    first: int = 1,
    only: str | None = None,
) -> Iterator[Altered]:
    """Altered logs without end, from one of them on, or those of one kind only; each field is
    edited in its turn.

    Now and then it is one of the long logs.
    """
    kinds = cycle([only] if only else [kind for kind, n in _SHARES.items() for _ in range(n)])
    everything = [*sources, *long]
    every, every_long = places(sources), places(long)
    sides = {
        f"edit {side}": cycle([place for place in every if place[0] == side])
        for side in ("input", "output", "record")
    }
    planned = (
        (n, kind, next(sides[kind]) if kind in sides else None) for n, kind in enumerate(kinds, 1)
    )
    for n, kind, place in islice(planned, first - 1, None):
        chance = random.Random(f"{seed} {n}")
        if long and n % LONG_EVERY == 0 and (place is None or place in every_long):
            yield _one(chance, kind, long, everything, every_long.get(place, []))
        else:
            yield _one(chance, kind, sources, everything, every.get(place, []))


def _one(
    chance: random.Random,
    kind: str,
    sources: Sequence[Source],
    everything: Sequence[Source],
    where: Sequence[tuple[Source, int, Path]],
) -> Altered:
    for _ in range(TRIES):
        if where:
            source, at, path = chance.choice(where)
            made = edited(chance, source, at, path)
        else:
            source = chance.choice(sources)
            if kind == "cut off":
                return cut_off(chance, source)
            others = [other for other in everything if other.cluster == source.cluster]
            made = _KINDS[kind](chance, source, others)
        if made is not None:
            what, records, first, known = made
            # With other nodes, what was a stranger's word before may be one that must be sent.
            alike = expectations.nodes(records) == expectations.nodes(source.records)
            known = expectations.agreed(known, records)
            return Altered(kind, what, source, records, first if alike else 1, known)
    # Such logs cannot be altered so, but any can be altered like this.
    return _one(chance, "repeat", sources, everything, [])
