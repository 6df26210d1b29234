"""The judge of histories accepts what clients may see and names what they may not.

Each rule is seen to reject a history that differs from a good one in a single field, and to name
just that; what nodes do is not asked here.
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


def altered(line: int, **fields: Json) -> list[histories.Entry]:
    """The good history with other fields in the body of one line."""
    lines = copy.deepcopy(LINES)
    lines[line - 1]["message"]["body"] |= fields
    assert lines != LINES
    return entries(lines)


def log(*decided: tuple[int, str]) -> Json:
    return [{"slot": slot, "value": value, "status": "chosen"} for slot, value in decided]


def found(history: list[histories.Entry], quiescent: bool = False) -> list[tuple[Any, ...]]:
    """Each finding as its rule, its line and the line of what it contradicts."""
    return [
        (each.rule, each.entry.line, each.other and each.other.line)
        for each in check_history(history, quiescent)
    ]


def test_fixtures_come_in_pairs_one_accepted_one_rejected() -> None:
    assert found(histories.read(OK), quiescent=True) == []
    assert found(histories.read(BAD), quiescent=True) == [("agreement", 4, 3)]
    ours, theirs = OK.read_text().splitlines(), BAD.read_text().splitlines()
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1


A, B, C, D = (1, "a"), (1, "b"), (3, "c"), (2, "d")


@pytest.mark.parametrize(
    ("line", "fields", "finding"),
    [
        # Two values of one slot: in two answers, in an answer and a log.
        (4, {"value": "b"}, ("agreement", 4, 3)),
        (18, {"log": log(B, D, C)}, ("agreement", 18, 3)),
        # Proposed by nobody.
        (1, {"value": "x"}, ("validity", 3, None)),
        (18, {"log": log(A, D, C, (4, "d"))}, ("validity", 18, None)),
        # Not asked, asked otherwise, answered once too often.
        (3, {"in_reply_to": 9}, ("answers", 3, None)),
        (9, {"msg_id": 9}, ("answers", 10, 8)),
        (10, {"chosen": False}, ("answers", 10, 7)),
        (15, {"limit": 0}, ("answers", 16, 15)),
        (15, {"from": 3}, ("answers", 16, 15)),
        # Refused wherever it was proposed, and decided all the same.
        (11, {"value": "e"}, ("refusals", 12, 6)),
        # Told before by the same node: missing in a whole log, in the part that was asked for.
        (14, {"log": log(D, C)}, ("durability", 14, 4)),
        (16, {"log": log()}, ("durability", 16, 10)),
        (16, {"log": log(C)}, ("durability", 16, 10)),
        (15, {"limit": 9}, ("durability", 16, 12)),
        (18, {"log": log(D, C)}, ("durability", 18, 3)),
    ],
)
def test_one_field_is_one_finding(line: int, fields: Json, finding: tuple[Any, ...]) -> None:
    assert found(altered(line, **fields)) == [finding]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        # An error that claims nothing may be followed by anything.
        (6, {"code": 0}),
        (6, {"code": 13}),
        # One refusal of two proposals leaves the other one.
        (8, {"code": 11}),
        # What was not asked for need not be told.
        (13, {"limit": 3}),
        (17, {"from": 1}),
        # What another node told need not be known yet.
        (18, {"log": log(A)}),
    ],
)
def test_other_legal_observations(line: int, fields: Json) -> None:
    assert found(altered(line, **fields)) == []


def test_in_peace_every_node_knows_everything() -> None:
    assert found(altered(18, log=log(A, C)), quiescent=True) == [("quiescence", 18, 10)]


def test_every_log_is_complete_at_quiescence() -> None:
    assert found(altered(17, limit=3), quiescent=True) == [("quiescence", 17, None)]
    assert found(altered(17, limit=4), quiescent=True) == []
    assert found(entries(LINES[:-1]), quiescent=True) == [("quiescence", 17, None)]


def test_an_answer_for_another_slot() -> None:
    assert found(altered(1, slot=5)) == [("answers", 3, 1), ("validity", 3, None)]


def test_an_answer_of_another_kind() -> None:
    lines = copy.deepcopy(LINES)
    lines[16]["message"]["body"] = {
        "type": "multi_paxos_propose",
        "msg_id": 3,
        "slot": 9,
        "value": 1,
    }
    assert found(entries(lines)) == [("answers", 18, 17)]


def test_a_proposal_that_comes_too_late() -> None:
    lines = [*LINES[1:4], LINES[0]]
    assert found(entries(lines)) == [("answers", 2, None), ("validity", 2, 4)]


def test_values_differ_as_json_does() -> None:
    for one, other in ((1, True), (1, 1.0), ([], {}), (None, False)):
        lines = copy.deepcopy(LINES[:4])
        lines[0]["message"]["body"]["value"] = lines[2]["message"]["body"]["value"] = one
        lines[1]["message"]["body"]["value"] = lines[3]["message"]["body"]["value"] = other
        assert found(entries(lines)) == [("agreement", 4, 3)]


# Reading.


def read(lines: list[Json], folder: Path) -> list[histories.Entry]:
    path = folder / "history.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return histories.read(path)


def node_message(line: Json) -> None:
    line["message"]["body"] = {"type": "learn", "known": []}


@pytest.mark.parametrize(
    ("alter", "reason"),
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
def test_a_line_that_is_no_entry_is_named(alter: Any, reason: str, tmp_path: Path) -> None:
    lines = copy.deepcopy(LINES)
    alter(lines[3])
    with pytest.raises(LogError, match=rf"history\.ndjson:4: .*{reason}"):
        read(lines, tmp_path)


def test_two_questions_under_one_msg_id(tmp_path: Path) -> None:
    lines = copy.deepcopy(LINES)
    lines[8]["message"]["body"]["value"] = "e"
    with pytest.raises(LogError, match=r"history\.ndjson:9: this msg_id"):
        read(lines, tmp_path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = histories.Writer(tmp_path / "history.ndjson")
    written = [writer.write(line["at"], line["kind"], line["message"]) for line in LINES]
    # What was seen is on file at once, whatever comes next.
    assert histories.read(writer.path) == written
    with pytest.raises(SchemaError):
        writer.write(9, "answer", LINES[0]["message"])
    writer.close()
    assert histories.read(writer.path) == written


# Random histories.


class World:
    """A log that is agreed on by construction, and clients who see parts of it late or never."""

    def __init__(self, rng: random.Random, forgets: bool = False) -> None:
        self.rng = rng
        self.decided: dict[int, int] = {}
        self.known: dict[str, set[int]] = {"n1": set(), "n2": set(), "n3": set()}
        self.told: dict[str, set[int]] = {"n1": set(), "n2": set(), "n3": set()}
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
            said = {"in_reply_to": asked["msg_id"], "msg_id": len(self.lines)}
            if asked["type"] == "multi_paxos_log":
                said |= {"type": "multi_paxos_log_ok", "log": self.log(asked, node)}
            elif self.rng.random() < 0.3:
                said |= {"type": "error", "code": 0, "text": ""}
            else:
                value = self.decided.setdefault(asked["slot"], asked["value"])
                self.known[node].add(asked["slot"])
                self.told[node].add(asked["slot"])
                said |= {"type": "multi_paxos_propose_ok", "slot": asked["slot"], "value": value}
                said |= {"phase1_skipped": True, "chosen": True}
            self.add("answer", {"src": node, "dest": question["src"], "body": said})

    def log(self, asked: Json, node: str) -> Json:
        slots = [slot for slot in sorted(self.known[node]) if slot >= asked.get("from", 0)]
        slots = slots[: asked.get("limit")]
        self.told[node] |= {*slots}
        return log(*((slot, self.decided[slot]) for slot in slots))

    def learn(self, _: int) -> None:
        if self.decided:
            self.known[self.rng.choice(sorted(self.known))].add(max(self.decided))

    def forget(self) -> None:
        """A node is asked for its log once more, after it has lost something that it told."""
        node = self.rng.choice(sorted(self.known))
        lost = self.rng.choice(sorted(self.told[node]) or [None])
        self.forgot = lost is not None
        self.known[node] -= {lost}
        self.open = [{"src": "c2", "dest": node, "body": {"type": "multi_paxos_log", "msg_id": 0}}]
        self.add("ask", self.open[0])
        self.answer(0)


@given(st.randoms(use_true_random=False))
def test_legal_histories_pass(rng: random.Random) -> None:
    assert found(entries(World(rng).lines)) == []


@given(st.randoms(use_true_random=False))
def test_forgotten_decision_is_found(rng: random.Random) -> None:
    world = World(rng, forgets=True)
    rules = [finding[0] for finding in found(entries(world.lines))]
    assert rules == (["durability"] if world.forgot else [])
