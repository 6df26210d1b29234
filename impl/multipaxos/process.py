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

from .clock import Clock, Pace
from .node import Node
from .replica import Replica
from .storage import Storage, StorageError

LONGEST = 64 * 2 ** 20
"""Bytes of the longest line that is kept in memory to be read."""

AT_ONCE = 2 ** 16
"""Bytes that are read at once: what a pipe holds.  Much more would be allocated anew each time."""

PACE = Pace()


class Ended(Exception):
    """A signal asks the process to leave."""


class Signals:
    """SIGTERM and SIGINT.  A turn that has begun is finished, and what it says is printed."""

    def __init__(self) -> None:
        self.came = False
        self.idle = False
        for number in signal.SIGTERM, signal.SIGINT:
            signal.signal(number, self.take)

    def take(self, *_: object) -> None:
        self.came = True
        if self.idle:
            raise Ended

    def begin_waiting(self) -> None:
        self.idle = True
        if self.came:
            raise Ended


class Lines:
    """The lines of a file descriptor, but none that is too long to be kept."""

    def __init__(self, source: int) -> None:
        self.source = source
        self.pieces: list[bytes] = []
        self.kept = 0
        self.skips = False

    def ready(self, seconds: float) -> bool:
        return bool(select.select([self.source], [], [], seconds)[0])

    def read(self) -> tuple[list[bytes], bool]:
        """The lines that are there, as soon as there is anything, and whether more may come."""
        chunk = os.read(self.source, AT_ONCE)
        if not chunk:
            rest = self.ended(b"")
            return [rest] if rest else [], False
        lines = chunk.split(b"\n")
        if len(lines) > 1 and (self.pieces or self.skips):
            first = self.ended(lines[0])
            lines[:1] = [] if first is None else [first]
        if last := lines.pop():
            self.keep(last)
        return lines, True

    def keep(self, piece: bytes) -> None:
        if self.skips:
            return
        self.pieces.append(piece)
        self.kept += len(piece)
        if self.kept > LONGEST:
            complain("it is too long", self.pieces[0])
            self.pieces, self.skips = [], True

    def ended(self, piece: bytes) -> bytes | None:
        """The whole line that ends with this piece; None if it was too long."""
        self.keep(piece)
        line = None if self.skips else b"".join(self.pieces)
        self.pieces, self.kept, self.skips = [], 0, False
        return line


def complain(reason: str, line: bytes) -> None:
    # A node that cannot be heard complaining still serves.
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(f"dropped a line: {reason}: {line[:80]!r}", file=sys.stderr, flush=True)


def run(node: Node, source: int, sink: int) -> None:
    """Run a node until its input ends, a signal comes, or nobody reads any more."""
    signals, lines, more = Signals(), Lines(source), True
    with suppress(Ended, BrokenPipeError):
        while more:
            given: list[bytes] = []
            signals.begin_waiting()
            due = node.due()
            if due is None or lines.ready(max(0.0, due - time.monotonic())):
                given, more = lines.read()
            signals.idle = False
            write(sink, node.turn(given, time.monotonic()))
    node.save()


def write(sink: int, said: bytes) -> None:
    while said:
        said = said[os.write(sink, said):]


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="main.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="One Multi-Paxos node: Maelstrom messages in, one a line, and messages out.\n"
                    "Without --data it keeps its state in memory: then it must not come back\n"
                    "to its cluster after a crash, for it would break what it has promised.",
        epilog="""example:
  echo '{"src": "c0", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", \
"node_ids": ["n1"]}}' | python3 impl/main.py
  {"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}""")
    option = parser.add_argument
    option("--data", metavar="DIR", type=Path,
           help="keep what must survive a crash in DIR, which is made if it is not there")
    option("--log", metavar="FILE",
           help="write the message log to FILE; with --data the log goes on after a restart")
    option("--batch", metavar="N", type=positive, default=1000,
           help="tell a node that catches up N decisions at a time (default: %(default)s)")
    option("--retry-ms", metavar="MS", type=positive, default=round(1000 * PACE.retry),
           help="repeat what is not answered after this time (default: %(default)s)")
    option("--idle-ms", metavar="MS", type=positive, default=round(1000 * PACE.idle),
           help="ask what is decided after so long with nothing to do (default: %(default)s)")
    option("--backoff-ms", metavar="MS", type=positive, default=round(1000 * PACE.backoff),
           help="wait up to this time, and longer each time, when outbid (default: %(default)s)")
    option("--request-timeout-ms", metavar="MS", type=natural,
           default=round(1000 * PACE.request_timeout),
           help="give a request up after this time, 0 for never (default: %(default)s)")
    option("--seed", metavar="N", type=int,
           help="of the random waits (default: another one each time)")
    option("--manual-clock", action="store_true",
           help='no time passes, but the lines "timeout", "inquire", "expire", "crash" and '
                '"restart" are events')
    return parser


def natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def clock_maker(options: argparse.Namespace) -> Callable[[Replica, float], Clock]:
    pace = Pace(retry=options.retry_ms / 1000, idle=options.idle_ms / 1000,
                backoff=options.backoff_ms / 1000,
                request_timeout=options.request_timeout_ms / 1000)

    def make(replica: Replica, now: float) -> Clock:
        # Nodes that wait equally long outbid each other for ever, so a seed is not the same to all.
        seed = None if options.seed is None else f"{options.seed} {replica.node}"
        return Clock(replica, pace, Random(seed), now)
    return make


def open_log(name: str, goes_on: bool) -> BinaryIO:
    if not goes_on:
        return open(name, "wb")
    # For reading and writing, and made if it is not there; a descriptor is opened as it is.
    return os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), "r+b")


def main(arguments: list[str] | None = None) -> int:
    """Run a node until its input ends; the result is the exit status."""
    options = command_line().parse_args(arguments)
    try:
        with ExitStack() as stack:
            storage, log = None, None
            if options.data:
                storage = stack.enter_context(closing(Storage(options.data)))
            if options.log:
                log = stack.enter_context(open_log(options.log, goes_on=storage is not None))
            node = Node(batch=options.batch, log=log, storage=storage, complain=complain,
                        clock=None if options.manual_clock else clock_maker(options))
            if storage is not None and log is not None:
                node.resume_log()
            run(node, sys.stdin.fileno(), sys.stdout.fileno())
    except (OSError, StorageError) as error:
        # Standard error may be on the same full disk.
        with suppress(OSError):
            print(f"the node cannot go on: {error}", file=sys.stderr, flush=True)
        return 2
    return 0
