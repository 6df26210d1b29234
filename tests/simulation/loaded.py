"""A simulated cluster under load: every request is decided in time, and at a bounded cost.

`cluster` examines a cluster at rest.  Here the traffic goes on after the faults, and the network is
whole from then on.  The bounds are the constants below, in simulated seconds; the loads are drawn
in `loads`.
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
from .loads import STAYS

Json = Any

SETTLE = PATIENCE + LONGEST_ANSWER
"""After the network is whole for so long, nothing of what was sent before is under way any more: a
client has repeated what was lost, and a node has answered it, if only by an error."""

BOUND = 2.0
"""From then on, a request is decided within so long, and so much later every node knows it."""

LOSSY_BOUND = 6.0
"""If messages are lost, a node may query its peers several times, once in about a second, before it
knows what is decided."""

TAKES_OVER = 5.0
"""So long after the network is whole a node leads whose prepares were lost, and has caught up: it
waits longer before each further prepare."""

DISTINCT = 0.2
"""Of the times between two ballots of a duel, to 2 ms, at least so many are distinct: back-off is
random."""

AFTERWARDS = 6.0
"""How long the traffic goes on after SETTLE."""

DUEL_BOUND, DUEL_MEDIAN = 10.0, 0.22
"""In a duel a request may wait longer, for back-off is random; half of them wait no longer than
DUEL_MEDIAN."""

COST, DUEL_COST, IDLE = 1.2, 3.0, 20.0
"""Lines between nodes: a decision may cost so many times the least, and each pair of nodes may
exchange so many more a second."""

BURST = 3.0
"""How many times the seconds that its lines take at the leader a burst may take."""

STORM_RATE, BACKS_OFF, COMES_BACK = 1000.0, 10.0, 3.0
"""A leader without majority sends at most so many lines a second after BACKS_OFF seconds; so long
after the links are whole again, all its open slots are decided."""

BATCH = 100
"""Decisions in each `learned`: enough for a node to learn faster than its cluster decides."""

STEP = 0.05
"""How often the rules are checked."""


class Insisting(Clients):
    """Clients that send a request again until its slot is decided, and measure how long it took."""

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

    clients: Insisting

    def __init__(self, script: Script, parts: Parts = RIGHT, logs: bool = False) -> None:
        super().__init__(script, parts, logs)
        self.load = script.load
        self.clients = Insisting(self, self.load["size"])
        self.duel = self.load["kind"] == "duel"
        self.lines: Counter[str] = Counter()
        self.ballots: dict[int, float] = {}
        self.whole_at = 0.0
        for host in self.hosts.values():
            host.turn_seconds, host.batch = self.load["turn"], BATCH
            if self.duel:
                # Clocks and ways are equally fast, so only random back-off makes proposers differ.
                host.rate = 1.0
        self.traffic()
        if self.load["kind"] == "storm":
            self.at(1.1, self.flood, 0)
            self.at(1.1 + BACKS_OFF, self.back_off)

    # The load.

    def traffic(self) -> None:
        """Have each proposer sent a request now, and so on at a constant rate."""
        for place, node in enumerate(self.proposers(), 1):
            self.clients.propose(f"c{place}", node, self.clients.newest + 1)
        if self.load["rate"]:
            self.at(self.now + 1 / self.load["rate"], self.traffic)

    def proposers(self) -> list[str]:
        """The nodes that are sent requests now."""
        members = self.script.members()
        stay = 0 if self.duel else int(min(self.now, self.script.seconds) / STAYS) % len(members)
        return members[stay : stay + self.load["proposers"]]

    def flood(self, tries: float) -> None:
        """Have the first node sent many requests at once."""
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
        self.live(self.now + SETTLE)
        self.observe(AFTERWARDS)

    examine_busy = examine_lossy = examine_steady

    def examine_takeover(self) -> None:
        """The leader comes to know what was decided without it, though requests go on."""
        before, leader = set(self.clients.acknowledged), self.hosts["n2"]
        self.expect(
            TAKES_OVER,
            "the leader knows what was decided before",
            lambda: before <= leader.disk.decided.keys(),
        )
        self.examine_steady()

    def examine_duel(self) -> None:
        self.live(self.now + SETTLE)
        self.clients.waits.clear()
        self.ballots.clear()
        self.observe(AFTERWARDS)
        median = statistics.median(self.clients.waits)
        if median > DUEL_MEDIAN:
            raise Failed(
                f"duel: half of the requests wait for {median:.2f} s or longer, not {DUEL_MEDIAN} s"
            )
        gaps = [round((later - begun) / 0.002) for begun, later in pairwise(self.ballots.values())]
        if len(set(gaps)) < DISTINCT * len(gaps):
            raise Failed(
                f"duel: {len(set(gaps))} distinct times between {len(gaps)} ballots, so "
                f"back-off is not random"
            )

    def observe(self, seconds: float) -> None:
        """Let time pass, and hold every rule of a whole network with traffic against it."""
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
                f"first request for it, and {self.calm()}"
            )

    def calm(self) -> str:
        state = "loses messages, and nothing else is wrong," if self.loss else "is whole"
        return f"the network {state} since {self.now - self.whole_at:.2f} s"

    def check_errors(self) -> None:
        """What was first sent since the network is whole is never given up."""
        for since, slot in self.clients.refused:
            if since > self.whole_at and not self.duel:
                raise Failed(
                    f"live: a request for slot {slot} was answered by an error, though "
                    f"{self.calm()}"
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
        """From now on, a leader without majority sends little."""
        self.begun, self.before = self.now, self.lines.total()

    def examine_storm(self) -> None:
        """The links are whole again now."""
        rate = (self.lines.total() - self.before) / (self.now - self.begun)
        if rate > STORM_RATE:
            raise Failed(
                f"storm: nodes without majority send {rate:,.0f} lines a second, not "
                f"{STORM_RATE:,.0f} at most"
            )
        self.expect(
            COMES_BACK, "what was open is decided", lambda: len(self.chosen) == self.clients.newest
        )

    # A burst.

    def examine_burst(self) -> None:
        """All is decided in a few times the seconds that the lines alone take at the node."""
        outstanding, others = self.load["outstanding"], len(self.hosts) - 1
        seconds = (2 + 3 * others) * LINE + (2 + 2 * others) * self.load["size"] * BYTE
        begun, before = self.now, self.lines.total()
        self.flood(float("inf"))
        self.expect(
            1 + BURST * outstanding * seconds,
            f"all {outstanding:,} are decided",
            lambda: not self.clients.since,
        )
        self.check_errors()
        self.check_lines(self.lines.total() - before, outstanding, self.now - begun)
