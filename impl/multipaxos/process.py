"""The process: options, standard input and output, signals, and the real time.

Input is processed in batches: one read, one turn of the node, then its output.

A replay starts thousands of processes, so what only a disk or a clock needs is imported there.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from . import __version__
from .clock import Clock, Pace
from .files import CACHE_KIB, StorageError
from .node import Node
from .replica import Replica
from .wire import VALUE_BYTES, CutLine

if TYPE_CHECKING:
    from .message_log import Log
    from .storage import Storage

LINE_BYTES = 2**26
"""Bytes of the longest line that is read whole, unless it comes from a member."""

ESCAPE_FACTOR = 8
"""How many times as long as the longest value a client's line may be, if that is more: each
character of the value may be an escape of six."""

PIPE_BYTES = 2**16
"""Bytes of one read or write: the capacity of a pipe.  A read allocates as much."""

OUTPUT_PIPE_BYTES = 2**17
"""Capacity that the pipe of the output gets, so that the output of a turn need not wait for its
reader: a reply is longer than its request."""

TURN_CHARACTERS = 2**20
"""Characters of output after which a turn takes no more lines."""

EXIT_SECONDS = 2.0
"""Seconds after a signal for which the node waits until its output is read."""

MAX_WAIT = 3600.0
"""Seconds of the longest wait: an option may exceed what `select` accepts."""

HELP_WIDTH = 98
"""Columns of the text of `--help`."""

STREAMS = "standard input", "standard output", "standard error"

PACE = Pace()


class Stopped(Exception):
    """A signal asks the process to exit."""


class Signals:
    """The handlers of SIGTERM and SIGINT.

    A turn that has begun is finished, and its output is written if it is read in EXIT_SECONDS.
    """

    def __init__(self) -> None:
        self.came = False
        self.idle = False
        self.writing = False
        for number in signal.SIGTERM, signal.SIGINT:
            signal.signal(number, self.handle)
        signal.signal(signal.SIGALRM, self.stop_writing)

    def handle(self, *_: object) -> None:
        self.came = True
        if self.idle:
            self.idle = False
            raise Stopped
        self.limit_writing()

    def begin_wait(self) -> None:
        self.idle = True
        if self.came:
            self.idle = False
            raise Stopped

    def limit_writing(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, EXIT_SECONDS)

    def stop_writing(self, *_: object) -> None:
        if self.writing:
            self.writing = False
            raise Stopped


class Lines:
    """The lines of a file descriptor; of a line that is too long, only the beginning.

    `is_from_member` decides by the beginning of a line whether it may have any length.  `given` are
    the lines that were read and not taken yet; `more` is false at the end of the input.
    """

    def __init__(
        self,
        source: int,
        longest: int = LINE_BYTES,
        is_from_member: Callable[[bytes], bool] = lambda beginning: False,
    ) -> None:
        self.source = source
        self.longest = longest
        self.is_from_member = is_from_member
        self.given: list[bytes] = []
        self.more = True
        self.kept = bytearray()
        self.may_grow = self.is_cut = False
        self.ahead = 0

    def ready(self, seconds: float | None) -> bool:
        return bool(select.select([self.source], [], [], seconds)[0])

    def read(self) -> None:
        """Read once, without blocking."""
        try:
            chunk = os.read(self.source, PIPE_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            self.more = False
            if rest := self.ended(b""):
                self.given.append(rest)
            return
        lines = chunk.split(b"\n")
        if len(lines) > 1 and self.kept:
            lines[0] = self.ended(lines[0])
        if last := lines.pop():
            self.keep(last)
        self.given += lines
        self.ahead += len(chunk)

    def wait_for(self, sink: int) -> None:
        """Wait until the sink can be written to, and read input meanwhile, up to LINE_BYTES.

        The process at the other end may read only after it has written everything.
        """
        source = [self.source] if self.more and self.ahead < LINE_BYTES else []
        if select.select(source, [sink], [])[0]:
            self.read()

    def keep(self, piece: bytes) -> None:
        if self.is_cut:
            return
        self.kept += piece
        if len(self.kept) > self.longest and not self.may_grow:
            beginning = bytes(self.kept[:PIPE_BYTES])
            self.may_grow = self.is_from_member(beginning)
            if not self.may_grow:
                self.kept, self.is_cut = bytearray(beginning), True

    def ended(self, piece: bytes) -> bytes:
        """Return the line that ends with this piece."""
        self.keep(piece)
        line = CutLine(self.kept) if self.is_cut else bytes(self.kept)
        self.kept, self.may_grow, self.is_cut = bytearray(), False, False
        return line


def report_dropped(reason: str, line: bytes) -> None:
    # Names that clients choose may hold control characters of a terminal.
    print_error(f"dropped a line: {ascii(reason)[1:-1]}: {line[:80]!r}")


def print_error(text: str) -> None:
    """Print a line on standard error, or drop it if that would block or fail."""
    with suppress(OSError, ValueError):
        if can_write_stderr():
            print(text, file=sys.stderr, flush=True)


def can_write_stderr() -> bool:
    """Return whether standard error takes a line now, without blocking."""
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except ValueError:
        # A test replaced it by an object without a descriptor.
        return True


def run(node: Node, source: int, sink: int, longest: int) -> None:
    """Run a node until its input ends, a signal comes, or its output is closed."""
    signals, lines = Signals(), Lines(source, longest, node.is_from_member)
    enlarge_pipe(sink)
    with suppress(Stopped, ConnectionError):
        while lines.more or lines.given:
            signals.begin_wait()
            if not lines.given:
                lines.ahead = 0
                if lines.ready(wait(node)):
                    lines.read()
            signals.idle = False
            left = iter(lines.given)
            output = node.turn(left, time.monotonic())
            lines.given = list(left)
            while output:
                write(sink, output, signals, lines)
                output = node.rest()
    node.save()


def enlarge_pipe(sink: int) -> None:
    # Only Linux can, and only if this is a pipe.
    with suppress(ImportError, AttributeError, OSError):
        from fcntl import F_GETPIPE_SZ, F_SETPIPE_SZ, fcntl

        if fcntl(sink, F_GETPIPE_SZ) < OUTPUT_PIPE_BYTES:
            fcntl(sink, F_SETPIPE_SZ, OUTPUT_PIPE_BYTES)


def wait(node: Node) -> float | None:
    """Return the seconds until the next turn if no line comes; None if none is due."""
    due = node.due()
    return None if due is None else min(max(0.0, due - time.monotonic()), MAX_WAIT)


def write(sink: int, output: bytes, signals: Signals, lines: Lines) -> None:
    rest = memoryview(output)
    signals.writing = True
    while rest:
        if len(rest) > select.PIPE_BUF and os.get_blocking(sink):
            # Begun with room, a write that a signal interrupts ends with a part written.
            select.select([], [sink], [])
        if signals.came:
            signals.limit_writing()
        most = select.PIPE_BUF if signals.came else OUTPUT_PIPE_BYTES
        try:
            rest = rest[os.write(sink, rest[:most]) :]
        except BlockingIOError:
            lines.wait_for(sink)
    signals.writing = False


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        # Without a width, each option would look up that of the terminal.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=HELP_WIDTH),
        description="One Multi-Paxos node: Maelstrom messages in, one a line, and messages out.\n"
        "Without --data it keeps its state in memory.  Then do not restart it in its\n"
        "cluster after a crash: it would break its promises.",
        epilog="""example:
  echo '{"src": "c0", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", \
"node_ids": ["n1"]}}' | """
        + ("python3 impl/main.py" if sys.argv[0].endswith("main.py") else "multipaxos")
        + """
  {"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}""",
    )
    option = parser.add_argument
    option("--version", action="version", version=f"multipaxos {__version__}")
    option(
        "--data",
        metavar="DIR",
        type=nonempty,
        help="keep the durable state in DIR, which is created if it is missing",
    )
    option(
        "--log",
        metavar="FILE",
        type=nonempty,
        help="write the message log to FILE; with --data a restart continues the log",
    )
    option(
        "--log-max-bytes",
        metavar="N",
        type=positive,
        help="once a file of the log has N bytes or more, continue it in FILE.POSITION, where "
        "POSITION is how many bytes of the log come before (default: one file)",
    )
    option(
        "--cache-kib",
        metavar="N",
        type=cache_kib,
        help=f"read --data through a page cache of N KiB (default: {CACHE_KIB})",
    )
    option(
        "--batch",
        metavar="N",
        type=batch,
        default=1000,
        help="send at most N decisions in one `learned` message (default: %(default)s)",
    )
    option(
        "--value-bytes",
        metavar="N",
        type=positive,
        default=VALUE_BYTES,
        help="refuse a client's value that is longer than N bytes as JSON (default: %(default)s)",
    )
    option(
        "--retry-ms",
        metavar="MS",
        type=positive,
        default=round(1000 * PACE.retry),
        help="resend unanswered messages after this time (default: %(default)s)",
    )
    option(
        "--idle-ms",
        metavar="MS",
        type=positive,
        default=round(1000 * PACE.idle),
        help="query the peers after this time with nothing to do (default: %(default)s)",
    )
    option(
        "--backoff-ms",
        metavar="MS",
        type=positive,
        default=round(1000 * PACE.backoff),
        help="when preempted, back off for up to this time, and longer each time "
        "(default: %(default)s)",
    )
    option(
        "--request-timeout-ms",
        metavar="MS",
        type=natural,
        default=round(1000 * PACE.request_timeout),
        help="answer a request with an error after this time, 0 for never (default: %(default)s)",
    )
    option(
        "--seed",
        metavar="N",
        type=int,
        help="seed of the random waits (default: a new one each time)",
    )
    option(
        "--manual-clock",
        action="store_true",
        help='take events from the input instead of a clock: the lines "timeout", "inquire", '
        '"expire", "crash", "restart" and {"event": "repeat", "slots": ...}',
    )
    return parser


def integer(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"not an integer from {least} to {most}: {text[:40]!r}")
    return number


def natural(text: str) -> int:
    return integer(text, 0, 2**63 - 1)


def positive(text: str) -> int:
    return integer(text, 1, 2**63 - 1)


def cache_kib(text: str) -> int:
    return integer(text, 1, 2**31 - 1)


def batch(text: str) -> int:
    return integer(text, 1, 10**9)


def nonempty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def clock_maker(options: argparse.Namespace) -> Callable[[Replica, float], Clock]:
    from random import Random

    pace = Pace(
        retry=options.retry_ms / 1000,
        idle=options.idle_ms / 1000,
        backoff=options.backoff_ms / 1000,
        request_timeout=options.request_timeout_ms / 1000,
    )

    def make(replica: Replica, now: float) -> Clock:
        # Nodes with equal waits would preempt each other for ever, so the seed depends on the node.
        seed = None if options.seed is None else f"{options.seed} {replica.node}"
        return Clock(replica, pace, Random(seed), now)

    return make


def closed_streams() -> list[str]:
    """Replace the closed standard streams by the null device, and return their names.

    Otherwise a file that is opened later would get the number of such a stream, and its output.
    """
    closed = []
    for number, name in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            closed.append(name)
    for name in "stdout", "stderr":
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", errors="backslashreplace")  # noqa: SIM115
            setattr(sys, name, nowhere)
    return closed


def open_storage(folder: str, cache_kib: int) -> Storage:
    from pathlib import Path

    from .storage import Storage

    return Storage(Path(folder), print_error, cache_kib)


def open_log(name: str, most: float, storage: Storage | None) -> Log:
    if storage is not None:
        return storage.open_log(name, most)
    from . import message_log

    return message_log.create(name, most)


def main(arguments: list[str] | None = None) -> int:
    """Run a node until its input ends, and return the exit status."""
    closed = closed_streams()
    parser = command_line()
    options = parser.parse_args(arguments)
    if options.log_max_bytes and not options.log:
        parser.error("--log-max-bytes needs --log")
    if options.cache_kib and not options.data:
        parser.error("--cache-kib needs --data")
    try:
        if closed and closed[0] != STREAMS[2]:
            raise OSError(f"{closed[0]} is closed; the node needs an input and an output")
        with ExitStack() as stack:
            storage, log = None, None
            if options.data:
                opened = open_storage(options.data, options.cache_kib or CACHE_KIB)
                storage = stack.enter_context(closing(opened))
            if options.log:
                most = options.log_max_bytes or math.inf
                log = stack.enter_context(closing(open_log(options.log, most, storage)))
            elif storage is not None:
                storage.end_log()
            node = Node(
                batch=options.batch,
                value_bytes=options.value_bytes,
                turn_bytes=TURN_CHARACTERS,
                log=log,
                storage=storage,
                on_dropped=report_dropped,
                clock=None if options.manual_clock else clock_maker(options),
            )
            node.resume_log()
            run(
                node,
                sys.stdin.fileno(),
                sys.stdout.fileno(),
                max(LINE_BYTES, ESCAPE_FACTOR * options.value_bytes),
            )
    except (OSError, StorageError) as error:
        print_error(f"the node cannot go on: {error}")
        return 2
    return 0
