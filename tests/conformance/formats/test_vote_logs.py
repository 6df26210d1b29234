"""Vote logs are read strictly: each error names the file, the line and what to do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from conformance.formats import vote_logs
from conformance.formats.logs import LogError
from conformance.formats.schema import SchemaError

HEAD = {"node": "a", "members": ["a", "b", "c"]}
VOTE = {"node": "a", "vote": {"slot": 1, "ballot": 2, "value": None}}


def read(folder: Path, *files: list[Any]) -> vote_logs.VoteLogs:
    paths = [folder / f"{at}.ndjson" for at in range(len(files))]
    for path, lines in zip(paths, files, strict=True):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return vote_logs.read(paths)


def test_lines_of_two_files(tmp_path: Path) -> None:
    other = {**HEAD, "node": "b", "written_by": "a test"}
    found = read(tmp_path, [HEAD, VOTE], [other, {"node": "b", "promise": 3}, other])
    assert found.members == ("a", "b", "c") and found.missing == ("c",)
    assert [(line.node, line.kind, line.line) for line in found.lines] == [
        ("a", "members", 1),
        ("a", "vote", 2),
        ("b", "members", 1),
        ("b", "promise", 2),
        ("b", "members", 3),
    ]
    assert found.promised == {"a": 2, "b": 3} and list(found.slots) == [1]


def test_repeated_vote_is_no_step(tmp_path: Path) -> None:
    found = read(tmp_path, [HEAD, VOTE, {"node": "a", "promise": 3}, VOTE])
    assert [line.line for line in found.steps] == [2, 3]


@pytest.mark.parametrize(
    "named, quorums, others",
    [
        ({}, ["ab", "abc"], ["a", ""]),
        ({"weights": {"a": 3, "b": 1, "c": 1}}, ["a"], ["bc"]),
        ({"quorums": [["a", "b"], ["b", "c"]]}, ["ab", "bc", "abc"], ["ac", "b"]),
    ],
)
def test_quorums(named: Any, quorums: list[str], others: list[str], tmp_path: Path) -> None:
    found = read(tmp_path, [{**HEAD, **named}, VOTE]).quorums
    assert all(found.include(set(nodes)) for nodes in quorums)
    assert not any(found.include(set(nodes)) for nodes in others)


@pytest.mark.parametrize(
    "ballots",
    [[1, 2, 10], [[1, "a"], [1, "b"], [2, "a"], [10, ""]], [[0, -1], [0, 5], [1, -7]]],
)
def test_ballots_are_compared_item_by_item(ballots: list[Any]) -> None:
    shuffled = random.Random(1).sample(ballots, len(ballots))
    assert sorted(shuffled, key=vote_logs.order) == ballots


@pytest.mark.parametrize(
    "lines, reason",
    [
        ([], "is empty"),
        ([HEAD], "there is no vote and no decision"),
        ([VOTE], "0.ndjson:1: the first line of node a must name the members"),
        ([{"node": "a"}], "one of members, promise, vote, decide, restart, and it has none"),
        ([{**VOTE, "promise": 1}], "it has promise and vote"),
        ([{**HEAD, "node": "d"}], "0.ndjson:1: node d is not among the members"),
        ([HEAD, {**HEAD, "members": ["a", "b"]}], 'members are ["a", "b"] here and ["a", "b", "c"'),
        ([{**HEAD, "quorums": [["a"], ["b", "c"]]}, VOTE], "have no member in common"),
        ([{**HEAD, "quorums": [["a", "d"]]}, VOTE], "d is in a quorum and is not a member"),
        ([{**HEAD, "weights": {"a": 1, "b": 1}}, VOTE], "weights must have each member"),
        ([{**HEAD, "weights": {"a": 0, "b": 0, "c": 0}}, VOTE], "all weights are 0"),
        ([{**HEAD, "weights": {}, "quorums": [["a"]]}], "should not be valid under"),
        ([HEAD, VOTE, {"node": "a", "promise": [3, "a"]}], '0.ndjson:3: ballot [3, "a"] cannot'),
        ([HEAD, {"node": "a", "promise": "3"}], "$.promise"),
        ([HEAD, {"node": "a", "promise": 1.5}], "$.promise"),
        ([HEAD, {"node": "a", "vote": {"slot": 1, "ballot": 2}}], "'value' is a required"),
        ([{"node": "a", "input": "timeout", "output": []}], "this is a message log"),
    ],
)
def test_wrong_log_is_refused(lines: list[Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(LogError) as refused:
        read(tmp_path, lines)
    assert reason in str(refused.value) and "0.ndjson" in str(refused.value)


def test_node_in_two_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"node a is in .* and in .*: these are several runs"):
        read(tmp_path, [HEAD, VOTE], [HEAD, VOTE])


def test_malformed_line_is_not_written() -> None:
    assert vote_logs.text([HEAD, VOTE]).count("\n") == 2
    with pytest.raises(SchemaError):
        vote_logs.text([{"node": "a", "restart": False}])
