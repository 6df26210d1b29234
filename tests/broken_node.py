"""A node with one bug that real implementations have had, to show that the harness catches it.

    python tests/broken_node.py NAME [options of the node]
    python tests/broken_node.py --list

Every class here is the right one with one method wrong, and is named by its bug; nothing else of
the node may differ, and how a bug is caught is not told here.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "impl"))

from multipaxos import node, process
from multipaxos.acceptor import Acceptor
from multipaxos.leader import Leader, Waiting
from multipaxos.members import Members
from multipaxos.messages import UNAVAILABLE, Accepted, Prepare, Rejected
from multipaxos.replica import Replica
from multipaxos.slots import Slots


class PromiseLostAtRestart(Replica):
    def restart(self):
        self.acceptor.promised = 0
        return super().restart()


class VoteLostAtRestart(Replica):
    def restart(self):
        self.acceptor.accepted = {}
        return super().restart()


class DiskLostAtRestart(Replica):
    def restart(self):
        vars(self.acceptor).update(vars(Acceptor()))
        return super().restart()


class BallotUsedAgainAfterRestart(Replica):
    """The node's own promise is not made durable."""

    def restart(self):
        if self.acceptor.promised and self.members.owner(self.acceptor.promised) == self.node:
            self.acceptor.promised -= 1
        return super().restart()


class OwnValueThoughVotesReported(Replica):
    def lead(self, out):
        for slot in self.leader.waiting.by_slot:
            self.leader.reported.pop(slot, None)
        super().lead(out)


class LowestVoteInherited(Replica):
    def higher(self, vote, slot):
        other = self.leader.reported.get(slot, vote)
        return vote if vote.ballot < other.ballot else other


class FirstVoteInherited(Replica):
    def higher(self, vote, slot):
        return self.leader.reported.get(slot, vote)


class LastVoteInherited(Replica):
    def higher(self, vote, slot):
        return vote


class InheritedVotesNotProposedAgain(Replica):
    """Only the slots that a client waits for are proposed in."""

    def lead(self, out):
        for slot in self.leader.reported.keys() - self.leader.waiting.by_slot.keys():
            del self.leader.reported[slot]
        super().lead(out)


class VoteOnlyAbovePromise(Replica):
    def receive_accept(self, m):
        if m.body.ballot == self.acceptor.promised and m.body.slot not in self.acceptor.decided:
            return [self.answer(m, Rejected(self.acceptor.promised))]
        return super().receive_accept(m)


class VoteOnlyAtPromise(Replica):
    def receive_accept(self, m):
        if m.body.ballot > self.acceptor.promised and m.body.slot not in self.acceptor.decided:
            return [self.answer(m, Rejected(self.acceptor.promised))]
        return super().receive_accept(m)


class VoteBelowPromise(Replica):
    def receive_accept(self, m):
        if m.body.ballot < self.acceptor.promised and m.body.slot not in self.acceptor.decided:
            self.acceptor.vote_for(m.body.ballot, m.body.slot, m.body.value)
            return [self.answer(m, Accepted(m.body.ballot, m.body.slot))]
        return super().receive_accept(m)


class PromiseNotKept(Replica):
    """A prepare passes although a higher ballot is promised."""

    def receive_prepare(self, m):
        if m.body.ballot < self.acceptor.promised:
            self.acceptor.promised = m.body.ballot
        return super().receive_prepare(m)


class DecisionOverwritten(Replica):
    """An accept for a decided slot decides it anew."""

    def receive_accept(self, m):
        if m.body.slot in self.acceptor.decided:
            self.acceptor.decided[m.body.slot] = m.body.value
            return [self.answer(m, Accepted(m.body.ballot, m.body.slot))]
        return super().receive_accept(m)


class PromiseCoversOneSlot(Replica):
    def receive_prepare(self, m):
        votes = self.acceptor.accepted
        self.acceptor.accepted = {slot: votes[slot] for slot in sorted(votes)[:1]}
        out = super().receive_prepare(m)
        self.acceptor.accepted = votes
        return out


class PromiseHidesDecisions(Replica):
    """Neither a vote nor the decision is told of a slot that the acceptor knows to be decided."""

    def receive_prepare(self, m):
        return [
            replace(sent, body=replace(sent.body, known=()))
            if hasattr(sent.body, "known")
            else sent
            for sent in super().receive_prepare(m)
        ]


class ReportsMergedInWrongSlot(Replica):
    def receive_promise(self, m):
        moved = {slot + 1: vote for slot, vote in m.body.accepted.items()}
        return super().receive_promise(replace(m, body=replace(m.body, accepted=moved)))


class OldPromisesCounted(Replica):
    """A promise for another ballot of this node counts as well."""

    def receive_promise(self, m):
        return super().receive_promise(replace(m, body=replace(m.body, ballot=self.leader.ballot)))


class ClosedSlotsAreFree(Replica):
    def lead(self, out):
        self.leader.closed = Slots()
        super().lead(out)


class Phase1SkippedAfterPreemption(Replica):
    """Who has led once takes a higher ballot as led."""

    led = False

    def lead(self, out):
        self.led = True
        super().lead(out)

    def start_ballot(self, out):
        if not self.led:
            return super().start_ballot(out)
        ballot = self.members.next_ballot(self.node, self.acceptor.promised)
        self.acceptor.promised = ballot
        self.leader = Leader(
            ballot=ballot, promises=set(self.members.nodes), waiting=self.leader.waiting
        )
        self.lead(out)


class QuorumIsHalf(Members):
    def __init__(self, nodes):
        super().__init__(nodes)
        self.quorum = (len(nodes) + 1) // 2


class QuorumOfTwo(Members):
    """Right in a cluster of three, so only a bigger one can tell."""

    def __init__(self, nodes):
        super().__init__(nodes)
        self.quorum = min(2, len(nodes))


class BallotsOfNodesEqual(Members):
    def next_ballot(self, node, ballot):
        return ballot + 1


class PrepareNeverSentAgain(Replica):
    def again(self, out):
        if not self.in_phase1():
            super().again(out)


class AcceptNeverSentAgain(Replica):
    def accept_again(self, out, slots):
        pass


class DecidedOneVoteEarly(Replica):
    def count(self, out, slot, voter):
        voters = self.leader.votes[slot]
        if len(voters | {voter}) < self.quorum:
            voters.add("one more")
        super().count(out, slot, voter)
        voters.discard("one more")


class SameVoterCountedTwice(Replica):
    def count(self, out, slot, voter):
        if voter in self.leader.votes[slot]:
            voter += " again"
        super().count(out, slot, voter)


class Phase1SkippedToldAtReply(Replica):
    def propose_ok(self, request, skipped, value):
        return super().propose_ok(request, skipped or self.leading(), value)


class LoserToldItsOwnValue(Replica):
    def propose_ok(self, request, skipped, value):
        return super().propose_ok(request, skipped, request.body.value)


class WaitingDroppedAtPreemption(Replica):
    def follow(self, ballot):
        if ballot > self.acceptor.promised:
            self.leader.waiting = Waiting()
        super().follow(ballot)


class WaitingForgottenByTime(Replica):
    """A request that was preempted waits for ever."""

    def stuck(self):
        return False


class RefusedThoughProposed(Replica):
    """A request that is given up is always said to have come to nothing."""

    def given_up(self, request, code):
        return super().given_up(request, UNAVAILABLE)


class NewestGivenUp(Replica):
    def expire(self):
        waiting = self.leader.waiting
        oldest, waiting.oldest = waiting.oldest, list(waiting)[-1]
        out = super().expire()
        waiting.oldest = oldest
        return out


class GivenUpIsForgotten(Replica):
    """What was proposed is not pursued any more when nobody waits for it."""

    def expire(self):
        out = super().expire()
        for slot in self.leader.votes.keys() - self.leader.waiting.by_slot.keys():
            del self.leader.votes[slot]
        return out


class LeaderNeverInquires(Replica):
    def inquire(self):
        return [] if self.leading() else super().inquire()


class LearnedPageIsTheLast(Replica):
    def receive_learned(self, m):
        return super().receive_learned(replace(m, body=replace(m.body, more=False)))


class PrepareKnowsEverything(Replica):
    """Nothing is reported of slots below the highest decided one, gaps included."""

    def send(self, out, nodes, body):
        if isinstance(body, Prepare) and body.known:
            body = replace(body, known=((0, body.known[-1][1]),))
        super().send(out, nodes, body)


def name_of(bug: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", bug.__name__).lower()


BUGS = {
    name_of(bug): bug
    for bug in list(globals().values())
    if isinstance(bug, type) and bug.__module__ == __name__
}


def replica_with(bug: type) -> type[Replica]:
    """The replica that has the bug, be it in the replica itself or in what it knows of members."""
    if issubclass(bug, Replica):
        return bug

    class Broken(Replica):
        def __init__(self, name, members, *others):
            super().__init__(name, bug(members.nodes), *others)

    return Broken


def main() -> int:
    if sys.argv[1:] == ["--list"]:
        print("\n".join(BUGS))
        return 0
    if len(sys.argv) < 2 or sys.argv[1] not in BUGS:
        print(__doc__, file=sys.stderr)
        return 2
    node.Replica = replica_with(BUGS[sys.argv[1]])
    return process.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
