"""Tests of runs that are forked from a server: they end, print and fail as processes do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.jobs import JobError
from conformance.running import preloaded
from conformance.running.process import Flood, Process, Silence
from tests.support.processes import PATIENCE

PROGRAMS = {
    "prints what it reads": "import sys\nfor line in sys.stdin: print(line, end='')",
    "reads nothing": "print('early')",
    "no last end of line": "import sys; sys.stdout.write('one\\ntwo')",
    "writes to the descriptor": "import os; os.write(1, os.read(0, 3) + b'\\xff\\n')",
    "its arguments": "import sys; print(sys.argv[1:], __name__)",
    "ends with a status": "import sys; print('x'); sys.exit(3)",
    "ends with a text": "import sys; sys.exit('no such thing')",
    "ends with an exception": "print('x'); 1 / 0",
    "ends by a signal": "import os; print('x', flush=True); os.kill(os.getpid(), 9)",
    "ends at once": "import os; os._exit(0)",
}


def outcome(process: Any, given: bytes, seconds: float = PATIENCE) -> dict[str, Any]:
    """Return all that `replay` sees of a process that gets this input."""
    process.give(given)
    found: dict[str, Any] = {"lines": []}
    try:
        for line in process.lines(seconds, lambda: True):
            found["lines"].append(line)
    except (Flood, Silence) as error:
        found["error"] = type(error)
    else:
        found["status"] = process.status(seconds)
        found["rest"] = process.rest
        # A traceback of a program that a server runs has more frames.
        found["errors"] = process.last_error_lines()[-1:]
    process.close()
    return found


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a program that servers run instead of the node."""
    path = tmp_path / "program.py"
    monkeypatch.setattr(preloaded, "NODE", (sys.executable, "-S", str(path)))
    monkeypatch.setattr(preloaded, "MODULE", "json")
    return path


@pytest.mark.parametrize("text", PROGRAMS.values(), ids=list(PROGRAMS))
@pytest.mark.parametrize("given", [b"one\ntwo\xc3\xa9", b"a long line " * 20_000])
def test_run_is_like_a_process(program: Path, text: str, given: bytes) -> None:
    program.write_text(text)
    command = [sys.executable, "-S", str(program), "--option", "x y"]
    with preloaded.starting(command) as start:
        assert start is not Process
        runs = [outcome(start(command, None, longest=1 << 20), given) for _ in range(2)]
    assert runs == 2 * [outcome(Process(command, longest=1 << 20), given)]


def test_run_that_hangs_or_prints_too_much_is_killed(program: Path) -> None:
    program.write_text(
        "import sys, time\nprint('x' * 9, flush=True)\n"
        "if sys.argv[1] == 'hangs': time.sleep(1000)\n"
        "if sys.argv[1] == 'closes': import os; os.close(1); os.close(2); time.sleep(1000)\n"
        "while sys.argv[1] == 'floods': print('x' * 99)\n"
    )
    command = [sys.executable, "-S", str(program)]
    with preloaded.starting(command) as start:
        for how, error in ("hangs", Silence), ("closes", Silence), ("floods", Flood):
            found = outcome(start([*command, how], None, longest=1000), b"", 0.5)
            assert found["error"] is error
            assert found["lines"][0] == b"x" * 9
        found = outcome(start([*command, "ends"], None, longest=1000), b"")
        assert (found["lines"], found["status"]) == ([b"x" * 9], 0)


def test_server_that_was_killed_is_no_verdict(program: Path) -> None:
    program.write_text("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    command = [sys.executable, "-S", str(program)]
    with preloaded.starting(command) as start, pytest.raises(JobError, match="killed"):
        outcome(start(command, None, longest=1000), b"")


def test_other_commands_and_nodes_that_cannot_be_imported_are_processes(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text("")
    with preloaded.starting(["./my-node"]) as start:
        assert start is Process
    monkeypatch.setattr(preloaded, "MODULE", "no_such_module")
    with preloaded.starting([sys.executable, "-S", str(program)]) as start:
        assert start is Process
