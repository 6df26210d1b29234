"""The process around the replica: message log, options, exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from multipaxos.message_log import Log
from multipaxos.node import Node

from tests.support.node_process import init, request, run
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

PROPOSE = request(2, "multi_paxos_propose", slot=1, value={"a": [1.0, True, None, "é\u2028"]})


def records(log: Path) -> list[dict]:
    return [json.loads(record) for record in log.read_text("utf-8").split("\n")[:-1]]


def test_log_has_every_step(tmp_path: Path) -> None:
    log = tmp_path / "n1.ndjson"
    given = [
        init(),
        PROPOSE,
        request(3, "multi_paxos_propose", slot=-1, value=0),
        '"timeout"\n',
        '"crash"\n',
        '"restart"\n',
        request(4, "multi_paxos_log"),
    ]
    done = run("".join(given), "--manual-clock", "--log", str(log))
    found = records(log)
    assert [record["action"] for record in found] == [
        "Init",
        "ReceiveMultiPaxosPropose",
        "Refuse",
        "Timeout",
        "Crash",
        "Restart",
        "ReceiveMultiPaxosLog",
    ]
    assert all(
        list(record) == ["node", "input", "output", "action"] and record["node"] == "n1"
        for record in found
    )
    assert [record["input"] for record in found] == [json.loads(line) for line in given]
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message for record in found for message in record["output"]] == printed


def test_log_omits_dropped_lines(tmp_path: Path) -> None:
    log = tmp_path / "n1.ndjson"
    given = ["{", "\n", '"timeout"\n', init(), '"restart"\n', '"crash"\n', PROPOSE, '"timeout"\n']
    run("".join(given), "--manual-clock", "--log", str(log))
    assert [record["action"] for record in records(log)] == ["Init", "Crash"]


def test_record_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "n1.ndjson"
    run(init().rstrip() + "\r\n" + PROPOSE.replace(" ", "\r"), "--log", str(log))
    assert b"\r" not in log.read_bytes()
    assert records(log)[1]["input"] == json.loads(PROPOSE)


def test_stale_message_is_logged(tmp_path: Path) -> None:
    stale = '{"src": "n2", "dest": "n1", "body": {"type": "accepted", "ballot": 1, "slot": 1}}\n'
    log = tmp_path / "n1.ndjson"
    run(init("n1", "n2") + stale, "--log", str(log))
    assert (records(log)[1]["action"], records(log)[1]["output"]) == ("ReceiveAccepted", [])


def test_log_is_written_before_output_is_printed(tmp_path: Path) -> None:
    log = tmp_path / "n1.ndjson"
    with log.open("wb") as file:
        node = Node(log=Log("", file))
        for line in init(), PROPOSE:
            printed = node.turn([line.encode()])
            assert records(log)[-1]["output"] == [json.loads(printed)]


def test_log_may_be_a_file_descriptor() -> None:
    reader, writer = os.pipe()
    subprocess.run(
        [sys.executable, "impl/main.py", "--log", f"/dev/fd/{writer}"],
        cwd=ROOT,
        input=init().encode(),
        stdout=subprocess.DEVNULL,
        pass_fds=[writer],
        check=True,
    )
    os.close(writer)
    with os.fdopen(reader) as log:
        assert json.loads(log.read())["action"] == "Init"


def test_msg_id_restarts_at_0() -> None:
    log = request(2, "multi_paxos_log")
    done = run(init("n1", "n2") + log + log + '"crash"\n' + '"restart"\n' + log, "--manual-clock")
    assert [json.loads(line)["body"]["msg_id"] for line in done.stdout.splitlines()] == [0, 1, 2, 0]


def test_messages_between_nodes_have_no_msg_id() -> None:
    done = run(init("n1", "n2") + PROPOSE + request(3, "multi_paxos_log"))
    bodies = [json.loads(line)["body"] for line in done.stdout.splitlines()]
    assert [(body["type"], body.get("msg_id")) for body in bodies] == [
        ("init_ok", 0),
        ("prepare", None),
        ("multi_paxos_log_ok", 1),
    ]


def test_batch_bounds_decisions_per_message() -> None:
    decided = "".join(
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": slot, "value": slot}}
        )
        + "\n"
        for slot in range(3)
    )
    learn = '{"src": "n2", "dest": "n1", "body": {"type": "learn", "known": []}}\n'
    done = run(init("n1", "n2") + decided + learn, "--batch", "2")
    assert json.loads(done.stdout.splitlines()[1])["body"] == {
        "type": "learned",
        "decided": [{"slot": 0, "value": 0}, {"slot": 1, "value": 1}],
        "more": True,
        "version": 3,
    }


def test_unwritable_log_is_an_error(tmp_path: Path) -> None:
    done = run(init(), "--log", str(tmp_path / "nowhere" / "n1.ndjson"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"n1.ndjson" in done.stderr and b"Traceback" not in done.stderr


def test_wrong_option_is_a_usage_error() -> None:
    for options in ["--batch", "0"], ["--batch", "x"], ["--unknown"]:
        done = run("", *options)
        assert done.returncode == 2 and b"usage:" in done.stderr


def test_help_has_an_example() -> None:
    done = run("", "--help")
    assert done.returncode == 0 and b"example:" in done.stdout


def test_end_of_input_ends_node_with_0() -> None:
    assert run("").returncode == 0
    assert run(init().rstrip("\n")).stdout.count(b"init_ok") == 1


def test_output_is_flushed_and_broken_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "impl/main.py"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as node:
        node.stdin.write(init().encode())
        assert b"init_ok" in node.stdout.readline()
        node.stdout.close()
        node.stdin.write(PROPOSE.encode())
        node.stdin.close()
        assert node.wait(PATIENCE) == 0 and node.stderr.read() == b""
