"""The history checker accepts legal histories, and reports each illegal observation.

For each rule there is a history that differs from a legal one in one field, and one finding.
"""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.formats import history as histories
from conformance.formats.logs import LogError
from conformance.formats.schema import SchemaError, check_entry
from conformance.validation.history_checker import check_history
from tests.support.paths import HISTORIES

OK, BAD = HISTORIES / "duel-ok.ndjson", HISTORIES / "duel-bad.ndjson"
LINES = [json.loads(line) for line in OK.read_text("utf-8").splitlines()]

Json = Any


def entries(lines: list[Json]) -> list[histories.Entry]:
    for line in lines:
        check_entry(line)
    return [
        histories.Entry(line["at"], line["kind"], line["message"], OK, number)
        for number, line in enumerate(lines, 1)
    ]


def with_fields(line: int, **fields: Json) -> list[histories.Entry]:
    """Return the legal history with other fields in the body of one line."""
    lines = copy.deepcopy(LINES)
    lines[line - 1]["message"]["body"] |= fields
    assert lines != LINES
    return entries(lines)


def log(*decided: tuple[int, str]) -> Json:
    return [{"slot": slot, "value": value, "status": "chosen"} for slot, value in decided]


def findings(history: list[histories.Entry], quiescent: bool = False) -> list[tuple[Any, ...]]:
    """Return each finding as its rule, its line and the line that it contradicts."""
    return [
        (each.rule, each.entry.line, each.other and each.other.line)
        for each in check_history(history, quiescent)
    ]


def test_fixtures_differ_in_one_line_and_verdict() -> None:
    assert findings(histories.read(OK), quiescent=True) == []
    assert findings(histories.read(BAD), quiescent=True) == [("agreement", 4, 3)]
    ours, theirs = OK.read_text().splitlines(), BAD.read_text().splitlines()
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1


A, B, C, D = (1, "a"), (1, "b"), (3, "c"), (2, "d")


@pytest.mark.parametrize(
    ("line", "fields", "finding"),
    [
        # Two values of one slot: in two answers, in an answer and a log.
        (4, {"value": "b"}, ("agreement", 4, 3)),
        (18, {"log": log(B, D, C)}, ("agreement", 18, 3)),
        # Never proposed.
        (1, {"value": "x"}, ("validity", 3, None)),
        (18, {"log": log(A, D, C, (4, "d"))}, ("validity", 18, None)),
        # No request, another request, a second answer.
        (3, {"in_reply_to": 9}, ("answers", 3, None)),
        (9, {"msg_id": 9}, ("answers", 10, 8)),
        (10, {"chosen": False}, ("answers", 10, 7)),
        (15, {"limit": 0}, ("answers", 16, 15)),
        (15, {"from": 3}, ("answers", 16, 15)),
        # Refused by every node that got the proposal, but decided.
        (11, {"value": "e"}, ("refusals", 12, 6)),
        # Sent before by the same node, but missing in a whole log, or in the requested part.
        (14, {"log": log(D, C)}, ("durability", 14, 4)),
        (16, {"log": log()}, ("durability", 16, 10)),
        (16, {"log": log(C)}, ("durability", 16, 10)),
        (15, {"limit": 9}, ("durability", 16, 12)),
        (18, {"log": log(D, C)}, ("durability", 18, 3)),
    ],
)
def test_illegal_field_is_one_finding(line: int, fields: Json, finding: tuple[Any, ...]) -> None:
    assert findings(with_fields(line, **fields)) == [finding]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        # After an indefinite error, every outcome is legal.
        (6, {"code": 0}),
        (6, {"code": 13}),
        # The other one of two proposals may be decided.
        (8, {"code": 11}),
        # A reply may leave out what was not requested.
        (13, {"limit": 3}),
        (17, {"from": 1}),
        # A node may not know yet what another one has sent.
        (18, {"log": log(A)}),
    ],
)
def test_other_legal_observations_pass(line: int, fields: Json) -> None:
    assert findings(with_fields(line, **fields)) == []


def test_missing_decision_at_quiescence_is_found() -> None:
    assert findings(with_fields(18, log=log(A, C)), quiescent=True) == [("quiescence", 18, 10)]


def test_incomplete_log_at_quiescence_is_found() -> None:
    assert findings(with_fields(17, limit=3), quiescent=True) == [("quiescence", 17, None)]
    assert findings(with_fields(17, limit=4), quiescent=True) == []
    assert findings(entries(LINES[:-1]), quiescent=True) == [("quiescence", 17, None)]


def test_answer_for_another_slot_is_found() -> None:
    assert findings(with_fields(1, slot=5)) == [("answers", 3, 1), ("validity", 3, None)]


def test_answer_of_another_type_is_found() -> None:
    lines = copy.deepcopy(LINES)
    lines[16]["message"]["body"] = {
        "type": "multi_paxos_propose",
        "msg_id": 3,
        "slot": 9,
        "value": 1,
    }
    assert findings(entries(lines)) == [("answers", 18, 17)]


def test_proposal_after_its_decision_is_found() -> None:
    lines = [*LINES[1:4], LINES[0]]
    assert findings(entries(lines)) == [("answers", 2, None), ("validity", 2, 4)]


def test_values_are_compared_as_json() -> None:
    for one, other in ((1, True), (1, 1.0), ([], {}), (None, False)):
        lines = copy.deepcopy(LINES[:4])
        lines[0]["message"]["body"]["value"] = lines[2]["message"]["body"]["value"] = one
        lines[1]["message"]["body"]["value"] = lines[3]["message"]["body"]["value"] = other
        assert findings(entries(lines)) == [("agreement", 4, 3)]


# Histories of other systems: appends, and fields that only this protocol has.


def asked(number: int, value: str = "", **fields: Json) -> Json:
    body = {"type": "multi_paxos_propose", "msg_id": number, "value": value or f"v{number}"}
    return "ask", {"src": "c1", "dest": "n1", "body": body | fields}


def answered(number: int, slot: int, value: str = "", **fields: Json) -> Json:
    body = {"in_reply_to": number, "slot": slot, "value": value or f"v{number}"}
    body = {"type": "multi_paxos_propose_ok"} | body | fields
    return "answer", {"src": "n1", "dest": "c1", "body": body}


def refused(number: int, code: int) -> Json:
    body = {"type": "error", "in_reply_to": number, "code": code}
    return "answer", {"src": "n1", "dest": "c1", "body": body}


def history(*lines: Json) -> list[histories.Entry]:
    return entries([{"at": 0, "kind": kind, "message": message} for kind, message in lines])


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        # Two appends, one after the other: the later one has the higher slot, by any distance.
        ([asked(1), answered(1, 4), asked(2), answered(2, 9)], []),
        ([asked(1), answered(1, 4), asked(2), answered(2, 3)], [("order", 4, 2)]),
        # Both at once, or answered late: any order.
        ([asked(1), asked(2), answered(1, 4), answered(2, 3)], []),
        ([asked(1), asked(2), answered(2, 3), answered(1, 4)], []),
        # An append is ordered from its first request on; a repeated one may have two slots.
        ([asked(2), asked(1), answered(1, 4), asked(2), answered(2, 3), answered(2, 5)], []),
        # The highest acknowledged slot counts, not the last one.
        (
            [asked(1), asked(2), answered(1, 9), answered(2, 3), asked(3), answered(3, 5)],
            [("order", 6, 3)],
        ),
        # Proposals that name their slot have no order.
        ([asked(1, slot=4), answered(1, 4), asked(2, slot=3), answered(2, 3)], []),
        ([asked(1, slot=4), answered(1, 4), asked(2), answered(2, 3)], []),
        # An append is acknowledged with its own value, and no other has its slot.
        ([asked(1, "a"), asked(2, "b"), answered(1, 4, "b")], [("answers", 3, 1)]),
        ([asked(1), asked(2), answered(1, 4), answered(2, 4)], [("agreement", 4, 3)]),
        ([asked(1), answered(1, 4, chosen=False)], [("answers", 2, 1)]),
        ([asked(1), answered(1, 4, chosen=True, term=7)], []),
        # A refused append is in no slot, unless it was sent once more.
        ([asked(1, "a"), refused(1, 11), asked(2, "b"), answered(2, 4, "b")], []),
        (
            [
                *(asked(1, "a"), refused(1, 11), asked(2, "a", slot=4), refused(2, 14)),
                *(asked(3, "b", slot=4), answered(3, 4, "a")),
            ],
            [("refusals", 6, 4)],
        ),
        ([asked(1), asked(1), refused(1, 11), answered(1, 4)], []),
        ([asked(1), refused(1, 11), answered(1, 4)], [("answers", 3, 2), ("refusals", 3, 2)]),
        ([asked(1), refused(1, 99), asked(2, "v1"), refused(2, 0)], []),
    ],
)
def test_appends(lines: list[Json], found: list[tuple[Any, ...]]) -> None:
    assert findings(history(*lines)) == found


# Reading.


def write_and_read(lines: list[Json], folder: Path) -> list[histories.Entry]:
    path = folder / "history.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return histories.read(path)


def node_message(line: Json) -> None:
    line["message"]["body"] = {"type": "learn", "known": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line.update(at=0.1), "earlier than the entry before"),
        (lambda line: line.update(at=-1), "not a history entry"),
        (lambda line: line.update(kind="ask"), "not a history entry"),
        (lambda line: line.update(more=1), "not a history entry"),
        (lambda line: line.pop("message"), "not a history entry"),
        (lambda line: line["message"].pop("src"), "not a history entry"),
        (node_message, "not a history entry"),
    ],
)
def test_malformed_entry_is_reported_with_its_line(
    change: Any, reason: str, tmp_path: Path
) -> None:
    lines = copy.deepcopy(LINES)
    change(lines[3])
    with pytest.raises(LogError, match=rf"history\.ndjson:4: .*{reason}"):
        write_and_read(lines, tmp_path)


def test_reused_msg_id_is_an_error(tmp_path: Path) -> None:
    lines = copy.deepcopy(LINES)
    lines[8]["message"]["body"]["value"] = "e"
    with pytest.raises(LogError, match=r"history\.ndjson:9: this msg_id belongs to another"):
        write_and_read(lines, tmp_path)


def test_written_history_is_read_back(tmp_path: Path) -> None:
    writer = histories.Writer(tmp_path / "history.ndjson")
    written = [writer.write(line["at"], line["kind"], line["message"]) for line in LINES]
    # Each entry is flushed at once.
    assert histories.read(writer.path) == written
    with pytest.raises(SchemaError):
        writer.write(9, "answer", LINES[0]["message"])
    writer.close()
    assert histories.read(writer.path) == written


# Random histories.


class RandomHistory:
    """A random legal history: one agreed log, and clients that get parts of it late or never."""

    def __init__(self, rng: random.Random, forgets: bool = False) -> None:
        self.rng = rng
        self.decided: dict[int, int] = {}
        self.known: dict[str, set[int]] = {"n1": set(), "n2": set(), "n3": set()}
        self.acknowledged: dict[str, set[int]] = {"n1": set(), "n2": set(), "n3": set()}
        self.open: list[Json] = []
        self.lines: list[Json] = []
        for number in range(40):
            self.rng.choice([self.ask, self.answer, self.learn])(number)
        if forgets:
            self.forget()

    def add(self, kind: str, message: Json) -> None:
        self.lines.append({"at": len(self.lines), "kind": kind, "message": message})

    def ask(self, number: int) -> None:
        body: Json = {"type": "multi_paxos_log", "msg_id": number}
        if self.rng.random() < 0.7:
            body["type"] = "multi_paxos_propose"
            body |= {"slot": self.rng.randrange(4), "value": self.rng.randrange(3)}
        else:
            body |= self.rng.choice([{}, {"from": 1}, {"limit": 2}, {"from": 2, "limit": 1}])
        node = self.rng.choice(sorted(self.known))
        question = {"src": "c1", "dest": node, "body": body}
        self.open.append(question)
        self.add("ask", question)

    def answer(self, _: int) -> None:
        if self.open:
            question = self.open.pop(self.rng.randrange(len(self.open)))
            asked, node = question["body"], question["dest"]
            reply = {"in_reply_to": asked["msg_id"], "msg_id": len(self.lines)}
            if asked["type"] == "multi_paxos_log":
                reply |= {"type": "multi_paxos_log_ok", "log": self.log(asked, node)}
            elif self.rng.random() < 0.3:
                reply |= {"type": "error", "code": 0, "text": ""}
            else:
                value = self.decided.setdefault(asked["slot"], asked["value"])
                self.known[node].add(asked["slot"])
                self.acknowledged[node].add(asked["slot"])
                reply |= {"type": "multi_paxos_propose_ok", "slot": asked["slot"], "value": value}
                reply |= {"phase1_skipped": True, "chosen": True}
            self.add("answer", {"src": node, "dest": question["src"], "body": reply})

    def log(self, asked: Json, node: str) -> Json:
        slots = [slot for slot in sorted(self.known[node]) if slot >= asked.get("from", 0)]
        slots = slots[: asked.get("limit")]
        self.acknowledged[node] |= {*slots}
        return log(*((slot, self.decided[slot]) for slot in slots))

    def learn(self, _: int) -> None:
        if self.decided:
            self.known[self.rng.choice(sorted(self.known))].add(max(self.decided))

    def forget(self) -> None:
        """Request the log of a node that has lost a decision it had sent."""
        node = self.rng.choice(sorted(self.known))
        lost = self.rng.choice(sorted(self.acknowledged[node]) or [None])
        self.forgot = lost is not None
        self.known[node] -= {lost}
        self.open = [{"src": "c2", "dest": node, "body": {"type": "multi_paxos_log", "msg_id": 0}}]
        self.add("ask", self.open[0])
        self.answer(0)


@given(st.randoms(use_true_random=False))
def test_legal_histories_pass(rng: random.Random) -> None:
    assert findings(entries(RandomHistory(rng).lines)) == []


@given(st.randoms(use_true_random=False))
def test_forgotten_decision_is_findings(rng: random.Random) -> None:
    history = RandomHistory(rng, forgets=True)
    rules = [finding[0] for finding in findings(entries(history.lines))]
    assert rules == (["durability"] if history.forgot else [])
