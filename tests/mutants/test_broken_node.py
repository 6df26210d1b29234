"""Every broken node has a bug that can be seen from outside, and runs as a node does.

Whether the harness catches it is not asked here: this is about the bugs being bugs.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from multipaxos.members import Members
from multipaxos.replica import Output, Replica

from tests.mutants import bugs
from tests.mutants.patched import patched
from tests.support.paths import TESTS
from tests.support.processes import PATIENCE
from tests.support.replica_cluster import Cluster, Input, take

SCRIPT = TESTS / "broken_node.py"
SEEDS = 1_200
ALL = {bug.name: bug for bug in bugs.load()}
STATE_MACHINE = {"acceptor", "leader", "members", "replica", "slots"}
OUT_OF_BOUNDS = {
    *("members-sorted-by-name", "place-read-from-name", "slots-ordered-as-text"),
    *("requests-recognised-by-client-and-number", "requests-recognised-by-body"),
    *("quorum-of-three", "messages-to-four-peers", "repeated-to-four-peers"),
    *("reports-compared-with-own-vote", "first-of-the-others-reports-wins"),
    *("closed-slots-of-the-first-promise", "reported-slot-is-not-closed"),
    *("stuck-node-starts-again", "ignored-vote-counts-later"),
    *("votes-in-log-reply", "repeated-request-answered-twice"),
}
"""Bugs that show only with names, requests, larger clusters or rare orders that no run here has."""

BUGS = {
    name: bug
    for name, bug in ALL.items()
    if bug.modules <= STATE_MACHINE and bug.breaks != "growth" and name not in OUT_OF_BOUNDS
}


class Different(Exception):
    """The broken node has sent what the right one would not."""


def shadow(cluster: Cluster, replica: type[Replica], members: type[Members]) -> None:
    """Let another replica take every step of the first node, and compare what it sends."""
    other = replica("n1", members(cluster.ids), cluster.nodes["n1"].batch)

    def watch(node: str, taken: Input, output: Output) -> None:
        if node == "n1" and take(other, taken) != output:
            raise Different

    cluster.watch = watch


def run(cluster: Cluster, rng: random.Random) -> None:
    """Duelling clients, a network that reorders, repeats and loses, and nodes that crash."""
    for moment in range(300):
        node, what = rng.choice(cluster.ids), rng.random()
        if what < 0.15:
            cluster.propose(node, moment // 30 + rng.randrange(2), rng.choice(['"a"', '"b"']))
        elif what < 0.25:
            # A query leads to several messages that say nothing of Phase 1, so it is rare.
            cluster.event(node, rng.choice(["timeout"] * 6 + ["inquire", "expire"]))
        elif what < 0.3:
            cluster.event(node, "crash" if cluster.nodes[node].up else "restart")
        elif cluster.network:
            at = rng.randrange(len(cluster.network))
            if what < 0.4:
                del cluster.network[at]
            else:
                cluster.deliver(at, keep=what < 0.5)


def differs(replica: type[Replica], members: type[Members]) -> bool:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        cluster = Cluster(rng.choice([3, 3, 4, 5]), batch=1)
        shadow(cluster, replica, members)
        try:
            run(cluster, rng)
        except Different:
            return True
    return False


def test_right_node_does_not_differ() -> None:
    assert not differs(Replica, Members)


@pytest.mark.parametrize("name", BUGS)
def test_broken_node_differs(name: str) -> None:
    with patched(BUGS[name].mutant().texts):
        from multipaxos.members import Members
        from multipaxos.replica import Replica
    assert differs(Replica, Members)


def broken_node(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        input=given,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def test_list_names_every_bug() -> None:
    listed = broken_node("--list").stdout.splitlines()
    assert listed == [f"{bug.name}: {bug.what}" for bug in ALL.values()]


def test_broken_node_runs_with_its_bug() -> None:
    given = (
        '{"src": "c0", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", '
        '"node_ids": ["n1"]}}\n'
        '{"src": "c1", "dest": "n1", "body": {"type": "multi_paxos_propose", "msg_id": 2, '
        '"slot": 1, "value": "a"}}\n'
    )
    output = broken_node("phase1-skipped-as-of-reply", "--manual-clock", given=given).stdout
    assert '"phase1_skipped": true' in output.splitlines()[1]


def test_unknown_bug_is_not_run() -> None:
    assert broken_node("no-such-bug").returncode == 2
