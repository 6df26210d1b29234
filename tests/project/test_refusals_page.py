"""The table of refusals in conformance/nodes.md is what the node does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from multipaxos.node import Node

from tests.support.paths import ROOT

PAGE = (ROOT / "conformance" / "nodes.md").read_text("utf-8")
MEMBERS = ["n1", "n2", "n3"]
DROPPED = None


def body(kind: Any, src: str = "c1", dest: str = "n1", **fields: Any) -> bytes:
    given = {"type": kind, "msg_id": 7, **fields}
    return json.dumps({"src": src, "dest": dest, "body": given}).encode()


def init(src: str = "c1", dest: str = "n1", node_ids: Any = MEMBERS, node_id: str = "n1") -> bytes:
    return body("init", src, dest, node_id=node_id, node_ids=node_ids)


def between(kind: str, **fields: Any) -> bytes:
    given = {"src": "n2", "dest": "n1", "body": {"type": kind, **fields}}
    return json.dumps(given).encode()


def propose(slot: Any = 1, value: Any = "v", **fields: Any) -> bytes:
    return body("multi_paxos_propose", slot=slot, value=value, **fields)


DEEP = "[" * 129 + "]" * 129
INIT, ALONE = [init()], [init(node_ids=["n1"])]
RUNNING = [*INIT, propose(), between("promise", ballot=1, accepted=[], known=[])]

# The beginning of a row -> lines before, lines, and the last message that is sent for each of them.
ROWS: dict[str, tuple[list[bytes], list[bytes], Any]] = {
    "not UTF-8": (INIT, [b"\xff", b"junk", b" ", b"[]"], DROPPED),
    "`src` or `dest` is not": (INIT, [b'{"src": 1, "dest": "n1", "body": {}}'], DROPPED),
    "`dest` is another": (INIT, [body("init", dest="n2")], DROPPED),
    "`in_reply_to`": (INIT, [propose(in_reply_to=1)], DROPPED),
    "anything while": ([*INIT, b'"crash"'], [propose()], DROPPED),
    "anything but `init`": ([], [propose(), body("no_such_type")], 11),
    "`init` with the same": (INIT, [init()], "init_ok"),
    "`init` with others": (INIT, [init(node_ids=["n1"])], 12),
    "`init` from a member": (INIT, [init(src="n2")], DROPPED),
    "`init` whose": ([], [init(node_ids=ids) for ids in (7, ["n1", "n1"], ["n2"])], 12),
    "`type` is not": (INIT, [body(7)], 12),
    "`type` is unknown": (INIT, [body("no_such_type")], 10),
    "`prepare`, `accept` or another message of nodes, from a client": (
        INIT,
        [body("prepare", ballot=1, known=[])],
        10,
    ),
    "`prepare`, `accept` or another message of nodes, from a node": (
        INIT,
        [
            between("prepare", ballot=2),
            between("prepare", ballot=2, known=[], extra=1),
            between("prepare", ballot=1, known=[]),
            between("prepare", ballot=2, known=[[3, 4], [1, 2]]),
            between("prepare", ballot=2**63 - 3, known=[]),
        ],
        DROPPED,
    ),
    "a request from a member": (
        INIT,
        [body("multi_paxos_propose", "n2", slot=1, value="v")],
        DROPPED,
    ),
    "`msg_id`": (INIT, [propose(msg_id="7")], DROPPED),
    "`slot`": (INIT, [propose(slot) for slot in (-1, True, 1.0, "1", 2**63, None)], 12),
    "`value` is missing": (INIT, [body("multi_paxos_propose", slot=1)], 12),
    "`value` is nested": (
        INIT,
        [
            propose("VALUE").replace(b'"v"', DEEP.encode()).replace(b'"VALUE"', b"1"),
            propose(value=1).replace(b'"value": 1', b'"value": 1e999'),
            propose(value="x" * 2**20),
        ],
        12,
    ),
    "`from` or `limit`": (INIT, [body("multi_paxos_log", limit=-1)], 12),
    "a request with more": (ALONE, [propose(extra=1)], "multi_paxos_propose_ok"),
    "a request that the node gives up, and": ([*INIT, propose()], [b'"expire"'], 11),
    "a request that the node gives up, after": (RUNNING, [b'"expire"'], 0),
    "a request for a slot that is decided": (
        [*ALONE, propose()],
        [propose(value="w")],
        "multi_paxos_propose_ok",
    ),
}


def rows() -> list[str]:
    [table] = re.findall(r"(?m)^\| input \| answer \|\n.*\n((?:\|.*\n)+)", PAGE)
    return [row.removeprefix("| ") for row in table.strip().split("\n")]


@pytest.mark.parametrize("beginning", ROWS)
def test_input_is_answered_as_the_table_says(beginning: str) -> None:
    [row] = [row for row in rows() if row.startswith(beginning)]
    before, lines, expected = ROWS[beginning]
    for line in lines:
        node = Node()
        for each in before:
            node.turn([each])
        sent = [json.loads(text)["body"] for text in node.turn([line]).splitlines()]
        found = sent[-1].get("code", sent[-1]["type"]) if sent else DROPPED
        assert found == expected, line[:200]
    answer = row.rsplit(" | ", 1)[1].removesuffix(" |")
    assert ("dropped" if expected is DROPPED else str(expected)) in answer


def test_each_row_has_an_example() -> None:
    assert [row for row in rows() if not any(map(row.startswith, ROWS))] == []
