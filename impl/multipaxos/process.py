"""The process: options, standard input and output, signals, and the real time.

It reads what there is, has the node take it in one turn, and prints what the node said.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from random import Random
from typing import BinaryIO

from . import __version__, files
from .clock import Clock, Pace
from .node import Node
from .replica import Replica
from .storage import Storage, StorageError
from .wire import VALUE_BYTES, Cut

LONGEST = 2**26
"""Bytes of the longest line that is kept in memory to be read, unless it comes from a member."""

EXPANDED = 8
"""How many times longer than the longest value a client's line may be, if that is more: each
character of the value may be written as an escape of six."""

AT_ONCE = 2**16
"""Bytes that are read at once: what a pipe holds.  Much more would be allocated anew each time."""

SAID_AT_ONCE = 2**20
"""Characters of what is printed after which a turn takes no more lines."""

PATIENCE = 2.0
"""Seconds that a node which is asked to leave waits for somebody to read what it says."""

LONGEST_WAIT = 3600.0
"""Seconds: the system cannot wait for as long as an option may say."""

STREAMS = "standard input", "standard output", "standard error"

PACE = Pace()


class Ended(Exception):
    """A signal asks the process to leave."""


class Signals:
    """SIGTERM and SIGINT.  A turn that has begun is finished, and what it says is printed if
    somebody reads it."""

    def __init__(self) -> None:
        self.came = False
        self.idle = False
        self.writing = False
        for number in signal.SIGTERM, signal.SIGINT:
            signal.signal(number, self.take)
        signal.signal(signal.SIGALRM, self.give_up)

    def take(self, *_: object) -> None:
        self.came = True
        if self.idle:
            self.idle = False
            raise Ended
        self.be_patient()

    def begin_waiting(self) -> None:
        self.idle = True
        if self.came:
            self.idle = False
            raise Ended

    def be_patient(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def give_up(self, *_: object) -> None:
        if self.writing:
            self.writing = False
            raise Ended


class Lines:
    """The lines of a file descriptor; of one that is too long, only the beginning.

    `is_from_member` tells from the beginning of a line whether it may be as long as it likes.
    `given` are those that were read and not taken yet, and `more` is whether others may come.
    """

    def __init__(
        self,
        source: int,
        longest: int = LONGEST,
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
        """Read what is there."""
        try:
            chunk = os.read(self.source, AT_ONCE)
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
        """Wait until something can be written; what comes meanwhile is read if it is not too much,
        for who writes it may read only when it is all written."""
        source = [self.source] if self.more and self.ahead < LONGEST else []
        if select.select(source, [sink], [])[0]:
            self.read()

    def keep(self, piece: bytes) -> None:
        if self.is_cut:
            return
        self.kept += piece
        if len(self.kept) > self.longest and not self.may_grow:
            beginning = bytes(self.kept[:AT_ONCE])
            self.may_grow = self.is_from_member(beginning)
            if not self.may_grow:
                self.kept, self.is_cut = bytearray(beginning), True

    def ended(self, piece: bytes) -> bytes:
        """The line that ends with this piece."""
        self.keep(piece)
        line = Cut(self.kept) if self.is_cut else bytes(self.kept)
        self.kept, self.may_grow, self.is_cut = bytearray(), False, False
        return line


def complain(reason: str, line: bytes) -> None:
    # What clients call things may not be fit for a terminal.
    tell(f"dropped a line: {ascii(reason)[1:-1]}: {line[:80]!r}")


def tell(text: str) -> None:
    """Print a line on standard error; a node that cannot be heard still serves."""
    with suppress(OSError, ValueError):
        if is_heard():
            print(text, file=sys.stderr, flush=True)


def is_heard() -> bool:
    """Whether standard error takes a line now: nobody may be reading it."""
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except ValueError:
        # It is no file: a test listens.
        return True


def run(node: Node, source: int, sink: int, longest: int) -> None:
    """Run a node until its input ends, a signal comes, or nobody reads any more."""
    signals, lines = Signals(), Lines(source, longest, node.is_from_member)
    with suppress(Ended, ConnectionError):
        while lines.more or lines.given:
            signals.begin_waiting()
            if not lines.given:
                lines.ahead = 0
                if lines.ready(wait(node)):
                    lines.read()
            signals.idle = False
            left = iter(lines.given)
            said = node.turn(left, time.monotonic())
            lines.given = list(left)
            write(sink, said, signals, lines)
    node.save()


def wait(node: Node) -> float | None:
    """Seconds until the next turn is due, though no line may come; None if none is."""
    due = node.due()
    return None if due is None else min(max(0.0, due - time.monotonic()), LONGEST_WAIT)


def write(sink: int, said: bytes, signals: Signals, lines: Lines) -> None:
    rest = memoryview(said)
    signals.writing = True
    while rest:
        if signals.came:
            signals.be_patient()
        try:
            rest = rest[os.write(sink, rest[: 4096 if signals.came else AT_ONCE]) :]
        except BlockingIOError:
            lines.wait_for(sink)
    signals.writing = False


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="One Multi-Paxos node: Maelstrom messages in, one a line, and messages out.\n"
        "Without --data it keeps its state in memory: then it must not come back\n"
        "to its cluster after a crash, for it would break what it has promised.",
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
        type=named,
        help="keep what must survive a crash in DIR, which is made if it is not there",
    )
    option(
        "--log",
        metavar="FILE",
        type=named,
        help="write the message log to FILE; with --data the log goes on after a restart",
    )
    option(
        "--batch",
        metavar="N",
        type=batch,
        default=1000,
        help="tell a node that catches up N decisions at a time (default: %(default)s)",
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
        help="repeat what is not answered after this time (default: %(default)s)",
    )
    option(
        "--idle-ms",
        metavar="MS",
        type=positive,
        default=round(1000 * PACE.idle),
        help="ask what is decided after so long with nothing to do (default: %(default)s)",
    )
    option(
        "--backoff-ms",
        metavar="MS",
        type=positive,
        default=round(1000 * PACE.backoff),
        help="wait up to this time, and longer each time, when outbid (default: %(default)s)",
    )
    option(
        "--request-timeout-ms",
        metavar="MS",
        type=natural,
        default=round(1000 * PACE.request_timeout),
        help="give a request up after this time, 0 for never (default: %(default)s)",
    )
    option(
        "--seed", metavar="N", type=int, help="of the random waits (default: another one each time)"
    )
    option(
        "--manual-clock",
        action="store_true",
        help='no time passes, but the lines "timeout", "inquire", "expire", "crash" and '
        '"restart" are events',
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


def batch(text: str) -> int:
    return integer(text, 1, 10**9)


def named(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a name is needed, and this one is empty")
    return text


def clock_maker(options: argparse.Namespace) -> Callable[[Replica, float], Clock]:
    pace = Pace(
        retry=options.retry_ms / 1000,
        idle=options.idle_ms / 1000,
        backoff=options.backoff_ms / 1000,
        request_timeout=options.request_timeout_ms / 1000,
    )

    def make(replica: Replica, now: float) -> Clock:
        # Nodes that wait equally long outbid each other for ever, so a seed is not the same to all.
        seed = None if options.seed is None else f"{options.seed} {replica.node}"
        return Clock(replica, pace, Random(seed), now)

    return make


def closed_streams() -> list[str]:
    """The names of those standard streams that are closed.

    The null device takes their place, or a file that is opened later would: it would get their
    number, and what is meant for them.
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


def open_log(name: str) -> BinaryIO:
    return open(name, "wb", opener=files.create)


def main(arguments: list[str] | None = None) -> int:
    """Run a node until its input ends; the result is the exit status."""
    closed = closed_streams()
    options = command_line().parse_args(arguments)
    try:
        if closed and closed[0] != STREAMS[2]:
            raise OSError(f"{closed[0]} is closed; give the node both an input and an output")
        with ExitStack() as stack:
            storage, log = None, None
            if options.data:
                storage = stack.enter_context(closing(Storage(Path(options.data))))
            if options.log:
                log = stack.enter_context(
                    storage.open_log(options.log) if storage else open_log(options.log)
                )
            node = Node(
                batch=options.batch,
                value_bytes=options.value_bytes,
                turn_bytes=SAID_AT_ONCE,
                log=log,
                storage=storage,
                complain=complain,
                clock=None if options.manual_clock else clock_maker(options),
            )
            node.resume_log()
            run(
                node,
                sys.stdin.fileno(),
                sys.stdout.fileno(),
                max(LONGEST, EXPANDED * options.value_bytes),
            )
    except (OSError, StorageError) as error:
        tell(f"the node cannot go on: {error}")
        return 2
    return 0
