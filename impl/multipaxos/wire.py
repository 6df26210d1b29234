"""Parse lines of JSON into messages, check them, and write messages as JSON.

Each message that passes is well formed and comes from a node or client that may send it.
"""

from __future__ import annotations

import json
import json.encoder
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from .members import Members
from .messages import (
    MALFORMED,
    NOT_SUPPORTED,
    Accept,
    Accepted,
    Body,
    Decided,
    Error,
    Init,
    InitOk,
    Learn,
    Learned,
    MultiPaxosLog,
    MultiPaxosLogOk,
    MultiPaxosPropose,
    MultiPaxosProposeOk,
    Poll,
    Prepare,
    Promise,
    Rejected,
    Repeat,
    Value,
    Vote,
)
from .readable import MOST_DIGITS, VALUE_DEPTH, beginning, replace_unreadable
from .slots import Ranges

BLANK = " \t\r\n"
"""The white space of JSON."""

END = 2**63
"""The least number that is too large for a slot or a ballot."""

SCANNED_CHARACTERS = 2**23
"""Characters of the longest line that is scanned if a JSON library cannot read it."""

VALUE_BYTES = 2**20
"""The default of the longest value that a client may propose, in bytes as written here."""

CACHED_NAME = 100
"""Characters of the longest name of a receiver whose head is kept."""

CACHED_NAMES = 10_000
"""How many heads are kept."""

Json = Any


class Dropped(Exception):
    """A line is dropped without an answer; the text says why."""


class Refused(Exception):
    """A message is refused; its sender gets an error with this code, if it can be answered."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unreadable(Exception):
    """The line may be JSON, but is nested too deep to read, or has a number that is too large."""


def reject_constant(name: str) -> Json:
    raise Dropped(f"it is not JSON: there is no {name} in JSON")


def parse_int(digits: str) -> int:
    """Return what `int` returns, with the limit of digits that current Pythons have."""
    if len(digits) > MOST_DIGITS + (digits[0] == "-"):
        raise ValueError("a number has too many digits")
    return int(digits)


def parse_float(text: str) -> float:
    number = float(text)
    if abs(number) == math.inf:
        raise ValueError("a number is too large")
    return number


def has_limit() -> bool:
    """Return whether `int` of this Python has this limit of digits."""
    try:
        int("1" * MOST_DIGITS)
        int("1" * (MOST_DIGITS + 1))
    except ValueError as error:
        return str(MOST_DIGITS + 1) in str(error)
    return False


encode = json.JSONEncoder(allow_nan=False).encode
encode_ordered = json.JSONEncoder(allow_nan=False, sort_keys=True).encode
quote = json.encoder.encode_basestring_ascii
decoder = json.JSONDecoder(
    parse_int=int if has_limit() else parse_int,
    parse_float=parse_float,
    parse_constant=reject_constant,
)
# Its stub leaves this method out.
scan: Callable[[str, int], tuple[Json, int]] = decoder.scan_once  # type: ignore[attr-defined]


# Reading.

Parts = tuple[str, str, dict[str, Json]]
"""An envelope whose body is not checked: src, dest and body."""


def read(text: str) -> Parts | str | Repeat:
    """Return the content of a line: an envelope or an event.

    Raises Dropped, or Unreadable if `read_partially` may read it.
    """
    try:
        line, end = scan(text, 0)
    except StopIteration as error:
        if (stripped := text.lstrip(BLANK)) != text:
            return read(stripped)
        if not text:
            raise Dropped("it is blank") from None
        raise Dropped(f"it is not JSON from character {error.value} on") from None
    except json.JSONDecodeError as error:
        raise Dropped(f"it is not JSON: {error}") from None
    except (RecursionError, ValueError) as error:
        raise Unreadable from error
    if end != len(text) and text[end:].strip(BLANK):
        raise Dropped(f"it is not JSON from character {end} on")
    if type(line) is str:
        return line
    if type(line) is not dict:
        raise Dropped("it is not an object")
    if "event" in line and line["event"] == "repeat":
        return repeat(line)
    try:
        src, dest, body = line["src"], line["dest"], line["body"]
    except KeyError as missing:
        raise Dropped(f"it has no {missing.args[0]}") from None
    if type(src) is not str:
        raise Dropped("its src is not a string")
    if type(dest) is not str:
        raise Dropped("its dest is not a string")
    if type(body) is not dict:
        raise Dropped("its body is not an object")
    if "in_reply_to" in body and body["in_reply_to"] is not None:
        raise Dropped("it is a reply, and the node sends no requests")
    return src, dest, body


def repeat(line: dict[str, Json]) -> Repeat:
    """Return the event of this line; raises Dropped if it is malformed."""
    try:
        slots = ranges(line, "slots")
    except (KeyError, Refused):
        raise Dropped("its slots are not ascending, maximal ranges of slots") from None
    return Repeat(slots)


class CutLine(bytes):
    """The beginning of a line that is too long."""

    def decode(self, *_: object, **__: object) -> str:
        raise Unreadable


def read_partially(line: bytes) -> tuple[str, Parts | str | Repeat, Refused | None]:
    """Read as much as possible of a line that `read` cannot read.

    Returns a readable text in its place, the content of that, and the refusal if parts are missing.
    """
    try:
        text = str(line, "utf-8", "ignore" if type(line) is CutLine else "strict")
    except UnicodeDecodeError:
        raise Dropped("it is not UTF-8") from None
    if type(line) is CutLine or len(text) > SCANNED_CHARACTERS:
        text = encode(dict(zip(("src", "dest", "body"), leading_parts(text), strict=True)))
        try:
            return text, read(text), Refused(MALFORMED, "the line is too long to be read")
        except Dropped:
            raise Dropped("it is too long to be read") from None
    text = replace_unreadable(text)
    try:
        return text, read(text), None
    except Unreadable:
        raise Dropped("it cannot be read") from None


def leading_parts(text: str) -> tuple[Json, Json, dict[str, Json]]:
    """Return the src, dest and body with which a line begins, up to the first long part."""
    envelope, body = (
        {read_scalar(name): read_scalar(value) for name, value in found}
        for found in beginning(text)
    )
    return envelope.get("src"), envelope.get("dest"), body


def read_scalar(text: str) -> Json:
    try:
        return scan(text, 0)[0]
    except ValueError:
        return None


def source(line: bytes) -> Json:
    """Return the src of a line with this beginning; None if it is not in it."""
    return leading_parts(str(line, "utf-8", "ignore"))[0]


def message(
    src: str, dest: str, body: dict[str, Json], members: Members, value_bytes: int = VALUE_BYTES
) -> Body:
    """Return the message in an envelope to this node; raises Refused.

    `value_bytes` limits the values of clients only: a value that a member accepted must pass.
    """
    kind = body.get("type")
    if type(kind) is not str:
        raise Refused(MALFORMED, "type is not a string")
    if kind in REQUESTS:
        if src in members:
            raise Refused(MALFORMED, f"{kind} is for clients")
        if type(body.get("msg_id")) is not int:
            raise Refused(MALFORMED, "msg_id is not an integer")
        request = REQUESTS[kind](body)
        if type(request) is MultiPaxosPropose:
            if len(request.value) > value_bytes:
                raise Refused(MALFORMED, f"value is longer than {value_bytes} bytes as JSON")
        elif type(request) is Init and (dest != request.node_id or src in request.node_ids):
            raise Refused(MALFORMED, "init is from a client to the node that it names")
        return request
    if kind not in BETWEEN_NODES:
        raise Refused(NOT_SUPPORTED, f"there is no such type: {kind[:80]}")
    if src not in members or src == dest:
        raise Refused(NOT_SUPPORTED, f"{kind} is for the other members of the cluster")
    parse, fields, owner = BETWEEN_NODES[kind]
    if body.keys() != fields:
        raise Refused(MALFORMED, f"{kind} has other fields than {', '.join(sorted(fields))}")
    parsed = parse(body)
    if owner and members.owner(body["ballot"]) != (src if owner == "src" else dest):
        raise Refused(MALFORMED, f"ballot {body['ballot']} is not the {owner}'s")
    if highest(parsed, body) > members.last_ballot:
        raise Refused(MALFORMED, "a ballot leaves no number for the next one")
    return parsed


def highest(parsed: Body, body: dict[str, Json]) -> int:
    """Return the highest ballot in a body; 0 for none."""
    ballot: int = body.get("ballot") or body.get("promised") or 0
    if type(parsed) is Promise:
        return max([ballot, *(vote.ballot for vote in parsed.accepted.values())])
    return ballot


def answerable(src: str, body: dict[str, Json], members: Members) -> bool:
    """Return whether a message has a client and a msg_id, so that it can be answered."""
    return src not in members and type(body.get("msg_id")) is int


def init(body: dict[str, Json]) -> Init:
    node_id, node_ids = body.get("node_id"), body.get("node_ids")
    if not isinstance(node_ids, list) or not all(map(is_text, node_ids)):
        raise Refused(MALFORMED, "node_ids is not a list of strings of Unicode")
    if len(set(node_ids)) < len(node_ids):
        raise Refused(MALFORMED, "node_ids names a node twice")
    if not isinstance(node_id, str) or node_id not in node_ids:
        raise Refused(MALFORMED, "node_id is not one of node_ids")
    return Init(body["msg_id"], node_id, tuple(node_ids))


def is_text(name: Json) -> bool:
    """Return whether this is a string without a lone surrogate, which could not be saved."""
    return isinstance(name, str) and not any("\ud800" <= each <= "\udfff" for each in name)


def multi_paxos_propose(body: dict[str, Json]) -> MultiPaxosPropose:
    if "value" not in body:
        raise Refused(MALFORMED, "value is missing")
    return MultiPaxosPropose(body["msg_id"], natural(body, "slot"), value_of(body))


def multi_paxos_log(body: dict[str, Json]) -> MultiPaxosLog:
    least, limit = (
        natural(body, key) if body.get(key) is not None else None for key in ("from", "limit")
    )
    return MultiPaxosLog(body["msg_id"], least or 0, limit)


def prepare(body: dict[str, Json]) -> Prepare:
    return Prepare(natural(body, "ballot", 1), ranges(body))


def promise(body: dict[str, Json]) -> Promise:
    accepted = {
        natural(vote, "slot"): Vote(natural(vote, "ballot", 1), value_of(vote))
        for vote in entries(body, "accepted", {"slot", "ballot", "value"})
    }
    return Promise(natural(body, "ballot", 1), ascending(accepted, body["accepted"]), ranges(body))


def accept(body: dict[str, Json]) -> Accept:
    return Accept(natural(body, "ballot", 1), natural(body, "slot"), value_of(body))


def accepted(body: dict[str, Json]) -> Accepted:
    return Accepted(natural(body, "ballot", 1), natural(body, "slot"))


def rejected(body: dict[str, Json]) -> Rejected:
    return Rejected(natural(body, "promised", 1))


def decided(body: dict[str, Json]) -> Decided:
    return Decided(natural(body, "slot"), value_of(body))


def poll(body: dict[str, Json]) -> Poll:
    return Poll(natural(body, "version"))


def learn(body: dict[str, Json]) -> Learn:
    return Learn(ranges(body))


def learned(body: dict[str, Json]) -> Learned:
    decisions = {
        natural(entry, "slot"): value_of(entry)
        for entry in entries(body, "decided", {"slot", "value"})
    }
    if not isinstance(body["more"], bool):
        raise Refused(MALFORMED, "more is not true or false")
    decided = ascending(decisions, body["decided"])
    return Learned(decided, body["more"], natural(body, "version"))


REQUESTS: dict[str, Callable[[dict[str, Json]], Body]] = {
    "init": init,
    "multi_paxos_propose": multi_paxos_propose,
    "multi_paxos_log": multi_paxos_log,
}

Parser = tuple[Callable[[dict[str, Json]], Body], set[str], str]
"""The parser of a body, its fields, and the end of the envelope that owns its ballot."""

BETWEEN_NODES: dict[str, Parser] = {
    "prepare": (prepare, {"type", "ballot", "known"}, "src"),
    "promise": (promise, {"type", "ballot", "accepted", "known"}, "dest"),
    "accept": (accept, {"type", "ballot", "slot", "value"}, "src"),
    "accepted": (accepted, {"type", "ballot", "slot"}, "dest"),
    "rejected": (rejected, {"type", "promised"}, ""),
    "decided": (decided, {"type", "slot", "value"}, ""),
    "poll": (poll, {"type", "version"}, ""),
    "learn": (learn, {"type", "known"}, ""),
    "learned": (learned, {"type", "decided", "more", "version"}, ""),
}


# The parts of a body.


def natural(body: dict[str, Json], key: str, least: int = 0) -> int:
    number = body.get(key)
    # A boolean is an int to isinstance, but not on the wire.
    if type(number) is int and least <= number < END:
        return number
    raise Refused(MALFORMED, f"{key} is not an integer from {least} to 2^63-1")


def value_of(body: dict[str, Json]) -> Value:
    value = body["value"]
    if type(value) is str:
        return quote(value)
    if isinstance(value, (dict, list)) and is_deeper(value, VALUE_DEPTH):
        raise Refused(
            MALFORMED,
            f"value is nested deeper than {VALUE_DEPTH}, or holds a number that "
            f"is too large or has more than {MOST_DIGITS} digits",
        )
    text, ordered = encode(value), encode_ordered(value)
    return text if text == ordered else Unsorted(text, ordered)


class Unsorted(Value):
    """A value with unsorted keys: written as it came, and equal to `ordered`."""

    ordered: Value

    def __new__(cls, text: str, ordered: Value) -> Unsorted:
        value = super().__new__(cls, text)
        value.ordered = ordered
        return value

    def __eq__(self, other: object) -> bool:
        return self.ordered == getattr(other, "ordered", other)

    def __hash__(self) -> int:
        return hash(self.ordered)


def is_deeper(value: Json, depth: int) -> bool:
    """Return whether a value nests deeper than this, without recursion."""
    level = [value]
    while level and depth:
        level = [child for container in level for child in children(container)]
        depth -= 1
    return any(isinstance(child, (dict, list)) for child in level)


def children(container: Json) -> Iterable[Json]:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()


def ranges(body: dict[str, Json], key: str = "known") -> Ranges:
    pairs = body[key]
    if not isinstance(pairs, list):
        raise Refused(MALFORMED, f"{key} is not a list")
    least = 0
    for pair in pairs:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and type(pair[0]) is type(pair[1]) is int
            and least <= pair[0] <= pair[1] < END
        ):
            raise Refused(MALFORMED, f"{key} is not made of ascending, maximal ranges of slots")
        # Two ranges have a gap between them, or they would be one range.
        least = pair[1] + 2
    return tuple((low, high) for low, high in pairs)


def entries(body: dict[str, Json], key: str, fields: Collection[str]) -> list[dict[str, Json]]:
    found = body[key]
    if not isinstance(found, list) or not all(
        isinstance(entry, dict) and entry.keys() == fields for entry in found
    ):
        raise Refused(MALFORMED, f"{key} is not a list of {{{', '.join(sorted(fields))}}}")
    return found


def ascending(by_slot: dict[int, Any], listed: list[Json]) -> dict[int, Any]:
    slots = [entry["slot"] for entry in listed]
    if slots != sorted(by_slot):
        raise Refused(MALFORMED, "slots are not in ascending order")
    return by_slot


# Writing.  The text of a value is inserted as it is, so it is encoded once.


class Heads(dict[str, str]):
    """The beginnings of a node's lines, by the name of the receiver."""

    def __init__(self, src: str) -> None:
        self.src = src

    def __missing__(self, dest: str) -> str:
        head = f'{{"src": {quote(self.src)}, "dest": {quote(dest)}, "body": {{"type": '
        if len(dest) <= CACHED_NAME:
            if len(self) == CACHED_NAMES:
                self.clear()
            self[dest] = head
        return head


def text_of_ranges(known: Ranges) -> str:
    return "[" + ", ".join(f"[{low}, {high}]" for low, high in known) + "]"


def text_of_repeat(event: Repeat) -> str:
    return f'{{"event": "repeat", "slots": {text_of_ranges(event.slots)}}}'


class LogLine:
    """The line of a log reply, in pieces: iterated twice, its values are read twice."""

    def __init__(self, head: str, ok: MultiPaxosLogOk, msg_id: int) -> None:
        self.begin = f'{head}"multi_paxos_log_ok", "in_reply_to": {ok.in_reply_to}, "log": ['
        self.log = ok.log
        self.end = f'], "msg_id": {msg_id}}}}}'

    def __iter__(self) -> Iterator[str]:
        yield self.begin
        separator = ""
        for slot, value in self.log:
            yield f'{separator}{{"slot": {slot}, "value": {value}, "status": "chosen"}}'
            separator = ", "
        yield self.end


def text_of_votes(votes: Mapping[int, Vote]) -> str:
    return ", ".join(
        f'{{"slot": {slot}, "ballot": {vote.ballot}, "value": {vote.value}}}'
        for slot, vote in votes.items()
    )


def text_of_decisions(decisions: Mapping[int, Value]) -> str:
    return ", ".join(f'{{"slot": {slot}, "value": {value}}}' for slot, value in decisions.items())


def text_of_decision(ok: MultiPaxosProposeOk) -> str:
    return (
        f'"multi_paxos_propose_ok", "in_reply_to": {ok.in_reply_to}, "slot": {ok.slot}, '
        f'"phase1_skipped": {"true" if ok.phase1_skipped else "false"}, '
        f'"chosen": {"true" if ok.chosen else "false"}, "value": {ok.value}'
    )


TEXT: dict[type, Callable[[Any], str]] = {
    InitOk: lambda m: f'"init_ok", "in_reply_to": {m.in_reply_to}',
    MultiPaxosProposeOk: text_of_decision,
    Error: lambda m: (
        f'"error", "in_reply_to": {m.in_reply_to}, "code": {m.code}, "text": {encode(m.text)}'
    ),
    Prepare: lambda m: f'"prepare", "ballot": {m.ballot}, "known": {text_of_ranges(m.known)}',
    Promise: lambda m: (
        f'"promise", "ballot": {m.ballot}, "accepted": [{text_of_votes(m.accepted)}], '
        f'"known": {text_of_ranges(m.known)}'
    ),
    Accept: lambda m: f'"accept", "ballot": {m.ballot}, "slot": {m.slot}, "value": {m.value}',
    Accepted: lambda m: f'"accepted", "ballot": {m.ballot}, "slot": {m.slot}',
    Rejected: lambda m: f'"rejected", "promised": {m.promised}',
    Decided: lambda m: f'"decided", "slot": {m.slot}, "value": {m.value}',
    Poll: lambda m: f'"poll", "version": {m.version}',
    Learn: lambda m: f'"learn", "known": {text_of_ranges(m.known)}',
    Learned: lambda m: (
        f'"learned", "decided": [{text_of_decisions(m.decided)}], '
        f'"more": {"true" if m.more else "false"}, "version": {m.version}'
    ),
}
"""Message class -> the text of its fields, from `type` on; for a log reply there is `LogLine`."""
