"""What a node does as time passes, in a cluster whose time and network are told step by step."""

from __future__ import annotations

import json
from random import Random

import pytest
from multipaxos.clock import MAX_BACKOFF_FACTOR, Clock, Pace
from multipaxos.node import Node
from multipaxos.overdue import Moment

from tests.support.node_process import init, request

PACE = Pace()


class Timed:
    """Nodes with clocks, and messages between them that arrive after a moment if not lost."""

    def __init__(self, size: int = 3, pace: Pace = PACE, seed: int = 1) -> None:
        self.ids = [f"n{number}" for number in range(1, size + 1)]
        self.now = 0.0
        self.sent: list[dict] = []
        self.said: list[str] = []
        self.answers: list[dict] = []
        self.cut: set[str] = set()
        self.nodes = {node: self.started(node, pace, Random(f"{seed} {node}")) for node in self.ids}
        for node in self.ids:
            self.give(node, init(*self.ids, node=node))

    def started(self, node: str, pace: Pace, rng: Random) -> Node:
        return Node(clock=lambda replica, now: Clock(replica, pace, rng, now))

    def give(self, node: str, *lines: str) -> list[dict]:
        said = self.nodes[node].turn([line.encode() for line in lines], self.now)
        messages = [json.loads(line) for line in said.splitlines()]
        self.said += [message["body"]["type"] for message in messages]
        self.sent += [message for message in messages if message["dest"] in self.nodes]
        self.answers += [message for message in messages if message["dest"] not in self.nodes]
        return [message["body"] for message in messages]

    def ask(self, node: str, number: int, slot: int, value: object) -> list[dict]:
        line = request(number, "multi_paxos_propose", slot=slot, value=value)
        return self.give(node, line.replace('"n1"', f'"{node}"'))

    def run(self, seconds: float, step: float = 0.005) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            on_the_way, self.sent = self.sent, []
            for message in on_the_way:
                if not {message["src"], message["dest"]} & self.cut:
                    self.give(message["dest"], json.dumps(message))
            for node in self.ids:
                if self.nodes[node].due() is not None and self.nodes[node].due() <= self.now:
                    self.give(node)

    def errors(self) -> list[int]:
        return [
            message["body"]["code"]
            for message in self.answers
            if message["body"]["type"] == "error"
        ]

    def told(self) -> list[object]:
        return [
            message["body"]["value"]
            for message in self.answers
            if message["body"]["type"] == "multi_paxos_propose_ok"
        ]


@pytest.mark.parametrize("lost", ["prepare", "promise", "accept", "accepted"])
def test_lost_messages_are_resent(lost: str) -> None:
    world = Timed()
    world.ask("n1", 1, 1, "v")
    for _ in range(20):
        world.sent = [message for message in world.sent if message["body"]["type"] != lost]
        world.run(0.005)
    assert world.told() == []
    world.run(1)
    assert world.told() == ["v"]


def test_a_decision_that_was_missed_is_asked_for_even_by_a_leader() -> None:
    world = Timed()
    world.ask("n1", 1, 1, "v")
    world.run(0.1)
    world.cut = {"n1"}
    world.ask("n2", 2, 2, "w")
    world.run(3)
    world.cut = set()
    assert world.nodes["n1"].replica.leading() and world.told() == ["v", "w"]
    world.run(2)
    assert all(node.replica.acceptor.known.ranges() == ((1, 2),) for node in world.nodes.values())


def test_duelling_proposers_get_done() -> None:
    for seed in range(20):
        world = Timed(seed=seed)
        for number in range(30):
            world.ask("n1", 3 * number, number, "one")
            world.ask("n2", 3 * number + 1, number, "two")
            world.ask("n3", 3 * number + 2, number, "three")
            world.run(0.02)
        world.run(4)
        assert world.errors() == [] and len(world.told()) == 90, seed


def test_back_off_of_preempted_node_grows_to_a_limit() -> None:
    world = Timed()
    clock, replica = world.nodes["n1"].clock, world.nodes["n1"].replica
    longest = []
    for outbid in range(1, 12):
        waits = []
        for _ in range(200):
            clock.preemptions, clock.ballot, replica.leader.ballot = outbid - 1, 1, 0
            clock.note_step(10.0, [])
            waits.append(clock.backoff_until - 10.0)
        longest.append(max(waits))
        assert max(waits) <= PACE.backoff * min(2**outbid, MAX_BACKOFF_FACTOR)
    assert longest[4] > 8 * longest[0] and longest[-1] > 0.9 * MAX_BACKOFF_FACTOR * PACE.backoff


def test_decision_resets_back_off() -> None:
    world = Timed()
    clock = world.nodes["n1"].clock
    clock.preemptions = 9
    world.ask("n1", 1, 1, "v")
    world.run(0.2)
    world.ask("n2", 2, 2, "w")
    world.run(0.2)
    assert world.told() == ["v", "w"] and clock.preemptions == 0


def test_preempted_node_defers_requests() -> None:
    world = Timed(pace=Pace(backoff=10.0))
    world.ask("n1", 1, 1, "v")
    world.give(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": []}}
        ),
    )
    node = world.nodes["n1"]
    assert node.clock.backing_off(world.now) and world.ask("n1", 2, 2, "w") == []
    assert len(node.deferred) == 1 and len(node.replica.leader.waiting) == 1
    world.give(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": 3, "value": "x"}}
        ),
    )
    assert world.ask("n1", 3, 3, "y")[0]["value"] == "x"
    world.cut = {"n2"}
    world.run(30)
    assert not node.deferred and world.told() == ["x", "w"]
    assert world.errors() == [11]


def test_no_more_than_so_many_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multipaxos.node.MOST_WAITING", 3)
    world = Timed()
    world.cut = {"n2", "n3"}
    for number in range(5):
        world.ask("n1", number, number, "v")
    assert len(world.nodes["n1"].replica.leader.waiting) == 3
    world.run(PACE.request_timeout + 1)
    world.ask("n1", 9, 9, "v")
    assert len(world.errors()) == 3 and len(world.nodes["n1"].replica.leader.waiting) == 1


def test_deferred_requests_are_taken_after_back_off() -> None:
    world = Timed(pace=Pace(backoff=10.0))
    world.ask("n1", 1, 1, "v")
    world.run(0.1)
    world.give(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": []}}
        ),
    )
    node = world.nodes["n1"]
    assert world.ask("n1", 2, 2, "w") == [] and not node.replica.leader.waiting
    node.clock.deadlines.clear()
    node.clock.tick = node.clock.backoff_until + 1
    assert node.due() == node.clock.backoff_until


# Giving up.


def test_expired_unproposed_request_gets_definite_error() -> None:
    world = Timed()
    world.cut = {"n2", "n3"}
    world.ask("n1", 1, 1, "v")
    world.ask("n1", 2, 1, "w")
    world.run(PACE.request_timeout - 0.5)
    assert world.errors() == []
    world.run(1)
    assert world.errors() == [11, 11] and not world.nodes["n1"].replica.leader.waiting


def test_expired_proposed_request_gets_indefinite_error() -> None:
    world = Timed()
    world.ask("n1", 1, 1, "v")
    world.run(0.1)
    world.cut = {"n2", "n3"}
    world.ask("n1", 2, 2, "w")
    world.run(5)
    assert world.told() == ["v"] and world.errors() == [0]
    world.cut = set()
    world.run(2)
    assert world.nodes["n3"].replica.acceptor.decided[2] == '"w"'


def test_they_are_given_up_one_by_one() -> None:
    world = Timed()
    world.cut = {"n2", "n3"}
    for number in range(3):
        world.ask("n1", number, 1, number)
        world.run(1)
    for expected in (0, 1, 2, 3):
        assert len(world.errors()) == expected
        world.run(1.01)
    assert [message["body"]["in_reply_to"] for message in world.answers[-3:]] == [0, 1, 2]


def test_patience_without_end() -> None:
    world = Timed(pace=Pace(request_timeout=0))
    world.cut = {"n2", "n3"}
    world.ask("n1", 1, 1, "v")
    world.run(20)
    assert world.errors() == []


# Nothing to do.


def test_a_cluster_of_one_has_no_use_for_time() -> None:
    world = Timed(size=1)
    assert world.nodes["n1"].due() is None
    assert world.ask("n1", 1, 1, "v")[0]["chosen"]


def test_an_idle_cluster_asks_around_now_and_then() -> None:
    world = Timed()
    world.said = []
    world.run(10)
    assert set(world.said) == {"learn"} and 40 <= len(world.said) <= 60


def test_answered_requests_are_not_resent() -> None:
    """A leader whose requests are decided in time has no reason to say anything twice."""
    world = Timed()
    for number in range(200):
        world.ask("n1", number, number, number)
        world.run(0.02)
    assert world.said.count("accept") == 2 * 200 and len(world.told()) == 200


# What is overdue.


def test_nothing_is_resent_while_answers_arrive_in_order() -> None:
    """Peers that answer ten slots a step are far behind, and still nothing is overdue."""
    world = Timed()
    world.ask("n1", 0, 0, "first")
    world.run(0.1)
    for number in range(1, 2001):
        world.ask("n1", number, number, number)
    sent, world.sent, world.said = world.sent, [], []
    while sent:
        world.sent += sent[:20]
        del sent[:20]
        world.run(0.005)
    world.run(0.1)
    assert len(world.told()) == 2001 and world.errors() == []
    assert "accept" not in world.said


def test_a_slot_that_was_overtaken_is_repeated_while_others_open() -> None:
    world = Timed()
    world.ask("n1", 0, 0, "first")
    world.run(0.1)
    world.ask("n1", 1, 1, "lost")
    world.sent = []
    for number in range(2, 100):
        world.ask("n1", number, number, number)
        world.run(0.005)
    assert "lost" in world.told()
    assert world.said.count("accept") == 2 * 101


def test_peers_that_do_not_answer_get_little() -> None:
    world = Timed(pace=Pace(request_timeout=0))
    world.ask("n1", 0, 0, "first")
    world.run(0.1)
    world.cut = {"n2", "n3"}
    for number in range(1, 1001):
        world.ask("n1", number, number, number)
    world.run(10)
    world.said = []
    world.run(1)
    assert 0 < world.said.count("accept") <= 2 * 13
    world.cut = set()
    world.run(1)
    assert len(world.told()) == 1001


def test_a_burst_of_repetitions_is_bounded() -> None:
    world = Timed(pace=Pace(request_timeout=0))
    world.ask("n1", 0, 0, "first")
    world.run(0.1)
    world.cut = {"n2", "n3"}
    for number in range(1, 101):
        world.ask("n1", number, number, 50_000 * "x")
    unanswered = world.nodes["n1"].clock.unanswered
    assert unanswered.overdue(Moment(world.now + 60, 0)) == ((1, 20),)
    world.nodes["n1"].replica.batch = unanswered.most = 7
    assert unanswered.overdue(Moment(world.now + 60, 0)) == ((1, 7),)


def test_a_closed_slot_is_asked_for_while_others_open() -> None:
    world = Timed()
    world.ask("n2", 0, 0, "known")
    world.run(0.1)
    world.cut = {"n1"}
    world.ask("n2", 1, 1, "closed")
    world.run(0.1)
    world.cut = set()
    world.sent = []
    world.ask("n1", 2, 2, "mine")
    for number in range(3, 60):
        world.run(0.02)
        world.sent = [
            message for message in world.sent if message["body"]["type"] != "learned" or number > 20
        ]
        world.ask("n1", number, number, number)
    assert 1 in world.nodes["n1"].replica.acceptor.decided


def test_a_request_waits_longer_if_much_came_after_it() -> None:
    world = Timed()
    world.cut = {"n2", "n3"}
    world.ask("n1", 1, 1, "v")
    for _ in range(4000):
        world.give("n1", request(9, "multi_paxos_log"))
    world.run(PACE.request_timeout + 1.5)
    assert world.errors() == []
    world.run(1)
    assert world.errors() == [11]


def test_unanswered_prepares_back_off() -> None:
    world = Timed(pace=Pace(request_timeout=0))
    world.cut = {"n2", "n3"}
    world.ask("n1", 1, 1, "v")
    world.run(10)
    assert 10 <= world.said.count("prepare") <= 2 * 9


def test_patience_grows_with_size_of_promises() -> None:
    world = Timed()
    world.ask("n1", 0, 0, "first")
    world.run(0.1)
    world.cut = {"n2", "n3"}
    for number in range(1, 31):
        world.ask("n1", number, number, 10**6 * "x")
    world.give(
        "n1",
        json.dumps(
            {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": [[0, 0]]}}
        ),
    )
    world.run(0.5)
    assert world.nodes["n1"].replica.in_phase1()
    world.said = []
    world.run(2.5)
    assert world.said.count("prepare") == 0
