"""Invariants of a cluster with message loss and crashes, as a Hypothesis state machine.

Properties of several nodes are checked after every step.  Golden traces check single steps.
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
from multipaxos.messages import MultiPaxosLogOk, MultiPaxosPropose, MultiPaxosProposeOk
from multipaxos.replica import Output

from tests.mutants import bugs
from tests.mutants.patched import patched
from tests.support.replica_cluster import Cluster, Envelope, Input

SLOTS = st.sampled_from([0, 2**63 - 1])
VALUES = st.sampled_from(['"a"', "1", "1.0", "true"])
ANY = st.integers(0, 2**30)
BUGS = {bug.name: bug for bug in bugs.load()}


class Faults(RuleBasedStateMachine):
    """Requests, lost, repeated and reordered messages, timeouts, crashes and restarts."""

    cluster_class = Cluster

    @initialize(size=st.sampled_from([3, 1, 2, 3, 4, 5, 3]), batch=st.integers(1, 3))
    def start(self, size: int, batch: int) -> None:
        self.cluster = self.cluster_class(size, batch)
        self.cluster.watch = self.watch
        self.decided: dict[str, dict[int, str]] = {}
        self.led: dict[str, bool] = {}
        self.waited: dict[str, set[Envelope]] = {}
        self.delayed: dict[str, set[Envelope]] = {node: set() for node in self.cluster.ids}
        self.unanswered: set[Envelope] = set()
        for node in self.cluster.ids:
            self.remember(node)

    @rule(node=ANY, slot=SLOTS, value=VALUES)
    def propose(self, node: int, slot: int, value: str) -> None:
        self.cluster.propose(self.name(node), slot, value)

    @rule(request=ANY)
    @precondition(lambda self: self.cluster.requests)
    def repeat_request(self, request: int) -> None:
        self.cluster.receive(self.cluster.requests[request % len(self.cluster.requests)])

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
        """Deliver every message but those from and to the nodes of `cut`, a bit mask."""
        self.cluster.settle([node for at, node in enumerate(self.cluster.ids) if not cut >> at & 1])

    @rule(node=ANY)
    @precondition(lambda self: self.cluster.network)
    def lose(self, node: int) -> None:
        """Lose the messages in flight to a node."""
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

    # Invariants.

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
        proposed = {(m.body.slot, m.body.value) for m in self.cluster.requests}
        assert self.cluster.choices() <= proposed

    def watch(self, node: str, taken: Input, output: Output) -> None:
        """Check a step; a rule may take several."""
        decided, choices = self.cluster.nodes[node].acceptor.decided, self.cluster.choices()
        assert self.decided[node].items() <= decided.items(), "a decision is lost"
        assert decided.items() <= choices, "a decided value is not chosen"
        if not isinstance(taken, str) and isinstance(taken.body, MultiPaxosPropose):
            self.unanswered.add(taken)
        if not self.cluster.nodes[node].up:
            self.unanswered = {request for request in self.unanswered if request.dest != node}
        for dest, reply in output:
            if isinstance(reply, MultiPaxosProposeOk):
                self.check_reply(node, taken, dest, reply)
                self.unanswered.discard(self.cluster.requests[reply.in_reply_to])
            elif isinstance(reply, MultiPaxosLogOk):
                assert list(reply.log) == sorted(decided.items())
        self.remember(node)

    def check_reply(self, node: str, taken: Input, dest: str, reply: MultiPaxosProposeOk) -> None:
        request = self.cluster.requests[reply.in_reply_to]
        assert request == Envelope(dest, node, request.body)
        assert request.body.slot == reply.slot and reply.chosen
        assert (reply.slot, reply.value) in self.cluster.choices()
        if request in self.waited[node]:
            assert reply.phase1_skipped == (request not in self.delayed[node])
        else:
            assert request == taken, "a reply without a request"
            assert reply.phase1_skipped == (self.led[node] or reply.slot in self.decided[node])

    def remember(self, node: str) -> None:
        """Save the state that the next step of the node is compared with."""
        replica = self.cluster.nodes[node]
        waited = {Envelope(src, node, m) for (src, m), _ in replica.leader.waiting}
        self.decided[node] = dict(replica.acceptor.decided)
        self.led[node] = replica.leading()
        self.waited[node] = waited
        self.delayed[node] = waited if replica.in_phase1() else self.delayed[node] & waited

    def teardown(self) -> None:
        self.cluster.heal(rounds=30)
        self.agreement()
        assert not self.unanswered, "a request is never answered"


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


def test_invariants_hold_with_faults() -> None:
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
def test_invariants_catch_bug(name: str) -> None:
    with patched(BUGS[name].mutant().texts, "tests.support.replica_cluster"):
        from tests.support.replica_cluster import Cluster
    broken = type("Broken", (Faults,), {"cluster_class": Cluster})
    with pytest.raises(AssertionError):
        check(broken, 600, derandomize=True, database=None, phases=[Phase.generate])
