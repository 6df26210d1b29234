"""When a node takes the events that no message tells: `timeout`, `inquire` and `expire`.

Only when.  What happens then is told in `replica`; the time and the chance are given from outside,
in seconds and as a generator, so that a simulated clock does as well as a real one.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from .messages import Envelope
from .replica import Replica

LONGEST_BACKOFF = 64
"""How many times the first back-off the longest may be."""


@dataclass(frozen=True)
class Pace:
    """How long a node waits, in seconds: before it repeats what is not answered, before it asks
    around when it has nothing to do, at most after it was outbid for the first time, and before it
    gives a request up (0 for never)."""

    retry: float = 0.1
    idle: float = 1.0
    backoff: float = 0.05
    request_timeout: float = 4.0


class Clock:
    """The time of one node that has others to wait for.  It is told what happened, and tells what
    is due."""

    def __init__(self, replica: Replica, pace: Pace, chance: Random, now: float) -> None:
        self.replica = replica
        self.pace = pace
        self.chance = chance
        self.deadlines: deque[tuple[float, int]] = deque()
        self.ballot = 0
        self.decided = 0
        self.outbid = 0
        self.held_until = now
        self.last_work: object = None
        self.idle_since = now
        self.tick = now + self.jitter(pace.retry)

    def due(self) -> float:
        """When time is to be given to the node next."""
        times = [self.tick]
        if self.wants_a_ballot():
            times.append(self.held_until)
        if self.deadlines:
            times.append(self.deadlines[0][0])
        return min(times)

    def asked(self, request: Envelope, now: float) -> None:
        """A client's request has been taken."""
        numbers = self.replica.leader.waiting.of.get(request.body.slot)
        if numbers and self.pace.request_timeout:
            self.deadlines.append((now + self.pace.request_timeout, numbers[-1]))

    def stepped(self, now: float) -> None:
        """A step was taken: see whether the node was outbid.

        Two nodes that outbid each other wait at random, for longer and longer, until one of them
        has had something decided in its ballot.
        """
        ballot = self.replica.leader.ballot
        if ballot == self.ballot:
            return
        decided = len(self.replica.acceptor.decided)
        if ballot == 0:
            self.outbid = 0 if decided > self.decided else self.outbid + 1
            most = self.pace.backoff * min(2 ** self.outbid, LONGEST_BACKOFF)
            self.held_until = now + self.chance.uniform(0, most)
        self.ballot, self.decided = ballot, decided

    def holding(self, now: float) -> bool:
        """Whether the node, having been outbid, waits before it bids again."""
        return now < self.held_until and self.replica.leader.ballot == 0

    def wants_a_ballot(self) -> bool:
        """Whether requests wait for a node that runs no ballot."""
        return bool(self.replica.leader.waiting) and self.replica.leader.ballot == 0

    def events(self, now: float) -> Iterator[str]:
        """What is due by now.  Each is to be taken before the next is asked for."""
        while self.deadlines and self.deadlines[0][0] <= now:
            # They wait in the order in which they came, so this one has waited longest.
            if self.deadlines.popleft()[1] in self.replica.leader.waiting:
                yield "expire"
        if self.wants_a_ballot():
            if now >= self.held_until:
                yield "timeout"
        elif now >= self.tick:
            yield from self.ticked(now)
        if now >= self.tick:
            self.tick = now + self.jitter(self.pace.retry)

    def ticked(self, now: float) -> Iterator[str]:
        """What has not moved since the last tick is repeated; who has nothing to do asks around."""
        while self.deadlines and self.deadlines[0][1] not in self.replica.leader.waiting:
            self.deadlines.popleft()
        work = self.work()
        if work is None:
            if now - self.idle_since >= self.pace.idle:
                self.idle_since = now
                yield "inquire"
        else:
            self.idle_since = now
            if work == self.last_work:
                yield "timeout"
        self.last_work = work

    def work(self) -> object:
        """What the node has been at for longest; None if it is at nothing."""
        leader = self.replica.leader
        if self.replica.in_phase1():
            return leader.ballot
        if leader.votes or leader.closed:
            return leader.ballot, next(iter(leader.votes), None), next(iter(leader.closed), None)
        return None

    def jitter(self, seconds: float) -> float:
        return seconds * self.chance.uniform(0.8, 1.2)
