"""A simulated cluster under load: every request is decided in time, and at a bounded cost.

`cluster` checks a cluster at quiescence.  Here requests continue after the faults, and the network
has no faults from then on.  The bounds are the constants below, in simulated seconds; `loads` draws
the loads.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, deque
from itertools import pairwise
from typing import Any

from .clients import PATIENCE, Clients
from .cluster import Simulation
from .faults import Event, Script
from .lives import BYTE, LINE, LONGEST_ANSWER, RIGHT, Failed, Parts
from .loads import PROPOSER_SECONDS

Json = Any

DRAIN_SECONDS = PATIENCE + LONGEST_ANSWER
"""How long after the last fault no earlier request is open: clients have repeated what was lost and
nodes have answered it, if only by an error."""

BOUND = 2.0
"""From then on: until a request is decided, and from there until every node knows the decision."""

LOSSY_BOUND = 6.0
"""The same while messages are lost: a node may query its peers several times, about once a second,
before it learns a decision."""

TAKEOVER_BOUND = 5.0
"""From the last fault until a node whose prepares were lost leads and has caught up: each wait for
the next prepare is longer."""

DISTINCT_GAPS = 0.2
"""The minimum share of distinct times between two ballots of a duel, to 2 ms: it is random."""

OBSERVED_SECONDS = 6.0
"""How long requests continue after DRAIN_SECONDS."""

DUEL_BOUND, DUEL_MEDIAN = 10.0, 0.22
"""The longest wait of a request in a duel, where back-off is random, and the largest median."""

COST, DUEL_COST, IDLE = 1.2, 3.0, 20.0
"""The most lines between nodes: a multiple of the minimum for each decision, and lines per second
for each pair of nodes."""

BURST_COST = 3.0
"""The longest time of a burst, as a multiple of the time that its lines take at the leader."""

STORM_RATE, BACK_OFF_SECONDS, STORM_BOUND = 1000.0, 10.0, 3.0
"""The most lines per second of a leader without a majority, from BACK_OFF_SECONDS on; and from the
end of the cut until all its open slots are decided."""

BATCH = 100
"""Decisions in each `learned`: enough for a node to learn faster than its cluster decides."""

STEP = 0.05
"""How often the rules are checked."""


class RetryingClients(Clients):
    """Clients that repeat a request until its slot is decided, and measure how long that takes."""

    def __init__(self, simulation: Loaded, size: int) -> None:
        super().__init__(simulation)
        self.size = size
        self.since: dict[int, float] = {}
        self.waits: list[float] = []
        self.decided: deque[tuple[float, int]] = deque()
        self.refused: list[tuple[float, int]] = []

    def propose(self, client: str, node: str, slot: int, tries: float = float("inf")) -> None:
        self.since.setdefault(slot, self.simulation.now)
        super().propose(client, node, slot, tries)

    def value(self, number: int) -> Json:
        return f"v{number}".ljust(self.size, "x") if self.size else super().value(number)

    def receive(self, message: Json) -> None:
        request, body = self.open.get(message["body"]["in_reply_to"]), message["body"]
        if body["type"] == "error" and request is not None:
            slot = request.body["slot"]
            self.refused.append((self.since[slot], slot))
        super().receive(message)
        asked = self.since.pop(body.get("slot"), None)
        if asked is not None:
            self.waits.append(self.simulation.now - asked)
            self.decided.append((self.simulation.now, body["slot"]))


class Loaded(Simulation):
    """One run of a script with a load."""

    clients: RetryingClients

    def __init__(self, script: Script, parts: Parts = RIGHT, logs: bool = False) -> None:
        super().__init__(script, parts, logs)
        self.load = script.load
        self.clients = RetryingClients(self, self.load["size"])
        self.duel = self.load["kind"] == "duel"
        self.lines: Counter[str] = Counter()
        self.ballots: dict[int, float] = {}
        self.whole_at = 0.0
        for host in self.hosts.values():
            host.turn_seconds, host.batch = self.load["turn"], BATCH
            if self.duel:
                # Clocks and links are equally fast, so only random back-off makes proposers differ.
                host.rate = 1.0
        self.traffic()
        if self.load["kind"] == "storm":
            self.at(1.1, self.flood, 0)
            self.at(1.1 + BACK_OFF_SECONDS, self.back_off)

    # The load.

    def traffic(self) -> None:
        """Send a request to each proposer now, and then at a constant rate."""
        for place, node in enumerate(self.proposers(), 1):
            self.clients.propose(f"c{place}", node, self.clients.newest + 1)
        if self.load["rate"]:
            self.at(self.now + 1 / self.load["rate"], self.traffic)

    def proposers(self) -> list[str]:
        """Return the nodes that receive requests now."""
        members, faulty = self.script.members(), min(self.now, self.script.seconds)
        first = 0 if self.duel else int(faulty / PROPOSER_SECONDS) % len(members)
        return members[first : first + self.load["proposers"]]

    def flood(self, tries: float) -> None:
        """Send many requests to the first node at once."""
        for _ in range(self.load["outstanding"]):
            self.clients.propose("c1", "n1", self.clients.newest + 1, tries)

    def send(self, src: str, dest: str, line: bytes) -> None:
        self.lines[src] += 1
        if self.duel and b'"type": "prepare"' in line:
            self.ballots.setdefault(json.loads(line)["body"]["ballot"], self.now)
        super().send(src, dest, line)

    def lose(self, event: Event) -> None:
        self.loss = event["loss"]

    # The rules.

    def end_faults(self) -> None:
        base, spread = self.base, self.spread
        super().end_faults()
        self.base, self.spread, self.whole_at = base, spread, self.now
        if self.load["kind"] == "lossy":
            self.loss = self.script.loss
        for host in self.hosts.values():
            host.turn_seconds = self.load["turn"]

    def examine(self) -> None:
        getattr(self, f"examine_{self.load['kind']}")()

    def examine_steady(self) -> None:
        self.live(self.now + DRAIN_SECONDS)
        self.observe(OBSERVED_SECONDS)

    examine_busy = examine_lossy = examine_steady

    def examine_takeover(self) -> None:
        """Check that the leader learns what was decided without it, while requests continue."""
        before, leader = set(self.clients.acknowledged), self.hosts["n2"]
        self.expect(
            TAKEOVER_BOUND,
            "the leader knows what was decided before",
            lambda: before <= leader.disk.decided.keys(),
        )
        self.examine_steady()

    def examine_duel(self) -> None:
        self.live(self.now + DRAIN_SECONDS)
        self.clients.waits.clear()
        self.ballots.clear()
        self.observe(OBSERVED_SECONDS)
        median = statistics.median(self.clients.waits)
        if median > DUEL_MEDIAN:
            raise Failed(
                f"duel: half of the requests wait for {median:.2f} s or longer, not {DUEL_MEDIAN} s"
            )
        gaps = [round((later - begun) / 0.002) for begun, later in pairwise(self.ballots.values())]
        if len(set(gaps)) < DISTINCT_GAPS * len(gaps):
            raise Failed(
                f"duel: {len(set(gaps))} distinct times between {len(gaps)} ballots, so "
                f"back-off is not random"
            )

    def observe(self, seconds: float) -> None:
        """Let time pass, and check every rule of a network without faults under load."""
        begun, before, decided = self.now, self.lines.total(), len(self.clients.waits)
        while self.now < begun + seconds:
            self.live(self.now + STEP)
            self.check_waits()
            self.check_errors()
            self.check_knowledge()
        self.check_lines(self.lines.total() - before, len(self.clients.waits) - decided, seconds)

    def check_waits(self) -> None:
        slot, since = next(iter(self.clients.since.items()), (None, self.now))
        if self.now - since > (DUEL_BOUND if self.duel else BOUND):
            raise Failed(
                f"live: slot {slot} is not decided {self.now - since:.2f} s after the "
                f"first request for it, and {self.network_state()}"
            )

    def network_state(self) -> str:
        state = "has no fault but lost messages" if self.loss else "has no faults"
        return f"the network {state} since {self.now - self.whole_at:.2f} s"

    def check_errors(self) -> None:
        """Check that no request that was first sent after the last fault is given up."""
        for since, slot in self.clients.refused:
            if since > self.whole_at and not self.duel:
                raise Failed(
                    f"live: a request for slot {slot} was answered by an error, though "
                    f"{self.network_state()}"
                )
        self.clients.refused.clear()

    def check_knowledge(self) -> None:
        decided, bound = self.clients.decided, LOSSY_BOUND if self.loss else BOUND
        while decided and self.now - decided[0][0] > bound:
            _, slot = decided.popleft()
            for name, host in self.hosts.items():
                if slot not in host.disk.decided:
                    raise Failed(
                        f"live: {name} does not know slot {slot} {bound:g} s after it was decided"
                    )

    def check_lines(self, lines: int, decided: int, seconds: float) -> None:
        others, cost = len(self.hosts) - 1, DUEL_COST if self.duel else COST
        most = cost * 3 * others * decided + IDLE * len(self.hosts) * others * seconds
        if lines > most:
            raise Failed(
                f"lines: {lines:,} lines between nodes for {decided:,} decisions in "
                f"{seconds:.1f} s, not {most:,.0f} at most"
            )

    # A storm.

    def back_off(self) -> None:
        """Begin to count the lines of a leader without a majority."""
        self.begun, self.before = self.now, self.lines.total()

    def examine_storm(self) -> None:
        """Check the rate of the storm, and recovery after it."""
        rate = (self.lines.total() - self.before) / (self.now - self.begun)
        if rate > STORM_RATE:
            raise Failed(
                f"storm: nodes without majority send {rate:,.0f} lines a second, not "
                f"{STORM_RATE:,.0f} at most"
            )
        self.expect(
            STORM_BOUND, "what was open is decided", lambda: len(self.chosen) == self.clients.newest
        )

    # A burst.

    def examine_burst(self) -> None:
        """Check that everything is decided in a small multiple of the time of its lines alone."""
        outstanding, others = self.load["outstanding"], len(self.hosts) - 1
        seconds = (2 + 3 * others) * LINE + (2 + 2 * others) * self.load["size"] * BYTE
        begun, before = self.now, self.lines.total()
        self.flood(float("inf"))
        self.expect(
            1 + BURST_COST * outstanding * seconds,
            f"all {outstanding:,} are decided",
            lambda: not self.clients.since,
        )
        self.check_errors()
        self.check_lines(self.lines.total() - before, outstanding, self.now - begun)
