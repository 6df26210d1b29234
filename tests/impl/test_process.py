"""The process of a node: start, signals, closed and slow pipes, and the bounds of a batch."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from multipaxos import process, wire
from multipaxos.members import Members
from multipaxos.node import Node
from multipaxos.process import Lines
from multipaxos.replica import Replica
from multipaxos.wire import CutLine

from tests.support.node_process import init, request, run
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE, is_full, wait_until


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, "impl/main.py", *options],
        cwd=ROOT,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as node:
        try:
            yield node
        finally:
            node.kill()


def reply_to(node: subprocess.Popen, text: str) -> dict:
    node.stdin.write(text.encode())
    return json.loads(node.stdout.readline())["body"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("members", [["n1"], ["n1", "n2", "n3"]])
def test_signal_ends_waiting_node_with_0(number: int, members: list[str]) -> None:
    with started() as node:
        assert reply_to(node, init(*members))["type"] == "init_ok"
        node.send_signal(number)
        assert node.wait(PATIENCE) == 0 and node.stderr.read() == b""


def test_start_imports_nothing_for_disk_and_clock_without_them() -> None:
    code = "import sys; from multipaxos.process import main; main(['--manual-clock'])"
    found = subprocess.run(
        [sys.executable, "-S", "-c", f"{code}; print(*sys.modules)"],
        cwd=ROOT / "impl",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "multipaxos.node" in found
    assert not {"multipaxos.storage", "sqlite3", "pathlib", "random", "shutil"} & set(found)


def in_signal_set(node: subprocess.Popen, name: str, number: int) -> bool:
    """Return whether a signal is in SigCgt (it has a handler) or ShdPnd (it is pending)."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    return bool(int(re.search(rf"{name}:\s+(\w+)", status)[1], 16) >> (number - 1) & 1)


def test_signal_before_input_ends_node_with_0() -> None:
    with started() as node:
        wait_until(lambda: in_signal_set(node, "SigCgt", signal.SIGTERM))
        node.terminate()
        assert node.wait(PATIENCE) == 0


def test_signal_does_not_lose_output(tmp_path: Path) -> None:
    """A node prints its whole turn to a slow reader, and then exits with 0."""
    log = request(2, "multi_paxos_log")
    with started("--data", str(tmp_path)) as node:
        reply_to(node, init())
        for slot in range(10):
            reply_to(node, request(slot, "multi_paxos_propose", slot=slot, value="v" * 20_000))
        node.stdin.write(log.encode())
        wait_until(lambda: is_full(node.stdout.fileno()))
        node.terminate()
        wait_until(lambda: not in_signal_set(node, "ShdPnd", signal.SIGTERM))
        assert node.poll() is None
        reply = json.loads(node.stdout.readline())["body"]
        assert len(reply["log"]) == 10 and node.wait(PATIENCE) == 0


def test_slow_reader_gets_all_lines_in_order(tmp_path: Path) -> None:
    count, requests = 5000, tmp_path / "requests"
    requests.write_text(
        init()
        + "".join(
            request(slot, "multi_paxos_propose", slot=slot, value="v" * 100)
            for slot in range(count)
        )
    )
    with (
        requests.open() as lines,
        subprocess.Popen(
            [sys.executable, "impl/main.py"], cwd=ROOT, stdin=lines, stdout=subprocess.PIPE
        ) as node,
    ):
        wait_until(lambda: is_full(node.stdout.fileno()))
        replies = [json.loads(line)["body"] for line in node.stdout]
    assert [reply["msg_id"] for reply in replies] == list(range(count + 1))
    assert [reply["in_reply_to"] for reply in replies[1:]] == list(range(count))


def test_broken_pipe_ends_node_without_error(tmp_path: Path) -> None:
    with started("--data", str(tmp_path)) as node:
        reply_to(node, init())
        node.stdout.close()
        node.stdin.write(request(2, "multi_paxos_propose", slot=1, value="v").encode())
        assert node.wait(PATIENCE) == 0 and node.stderr.read() == b""
    again = run(init() + request(3, "multi_paxos_log"), "--data", str(tmp_path))
    assert json.loads(again.stdout.splitlines()[1])["body"]["log"][0]["value"] == "v"


def test_node_with_clock_sends_without_input() -> None:
    with started("--retry-ms", "20", "--idle-ms", "50") as node:
        reply_to(node, init("n1", "n2"))
        assert json.loads(node.stdout.readline())["body"] == {"type": "poll", "version": 0}
    with started("--manual-clock", "--retry-ms", "20", "--idle-ms", "50") as node:
        reply_to(node, init("n1", "n2"))
        time.sleep(0.3)
        assert reply_to(node, request(1, "multi_paxos_log"))["type"] == "multi_paxos_log_ok"
        assert reply_to(node, '"inquire"\n') == {"type": "poll", "version": 0}


def test_seed_and_node_determine_waits() -> None:
    def wait(node: str, *options: str) -> float:
        replica = Replica(node, Members(["n1", "n2"]), 1)
        return process.clock_maker(process.command_line().parse_args(options))(replica, 0.0).tick

    seeded = [wait(node, "--seed", seed) for node in ("n1", "n2") for seed in ("1", "2")]
    assert seeded == [wait(node, "--seed", seed) for node in ("n1", "n2") for seed in ("1", "2")]
    assert len({*seeded, wait("n1"), wait("n1")}) == 6


@pytest.mark.parametrize(
    "options, rejected",
    [
        (
            [
                "--retry-ms",
                str(2**63 - 1),
                "--idle-ms",
                str(2**63 - 1),
                "--backoff-ms",
                "1",
                "--request-timeout-ms",
                str(2**63 - 1),
                "--value-bytes",
                str(2**63 - 1),
            ],
            False,
        ),
        (["--batch", str(10**9), "--seed", "-1" + 100 * "0"], False),
        (["--retry-ms", str(2**63)], True),
        (["--backoff-ms", "9" * 5000], True),
        (["--batch", str(2**63)], True),
        (["--data", ""], True),
        (["--log", ""], True),
    ],
)
def test_option_values_are_accepted_or_a_usage_error(options: list[str], rejected: bool) -> None:
    done = run(init("n1", "n2") + request(2, "multi_paxos_log"), *options)
    assert b"Traceback" not in done.stderr and done.returncode == (2 if rejected else 0)
    assert done.stdout.count(b"\n") == (0 if rejected else 2)
    assert (b"error: argument --" in done.stderr) == rejected


def from_shell(redirected: str, *options: str, given: str = "") -> subprocess.CompletedProcess:
    command = " ".join([sys.executable, "impl/main.py", *options, redirected])
    return subprocess.run(
        ["sh", "-c", command], cwd=ROOT, input=given.encode(), capture_output=True, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    "closed, name",
    [("<&-", b"standard input"), (">&-", b"standard output"), ("<&- >&-", b"standard input")],
)
def test_closed_input_or_output_is_an_error(closed: str, name: bytes) -> None:
    done = from_shell(closed)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1 and name + b" is closed" in done.stderr


def test_closed_standard_error_leaves_output_and_files_alone(tmp_path: Path) -> None:
    """Errors go neither to standard output nor to a file that got descriptor 2."""
    data, log = tmp_path / "n1", tmp_path / "log"
    given = (
        "no message\n"
        + init()
        + "no message\n"
        + request(2, "multi_paxos_propose", slot=1, value="v")
    )
    done = from_shell("2>&-", "--data", str(data), "--log", str(log), given=given)
    assert done.returncode == 0
    assert [json.loads(line)["body"]["type"] for line in done.stdout.splitlines()] == [
        "init_ok",
        "multi_paxos_propose_ok",
    ]
    assert [json.loads(line)["action"] for line in log.read_text().splitlines()] == [
        "Init",
        "ReceiveMultiPaxosPropose",
    ]
    assert from_shell("2>&-", "--data", str(data / "node.db")).stdout == b""
    assert run(init() + request(3, "multi_paxos_log"), "--data", str(data)).stderr == b""


def test_unread_standard_error_does_not_stop_the_node() -> None:
    with started() as node:
        reply_to(node, init())
        node.stdin.write(b"no message\n" * 5_000)
        assert reply_to(node, request(2, "multi_paxos_log"))["type"] == "multi_paxos_log_ok"


def test_signal_ends_node_with_blocked_output(tmp_path: Path) -> None:
    with started("--data", str(tmp_path)) as node:
        reply_to(node, init())
        node.stdin.write(request(2, "multi_paxos_propose", slot=1, value="v" * 200_000).encode())
        wait_until(lambda: is_full(node.stdout.fileno()))
        node.terminate()
        assert node.wait(PATIENCE) == 0


@pytest.mark.parametrize("blocked", ["input", "output"])
def test_non_blocking_input_and_output_are_waited_for(blocked: str) -> None:
    # More than two pipes hold: no output is read before all input is written.
    count = 401 if blocked == "output" else 51
    given = init() + "".join(
        request(slot, "multi_paxos_propose", slot=slot, value="x" * 500) for slot in range(1, count)
    )
    source, to_node = os.pipe()
    from_node, sink = os.pipe()
    os.set_blocking(source if blocked == "input" else sink, False)
    with subprocess.Popen(
        [sys.executable, "impl/main.py"],
        cwd=ROOT,
        stdin=source,
        stdout=sink,
        stderr=subprocess.PIPE,
    ) as node:
        os.close(source)
        os.close(sink)
        time.sleep(0.3)
        with os.fdopen(to_node, "wb") as lines:
            lines.write(given.encode())
        with os.fdopen(from_node, "rb") as output:
            printed = output.read()
        assert (node.wait(PATIENCE), node.stderr.read()) == (0, b"")
    assert printed.endswith(b"\n") and printed.count(b"\n") == count


def test_only_the_owner_can_read_files(tmp_path: Path) -> None:
    """For every umask; files that exist keep their mode."""
    given = init() + request(2, "multi_paxos_propose", slot=1, value="v")
    for umask in 0o000, 0o277:
        data, log = tmp_path / f"{umask}" / "n1", tmp_path / f"{umask}.ndjson"
        subprocess.run(
            [sys.executable, "impl/main.py", "--data", data, "--log", log],
            cwd=ROOT,
            input=given.encode(),
            stdout=subprocess.DEVNULL,
            check=True,
            umask=umask,
        )
        modes = {path.name: path.stat().st_mode & 0o777 for path in (data, log, *data.iterdir())}
        assert modes == {"n1": 0o700, log.name: 0o600, "node.db": 0o600, "node.commits": 0o600}


def test_old_python_gets_the_required_version(tmp_path: Path) -> None:
    """main.py is valid syntax for old versions of Python, and exits with an error there."""
    source = (ROOT / "impl/main.py").read_text()
    compile(source, "main.py", "exec", ast.PyCF_ONLY_AST)
    ast.parse(source, feature_version=(3, 4))
    old = (
        'import sys; sys.version_info = (3, 9, 2); sys.argv = ["impl/main.py"]; '
        'import runpy; runpy.run_path("impl/main.py", run_name="__main__")'
    )
    done = subprocess.run([sys.executable, "-c", old], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert "needs Python 3.10 or newer, and this is Python 3.9" in done.stderr


# Bounds of a turn.


def test_long_output_is_split_over_turns() -> None:
    """For 60 kB of requests for a log, the output in memory is that of one turn."""
    node = Node(turn_bytes=100_000)
    node.turn([init().encode()])
    node.turn(
        iter(
            [
                request(slot, "multi_paxos_propose", slot=slot, value="v" * 1000).encode()
                for slot in range(50)
            ]
        )
    )
    lines, outputs = iter([request(2, "multi_paxos_log").encode()] * 600), []
    while output := node.turn(lines):
        outputs.append(output)
    assert len(outputs) > 100 and max(map(len, outputs)) < 200_000
    assert sum(output.count(b"\n") for output in outputs) == 600


def test_process_bounds_turns_and_handles_signals_between_them() -> None:
    with started("--manual-clock") as node:
        reply_to(node, init())
        for slot in range(100):
            reply_to(node, request(slot, "multi_paxos_propose", slot=slot, value="v" * 10_000))
        node.stdin.write(request(2, "multi_paxos_log").encode() * 400)
        node.stdout.readline()
        status = Path(f"/proc/{node.pid}/status").read_text()
        assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 100_000
        node.terminate()
        rest = node.stdout.read()
        assert node.wait(PATIENCE) == 0 and rest.endswith(b"\n") and rest.count(b"\n") < 399


def test_expiries_are_bounded_like_lines() -> None:
    pace = process.Pace(request_timeout=1.0)
    node = Node(
        turn_bytes=10_000, clock=lambda replica, now: process.Clock(replica, pace, Random(1), now)
    )
    node.turn([init("n1", "n2").encode()], 0.0)
    node.turn(
        [
            request(slot, "multi_paxos_propose", slot=slot, value="v").encode()
            for slot in range(1000)
        ],
        0.0,
    )
    answers = [node.turn([], node.due() + 1).count(b"timed out") for _ in range(200)]
    assert sum(answers) == 1000 and max(answers) < 100


def test_long_names_are_not_kept() -> None:
    node = Node()
    node.turn([init().encode()])
    node.heads.clear()
    for number in range(50):
        body = {"type": "multi_paxos_forget", "msg_id": 1}
        line = json.dumps({"src": f"c{number}" * 10_000, "dest": "n1", "body": body})
        assert node.turn([line.encode()])
    assert not node.heads


def test_heads_of_many_clients_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CACHED_NAMES", 3)
    heads = wire.Heads("n1")
    assert [json.loads(heads[f"c{at}"] + "0}}")["dest"] for at in range(9)] == [
        f"c{at}" for at in range(9)
    ]
    assert len(heads) == 3


IMPATIENT = """
import sys
sys.path.insert(0, "impl")
from multipaxos import process
process.EXIT_SECONDS = 0.2
sys.exit(process.main([]))
"""


def test_signal_while_the_pipe_is_full_loses_no_output_of_a_slow_reader() -> None:
    value = "v" * 400_000
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as node:
        propose = request(1, "multi_paxos_propose", slot=0, value=value)
        node.stdin.write(f"{init()}\n{propose}\n".encode())
        node.stdin.flush()
        for _ in range(2):
            node.stdout.readline()
        node.stdin.write(f"{request(2, 'multi_paxos_log')}\n".encode())
        node.stdin.flush()
        wait_until(lambda: is_full(node.stdout.fileno()))
        node.terminate()
        time.sleep(0.1)
        read = b""
        # More slowly than a pipe of output in 0.2 seconds.
        while piece := os.read(node.stdout.fileno(), 8192):
            read += piece
            time.sleep(0.05)
        assert node.wait(PATIENCE) == 0 and value.encode() in read and read.endswith(b"\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can enlarge a pipe")
@pytest.mark.parametrize(("before", "after"), [(2**16, process.OUTPUT_PIPE_BYTES), (2**19, 2**19)])
def test_pipe_of_the_output_is_enlarged_and_never_shrunk(before: int, after: int) -> None:
    source, sink = os.pipe()
    fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, before)
    process.enlarge_pipe(sink)
    assert fcntl.fcntl(sink, fcntl.F_GETPIPE_SZ) == after
    os.close(source)
    os.close(sink)


def test_output_that_is_no_pipe_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as file:
        process.enlarge_pipe(file.fileno())


# Lines.


def lines_of(*chunks: bytes, **limits: object) -> list[bytes]:
    source, sink = os.pipe()
    lines = Lines(source, **limits)
    for chunk in (*chunks, None):
        os.close(sink) if chunk is None else os.write(sink, chunk)
        lines.read()
    assert not lines.more
    os.close(source)
    return lines.given


def test_lines_are_whole_for_every_split_of_input() -> None:
    text = b"one\n\ntwo\nthree"
    expected = [b"one", b"", b"two", b"three"]
    for first in range(len(text)):
        for second in range(first, len(text)):
            chunks = [text[:first], text[first:second], text[second:]]
            assert lines_of(*filter(None, chunks)) == expected


def test_too_long_line_is_cut_unless_a_member_sent_it() -> None:
    lines, beginnings = lines_of(b"on", b"e\ntoo ", b"long", b" a line\nlast\n", longest=4), []
    assert lines == [b"one", b"too long", b"last"]
    assert [type(line) for line in lines] == [bytes, CutLine, bytes]
    [line] = lines_of(b"a line ", b"too long", longest=4)
    assert (line, type(line)) == (b"a line ", CutLine)
    whole = lines_of(
        b"a line ",
        b"of a member",
        b" is kept\n",
        longest=4,
        is_from_member=lambda beginning: beginnings.append(beginning) or True,
    )
    assert whole == [b"a line of a member is kept"] and beginnings == [b"a line "]
    assert type(whole[0]) is bytes


MEMBERS = init("n1", "n2", "n3").encode()
LONG = b'"' + b"v" * 3000 + b'"'
ENVELOPE = b'"dest": "n1", "body": {"type": "decided", "slot": 1, "value": ' + LONG + b"}}\n"


@pytest.mark.parametrize(
    "line, decided",
    [
        (b'{"src": "n2", ' + ENVELOPE, True),
        (b' {\t"src" :\r"n2"  , ' + ENVELOPE, True),
        (b'{"id": 7, "x": null, "y": -1.5e3, "src": "n2", ' + ENVELOPE, True),
        (b'{"src": "n\\u0032", ' + ENVELOPE, True),
        (b'{"src": "n9", ' + ENVELOPE, False),
        (b'{"id": [1], "src": "n2", ' + ENVELOPE, False),
        (ENVELOPE.replace(b'"dest"', b'{"dest"', 1).replace(b"}}", b'}, "src": "n2"}'), False),
    ],
)
def test_long_line_of_member_is_kept(
    line: bytes, decided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sink = os.pipe()
    node = Node()
    node.turn([MEMBERS])
    lines = Lines(source, 1000, node.is_from_member)
    monkeypatch.setattr(process, "PIPE_BYTES", 500)
    os.write(sink, line)
    while not lines.given:
        lines.read()
    node.turn(lines.given)
    assert (1 in node.replica.acceptor.known) == decided
    os.close(source)
    os.close(sink)


def test_too_long_request_is_refused_if_its_sender_is_known() -> None:
    node = Node()
    node.turn([MEMBERS])
    long = request(7, "multi_paxos_propose", slot=1, value="v" * 3000).encode()
    [line] = lines_of(long[:2000], long[2000:], longest=1000)
    body = json.loads(node.turn([line]))["body"]
    assert (body["in_reply_to"], body["code"]) == (7, 12) and "too long" in body["text"]
    late = b'{"src": "c1", "dest": "n1", "body": {"value": ' + LONG + b', "msg_id": 7}}'
    assert node.turn([CutLine(late[:1000])]) == b""
