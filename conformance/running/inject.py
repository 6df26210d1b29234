"""Fault injection: real processes in real time, each with its own directory.

This process is the network between them: it loses, repeats, delays and partitions messages.  Nodes
are paused, killed at any moment (also right after they got a line) and restarted on their
directory.  All randomness comes from one seed; time is real, so the same seed gives the same
schedule of faults and not the same run.

A cluster may be *opaque*: its members speak another protocol with each other, and only the clients'
history can be checked.

Nothing here decides whether the outcome is right: the history checker and trace validation do.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from ..formats import history as histories
from ..formats import logs
from ..formats.history import Entry
from ..validation.evidence import Evidence
from ..validation.history_checker import decisions_in
from . import syscalls
from .clients import Client, FinalClient
from .cluster import NodeError
from .life import Life
from .network import Loss, Network, Pairs
from .nodes import OPTIONS, REFUSAL_SECONDS, Nodes, check_opaque, check_protocol
from .process import CHUNK
from .replay import check_command

Json = Any


@dataclass(frozen=True)
class Faults:
    """Mean times in seconds: between faults of each kind, and how long a fault lasts."""

    network: Loss = field(default_factory=Loss)
    kill: float = 0.5
    downtime: float = 0.3
    pause: float = 2.0
    paused: float = 0.4
    cut: float = 2.0
    parted: float = 0.8
    second: float = 2.0


@dataclass(frozen=True)
class Dialect:
    """How a cluster is spoken to.

    `opaque`: its members send each other any lines of JSON with `src` and `dest`.  `appends`: its
    clients name no slot.
    """

    opaque: bool = False
    appends: bool = False


PROTOCOL = Dialect()
"""This project's protocol."""

CLIENTS = 4

# Seconds: between a client's requests, until it stops waiting for a reply, and between the requests
# of the fault-free period.
THINK_TIME, CLIENT_TIMEOUT, RETRY_INTERVAL = 0.1, 1.0, 0.25

# Seconds: the longest fault-free period, and until a node ends after SIGTERM.
RECOVERY_SECONDS, EXIT_SECONDS = 30.0, 10.0

# How likely a kill is postponed if nothing was acknowledged since the last one.  At 0, the nodes of
# a slow machine only ever start; at 1, no node is killed while it recovers.
POSTPONED = 2 / 3

# Seconds: how long a kill at the next line waits for one, and the longest delay after it.
LONGEST_WAIT_TO_KILL, KILL_DELAY = 0.5, 0.01


@dataclass
class FaultRun:
    """The results of a run with faults, and the files with its logs."""

    history: list[Entry]
    logs: list[Path]
    vote_logs: list[Path]
    happened: Counter[str]
    seconds: float
    recovery_seconds: float | None
    """How long the fault-free period took until every node had decided a new slot and had sent all
    decisions; None if that did not happen."""
    statuses: dict[str, int | None]
    evidence: dict[str, list[Evidence]]
    """The router's observations of each process of each node."""
    unrefused: list[str]
    """For each second process on a directory that did not end with an error: what it did."""
    missing: list[str]
    """Which events happened too rarely for the run to show anything."""


def inject(
    folder: Path,
    command: Sequence[str],
    *,
    nodes: int,
    kills: int | None,
    seconds: float,
    seed: int,
    power_cuts: bool = False,
    options: Collection[str] = OPTIONS,
    faults: Faults | None = None,
    dialect: Dialect = PROTOCOL,
    large: bool = True,
    on_progress: Callable[[str], None] = lambda text: None,
) -> FaultRun:
    """Inject faults into a cluster for N kills or some seconds, then run it without faults.

    With `kills` None no node is killed; with `power_cuts`, a kill drops a random part of what was
    not synced.  A run of N kills goes on until the events that it needs have happened.  `options`
    are those of `Nodes`.  `large` adds large values, which a slow node may take too long for.
    Raises `NodeError` for a node that ends by itself, or prints too much or something else than
    messages; and if power cuts cannot be simulated here.
    """
    check_command(command)
    if power_cuts and (why := syscalls.why_not()):
        raise NodeError(f"power cannot be cut: {why}")
    folder.mkdir(parents=True, exist_ok=True)
    logs.check_free(folder)
    with ExitStack() as stack:
        writer = stack.enter_context(closing(histories.Writer(folder / logs.HISTORY)))
        members = [f"n{number}" for number in range(1, nodes + 1)]
        power = Random(f"{seed} power") if power_cuts else None
        pieces = WriteSizes(Random(f"{seed} pieces"))
        check = check_opaque if dialect.opaque else check_protocol
        cluster = stack.enter_context(
            closing(Nodes(folder, command, members, options, power, pieces.size, check))
        )
        minimum = minimum_counts(nodes, kills, "--data" in options and not dialect.opaque)
        injector = FaultInjector(cluster, seed, faults or Faults(), writer, minimum, dialect, large)
        injector.run(kills, seconds, on_progress)
        return injector.fault_run()


class WriteSizes:
    """Sizes of the writes of a line: mostly the whole line, sometimes few bytes."""

    def __init__(self, rng: Random) -> None:
        self._random = rng

    def size(self) -> int:
        return self._random.randint(1, 200) if self._random.random() < 0.1 else CHUNK


def minimum_counts(nodes: int, kills: int | None, seconds: bool) -> dict[str, int]:
    """What must happen for a run to show anything, and how often at minimum.

    `seconds`: second processes are started on the directories of nodes.
    """
    minimum = {"acknowledged": 10, "logs read": 2, "pauses": 1}
    if nodes > 1:
        minimum["partitions"] = 1
    if kills is not None:
        minimum["kills"] = min(kills, nodes)
    if seconds:
        minimum["second processes"] = 1
    return minimum


class FaultInjector:
    """The nodes, the network between them, the clients and the schedule of faults."""

    def __init__(
        self,
        nodes: Nodes,
        seed: int,
        faults: Faults,
        writer: histories.Writer,
        minimum: dict[str, int],
        dialect: Dialect,
        large: bool,
    ) -> None:
        self.nodes = nodes
        self.members = nodes.members
        self.lives = nodes.lives
        self.faults = faults
        self.dialect = dialect
        self.large = large
        self.happened: Counter[str] = Counter()
        # A PRNG for each part, so that one that draws more changes nothing for the others.
        self.random = random.Random(f"{seed} faults")
        self.network = Network(self.members, random.Random(f"{seed} network"), faults.network)
        rng = random.Random(f"{seed} clients")
        names = [f"c{number}" for number in range(1, CLIENTS + 1)]
        self.clients = {
            name: Client(name, self.members, rng, large, dialect.appends) for name in names
        }
        self.final_clients: dict[str, FinalClient] = {}
        self.newest = 0
        self.acknowledged: set[int] = set()
        self.history: list[Entry] = []
        self.writer = writer
        self.minimum = minimum
        self.unrefused: list[str] = []
        self.statuses: dict[str, int | None] = {}
        self.recovery_seconds: float | None = None
        self._quiescent = False
        self._leaving = False
        self._kill_at_next_line: set[str] = set()
        self._acknowledged_at_kill = 0
        self._protected: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._started = time.monotonic()

    def fault_run(self) -> FaultRun:
        paths = [self.nodes.log(node) for node in self.members]
        return FaultRun(
            self.history,
            paths,
            [self.nodes.vote_log(node) for node in self.members],
            self._counts(),
            self._now(),
            self.recovery_seconds,
            self.statuses,
            self.nodes.evidence,
            self.unrefused,
            self._missing(),
        )

    def _counts(self) -> Counter[str]:
        happened = self.happened + self.network.happened
        for client in self.clients.values():
            happened += client.happened
        return happened

    def _missing(self) -> list[str]:
        happened = self._counts()
        return [
            f"{happened[what]:,} of at least {minimum:,} {what}"
            for what, minimum in self.minimum.items()
            if happened[what] < minimum
        ]

    # The run.

    def run(self, kills: int | None, seconds: float, on_progress: Callable[[str], None]) -> None:
        for node in self.members:
            self._start(node)
        for client in self.clients:
            self._take_turn(client, 0)
        if kills is not None:
            self._schedule_at_random(self.faults.kill, self._schedule_kill, kills)
        self._schedule_at_random(self.faults.pause, self._pause)
        self._schedule_at_random(self.faults.cut, self._partition)
        if "second processes" in self.minimum:
            self._schedule_at_random(self.faults.second, self._start_second)

        def over() -> bool:
            made = self.happened["kills"]
            counted = "" if kills is None else f"{made:,} of {kills:,} kills, "
            on_progress(f"{counted}{len(self.acknowledged):,} slots acknowledged")
            enough = kills is not None and made >= kills and not self._missing()
            return enough or self._now() >= seconds

        self._run_until(over)
        self._recover(on_progress)
        self._shut_down()

    def _recover(self, on_progress: Callable[[str], None]) -> None:
        """Run without faults until every node has decided a new slot and knows all decisions."""
        begun = self._now()
        self._quiescent = self.network.quiescent = True
        for place, node in enumerate(self.members, 1):
            if node not in self.lives:
                self._start(node)
            elif self.lives[node].paused:
                self.lives[node].resume()
            slot = None if self.dialect.appends else self.newest + place
            last = FinalClient(node, slot, self.large)
            self.final_clients[last.name] = last
            self._retry(last)

        def over() -> bool:
            recovered = sum(map(self._has_recovered, self.final_clients.values()))
            on_progress(f"no faults, {recovered} nodes have recovered")
            well = self._all_recovered() and not self._protected
            return well or self._now() > begun + RECOVERY_SECONDS

        self._run_until(over)
        if self._all_recovered():
            self.recovery_seconds = self._now() - begun

    def _all_recovered(self) -> bool:
        """Return whether all nodes have recovered; an opaque one may leave decisions to others."""
        every = self.final_clients.values()
        return all(map(self._has_recovered, every)) and any(last.decided for last in every)

    def _has_recovered(self, last: FinalClient) -> bool:
        decides = last.decided or self.dialect.opaque
        return decides and last.log is not None and self.acknowledged <= last.log

    def _shut_down(self) -> None:
        """Send SIGTERM to every node and read its last output."""
        self._leaving = True
        for life in self.lives.values():
            life.terminate()
        begun = self._now()
        self._run_until(
            lambda: (
                all(life.over for life in self.lives.values()) or self._now() > begun + EXIT_SECONDS
            )
        )
        for node, life in self.lives.items():
            self.statuses[node] = life.status(1)
            self.nodes.evidence[node][-1].whole = life.over and self.statuses[node] == 0

    # Time.

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _schedule(self, delay: float, what: Callable[..., None], *about: Any) -> None:
        heapq.heappush(self._agenda, (self._now() + delay, next(self._order), what, about))

    def _schedule_at_random(self, mean: float, what: Callable[..., None], *about: Any) -> None:
        self._schedule(self.random.expovariate(1 / mean), what, *about)

    def _run_until(self, over: Callable[[], bool]) -> None:
        """Run the schedule and the network until a condition is true."""
        while not over():
            now = self._now()
            while self._agenda and self._agenda[0][0] <= now:
                _, _, what, about = heapq.heappop(self._agenda)
                what(*about)
            due = self._agenda[0][0] - self._now() if self._agenda else 0.05
            for message in self.nodes.listen(min(max(due, 0.0), 0.05), self._leaving):
                self._send(message)

    # Messages.

    def _send(self, message: Json) -> None:
        for delay in self.network.delays(message["src"], message["dest"]):
            self._schedule(delay, self._deliver, message)

    def _deliver(self, message: Json) -> None:
        node = message["dest"]
        if node not in self.members:
            self._receive_reply(message)
        elif not self.network.reaches(message["src"], node):
            return
        elif node not in self.lives:
            self.happened["node was down"] += 1
        else:
            self.happened["delivered"] += 1
            give = self._give_and_kill if node in self._kill_at_next_line else self.nodes.give
            give(node, message)

    def _write(self, kind: str, message: Json) -> Entry:
        entry = self.writer.write(self._now(), kind, message)
        self.history.append(entry)
        return entry

    # Clients.

    def _send_request(self, request: Json) -> None:
        self._write("ask", request)
        self.newest = max(self.newest, request["body"].get("slot", 0))
        self._send(request)

    def _receive_reply(self, message: Json) -> None:
        decided = [slot for slot, _ in decisions_in(self._write("answer", message))]
        self.acknowledged.update(decided)
        if self.dialect.appends:
            self.newest = max([self.newest, *decided])
        name = message["dest"]
        if name in self.final_clients:
            self.final_clients[name].receive(message)
        elif name in self.clients and self.clients[name].receive(message):
            self._turns[name] += 1
            self._schedule_turn(name, self.random.expovariate(1 / THINK_TIME))

    def _take_turn(self, name: str, turn: int) -> None:
        """Send a client's next request, unless it got a reply since this was scheduled."""
        if not self._quiescent and turn == self._turns[name]:
            self._turns[name] += 1
            self._send_request(self.clients[name].turn(self.newest))
            self._schedule_turn(name, CLIENT_TIMEOUT)

    def _schedule_turn(self, name: str, delay: float) -> None:
        self._schedule(delay, self._take_turn, name, self._turns[name])

    def _retry(self, last: FinalClient) -> None:
        if not self._has_recovered(last):
            self._send_request(last.turn())
        self._schedule(RETRY_INTERVAL, self._retry, last)

    # Faults.

    def _schedule_kill(self, left: int) -> None:
        """Kill a node now, or when it gets its next line."""
        if self._quiescent:
            return
        node = self._choose_node()
        if node is None or self._is_postponed():
            self._schedule_at_random(self.faults.kill, self._schedule_kill, left)
            return
        if self.random.random() < 0.5:
            self._kill(node, self.lives[node])
        else:
            self._kill_at_next_line.add(node)
            self._schedule(LONGEST_WAIT_TO_KILL, self._kill, node, self.lives[node])
        if left > 1:
            self._schedule_at_random(self.faults.kill, self._schedule_kill, left - 1)

    def _is_postponed(self) -> bool:
        idle = len(self.acknowledged) == self._acknowledged_at_kill
        return idle and self.random.random() < POSTPONED

    def _give_and_kill(self, node: str, message: Json) -> None:
        """Give a node a message and kill it: soon after, or as soon as it logs the step.

        Then the step is not saved yet or was saved just now: random moments rarely hit that.
        """
        length = self.nodes.logged(node)
        self.nodes.give(node, message)
        if self.random.random() < 0.5:
            self._schedule(self.random.uniform(0, KILL_DELAY), self._kill, node, self.lives[node])
            return
        until = self._now() + KILL_DELAY
        while self.nodes.logged(node) == length and self._now() < until:
            pass
        self._kill(node, self.lives[node])

    def _choose_node(self) -> str | None:
        """Return a running node that is not about to be killed, None if there is none."""
        spared = self._kill_at_next_line | self._protected
        alive = [node for node in self.members if node in self.lives]
        return self.random.choice([node for node in alive if node not in spared] or [None])

    def _kill(self, node: str, life: Life) -> None:
        if self._quiescent or self.lives.get(node) is not life:
            return
        self._kill_at_next_line.discard(node)
        self.happened["kills"] += 1
        self._acknowledged_at_kill = len(self.acknowledged)
        for message in self.nodes.kill(node):
            self._send(message)
        self._schedule_at_random(self.faults.downtime, self._restart, node)

    def _start(self, node: str) -> None:
        """Start a process of a node; its first line is `init`."""
        self.nodes.start(node, self.random.getrandbits(31))
        init = self._init(node)
        self._write("ask", init)
        self.nodes.give(node, init)

    def _init(self, node: str) -> Json:
        body = {"type": "init", "msg_id": 0, "node_id": node, "node_ids": self.members}
        return {"src": "c0", "dest": node, "body": body}

    def _start_second(self) -> None:
        """Start a second process on a node's directory; the node is not killed meanwhile."""
        if self._quiescent:
            return
        node = self._choose_node()
        # Only a node that has printed something is known to have locked its directory.
        if node is not None and self.nodes.evidence[node][-1].outputs:
            self._protected.add(node)
            second = self.nodes.start_second(node, self.random.getrandbits(31))
            second.give(json.dumps(self._init(node)).encode())
            self._check_refused(node, second, self._now() + REFUSAL_SECONDS)
        self._schedule_at_random(self.faults.second, self._start_second)

    def _check_refused(self, node: str, second: Life, until: float) -> None:
        """Check that a second process ends by itself, with an error and without output."""
        status = second.status(0)
        if status is None and self._now() < until:
            self._schedule(0.02, self._check_refused, node, second, until)
            return
        # Counted only now: a run may end before this is known.
        self.happened["second processes"] += 1
        sent = second.kill()
        second.close()
        self._protected.discard(node)
        if status in (None, 0) or sent:
            ended = "did not end" if status is None else f"ended with status {status}"
            self.unrefused.append(
                f"a second process on the directory of {node} {ended}; it printed {sent[:1]}"
            )

    def _restart(self, node: str) -> None:
        if node not in self.lives:
            self._start(node)
            self.happened["restarts"] += 1

    def _pause(self) -> None:
        if self._quiescent:
            return
        node = self._choose_node()
        if node is not None and not self.lives[node].paused:
            self.lives[node].pause()
            self.happened["pauses"] += 1
            self._schedule_at_random(self.faults.paused, self._resume, self.lives[node])
        self._schedule_at_random(self.faults.pause, self._pause)

    def _resume(self, life: Life) -> None:
        if life.paused:
            life.resume()

    def _partition(self) -> None:
        if not self._quiescent:
            pairs = self.network.cut()
            self._schedule_at_random(self.faults.parted, self._heal, pairs)
            self._schedule_at_random(self.faults.cut, self._partition)

    def _heal(self, pairs: Pairs) -> None:
        self.network.heal(pairs)
