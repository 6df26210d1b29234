"""The challenge's samples, byte for byte, and the other requirements of its text.

Every test runs the command that is graded, and reads only its output.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node_process import init, request, run

INIT = (
    '{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}\n'
)
FIRST = (
    '{"src":"c1","dest":"n1","body":{"type":"multi_paxos_propose","msg_id":2,"slot":1,'
    '"value":"cmd1"}}\n'
)
SECOND = (
    '{"src":"c1","dest":"n1","body":{"type":"multi_paxos_propose","msg_id":3,"slot":2,'
    '"value":"cmd2"}}\n'
)
INIT_OK = (
    '{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}\n'
)
FIRST_OK = (
    '{"src": "n1", "dest": "c1", "body": {"type": "multi_paxos_propose_ok", '
    '"in_reply_to": 2, "slot": 1, "phase1_skipped": false, "chosen": true, '
    '"value": "cmd1", "msg_id": 1}}\n'
)
SECOND_OK = (
    '{"src": "n1", "dest": "c1", "body": {"type": "multi_paxos_propose_ok", '
    '"in_reply_to": 3, "slot": 2, "phase1_skipped": true, "chosen": true, '
    '"value": "cmd2", "msg_id": 2}}\n'
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)


def printed(given: str) -> str:
    done = run(given)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def bodies(given: str) -> list[dict]:
    return [json.loads(line)["body"] for line in printed(given).splitlines()]


def test_first_slot_requires_phase_1() -> None:
    assert printed(INIT + FIRST) == INIT_OK + FIRST_OK


def test_subsequent_slots_skip_phase_1() -> None:
    assert printed(INIT + FIRST + SECOND) == INIT_OK + FIRST_OK + SECOND_OK


def test_log_has_both_slots() -> None:
    log = '{"src":"c1","dest":"n1","body":{"type":"multi_paxos_log","msg_id":4}}\n'
    assert printed(INIT + FIRST + SECOND + log) == INIT_OK + FIRST_OK + SECOND_OK + (
        '{"src": "n1", "dest": "c1", "body": {"type": "multi_paxos_log_ok", "in_reply_to": 4, '
        '"log": [{"slot": 1, "value": "cmd1", "status": "chosen"}, '
        '{"slot": 2, "value": "cmd2", "status": "chosen"}], "msg_id": 3}}\n'
    )


def test_log_without_decisions_is_empty() -> None:
    assert bodies(init() + request(2, "multi_paxos_log"))[1]["log"] == []


def test_slots_are_decided_in_any_order() -> None:
    slots = [7, 0, 2**63 - 1, 3, 6]
    requests = "".join(
        request(10 + slot % 97, "multi_paxos_propose", slot=slot, value=f"v{slot}")
        for slot in slots
    )
    replies = bodies(init() + requests + request(9, "multi_paxos_log"))
    assert [
        (reply["slot"], reply["value"], reply["phase1_skipped"]) for reply in replies[1:-1]
    ] == [(slot, f"v{slot}", at > 0) for at, slot in enumerate(slots)]
    assert replies[-1]["log"] == [
        {"slot": slot, "value": f"v{slot}", "status": "chosen"} for slot in sorted(slots)
    ]


def test_slot_keeps_its_first_value() -> None:
    requests = "".join(
        request(number, "multi_paxos_propose", slot=5, value=value)
        for number, value in [(2, "first"), (3, "second")]
    )
    _, first, second = bodies(init() + requests)
    assert (first["value"], first["chosen"]) == ("first", True)
    assert (second["value"], second["chosen"], second["phase1_skipped"]) == ("first", True, True)


@settings(max_examples=12, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40))
def test_json_values_are_returned_unchanged(values: list[object]) -> None:
    requests = "".join(
        request(slot + 2, "multi_paxos_propose", slot=slot, value=value)
        for slot, value in enumerate(values)
    )
    replies = bodies(init() + requests + request(1, "multi_paxos_log"))
    # Compared as text: 1, 1.0 and True are equal in Python, but three values for a client.
    sent = [json.dumps(value) for value in values]
    assert [json.dumps(reply["value"]) for reply in replies[1:-1]] == sent
    assert [json.dumps(entry["value"]) for entry in replies[-1]["log"]] == sent
