"""Malformed input never stops a node, never changes its state, and never makes it print garbage.

Each malformed line is given to a leader with a decision and a waiting request.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipaxos.clock import Clock
from multipaxos.message_log import Log
from multipaxos.node import EVENTS, Node
from multipaxos.process import report_dropped
from multipaxos.storage import Storage
from multipaxos.wire import is_deeper

from tests.support.node_lines import FIELDS, JSON, TYPES, line, state
from tests.support.node_process import init, request, run


def busy_node() -> Node:
    """A node of three that has decided a slot, leads, and has a client waiting."""
    node = Node(on_dropped=report_dropped)
    node.turn([init("n1", "n2", "n3").encode()])
    node.turn([line({"type": "decided", "slot": 0, "value": "old"})])
    node.turn([request(2, "multi_paxos_propose", slot=1, value="mine").encode()])
    node.turn([line({"type": "promise", "ballot": 1, "accepted": [], "known": [[4, 4]]})])
    assert node.replica.leading() and 1 in node.replica.leader.waiting.by_slot
    return node


def replies_to(node: Node, given: bytes) -> list[dict]:
    """Return the bodies printed for a line; check that its state is unchanged and it serves."""
    before = state(node)
    bodies = [json.loads(printed)["body"] for printed in node.turn([given]).splitlines()]
    assert state(node) == before
    if node.replica is not None:
        log = json.loads(node.turn([request(99, "multi_paxos_log").encode()]))["body"]["log"]
        assert log == [{"slot": 0, "value": "old", "status": "chosen"}]
    return bodies


def is_dropped(given: bytes, capsys: pytest.CaptureFixture[str], node: Node | None = None) -> bool:
    """Return whether a line causes no output, and one line with the reason on standard error."""
    bodies = replies_to(node or busy_node(), given)
    reason = capsys.readouterr().err
    return bodies == [] and reason.startswith("dropped a line: ") and reason.count("\n") == 1


def error_code(given: bytes, node: Node | None = None) -> int:
    """Return the code of the single error that is printed."""
    [body] = replies_to(node or busy_node(), given)
    assert list(body) == ["type", "in_reply_to", "code", "text", "msg_id"]
    assert body["type"] == "error" and body["in_reply_to"] == 7 and body["text"]
    return body["code"]


def propose(**fields: object) -> bytes:
    """Return a client's multi_paxos_propose with some fields replaced; None removes a field."""
    body = {"type": "multi_paxos_propose", "msg_id": 7, "slot": 3, "value": "v", **fields}
    return line({key: value for key, value in body.items() if value is not None}, src="c1")


def propose_with_msg_id_last(value: bytes) -> bytes:
    return propose(msg_id=None).replace(b'"v"', value)[:-2] + b', "msg_id": 7}}'


# Lines that are no messages.

MALFORMED = {
    "no JSON": b"{",
    "text": b"hello",
    "an unclosed string": b'"timeout',
    "two values": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"src": "\xff"}',
    "UTF-16": '{"src": "c1"}'.encode("utf-16"),
    "lists a million deep": b"[" * 1_000_000,
    "closed lists a million deep": b"[" * 1_000_000 + b"]" * 1_000_000,
    "objects a million deep": b'{"a":' * 1_000_000,
    "a 10,000-digit number": b"1" * 10_000,
    "a value NaN": propose(value=float("nan")),
    "a value -Infinity": propose(value=[float("-inf")]),
    "a value too deep that does not end": propose().replace(b'"v"', b"[" * 3000 + b"]" * 2999),
    "a long string that does not end": b'{"a": ' + b"1" * 5000 + b', "' + b'\\"' * 100_000,
    "too deep a value of a member": line({"type": "decided", "slot": 2, "value": "v"}).replace(
        b'"v"', b"[" * 3000 + b"]" * 3000
    ),
    "a member's value of 5,000 digits": line({"type": "decided", "slot": 2, "value": 1}).replace(
        b" 1}", b" " + b"1" * 5000 + b"}"
    ),
    "blank": b"\n",
    "only white space": b" \t \r\n",
    "nothing": b"",
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "not an event": b'"tick"',
    "an event with a field": b'{"timeout": true}',
    "an empty object": b"{}",
    "no src": b'{"dest": "n1", "body": {"type": "multi_paxos_log", "msg_id": 7}}',
    "no dest": b'{"src": "c1", "body": {"type": "multi_paxos_log", "msg_id": 7}}',
    "no body": b'{"src": "c1", "dest": "n1"}',
    "src is a number": line({"type": "multi_paxos_log", "msg_id": 7}, src=1),
    "dest is null": line({"type": "multi_paxos_log", "msg_id": 7}, src="c1", dest=None),
    "body is a list": line([], src="c1"),
    "body is text": line("multi_paxos_log", src="c1"),
    "for another node": line({"type": "multi_paxos_log", "msg_id": 7}, src="c1", dest="n2"),
    "for an unknown node": line({"type": "multi_paxos_log", "msg_id": 7}, src="c1", dest="n9"),
    "a restart of a node that is up": b'"restart"',
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_line_is_dropped(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_dropped(MALFORMED[kind], capsys)


EVENT_LINES = {f'"{event}"'.encode() for event in EVENTS}


# It also draws texts that stand in the node's sources.
@given(st.binary().filter(lambda garbage: garbage.strip() not in EVENT_LINES))
def test_random_bytes_get_no_reply(garbage: bytes) -> None:
    assert replies_to(busy_node(), garbage) == []


@given(
    st.sampled_from(["c1", "n1", "n2", "n9"]),
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), JSON | st.integers(0, 3)),
)
def test_random_body_gets_only_well_formed_messages(src: str, kind: str, fields: dict) -> None:
    node = busy_node()
    for printed in node.turn([line({"type": kind, **fields}, src=src)]).splitlines():
        assert json.loads(printed).keys() == {"src", "dest", "body"}
    assert node.replica.acceptor.decided[0] == '"old"'


def test_event_is_dropped_by_node_with_clock(capsys: pytest.CaptureFixture[str]) -> None:
    node = busy_node()
    node.make_clock = Clock
    for event in b'"timeout"', b'"inquire"', b'"expire"', b'"crash"', b'"restart"':
        assert is_dropped(event, capsys, node)


def test_message_to_crashed_node_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    node = busy_node()
    node.turn([b'"crash"'])
    before = state(node)
    learn = line({"type": "learn", "known": []})
    for lost in propose(), learn, init("n1", "n2", "n3").encode(), b'"timeout"', b'"crash"':
        assert node.turn([lost]) == b""
        assert "down" in capsys.readouterr().err
    assert state(node) == before
    node.turn([b'"restart"'])
    assert (
        replies_to(node, request(7, "multi_paxos_log").encode())[0]["type"] == "multi_paxos_log_ok"
    )


# Requests of clients that can be answered.

REFUSED = {
    "an unknown type": (10, propose(type="multi_paxos_forget")),
    "a reply as a type": (10, propose(type="multi_paxos_propose_ok")),
    "a client sends a node's message": (
        10,
        line({"type": "learn", "known": [], "msg_id": 7}, "c1"),
    ),
    "no type": (12, propose(type=None)),
    "type is a number": (12, propose(type=1)),
    "type is a list": (12, propose(type=[])),
    "no slot": (12, propose(slot=None)),
    "a negative slot": (12, propose(slot=-1)),
    "slot true": (12, propose(slot=True)),
    "slot false": (12, propose(slot=False)),
    "a fractional slot": (12, propose(slot=1.5)),
    "slot 1.0": (12, propose(slot=1.0)),
    "slot as text": (12, propose(slot="1")),
    "slot as a list": (12, propose(slot=[1])),
    "slot null": (12, propose().replace(b'"slot": 3', b'"slot": null')),
    "slot 2^63": (12, propose(slot=2**63)),
    "a slot of 4,000 digits": (12, propose().replace(b'"slot": 3', b'"slot": ' + b"1" * 4000)),
    "a slot of 10,000 digits": (12, propose().replace(b'"slot": 3', b'"slot": ' + b"1" * 10_000)),
    "slot 1e400": (12, propose().replace(b'"slot": 3', b'"slot": 1e400')),
    "no value": (12, propose(value=None)),
    "value 1e400": (12, propose().replace(b'"v"', b'{"a": 1e400}')),
    "a value 129 deep": (12, propose().replace(b'"v"', b"[" * 129 + b"]" * 129)),
    "a value 500 deep": (12, propose().replace(b'"v"', b'{"a":' * 500 + b"1" + b"}" * 500)),
    **{
        f"a value {deep} deep, and then the msg_id": (
            12,
            propose_with_msg_id_last(
                b'[{"a": [3, "]"], "b":' * (deep // 2) + b"1" + b"}]" * (deep // 2)
            ),
        )
        for deep in (3_000, 100_000)
    },
    "a value of 4,301 digits": (12, propose().replace(b'"v"', b"-" + b"1" * 4301)),
    "a value of a million digits": (12, propose_with_msg_id_last(b"[" + b"1" * 1_000_000 + b"]")),
    "a value of 100 numbers of 5,000 digits": (
        12,
        propose_with_msg_id_last(b"[" + b", ".join([b"1" * 5000] * 100) + b"]"),
    ),
    "a value as long as a line may be looked through": (
        12,
        propose_with_msg_id_last(b"[" * 2_000_000 + b"]" * 2_000_000),
    ),
    "a longer one, if the msg_id comes first": (
        12,
        propose().replace(b'"v"', b"[" * 5_000_000 + b"]" * 5_000_000),
    ),
    "a value of more than 1 MiB": (12, propose(value="v" * (2**20 - 1))),
    "a value of more than 1 MiB when it is written": (
        12,
        propose().replace(b'"v"', '"{}"'.format("é" * 174_763).encode()),
    ),
    "from -1": (12, line({"type": "multi_paxos_log", "msg_id": 7, "from": -1}, "c1")),
    "limit false": (12, line({"type": "multi_paxos_log", "msg_id": 7, "limit": False}, "c1")),
    "another init": (12, init("n1", "n2").replace('"msg_id": 1', '"msg_id": 7').encode()),
    "init in another order": (
        12,
        init("n2", "n1", "n3").replace('"msg_id": 1', '"msg_id": 7').encode(),
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_malformed_request_gets_error(kind: str) -> None:
    code, given = REFUSED[kind]
    assert error_code(given) == code


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"node_id": "n1"},
        {"node_ids": ["n1"]},
        {"node_id": "n1", "node_ids": "n1"},
        {"node_id": "n1", "node_ids": []},
        {"node_id": "n1", "node_ids": ["n2"]},
        {"node_id": "n1", "node_ids": ["n1", "n1"]},
        {"node_id": "n1", "node_ids": ["n1", 2]},
        {"node_id": 1, "node_ids": [1]},
        {"node_id": ["n1"], "node_ids": ["n1"]},
        {"node_id": "n2", "node_ids": ["n1", "n2"]},
        {"node_id": "n1", "node_ids": ["n1", "c1"]},
        {"node_id": "\ud800", "node_ids": ["\ud800"]},
        {"node_id": "n1", "node_ids": ["n1", "n\udfff"]},
    ],
)
def test_malformed_init_gets_error(fields: dict) -> None:
    given = line({"type": "init", "msg_id": 7, **fields}, src="c1")
    assert error_code(given, Node(on_dropped=report_dropped)) == 12
    assert error_code(given) == 12


def test_request_before_init_gets_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_code(propose(), Node()) == 11
    assert error_code(line({"type": "multi_paxos_log", "msg_id": 7}, "c1"), Node()) == 11
    assert is_dropped(line({"type": "learn", "known": []}), capsys, Node(on_dropped=report_dropped))
    assert is_dropped(b'"timeout"', capsys, Node(on_dropped=report_dropped))


def test_repeated_init_is_answered_again() -> None:
    again = init("n1", "n2", "n3").replace('"msg_id": 1', '"msg_id": 8')
    [body] = replies_to(busy_node(), again.encode())
    assert (body["type"], body["in_reply_to"]) == ("init_ok", 8)


def test_null_field_is_absent() -> None:
    """Libraries of other languages write a field that has no value as null."""
    node = busy_node()
    log = {"type": "multi_paxos_log", "msg_id": 7, "from": None, "limit": None, "in_reply_to": None}
    assert replies_to(node, line(log, "c1"))[0]["type"] == "multi_paxos_log_ok"
    propose = line(
        {"type": "multi_paxos_propose", "msg_id": 7, "slot": 0, "value": None, "in_reply_to": None},
        "c1",
    )
    assert replies_to(node, propose)[0]["value"] == "old"


@pytest.mark.parametrize("extra", [0, 1])
def test_value_limit_applies_to_serialized_text(extra: int) -> None:
    text = '{"a": ["\\u00e9", 1.0]}'
    node = Node(value_bytes=len(text) - extra)
    node.turn([init().encode()])
    body = json.loads(node.turn([propose().replace(b'"v"', '{ "a":["é",1.0] }'.encode())]))["body"]
    assert body["type"] == ("error" if extra else "multi_paxos_propose_ok")


def test_value_limit_does_not_apply_to_members() -> None:
    node = Node(value_bytes=10)
    node.turn([init("n1", "n2", "n3").encode()])
    node.turn([line({"type": "decided", "slot": 0, "value": "v" * 100})])
    accept = line({"type": "accept", "ballot": 2, "slot": 1, "value": "v" * 100})
    assert b'"accepted"' in node.turn([accept])


def test_refused_input_is_valid_json_in_the_log() -> None:
    for value in (b"[" * 900 + b"]" * 900, b"[" * 5000 + b"]" * 5000, b"1" * 5000, b"-1e400"):
        log = io.BytesIO()
        node = Node(log=Log("", log))
        node.turn([init().encode(), propose().replace(b'"v"', value)])
        body = json.loads(log.getvalue().split(b"\n")[1])["input"]["body"]
        assert is_deeper(body["value"], 128) and not is_deeper(body["value"], 300)
        again = Node()
        again.turn([init().encode()])
        assert json.loads(again.turn([line(body, "c1")]))["body"]["code"] == 12


def test_value_128_deep_is_accepted() -> None:
    value = "[" * 128 + "]" * 128
    done = run(init() + request(2, "multi_paxos_propose", slot=1, value=json.loads(value)))
    assert f'"value": {value}'.encode() in done.stdout


# Requests that cannot be answered, and messages that are no requests.

UNANSWERABLE = {
    "no msg_id": propose(msg_id=None),
    "msg_id as text": propose(msg_id="7"),
    "msg_id true": propose(msg_id=True),
    "msg_id 1.0": propose(msg_id=1.0),
    "a bad slot and no msg_id": propose(msg_id=None, slot=-1),
    "an unknown type and no msg_id": propose(msg_id=None, type="x"),
    "a request of a member": line({"type": "multi_paxos_log", "msg_id": 7}),
    "an unknown type from a member": line({"type": "x", "msg_id": 7}),
    "a reply to nothing": line({"type": "multi_paxos_log_ok", "in_reply_to": 1, "log": []}, "c1"),
    "an error to nothing": line({"type": "error", "in_reply_to": 1, "code": 0, "msg_id": 7}, "c1"),
    "a request that is a reply": propose(in_reply_to=3),
}


@pytest.mark.parametrize("kind", UNANSWERABLE)
def test_unanswerable_request_is_dropped(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_dropped(UNANSWERABLE[kind], capsys)


# Repeated requests.


def test_repeated_waiting_request_waits_once() -> None:
    node = busy_node()
    assert replies_to(node, request(2, "multi_paxos_propose", slot=1, value="mine").encode()) == []
    replies = node.turn([line({"type": "accepted", "ballot": 1, "slot": 1})]).splitlines()
    assert sum(b"propose_ok" in reply for reply in replies) == 1


def test_repeated_answered_request_is_answered_again() -> None:
    given = request(2, "multi_paxos_propose", slot=1, value="v")
    printed = run(init() + given + given + request(3, "multi_paxos_log")).stdout.splitlines()
    _, first, again, log = [json.loads(line)["body"] for line in printed]
    assert (first["value"], again["value"], again["in_reply_to"]) == ("v", "v", 2)
    assert log["log"] == [{"slot": 1, "value": "v", "status": "chosen"}]


# Messages between nodes.  Ballots 1 and 4 belong to n1, 2 to n2, 3 to n3.

VOTE = {"slot": 2, "ballot": 2, "value": "v"}
BETWEEN_NODES: dict[str, dict[str, Any]] = {
    "prepare": {"ballot": 5, "known": [[0, 1], [3, 3]]},
    "promise": {"ballot": 4, "accepted": [VOTE], "known": []},
    "accept": {"ballot": 5, "slot": 2, "value": "v"},
    "accepted": {"ballot": 4, "slot": 2},
    "rejected": {"promised": 1},
    "decided": {"slot": 2, "value": "v"},
    "poll": {"version": 1},
    "learn": {"known": []},
    "learned": {"decided": [{"slot": 2, "value": "v"}], "more": False, "version": 1},
}
BAD_SLOTS = [None, -1, True, 1.0, 1.5, "1", [1], 2**63]
BAD_BALLOTS = [0, *BAD_SLOTS]
TOO_HIGH = {"n1": 2**63 - 1, "n2": 2**63 - 3}
"""The lowest ballot of each node with fewer than three above it.  n1's one before is 2^63-4."""
BAD_KNOWN = [
    None,
    1,
    "",
    {},
    [1],
    [[1]],
    [[1, 2, 3]],
    [[2, 1]],
    [[-1, 0]],
    [[0, 2**63]],
    [[True, 1]],
    [[0, 1.0]],
    [[3, 4], [0, 1]],
    [[0, 1], [1, 2]],
    [[0, 1], [2, 3]],
    ["01"],
]
BAD_VALUES = [[float("nan")], json.loads("[" * 129 + "]" * 129)]
BAD_FIELDS = [
    *[("prepare", "ballot", ballot) for ballot in [1, 3, *BAD_BALLOTS]],
    *[("accept", "ballot", ballot) for ballot in [1, 3, *BAD_BALLOTS]],
    *[("promise", "ballot", ballot) for ballot in [2, 3, *BAD_BALLOTS]],
    *[("accepted", "ballot", ballot) for ballot in [2, 3, *BAD_BALLOTS]],
    *[("rejected", "promised", ballot) for ballot in BAD_BALLOTS],
    *[
        (kind, "ballot", TOO_HIGH[owner])
        for kind, owner in (
            ("prepare", "n2"),
            ("accept", "n2"),
            ("promise", "n1"),
            ("accepted", "n1"),
        )
    ],
    ("rejected", "promised", 2**63 - 1),
    ("rejected", "promised", 2**63 - 3),
    ("promise", "accepted", [{**VOTE, "ballot": 2**63 - 3}]),
    *[(kind, "slot", slot) for kind in ("accept", "accepted", "decided") for slot in BAD_SLOTS],
    *[(kind, "value", value) for kind in ("accept", "decided") for value in BAD_VALUES],
    *[(kind, "known", known) for kind in ("prepare", "promise", "learn") for known in BAD_KNOWN],
    *[(kind, "version", version) for kind in ("poll", "learned") for version in BAD_SLOTS],
    *[("learned", "more", more) for more in (None, 0, 1, "true", [])],
    *[("promise", "accepted", [{**VOTE, "slot": slot}]) for slot in BAD_SLOTS],
    *[("promise", "accepted", [{**VOTE, "ballot": ballot}]) for ballot in BAD_BALLOTS],
    *[("promise", "accepted", [{**VOTE, "value": value}]) for value in BAD_VALUES],
    *[
        ("promise", "accepted", votes)
        for votes in (
            None,
            {},
            [None],
            [{}],
            [[2, 2, "v"]],
            [{**VOTE, "more": 1}],
            [VOTE, VOTE],
            [VOTE, {**VOTE, "slot": 1}],
        )
    ],
    *[("learned", "decided", [{"slot": slot, "value": "v"}]) for slot in BAD_SLOTS],
    *[
        ("learned", "decided", decided)
        for decided in (None, {}, [None], [{"slot": 2}], [VOTE], [{"slot": 2, "value": "v"}] * 2)
    ],
]


@pytest.mark.parametrize("kind, field, wrong", BAD_FIELDS)
def test_message_with_bad_field_is_dropped(
    kind: str, field: str, wrong: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_dropped(line({"type": kind, **BETWEEN_NODES[kind], field: wrong}), capsys)


@pytest.mark.parametrize("kind", BETWEEN_NODES)
def test_message_with_extra_or_missing_field_is_dropped(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"type": kind, **BETWEEN_NODES[kind]}
    assert is_dropped(line({**body, "extra": 1}), capsys)
    assert is_dropped(line({**body, "msg_id": 7}), capsys)
    for field in BETWEEN_NODES[kind]:
        assert is_dropped(line({key: body[key] for key in body if key != field}), capsys)


@pytest.mark.parametrize("kind", BETWEEN_NODES)
def test_message_of_non_member_is_dropped(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for src in "n9", "c1", "n1":
        assert is_dropped(line({"type": kind, **BETWEEN_NODES[kind]}, src=src), capsys)


@pytest.mark.parametrize("kind", BETWEEN_NODES)
def test_well_formed_message_is_accepted(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    busy_node().turn([line({"type": kind, **BETWEEN_NODES[kind]})])
    assert capsys.readouterr().err == ""


def test_highest_ballot_leaves_one_for_each_member(tmp_path: Path) -> None:
    node = Node(storage=Storage(tmp_path))
    node.turn([init("n1", "n2", "n3").encode()])
    assert b"promise" in node.turn([line({"type": "prepare", "ballot": 2**63 - 6, "known": []})])
    node.turn([line({"type": "rejected", "promised": 2**63 - 4})])
    assert b'"ballot": 9223372036854775807' in node.turn([propose()])
    decided = line({"type": "decided", "slot": 3, "value": "v"})
    assert b"propose_ok" in node.turn([decided])
    node.save()
    assert node.storage.acceptor.promised == 2**63 - 1


@pytest.mark.parametrize(
    "body",
    [
        {"type": "promise", "ballot": 1, "accepted": [VOTE], "known": [[7, 7]]},
        {"type": "promise", "ballot": 4, "accepted": [], "known": []},
        {"type": "accepted", "ballot": 4, "slot": 1},
        {"type": "accepted", "ballot": 1, "slot": 9},
        {"type": "rejected", "promised": 1},
        {"type": "decided", "slot": 0, "value": "new"},
        {"type": "learned", "decided": [{"slot": 0, "value": "new"}], "more": False, "version": 1},
    ],
)
def test_stale_message_has_no_effect(body: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert replies_to(busy_node(), line(body)) == []
    assert capsys.readouterr().err == ""


# The process.


def test_process_continues_after_malformed_lines() -> None:
    given = (
        init().encode()
        + b"\n".join(MALFORMED.values())
        + b"\n"
        + request(2, "multi_paxos_propose", slot=1, value="v").encode()
    )
    done = run(given)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert [json.loads(line)["body"]["type"] for line in done.stdout.splitlines()] == [
        "init_ok",
        "multi_paxos_propose_ok",
    ]


@pytest.mark.parametrize("kind", ["one string", "a value", "no end of line"])
def test_line_of_100_megabytes_is_refused_or_dropped(kind: str) -> None:
    long = b"x" * 100_000_000
    given = {
        "one string": b'"' + long + b'"\n',
        "no end of line": b"",
        "a value": propose().replace(b'"v"', b'"' + long + b'"') + b"\n",
    }[kind]
    end = long if kind == "no end of line" else b""
    done = run(init().encode() + given + request(2, "multi_paxos_log").encode() + end)
    refused = kind == "a value"
    assert done.returncode == 0 and done.stderr.count(b"too long") == (not refused)
    bodies = [json.loads(line)["body"] for line in done.stdout.splitlines()]
    assert [body.get("code", body["type"]) for body in bodies] == [
        "init_ok",
        *[12] * refused,
        "multi_paxos_log_ok",
    ]
