"""The process: it reads lines, has the replica take its steps, logs them and prints what they say.

Only here is anything opened, read or written. What a line means is told in `wire`, what is done
about it in `replica`.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import BinaryIO

from . import wire
from .members import Members
from .messages import Envelope, Error, Init, InitOk
from .replica import Output, Replica
from .wire import Dropped, Refused

LONGEST = 64 * 2 ** 20
"""Bytes of the longest line that is kept in memory to be read."""

BLANK = " \t\r\n"
EVENTS = {"timeout": "Timeout", "crash": "Crash", "restart": "Restart"}

Step = tuple[str, Output]
"""The action that a line was taken as, and what it sent."""


class Node:
    """One line in, some lines out: the replica with what a process needs around it."""

    def __init__(self, manual_clock: bool = False, batch: int = 1000,
                 log: BinaryIO | None = None) -> None:
        self.manual_clock = manual_clock
        self.batch = batch
        self.log = log
        self.init: Init | None = None
        self.replica: Replica | None = None
        self.members = Members(())
        self.replies = 0

    def take(self, line: bytes) -> bytes:
        """What the node prints for one line, which is in the message log by then."""
        try:
            text = line.decode().strip(BLANK)
            if not text:
                raise Dropped("it is blank")
            dest, (action, output) = self.step(wire.read(text))
        except UnicodeDecodeError:
            complain("it is not UTF-8", line)
        except Dropped as reason:
            complain(str(reason), line)
        else:
            lines = [self.write(envelope) for envelope in output]
            self.record(dest, text, lines, action)
            return "".join(f"{written}\n" for written in lines).encode()
        return b""

    def step(self, line: dict | str) -> tuple[str, Step]:
        if isinstance(line, str):
            return self.event(line)
        src, dest, body = line["src"], line["dest"], line["body"]
        if self.replica is not None and dest != self.replica.node:
            raise Dropped("it is for another node")
        if self.replica is not None and not self.replica.up:
            raise Dropped("the node is down")
        try:
            return dest, self.receive(src, dest, body)
        except Refused as error:
            if not wire.answerable(src, body, self.members):
                raise Dropped(str(error)) from None
            refusal = Error(body["msg_id"], error.code, str(error))
            return dest, ("Refuse", [Envelope(dest, src, refusal)])

    def event(self, name: str) -> tuple[str, Step]:
        if not self.manual_clock or name not in EVENTS:
            raise Dropped("it is not an object")
        if self.replica is None:
            raise Dropped("the node is not initialized")
        if self.replica.up == (name == "restart"):
            raise Dropped("the node is up" if self.replica.up else "the node is down")
        if name == "restart":
            self.replies = 0
        return self.replica.node, (EVENTS[name], getattr(self.replica, name)())

    def receive(self, src: str, dest: str, body: dict) -> Step:
        if self.replica is None and body.get("type") != "init":
            raise Refused(wire.UNAVAILABLE, "the node is not initialized")
        message = wire.message(src, dest, body, self.members)
        if isinstance(message.body, Init):
            return self.initialize(message, message.body)
        step = getattr(self.replica, "receive_" + body["type"])
        return "Receive" + type(message.body).__name__, step(message)

    def initialize(self, message: Envelope, init: Init) -> Step:
        if message.dest != init.node_id or message.src in init.node_ids:
            raise Refused(wire.MALFORMED, "init is from a client to the node that it names")
        if self.init is None:
            self.init = init
            self.members = Members(init.node_ids)
            self.replica = Replica(init.node_id, self.members, self.batch)
        elif self.init[1:] != init[1:]:
            raise Refused(wire.MALFORMED, "the node is already initialized otherwise")
        return "Init", [Envelope(init.node_id, message.src, InitOk(init.msg_id))]

    def write(self, envelope: Envelope) -> str:
        if envelope.dest in self.members:
            return wire.write(envelope, None)
        self.replies += 1
        return wire.write(envelope, self.replies - 1)

    def record(self, node: str, text: str, lines: list[str], action: str) -> None:
        """Log a step. Its input is logged as it came, so it reads back as what was answered."""
        if self.log is not None:
            # Within JSON a carriage return is white space, but some readers end a line there.
            given, output = text.replace("\r", " "), ", ".join(lines)
            record = (f'{{"node": {wire.encode(node)}, "input": {given}, "output": [{output}], '
                      f'"action": "{action}"}}\n')
            self.log.write(record.encode())
            self.log.flush()


def complain(reason: str, line: bytes) -> None:
    # A node that cannot be heard complaining still serves.
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(f"dropped a line: {reason}: {line[:80]!r}", file=sys.stderr, flush=True)


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, but none that is too long to be kept."""
    while line := stream.readline(LONGEST):
        if len(line) < LONGEST or line.endswith(b"\n"):
            yield line
            continue
        complain("it is too long", line)
        while line and not line.endswith(b"\n"):
            line = stream.readline(LONGEST)


def run(node: Node, source: BinaryIO, sink: BinaryIO) -> None:
    for line in lines_of(source):
        if printed := node.take(line):
            try:
                sink.write(printed)
                sink.flush()
            except BrokenPipeError:
                # Nobody reads any more; what is in the buffer must not be tried again at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sink.fileno())
                return


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="main.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="One Multi-Paxos node: Maelstrom messages in, one a line, and messages out.",
        epilog="""example:
  echo '{"src": "c0", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", \
"node_ids": ["n1"]}}' | python3 impl/main.py
  {"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}""")
    parser.add_argument("--manual-clock", action="store_true",
                        help='take the lines "timeout", "crash" and "restart" as events')
    parser.add_argument("--log", metavar="FILE", help="write the message log to FILE")
    parser.add_argument("--batch", metavar="N", type=positive, default=1000,
                        help="tell a node that catches up N decisions at a time (default: 1000)")
    return parser


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run a node until its input ends; the result is the exit status."""
    options = command_line().parse_args(arguments)
    try:
        with open(options.log, "wb") if options.log else nullcontext() as log:
            node = Node(options.manual_clock, options.batch, log)
            run(node, sys.stdin.buffer, sys.stdout.buffer)
    except OSError as error:
        print(f"the node cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
