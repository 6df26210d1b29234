"""Validation of whole clusters: delivery, agreement, and which logs form a cluster."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.formats import logs
from conformance.formats.schema import is_message
from conformance.running import record
from conformance.validation import explanation
from conformance.validation.agreement import check_agreement, check_membership, missing_logs
from conformance.validation.delivery import causal_order, check_delivery, message_key
from conformance.validation.handshake import check_handshake
from tests.support.conformance_command import conformance
from tests.support.paths import NODE

MEMBERS = ["n1", "n2", "n3"]

Log = list[logs.Record]


def message(src: str, dest: str, kind: str, **fields: Any) -> Any:
    return {"src": src, "dest": dest, "body": {"type": kind, **fields}}


def started(node: str, members: Sequence[str] = MEMBERS) -> tuple[str, Any, list[Any]]:
    given = message("c0", node, "init", msg_id=1, node_id=node, node_ids=list(members))
    return node, given, [message(node, "c0", "init_ok", in_reply_to=1, msg_id=0)]


def learns(node: str, value: str, src: str = "n3") -> list[tuple[str, Any, list[Any]]]:
    """Return the steps of a node that receives a decision and sends it to a client."""
    entry = {"slot": 1, "value": value, "status": "chosen"}
    answer = message(node, "c1", "multi_paxos_log_ok", in_reply_to=2, log=[entry], msg_id=1)
    return [
        (node, message(src, node, "decided", slot=1, value=value), []),
        (node, message("c1", node, "multi_paxos_log", msg_id=2), [answer]),
    ]


def run(*steps: tuple[str, Any, list[Any]], path: str = "run") -> Log:
    return [logs.Record(*step, Path(path), line) for line, step in enumerate(steps, 1)]


DUEL = [started("n1"), *learns("n1", "red"), started("n2"), *learns("n2", "blue")]


# Delivery.


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A run of five real processes."""
    folder = tmp_path_factory.mktemp("five")
    return logs.read(record.record(folder, NODE, nodes=5, requests=60, seed=7).path)


def test_receipts_of_unsent_message_are_reported(five: Log) -> None:
    """A message that was sent only once is reported exactly if it was received."""
    assert check_delivery(logs.by_node(five)) == []
    rng, members = random.Random(1), logs.members(five)
    received = {message_key(taken.input) for taken in five if is_message(taken.input)}
    times = Counter(message_key(sent) for taken in five for sent in taken.output)
    sending = [
        (at, place)
        for at, taken in enumerate(five)
        for place, sent in enumerate(taken.output)
        if sent["dest"] in members
    ]
    reported = 0
    for at, place in rng.sample(sending, 60):
        output = list(five[at].output)
        lost = output.pop(place)
        found = check_delivery(
            logs.by_node([*five[:at], replace(five[at], output=output), *five[at + 1 :]])
        )
        assert all(message_key(each.record.input) == message_key(lost) for each in found)
        if times[message_key(lost)] == 1:
            assert len(found) == (message_key(lost) in received)
        reported += len(found)
    assert reported >= 10


def test_receipt_before_its_send_is_reported() -> None:
    """n1 receives the answer to a message that it sends because of that answer."""
    ask, answer = message("n1", "n2", "learn", known=[]), message("n2", "n1", "learn", known=[])
    steps = [
        ("n2", ask, [answer]),
        ("n1", answer, [ask]),
        ("n1", "timeout", []),
        ("n2", "timeout", []),
    ]
    [found] = check_delivery(logs.by_node(run(*steps)))
    assert found.record.node == "n2" and "sent only in run:2" in found.reason
    steps[:2] = [steps[1], steps[0]]
    [found] = check_delivery(logs.by_node(run(*steps)))
    assert found.record.node == "n1" and "sent only in run:2" in found.reason


def test_deliverable_records_are_put_in_causal_order(five: Log) -> None:
    nodes = logs.by_node(five)
    ordered = [taken for taken, reason in causal_order(dict(reversed(nodes.items()))) if not reason]
    assert logs.by_node(ordered) == nodes
    sent: set[str] = set()
    for taken in ordered:
        if is_message(taken.input) and taken.input["src"] in nodes:
            assert message_key(taken.input) in sent
        sent |= {*map(message_key, taken.output)}


# Agreement.


def test_two_values_in_a_slot_are_rejected_with_a_log_missing() -> None:
    records = run(*DUEL)
    nodes = logs.by_node(records)
    [found] = check_agreement(records, nodes)
    assert (found.record.line, missing_logs(nodes)) == (5, ["n3"])
    assert "slot 1 has another value in run:2" in found.reason
    same = run(*DUEL[:4], *learns("n2", "red"))
    assert check_agreement(same, logs.by_node(same)) == []


@pytest.mark.parametrize("kind", ["decided", "learned", "multi_paxos_propose_ok"])
def test_all_messages_with_decisions_are_compared(kind: str) -> None:
    decision = {"slot": 1, "value": "blue"}
    learned = {"decided": [decision], "more": False}
    fields: dict[str, Any] = learned if kind == "learned" else decision
    records = run(*DUEL[:4], ("n2", "timeout", [message("n2", "n1", kind, **fields)]))
    assert [found.record.line for found in check_agreement(records, logs.by_node(records))] == [5]


def test_golden_trace_inputs_need_no_sender() -> None:
    records = run(started("n1"), *learns("n1", "red"), ("n1", learns("n1", "blue")[0][1], []))
    assert check_agreement(records, logs.by_node(records)) == []


def test_nodes_with_different_members_are_rejected() -> None:
    records = run(started("n1"), started("n2", ["n2", "n1", "n3"]), started("n3"))
    [found] = check_membership(logs.by_node(records))
    assert found.record.line == 2 and "n2 was given the members ['n2', 'n1', 'n3']" in found.reason


# Files.


def written(folder: Path, name: str, *steps: tuple[str, Any, list[Any]]) -> Path:
    path = folder / f"{name}.ndjson"
    logs.write(path, [{"node": n, "input": i, "output": o} for n, i, o in steps])
    return path


def names(*places: Path) -> list[list[str]]:
    """Return the files of each cluster."""
    found = logs.read_clusters(logs.clusters(places))
    return [list(dict.fromkeys(taken.path.stem for taken in cluster)) for cluster in found]


def test_logs_with_the_same_members_are_one_cluster(tmp_path: Path) -> None:
    for node in MEMBERS:
        written(tmp_path / node, node, started(node))
    other = written(tmp_path, "other", started("n1", ["n1"]))
    assert names(tmp_path) == [MEMBERS, ["other"]]
    assert names(tmp_path / "n1", tmp_path / "n2", other) == [["n1", "n2"], ["other"]]


def test_logs_of_the_same_node_are_several_runs(tmp_path: Path) -> None:
    for folder in "one", "two":
        for node in "n1", "n2":
            written(tmp_path / folder, f"{folder}-{node}", started(node))
    assert names(tmp_path) == [["one-n1", "one-n2"], ["two-n1", "two-n2"]]
    written(tmp_path / "two", "again", started("n1"))
    assert names(tmp_path) == [["one-n1", "one-n2"], ["again"], ["two-n1"], ["two-n2"]]
    (tmp_path / "two" / logs.HISTORY).touch()
    with pytest.raises(logs.LogError, match=r"node n1 is in .*again.ndjson and in .*two-n1.ndjson"):
        names(tmp_path)


@pytest.mark.usefixtures("no_pages")
def test_disagreement_is_found_in_one_file_and_in_several(tmp_path: Path) -> None:
    one = written(tmp_path, "run", *DUEL)
    apart = tmp_path / "apart"
    written(apart, "n1", *DUEL[:3])
    written(apart, "n2", *DUEL[3:])
    for place, marked in (one, f"{one}:5"), (apart, f"{apart / 'n2.ndjson'}:2"):
        done = conformance("validate", place)
        assert done.returncode == 1 and f"{marked}: node n2: slot 1 has another" in done.stdout
        assert "there is no log of n3" in done.stderr


def test_unchecked_parts_are_reported(tmp_path: Path) -> None:
    done = conformance("validate", written(tmp_path, "n1", *DUEL[:3]))
    assert done.returncode == 0 and "there is no log of n2, n3" in " ".join(done.stderr.split())
    [line] = explanation.format_missing_logs(
        [
            explanation.Verdict(1, [], ["n1"]),
            explanation.Verdict(1, [], []),
            explanation.Verdict(1, [], ["n2"]),
        ]
    )
    assert "no log of some members of 2 clusters" in line


# The order of replies.


def replies(*numbered: tuple[str, int]) -> Log:
    ok = {"in_reply_to": 1, "slot": 1, "phase1_skipped": True, "chosen": True, "value": 1}
    output = [
        message("n1", client, "multi_paxos_propose_ok", **ok, msg_id=number)
        for client, number in numbered
    ]
    return run(started("n1"), ("n1", message("n2", "n1", "decided", slot=1, value=1), output))


def test_replies_to_different_clients_are_in_no_order() -> None:
    for good in [("c1", 1), ("c2", 2)], [("c2", 2), ("c1", 1)], [("c1", 1), ("c2", 3), ("c1", 2)]:
        assert check_handshake(replies(*good)) is None
    for bad, reason in [
        ([("c1", 1), ("c2", 3)], "msg_id 3 instead of 2"),
        ([("c1", 2), ("c1", 1)], "do not ascend"),
        ([("c1", 1), ("c2", 1)], "msg_id 1 instead of 2"),
    ]:
        found = check_handshake(replies(*bad))
        assert found is not None and found.record.line == 2 and reason in found.reason
