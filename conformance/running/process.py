"""A process of a node: started in a session of its own, fed and read without waiting, ended whole.

Nothing here waits without a limit or keeps more of the output than its caller allows.  What the
lines mean, and when a process begins or ends, is decided elsewhere.
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

# Bytes: what a pipe takes and gives at a time, what is read before the caller decides again, and
# the end of the standard error that is kept where it goes to no file.
CHUNK, AT_ONCE, TAIL = 1 << 16, 1 << 20, 1 << 12

LONGEST = 1 << 26
"""Bytes in a line of output, unless the caller knows better: far more than any node needs."""

# Seconds: between two looks at whether a silent process has ended, and how long what it left behind
# may be silent and still write.
LOOK, LINGER = 0.1, 1.0


class Flood(Exception):
    """A process prints more than allowed; the text says what."""


class Silence(Exception):
    """A process neither takes input nor prints anything, for too long."""


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
    # What was closed at the other end is ready: reading or writing shows it.
    found = {number for number, _ in poll.poll(max(0.0, seconds) * 1000)}
    return found & set(sources), found & set(sinks)


class Lines:
    r"""Lines out of a descriptor; only `\n` ends one.

    `over` is true if there will be no more, `rest` is what came behind the last end of a line.
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
    """A command with whatever it starts itself, and its standard input, output and error.

    What it writes to standard error is added to the file `errors`; without one, `lines` keeps the
    end of it for `last_words`.  `kept` are descriptors that the process gets, too.
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
        """Whether all that it will ever print has been read."""
        return self._output.over

    @property
    def rest(self) -> bytes:
        """What it printed behind the end of its last line."""
        return self._output.rest

    # Input.

    def give(self, line: bytes) -> None:
        """Put a line in, or keep it until the process takes it."""
        self.unsent += line + b"\n"
        self.push()

    def push(self) -> bool:
        """Put in as much of what was given as the process takes now; whether that was anything."""
        return self._put(CHUNK)

    def _put(self, most: int) -> bool:
        try:
            put = os.write(self.sink, bytes(self.unsent[:most]))
        except BlockingIOError:
            return False
        except OSError:
            # It no longer reads; whether it may is seen when its output ends.
            put = len(self.unsent)
        del self.unsent[:put]
        return put > 0

    def end_input(self) -> None:
        """End what it reads; what was given and it has not taken yet is lost."""
        self.unsent.clear()
        self._process.stdin.close()  # type: ignore[union-attr]

    # Output.

    def read_lines(self) -> list[bytes]:
        """Return some of the whole lines that it has printed since; raises `Flood`."""
        return self._output.read()

    def lines(self, seconds: float, may_end: Callable[[], bool] = lambda: True) -> Iterator[bytes]:
        """Yield the lines as they come, while it is fed; its input ends behind what was given.

        The input stays open while `may_end` returns false.

        Ends with the output: at the latest when nothing is left of the process that could print
        more, even if somebody else holds the output open.  Raises `Silence` when the process has
        neither taken nor printed anything for some seconds, and `Flood`.
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
            if silent > LOOK / 2 and self._has_left(silent):
                # It may have printed something after the wait and before it ended.
                if not ready({self.source}, (), 0)[0]:
                    break
            elif silent > seconds:
                raise Silence

    def _wait(self, sinks: Collection[int]) -> bool:
        """Wait a little; whether input was taken or there is output."""
        errors = {self._error_pipe.fileno()} if self._error_pipe else set()
        readable, writable = ready({self.source, *errors}, sinks, LOOK)
        put = bool(writable) and self.push()
        if readable & errors:
            self._heed_errors()
        return put or self.source in readable

    def _has_left(self, silent: float) -> bool:
        """Whether it has ended, and nothing of its group can print any more."""
        left = self.status(0) is not None
        return left and (silent > LINGER or not _has_members(self._process.pid))

    def _heed_errors(self) -> None:
        """Keep the end of what came from its standard error."""
        more = os.read(self._error_pipe.fileno(), CHUNK)  # type: ignore[union-attr]
        self._tail = (self._tail + more)[-TAIL:]
        if not more:
            self._error_pipe = None

    def last_words(self) -> list[str]:
        """Return the last lines that it wrote to standard error."""
        while self._error_pipe and ready({self._error_pipe.fileno()}, (), 0)[0]:
            self._heed_errors()
        return last_lines(end_of(self._errors) if self._errors else self._tail)

    # Life and death.

    def pause(self) -> None:
        guard.send(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        guard.send(self._process, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to leave."""
        guard.ask(self._process)

    def status(self, seconds: float) -> int | None:
        """Return its exit status, a signal as a negative number; None if it still runs by then."""
        deadline = time.monotonic() + seconds
        while (found := guard.status(self._process)) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return found

    def kill(self) -> list[bytes]:
        """End it at once with all of its group, and return what it printed before."""
        guard.finish(self._process)
        lines = self.read_lines()
        # A process outside of its group may hold the output open.
        self._output.over = True
        return lines

    def close(self) -> None:
        """Leave nothing of it."""
        guard.finish(self._process)
        self._output.over = True
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def end_of(path: Path, most: int = TAIL) -> bytes:
    """Return the end of a file; nothing of one that is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except FileNotFoundError:
        return b""


def last_lines(text: bytes, most: int = 3) -> list[str]:
    """Return the last lines of what a process wrote for people."""
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
    """Whether any process of a group runs; taken for granted where the system has no /proc."""
    if not Path("/proc/self/stat").exists():
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_bytes().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False
