"""One line in, some lines out: the replica with what a node needs around it.

A turn takes all the lines that have come and whatever is due, saves what has changed, and only then
lets out what was said.  What a line means is told in `wire`, what is done about it in `replica`,
when time has its say in `clock`; where lines come from and go to is told in `process`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

from . import wire
from .clock import Clock
from .files import last_line
from .members import Members
from .messages import MALFORMED, UNAVAILABLE, Envelope, Error, Init, InitOk, Repeat, Request
from .readable import is_deep, legible
from .replica import Output, Replica
from .slots import Slots
from .storage import NO_LOG, Storage, StorageError
from .wire import Dropped, Parts, Refused, Unreadable

BLANK = " \t\r\n"
EVENTS = {
    "timeout": "Timeout",
    "inquire": "Inquire",
    "expire": "Expire",
    "crash": "Crash",
    "restart": "Restart",
}

MOST_WAITING = 1_000_000
"""How many requests may wait for a decision; others are as if they had been lost."""

Step = tuple[str, str, Output]
"""The action that a line was taken as, and what it sent."""

Steps = dict[str, tuple[str, Callable[[Envelope[Any]], Output]]]
"""Message type -> the action that takes it, and how."""


def steps_of(replica: Replica) -> Steps:
    kinds = wire.REQUESTS.keys() - {"init"} | wire.BETWEEN_NODES.keys()
    return {
        kind: (
            "Receive" + "".join(word.capitalize() for word in kind.split("_")),
            getattr(replica, f"receive_{kind}"),
        )
        for kind in kinds
    }


class Held(Exception):
    """A request that is taken later, as if it were still on its way."""


class Node:
    """A node from its first line on.

    `clock` makes the clock of a replica, at a time in seconds; without one, time passes only where
    a line says so.  Without `storage` the node must not come back after a crash.  `complain` hears
    of each line that is dropped.  No client's value may be longer than `value_bytes`, and a turn
    takes nothing more once it has `turn_bytes` to print (as characters; without it, it takes all).
    """

    def __init__(
        self,
        *,
        batch: int = 1000,
        value_bytes: int = wire.VALUE_BYTES,
        turn_bytes: float = math.inf,
        log: BinaryIO | None = None,
        storage: Storage | None = None,
        clock: Callable[[Replica, float], Clock] | None = None,
        complain: Callable[[str, bytes], None] = lambda reason, line: None,
    ) -> None:
        self.batch = batch
        self.value_bytes = value_bytes
        self.turn_bytes = turn_bytes
        self.log = log
        self.storage = storage
        self.make_clock = clock
        self.complain = complain
        self.clock: Clock | None = None
        self.init: Init | None = None
        self.replica: Replica | None = None
        self.members = Members(())
        self.steps: Steps = {"init": ("Init", self.initialize)}
        self.replies = 0
        self.held: deque[bytes] = deque()
        self.now = 0.0
        self.size = 0

    def turn(self, lines: Iterable[bytes], now: float = 0.0) -> bytes:
        """Take lines, and the time (in seconds, from anywhere); what is to be printed is safe.

        If there is much to print, it stops in between: then lines that are given as an iterator
        can be given again.  Raises StorageError or OSError if it cannot be saved: then nothing was
        said.
        """
        self.now = now
        said: list[str] = []
        self.size = 0
        if self.held and self.clock is not None and not self.clock.holding(now):
            lines = chain(self.free(), lines)
        for line in lines:
            self.take(line, said)
            if self.size >= self.turn_bytes:
                break
        if self.clock is not None:
            for event in self.clock.events(now):
                self.happen(event, said)
                if event == "expire" and self.size >= self.turn_bytes:
                    # Others expire in the next turn; no other event comes in any number.
                    break
        if self.log is not None:
            self.log.flush()
        if said:
            # Until something is said, nobody can tell what was taken from what is still on its way.
            self.save()
        said.append("")
        return "\n".join(said).encode()

    def free(self) -> Iterator[bytes]:
        """The requests that are held now; of those that are taken, some may be held again."""
        for _ in range(len(self.held)):
            yield self.held.popleft()

    def due(self) -> float | None:
        """When the next turn is due, though no line may come; None if none is."""
        if self.clock is None:
            return None
        return min(self.clock.held_until, self.clock.due()) if self.held else self.clock.due()

    def save(self) -> None:
        """Put on the disk what was taken: before anything is said of it, and at the end."""
        if self.storage is not None and self.init is not None:
            self.storage.commit(self.log.tell() if self.log is not None else NO_LOG)

    def take(self, line: bytes, said: list[str]) -> None:
        wrong = None
        try:
            try:
                text = line.decode().strip(BLANK)
                if not text:
                    raise Dropped("it is blank")
                given = wire.read(text)
            except (Unreadable, UnicodeDecodeError):
                text, given, wrong = wire.read_in_part(line)
            node, action, output = self.step(given, wrong)
        except Dropped as reason:
            self.complain(str(reason), line)
        except Held:
            self.held.append(line)
        else:
            self.say(node, text, action, output, said)

    def is_from_member(self, beginning: bytes) -> bool:
        """Whether a line that begins so comes from a member, as far as that can be known."""
        return wire.source(beginning) in self.members

    def happen(self, event: str | Repeat, said: list[str]) -> None:
        """Take an event of the node's own clock."""
        node, action, output = self.event(event)
        text = wire.text_of_repeat(event) if type(event) is Repeat else wire.encode(event)
        self.say(node, text, action, output, said)

    def say(self, node: str, text: str, action: str, output: Output, said: list[str]) -> None:
        first, last, fields = len(said), None, ""
        for message in output:
            src, dest, body = message.src, message.dest, message.body
            if body is not last:
                # What goes to several nodes is written once.
                last, fields = body, wire.TEXT[type(body)](body)
            if dest in self.members:
                line = wire.line(src, dest, fields)
            else:
                line = wire.line(src, dest, f'{fields}, "msg_id": {self.replies}')
                self.replies += 1
            said.append(line)
            self.size += len(line)
        if self.log is not None:
            self.record(self.log, node, text, said[first:], action)
        if self.clock is not None:
            self.clock.stepped(self.now, output)

    def step(self, line: Parts | str | Repeat, wrong: Refused | None = None) -> Step:
        """Take what a line holds; `wrong` is why it is refused if it could not be read whole."""
        if not isinstance(line, tuple):
            if self.make_clock is not None or (type(line) is str and line not in EVENTS):
                raise Dropped("it is not an object")
            return self.event(line)
        src, dest, body = line
        if self.replica is not None:
            if dest != self.replica.node:
                raise Dropped("it is for another node")
            if not self.replica.up:
                raise Dropped("the node is down")
        try:
            if self.replica is None and body.get("type") != "init":
                raise Refused(UNAVAILABLE, "the node is not initialized")
            if wrong is not None:
                raise wrong
            message = wire.message(src, dest, body, self.members, self.value_bytes)
            action, receive = self.steps[body["type"]]
            return dest, action, receive(message)
        except Refused as error:
            if not wire.answerable(src, body, self.members):
                raise Dropped(str(error)) from None
            refusal = Error(body["msg_id"], error.code, str(error))
            return dest, "Refuse", [Envelope(dest, src, refusal)]

    def event(self, event: str | Repeat) -> Step:
        if self.replica is None:
            raise Dropped("the node is not initialized")
        if type(event) is Repeat:
            return self.repeat(self.replica, event)
        name = event
        if self.replica.up == (name == "restart"):
            raise Dropped("the node is up" if self.replica.up else "the node is down")
        if name == "expire" and not self.replica.leader.waiting:
            raise Dropped("no request waits")
        if name == "restart":
            self.replies = 0
        return self.replica.node, EVENTS[name], getattr(self.replica, name)()

    def repeat(self, replica: Replica, event: Repeat) -> Step:
        votes, slots = replica.leader.votes, Slots(event.slots)
        if not 0 < slots.count() <= len(votes) or any(slot not in votes for slot in slots):
            raise Dropped("the slots are not open")
        return replica.node, "Repeat", replica.repeat(slots)

    def propose(self, replica: Replica, clock: Clock, message: Request) -> Output:
        """Take a request when time passes: it may be held back, and it is not waited for long."""
        if len(self.held) + len(replica.leader.waiting) >= MOST_WAITING:
            # Not an error that claims something: the same request may be among those that wait.
            raise Dropped("too many requests wait")
        if clock.holding(self.now) and message.body.slot not in replica.acceptor.decided:
            raise Held
        output = replica.receive_multi_paxos_propose(message)
        clock.asked(message, self.now)
        return output

    def initialize(self, message: Envelope[Init]) -> Output:
        init = message.body
        if message.dest != init.node_id or message.src in init.node_ids:
            raise Refused(MALFORMED, "init is from a client to the node that it names")
        if self.init is None:
            self.begin(init)
        elif (init.node_id, init.node_ids) != (self.init.node_id, self.init.node_ids):
            raise Refused(MALFORMED, "the node is already initialized otherwise")
        return [Envelope(init.node_id, message.src, InitOk(init.msg_id))]

    def begin(self, init: Init) -> None:
        acceptor = None
        if self.storage is not None:
            self.storage.claim(init.node_id, init.node_ids)
            acceptor = self.storage.acceptor
        self.init = init
        self.members = Members(init.node_ids)
        self.replica = Replica(init.node_id, self.members, self.batch, acceptor)
        self.steps.update(steps_of(self.replica))
        if self.make_clock is not None and self.replica.peers:
            self.clock = self.make_clock(self.replica, self.now)
            propose = partial(self.propose, self.replica, self.clock)
            self.steps["multi_paxos_propose"] = "ReceiveMultiPaxosPropose", propose

    def record(self, log: BinaryIO, node: str, text: str, lines: list[str], action: str) -> None:
        """Log a step. Its input is logged as it came, so it reads back as what was answered; but
        what was refused as too deep to be read, another reader of JSON need not be able to read."""
        # Within JSON a carriage return is white space, but some readers end a line there.
        given = (legible(text) if is_deep(text) else text).replace("\r", " ")
        output = ", ".join(lines)
        log.write(
            f'{{"node": {wire.encode(node)}, "input": {given}, "output": [{output}], '
            f'"action": "{action}"}}\n'.encode()
        )

    def resume_log(self) -> None:
        """Go on with the log of an earlier life: what was not saved has not happened, and what
        ended that life was a crash, however it came."""
        storage, log = self.storage, self.log
        if storage is None or log is None:
            return
        cluster = storage.cluster if storage.logged else None
        if cluster is not None:
            node, _ = cluster
            begun = f'{{"node": {wire.encode(node)}, '.encode()
            if not last_line(log, storage.logged).startswith(begun):
                raise StorageError(
                    f"{log.name} is not the log that goes with "
                    f"{storage.path}: no record of {node} ends at byte "
                    f"{storage.logged}; bring that one back, or leave out --log from now on"
                )
        log.truncate(storage.logged)
        log.seek(storage.logged)
        if cluster is not None:
            self.record(log, node, '"crash"', [], "Crash")
            self.record(log, node, '"restart"', [], "Restart")
