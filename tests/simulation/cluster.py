"""A simulated cluster in one process: nodes, network, disks, clocks, and competing clients.

The nodes run their real code, from input line to output line.  Everything else is simulated from
one seed, in simulated time, so every repetition is equal to the byte.  `faults` has the faults,
`lives` the runs of a node, `clients` the clients.  This module has the network, and the invariants
that are checked during a run.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any
from unittest import mock

from multipaxos import node as node_module
from multipaxos.messages import Value

from .clients import Clients
from .faults import Event, Script
from .lives import NEVER, OPERATOR, PACE, RIGHT, TURN, Failed, Host, Parts


class Link:
    """A link from one node or client to another.

    It has its own PRNG, so that events on one link do not change others.
    """

    def __init__(self, rng: Random) -> None:
        self.random = rng.random
        self.cuts = 0


class Simulation:
    """One run of a script."""

    def __init__(self, script: Script, parts: Parts = RIGHT, logs: bool = False) -> None:
        self.script = script
        self.parts = parts
        self.loss, self.repeat = script.loss, script.repeat
        self.base, self.spread = script.base, script.spread
        self.now = 0.0
        self.quiescent = False
        self.happened: Counter[str] = Counter()
        self.votes: dict[tuple[int, int], tuple[Value, set[str]]] = {}
        self.chosen: dict[int, Value] = {}
        members = script.members()
        self.majority = len(members) // 2 + 1
        self.hosts = {
            name: Host(name, members, parts, parts.disk(name, self.saved), script.seed, logs)
            for name in members
        }
        self.dests = {json.dumps(name).encode(): name for name in members}
        self.clients = Clients(self)
        self.links: dict[tuple[str, str], Link] = {}
        self.agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = count()

    def run(self) -> None:
        """Run the script, and then without faults until quiescence; raise Failed."""
        with mock.patch.object(node_module, "Replica", self.parts.replica):
            for host in self.hosts.values():
                self.start(host)
            for event in self.script.events:
                self.at(event["at"], self.happen, event)
            self.live(self.script.seconds)
            self.end_faults()
            self.examine()

    # Time.

    def at(self, when: float, what: Callable[..., None], *about: Any) -> None:
        heapq.heappush(self.agenda, (when, next(self.order), what, about))

    def live(self, until: float, over: Callable[[], bool] = lambda: False) -> bool:
        """Run until a time or until a condition holds; return whether it holds."""
        agenda = self.agenda
        while not over():
            if not agenda or agenda[0][0] > until:
                self.now = max(self.now, until)
                return False
            self.now, _, what, about = heapq.heappop(agenda)
            what(*about)
        return True

    # The network.

    def send(self, src: str, dest: str, line: bytes) -> None:
        """Send a line from one node to another."""
        link = self.link(src, dest)
        if link.cuts and not self.quiescent:
            self.happened["cut off"] += 1
            return
        fate = link.random()
        if fate < self.loss:
            self.happened["lost"] += 1
            return
        host = self.hosts[dest]
        self.at(self.arrival(link), self.arrive, host, line)
        if fate > 1 - self.repeat:
            self.happened["repeated"] += 1
            self.at(self.arrival(link), self.arrive, host, line)

    def link(self, src: str, dest: str) -> Link:
        link = self.links.get((src, dest))
        if link is None:
            # Whatever they are called, the way is the same.
            ends = " ".join(
                self.hosts[end].place if end in self.hosts else self.clients.called[end]
                for end in (src, dest)
            )
            rng = Random(f"{self.script.seed} link {ends}")
            link = self.links[src, dest] = Link(rng)
        return link

    def arrival(self, link: Link) -> float:
        late = link.random()
        return self.now + self.base + self.spread * late * late * late

    def arrive(self, host: Host, line: bytes, question: int | None = None) -> None:
        if host.node is not None:
            host.inbox.append((line, question))
            self.wake(host, self.now)

    def carry(self, src: str, dest: str, what: Callable[..., None], *about: Any) -> None:
        """Send between a client and a node; the network does not repeat such messages."""
        link = self.link(src, dest)
        if link.random() < self.loss and not self.quiescent:
            self.happened["lost"] += 1
        else:
            self.at(self.arrival(link), what, *about)

    # Nodes.

    def start(self, host: Host) -> None:
        if host.node is None and not host.disk.full:
            host.start()
            self.wake(host, self.now)

    def wake(self, host: Host, when: float) -> None:
        """Schedule a turn of a node at a time, or as soon as it is free."""
        when = max(when, host.free_at)
        if when < host.turn_at:
            host.turn_at = when
            self.at(when, self.turn, host)

    def turn(self, host: Host) -> None:
        if self.now != host.turn_at:
            # It had an earlier turn, or crashed.
            return
        host.turn_at = NEVER
        if self.now < host.free_at:
            self.wake(host, host.free_at)
            return
        saves = host.disk.saves
        output = host.take_turn(self.now)
        if output is None:
            self.fall(host)
            return
        falls = host.left is not None and host.disk.saves > saves
        host.free_at = self.now + host.turn_seconds + host.work_seconds
        for line in output[: host.left] if falls else output:
            self.at(host.free_at, self.leave, host, *self.addressed(host, line))
        if falls:
            self.fall(host)
        else:
            host.check_answers()
            due = host.plan()
            self.wake(host, self.now if host.inbox else due)

    def addressed(self, host: Host, line: bytes) -> tuple[str, Any]:
        """Return the destination of a line, and the line, or for a client the message."""
        # It begins with {"src": "n1", "dest": "n2", "body": and within a name no quotation mark
        # stands behind a space.
        dest = self.dests.get(line[len(host.prefix) : line.find(b', "body": ')])
        if dest is not None:
            return dest, line
        message = json.loads(line)
        host.owed.pop(message["body"]["in_reply_to"], None)
        return message["dest"], message

    def leave(self, host: Host, dest: str, output: Any) -> None:
        if dest in self.hosts:
            self.send(host.name, dest, output)
        elif dest != OPERATOR:
            self.carry(host.name, dest, self.clients.receive, output)

    def fall(self, host: Host) -> None:
        host.fall()
        self.happened["falls"] += 1
        self.at(self.now + host.downtime, self.start, host)

    # What happens to them.

    def happen(self, event: Event) -> None:
        self.happened[event["kind"]] += 1
        getattr(self, event["kind"])(event)

    def propose(self, event: Event) -> None:
        self.clients.propose(event["client"], event["node"], event["slot"], event["tries"])

    def log(self, event: Event) -> None:
        which = {"from": event["from"], "limit": event["limit"]}
        self.clients.log(event["client"], event["node"], **which)

    def crash(self, event: Event) -> None:
        host = self.hosts[event["node"]]
        if host.node is None:
            return
        host.downtime = event["seconds"]
        if event["point"] == "now":
            self.fall(host)
        elif event["point"] == "before":
            host.disk.power_fails = True
        else:
            host.left = event["left"]

    def cut(self, event: Event) -> None:
        links = [self.link(src, dest) for src, dest in event["links"]]
        for link in links:
            link.cuts += 1
        self.at(self.now + event["seconds"], self.mend, links)

    def mend(self, links: list[Link]) -> None:
        for link in links:
            link.cuts -= 1

    def full(self, event: Event) -> None:
        host = self.hosts[event["node"]]
        host.disk.full = True
        self.at(self.now + event["seconds"], self.make_room, host)

    def make_room(self, host: Host) -> None:
        host.disk.full = False
        self.start(host)

    def pause(self, event: Event) -> None:
        host = self.hosts[event["node"]]
        host.free_at = max(host.free_at, self.now + event["seconds"])

    def slow(self, event: Event) -> None:
        host = self.hosts[event["node"]]
        host.turn_seconds = event["turn"]
        self.at(self.now + event["seconds"], self.hurry, host)

    def hurry(self, host: Host) -> None:
        host.turn_seconds = TURN

    # What must be true, by what is on the disks.

    def saved(
        self, node: str, cast: list[tuple[int, int, Value]], decisions: dict[int, Value]
    ) -> None:
        """Count the votes of a commit, and check that its decisions are chosen."""
        for slot, ballot, value in cast:
            voted, voters = self.votes.setdefault((slot, ballot), (value, set()))
            if voted != value:
                raise Failed(f"votes: {voted} and {value} in slot {slot}, ballot {ballot}")
            voters.add(node)
            if len(voters) >= self.majority and self.chosen.setdefault(slot, value) != value:
                raise Failed(f"votes: {self.chosen[slot]} and {value} are chosen in slot {slot}")
        for slot, value in decisions.items():
            if self.chosen.get(slot) != value:
                raise Failed(f"votes: {node} calls {value} decided in slot {slot}, and it is not")

    # The end.

    def end_faults(self) -> None:
        """End all faults, and start all nodes."""
        self.quiescent = True
        self.loss, self.repeat, self.base = 0.0, 0.0, 0.01
        self.spread = min(self.spread, 0.02)
        for host in self.hosts.values():
            host.disk.full = False
            host.turn_seconds, host.free_at = TURN, self.now
            host.cancel_crash()
            self.start(host)

    def examine(self) -> None:
        """Reach quiescence: nodes learn what clients know, then each decides a slot, first one by
        one and then at once.  In the end every node has, and sends, every decision."""
        members = list(self.hosts)
        self.expect(8, "all know what clients know", self.all_know_what_clients_know)
        self.loss = 0.2
        for node in members:
            self.expect(20, f"{node} decides", self.clients.insist([node]))
        self.loss = 0.0
        self.expect(20, "all decide at once", self.clients.insist(members))
        # Every preempted node has been answered since, so none backs off for long.
        soon = PACE.request_timeout
        self.expect(soon, "two decide at once", self.clients.insist(members[-2:]))
        self.expect(20, "every client is answered", self.clients.are_content)
        self.expect(20, "all know everything", self.all_know_everything)
        # Delayed messages have arrived by then, so these logs are the last ones.
        self.live(self.script.seconds + self.script.spread + 1)
        self.expect(1, "every node sends its log", self.clients.insist_on_logs(members))

    def expect(self, seconds: float, what: str, is_so: Callable[[], bool]) -> None:
        if not self.live(self.now + seconds, is_so):
            raise Failed(f"quiescence: not within {seconds:.0f} seconds: {what}")

    def all_know_what_clients_know(self) -> bool:
        return all(self.clients.acknowledged <= known.keys() for known in self.known())

    def all_know_everything(self) -> bool:
        return all(len(known) == len(self.chosen) for known in self.known())

    def known(self) -> list[dict[int, Value]]:
        return [host.disk.decided for host in self.hosts.values()]
