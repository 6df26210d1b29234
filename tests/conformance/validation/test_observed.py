"""Observations of a node from outside: those of a correct node are explained, changed ones not.

What is seen here is a recorded run, of which it is forgotten which input an output belongs to.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from conformance.formats import logs
from conformance.formats.schema import is_message
from conformance.running import record
from conformance.validation import observed
from conformance.validation.observed import Explanation, Observation, find_explanations
from tests.support.paths import IMPL

NODE = [sys.executable, str(IMPL / "main.py"), "--batch", "1000"]
MEMBERS = ["n1", "n2", "n3"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Observation]:
    """Return inputs and outputs of three nodes; messages were lost, and no node crashed."""
    no_crashes = record.Faults(crash=1e9)
    folder = tmp_path_factory.mktemp("run")
    ran = record.record(folder, NODE, nodes=3, requests=25, seed=3, faults=no_crashes, seconds=60)
    records = logs.of(ran.records)
    found = {node: Observation() for node in logs.members(records)}
    # Malformed requests are no messages of the specification.
    for taken in (each for each in records if not each.refused):
        if is_message(taken.input):
            found[taken.node].add(True, taken.input)
        for message in taken.output:
            found[taken.node].add(False, message)
    assert all(len(each.outputs) > 20 for each in found.values())
    return found


def with_fields(each: Observation, place: int, **fields: Any) -> Observation:
    """With other fields in the body of one output."""
    outputs = list(each.outputs)
    body = {**outputs[place]["body"], **fields}
    outputs[place] = {**outputs[place], "body": body}
    return Observation(each.inputs, outputs)


def place_of(each: Observation, kind: str) -> int:
    return max(at for at, output in enumerate(each.outputs) if output["body"]["type"] == kind)


def test_correct_observation_is_explained_and_a_changed_one_is_not(
    seen: dict[str, Observation],
) -> None:
    right = list(seen.items())
    members = list(seen)
    leader, follower = members[:2]
    led, one = seen[leader], seen[follower]
    wrong = {
        place: Observation(one.inputs, one.outputs[:place] + one.outputs[place + 1 :])
        for place in (0, len(one.outputs) // 2)
    }
    promise, reply = place_of(one, "promise"), place_of(led, "multi_paxos_propose_ok")
    skipped = led.outputs[reply]["body"]["phase1_skipped"]
    cases = [
        *right,
        *((follower, each) for each in wrong.values()),
        (follower, with_fields(one, promise, known=[[700, 700]])),
        (leader, with_fields(led, reply, value="another")),
        (leader, with_fields(led, reply, phase1_skipped=not skipped)),
        (follower, Observation([], one.outputs)),
    ]
    found = find_explanations(members, cases, 1000)
    assert [each.whole for each in found] == [True] * 3 + [False] * 6
    for (_, each), verdict in zip(right, found, strict=False):
        assert verdict.outputs == len(each.outputs)
    assert found[5].outputs == promise
    # The output of a step is explained as a whole, and the reply is not its first message.
    assert all(reply - 2 <= each.outputs <= reply for each in found[6:8])


# By hand.


def message(src: str, dest: str, kind: str, **fields: Any) -> Any:
    return {"src": src, "dest": dest, "body": {"type": kind, **fields}}


def propose(msg_id: int, slot: int) -> Any:
    return message("c1", "n1", "multi_paxos_propose", msg_id=msg_id, slot=slot, value="v")


def to_both(kind: str, **fields: Any) -> list[Any]:
    return [message("n1", peer, kind, **fields) for peer in ("n2", "n3")]


PREPARE = message("n2", "n1", "prepare", ballot=2, known=[])
PROMISE = message("n1", "n2", "promise", ballot=2, accepted=[], known=[])
EXPIRED = message("n1", "c1", "error", in_reply_to=1, code=11, text="late", msg_id=1)


def test_clock_events_are_inferred_from_output() -> None:
    asks, begins = to_both("learn", known=[]), to_both("prepare", ballot=1, known=[])
    given = [(propose(1, 1), 2)]
    cases = [
        Observation([], asks),
        Observation(given, [*asks, *begins, *begins, EXPIRED]),
        Observation(given, [*asks, EXPIRED]),
        Observation([], begins),
        Observation([], [message("n1", "c1", "error", in_reply_to=1, code=11, msg_id=1)]),
        Observation([], [*reversed(asks)]),
    ]
    found = find_explanations(MEMBERS, [("n1", each) for each in cases], 1000)
    assert [each.whole for each in found] == [True, True, False, False, False, True]


def test_preempted_node_may_defer_a_request() -> None:
    later = to_both("prepare", ballot=4, known=[])
    outbid = Observation([(PREPARE, 0), (propose(1, 1), 0), (propose(2, 2), 0)], [PROMISE, *later])
    before = Observation([(propose(1, 1), 0), (PREPARE, 0)], [PROMISE, *later])
    early = Observation([(PREPARE, 3)], [PROMISE])
    found = find_explanations(MEMBERS, [("n1", outbid), ("n1", before), ("n1", early)], 1000)
    assert found == [
        Explanation(3, found[0].inputs, True),
        Explanation(3, 2, True),
        Explanation(0, 0, False),
    ]


def test_search_that_exceeds_its_limit_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "MOST_STATES", 2)
    asks = to_both("learn", known=[])
    long, short = Observation([(PREPARE, 0)], [*asks, *asks, *asks, PROMISE]), Observation([], asks)
    found = find_explanations(MEMBERS, [("n1", long), ("n1", short)], 1000)
    assert found[0].whole is None and found[0].outputs < 7 and found[1].whole is True


def test_observation_is_written_in_order() -> None:
    each = Observation()
    each.add(True, message("c0", "n1", "init", msg_id=1, node_id="n1", node_ids=MEMBERS))
    each.add(False, message("n1", "c0", "init_ok", in_reply_to=1, msg_id=0))
    order = [(True, PREPARE), (False, PROMISE), (True, propose(1, 1)), (True, propose(2, 1))]
    for given, what in order:
        each.add(given, what)
    written = [json.loads(line) for line in each.lines()]
    assert written == [{"input" if given else "output": what} for given, what in order]
    assert each.inputs == [(PREPARE, 0), (propose(1, 1), 1), (propose(2, 1), 1)]
    assert each.prefix(1) == Observation([(PREPARE, 0)], [PROMISE])
