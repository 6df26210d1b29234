"""The nodes of a run with faults: each has a directory, a log and at most one process at a time.

This module parses and checks the nodes' output.  Its caller decides when a node is started and
killed, and what happens to the messages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from random import Random
from typing import Any

from ..formats import log_files
from ..formats.schema import check_envelope, check_reply, check_sent
from ..formats.strict import loads
from ..validation.evidence import Evidence
from .cluster import NodeError, NodeWrong
from .life import Life
from .power import UnsupportedCall
from .process import CHUNK, Flood, ready
from .recorded import RecordedProcess

Json = Any

OPTIONS = ("--data", "--log", "--seed")
OPAQUE_OPTIONS = ("--data", "--votes")

Check = Callable[[str, Collection[str], Json], None]
"""Raises `ValueError` unless a node, among these members, may print this value."""


def check_protocol(node: str, members: Collection[str], message: Json) -> None:
    """Check that a message is one of this protocol; `Check`."""
    check_sent(message)
    # Only replies have a number, and only they are for clients.
    if (message["dest"] in members) == ("msg_id" in message["body"]):
        raise ValueError(f"it is for {message['dest']}")


def check_opaque(node: str, members: Collection[str], message: Json) -> None:
    """Check that a message has a sender and a receiver, and is a reply if it is for a client."""
    check_envelope(message)
    if message["src"] != node:
        raise ValueError(f"its src is {message['src']!r}")
    if message["dest"] not in members:
        check_reply(message)


# The most messages that a node may print: in any case, for each input, and for each second.
FREE_MESSAGES, MESSAGES_PER_INPUT, MESSAGES_PER_SECOND = 5_000, 100, 500

# The most bytes that may wait for a node to read them; a paused node never has so many.
MAX_UNREAD_BYTES = 1 << 26

# Seconds until a second process on a directory must have ended by itself.
REFUSAL_SECONDS = 10.0


class Nodes:
    """The nodes of a cluster, by their names; `lives` has the running processes.

    `options` are those of OPTIONS or OPAQUE_OPTIONS that the command takes.  `evidence` has the
    inputs and outputs of each process of each node.  With `power`, a PRNG, every kill is a power
    cut as well: what the node has not synced may be lost.  `check` decides what a node may print.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        members: Sequence[str],
        options: Collection[str] = OPTIONS,
        power: Random | None = None,
        pieces: Callable[[], int] = lambda: CHUNK,
        check: Check = check_protocol,
    ) -> None:
        self.members = list(members)
        self.lives: dict[str, Life] = {}
        self._folder = folder
        self._command = command
        self._options = options
        self._power = power
        self._pieces = pieces
        self._check = check
        self._started: dict[str, float] = {}
        self._recorded: dict[str, RecordedProcess] = {}
        self._second_processes: list[Life] = []
        self.evidence: dict[str, list[Evidence]] = {node: [] for node in self.members}

    def log(self, node: str) -> Path:
        return self._folder / f"{node}.ndjson"

    def vote_log(self, node: str) -> Path:
        return self._folder / f"{node}.votes.ndjson"

    def logged(self, node: str) -> int:
        """Return the size of a node's log in bytes."""
        return log_files.size(self.log(node))

    def start(self, node: str, seed: int) -> None:
        """Start a process of a node on the files that the previous one has left."""
        self.evidence[node].append(Evidence())
        self._started[node] = time.monotonic()
        command = self._command_of(node, seed)
        if self._power is None:
            self.lives[node] = Life(command, self._errors(node), self._pieces)
        else:
            recorded = RecordedProcess(self._folder / f"{node}.trace", self._files(node))
            self._recorded[node] = recorded
            self.lives[node] = recorded.start(command, self._errors(node), self._pieces)

    def _files(self, node: str) -> dict[str, Path]:
        """Return the node's own files, by the option that names them."""
        return {
            "--data": self._folder / f"{node}.data",
            "--log": self.log(node),
            "--votes": self.vote_log(node),
        }

    def _command_of(self, node: str, seed: int) -> list[str]:
        given = {**self._files(node), "--seed": seed}
        options = [
            text for each in given if each in self._options for text in (each, str(given[each]))
        ]
        return [*self._command, *options]

    def start_second(self, node: str, seed: int) -> Life:
        """Start a second process of a running node, on the same files."""
        second = Life(self._command_of(node, seed), self._folder / f"{node}.second.stderr")
        self._second_processes.append(second)
        return second

    def give(self, node: str, message: Json) -> None:
        """Give a node a message; raise `NodeError` if the node does not read its input."""
        self.evidence[node][-1].add(True, message)
        life = self.lives[node]
        life.give(json.dumps(message).encode())
        if len(life.unsent) > MAX_UNREAD_BYTES:
            raise self.node_error(node, f"does not read: {len(life.unsent):,} bytes wait for it")

    def kill(self, node: str) -> list[Json]:
        """Kill a process of a node; return what it had printed."""
        life = self.lives.pop(node)
        try:
            sent = self._read(node, life.kill())
        except Flood as error:
            raise self.node_error(node, str(error)) from None
        finally:
            life.close()
        if self._power is not None:
            try:
                self._recorded.pop(node).cut(self._power)
            except UnsupportedCall as error:
                raise self.node_error(
                    node, f"cannot be followed to cut its power: {error}"
                ) from None
        return sent

    def listen(self, seconds: float, leaving: bool) -> list[Json]:
        """Return the messages that nodes print within some seconds; write pending input.

        Raises `NodeError` for a node that prints something else than messages, or that ended and is
        not `leaving`.
        """
        sources = {life.source: node for node, life in self.lives.items() if not life.over}
        sinks = {life.sink: life for life in self.lives.values() if life.unsent}
        readable, writable = ready(sources, sinks, seconds)
        for sink in writable:
            sinks[sink].push()
        sent: list[Json] = []
        for node in (sources[source] for source in readable):
            life = self.lives[node]
            try:
                sent += self._read(node, life.read_lines())
            except Flood as error:
                raise self.node_error(node, str(error)) from None
            if life.over and not leaving:
                raise self.node_error(node, f"ended by itself, with status {life.status(1)}")
        return sent

    def _read(self, node: str, lines: list[bytes]) -> list[Json]:
        evidence = self.evidence[node][-1]
        self._check_amount(node, evidence, len(lines))
        sent = []
        for line in lines:
            sent.append(self._message(node, line))
            evidence.add(False, sent[-1])
        return sent

    def _check_amount(self, node: str, evidence: Evidence, more: int) -> None:
        """Raise `NodeError` for a node that prints more than the limits at the top."""
        seconds = time.monotonic() - self._started[node]
        most = (
            FREE_MESSAGES
            + MESSAGES_PER_INPUT * evidence.inputs
            + round(MESSAGES_PER_SECOND * seconds)
        )
        if (printed := evidence.outputs + more) > most:
            counted = f"{printed:,} lines in {seconds:.0f} s, given {evidence.inputs:,}"
            raise self.node_error(node, f"floods: it printed {counted}")

    def _message(self, node: str, line: bytes) -> Json:
        try:
            message = loads(line)
            self._check(node, self.members, message)
        except ValueError as error:
            raise self.node_error(node, f"printed {line[:80]!r}: {error}", NodeWrong) from None
        return message

    def node_error(self, node: str, what: str, kind: type[NodeError] = NodeError) -> NodeError:
        return kind.of(node, what, self._errors(node))

    def _errors(self, node: str) -> Path:
        return self._folder / f"{node}.stderr"

    def close(self) -> None:
        """Kill what is left of every node."""
        for life in (*self.lives.values(), *self._second_processes):
            life.close()
        for recorded in self._recorded.values():
            recorded.close()
