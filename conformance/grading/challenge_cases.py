"""The cases of the challenge: input lines for a single fresh node, and its expected output.

They need no option, no other node and no clock.  Required cases follow from the text of the
challenge or from consensus itself; recommended ones from Maelstrom's rules or from the
specification.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = Any

REQUIRED, RECOMMENDED = "required", "recommended"


@dataclass(frozen=True)
class Case:
    """The input of a node, line by line, and the expected messages, in order for each destination.

    Messages are compared as JSON.  A reply's own `msg_id` is compared only where one is expected,
    the text of an error never.
    """

    name: str
    weight: str
    given: tuple[str, ...]
    expected: tuple[Json, ...]


def difference(case: Case, found: Sequence[Json]) -> int | None:
    """Return the index of the first message that differs, or None."""
    expected = arranged(case, found)
    for place in range(max(len(expected), len(found))):
        if place >= min(len(expected), len(found)):
            return place
        if not _agree(expected[place], found[place]):
            return place
    return None


def arranged(case: Case, found: Sequence[Json]) -> list[Json]:
    """Return the expected messages, with destinations in the order in which they were found.

    Messages to different destinations have no order.
    """
    left = list(case.expected)
    order: list[Json] = []
    for message in found:
        match message:
            case {"dest": dest}:
                same = (at for at, other in enumerate(left) if other["dest"] == dest)
                order += [left.pop(at) for at in (next(same, 0),) if left]
            case _:
                order += [left.pop(0)] if left else []
    return order + left


def _agree(expected: Json, found: Json) -> bool:
    match found:
        case {"body": {"type": kind, **fields}}:
            if "msg_id" not in expected["body"]:
                fields.pop("msg_id", None)
            if kind == "error":
                fields.pop("text", None)
            found = {**found, "body": {"type": kind, **fields}}
    # As text, because true == 1 in Python; the order of keys does not matter.
    one, other = (json.dumps(message, sort_keys=True) for message in (expected, found))
    return one == other


# Lines and messages.


def request(kind: str, msg_id: int, src: str = "c1", **fields: Json) -> str:
    """Return a client's line to n1."""
    body = {"type": kind, "msg_id": msg_id, **fields}
    return json.dumps({"src": src, "dest": "n1", "body": body})


def init(*members: str, src: str = "c0", msg_id: int = 1) -> str:
    """Return the `init` line of n1; by default it is the only member."""
    return request("init", msg_id, src, node_id="n1", node_ids=list(members) or ["n1"])


def propose(msg_id: int, slot: Json, value: Json, src: str = "c1") -> str:
    return request("multi_paxos_propose", msg_id, src, slot=slot, value=value)


def log(msg_id: int, **fields: Json) -> str:
    return request("multi_paxos_log", msg_id, **fields)


def reply(kind: str, msg_id: int, dest: str = "c1", **fields: Json) -> Json:
    return {"src": "n1", "dest": dest, "body": {"type": kind, "in_reply_to": msg_id, **fields}}


def decided(msg_id: int, slot: int, value: Json, skipped: bool = True, dest: str = "c1") -> Json:
    return reply(
        "multi_paxos_propose_ok",
        msg_id,
        dest,
        slot=slot,
        phase1_skipped=skipped,
        chosen=True,
        value=value,
    )


def log_reply(msg_id: int, *entries: tuple[int, Json]) -> Json:
    chosen = [{"slot": slot, "value": value, "status": "chosen"} for slot, value in entries]
    return reply("multi_paxos_log_ok", msg_id, log=chosen)


def error(msg_id: int, code: int) -> Json:
    return reply("error", msg_id, code=code)


BEGIN = init()
BEGUN = reply("init_ok", 1, "c0")


def _case(name: str, weight: str, *steps: tuple[str, Json]) -> Case:
    """Return a case that begins with `init`; a step is a line and its reply, None for none."""
    replies = [message for _, message in steps if message is not None]
    return Case(name, weight, (BEGIN, *(line for line, _ in steps)), (BEGUN, *replies))


# The samples of the challenge, and the promises of its text.

FIRST = (propose(2, 1, "cmd1"), decided(2, 1, "cmd1", skipped=False))
SECOND = (propose(3, 2, "cmd2"), decided(3, 2, "cmd2"))

SHUFFLED = (7, 0, 1000000, 3, 6)
TEXTS = ("", "set x=1", 'a "quoted" one\\', "line\nbreak", "dépôt 数 😀", "null")
MANY = 100

_REQUIRED = (
    Case(
        "init is answered, by the first reply",
        REQUIRED,
        (BEGIN,),
        ({**BEGUN, "body": {**BEGUN["body"], "msg_id": 0}},),
    ),
    _case("the first slot needs Phase 1", REQUIRED, FIRST),
    _case("a later slot skips Phase 1", REQUIRED, FIRST, SECOND),
    _case(
        "the log has what is chosen",
        REQUIRED,
        FIRST,
        SECOND,
        (log(4), log_reply(4, (1, "cmd1"), (2, "cmd2"))),
    ),
    _case("the log of nothing is empty", REQUIRED, (log(2), log_reply(2))),
    _case(
        "slots in any order and with gaps",
        REQUIRED,
        *(
            (propose(2 + at, slot, f"v{slot}"), decided(2 + at, slot, f"v{slot}", at > 0))
            for at, slot in enumerate(SHUFFLED)
        ),
        (log(9), log_reply(9, *((slot, f"v{slot}") for slot in sorted(SHUFFLED)))),
    ),
    _case(
        "Phase 1 runs once for many slots",
        REQUIRED,
        *(
            (propose(2 + slot, slot, slot), decided(2 + slot, slot, slot, slot > 0))
            for slot in range(MANY)
        ),
    ),
    _case(
        "a slot keeps the first value that was chosen",
        REQUIRED,
        (propose(2, 5, "first"), decided(2, 5, "first", skipped=False)),
        (propose(3, 5, "second"), decided(3, 5, "first")),
        (log(4), log_reply(4, (5, "first"))),
    ),
    _case(
        "a repeated request is answered again", REQUIRED, FIRST, (FIRST[0], decided(2, 1, "cmd1"))
    ),
    _case(
        "the reply goes to the client that sent the request",
        REQUIRED,
        (propose(2, 1, "a", src="c1"), decided(2, 1, "a", skipped=False, dest="c1")),
        (propose(2, 2, "b", src="c2"), decided(2, 2, "b", dest="c2")),
    ),
    _case(
        "any text is a value",
        REQUIRED,
        *(
            (propose(2 + slot, slot, value), decided(2 + slot, slot, value, slot > 0))
            for slot, value in enumerate(TEXTS)
        ),
    ),
)

# Maelstrom's rules and the specification's.

VALUES: tuple[Json, ...] = (
    None,
    True,
    0,
    -7,
    1.5,
    [],
    {},
    [[1], {"a": [None, False]}],
    {"set": {"x": 1}},
)
FURTHEST = 2**63 - 1
ENVELOPE = '{"id": 4, "body": {"extra": 1, "value": "v", "slot": 1, "msg_id": 2, "type": '

_RECOMMENDED = (
    _case(
        "any JSON is a value",
        RECOMMENDED,
        *(
            (propose(2 + slot, slot, value), decided(2 + slot, slot, value, slot > 0))
            for slot, value in enumerate(VALUES)
        ),
    ),
    _case(
        "slots go up to 2^63-1",
        RECOMMENDED,
        (propose(2, FURTHEST, "v"), decided(2, FURTHEST, "v", skipped=False)),
        (log(3), log_reply(3, (FURTHEST, "v"))),
    ),
    _case(
        "keys in any order, and unknown keys",
        RECOMMENDED,
        (
            ENVELOPE + '"multi_paxos_propose"}, "dest": "n1", "src": "c1"}',
            decided(2, 1, "v", skipped=False),
        ),
    ),
    Case(
        "replies are numbered 0, 1, 2",
        RECOMMENDED,
        (BEGIN, FIRST[0], log(3)),
        tuple(
            {**message, "body": {**message["body"], "msg_id": number}}
            for number, message in enumerate((BEGUN, FIRST[1], log_reply(3, (1, "cmd1"))))
        ),
    ),
    _case(
        "an equal init is answered again",
        RECOMMENDED,
        FIRST,
        (init(src="c9"), reply("init_ok", 1, "c9")),
        SECOND,
    ),
    _case(
        "a different init is refused with 12",
        RECOMMENDED,
        FIRST,
        (init("n1", "n2", msg_id=4), {**error(4, 12), "dest": "c0"}),
        SECOND,
    ),
    _case(
        "an unknown type is refused with 10",
        RECOMMENDED,
        (request("no_such_request", 4), error(4, 10)),
        FIRST,
    ),
    _case(
        "a request without a slot is refused with 12",
        RECOMMENDED,
        (request("multi_paxos_propose", 4, value="v"), error(4, 12)),
        FIRST,
    ),
    _case(
        "an invalid slot is refused with 12",
        RECOMMENDED,
        *(
            (propose(5 + at, slot, "v"), error(5 + at, 12))
            for at, slot in enumerate((-1, 1.5, "1", True, None, [1]))
        ),
        FIRST,
    ),
    _case(
        "a request without a value is refused with 12",
        RECOMMENDED,
        (request("multi_paxos_propose", 4, slot=1), error(4, 12)),
        FIRST,
    ),
    Case(
        "a request before init is refused with 11",
        RECOMMENDED,
        (propose(7, 1, "early"), BEGIN, FIRST[0]),
        (error(7, 11), BEGUN, FIRST[1]),
    ),
    _case(
        "a line that is not a message is dropped",
        RECOMMENDED,
        ("no JSON", None),
        ("", None),
        ("[1, 2]", None),
        ('{"src": "c1"}', None),
        FIRST,
    ),
    _case(
        "a part of the log: from a slot on, up to a limit",
        RECOMMENDED,
        FIRST,
        SECOND,
        (log(4, **{"from": 2}), log_reply(4, (2, "cmd2"))),
        (log(5, limit=1), log_reply(5, (1, "cmd1"))),
        (log(6, limit=0), log_reply(6)),
    ),
    _case(
        "null is the same as a missing field",
        RECOMMENDED,
        FIRST,
        SECOND,
        (log(4, **{"from": None, "limit": 1, "in_reply_to": None}), log_reply(4, (1, "cmd1"))),
        (log(5, **{"from": 2, "limit": None}), log_reply(5, (2, "cmd2"))),
    ),
)

CASES = _REQUIRED + _RECOMMENDED
