"""Processes of nodes: cleanup, bounds of their output, and time limits."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from conformance.running.process import Flood, Process, Silence, _has_members, ready
from tests.support.paths import ROOT
from tests.support.processes import LIMITS, PATIENCE, exists, wait_until


def shell(script: str, **asked: int) -> closing[Process]:
    return closing(Process(["sh", "-c", script], **asked))


def test_only_a_newline_ends_a_line() -> None:
    text = "a\u2028b\u2029c\u0085d\re\x0bf\x0cg".encode()
    with shell("cat; printf rest") as process:
        process.give(text)
        assert list(process.lines(PATIENCE)) == [text]
        assert process.rest == b"rest" and process.status(PATIENCE) == 0


def test_input_and_output_larger_than_any_pipe() -> None:
    lines = [b"x" * 100_000, b"", b"y" * 3_000_000]
    with shell("cat") as process:
        for line in lines:
            process.give(line)
        assert list(process.lines(PATIENCE)) == lines


def test_process_with_closed_output_has_no_status() -> None:
    with shell("exec >&-; sleep 100") as process:
        assert list(process.lines(PATIENCE)) == []
        assert process.status(0.1) is None


def test_silence_is_measured_from_the_last_output() -> None:
    """A line each tenth of the limit goes on for twice the limit."""

    def printed(limit: float) -> list[int]:
        numbers = []
        script = f"for i in $(seq 20); do echo $i; sleep {limit / 10}; done; sleep 1000"
        with shell(script) as process, pytest.raises(Silence):
            for line in process.lines(limit):
                numbers.append(int(line))
        return numbers

    assert any(printed(limit) == list(range(1, 21)) for limit in LIMITS)


def test_output_held_open_by_another_process_does_not_block() -> None:
    with shell("setsid sleep 300 & echo $!; sleep 0.2") as process:
        [stranger] = process.lines(60)
        try:
            assert not process.over and process.status(0) == 0
        finally:
            os.kill(int(stranger), signal.SIGKILL)


def test_child_may_print_after_its_parent_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("conformance.running.process.LINGER_SECONDS", 60)
    with shell("(sleep 0.3; echo late) & exit 0") as process:
        assert list(process.lines(60)) == [b"late"]


def test_last_output_of_a_process_group_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process prints and ends between the last wait and the check."""
    monkeypatch.setattr("conformance.running.process.LINGER_SECONDS", 60)
    go = tmp_path / "go"
    os.mkfifo(go)

    def ends_meanwhile(group: int) -> bool:
        if go.exists():
            go.write_text("now\n")
            go.unlink()
            wait_until(lambda: not _has_members(group))
        return _has_members(group)

    monkeypatch.setattr("conformance.running.process._has_members", ends_meanwhile)
    with shell(f"(read x <{go}; echo late) & exit 0") as process:
        assert list(process.lines(60)) == [b"late"]


def test_unterminated_line_is_bounded() -> None:
    flood = pytest.raises(Flood, match="a line of more than 1,000,000 bytes")
    with shell("exec yes x | tr -d '\\n'", longest=1_000_000) as process, flood:
        list(process.lines(PATIENCE))


def test_flood_is_read_in_parts() -> None:
    with shell("exec yes") as process:
        for _ in range(3):
            while not (lines := process.read_lines()):
                ready({process.source}, (), PATIENCE)
            assert len(lines) < 600_000


def test_close_ends_child_processes() -> None:
    with shell("sleep 100 & echo $!; wait") as process:
        while not (lines := process.read_lines()):
            ready({process.source}, (), PATIENCE)
    wait_until(lambda: not exists(int(lines[0])))


def test_kill_0_does_not_reach_the_harness() -> None:
    with shell("trap 'kill 0' EXIT; echo x") as process:
        assert list(process.lines(PATIENCE)) == [b"x"]


def test_last_error_lines_of_a_process_that_floods_its_errors() -> None:
    with shell("yes error | head -c 3000000 >&2; echo last >&2; exit 3") as process:
        assert list(process.lines(PATIENCE)) == []
        assert process.status(PATIENCE) == 3
        assert process.last_error_lines()[-2:] == ["error", "last"]


def test_descriptors_above_1024_work() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1_300:
        pytest.skip("so many descriptors are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_300), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        with shell("cat") as process:
            assert process.source > 1_024
            process.give(b"x")
            assert list(process.lines(PATIENCE)) == [b"x"]
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


ENDING = """
import signal, sys, threading, time
from conformance.guard import end_all
from conformance.running.process import Process

def end(*_):
    end_all()
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, end)

def start():
    while True:
        Process([sys.executable, "-c", "import time; time.sleep(100)", "MARK"])

for _ in range(2):
    threading.Thread(target=start, daemon=True).start()
print("ready", flush=True)
start()
"""


@pytest.mark.parametrize("seconds", [0.2, 0.35, 0.5])
def test_signal_at_any_time_leaves_no_process(seconds: float, tmp_path: Path) -> None:
    mark = f"mark-{tmp_path.name}-{os.getpid()}"
    program = [sys.executable, "-c", ENDING.replace("MARK", mark)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.readline()
        time.sleep(seconds)
        run.terminate()
        run.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(map(exists, marked(mark.encode()))))


def marked(mark: bytes) -> list[int]:
    """The processes with a mark in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
    return found
