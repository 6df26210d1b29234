"""Run a cluster of real node processes over a lossy network, and write its log.

All randomness comes from one seed: lost, repeated and late messages, crashes, the names of members
and clients, and requests (see `vocabulary`).  Time is simulated, so a run takes only as long as
the nodes need to process their inputs.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from ..formats import logs
from ..tlaplus.translate import ranges
from .cluster import NodeProcess, Waiting
from .requests import Requests
from .vocabulary import Vocabulary, reordered

Json = Any


class Node(Protocol):
    """A node that gets one input at a time."""

    def step(self, given: Json) -> Json:
        """Give the node an input; return the record of the step."""

    def end(self) -> None:
        """End the node's input, and wait until it exits."""

    def close(self) -> None:
        """Kill what is left of the node, and release its resources."""


@dataclass(frozen=True)
class Faults:
    """Probabilities per message, and mean times in units of simulated time.

    A message takes up to `slowest` units, so messages overtake each other.
    """

    loss: float = 0.1
    repeat: float = 0.1
    slowest: float = 10.0
    timeout: float = 40.0
    inquire: float = 200.0
    expire: float = 100.0
    crash: float = 300.0
    restart: float = 40.0


@dataclass
class Recorded:
    """A recorded run: its log, and how often each kind of event happened."""

    path: Path
    records: list[Json] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)

    def missing(self, requests: int) -> str:
        """Return what happened too rarely for the run to show anything; "" if nothing."""
        answered, least = self.happened["answered"], max(1, round(ANSWERED * requests))
        return f"{answered:,} of at least {least:,} requests answered" * (answered < least)


# The share of the requests that must get a reply other than an error.
ANSWERED = 0.1

# How a reply is counted, by its error code.
_ANSWERS = {None: "answered", 12: "refused"}

# Units of time: the mean between two requests, and the fault-free period at the end.
PAUSE = 6.0
QUIESCENCE = 600.0

# One of so many steps in which a leader opens slots is followed by an event that they are overdue.
OVERDUE = 5


def record(
    folder: Path,
    command: Sequence[str],
    *,
    nodes: int,
    requests: int,
    seed: int,
    faults: Faults | None = None,
    seconds: float = 10,
    launch: Callable[[str, Sequence[str], Path, float], Node] = NodeProcess,
    on_progress: Callable[[int], None] = lambda steps: None,
) -> Recorded:
    """Run a cluster until its clients are done, and write `seed-SEED.ndjson` to a folder.

    `launch` starts a node; it takes the name, the command, a file for standard error, and for how
    many seconds the node may be silent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, rng = Vocabulary(seed), random.Random(seed)
    members = vocabulary.members(nodes)
    with ExitStack() as stack:
        processes = {
            node: stack.enter_context(
                closing(launch(node, command, folder / f"n{place}.stderr", seconds))
            )
            for place, node in enumerate(members, 1)
        }
        drawn = Requests(vocabulary, members, rng, requests)
        cluster_run = _Cluster(processes, drawn, rng, faults or Faults())
        recorded = Recorded(folder / f"seed-{seed}.ndjson")
        try:
            for taken in cluster_run.run(requests):
                recorded.records.append(taken)
                on_progress(len(recorded.records))
            for process in processes.values():
                process.end()
        finally:
            # The log of a run that failed is written, too: it shows the failure.
            logs.write(recorded.path, recorded.records)
    recorded.happened = cluster_run.happened
    return recorded


class _Cluster:
    """The network, the clients and the schedule of crashes."""

    def __init__(
        self, processes: dict[str, Node], requests: Requests, rng: random.Random, faults: Faults
    ) -> None:
        self.processes = processes
        self.requests = requests
        self.members = list(processes)
        self.rng = rng
        self.faults = faults
        self.down: set[str] = set()
        self.waiting = {node: Waiting() for node in processes}
        self.happened: Counter[str] = Counter()
        self._now = 0.0
        self._quiescent = float("inf")
        self._agenda: list[tuple[float, int, str, Any]] = []
        self._order = count()
        self._opened = count()

    def run(self, requests: int) -> Any:
        """Yield the records of the run, one per step."""
        for node in self.members:
            yield self.processes[node].step(self.requests.init(node))
        self._schedule_clients(requests)
        for node in self.members:
            for event in ("timeout", "inquire", "expire", "crash"):
                self._schedule(event, node)
        end = self._quiescent + QUIESCENCE
        while self._agenda:
            self._now, _, kind, what = heapq.heappop(self._agenda)
            if self._now > end:
                break
            taken = self._deliver(what) if kind == "message" else self._execute(kind, what)
            if taken is not None:
                yield taken
                yield from self._repeat(taken)

    # Steps.

    def _deliver(self, message: Json) -> Json | None:
        node = message["dest"]
        if node in self.down:
            self.happened["lost"] += 1
            return None
        self.happened["delivered"] += 1
        return self._step(node, message)

    def _execute(self, event: str, node: str) -> Json | None:
        """Execute an event; return the record of its step, None if the event has no effect."""
        if event in ("crash", "expire") and self._now >= self._quiescent:
            return None
        if event == "crash":
            self.down.add(node)
            self._schedule("restart", node)
            self.happened["crashes"] += 1
        elif event == "restart":
            self.down.discard(node)
            self._schedule("crash", node)
        else:
            self._schedule(event, node)
            idle = event == "expire" and not self.waiting[node]
            if idle or node in self.down:
                return None
        return self._step(node, event)

    def _step(self, node: str, given: Json) -> Json:
        taken = self.processes[node].step(given)
        self.waiting[node].step(given, taken["output"])
        for message in taken["output"]:
            if message["dest"] in self.processes:
                self._send(message)
            else:
                code = message["body"].get("code")
                self.happened[_ANSWERS.get(code, "given up")] += 1
        return taken

    def _repeat(self, taken: Json) -> Iterator[Json]:
        """Sometimes give a leader the event that the slots it has just opened are overdue.

        The network loses its output, so the rest of the run is as without the event.
        """
        opened = {m["body"]["slot"] for m in taken["output"] if m["body"]["type"] == "accept"}
        if opened and taken["input"] != "timeout" and next(self._opened) % OVERDUE == 0:
            event = {"event": "repeat", "slots": ranges(opened)}
            yield self.processes[taken["node"]].step(event)

    def _send(self, message: Json) -> None:
        """Schedule the delivery of a message: once, twice or, if it is lost, never."""
        quiescent = self._now >= self._quiescent
        copies = 1 + (not quiescent and self.rng.random() < self.faults.repeat)
        self.happened["repeated"] += copies - 1
        for _ in range(copies):
            if not quiescent and self.rng.random() < self.faults.loss:
                self.happened["lost"] += 1
            else:
                delay = self.rng.uniform(0, self.faults.slowest)
                self._schedule_at(self._now + delay, "message", message)

    # The schedule.

    def _schedule_at(self, when: float, kind: str, what: Any) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), kind, what))

    def _schedule(self, event: str, node: str) -> None:
        mean = getattr(self.faults, event)
        self._schedule_at(self._now + self.rng.expovariate(1 / mean), event, node)

    def _schedule_clients(self, requests: int) -> None:
        """Schedule all requests: most go to one node and propose for new slots."""
        when, favourite, newest = 0.0, self.members[0], 0
        for number in range(1, requests + 1):
            when += self.rng.expovariate(1 / PAUSE)
            if self.rng.random() < 0.05:
                favourite = self.rng.choice(self.members)
            stray = self.rng.random() < 0.1
            node = self.rng.choice(self.members) if stray else favourite
            if self.rng.random() < 0.7:
                newest += self.rng.choice((1, 1, 1, 2))
            slot = max(0, newest - self.rng.choice((0, 0, 0, 1, 2)))
            self._schedule_request(when, node, number, slot)
        self._quiescent = when

    def _schedule_request(self, when: float, node: str, number: int, slot: int) -> None:
        """Schedule a request; its keys may have another order when it is sent twice."""
        request = self.requests.draw(node, number, slot)
        for _ in range(1 + (self.rng.random() < self.faults.repeat)):
            later = when + self.rng.uniform(0, self.faults.slowest)
            self._schedule_at(later, "message", reordered(request, self.rng))
        self.happened["requests"] += 1
