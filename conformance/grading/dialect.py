"""Find out whether a node speaks this protocol with its peers, or messages of its own.

A node of any system answers `init` and requests; only what its clients see of it can be checked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from ..formats.schema import load
from ..formats.strict import NotJson, loads
from ..running.inject import PROTOCOL, Dialect
from ..running.process import Flood, Process, ready
from .challenge_cases import BEGIN, init
from .probe import has_written

Json = Any

# Seconds within which a node that got a request sends its peers something.
SECONDS = 3.0

SLOT = 7


def find_dialect(command: Sequence[str], seconds: float, opaque: bool = False) -> Dialect:
    """Return how a node is spoken to; it may take some seconds for a reply.

    It is opaque if its first message to a peer is of no type of this protocol, and takes appends if
    it does not answer a request for a slot with this slot.  `opaque`: the former is known.
    """
    if not opaque and not sends_own_types(command, min(seconds, SECONDS)):
        return PROTOCOL
    return Dialect(opaque=True, appends=not _keeps_slot(command, seconds))


def sends_own_types(command: Sequence[str], seconds: float) -> bool:
    """Return whether the first message that one of three nodes sends to a peer is a foreign one."""
    for message in _messages(command, [init("n1", "n2", "n3"), _propose(slot=SLOT)], seconds):
        match message:
            case {"dest": "n2" | "n3", "body": {"type": kind}}:
                return kind not in _types()
            case {"dest": "n2" | "n3"}:
                return True
            case {"body": {"type": "multi_paxos_propose_ok"}}:
                return False
    return False


def option_refusal(option: str, command: Sequence[str], folder: Path, seconds: float) -> str:
    """Return "" if an opaque node takes --data DIR or --votes FILE, or why it does not."""
    place = folder / option.lstrip("-")
    for message in _messages([*command, option, str(place)], [BEGIN, _propose()], seconds):
        match message:
            case {"body": {"in_reply_to": _}} if has_written(place):
                return ""
    return f"with {option} it writes nothing before it replies"


def _keeps_slot(command: Sequence[str], seconds: float) -> bool:
    for message in _messages(command, [BEGIN, _propose(slot=SLOT)], seconds):
        match message:
            case {"body": {"type": "multi_paxos_propose_ok", "slot": slot}}:
                return bool(slot == SLOT)
            case {"body": {"type": "error"}}:
                return False
    return False


def _propose(**slot: int) -> str:
    body = {"type": "multi_paxos_propose", "msg_id": 2, **slot, "value": "v"}
    return json.dumps({"src": "c1", "dest": "n1", "body": body})


def _messages(command: Sequence[str], inputs: Sequence[str], seconds: float) -> Iterator[Json]:
    """Yield the objects that a fresh node prints within some seconds while its input is open.

    What it sends to itself is given back to it.
    """
    until = time.monotonic() + seconds
    with closing(Process(command)) as process:
        for line in inputs:
            process.give(line.encode())
        while not process.over and time.monotonic() < until:
            sinks = [process.sink] if process.unsent else []
            readable, writable = ready([process.source], sinks, 0.1)
            if writable:
                process.push()
            try:
                found = [loads(line) for line in (process.read_lines() if readable else ())]
            except (NotJson, Flood):
                return
            for message in found:
                if isinstance(message, dict):
                    if message.get("dest") == "n1":
                        process.give(json.dumps(message).encode())
                    yield message


@cache
def _types() -> frozenset[str]:
    """Return the types of the messages that a node of this protocol sends."""
    bodies = load("messages")["$defs"]["sent_message"]["properties"]["body"]["oneOf"]
    return frozenset(each["$ref"].rpartition("/")[2] for each in bodies)
