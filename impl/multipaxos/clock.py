"""When a node takes the events that no message brings: `timeout`, `repeat`, `inquire` and
`expire`.

Only when.  What happens then is defined in `replica`, which open slots are overdue in `overdue`;
the time (in seconds) and the random generator are given from outside, so a simulated clock does as
well as a real one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from .messages import Repeat, Request
from .overdue import Moment, Unanswered, patience
from .replica import Output, Replica

LONGEST_BACKOFF = 64
"""How many times the first back-off the longest may be."""

STUCK = 5
"""How many retry intervals a leader waits for a closed slot before it runs Phase 1 again."""


BYTES_A_SECOND = 10e6
"""How fast a long message is thought to arrive, at the least."""


def grown(times: int) -> int:
    """Return by how much a wait that doubles each time has grown."""
    return min(1 << times, LONGEST_BACKOFF)


@dataclass(frozen=True)
class Pace:
    """How long a node waits, in seconds: before it repeats what is not answered, before it queries
    its peers when it has nothing to do, at most after it was preempted for the first time, and
    before it gives a request up (0 for never)."""

    retry: float = 0.1
    idle: float = 1.0
    backoff: float = 0.05
    request_timeout: float = 4.0


class Clock:
    """The time of one node that has peers to wait for."""

    def __init__(self, replica: Replica, pace: Pace, chance: Random, now: float) -> None:
        self.replica = replica
        self.pace = pace
        self.chance = chance
        self.inputs = 0
        self.deadlines: deque[tuple[Moment, int]] = deque()
        self.unanswered = Unanswered(replica, pace.retry)
        self.ballot = 0
        self.decided = 0
        self.outbid = 0
        self.held_until = now
        self.prepared = now
        self.prepares = 0
        self.last_closed: tuple[int, int] | None = None
        self.closed_since = now
        self.idle_since = now
        self.tick = now + self.jitter(pace.retry)

    def due(self) -> float:
        """Return the time of the next event, if no message comes before."""
        times = [self.tick]
        if self.wants_a_ballot():
            times.append(self.held_until)
        if self.deadlines:
            times.append(self.deadline())
        return min(times)

    def asked(self, request: Request, now: float) -> None:
        """Take note of a client's request that the node has taken."""
        waiting = self.replica.leader.waiting
        if request.body.slot in waiting.of and self.pace.request_timeout:
            self.deadlines.append((Moment(now, self.inputs), waiting.newest))

    def stepped(self, now: float, output: Output) -> None:
        """Take note of a step: see whether the node was preempted.

        Two nodes that preempt each other wait for a random time, which grows until one of them has
        a slot decided in its ballot.
        """
        self.inputs += 1
        ballot = self.replica.leader.ballot
        if ballot != self.ballot:
            decided = len(self.replica.acceptor.decided)
            if ballot == 0:
                self.outbid = 0 if decided > self.decided else self.outbid + 1
                most = self.pace.backoff * grown(self.outbid)
                self.held_until = now + self.chance.uniform(0, most)
            self.ballot, self.decided = ballot, decided
            self.prepared, self.prepares = now, 0
            self.unanswered = Unanswered(self.replica, self.pace.retry)
        if ballot and self.unanswered.stepped(output, Moment(now, self.inputs)):
            # All that was repeated is decided.  If more is overdue, it need not wait.
            self.tick = now

    def holding(self, now: float) -> bool:
        """Whether the node, preempted, waits before it starts a new ballot."""
        return now < self.held_until and self.replica.leader.ballot == 0

    def wants_a_ballot(self) -> bool:
        """Whether requests wait for a node that runs no ballot."""
        return bool(self.replica.leader.waiting) and self.replica.leader.ballot == 0

    def events(self, now: float) -> Iterator[str | Repeat]:
        """Yield the events that are due.  Each is to be taken before the next is asked for."""
        while self.deadlines:
            # Requests wait in the order in which they came, so this one has waited longest.
            waits = self.deadlines[0][1] in self.replica.leader.waiting
            if waits and now < self.deadline():
                break
            self.deadlines.popleft()
            if waits:
                yield "expire"
        if self.wants_a_ballot():
            if now >= self.held_until:
                yield "timeout"
        elif now >= self.tick:
            yield from self.ticked(now)
        if now >= self.tick:
            self.tick = now + self.jitter(self.pace.retry)

    def deadline(self) -> float:
        """Return the time when the request that has waited longest is given up."""
        asked, _ = self.deadlines[0]
        return asked.seconds + patience(self.pace.request_timeout, self.inputs - asked.inputs)

    def ticked(self, now: float) -> Iterator[str | Repeat]:
        """Yield the events of a tick: repeat what is overdue; query the peers if there is a closed
        slot, or nothing to do."""
        leader = self.replica.leader
        if self.replica.in_phase1():
            self.idle_since = now
            if now - self.prepared >= self.patience_in_phase1():
                self.prepared, self.prepares = now, self.prepares + 1
                yield "timeout"
        elif leader.votes or leader.closed:
            self.idle_since = now
            if slots := self.unanswered.overdue(Moment(now, self.inputs)):
                yield Repeat(slots)
            yield from self.closed(now)
        elif now - self.idle_since >= self.pace.idle:
            self.idle_since = now
            yield "inquire"

    def patience_in_phase1(self) -> float:
        """Return how long to wait for promises.  They report votes, so they may be as long as what
        this node would report, and each prepare that is sent again brings them again."""
        votes = self.replica.acceptor.accepted.values()
        transfer = sum(len(vote.value) for vote in votes) / BYTES_A_SECOND
        return self.pace.retry * grown(self.prepares) + transfer

    def closed(self, now: float) -> Iterator[str]:
        """Yield what a leader does about closed slots that its peers have not told it of."""
        leader = self.replica.leader
        first = next(iter(leader.closed), None)
        closed = None if first is None else (leader.ballot, first)
        if closed != self.last_closed:
            self.last_closed, self.closed_since = closed, now
        elif closed is not None:
            late = now - self.closed_since >= STUCK * self.pace.retry
            yield "timeout" if late and self.replica.stuck() else "inquire"

    def jitter(self, seconds: float) -> float:
        return seconds * self.chance.uniform(0.8, 1.2)
