"""Resends, back-off and timeouts, in a cluster whose time and network advance step by step."""

from __future__ import annotations

import json
from random import Random

import pytest
from multipaxos.clock import MAX_BACKOFF_FACTOR, Clock, Pace
from multipaxos.node import Node
from multipaxos.overdue import Moment

from tests.support.node_process import init, request

PACE = Pace()


class TimedCluster:
    """Nodes with clocks, and a network between them that delivers after one step or not at all."""

    def __init__(self, size: int = 3, pace: Pace = PACE, seed: int = 1) -> None:
        self.ids = [f"n{number}" for number in range(1, size + 1)]
        self.now = 0.0
        self.network: list[dict] = []
        self.sent_types: list[str] = []
        self.sent_bytes = 0
        self.learned = 0
        self.answers: list[dict] = []
        self.cut: set[str] = set()
        self.nodes = {node: self.new_node(pace, Random(f"{seed} {node}")) for node in self.ids}
        for node in self.ids:
            self.receive(node, init(*self.ids, node=node))

    def new_node(self, pace: Pace, rng: Random) -> Node:
        return Node(clock=lambda replica, now: Clock(replica, pace, rng, now))

    def receive(self, node: str, *lines: str) -> list[dict]:
        output = self.nodes[node].turn([line.encode() for line in lines], self.now)
        messages = [json.loads(line) for line in output.splitlines()]
        self.sent_types += [message["body"]["type"] for message in messages]
        self.sent_bytes += len(output)
        self.learned += sum(
            len(message["body"]["decided"])
            for message in messages
            if message["body"]["type"] == "learned"
        )
        self.network += [message for message in messages if message["dest"] in self.nodes]
        self.answers += [message for message in messages if message["dest"] not in self.nodes]
        return [message["body"] for message in messages]

    def propose(self, node: str, number: int, slot: int, value: object) -> list[dict]:
        line = request(number, "multi_paxos_propose", slot=slot, value=value)
        return self.receive(node, line.replace('"n1"', f'"{node}"'))

    def run(self, seconds: float, step: float = 0.005) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            in_flight, self.network = self.network, []
            for message in in_flight:
                if not {message["src"], message["dest"]} & self.cut:
                    self.receive(message["dest"], json.dumps(message))
            for node in self.ids:
                if self.nodes[node].due() is not None and self.nodes[node].due() <= self.now:
                    self.receive(node)

    def errors(self) -> list[int]:
        return [
            message["body"]["code"]
            for message in self.answers
            if message["body"]["type"] == "error"
        ]

    def values(self) -> list[object]:
        return [
            message["body"]["value"]
            for message in self.answers
            if message["body"]["type"] == "multi_paxos_propose_ok"
        ]


@pytest.mark.parametrize("lost_type", ["prepare", "promise", "accept", "accepted"])
def test_lost_messages_are_resent(lost_type: str) -> None:
    cluster = TimedCluster()
    cluster.propose("n1", 1, 1, "v")
    for _ in range(20):
        cluster.network = [
            message for message in cluster.network if message["body"]["type"] != lost_type
        ]
        cluster.run(0.005)
    assert cluster.values() == []
    cluster.run(1)
    assert cluster.values() == ["v"]


def test_leader_learns_missed_decision() -> None:
    cluster = TimedCluster()
    cluster.propose("n1", 1, 1, "v")
    cluster.run(0.1)
    cluster.cut = {"n1"}
    cluster.propose("n2", 2, 2, "w")
    cluster.run(3)
    cluster.cut = set()
    assert cluster.nodes["n1"].replica.leading() and cluster.values() == ["v", "w"]
    cluster.run(2)
    assert all(node.replica.acceptor.known.ranges() == ((1, 2),) for node in cluster.nodes.values())


def test_duelling_proposers_make_progress() -> None:
    for seed in range(20):
        cluster = TimedCluster(seed=seed)
        for number in range(30):
            cluster.propose("n1", 3 * number, number, "one")
            cluster.propose("n2", 3 * number + 1, number, "two")
            cluster.propose("n3", 3 * number + 2, number, "three")
            cluster.run(0.02)
        cluster.run(4)
        assert cluster.errors() == [] and len(cluster.values()) == 90, seed


def test_back_off_grows_with_preemptions_to_a_limit() -> None:
    cluster = TimedCluster()
    clock, replica = cluster.nodes["n1"].clock, cluster.nodes["n1"].replica
    longest = []
    for preemptions in range(1, 12):
        waits = []
        for _ in range(200):
            clock.preemptions, clock.ballot, replica.leader.ballot = preemptions - 1, 1, 0
            clock.note_step(10.0, [])
            waits.append(clock.backoff_until - 10.0)
        longest.append(max(waits))
        assert max(waits) <= PACE.backoff * min(2**preemptions, MAX_BACKOFF_FACTOR)
    assert longest[4] > 8 * longest[0] and longest[-1] > 0.9 * MAX_BACKOFF_FACTOR * PACE.backoff


def test_decision_resets_back_off() -> None:
    cluster = TimedCluster()
    clock = cluster.nodes["n1"].clock
    clock.preemptions = 9
    cluster.propose("n1", 1, 1, "v")
    cluster.run(0.2)
    cluster.propose("n2", 2, 2, "w")
    cluster.run(0.2)
    assert cluster.values() == ["v", "w"] and clock.preemptions == 0


def test_preempted_node_defers_requests() -> None:
    cluster = TimedCluster(pace=Pace(backoff=10.0))
    cluster.propose("n1", 1, 1, "v")
    cluster.receive(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": []}}
        ),
    )
    node = cluster.nodes["n1"]
    assert node.clock.backing_off(cluster.now) and cluster.propose("n1", 2, 2, "w") == []
    assert len(node.deferred) == 1 and len(node.replica.leader.waiting) == 1
    cluster.receive(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": 3, "value": "x"}}
        ),
    )
    assert cluster.propose("n1", 3, 3, "y")[0]["value"] == "x"
    cluster.cut = {"n2"}
    cluster.run(30)
    assert not node.deferred and cluster.values() == ["x", "w"]
    assert cluster.errors() == [11]


def test_waiting_requests_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multipaxos.node.MOST_WAITING", 3)
    cluster = TimedCluster()
    cluster.cut = {"n2", "n3"}
    for number in range(5):
        cluster.propose("n1", number, number, "v")
    assert len(cluster.nodes["n1"].replica.leader.waiting) == 3
    cluster.run(PACE.request_timeout + 1)
    cluster.propose("n1", 9, 9, "v")
    assert len(cluster.errors()) == 3 and len(cluster.nodes["n1"].replica.leader.waiting) == 1


def test_deferred_requests_are_taken_after_back_off() -> None:
    cluster = TimedCluster(pace=Pace(backoff=10.0))
    cluster.propose("n1", 1, 1, "v")
    cluster.run(0.1)
    cluster.receive(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": []}}
        ),
    )
    node = cluster.nodes["n1"]
    assert cluster.propose("n1", 2, 2, "w") == [] and not node.replica.leader.waiting
    node.clock.deadlines.clear()
    node.clock.tick = node.clock.backoff_until + 1
    assert node.due() == node.clock.backoff_until


# Request timeouts.


def test_expired_unproposed_request_gets_definite_error() -> None:
    cluster = TimedCluster()
    cluster.cut = {"n2", "n3"}
    cluster.propose("n1", 1, 1, "v")
    cluster.propose("n1", 2, 1, "w")
    cluster.run(PACE.request_timeout - 0.5)
    assert cluster.errors() == []
    cluster.run(1)
    assert cluster.errors() == [11, 11] and not cluster.nodes["n1"].replica.leader.waiting


def test_expired_proposed_request_gets_indefinite_error() -> None:
    cluster = TimedCluster()
    cluster.propose("n1", 1, 1, "v")
    cluster.run(0.1)
    cluster.cut = {"n2", "n3"}
    cluster.propose("n1", 2, 2, "w")
    cluster.run(5)
    assert cluster.values() == ["v"] and cluster.errors() == [0]
    cluster.cut = set()
    cluster.run(2)
    assert cluster.nodes["n3"].replica.acceptor.decided[2] == '"w"'


def test_requests_expire_one_by_one() -> None:
    cluster = TimedCluster()
    cluster.cut = {"n2", "n3"}
    for number in range(3):
        cluster.propose("n1", number, 1, number)
        cluster.run(1)
    for expected in (0, 1, 2, 3):
        assert len(cluster.errors()) == expected
        cluster.run(1.01)
    assert [message["body"]["in_reply_to"] for message in cluster.answers[-3:]] == [0, 1, 2]


def test_request_timeout_of_0_never_expires() -> None:
    cluster = TimedCluster(pace=Pace(request_timeout=0))
    cluster.cut = {"n2", "n3"}
    cluster.propose("n1", 1, 1, "v")
    cluster.run(20)
    assert cluster.errors() == []


# Idle nodes.


def test_single_node_has_no_timers() -> None:
    cluster = TimedCluster(size=1)
    assert cluster.nodes["n1"].due() is None
    assert cluster.propose("n1", 1, 1, "v")[0]["chosen"]


def test_idle_nodes_query_their_peers() -> None:
    cluster = TimedCluster()
    cluster.sent_types = []
    cluster.run(10)
    assert set(cluster.sent_types) == {"poll"} and 40 <= len(cluster.sent_types) <= 60


def idle_bytes(size: int) -> int:
    """Return how many bytes idle nodes send in 10 s, which know every second one of many slots."""
    cluster = TimedCluster()
    for node in cluster.nodes.values():
        for slot in range(0, 2 * size, 2):
            node.replica.acceptor.decide(slot, '"v"')
    # Each node has yet to learn that the others know no more.
    cluster.run(5)
    cluster.sent_bytes = 0
    cluster.run(10)
    return cluster.sent_bytes


def test_idle_traffic_does_not_grow_with_gaps() -> None:
    # A version has as many digits in both.
    assert 0 < idle_bytes(999) <= idle_bytes(100)


def test_node_that_catches_up_slowly_gets_each_decision_once_from_each_peer() -> None:
    cluster = TimedCluster()
    for node in cluster.nodes.values():
        node.replica.batch = 10
    cluster.cut = {"n3"}
    for number in range(500):
        cluster.propose("n1", number, number, number)
    cluster.run(0.5)
    cluster.cut = set()
    # An answer comes after 0.8 s, so 50 of them take longer than many idle intervals.
    cluster.run(60, step=0.4)
    assert cluster.nodes["n3"].replica.acceptor.known.ranges() == ((0, 499),)
    assert 500 <= cluster.learned <= 2 * 500 + 100


def test_answered_requests_are_not_resent() -> None:
    """A leader whose requests are decided in time resends nothing."""
    cluster = TimedCluster()
    for number in range(200):
        cluster.propose("n1", number, number, number)
        cluster.run(0.02)
    assert cluster.sent_types.count("accept") == 2 * 200 and len(cluster.values()) == 200


# Retransmission.


def test_answers_in_order_prevent_resends() -> None:
    """Peers that answer ten slots a step are far behind, but nothing is overdue."""
    cluster = TimedCluster()
    cluster.propose("n1", 0, 0, "first")
    cluster.run(0.1)
    for number in range(1, 2001):
        cluster.propose("n1", number, number, number)
    pending, cluster.network, cluster.sent_types = cluster.network, [], []
    while pending:
        cluster.network += pending[:20]
        del pending[:20]
        cluster.run(0.005)
    cluster.run(0.1)
    assert len(cluster.values()) == 2001 and cluster.errors() == []
    assert "accept" not in cluster.sent_types


def test_overtaken_slot_is_resent_while_others_open() -> None:
    cluster = TimedCluster()
    cluster.propose("n1", 0, 0, "first")
    cluster.run(0.1)
    cluster.propose("n1", 1, 1, "lost")
    cluster.network = []
    for number in range(2, 100):
        cluster.propose("n1", number, number, number)
        cluster.run(0.005)
    assert "lost" in cluster.values()
    assert cluster.sent_types.count("accept") == 2 * 101


def test_resends_to_silent_peers_are_limited() -> None:
    cluster = TimedCluster(pace=Pace(request_timeout=0))
    cluster.propose("n1", 0, 0, "first")
    cluster.run(0.1)
    cluster.cut = {"n2", "n3"}
    for number in range(1, 1001):
        cluster.propose("n1", number, number, number)
    cluster.run(10)
    cluster.sent_types = []
    cluster.run(1)
    assert 0 < cluster.sent_types.count("accept") <= 2 * 13
    cluster.cut = set()
    cluster.run(1)
    assert len(cluster.values()) == 1001


def test_resent_batch_is_bounded() -> None:
    cluster = TimedCluster(pace=Pace(request_timeout=0))
    cluster.propose("n1", 0, 0, "first")
    cluster.run(0.1)
    cluster.cut = {"n2", "n3"}
    for number in range(1, 101):
        cluster.propose("n1", number, number, 50_000 * "x")
    unanswered = cluster.nodes["n1"].clock.unanswered
    assert unanswered.overdue(Moment(cluster.now + 60, 0)) == ((1, 20),)
    cluster.nodes["n1"].replica.batch = unanswered.most = 7
    assert unanswered.overdue(Moment(cluster.now + 60, 0)) == ((1, 7),)


def test_closed_slot_is_learned_while_others_open() -> None:
    cluster = TimedCluster()
    cluster.propose("n2", 0, 0, "known")
    cluster.run(0.1)
    cluster.cut = {"n1"}
    cluster.propose("n2", 1, 1, "closed")
    cluster.run(0.1)
    cluster.cut = set()
    cluster.network = []
    cluster.propose("n1", 2, 2, "mine")
    for number in range(3, 60):
        cluster.run(0.02)
        cluster.network = [
            message
            for message in cluster.network
            if message["body"]["type"] != "learned" or number > 20
        ]
        cluster.propose("n1", number, number, number)
    assert 1 in cluster.nodes["n1"].replica.acceptor.known


def test_request_timeout_grows_with_later_input() -> None:
    cluster = TimedCluster()
    cluster.cut = {"n2", "n3"}
    cluster.propose("n1", 1, 1, "v")
    for _ in range(4000):
        cluster.receive("n1", request(9, "multi_paxos_log"))
    cluster.run(PACE.request_timeout + 1.5)
    assert cluster.errors() == []
    cluster.run(1)
    assert cluster.errors() == [11]


def test_unanswered_prepares_back_off() -> None:
    cluster = TimedCluster(pace=Pace(request_timeout=0))
    cluster.cut = {"n2", "n3"}
    cluster.propose("n1", 1, 1, "v")
    cluster.run(10)
    assert 10 <= cluster.sent_types.count("prepare") <= 2 * 9


@pytest.mark.parametrize("seconds", [20, 22, 24, 26])
def test_prepare_is_resent_soon_after_a_peer_is_back(seconds: int) -> None:
    cluster = TimedCluster(pace=Pace(request_timeout=0))
    cluster.cut = {"n2", "n3"}
    for number in range(1, 101):
        cluster.propose("n1", number, number, number)
    cluster.run(seconds, step=0.02)
    cluster.sent_types = []
    cluster.run(5, step=0.02)
    assert cluster.sent_types.count("prepare") <= 2
    cluster.cut = {"n2"}
    while not any(message["src"] == "n3" for message in cluster.network):
        cluster.run(0.005)
    cluster.run(0.5)
    assert len(cluster.values()) == 100


def test_retry_interval_grows_with_size_of_promises() -> None:
    cluster = TimedCluster()
    cluster.propose("n1", 0, 0, "first")
    cluster.run(0.1)
    cluster.cut = {"n2", "n3"}
    for number in range(1, 31):
        cluster.propose("n1", number, number, 10**6 * "x")
    cluster.receive(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": [[0, 0]]}}
        ),
    )
    cluster.run(0.5)
    assert cluster.nodes["n1"].replica.in_phase1()
    cluster.sent_types = []
    cluster.run(2.5)
    assert cluster.sent_types.count("prepare") == 0
