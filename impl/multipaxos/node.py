"""The node: lines in, lines out, around the replica.

A turn takes all lines that were read and all events that are due, saves the changes, and then
returns the output.  `wire` parses a line, `replica` handles its message, `clock` decides which
events are due, and `process` reads and writes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from . import wire
from .clock import Clock
from .files import NO_LOG, RESTORE_LOG, StorageError
from .members import Members
from .messages import (
    MALFORMED,
    UNAVAILABLE,
    Error,
    Init,
    InitOk,
    Learn,
    Learned,
    MultiPaxosLogOk,
    MultiPaxosPropose,
    Poll,
    Repeat,
)
from .printed import Printed
from .readable import is_deep, replace_unreadable
from .replica import Output, Replica
from .slots import Slots
from .wire import Dropped, Parts, Refused, Unreadable

if TYPE_CHECKING:
    from .acceptor import Acceptor
    from .message_log import Log
    from .storage import Storage

EVENTS = {
    "timeout": "Timeout",
    "inquire": "Inquire",
    "expire": "Expire",
    "crash": "Crash",
    "restart": "Restart",
}

MOST_WAITING = 1_000_000
"""How many requests may wait for a decision; more are dropped, as if the network had lost them."""

Step = tuple[str, str, Output]
"""The node, the action that a line was taken as, and the messages that it sent."""

Steps = dict[str, tuple[str, Callable[[str, Any], Output]]]
"""Message type -> the action that receives it, and its method."""


def steps_of(replica: Replica) -> Steps:
    kinds = wire.REQUESTS.keys() - {"init"} | wire.BETWEEN_NODES.keys()
    return {
        kind: (
            "Receive" + "".join(word.capitalize() for word in kind.split("_")),
            getattr(replica, f"receive_{kind}"),
        )
        for kind in kinds
    }


class Deferred(Exception):
    """The node takes this request later, as if it were still on its way."""


class Node:
    """A node from its first line on.

    `clock` makes the clock of a replica, at a time in seconds; without one, events come as lines
    only.  Without `storage` the node must not restart after a crash.  `on_dropped` is called with
    the reason and the line for each dropped line.  A client's value may have `value_bytes` bytes as
    JSON.  A turn ends once its output has `turn_bytes` characters, and a longer line is written in
    parts; by default a turn takes all lines.
    """

    def __init__(
        self,
        *,
        batch: int = 1000,
        value_bytes: int = wire.VALUE_BYTES,
        turn_bytes: float = math.inf,
        log: Log | None = None,
        storage: Storage | None = None,
        clock: Callable[[Replica, float], Clock] | None = None,
        on_dropped: Callable[[str, bytes], None] = lambda reason, line: None,
    ) -> None:
        self.batch = batch
        self.value_bytes = value_bytes
        self.turn_bytes = turn_bytes
        self.log = log
        self.storage = storage
        self.make_clock = clock
        self.on_dropped = on_dropped
        self.clock: Clock | None = None
        self.init: Init | None = None
        self.replica: Replica | None = None
        self.members = Members(())
        self.heads: wire.Heads | None = None
        self.steps: Steps = {"init": ("Init", self.initialize)}
        self.replies = 0
        self.deferred: deque[bytes] = deque()
        self.now = 0.0
        self.size = 0
        self.output: Iterator[str] = iter(())

    def turn(self, lines: Iterable[bytes], now: float = 0.0) -> bytes:
        """Take lines at a time in seconds (from any origin), and return the output, already saved.

        With much output, it stops in between: an iterator of lines then still has the rest.  Output
        that is longer than `turn_bytes` continues in `rest`, which is written before the next turn.
        Raises StorageError or OSError if it cannot save: then the output is lost.
        """
        self.now = now
        printed = Printed()
        self.size = 0
        if self.deferred and self.clock is not None and not self.clock.backing_off(now):
            lines = chain(self.pop_deferred(), lines)
        for line in lines:
            self.take_line(line, printed)
            if self.size >= self.turn_bytes:
                break
        if self.clock is not None:
            for event in self.clock.events(now):
                self.take_event(event, printed)
                if event == "expire" and self.size >= self.turn_bytes:
                    # Other requests expire in the next turn.  No other event can be due so often.
                    break
        if self.log is not None:
            self.log.flush()
        if printed:
            # Before any output, a step that was taken looks like a message still on its way.
            self.save()
        printed.append("")
        self.output = printed.pieces(0, "\n")
        return self.rest()

    def rest(self) -> bytes:
        """Return the next part of the output of this turn; b"" if there is none.

        Raises StorageError if a decided value cannot be read.
        """
        part, size = [], 0
        for piece in self.output:
            part.append(piece)
            size += len(piece)
            if size >= self.turn_bytes:
                break
        return "".join(part).encode()

    def pop_deferred(self) -> Iterator[bytes]:
        """Yield the deferred requests; the node may defer some of them again."""
        for _ in range(len(self.deferred)):
            yield self.deferred.popleft()

    def due(self) -> float | None:
        """Return the time of the next turn if no line comes; None if none is due."""
        if self.clock is None:
            return None
        return (
            min(self.clock.backoff_until, self.clock.due()) if self.deferred else self.clock.due()
        )

    def save(self) -> None:
        """Save all changes: before any output about them, and at the end."""
        if self.storage is not None and self.init is not None:
            self.storage.commit(self.log.end if self.log is not None else NO_LOG)

    def take_line(self, line: bytes, printed: Printed) -> None:
        wrong = None
        try:
            try:
                text = line.decode()
                given = wire.read(text)
            except (Unreadable, UnicodeDecodeError):
                text, given, wrong = wire.read_partially(line)
            node, action, output = self.step(given, wrong)
        except Dropped as reason:
            self.on_dropped(str(reason), line)
        except Deferred:
            self.deferred.append(line)
        else:
            self.emit(node, text, action, output, printed)

    def is_from_member(self, beginning: bytes) -> bool:
        """Return whether a line with this beginning is known to come from a member."""
        return wire.source(beginning) in self.members

    def take_event(self, event: str | Repeat, printed: Printed) -> None:
        """Take an event of the node's own clock."""
        node, action, output = self.event(event)
        text = wire.text_of_repeat(event) if type(event) is Repeat else wire.encode(event)
        self.emit(node, text, action, output, printed)

    def emit(self, node: str, text: str, action: str, output: Output, printed: Printed) -> None:
        first, last, fields = len(printed), None, ""
        heads = wire.Heads(node) if self.heads is None else self.heads
        for dest, body in output:
            if type(body) is MultiPaxosLogOk:
                line_of_log = wire.LogLine(heads[dest], body, self.replies)
                self.replies += 1
                self.size += printed.add(line_of_log, self.turn_bytes)
                continue
            if body is not last:
                # The same message to several nodes is encoded once.
                last, fields = body, wire.TEXT[type(body)](body)
            if dest in self.members:
                line = f"{heads[dest]}{fields}}}}}"
            else:
                line = f'{heads[dest]}{fields}, "msg_id": {self.replies}}}}}'
                self.replies += 1
            printed.append(line)
            self.size += len(line)
        if self.log is not None:
            self.record(self.log, node, text, printed.pieces(first, ", "), action)
        if self.clock is not None:
            self.clock.note_step(self.now, output)

    def step(self, line: Parts | str | Repeat, wrong: Refused | None = None) -> Step:
        """Take the content of a line; `wrong` is its refusal if it could be read only in part."""
        if not isinstance(line, tuple):
            if self.make_clock is not None or (type(line) is str and line not in EVENTS):
                raise Dropped("it is not an object")
            return self.event(line)
        src, dest, body = line
        replica = self.replica
        try:
            if replica is None:
                if body.get("type") != "init":
                    raise Refused(UNAVAILABLE, "the node is not initialized")
            elif dest != replica.node:
                raise Dropped("it is for another node")
            elif not replica.up:
                raise Dropped("the node is down")
            if wrong is not None:
                raise wrong
            message = wire.message(src, dest, body, self.members, self.value_bytes)
            action, receive = self.steps[body["type"]]
            return dest, action, receive(src, message)
        except Refused as error:
            if not wire.answerable(src, body, self.members):
                raise Dropped(str(error)) from None
            refusal = Error(body["msg_id"], error.code, str(error))
            return dest, "Refuse", [(src, refusal)]

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

    def propose(self, replica: Replica, clock: Clock, src: str, m: MultiPaxosPropose) -> Output:
        """Take a request of a node with a clock: it may be deferred, and it expires."""
        if len(self.deferred) + len(replica.leader.waiting) >= MOST_WAITING:
            # No definite error: the same request may be waiting already.
            raise Dropped("too many requests wait")
        if clock.backing_off(self.now) and m.slot not in replica.acceptor.decided:
            raise Deferred
        output = replica.receive_multi_paxos_propose(src, m)
        clock.note_request(m, self.now)
        return output

    def poll(self, replica: Replica, clock: Clock, src: str, m: Poll) -> Output:
        """Take the poll of a peer."""
        clock.note_query()
        return replica.receive_poll(src, m)

    def learn(self, replica: Replica, clock: Clock, src: str, m: Learn) -> Output:
        """Take the query of a peer."""
        clock.note_query()
        return replica.receive_learn(src, m)

    def learned(self, replica: Replica, clock: Clock, src: str, m: Learned) -> Output:
        """Take the answer to a query."""
        clock.note_answer(self.now)
        return replica.receive_learned(src, m)

    def initialize(self, src: str, init: Init) -> Output:
        if self.init is None:
            self.begin(init)
        elif (init.node_id, init.node_ids) != (self.init.node_id, self.init.node_ids):
            raise Refused(MALFORMED, "the node is already initialized otherwise")
        return [(src, InitOk(init.msg_id))]

    def begin(self, init: Init) -> None:
        acceptor = None
        if self.storage is not None:
            self.storage.claim(init.node_id, init.node_ids)
            acceptor = self.storage.acceptor
        self.init = init
        self.members = Members(init.node_ids)
        self.heads = wire.Heads(init.node_id)
        self.replica = Replica(init.node_id, self.members, self.batch, acceptor)
        self.steps.update(steps_of(self.replica))
        if self.make_clock is not None and self.replica.peers:
            self.clock = self.make_clock(self.replica, self.now)
            propose = partial(self.propose, self.replica, self.clock)
            self.steps["multi_paxos_propose"] = "ReceiveMultiPaxosPropose", propose
            self.steps["poll"] = "ReceivePoll", partial(self.poll, self.replica, self.clock)
            self.steps["learn"] = "ReceiveLearn", partial(self.learn, self.replica, self.clock)
            learned = partial(self.learned, self.replica, self.clock)
            self.steps["learned"] = "ReceiveLearned", learned

    def record(self, log: Log, node: str, text: str, output: Iterable[str], action: str) -> None:
        """Log a step, with its input as it came, and its output in pieces.

        Of an input that is too deep for JSON libraries, the log has a shortened form.
        """
        # In JSON a carriage return is white space, but some readers end a line there.
        text = (replace_unreadable(text) if is_deep(text) else text).strip(wire.BLANK)
        given = text.replace("\r", " ")
        log.write(f'{{"node": {wire.encode(node)}, "input": {given}, "output": ['.encode())
        for piece in output:
            log.write(piece.encode())
        log.write(f'], "action": "{action}"}}\n'.encode())

    def resume_log(self) -> None:
        """Begin or continue the log of a node with storage.

        The records that were not saved are dropped.  A log of an earlier run goes on with a crash
        and a restart, however that run ended; any other begins with the state, if there is one.
        """
        storage, log = self.storage, self.log
        if storage is None or log is None:
            return
        node = storage.cluster[0] if storage.cluster is not None else None
        begun = f'{{"node": {wire.encode(node)}, '.encode()
        state = begun + b'"input": {"event": "state", '
        if node is not None and not log.holds(storage.logged, begun if storage.logged else state):
            raise StorageError(
                f"{log.name} is not the log that goes with {storage.path}: no record of {node} "
                f"ends at byte {storage.logged}; {RESTORE_LOG}"
            )
        log.cut(storage.logged)
        if node is None:
            return
        if storage.logged:
            self.record(log, node, '"crash"', [], "Crash")
            self.record(log, node, '"restart"', [], "Restart")
        else:
            log.write(state)
            for piece in text_of_state(storage.acceptor):
                log.write(piece.encode())
            log.write(b'}, "output": [], "action": "State"}\n')


def text_of_state(acceptor: Acceptor) -> Iterator[str]:
    """Yield the fields of the durable state as JSON, with one decided value in memory."""
    votes = wire.text_of_votes(acceptor.accepted)
    yield f'"promised": {acceptor.promised}, "accepted": [{votes}], "decided": ['
    separator = ""
    for slot, value in acceptor.decided.read(acceptor.known):
        yield separator + wire.text_of_decisions({slot: value})
        separator = ", "
    yield "]"
