"""The protocol: one method for each action of the spec and for each helper, under its name.

A step takes one message or event, changes the state and returns the messages to send, in the spec's
order.  This module uses no time, disk, JSON or PRNG.  The spec explains why a step is safe.
"""

from __future__ import annotations

from collections.abc import Iterable

from .acceptor import Acceptor, Excerpt
from .leader import Leader
from .members import Members
from .messages import (
    INDEFINITE,
    UNAVAILABLE,
    Accept,
    Accepted,
    Body,
    Decided,
    Error,
    Learn,
    Learned,
    MultiPaxosLog,
    MultiPaxosLogOk,
    MultiPaxosPropose,
    MultiPaxosProposeOk,
    Poll,
    Prepare,
    Promise,
    Rejected,
    Sent,
    Value,
    Vote,
)
from .slots import Slots

Output = list[Sent]

MESSAGE_BYTES = 2**20
"""The most bytes of values in one message to a peer, or in one burst of accepts.  A single value
may be longer."""

REASONS = {
    INDEFINITE: "timed out: the value may still be decided",
    UNAVAILABLE: "timed out: the value was not proposed",
}


class Replica:
    """The state of one node, `replica[n]` in the spec, and its steps."""

    def __init__(
        self, node: str, members: Members, batch: int, acceptor: Acceptor | None = None
    ) -> None:
        self.node = node
        self.members = members
        self.peers = members.peers(node)
        self.batch = batch
        self.quorum = members.quorum
        self.up = True
        self.acceptor = acceptor or Acceptor()
        self.leader = Leader()
        self.versions: dict[str, int] = {}

    # Clients.

    def receive_multi_paxos_propose(self, src: str, m: MultiPaxosPropose) -> Output:
        """ReceiveMultiPaxosPropose."""
        out: Output = []
        slot, waiting = m.slot, self.leader.waiting
        if slot in self.acceptor.decided:
            return [self.propose_ok(src, m, True, self.acceptor.decided[slot])]
        if slot in waiting.by_slot and waiting.has((src, m)):
            return out
        leading = self.leading()
        if leading:
            self.serve(out, m)
            if not self.peers:
                # It is decided already, so it need not wait.
                return [self.propose_ok(src, m, True, m.value)]
        waiting.queue((src, m), leading)
        if not leading and not self.in_phase1():
            self.start_ballot(out)
        return out

    def receive_multi_paxos_log(self, src: str, m: MultiPaxosLog) -> Output:
        """ReceiveMultiPaxosLog."""
        slots = self.acceptor.known.part(m.from_, m.limit)
        log = Excerpt(self.acceptor.decided, slots)
        return [(src, MultiPaxosLogOk(m.msg_id, log))]

    # Phase 1.

    def receive_prepare(self, src: str, m: Prepare) -> Output:
        """ReceivePrepare."""
        acceptor = self.acceptor
        self.follow(m.ballot)
        if m.ballot < acceptor.promised:
            return [(src, Rejected(acceptor.promised))]
        known = Slots(m.known)
        votes = {
            slot: acceptor.accepted[slot] for slot in sorted(acceptor.accepted) if slot not in known
        }
        closed = (acceptor.known - known).ranges()
        return [(src, Promise(m.ballot, votes, closed))]

    def receive_promise(self, src: str, m: Promise) -> Output:
        """ReceivePromise."""
        out: Output = []
        leader = self.leader
        if not self.in_phase1() or m.ballot != leader.ballot:
            return out
        leader.promises.add(src)
        for slot, vote in m.accepted.items():
            if slot not in self.acceptor.decided:
                leader.reported[slot] = self.higher(vote, slot)
        leader.closed.update(Slots(m.known) - self.acceptor.known)
        if self.leading():
            self.lead(out)
        return out

    # Phase 2.

    def receive_accept(self, src: str, m: Accept) -> Output:
        """ReceiveAccept."""
        ballot, slot, value = m.ballot, m.slot, m.value
        if slot in self.acceptor.decided:
            return [(src, Decided(slot, self.acceptor.decided[slot]))]
        if ballot < self.acceptor.promised:
            return [(src, Rejected(self.acceptor.promised))]
        self.follow(ballot)
        self.acceptor.vote_for(ballot, slot, value)
        return [(src, Accepted(ballot, slot))]

    def receive_accepted(self, src: str, m: Accepted) -> Output:
        """ReceiveAccepted."""
        out: Output = []
        if m.ballot == self.leader.ballot and m.slot in self.leader.votes:
            self.count(out, m.slot, src)
        return out

    def receive_rejected(self, src: str, m: Rejected) -> Output:
        """ReceiveRejected."""
        self.follow(m.promised)
        return []

    def receive_decided(self, src: str, m: Decided) -> Output:
        """ReceiveDecided."""
        out: Output = []
        if m.slot not in self.acceptor.decided:
            self.decide(out, m.slot, m.value)
        return out

    # Catching up.

    def receive_poll(self, src: str, m: Poll) -> Output:
        """ReceivePoll."""
        version = self.version()
        return [] if m.version == version else [(src, Learned({}, True, version))]

    def receive_learn(self, src: str, m: Learn) -> Output:
        """ReceiveLearn: as many decisions as fit, without iterating over the slots after them."""
        decided: dict[int, Value] = {}
        bytes_left = MESSAGE_BYTES
        for slot, value in self.acceptor.decided.read(self.acceptor.known - Slots(m.known)):
            bytes_left -= len(value)
            if decided and (len(decided) == self.batch or bytes_left < 0):
                return [(src, Learned(decided, True, self.version()))]
            decided[slot] = value
        return [(src, Learned(decided, False, self.version()))]

    def receive_learned(self, src: str, m: Learned) -> Output:
        """ReceiveLearned."""
        out: Output = []
        for slot in sorted(m.decided):
            if slot not in self.acceptor.decided:
                self.decide(out, slot, m.decided[slot])
        if m.more:
            out.append((src, self.learn()))
        else:
            self.versions[src] = m.version
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

    def repeat(self, slots: Iterable[int]) -> Output:
        """Repeat."""
        out: Output = []
        self.accept_again(out, slots)
        return out

    def inquire(self) -> Output:
        """Inquire."""
        return [(peer, Poll(self.versions.get(peer, 0))) for peer in self.peers]

    def expire(self) -> Output:
        """Expire."""
        src, m = self.leader.waiting.pop_oldest()
        code = INDEFINITE if m.slot in self.acceptor.accepted else UNAVAILABLE
        return [(src, Error(m.msg_id, code, REASONS[code]))]

    def crash(self) -> Output:
        """Crash."""
        self.leader = Leader()
        self.versions = {}
        self.up = False
        return []

    def restart(self) -> Output:
        """Restart."""
        self.up = True
        return []

    # Helpers of the actions; `out` is the output of the step so far.

    def leading(self) -> bool:
        return self.leader.ballot > 0 and len(self.leader.promises) >= self.quorum

    def in_phase1(self) -> bool:
        return self.leader.ballot > 0 and len(self.leader.promises) < self.quorum

    def follow(self, ballot: int) -> None:
        if ballot > self.acceptor.promised:
            self.acceptor.promise(ballot)
            self.leader = Leader(waiting=self.leader.waiting)

    def higher(self, vote: Vote, slot: int) -> Vote:
        other = self.leader.reported.get(slot)
        return vote if other is None or other.ballot < vote.ballot else other

    def decide(self, out: Output, slot: int, value: Value) -> None:
        # The callers know that the slot is not decided.
        self.acceptor.decide(slot, value)
        for (src, m), skipped in self.leader.forget(slot):
            out.append(self.propose_ok(src, m, skipped, value))

    def count(self, out: Output, slot: int, voter: str) -> None:
        voters = self.leader.votes[slot]
        voters.add(voter)
        if len(voters) >= self.quorum:
            value = self.acceptor.accepted[slot].value
            self.decide(out, slot, value)
            self.send(out, self.peers, Decided(slot, value))

    def propose(self, out: Output, slot: int, value: Value) -> None:
        leader = self.leader
        self.acceptor.vote_for(leader.ballot, slot, value)
        if self.peers:
            leader.votes[slot] = {self.node}
            self.send(out, self.peers, Accept(leader.ballot, slot, value))
        else:
            # Its own vote is a majority.
            self.decide(out, slot, value)

    def serve(self, out: Output, request: MultiPaxosPropose) -> None:
        slot, leader = request.slot, self.leader
        if slot not in leader.votes and not (leader.closed.lows and slot in leader.closed):
            self.propose(out, slot, request.value)

    def lead(self, out: Output) -> None:
        inherited, self.leader.reported = self.leader.reported, {}
        for slot in sorted(inherited):
            if slot not in self.leader.closed:
                self.propose(out, slot, inherited[slot].value)
        for request, _ in list(self.leader.waiting):
            self.serve(out, request[1])
        if self.leader.closed:
            self.send(out, self.peers, self.learn())

    def start_ballot(self, out: Output) -> None:
        ballot = self.members.next_ballot(self.node, self.acceptor.promised)
        waiting = self.leader.waiting
        waiting.mark_phase1()
        self.acceptor.promise(ballot)
        self.leader = Leader(
            ballot=ballot,
            promises={self.node},
            reported=dict(self.acceptor.accepted),
            waiting=waiting,
        )
        self.send(out, self.peers, Prepare(ballot, self.acceptor.known.ranges()))
        if self.leading():
            self.lead(out)

    def again(self, out: Output) -> None:
        leader = self.leader
        if self.in_phase1():
            prepare = Prepare(leader.ballot, self.acceptor.known.ranges())
            self.send(out, self.silent(leader.promises), prepare)
            return
        self.accept_again(out, sorted(leader.votes))
        if leader.ballot == 0 or leader.closed:
            self.send(out, self.peers, self.learn())

    def accept_again(self, out: Output, slots: Iterable[int]) -> None:
        for slot in slots:
            accept = Accept(self.leader.ballot, slot, self.acceptor.accepted[slot].value)
            self.send(out, self.silent(self.leader.votes[slot]), accept)

    def stuck(self) -> bool:
        return any(
            self.leader.ballot == 0 or slot in self.leader.closed
            for slot in self.leader.waiting.by_slot
        )

    def silent(self, replied: set[str]) -> Iterable[str]:
        return [peer for peer in self.peers if peer not in replied]

    def version(self) -> int:
        return self.acceptor.known.count()

    def learn(self) -> Learn:
        return Learn(self.acceptor.known.ranges())

    def propose_ok(self, src: str, m: MultiPaxosPropose, skipped: bool, value: Value) -> Sent:
        return src, MultiPaxosProposeOk(m.msg_id, m.slot, skipped, True, value)

    def send(self, out: Output, nodes: Iterable[str], body: Body) -> None:
        for node in nodes:
            out.append((node, body))
