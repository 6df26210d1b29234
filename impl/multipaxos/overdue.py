"""Which open slots are overdue, so that their accepts are sent again.

Under load an answer is late because it queues behind others.  Resending everything unanswered would
make the queues longer.  So a slot is overdue in two cases only:

- It is overtaken: a slot whose accepts were sent a retry interval later is decided (as in RACK for
  TCP, RFC 8985).
- No slot was decided for a retry interval, plus a little for each open slot and each input of that
  time, since an answer may queue behind these.

Accepts are resent in bursts, the oldest slots first.  A burst is bounded in slots and in bytes.  It
is half as long after a burst without success, down to one slot, and up to twice as long after a
successful one: peers that do not answer get few messages, and all open slots soon after they are
back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from .messages import Accept, Decided, Sent
from .replica import MESSAGE_BYTES, Replica
from .slots import Ranges, Slots

SECONDS_PER_LINE = 0.0005
"""How much longer an answer may take for each line that it may queue behind."""

MAX_QUEUE_SECONDS = 30.0
"""The longest time that an answer is expected to queue, in seconds."""


class Moment(NamedTuple):
    """A time in seconds, and the number of inputs that the node had taken by then."""

    seconds: float
    inputs: int


def response_timeout(seconds: float, lines: int) -> float:
    """Return how long to wait for an answer that may queue behind this many lines, in seconds."""
    return seconds + min(SECONDS_PER_LINE * lines, MAX_QUEUE_SECONDS)


class Unanswered:
    """The open slots of the ballot that the node runs, in the order of their last accepts.

    `sent` has the time of these; `repeated` are slots whose accepts were resent, `burst` those of
    the last burst without a decision, `most` the slots of the next one.  `reached` is the time of
    the latest accepts that are known to be answered.
    """

    def __init__(self, replica: Replica, retry: float) -> None:
        self.replica = replica
        self.retry = retry
        self.sent: OrderedDict[int, Moment] = OrderedDict()
        self.repeated: set[int] = set()
        self.burst: set[int] = set()
        self.most = replica.batch
        self.progress = Moment(0.0, 0)
        self.reached = 0.0

    def note_step(self, output: Iterable[Sent], now: Moment) -> bool:
        """Note what a step sent; return whether the last burst is decided with it."""
        last, ended = None, False
        for _, body in output:
            if body is last:
                # The same message to another peer.
                continue
            last = body
            if type(body) is Accept:
                self.note_sent(body.slot, now)
            elif type(body) is Decided and body.slot in self.sent:
                ended |= self.note_decided(body.slot, now)
        return ended

    def note_sent(self, slot: int, now: Moment) -> None:
        if slot in self.sent:
            self.repeated.add(slot)
            self.sent.move_to_end(slot)
        self.sent[slot] = now

    def note_decided(self, slot: int, now: Moment) -> bool:
        self.progress = now
        sent = self.sent.pop(slot)
        if slot not in self.repeated:
            self.reached = max(self.reached, sent.seconds)
            return False
        # It is unknown which of its accepts were answered, so one slot alone shows nothing.
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
        """Return the slots of the next burst, empty if no slot is overdue."""
        found: list[int] = []
        bytes_left = MESSAGE_BYTES
        for slot, sent in list(islice(self.sent.items(), self.most)):
            if slot not in self.replica.leader.votes:
                # It was decided in another ballot.
                del self.sent[slot]
                continue
            bytes_left -= len(self.replica.acceptor.accepted[slot].value)
            if not self.is_overdue(sent, now) or (found and bytes_left < 0):
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

    def is_overdue(self, sent: Moment, now: Moment) -> bool:
        if self.reached - sent.seconds >= self.retry:
            return True
        since = max(sent, self.progress)
        lines = now.inputs - since.inputs + len(self.sent)
        return now.seconds - since.seconds >= response_timeout(self.retry, lines)
