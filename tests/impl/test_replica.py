"""What is true of a cluster whatever its network and its nodes' crashes do, told by Hypothesis.

Properties of many nodes are checked here after every step; single steps are the business of the
generated logs.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from multipaxos.messages import Envelope, MultiPaxosLogOk, MultiPaxosPropose, MultiPaxosProposeOk
from multipaxos.replica import Output

from tests.mutants import bugs
from tests.mutants.patched import patched
from tests.support.replica_cluster import Cluster, Input

SLOTS = st.sampled_from([0, 2**63 - 1])
VALUES = st.sampled_from(['"a"', "1", "1.0", "true"])
ANY = st.integers(0, 2**30)
BUGS = {bug.name: bug for bug in bugs.load()}


class Faults(RuleBasedStateMachine):
    """Clients ask, messages are lost, repeated and reordered, time passes, nodes crash."""

    make = Cluster

    @initialize(size=st.sampled_from([3, 1, 2, 3, 4, 5, 3]), batch=st.integers(1, 3))
    def start(self, size: int, batch: int) -> None:
        self.cluster = self.make(size, batch)
        self.cluster.watch = self.watch
        self.decided: dict[str, dict[int, str]] = {}
        self.led: dict[str, bool] = {}
        self.waited: dict[str, set[Envelope]] = {}
        self.delayed: dict[str, set[Envelope]] = {node: set() for node in self.cluster.ids}
        self.owed: set[Envelope] = set()
        for node in self.cluster.ids:
            self.remember(node)

    @rule(node=ANY, slot=SLOTS, value=VALUES)
    def propose(self, node: int, slot: int, value: str) -> None:
        self.cluster.propose(self.name(node), slot, value)

    @rule(request=ANY)
    @precondition(lambda self: self.cluster.asked)
    def repeat_request(self, request: int) -> None:
        self.cluster.receive(self.cluster.asked[request % len(self.cluster.asked)])

    @rule(node=ANY)
    def log(self, node: int) -> None:
        self.cluster.log(self.name(node))

    @rule(indexes=st.lists(ANY, min_size=1, max_size=12), keep=st.booleans())
    @precondition(lambda self: self.cluster.network)
    def deliver(self, indexes: list[int], keep: bool) -> None:
        for index in indexes:
            if self.cluster.network:
                self.cluster.deliver(index % len(self.cluster.network), keep)

    @rule(cut=ANY)
    def settle(self, cut: int) -> None:
        """Every message arrives but those from and to the nodes that are cut off."""
        self.cluster.settle([node for at, node in enumerate(self.cluster.ids) if not cut >> at & 1])

    @rule(node=ANY)
    @precondition(lambda self: self.cluster.network)
    def lose(self, node: int) -> None:
        """What is on its way to a node never arrives."""
        self.cluster.network = [m for m in self.cluster.network if m.dest != self.name(node)]

    @rule(node=ANY)
    def timeout(self, node: int) -> None:
        self.cluster.event(self.name(node), "timeout")

    @rule(node=ANY, stay=st.booleans())
    def crash(self, node: int, stay: bool) -> None:
        self.cluster.event(self.name(node), "crash")
        if not stay:
            self.cluster.event(self.name(node), "restart")

    @rule(node=ANY)
    def restart(self, node: int) -> None:
        self.cluster.event(self.name(node), "restart")

    def name(self, node: int) -> str:
        return self.cluster.ids[node % len(self.cluster.ids)]

    # What must be true.

    @invariant()
    def agreement(self) -> None:
        slots = [slot for slot, _ in self.cluster.choices()]
        assert len(slots) == len(set(slots)), "two values are chosen in one slot"

    @invariant()
    def one_value_per_ballot(self) -> None:
        cast = [(slot, ballot) for slot, ballot, _ in self.cluster.votes]
        assert len(cast) == len(set(cast))

    @invariant()
    def validity(self) -> None:
        proposed = {(m.body.slot, m.body.value) for m in self.cluster.asked}
        assert self.cluster.choices() <= proposed

    def watch(self, node: str, taken: Input, output: Output) -> None:
        """After every step, and a rule may take many."""
        decided, choices = self.cluster.nodes[node].acceptor.decided, self.cluster.choices()
        assert self.decided[node].items() <= decided.items(), "a decision is gone"
        assert decided.items() <= choices, "what is not chosen is called decided"
        if isinstance(taken, Envelope) and isinstance(taken.body, MultiPaxosPropose):
            self.owed.add(taken)
        if not self.cluster.nodes[node].up:
            self.owed = {request for request in self.owed if request.dest != node}
        for reply in output:
            if isinstance(reply.body, MultiPaxosProposeOk):
                self.reply_is_true(node, taken, reply)
                self.owed.discard(self.cluster.asked[reply.body.in_reply_to])
            elif isinstance(reply.body, MultiPaxosLogOk):
                assert list(reply.body.log.items()) == sorted(decided.items())
        self.remember(node)

    def reply_is_true(self, node: str, taken: Input, envelope: Envelope) -> None:
        reply = envelope.body
        request = self.cluster.asked[reply.in_reply_to]
        assert request == Envelope(envelope.dest, envelope.src, request.body)
        assert request.body.slot == reply.slot and reply.chosen
        assert (reply.slot, reply.value) in self.cluster.choices()
        if request in self.waited[node]:
            assert reply.phase1_skipped == (request not in self.delayed[node])
        else:
            assert request == taken, "an answer that nobody waits for"
            assert reply.phase1_skipped == (self.led[node] or reply.slot in self.decided[node])

    def remember(self, node: str) -> None:
        """What the next step of the node is judged by."""
        replica = self.cluster.nodes[node]
        waited = {request for request, _ in replica.leader.waiting.values()}
        self.decided[node] = dict(replica.acceptor.decided)
        self.led[node] = replica.leading()
        self.waited[node] = waited
        self.delayed[node] = waited if replica.in_phase1() else self.delayed[node] & waited

    def teardown(self) -> None:
        self.cluster.heal(rounds=30)
        self.agreement()
        assert not self.owed, "a request is never answered"


def check(machine: type[Faults], examples: int, **options: object) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_faults() -> None:
    check(Faults, 400)


@pytest.mark.parametrize(
    "name",
    [
        "own-value-though-votes-reported",
        "quorum-is-half",
        "quorum-of-two",
        "decided-one-vote-early",
        "reports-in-the-wrong-slot",
        "phase1-skipped-as-of-reply",
        "loser-answered-with-own-value",
        "requests-dropped-at-preemption",
        "vote-only-above-promise",
        "prepare-never-sent-again",
    ],
)
def test_faults_are_found(name: str) -> None:
    with patched(BUGS[name].mutant().texts, "tests.support.replica_cluster"):
        from tests.support.replica_cluster import Cluster
    broken = type("Broken", (Faults,), {"make": Cluster})
    with pytest.raises(AssertionError):
        check(broken, 600, derandomize=True, database=None, phases=[Phase.generate])
