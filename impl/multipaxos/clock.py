"""The clock of a node: when it takes the events `timeout`, `repeat`, `inquire` and `expire`.

What an event does is in `replica`, and which open slots are overdue in `overdue`.  The caller
passes the time (in seconds) and the PRNG, so a simulated clock works as well as a real one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import MultiPaxosPropose, Repeat
from .overdue import Moment, Unanswered, response_timeout
from .replica import Output, Replica

if TYPE_CHECKING:
    from random import Random

MAX_BACKOFF_FACTOR = 64
"""The longest back-off, as a multiple of the first one."""

STUCK_RETRIES = 5
"""How many retry intervals a leader waits for a closed slot before it starts a new ballot."""


BYTES_PER_SECOND = 10e6
"""The lowest rate at which a long message is expected to arrive."""


def growth(times: int) -> int:
    """Return the factor by which a wait that doubles each time has grown."""
    return min(1 << times, MAX_BACKOFF_FACTOR)


@dataclass(frozen=True)
class Pace:
    """How long a node waits, in seconds.

    `retry`: before it resends unanswered messages.  `idle`: before it queries its peers when it has
    nothing to do.  `backoff`: at most, after it was preempted for the first time.
    `request_timeout`: before a request expires; 0 for never.
    """

    retry: float = 0.1
    idle: float = 1.0
    backoff: float = 0.05
    request_timeout: float = 4.0


class Clock:
    """The clock of one node that has peers."""

    def __init__(self, replica: Replica, pace: Pace, prng: Random, now: float) -> None:
        self.replica = replica
        self.pace = pace
        self.prng = prng
        self.inputs = 0
        self.deadlines: deque[tuple[Moment, int]] = deque()
        self.unanswered = Unanswered(replica, pace.retry)
        self.ballot = 0
        self.decided = 0
        self.preemptions = 0
        self.backoff_until = now
        self.prepare_sent = now
        self.resends = 0
        self.last_closed: tuple[int, int] | None = None
        self.closed_since = now
        self.idle_since = now
        self.tick = now + self.jitter(pace.retry)

    def due(self) -> float:
        """Return the time of the next event, if no message comes before."""
        times = [self.tick]
        if self.needs_ballot():
            times.append(self.backoff_until)
        if self.deadlines:
            times.append(self.deadline())
        return min(times)

    def note_request(self, request: MultiPaxosPropose, now: float) -> None:
        """Note a client's request that the node has taken."""
        waiting = self.replica.leader.waiting
        if request.slot in waiting.by_slot and self.pace.request_timeout:
            self.deadlines.append((Moment(now, self.inputs), waiting.newest))

    def note_step(self, now: float, output: Output) -> None:
        """Note a step, and whether it preempted the node.

        Two nodes that preempt each other wait for a random time, which grows until one of them has
        a slot decided in its ballot.
        """
        self.inputs += 1
        ballot = self.replica.leader.ballot
        if ballot != self.ballot:
            decided = self.replica.acceptor.known.count()
            if ballot == 0:
                self.preemptions = 0 if decided > self.decided else self.preemptions + 1
                most = self.pace.backoff * growth(self.preemptions)
                self.backoff_until = now + self.prng.uniform(0, most)
            self.ballot, self.decided = ballot, decided
            self.prepare_sent, self.resends = now, 0
            self.unanswered = Unanswered(self.replica, self.pace.retry)
        if ballot and self.unanswered.note_step(output, Moment(now, self.inputs)):
            # The whole burst is decided, so the next one need not wait.
            self.tick = now

    def note_query(self) -> None:
        """Note that a peer has queried this node: it is back, so a prepare need not wait longer."""
        self.resends = 0

    def note_answer(self, now: float) -> None:
        """Note that a peer has answered a query.

        While there is more to learn, the node replies to each answer with the next query.  Another
        query would only bring the same answers again.
        """
        self.idle_since = now

    def backing_off(self, now: float) -> bool:
        """Return whether the node was preempted and must wait before it starts a new ballot."""
        return now < self.backoff_until and self.replica.leader.ballot == 0

    def needs_ballot(self) -> bool:
        """Return whether requests wait and the node runs no ballot."""
        return bool(self.replica.leader.waiting) and self.replica.leader.ballot == 0

    def events(self, now: float) -> Iterator[str | Repeat]:
        """Yield the events that are due.  The node takes each before it asks for the next."""
        while self.deadlines:
            # Requests wait in the order in which they came, so this one has waited longest.
            waits = self.deadlines[0][1] in self.replica.leader.waiting.slots
            if waits and now < self.deadline():
                break
            self.deadlines.popleft()
            if waits:
                yield "expire"
        if self.needs_ballot():
            if now >= self.backoff_until:
                yield "timeout"
        elif now >= self.tick:
            yield from self.tick_events(now)
        if now >= self.tick:
            self.tick = now + self.jitter(self.pace.retry)

    def deadline(self) -> float:
        """Return the time when the oldest waiting request expires."""
        asked, _ = self.deadlines[0]
        return asked.seconds + response_timeout(
            self.pace.request_timeout, self.inputs - asked.inputs
        )

    def tick_events(self, now: float) -> Iterator[str | Repeat]:
        """Yield the events of a tick: repeat overdue slots; query the peers about a closed slot, or
        if there is nothing to do."""
        leader = self.replica.leader
        if self.replica.in_phase1():
            self.idle_since = now
            if now - self.prepare_sent >= self.promise_timeout():
                self.prepare_sent, self.resends = now, self.resends + 1
                yield "timeout"
        elif leader.votes or leader.closed:
            self.idle_since = now
            if slots := self.unanswered.overdue(Moment(now, self.inputs)):
                yield Repeat(slots)
            yield from self.closed_slot_events(now)
        elif now - self.idle_since >= self.pace.idle:
            self.idle_since = now
            yield "inquire"

    def promise_timeout(self) -> float:
        """Return how long to wait for promises, in seconds.

        A promise reports votes, so it is expected to be as long as that of this node would be, and
        each prepare that is sent again brings it again.
        """
        votes = self.replica.acceptor.accepted.values()
        transfer = sum(len(vote.value) for vote in votes) / BYTES_PER_SECOND
        return self.pace.retry * growth(self.resends) + transfer

    def closed_slot_events(self, now: float) -> Iterator[str]:
        """Yield the event for a closed slot whose decision the leader has not learned."""
        leader = self.replica.leader
        first = next(iter(leader.closed), None)
        closed = None if first is None else (leader.ballot, first)
        if closed != self.last_closed:
            self.last_closed, self.closed_since = closed, now
        elif closed is not None:
            late = now - self.closed_since >= STUCK_RETRIES * self.pace.retry
            yield "timeout" if late and self.replica.stuck() else "inquire"

    def jitter(self, seconds: float) -> float:
        return seconds * self.prng.uniform(0.8, 1.2)
