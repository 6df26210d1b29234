"""A process that has read all golden traces, and runs each mutant in a fork of itself.

    python -m tests.mutants.zygote GOLDEN

It reads a task a line and prints what came of it, as JSON.  It has imported nothing of the node:
a fork imports the node of its task, is checked, and ends, or is stopped when it takes more
processor or memory than a right node ever would.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from conformance.formats import logs

from . import checks, processes

for shared in "conformance.validation.history_checker", "sqlite3":
    # They are the same in each fork, so they are imported once.
    import_module(shared)

Task = dict[str, Any]
"""`impl` is the folder of the node, `check` one of CHECKS, `seconds` of a processor its limit;
`first` is the first seed, `seeds` how many simulations are run, `folder` where runs are left."""

MEMORY = 2**30
"""Bytes that a fork may have."""

WAITING = 100
"""How many times its limit a fork may take in real time, for it may get little of a processor."""


def checks_of(golden: Path) -> dict[str, Callable[[Task], str | None]]:
    # The folder has a mark of its maker beside the folders of models.
    folders = sorted(path for path in golden.iterdir() if path.is_dir())
    logged = checks.read_logs([logs.find([folder]) for folder in folders])
    return {
        "replay": lambda task: checks.replay(logged) or checks.replay_with_disks(logged),
        "record": lambda task: checks.record(Path(task["folder"]), task["first"]),
        "simulate": lambda task: checks.simulate(task["first"], task["seeds"]),
        "load": lambda task: checks.load(task["first"]),
        "growth": lambda task: checks.growth(),
        "processes": lambda task: processes.check(Path(task["impl"])),
    }


def checked(task: Task, check: Callable[[Task], str | None]) -> str | None:
    """Return the result of a check of a node in this process, which has imported no other node."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, task["impl"])
    try:
        import multipaxos
    except Exception as error:
        return f"it cannot be imported: {error!r}"
    if not Path(multipaxos.__file__).is_relative_to(task["impl"]):
        raise RuntimeError(f"{multipaxos.__file__} is not the node in {task['impl']}")
    try:
        return check(task)
    except Exception as error:
        # The right node passes every check, so the mutant is the cause.
        return f"it raises {error!r}"


def in_a_fork(task: Task, check: Callable[[Task], str | None]) -> dict[str, Any]:
    """Return a fork's result: {"caught": how or null}, or {"error": why there is none}."""
    begun = time.monotonic()
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        run_check(task, check, sink)
    os.close(sink)
    text = read_all(source, WAITING * task["seconds"], child)
    _, status = os.waitpid(child, 0)
    took = time.monotonic() - begun
    if text:
        return {**json.loads(text), "seconds": took}
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"caught": f"stopped by {name} within {task['seconds']} s", "seconds": took}
    return {"error": f"the check ended with status {status}", "seconds": took}


def run_check(task: Task, check: Callable[[Task], str | None], sink: int) -> None:
    """In the fork: never returns."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (task["seconds"], task["seconds"] + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            answer = {"caught": checked(task, check)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(sink, json.dumps(answer).encode())
        status = 0
    finally:
        os._exit(status)


def read_all(source: int, seconds: float, child: int) -> bytes:
    """Return all that a fork writes; kill it if it writes nothing for too long."""
    text = b""
    with open(source, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], seconds)[0]:
                os.kill(child, signal.SIGKILL)
                return b""
            more = pipe.read(1 << 16)
            if not more:
                return text
            text += more


def main() -> None:
    [golden] = map(Path, sys.argv[1:])
    known = checks_of(golden)
    # The reader may end before the answer.
    with suppress(BrokenPipeError):
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            task = json.loads(line)
            print(json.dumps(in_a_fork(task, known[task["check"]])), flush=True)


if __name__ == "__main__":
    main()
