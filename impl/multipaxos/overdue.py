"""Which open slots are overdue, so that their accepts are sent again.

Under load an answer takes long because it queues behind others; to repeat everything that is not
answered would make the queues longer, and the answers later.  So only two things make a slot
overdue:

- It is overtaken: a slot whose accepts left a retry interval later is decided (as RACK does it for
  TCP, RFC 8985).
- Nothing is decided for a retry interval, and a little longer for each slot that is open and each
  input of that time, since an answer may queue behind these.

Repetitions leave in bursts, the oldest slots first.  A burst is bounded in slots and in bytes, is
half as long if the one before it was in vain, down to one slot, and may be twice as long if it was
not: peers that do not answer get little, and all that is open soon after they are back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from .messages import Accept, Decided, Message
from .replica import ROOM, Replica
from .slots import Ranges, Slots

SECONDS_A_LINE = 0.0005
"""How much longer an answer may take for each line that it may queue behind."""

LONGEST_QUEUE = 30.0
"""Seconds that an answer is thought to queue at most."""


class Moment(NamedTuple):
    """A time in seconds, and how many inputs the node had taken by then."""

    seconds: float
    inputs: int


def patience(seconds: float, lines: int) -> float:
    """Return how long to wait for an answer that may queue behind so many lines."""
    return seconds + min(SECONDS_A_LINE * lines, LONGEST_QUEUE)


class Unanswered:
    """The open slots of the ballot that the node runs, in the order in which accepts last left."""

    def __init__(self, replica: Replica, retry: float) -> None:
        self.replica = replica
        self.retry = retry
        self.sent: OrderedDict[int, Moment] = OrderedDict()
        self.repeated: set[int] = set()
        self.burst: set[int] = set()
        self.most = replica.batch
        self.progress = Moment(0.0, 0)
        self.reached = 0.0

    def stepped(self, output: Iterable[Message], now: Moment) -> bool:
        """Take note of what a step sent; return whether it ends the last burst of repetitions."""
        last, ended = None, False
        for message in output:
            body = message.body
            if body is last:
                # It goes to several peers.
                continue
            last = body
            if type(body) is Accept:
                self.leaves(body.slot, now)
            elif type(body) is Decided and body.slot in self.sent:
                ended |= self.answered(body.slot, now)
        return ended

    def leaves(self, slot: int, now: Moment) -> None:
        if slot in self.sent:
            self.repeated.add(slot)
            self.sent.move_to_end(slot)
        self.sent[slot] = now

    def answered(self, slot: int, now: Moment) -> bool:
        self.progress = now
        sent = self.sent.pop(slot)
        if slot not in self.repeated:
            self.reached = max(self.reached, sent.seconds)
            return False
        # It cannot be known which of its accepts were answered, so one alone shows nothing.
        self.repeated.discard(slot)
        if slot not in self.burst:
            return False
        self.burst.discard(slot)
        if self.burst:
            return False
        self.reached = max(self.reached, sent.seconds)
        self.most = min(2 * self.most, self.replica.batch)
        return True

    def overdue(self, now: Moment) -> Ranges:
        """Return the slots of the next burst; none if no slot is overdue."""
        found: list[int] = []
        room = ROOM
        for slot, sent in list(islice(self.sent.items(), self.most)):
            if slot not in self.replica.leader.votes:
                # It was decided in another ballot.
                del self.sent[slot]
                continue
            room -= len(self.replica.acceptor.accepted[slot].value)
            if not self.is_late(sent, now) or (found and room < 0):
                break
            found.append(slot)
        if found:
            if self.burst:
                self.most = max(1, self.most // 2)
            self.burst = set(found)
        slots = Slots()
        for slot in sorted(found):
            slots.add(slot)
        return slots.ranges()

    def is_late(self, sent: Moment, now: Moment) -> bool:
        if self.reached - sent.seconds >= self.retry:
            return True
        since = max(sent, self.progress)
        lines = now.inputs - since.inputs + len(self.sent)
        return now.seconds - since.seconds >= patience(self.retry, lines)
