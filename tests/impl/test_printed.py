"""Answers of any length: they are written in parts, with the bytes of one that is written whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from io import BufferedWriter, BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipaxos.clock import Clock, Pace
from multipaxos.files import StorageError
from multipaxos.message_log import Log
from multipaxos.node import Node
from multipaxos.printed import Printed
from multipaxos.storage import Storage

from tests.support.node_process import init, request
from tests.support.paths import ROOT

LOG = request(9, "multi_paxos_log").encode()


def proposals(number: int, size: int = 5) -> list[bytes]:
    return [
        request(slot, "multi_paxos_propose", slot=slot, value=f"{slot:0{size}}").encode()
        for slot in range(number)
    ]


def parts(node: Node, lines: list[bytes], now: float = 0.0) -> list[bytes]:
    """Return the parts of the output of a turn."""
    return [node.turn(lines, now), *iter(node.rest, b"")]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_log_reply_is_one_line(number: int) -> None:
    node = Node()
    node.turn([init().encode(), *proposals(number)])
    entries = [
        '{"slot": 0, "value": "00000", "status": "chosen"}',
        '{"slot": 1, "value": "00001", "status": "chosen"}',
    ]
    assert node.turn([LOG]).decode() == (
        '{"src": "n1", "dest": "c1", "body": {"type": "multi_paxos_log_ok", "in_reply_to": 9, '
        f'"log": [{", ".join(entries[:number])}], "msg_id": {number + 1}}}}}\n'
    )


TEXTS = st.lists(st.text("ab", max_size=4), max_size=5)


@given(st.lists(st.tuples(st.booleans(), TEXTS), max_size=5), st.integers(0, 5))
def test_pieces_are_the_lines(lines: list[tuple[bool, list[str]]], first: int) -> None:
    printed, expected = Printed(), ["".join(pieces) for _, pieces in lines]
    for is_long, pieces in lines:
        size = printed.add(pieces, -1 if is_long else 100)
        assert size <= sum(map(len, pieces))
    for separator in "\n", ", ":
        assert "".join(printed.pieces(first, separator)) == separator.join(expected[first:])


@pytest.mark.parametrize("durable", [False, True])
def test_turn_with_a_long_answer_is_written_in_parts(tmp_path: Path, durable: bool) -> None:
    """The parts are the output of a node without a limit; so is the record in the message log."""
    # A node that is gone would close its log.
    outputs, logs, nodes = [], [], []
    for turn_bytes in float("inf"), 1000:
        storage = Storage(tmp_path / str(turn_bytes)) if durable else None
        logs.append(BytesIO())
        node = Node(turn_bytes=turn_bytes, storage=storage, log=Log("", BufferedWriter(logs[-1])))
        nodes.append(node)
        node.turn([init().encode()])
        # The decisions of the turn itself are not committed when it begins to answer.
        lines, outputs_of_node = iter([*proposals(70), LOG, LOG, LOG, *proposals(1)]), []
        while output := parts(node, lines):
            if output == [b""]:
                break
            assert all(len(part) < turn_bytes + 200 for part in output)
            outputs_of_node += output
        outputs.append(b"".join(outputs_of_node))
        assert turn_bytes > 1000 or len(outputs_of_node) > 12
        if storage:
            storage.close()
    assert outputs[0] == outputs[1] and outputs[0].count(b"log_ok") == 3
    assert logs[0].getvalue() == logs[1].getvalue()
    records = [json.loads(line) for line in logs[1].getvalue().splitlines()]
    printed = [json.loads(line) for line in outputs[1].splitlines()]
    assert [message for record in records for message in record["output"]][1:] == printed


def test_event_after_a_long_answer_is_printed_after_it() -> None:
    node = Node(turn_bytes=1000, clock=lambda replica, now: Clock(replica, Pace(), Random(1), now))
    node.turn([init("n1", "n2").encode()])
    decided = '{"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": %d, "value": 0}}'
    node.turn([(decided % slot).encode() for slot in range(100)])
    lines = b"".join(parts(node, [LOG], 10.0)).decode().split("\n")
    kinds = [json.loads(line)["body"]["type"] for line in lines[:-1]]
    assert kinds == ["multi_paxos_log_ok", "poll"] and lines[-1] == ""


def test_memory_does_not_grow_with_the_answer(tmp_path: Path) -> None:
    peaks = []
    for number in 500, 5_000:
        storage = Storage(tmp_path / str(number))
        node = Node(turn_bytes=20_000, storage=storage)
        node.turn([init().encode()])
        for slot in range(number):
            storage.acceptor.decide(slot, f'"{slot:0200}"')
        storage.commit()
        with (tmp_path / "log").open("wb") as file:
            node.log = Log("", file)
            tracemalloc.start()
            size = len(node.turn([LOG]))
            while part := node.rest():
                size += len(part)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert (tmp_path / "log").stat().st_size > size > 200 * number
        storage.close()
    assert peaks[1] < 1.5 * peaks[0]


def test_lost_decision_cuts_the_answer(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    node = Node(turn_bytes=1000, storage=storage)
    node.turn([init().encode()])
    for slot in range(100):
        storage.acceptor.decide(slot, '"value"')
    storage.commit()
    storage._db.execute("DELETE FROM decided WHERE slot = 50")
    assert node.turn([LOG])
    with pytest.raises(StorageError, match="does not hold the decision of slot 50"):
        list(iter(node.rest, b""))


# The process.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose log is 4 MB: more than a turn and a pipe have."""
    folder = tmp_path_factory.mktemp("data")
    with closing(Storage(folder)) as storage:
        storage.claim("n1", ("n1",))
        for slot in range(200):
            storage.acceptor.decide(slot, f'"{slot:020000}"')
        storage.commit()
    return folder


@pytest.fixture
def node(data: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "impl/main.py", "--data", str(data)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            process.stdin.write(init().encode())
            process.stdin.flush()
            process.stdout.readline()
            process.stdin.write(LOG + proposals(1)[0])
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def test_long_answer_is_whole_and_the_next_one_follows(node: subprocess.Popen) -> None:
    reply = json.loads(node.stdout.readline())["body"]
    assert [int(entry["value"][-5:]) for entry in reply["log"]] == list(range(200))
    assert json.loads(node.stdout.readline())["body"]["type"] == "multi_paxos_propose_ok"


def test_signal_in_a_long_answer_does_not_cut_it(node: subprocess.Popen) -> None:
    """The reader takes some of it all the time, so the node goes on to the end."""
    beginning = node.stdout.read(100_000)
    node.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    line = beginning + node.stdout.readline()
    assert len(json.loads(line)["body"]["log"]) == 200
    assert node.wait(5) == 0 and node.stderr.read() == b""


def test_signal_ends_a_node_whose_reader_stalls(node: subprocess.Popen) -> None:
    node.stdout.read(100_000)
    node.send_signal(signal.SIGTERM)
    assert node.wait(10) == 0 and node.stderr.read() == b""


def test_reader_that_goes_in_a_long_answer_ends_the_node(node: subprocess.Popen) -> None:
    node.stdout.read(100_000)
    node.stdout.close()
    assert node.wait(5) == 0 and node.stderr.read() == b""
