"""Renamed traces stay valid for the specification and the node, and vary what no model varies.

`tests/mutants/bugs.toml` has bugs that only renamed traces catch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest

from conformance.formats import logs
from conformance.formats.canonical import canonical
from conformance.formats.logs import LogError, Record
from conformance.formats.schema import check_record, is_message
from conformance.running import renaming
from conformance.running.replay import cases, differs, read
from conformance.running.vocabulary import ALMOST_EQUAL, HIGHEST, Vocabulary, reordered
from conformance.validation.trace_validation import validate_logs
from tests.support.in_process import node
from tests.support.paths import OK

TAKEOVER = OK
SEEDS = range(60)


@pytest.fixture(scope="module")
def renamed() -> list[list[Record]]:
    """A log of a cluster under many renamings."""
    return [renaming.read(TAKEOVER, seed) for seed in SEEDS]


def messages(records: list[Record]) -> Iterator[dict]:
    for record in records:
        yield from [record.input] if is_message(record.input) else []
        yield from record.output


def found(logs_: list[list[Record]], field: str) -> list:
    """What a field holds, in all messages that have it."""
    bodies = [message["body"] for records in logs_ for message in messages(records)]
    return [body[field] for body in bodies if field in body]


# Validity.


def test_specification_accepts_renamed_logs(renamed: list[list[Record]]) -> None:
    verdicts = validate_logs(renamed[:20], 1000)
    assert [verdict.rejections for verdict in verdicts] == [[]] * 20


def test_renamed_wrong_log_is_rejected() -> None:
    bad = [renaming.read(TAKEOVER.with_name("takeover-bad.ndjson"), seed) for seed in range(5)]
    assert sum(bool(verdict.rejections) for verdict in validate_logs(bad, 1000)) >= 2


def test_renamed_logs_are_well_formed(renamed: list[list[Record]]) -> None:
    for record in (record for records in renamed for record in records):
        written = {"node": record.node, "input": record.input, "output": record.output}
        check_record(json.loads(json.dumps(written)))


def test_node_passes_under_every_renaming() -> None:
    for seed in SEEDS:
        assert [differs(case, node()) for case in cases(TAKEOVER, seed)] == [None] * 3


def test_same_seed_gives_the_same_renaming() -> None:
    assert renaming.read(TAKEOVER, 7) == renaming.read(TAKEOVER, 7) == read(TAKEOVER, 7)
    assert renaming.read(TAKEOVER, 7) != renaming.read(TAKEOVER, 8)
    assert read(TAKEOVER, None) == logs.read(TAKEOVER)


def test_distinct_requests_stay_distinct(renamed: list[list[Record]]) -> None:
    def requests(records: list[Record]) -> int:
        return len({canonical(record.input) for record in filter(is_well_formed, records)})

    before = requests(logs.read(TAKEOVER))
    assert before > 1 and {requests(records) for records in renamed} == {before}


# Variety.


def test_members_are_not_sorted(renamed: list[list[Record]]) -> None:
    clusters = found(renamed, "node_ids")
    assert any(names != sorted(names) for names in clusters)
    assert {"", "n10", "n100"} <= {name for names in clusters for name in names}


def test_slots_reach_the_highest(renamed: list[list[Record]]) -> None:
    slots = {slot for slot in found(renamed, "slot") if type(slot) is int}
    assert {0, HIGHEST} <= slots and any(2**53 <= slot < 2**54 for slot in slots)


def test_ranges_have_gaps_and_end_at_the_highest() -> None:
    drawn = [Vocabulary(seed).slots(6).ranges([[0, 2], [4, 5]]) for seed in SEEDS]
    assert any(ranges[-1][1] == HIGHEST for ranges in drawn)
    assert {len(ranges) for ranges in drawn} >= {2, 3, 4}


def test_msg_ids_are_any_integers(renamed: list[list[Record]]) -> None:
    numbers = found(renamed, "in_reply_to")
    assert min(numbers) < 0 and max(numbers) > 2**63 and 0 in numbers


def test_no_ops_are_added(renamed: list[list[Record]]) -> None:
    assert 0 in found(renamed, "limit") and 12 in found(renamed, "code")
    assert any(slot is True for slot in found(renamed, "slot"))


def log_of(*values: str) -> list[Record]:
    """Return the log of a node that gets proposals of several clients for the same slot."""
    init = {"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": ["n1", "n2", "n3"]}
    opened = {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}
    given = [
        ("c0", init),
        *(
            (f"c{at}", {"type": "multi_paxos_propose", "msg_id": 1, "slot": 1, "value": value})
            for at, value in enumerate(values, 1)
        ),
    ]
    return logs.of(
        {
            "node": "n1",
            "input": {"src": src, "dest": "n1", "body": body},
            "output": [{"src": "n1", "dest": "c0", "body": opened}] if body is init else [],
        }
        for src, body in given
    )


def test_requests_may_differ_in_one_field() -> None:
    ways = set()
    for seed in SEEDS:
        one, two = filter(is_well_formed, renaming.renamed(log_of("v1", "v2"), seed))
        one, two = one.input, two.input
        same = tuple(
            canonical(a) == canonical(b)
            for a, b in ((one["src"], two["src"]), (one["body"]["value"], two["body"]["value"]))
        )
        assert one["body"]["msg_id"] == two["body"]["msg_id"]
        ways.add(same)
    assert ways == {(False, False), (True, False), (False, True)}


def test_equal_proposals_stay_distinct() -> None:
    for seed in SEEDS:
        asked = [canonical(r.input) for r in renaming.renamed(log_of("v1", "v1"), seed)]
        assert len(set(asked)) == len(asked)


def test_almost_equal_values_are_distinct() -> None:
    every = [canonical(value) for group in ALMOST_EQUAL for value in group]
    assert len(set(every)) == len(every)
    vocabulary = Vocabulary(1)
    drawn = [
        canonical(vocabulary.value(topic, variant)) for topic in range(50) for variant in range(10)
    ]
    assert len(set(drawn)) == len(drawn)


def test_order_of_keys_does_not_change_a_value() -> None:
    value = {"a": [{"b": 1, "c": 2}], "d": None}
    texts = {json.dumps(reordered(value, Random(seed))) for seed in range(20)}
    assert len(texts) == 4 and {canonical(json.loads(text)) for text in texts} == {canonical(value)}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 400])
def test_slots_ascend_and_end_in_time(count: int) -> None:
    for seed in SEEDS:
        slots = Vocabulary(seed).slots(count)
        drawn = [slots(place) for place in range(count)]
        assert drawn == sorted(set(drawn)) and drawn[0] >= 0 and drawn[-1] <= HIGHEST
        assert [slots.place(slot) for slot in drawn] == list(range(count))
        assert slots(count) == drawn[-1]


def test_names_are_different() -> None:
    for seed in SEEDS:
        for count in 1, 2, 3, 5, 9, 40:
            members = Vocabulary(seed).members(count)
            clients = Vocabulary(seed).clients(30, members)
            assert len({*members, *clients}) == count + 30


def is_well_formed(record: Record) -> bool:
    """Whether a record has a proposal that is not one of the malformed ones that are added."""
    return is_proposal(record) and record.input["body"]["value"] != "no slot"


# What cannot be renamed.


def test_log_that_cannot_be_renamed_gives_a_reason() -> None:
    high = log_of("v1", "v2")
    high[1].input["body"]["slot"] = HIGHEST
    with pytest.raises(LogError, match="too high to be renamed"):
        renaming.renamed(high, 1)
    refused = log_of("v1")
    error = {"type": "error", "in_reply_to": 1, "code": 12, "text": "", "msg_id": 1}
    refused[1].output.append({"src": "n1", "dest": "c1", "body": error})
    with pytest.raises(LogError, match="refused requests cannot be renamed"):
        renaming.renamed(refused, 1)
    with pytest.raises(LogError, match="a reply without a request"):
        renaming.renamed([record for record in logs.read(TAKEOVER) if not is_proposal(record)], 1)


def is_proposal(record: Record) -> bool:
    given = record.input
    return is_message(given) and given["body"]["type"] == "multi_paxos_propose"
