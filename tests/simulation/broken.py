"""Parts of a node with one bug each in how it uses its disk and its time.

They are put into a simulated world to show that it catches them; the bugs of the protocol itself
are in `broken_node`.  Every class here is the right one with one method wrong, and is named by its
bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from multipaxos.clock import Clock
from multipaxos.messages import UNAVAILABLE
from multipaxos.node import Node
from multipaxos.replica import Output, Replica
from multipaxos.storage import Journal

from tests import broken_node
from tests.broken_node import name_of, replica_with

from .disk import Disk
from .lives import Parts


class OutputLeavesBeforeCommit(Node):
    """What a turn has changed is saved at the beginning of the next one."""

    def turn(self, lines: Iterable[bytes], now: float = 0.0) -> bytes:
        super().save()
        return super().turn(lines, now)

    def save(self) -> None:
        pass


class RepliesLeaveBeforeCommit(Node):
    """Only what changes a promise is saved in time."""

    def save(self) -> None:
        if self.storage is None or self.storage.acceptor.promised != self.storage.disk.promised:
            super().save()


class NothingSaved(Disk):
    def save(self, journal: Journal) -> None:
        pass


class PromiseNotSaved(Disk):
    def save(self, journal: Journal) -> None:
        promised = self.promised
        super().save(journal)
        self.promised = promised


class OwnPromiseNotSaved(Disk):
    """A ballot that the node leads may be used again after a restart."""

    def save(self, journal: Journal) -> None:
        promised = self.promised
        super().save(journal)
        node, members = self.cluster
        if journal.promised and members[(journal.promised - 1) % len(members)] == node:
            self.promised = promised


class VoteNotSaved(Disk):
    def save(self, journal: Journal) -> None:
        accepted = dict(self.accepted)
        super().save(journal)
        self.accepted = accepted


class CommitForgetsDecided(Disk):
    def save(self, journal: Journal) -> None:
        decided = dict(self.decided)
        super().save(journal)
        self.decided = decided


class VotesForgottenAtDecision(Disk):
    """A decision takes the votes of all slots with it."""

    def save(self, journal: Journal) -> None:
        super().save(journal)
        if journal.decisions:
            self.accepted = {}


class NoBackoff(Clock):
    """Who is outbid bids again at once."""

    def stepped(self, now: float, output: Output) -> None:
        super().stepped(now, output)
        self.held_until = now


class NeverRepeats(Clock):
    """What is not answered is not sent again."""

    def ticked(self, now: float) -> Iterator[str]:
        return (event for event in super().ticked(now) if event == "inquire")


class NeverInquires(Clock):
    """Who has nothing to do never asks what it has missed."""

    def ticked(self, now: float) -> Iterator[str]:
        return (event for event in super().ticked(now) if event != "inquire")


class NeverExpires(Clock):
    """A request that cannot be decided is never given up."""

    def events(self, now: float) -> Iterator[str]:
        return (event for event in super().events(now) if event != "expire")


class HeldForEver(Node):
    """A request that came while the node was backing off is forgotten."""

    def turn(self, lines: Iterable[bytes], now: float = 0.0) -> bytes:
        self.held.clear()
        return super().turn(lines, now)


class ErrorClaimsNothingHappened(Replica):
    """An `accept` may have left, and still the client is told that the value was not proposed."""

    def given_up(self, request, code):
        return super().given_up(request, UNAVAILABLE)


PLACES = {Node: "node", Replica: "replica", Clock: "clock", Disk: "disk"}


def parts_with(bug: type) -> Parts:
    """The parts of a node that has this bug, and no other."""
    for right, place in PLACES.items():
        if issubclass(bug, right):
            return Parts(**{place: bug})
    return Parts(replica=replica_with(bug))


BUGS = {
    **broken_node.BUGS,
    **{
        name_of(bug): bug
        for bug in list(globals().values())
        if isinstance(bug, type) and bug.__module__ == __name__
    },
}
