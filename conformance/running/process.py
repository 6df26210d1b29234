"""A process of a node, in a session of its own, with non-blocking input and output.

Waiting times and the size of the buffered output are limited.  A process is killed together with
its process group.  The caller parses the lines, and decides when a process starts and ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from .. import guard

# Bytes: of one read or write of a pipe, of one call of `Lines.read`, and of the end of standard
# error that is kept if it is not written to a file.
CHUNK, AT_ONCE, TAIL = 1 << 16, 1 << 20, 1 << 12

LONGEST = 1 << 26
"""The most bytes in a line of output, unless the caller sets a limit."""

# Seconds: between two checks whether a silent process has ended, and how long its output is still
# read after that while other processes of its group run and are silent.
POLL_SECONDS, LINGER_SECONDS = 0.1, 1.0


class Flood(Exception):
    """A process prints more than allowed; the text says how much."""


class Silence(Exception):
    """A process has neither read input nor printed anything for too long."""


def ready(
    sources: Collection[int], sinks: Collection[int], seconds: float
) -> tuple[set[int], set[int]]:
    """Return the descriptors that can be read and those that can be written, within some seconds.

    Unlike `select.select` it takes descriptors above 1,023.
    """
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    for sink in sinks:
        poll.register(sink, select.POLLOUT)
    # A descriptor whose other end was closed is ready: reading or writing shows that.
    found = {number for number, _ in poll.poll(max(0.0, seconds) * 1000)}
    return found & set(sources), found & set(sinks)


class Lines:
    r"""The lines that a descriptor yields; only `\n` ends one.

    `over` is true at the end of the output; `rest` is what came after the last end of a line.
    """

    def __init__(self, source: int, longest: int = LONGEST) -> None:
        self.source = source
        self.over = False
        self._longest = longest
        self._pieces: list[bytes] = []
        self._length = 0
        os.set_blocking(source, False)

    @property
    def rest(self) -> bytes:
        return b"".join(self._pieces)

    def read(self, most: int = AT_ONCE) -> list[bytes]:
        """Return the whole lines that came, out of about `most` bytes; never wait.

        Raises `Flood` for a line that is longer than allowed.
        """
        lines: list[bytes] = []
        while not self.over and most > 0:
            try:
                more = os.read(self.source, CHUNK)
            except BlockingIOError:
                break
            self.over = not more
            most -= len(more)
            lines += self._split(more)
        return lines

    def _split(self, more: bytes) -> list[bytes]:
        first, *others = more.split(b"\n")
        self._pieces.append(first)
        self._length += len(first)
        if self._length > self._longest:
            raise Flood(f"printed a line of more than {self._longest:,} bytes")
        if not others:
            return []
        *whole, last = [self.rest, *others]
        self._pieces, self._length = [last], len(last)
        return whole


class Process:
    """A process with its process group, and its standard input, output and error.

    Standard error is appended to the file `errors`; without one, `lines` keeps the end of it for
    `last_error_lines`.  `kept` are other descriptors that the process inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        errors: Path | None = None,
        *,
        kept: Sequence[int] = (),
        longest: int = LONGEST,
    ) -> None:
        self._process = _start(command, errors, kept)
        self._output = Lines(self._process.stdout.fileno(), longest)  # type: ignore[union-attr]
        self._errors = errors
        self._error_pipe = self._process.stderr
        self._tail = b""
        self.source = self._output.source
        self.sink = self._process.stdin.fileno()  # type: ignore[union-attr]
        os.set_blocking(self.sink, False)
        self.unsent = bytearray()

    @property
    def over(self) -> bool:
        """Whether its output has ended, and all of it has been read."""
        return self._output.over

    @property
    def rest(self) -> bytes:
        """What it printed after the end of its last line."""
        return self._output.rest

    # Input.

    def give(self, line: bytes) -> None:
        """Write a line to the process, or buffer it until the process reads."""
        self.unsent += line + b"\n"
        self.push()

    def push(self) -> bool:
        """Write pending input without waiting; return whether any was written."""
        return self._put(CHUNK)

    def _put(self, most: int) -> bool:
        try:
            put = os.write(self.sink, bytes(self.unsent[:most]))
        except BlockingIOError:
            return False
        except OSError:
            # It no longer reads; its exit status shows whether that is an error.
            put = len(self.unsent)
        del self.unsent[:put]
        return put > 0

    def end_input(self) -> None:
        """Close its input; pending input is lost."""
        self.unsent.clear()
        self._process.stdin.close()  # type: ignore[union-attr]

    # Output.

    def read_lines(self) -> list[bytes]:
        """Return whole lines that it has printed since the last call; raise `Flood`."""
        return self._output.read()

    def lines(self, seconds: float, may_end: Callable[[], bool] = lambda: True) -> Iterator[bytes]:
        """Yield its lines as they come, write pending input, then close its input.

        The input stays open while `may_end` returns false.

        Ends with the output: at the latest when no process of its group is left, even if another
        process holds the output open.  Raises `Silence` if the process has neither read nor printed
        anything for some seconds, and `Flood`.
        """
        alive = time.monotonic()
        fed = False
        while not self.over:
            if not fed and not self.unsent and may_end():
                self.end_input()
                fed = True
            if self._wait((self.sink,) if self.unsent else ()):
                yield from self.read_lines()
                alive = time.monotonic()
                continue
            silent = time.monotonic() - alive
            if silent > POLL_SECONDS / 2 and self._has_left(silent):
                # It may have printed something after the wait and before it ended.
                if not ready({self.source}, (), 0)[0]:
                    break
            elif silent > seconds:
                raise Silence

    def _wait(self, sinks: Collection[int]) -> bool:
        """Wait a little; return whether input was written or there is output."""
        errors = {self._error_pipe.fileno()} if self._error_pipe else set()
        readable, writable = ready({self.source, *errors}, sinks, POLL_SECONDS)
        put = bool(writable) and self.push()
        if readable & errors:
            self._read_errors()
        return put or self.source in readable

    def _has_left(self, silent: float) -> bool:
        """Return whether it has ended, and no process of its group prints any more."""
        left = self.status(0) is not None
        return left and (silent > LINGER_SECONDS or not _has_members(self._process.pid))

    def _read_errors(self) -> None:
        """Read its standard error, and keep the end."""
        more = os.read(self._error_pipe.fileno(), CHUNK)  # type: ignore[union-attr]
        self._tail = (self._tail + more)[-TAIL:]
        if not more:
            self._error_pipe = None

    def last_error_lines(self) -> list[str]:
        """Return the last lines of its standard error."""
        while self._error_pipe and ready({self._error_pipe.fileno()}, (), 0)[0]:
            self._read_errors()
        return last_lines(end_of(self._errors) if self._errors else self._tail)

    # Signals and exit.

    def pause(self) -> None:
        guard.send(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        guard.send(self._process, signal.SIGCONT)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        guard.terminate(self._process)

    def status(self, seconds: float) -> int | None:
        """Return its exit status, a signal as a negative number; None if it still runs by then."""
        deadline = time.monotonic() + seconds
        while (found := guard.status(self._process)) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return found

    def kill(self) -> list[bytes]:
        """Kill it and its process group; return the lines that it printed before."""
        guard.finish(self._process)
        lines = self.read_lines()
        # A process outside of its group may hold the output open.
        self._output.over = True
        return lines

    def close(self) -> None:
        """Kill it and its process group, and close its pipes."""
        guard.finish(self._process)
        self._output.over = True
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def end_of(path: Path, most: int = TAIL) -> bytes:
    """Return the end of a file; nothing if the file does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except FileNotFoundError:
        return b""


def last_lines(text: bytes, most: int = 3) -> list[str]:
    """Return the last lines of a process's standard error."""
    return text.decode("utf-8", "replace").strip().splitlines()[-most:]


def _start(
    command: Sequence[str], errors: Path | None, kept: Sequence[int]
) -> subprocess.Popen[bytes]:
    with errors.open("ab") if errors else contextlib.nullcontext(subprocess.PIPE) as stderr:
        return guard.start(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=kept,
            bufsize=0,
        )


def _has_members(group: int) -> bool:
    """Return whether any process of a group runs; true where the system has no /proc."""
    if not Path("/proc/self/stat").exists():
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_bytes().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False
