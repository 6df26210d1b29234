"""One life of a node: a real process with a clock of its own, from its start to its end.

Lines are put in and taken out without ever waiting for the node, for it may be stopped or dead.
What the lines say, and when a life begins or ends, is decided elsewhere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

# A pipe takes and gives this much at a time.
CHUNK = 1 << 16


class Life:
    """A process that was started for a node, with whatever it starts itself."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        with errors.open("ab") as stderr:
            # A group of its own, so that a signal meets all of it, and Ctrl-C none of it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
        self.source = self._process.stdout.fileno()  # type: ignore[union-attr]
        self.sink = self._process.stdin.fileno()  # type: ignore[union-attr]
        os.set_blocking(self.source, False)
        os.set_blocking(self.sink, False)
        self.over = False
        self.paused = False
        self.unsent = b""
        self._unread = b""

    def give(self, line: bytes) -> None:
        """Puts a line in, or keeps it until the node takes it."""
        self.unsent += line + b"\n"
        self.push()

    def push(self) -> None:
        """Puts in as much of what was given as the node takes now."""
        try:
            self.unsent = self.unsent[os.write(self.sink, self.unsent[:CHUNK]) :]
        except BlockingIOError:
            pass
        except OSError:
            # It no longer reads; whether it may is seen when its output ends.
            self.unsent = b""

    def hear(self) -> list[bytes]:
        """The whole lines that it has said since; `over` tells that there will be no more."""
        while not self.over:
            try:
                more = os.read(self.source, CHUNK)
            except BlockingIOError:
                break
            self._unread += more
            self.over = not more
        *lines, self._unread = self._unread.split(b"\n")
        return lines

    def pause(self) -> None:
        self.paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.paused = False
        self._signal(signal.SIGCONT)

    def end_input(self) -> None:
        """Ends what it reads; what was given and it has not taken yet is lost."""
        self._process.stdin.close()  # type: ignore[union-attr]

    def terminate(self) -> None:
        """Asks it to leave."""
        self._signal(signal.SIGTERM)

    def status(self, seconds: float) -> int | None:
        """What it left with, a signal as a negative number; None if it is still there by then."""
        deadline = time.monotonic() + seconds
        while True:
            # It is left unburied: for as long, its number and that of its group stay its own.
            left = os.waitid(
                os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
            )  # fmt: skip
            if left is not None:
                return left.si_status if left.si_code == os.CLD_EXITED else -left.si_status
            if time.monotonic() > deadline:
                return None
            time.sleep(0.005)

    def kill(self) -> list[bytes]:
        """Ends it at once, and gives what it said before."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        return self.hear()

    def close(self) -> None:
        """Makes sure that nothing of it is left."""
        self.kill()
        self.over = True
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()  # type: ignore[union-attr]

    def _signal(self, number: int) -> None:
        # Once it is buried its number may be another's.
        if self._process.returncode is None:
            os.killpg(self._process.pid, number)
