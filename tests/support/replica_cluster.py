"""A cluster of replicas in one process, for tests that choose each step.

It has the network and records votes and replies; the tests check the invariants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from multipaxos.acceptor import Acceptor
from multipaxos.members import Members
from multipaxos.messages import (
    Accept,
    Accepted,
    Decided,
    Learn,
    Learned,
    MultiPaxosLog,
    MultiPaxosPropose,
    Poll,
    Prepare,
    Promise,
    Rejected,
)
from multipaxos.replica import Output, Replica


class Envelope(NamedTuple):
    """A message with its sender and its receiver."""

    src: str
    dest: str
    body: Any


Cast = tuple[int, int, str]
"""A vote: slot, ballot, value."""

Input = Envelope | str
"""A message, or an event by its name."""

LONG = 10_000
"""More messages than a small cluster sends without a request or a timeout."""


class Cluster:
    """Nodes, and every message between them that may still arrive."""

    def __init__(self, size: int, batch: int) -> None:
        self.ids = [f"n{number}" for number in range(1, size + 1)]
        self.members = Members(self.ids)
        self.votes: dict[Cast, set[str]] = {}
        self.network: list[Envelope] = []
        self.requests: list[Envelope] = []
        self.watch: Callable[[str, Input, Output], None] = lambda *_: None
        self.nodes = {
            node: Replica(node, self.members, batch, RecordingAcceptor(node, self.votes))
            for node in self.ids
        }

    def propose(self, node: str, slot: int, value: str) -> None:
        body = MultiPaxosPropose(len(self.requests), slot, value)
        self.requests.append(Envelope("c1", node, body))
        self.receive(self.requests[-1])

    def log(self, node: str) -> None:
        self.receive(Envelope("c1", node, MultiPaxosLog(-1)))

    def deliver(self, index: int, keep: bool) -> None:
        message = self.network[index] if keep else self.network.pop(index)
        self.receive(message)

    def receive(self, message: Envelope) -> None:
        if self.nodes[message.dest].up:
            self.step(message.dest, message)

    def event(self, node: str, name: str) -> None:
        replica = self.nodes[node]
        if replica.up == (name != "restart") and (name != "expire" or replica.leader.waiting):
            self.step(node, name)

    def step(self, node: str, taken: Input) -> None:
        output = take(self.nodes[node], taken)
        self.network += [Envelope(node, *sent) for sent in output if sent[0] in self.members]
        self.watch(node, taken, output)

    def settle(self, nodes: list[str]) -> None:
        """Deliver the messages between these nodes, in order, until there are none."""
        for _ in range(LONG):
            at = next(
                (
                    at
                    for at, message in enumerate(self.network)
                    if message.src in nodes and message.dest in nodes
                ),
                None,
            )
            if at is None:
                return
            self.deliver(at, keep=False)
        raise AssertionError("the nodes keep sending")

    def heal(self, rounds: int) -> None:
        """Restart all nodes, then deliver every message and time out in turn."""
        for node in self.ids:
            self.event(node, "restart")
        for _ in range(rounds):
            for node in self.ids:
                self.settle(self.ids)
                self.event(node, "timeout")
        self.settle(self.ids)

    def choices(self) -> set[tuple[int, str]]:
        """Return the chosen values by slot, from the votes that were cast."""
        return {
            (slot, value)
            for (slot, _, value), voters in self.votes.items()
            if 2 * len(voters) > len(self.ids)
        }


def take(replica: Replica, taken: Input) -> Output:
    if isinstance(taken, str):
        return getattr(replica, taken)()
    return getattr(replica, METHODS[type(taken.body)])(taken.src, taken.body)


class RecordingAcceptor(Acceptor):
    """An acceptor that records its votes."""

    def __init__(self, node: str, votes: dict[Cast, set[str]]) -> None:
        super().__init__()
        self.node = node
        self.votes = votes

    def vote_for(self, ballot: int, slot: int, value: str) -> None:
        self.votes.setdefault((slot, ballot, value), set()).add(self.node)
        super().vote_for(ballot, slot, value)


METHODS = {
    MultiPaxosPropose: "receive_multi_paxos_propose",
    MultiPaxosLog: "receive_multi_paxos_log",
    Prepare: "receive_prepare",
    Promise: "receive_promise",
    Accept: "receive_accept",
    Accepted: "receive_accepted",
    Rejected: "receive_rejected",
    Decided: "receive_decided",
    Poll: "receive_poll",
    Learn: "receive_learn",
    Learned: "receive_learned",
}
