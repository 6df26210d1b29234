"""Logs are read whole and in order, however long they are, and a line that is none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from multipaxos.message_log import Log
from multipaxos.node import Node

from conformance.formats import history as histories
from conformance.formats import logs
from conformance.validation.trace_validation import validate_logs
from tests.support.node_process import init

RECORD = json.dumps({"node": "n1", "input": "timeout", "output": []})
LONG = 2 * logs._GROUP + 100


def test_long_log_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    path.write_text(f"{RECORD}\n" * LONG, "utf-8")
    assert [record.line for record in logs.read(path)] == list(range(1, LONG + 1))


@pytest.mark.parametrize("line", [1, logs._GROUP, logs._GROUP + 1, LONG])
def test_first_malformed_line_of_a_long_log_is_reported(line: int, tmp_path: Path) -> None:
    path, lines = tmp_path / "long.ndjson", [RECORD] * LONG
    lines[line - 1] = RECORD.replace("timeout", "tick")
    lines[-1] = lines[-1].replace("timeout", "tock")
    path.write_text("\n".join(lines), "utf-8")
    word = "tock" if line == LONG and "tick" not in lines[-1] else "tick"
    with pytest.raises(logs.LogError, match=rf":{line}: not a log record: .*{word}"):
        logs.read(path)


def test_null_fields_of_a_request_are_absent(tmp_path: Path) -> None:
    """The requests are logged and validated as if the fields were absent."""
    path = tmp_path / "n1.ndjson"
    body = {"type": "multi_paxos_log", "msg_id": 2, "from": None, "limit": None}
    asked = {"src": "c1", "dest": "n1", "body": body}
    with path.open("wb") as log:
        node = Node(log=Log("", log))
        node.turn([init().encode(), json.dumps(asked).encode()])
    record = logs.read(path)[1]
    assert record.input["body"] == {"type": "multi_paxos_log", "msg_id": 2}
    [verdict] = validate_logs([logs.read(path)], 1000)
    assert verdict.rejections == []
    history = tmp_path / "history.ndjson"
    answer = {
        "src": "n1",
        "dest": "c1",
        "body": {"type": "multi_paxos_log_ok", "in_reply_to": 2, "log": [], "msg_id": 0},
    }
    history.write_text(
        "".join(
            json.dumps({"at": at, "kind": kind, "message": message}) + "\n"
            for at, kind, message in ((0, "ask", asked), (1, "answer", answer))
        )
    )
    assert histories.read(history)[0].message == record.input


def test_logs_beside_a_history_are_one_cluster(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for name in "n1", "n2", "history":
        for folder in one, other:
            folder.mkdir(exist_ok=True)
            if folder == one or name != "history":
                (folder / f"{name}.ndjson").touch()
    ones, others = ([folder / f"{name}.ndjson" for name in ("n1", "n2")] for folder in (one, other))
    assert logs.clusters([tmp_path]) == [ones, *([path] for path in others)]
    assert logs.clusters(ones) == [ones]
    with pytest.raises(logs.LogError, match="for the verb check-history"):
        logs.clusters([one / "history.ndjson"])


ASKED = (
    '{"src": "c1", "dest": "n1", "body": {"type": "multi_paxos_propose", "msg_id": 1, '
    '"slot": 1, "value": %s}}'
)
NOT_COMPARABLE = {
    "NaN": "NaN is not a JSON number",
    "[-Infinity]": "-Infinity is not a JSON number",
    "1e400": "too large for a double",
    "1" * 5_000: "more than 4,300 digits",
    **{"[" * levels + "]" * levels: "deeper than 256" for levels in (900, 5_000)},
}


@pytest.mark.parametrize("value", NOT_COMPARABLE, ids=lambda value: f"{value[:11]}{len(value)}")
def test_value_that_is_not_comparable_json_is_an_error(value: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(f'{{"node": "n1", "input": {ASKED % value}, "output": []}}\n', "utf-8")
    with pytest.raises(logs.LogError, match=rf":1: not a log record: .*{NOT_COMPARABLE[value]}"):
        logs.read(path)
    path.write_text(f'{{"at": 0, "kind": "ask", "message": {ASKED % value}}}\n', "utf-8")
    with pytest.raises(logs.LogError, match=NOT_COMPARABLE[value]):
        histories.read(path)


def test_time_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text(f'{{"at": NaN, "kind": "ask", "message": {ASKED % 1}}}\n', "utf-8")
    with pytest.raises(logs.LogError, match="NaN is not a JSON number"):
        histories.read(path)
