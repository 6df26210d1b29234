"""The automaton: one method for each action of the spec, under its name, and for each helper.

A step takes one message or event, changes the state and returns what to send, in the spec's order;
nothing here knows time, disk, JSON or chance, and why a step is safe is told in the spec.
"""
from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from .acceptor import Acceptor
from .leader import Leader
from .members import Members
from .messages import (
    Accept,
    Accepted,
    Body,
    Decided,
    Envelope,
    Learn,
    Learned,
    MultiPaxosLogOk,
    MultiPaxosPropose,
    MultiPaxosProposeOk,
    Prepare,
    Promise,
    Rejected,
    Value,
    Vote,
)
from .slots import Slots

Output = list[Envelope]


class Replica:
    """One node's state, `replica[n]` in the spec, and its steps."""

    def __init__(self, node: str, members: Members, batch: int) -> None:
        self.node = node
        self.members = members
        self.peers = members.peers(node)
        self.batch = batch
        self.up = True
        self.acceptor = Acceptor()
        self.leader = Leader()

    # Clients.

    def receive_multi_paxos_propose(self, m: Envelope) -> Output:
        """ReceiveMultiPaxosPropose."""
        slot, out = m.body.slot, []
        if slot in self.acceptor.decided:
            return [self.propose_ok(m, True, self.acceptor.decided[slot])]
        if m in self.leader.waiting.get(slot, ()):
            return []
        leading = self.leading()
        self.leader.waiting.setdefault(slot, {})[m] = leading
        if leading:
            self.serve(out, m.body)
        elif not self.in_phase1():
            self.start_ballot(out)
        return out

    def receive_multi_paxos_log(self, m: Envelope) -> Output:
        """ReceiveMultiPaxosLog."""
        log = {slot: self.acceptor.decided[slot] for slot in self.acceptor.known}
        return [self.answer(m, MultiPaxosLogOk(m.body.msg_id, log))]

    # Phase 1.

    def receive_prepare(self, m: Envelope) -> Output:
        """ReceivePrepare."""
        acceptor = self.acceptor
        self.follow(m.body.ballot)
        if m.body.ballot < acceptor.promised:
            return [self.answer(m, Rejected(acceptor.promised))]
        known = Slots(m.body.known)
        votes = {slot: acceptor.accepted[slot]
                 for slot in sorted(acceptor.accepted) if slot not in known}
        closed = (acceptor.known - known).ranges()
        return [self.answer(m, Promise(m.body.ballot, votes, closed))]

    def receive_promise(self, m: Envelope) -> Output:
        """ReceivePromise."""
        leader, out = self.leader, []
        if not self.in_phase1() or m.body.ballot != leader.ballot:
            return out
        leader.promises.add(m.src)
        for slot, vote in m.body.accepted.items():
            if slot not in self.acceptor.decided:
                leader.reported[slot] = self.higher(vote, slot)
        leader.closed.update(Slots(m.body.known) - self.acceptor.known)
        if self.leading():
            self.lead(out)
        return out

    # Phase 2.

    def receive_accept(self, m: Envelope) -> Output:
        """ReceiveAccept."""
        ballot, slot, value = m.body
        if slot in self.acceptor.decided:
            return [self.answer(m, Decided(slot, self.acceptor.decided[slot]))]
        if ballot < self.acceptor.promised:
            return [self.answer(m, Rejected(self.acceptor.promised))]
        self.follow(ballot)
        self.vote_for(ballot, slot, value)
        return [self.answer(m, Accepted(ballot, slot))]

    def receive_accepted(self, m: Envelope) -> Output:
        """ReceiveAccepted."""
        out: Output = []
        if m.body.ballot == self.leader.ballot and m.body.slot in self.leader.votes:
            self.count(out, m.body.slot, m.src)
        return out

    def receive_rejected(self, m: Envelope) -> Output:
        """ReceiveRejected."""
        self.follow(m.body.promised)
        return []

    def receive_decided(self, m: Envelope) -> Output:
        """ReceiveDecided."""
        out: Output = []
        self.decide(out, m.body.slot, m.body.value)
        return out

    # Catching up.

    def receive_learn(self, m: Envelope) -> Output:
        """ReceiveLearn: no more slots are looked at than are told."""
        missing = self.acceptor.known - Slots(m.body.known)
        some = list(islice(missing, self.batch + 1))
        if not some:
            return []
        decided = {slot: self.acceptor.decided[slot] for slot in some[:self.batch]}
        return [self.answer(m, Learned(decided, len(some) > self.batch))]

    def receive_learned(self, m: Envelope) -> Output:
        """ReceiveLearned."""
        out: Output = []
        for slot in sorted(m.body.decided):
            self.decide(out, slot, m.body.decided[slot])
        if m.body.more:
            out.append(self.answer(m, self.learn()))
        return out

    # Events.

    def timeout(self) -> Output:
        """Timeout."""
        out: Output = []
        if self.stuck() and not self.in_phase1():
            self.start_ballot(out)
        else:
            self.again(out)
        return out

    def crash(self) -> Output:
        """Crash."""
        self.leader = Leader()
        self.up = False
        return []

    def restart(self) -> Output:
        """Restart."""
        self.up = True
        return []

    # The operators that the actions are made of; `out` is the output of the step so far.

    def leading(self) -> bool:
        return self.leader.ballot > 0 and self.members.is_quorum(self.leader.promises)

    def in_phase1(self) -> bool:
        return self.leader.ballot > 0 and not self.members.is_quorum(self.leader.promises)

    def follow(self, ballot: int) -> None:
        if ballot > self.acceptor.promised:
            self.acceptor.promised = ballot
            self.leader = Leader(waiting=self.leader.waiting)

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        self.acceptor.accepted[slot] = Vote(ballot, value)

    def higher(self, vote: Vote, slot: int) -> Vote:
        other = self.leader.reported.get(slot)
        return vote if other is None or other.ballot < vote.ballot else other

    def decide(self, out: Output, slot: int, value: Value) -> None:
        if slot in self.acceptor.decided:
            return
        self.acceptor.decide(slot, value)
        for request, skipped in self.leader.forget(slot).items():
            out.append(self.propose_ok(request, skipped, value))

    def count(self, out: Output, slot: int, voter: str) -> None:
        voters = self.leader.votes[slot]
        voters.add(voter)
        if self.members.is_quorum(voters):
            value = self.acceptor.accepted[slot].value
            self.decide(out, slot, value)
            self.send(out, self.peers, Decided(slot, value))

    def propose(self, out: Output, slot: int, value: Value) -> None:
        self.vote_for(self.leader.ballot, slot, value)
        self.leader.votes[slot] = set()
        self.send(out, self.peers, Accept(self.leader.ballot, slot, value))
        self.count(out, slot, self.node)

    def serve(self, out: Output, request: MultiPaxosPropose) -> None:
        slot = request.slot
        if slot not in self.leader.votes and slot not in self.leader.closed:
            self.propose(out, slot, request.value)

    def lead(self, out: Output) -> None:
        inherited, self.leader.reported = self.leader.reported, {}
        for slot in sorted(inherited):
            if slot not in self.leader.closed:
                self.propose(out, slot, inherited[slot].value)
        # Of the requests for one slot only the first can find it free.
        for first in [next(iter(requests)) for requests in self.leader.waiting.values()]:
            self.serve(out, first.body)
        if self.leader.closed:
            self.send(out, self.peers, self.learn())

    def start_ballot(self, out: Output) -> None:
        ballot = self.members.next_ballot(self.node, self.acceptor.promised)
        late = {slot: dict.fromkeys(requests, False)
                for slot, requests in self.leader.waiting.items()}
        self.acceptor.promised = ballot
        self.leader = Leader(ballot=ballot, promises={self.node},
                             reported=dict(self.acceptor.accepted), waiting=late)
        self.send(out, self.peers, Prepare(ballot, self.acceptor.known.ranges()))
        if self.leading():
            self.lead(out)

    def again(self, out: Output) -> None:
        leader = self.leader
        if self.in_phase1():
            prepare = Prepare(leader.ballot, self.acceptor.known.ranges())
            self.send(out, self.silent(leader.promises), prepare)
            return
        for slot in sorted(leader.votes):
            accept = Accept(leader.ballot, slot, self.acceptor.accepted[slot].value)
            self.send(out, self.silent(leader.votes[slot]), accept)
        if leader.ballot == 0 or leader.closed:
            self.send(out, self.peers, self.learn())

    def stuck(self) -> bool:
        return any(self.leader.ballot == 0 or slot in self.leader.closed
                   for slot in self.leader.waiting)

    def silent(self, heard: set[str]) -> Iterable[str]:
        return [peer for peer in self.peers if peer not in heard]

    def learn(self) -> Learn:
        return Learn(self.acceptor.known.ranges())

    def propose_ok(self, request: Envelope, skipped: bool, value: Value) -> Envelope:
        ok = MultiPaxosProposeOk(request.body.msg_id, request.body.slot, skipped, True, value)
        return self.answer(request, ok)

    def answer(self, m: Envelope, body: Body) -> Envelope:
        return Envelope(self.node, m.src, body)

    def send(self, out: Output, nodes: Iterable[str], body: Body) -> None:
        out.extend(Envelope(self.node, node, body) for node in nodes)
