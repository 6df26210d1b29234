"""A program that forks a process for each run of another Python program (see `preloaded`).

    python -S preload_server.py PROGRAM FOLDER MODULE

It imports MODULE from FOLDER, with all that PROGRAM needs, and then reads a request a line and
prints a line for it:

    {"arguments": [text], "input": text, "seconds": number, "most": bytes}
    {"output": text, "errors": text, "ended": status}

The program gets the whole input, and its output ends with it.  A negative status is a signal.
"ended" is "silent" or "flood" for a run that was killed, because it neither read nor printed
anything for so many seconds, or printed more than so many bytes.

It imports the standard library alone: what it has imported is in each process that it forks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import time
import traceback
from typing import Any, NoReturn, TextIO

CHUNK = 1 << 16


def main() -> None:
    """Serve requests until standard input ends."""
    program, folder, module = sys.argv[1:]
    # A fork has other files at 0, 1 and 2, and must not read requests.
    with os.fdopen(os.dup(0)) as requests, os.fdopen(os.dup(1), "w") as replies:
        sys.path[0] = folder
        importlib.import_module(module)
        sys.path[0] = os.path.dirname(program)
        gc.freeze()
        _write_line(replies, "ready")
        for line in requests:
            _write_line(replies, _run(program, json.loads(line)))


def _write_line(replies: TextIO, value: Any) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def _run(program: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run the program once, and return its answer to the request."""
    theirs, ours = zip(os.pipe(), *(os.pipe()[::-1] for _ in range(2)), strict=True)
    child = os.fork()
    if child == 0:
        for number in ours:
            os.close(number)
        _become(program, request["arguments"], theirs)
    for number in theirs:
        os.close(number)
    sink, source, errors = ours
    try:
        ended, printed = _talk(sink, [source, errors], request)
        if ended:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(source)
        os.close(errors)
    status = _status(child, request["seconds"])
    output, complaints = (b"".join(printed[each]).decode("latin-1") for each in (source, errors))
    return {"output": output, "errors": complaints, "ended": ended or status}


def _status(child: int, seconds: float) -> int | str:
    """Return the exit status of a run whose output has ended; kill it if it goes on."""
    deadline = time.monotonic() + seconds
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "silent"
        time.sleep(0.0005)
    return os.waitstatus_to_exitcode(found[1])


def _talk(
    sink: int, sources: list[int], request: dict[str, Any]
) -> tuple[str, dict[int, list[bytes]]]:
    """Write the input and close it; return why the run is to be killed, and what it printed."""
    unsent, left = request["input"].encode("latin-1"), request["most"]
    printed: dict[int, list[bytes]] = {each: [] for each in sources}
    os.set_blocking(sink, False)
    poll = select.poll()
    for each in sources:
        poll.register(each, select.POLLIN)
    poll.register(sink, select.POLLOUT)
    reading, writing = set(sources), True
    try:
        while reading:
            events = poll.poll(1000 * request["seconds"])
            if not events:
                return "silent", printed
            for number, _ in events:
                if number == sink:
                    unsent = unsent[_written(sink, unsent) :]
                    if not unsent:
                        poll.unregister(sink)
                        os.close(sink)
                        writing = False
                    continue
                more = os.read(number, CHUNK)
                printed[number].append(more)
                left -= len(more)
                if left < 0:
                    return "flood", printed
                if not more:
                    poll.unregister(number)
                    reading.remove(number)
        return "", printed
    finally:
        if writing:
            os.close(sink)


def _written(sink: int, unsent: bytes) -> int:
    """Write some input; return how much is done with, which is all if nobody reads it."""
    try:
        return os.write(sink, unsent[:CHUNK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(unsent)


def _become(program: str, arguments: list[str], files: tuple[int, ...]) -> NoReturn:
    """In a fork: run the program as Python does, and end."""
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = [program, *arguments]
        status = _exit_status(program)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _exit_status(program: str) -> int:
    """Run the program as `__main__`; return its exit status, and print why it is not 0."""
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
