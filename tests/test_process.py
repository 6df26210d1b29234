"""How a node's process begins and ends, and that it neither loses nor reorders a line."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from multipaxos import process
from multipaxos.members import Members
from multipaxos.process import Lines
from multipaxos.replica import Replica
from running import ROOT, init, request, run


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen([sys.executable, "impl/main.py", *options], cwd=ROOT, bufsize=0,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as node:
        try:
            yield node
        finally:
            node.kill()


def tell(node: subprocess.Popen, text: str) -> dict:
    node.stdin.write(text.encode())
    return json.loads(node.stdout.readline())["body"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("members", [["n1"], ["n1", "n2", "n3"]])
def test_a_signal_ends_a_waiting_node_with_0(number: int, members: list[str]) -> None:
    with started() as node:
        assert tell(node, init(*members))["type"] == "init_ok"
        node.send_signal(number)
        assert node.wait(5) == 0 and node.stderr.read() == b""


def test_a_signal_before_anything_came() -> None:
    with started() as node:
        time.sleep(0.5)
        node.terminate()
        assert node.wait(5) == 0


def test_what_was_taken_is_said_in_spite_of_a_signal(tmp_path: Path) -> None:
    """However late the reader comes: the whole turn is printed, whole lines, and 0."""
    log = request(2, "multi_paxos_log")
    with started("--data", str(tmp_path)) as node:
        tell(node, init())
        for slot in range(10):
            tell(node, request(slot, "multi_paxos_propose", slot=slot, value="v" * 20_000))
        node.stdin.write(log.encode())
        time.sleep(0.3)
        node.terminate()
        time.sleep(0.3)
        assert node.poll() is None
        reply = json.loads(node.stdout.readline())["body"]
        assert len(reply["log"]) == 10 and node.wait(5) == 0


def test_a_slow_reader_neither_loses_nor_reorders(tmp_path: Path) -> None:
    count, asked = 5000, tmp_path / "asked"
    asked.write_text(init() + "".join(
        request(slot, "multi_paxos_propose", slot=slot, value="v" * 100) for slot in range(count)))
    with asked.open() as lines, subprocess.Popen(
            [sys.executable, "impl/main.py"], cwd=ROOT, stdin=lines,
            stdout=subprocess.PIPE) as node:
        time.sleep(0.5)
        replies = [json.loads(line)["body"] for line in node.stdout]
    assert [reply["msg_id"] for reply in replies] == list(range(count + 1))
    assert [reply["in_reply_to"] for reply in replies[1:]] == list(range(count))


def test_a_reader_that_went_away_ends_the_node_quietly(tmp_path: Path) -> None:
    with started("--data", str(tmp_path)) as node:
        tell(node, init())
        node.stdout.close()
        node.stdin.write(request(2, "multi_paxos_propose", slot=1, value="v").encode())
        assert node.wait(5) == 0 and node.stderr.read() == b""
    again = run(init() + request(3, "multi_paxos_log"), "--data", str(tmp_path))
    assert json.loads(again.stdout.splitlines()[1])["body"]["log"][0]["value"] == "v"


def test_a_node_with_a_clock_speaks_unasked() -> None:
    with started("--retry-ms", "20", "--idle-ms", "50") as node:
        tell(node, init("n1", "n2"))
        assert json.loads(node.stdout.readline())["body"] == {"type": "learn", "known": []}
    with started("--manual-clock", "--retry-ms", "20", "--idle-ms", "50") as node:
        tell(node, init("n1", "n2"))
        time.sleep(0.3)
        assert tell(node, request(1, "multi_paxos_log"))["type"] == "multi_paxos_log_ok"
        assert tell(node, '"inquire"\n') == {"type": "learn", "known": []}


def test_a_seed_repeats_the_waits_of_a_node_and_no_others() -> None:
    def wait(node: str, *options: str) -> float:
        replica = Replica(node, Members(["n1", "n2"]), 1)
        return process.clock_maker(process.command_line().parse_args(options))(replica, 0.0).tick

    seeded = [wait(node, "--seed", seed) for node in ("n1", "n2") for seed in ("1", "2")]
    assert seeded == [wait(node, "--seed", seed) for node in ("n1", "n2") for seed in ("1", "2")]
    assert len({*seeded, wait("n1"), wait("n1")}) == 6


def lines_of(*chunks: bytes) -> list[bytes]:
    source, sink = os.pipe()
    lines, found, more = Lines(source), [], True
    for chunk in (*chunks, None):
        os.close(sink) if chunk is None else os.write(sink, chunk)
        given, more = lines.read()
        found += given
    assert not more
    os.close(source)
    return found


def test_lines_come_whole_wherever_they_were_cut(monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    text = b"one\n\ntwo\nthree"
    expected = [b"one", b"", b"two", b"three"]
    for first in range(len(text)):
        for second in range(first, len(text)):
            chunks = [text[:first], text[first:second], text[second:]]
            assert lines_of(*filter(None, chunks)) == expected
    monkeypatch.setattr(process, "LONGEST", 4)
    assert lines_of(b"on", b"e\ntoo ", b"long", b" a line\nlast\n") == [b"one", b"last"]
    assert lines_of(b"a line too long") == []
    assert capsys.readouterr().err.count("it is too long") == 2
