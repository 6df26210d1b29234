"""A real faulty world: processes in real time, each on a directory of its own, who are killed.

Between them runs a bad network, in this process: loss, repetition, delay, and partitions that come
and go.  Nodes are stopped for a while, killed at any moment (right after they were given a line,
too) and started again on what they left.  All chance comes from one seed; time is real, so the same
seed is the same schedule of faults and not the same run.

Here things happen and are written down.  Whether they were right is for the judges to say.
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
from .clients import Client, Last
from .cluster import NodeError
from .life import Life
from .network import Loss, Network, Pairs
from .nodes import OPTIONS, REFUSED, Nodes
from .process import CHUNK
from .replay import check_command

Json = Any


@dataclass(frozen=True)
class Faults:
    """How bad the world is: mean times in seconds, from one fault to the next and of each."""

    network: Loss = field(default_factory=Loss)
    kill: float = 0.5
    downtime: float = 0.3
    pause: float = 2.0
    paused: float = 0.4
    cut: float = 2.0
    parted: float = 0.8
    second: float = 2.0


CLIENTS = 4

# Seconds: between the requests of a client, until it loses patience, between those of the end.
THOUGHT, PATIENCE, AGAIN = 0.1, 1.0, 0.25

# Seconds: until all is well once nothing fails any more, and until a node leaves when asked to.
PEACE, LEAVE = 30.0, 10.0

# How long a node that is to be killed at a line waits for one, and how soon after it it dies.
AMBUSH, STEP = 0.5, 0.01


@dataclass
class Endured:
    """What happened in a faulty world, and where it is written down."""

    history: list[Entry]
    logs: list[Path]
    happened: Counter[str]
    seconds: float
    settled: float | None
    """How long the peace took until every node had a new slot decided and told everything."""
    statuses: dict[str, int | None]
    evidence: dict[str, list[Evidence]]
    """What the router saw of each life of each node."""
    unrefused: list[str]
    """What is wrong with second processes on a directory that were not refused."""
    missing: list[str]
    """What must have happened and has not, or not often enough, for a run to show anything."""


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
    large: bool = True,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Endured:
    """Runs a cluster until so many kills were made or the time is up, and then until all is well.

    Where `kills` is None nobody is killed; with `power_cuts`, a kill loses what was not synced.
    Before the time is up, enough must have happened as well.  `options` are those of `Nodes`.
    Some values are `large`, which a slow node may take too long for.
    Raises `NodeError` for a node that ends by itself, floods or says what is no message, and for
    power that cannot be cut here.
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
        pieces = Pieces(Random(f"{seed} pieces"))
        cluster = stack.enter_context(
            closing(Nodes(folder, command, members, options, power, pieces.size))
        )
        least = least_of(nodes, kills, "--data" in options)
        world = World(cluster, seed, faults or Faults(), writer, least, large)
        world.run(kills, seconds, on_progress)
        return world.endured()


class Pieces:
    """The sizes of the pieces in which a line is given: mostly all of it, at times a few bytes."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def size(self) -> int:
        return self._chance.randint(1, 200) if self._chance.random() < 0.1 else CHUNK


def least_of(nodes: int, kills: int | None, on_disk: bool) -> dict[str, int]:
    """What must happen for a run to show anything, and how often at least."""
    least = {"acknowledged": 10, "logs told": 2, "pauses": 1}
    if nodes > 1:
        least["partitions"] = 1
    if kills is not None:
        least["kills"] = min(kills, nodes)
    if on_disk:
        least["second processes"] = 1
    return least


class World:
    """The nodes, the network between them, the clients and the bad luck."""

    def __init__(
        self,
        nodes: Nodes,
        seed: int,
        faults: Faults,
        writer: histories.Writer,
        least: dict[str, int],
        large: bool,
    ) -> None:
        self.nodes = nodes
        self.members = nodes.members
        self.lives = nodes.lives
        self.faults = faults
        self.large = large
        self.happened: Counter[str] = Counter()
        # Each has chance of its own, so that one taking more of it changes nothing for the others.
        self.luck = random.Random(f"{seed} faults")
        self.network = Network(self.members, random.Random(f"{seed} network"), faults.network)
        chance = random.Random(f"{seed} clients")
        names = [f"c{number}" for number in range(1, CLIENTS + 1)]
        self.clients = {name: Client(name, self.members, chance, large) for name in names}
        self.lasts: dict[str, Last] = {}
        self.newest = 0
        self.acknowledged: set[int] = set()
        self.history: list[Entry] = []
        self.writer = writer
        self.least = least
        self.unrefused: list[str] = []
        self.statuses: dict[str, int | None] = {}
        self.settled: float | None = None
        self._peace = False
        self._leaving = False
        self._ambushed: set[str] = set()
        self._guarded: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._started = time.monotonic()

    def endured(self) -> Endured:
        paths = [self.nodes.log(node) for node in self.members]
        return Endured(
            self.history,
            paths,
            self._all_that_happened(),
            self._now(),
            self.settled,
            self.statuses,
            self.nodes.evidence,
            self.unrefused,
            self._missing(),
        )

    def _all_that_happened(self) -> Counter[str]:
        happened = self.happened + self.network.happened
        for client in self.clients.values():
            happened += client.happened
        return happened

    def _missing(self) -> list[str]:
        happened = self._all_that_happened()
        return [
            f"{happened[what]:,} of at least {least:,} {what}"
            for what, least in self.least.items()
            if happened[what] < least
        ]

    # From the beginning to the end.

    def run(self, kills: int | None, seconds: float, tell: Callable[[str], None]) -> None:
        for node in self.members:
            self._start(node)
        for client in self.clients:
            self._take_turn(client, 0)
        if kills is not None:
            self._soon(self.faults.kill, self._strike, kills)
        self._soon(self.faults.pause, self._pause)
        self._soon(self.faults.cut, self._cut)
        if "second processes" in self.least:
            self._soon(self.faults.second, self._start_second)

        def over() -> bool:
            made = self.happened["kills"]
            told = "" if kills is None else f"{made:,} of {kills:,} kills, "
            tell(f"{told}{len(self.acknowledged):,} slots acknowledged")
            enough = kills is not None and made >= kills and not self._missing()
            return enough or self._now() >= seconds

        self._live(over)
        self._make_peace(tell)
        self._end()

    def _make_peace(self, tell: Callable[[str], None]) -> None:
        """Nothing fails any more; every node is to do its work, and in the end to know all."""
        begun = self._now()
        self._peace = self.network.peace = True
        for place, node in enumerate(self.members, 1):
            if node not in self.lives:
                self._start(node)
            elif self.lives[node].paused:
                self.lives[node].resume()
            last = Last(node, self.newest + place, self.large)
            self.lasts[last.name] = last
            self._insist(last)

        def over() -> bool:
            tell(f"peace, {sum(map(self._is_content, self.lasts.values()))} nodes are well")
            well = self._all_is_well() and not self._guarded
            return well or self._now() > begun + PEACE

        self._live(over)
        if self._all_is_well():
            self.settled = self._now() - begun

    def _all_is_well(self) -> bool:
        return all(map(self._is_content, self.lasts.values()))

    def _is_content(self, last: Last) -> bool:
        return last.decided and last.log is not None and self.acknowledged <= last.log

    def _end(self) -> None:
        """Asks every node to leave, and hears the last that they say."""
        self._leaving = True
        for life in self.lives.values():
            life.terminate()
        begun = self._now()
        self._live(
            lambda: all(life.over for life in self.lives.values()) or self._now() > begun + LEAVE
        )
        for node, life in self.lives.items():
            self.statuses[node] = life.status(1)
            self.nodes.evidence[node][-1].whole = life.over and self.statuses[node] == 0

    # Time.

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _plan(self, delay: float, what: Callable[..., None], *about: Any) -> None:
        heapq.heappush(self._agenda, (self._now() + delay, next(self._order), what, about))

    def _soon(self, mean: float, what: Callable[..., None], *about: Any) -> None:
        self._plan(self.luck.expovariate(1 / mean), what, *about)

    def _live(self, over: Callable[[], bool]) -> None:
        """Lets time pass until something is true."""
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
            self._plan(delay, self._arrive, message)

    def _arrive(self, message: Json) -> None:
        node = message["dest"]
        if node not in self.members:
            self._answered(message)
        elif not self.network.reaches(message["src"], node):
            return
        elif node not in self.lives:
            self.happened["met nobody"] += 1
        else:
            self.happened["delivered"] += 1
            give = self._ambush if node in self._ambushed else self.nodes.give
            give(node, message)

    def _write(self, kind: str, message: Json) -> Entry:
        entry = self.writer.write(self._now(), kind, message)
        self.history.append(entry)
        return entry

    # Clients.

    def _ask(self, question: Json) -> None:
        self._write("ask", question)
        self.newest = max(self.newest, question["body"].get("slot", 0))
        self._send(question)

    def _answered(self, message: Json) -> None:
        self.acknowledged.update(slot for slot, _ in decisions_in(self._write("answer", message)))
        name = message["dest"]
        if name in self.lasts:
            self.lasts[name].answered(message)
        elif name in self.clients and self.clients[name].answered(message):
            self._turns[name] += 1
            self._plan_turn(name, self.luck.expovariate(1 / THOUGHT))

    def _take_turn(self, name: str, turn: int) -> None:
        """A client asks, unless it has been answered since it was planned that it would."""
        if not self._peace and turn == self._turns[name]:
            self._turns[name] += 1
            self._ask(self.clients[name].turn(self.newest))
            self._plan_turn(name, PATIENCE)

    def _plan_turn(self, name: str, delay: float) -> None:
        self._plan(delay, self._take_turn, name, self._turns[name])

    def _insist(self, last: Last) -> None:
        if not self._is_content(last):
            self._ask(last.turn())
        self._plan(AGAIN, self._insist, last)

    # Bad luck.

    def _strike(self, left: int) -> None:
        """Kills a node now, or lies in wait for the next line that it is given."""
        if self._peace:
            return
        node = self._victim()
        if node is None:
            self._soon(self.faults.kill, self._strike, left)
            return
        if self.luck.random() < 0.5:
            self._kill(node, self.lives[node])
        else:
            self._ambushed.add(node)
            self._plan(AMBUSH, self._kill, node, self.lives[node])
        if left > 1:
            self._soon(self.faults.kill, self._strike, left - 1)

    def _ambush(self, node: str, message: Json) -> None:
        """Gives a node a message and kills it: soon after, or as soon as it logs the step.

        Then the step is not yet saved or has just been: a moment that chance would hardly meet.
        """
        length = self.nodes.logged(node)
        self.nodes.give(node, message)
        if self.luck.random() < 0.5:
            self._plan(self.luck.uniform(0, STEP), self._kill, node, self.lives[node])
            return
        until = self._now() + STEP
        while self.nodes.logged(node) == length and self._now() < until:
            pass
        self._kill(node, self.lives[node])

    def _victim(self) -> str | None:
        """A node that lives and is not to be killed already."""
        spared = self._ambushed | self._guarded
        alive = [node for node in self.members if node in self.lives]
        return self.luck.choice([node for node in alive if node not in spared] or [None])

    def _kill(self, node: str, life: Life) -> None:
        if self._peace or self.lives.get(node) is not life:
            return
        self._ambushed.discard(node)
        self.happened["kills"] += 1
        for message in self.nodes.kill(node):
            self._send(message)
        self._soon(self.faults.downtime, self._restart, node)

    def _start(self, node: str) -> None:
        """Begins a life; its first line tells the node who it is, whatever else is waiting."""
        self.nodes.start(node, self.luck.getrandbits(31))
        init = self._init(node)
        self._write("ask", init)
        self.nodes.give(node, init)

    def _init(self, node: str) -> Json:
        body = {"type": "init", "msg_id": 0, "node_id": node, "node_ids": self.members}
        return {"src": "c0", "dest": node, "body": body}

    def _start_second(self) -> None:
        """Starts another process on the directory of a node, which is not killed meanwhile."""
        if self._peace:
            return
        node = self._victim()
        # Only one that has said something is known to have its directory.
        if node is not None and self.nodes.evidence[node][-1].outputs:
            self._guarded.add(node)
            second = self.nodes.start_second(node, self.luck.getrandbits(31))
            second.give(json.dumps(self._init(node)).encode())
            self._see_refused(node, second, self._now() + REFUSED)
        self._soon(self.faults.second, self._start_second)

    def _see_refused(self, node: str, second: Life, until: float) -> None:
        """Sees to it that a second process ends by itself, with an error and without a word."""
        status = second.status(0)
        if status is None and self._now() < until:
            self._plan(0.02, self._see_refused, node, second, until)
            return
        # Only now it shows something: a run may be over before.
        self.happened["second processes"] += 1
        said = second.kill()
        second.close()
        self._guarded.discard(node)
        if status in (None, 0) or said:
            ended = "did not end" if status is None else f"ended with status {status}"
            self.unrefused.append(
                f"a second process on the directory of {node} {ended}; it printed {said[:1]}"
            )

    def _restart(self, node: str) -> None:
        if node not in self.lives:
            self._start(node)
            self.happened["restarts"] += 1

    def _pause(self) -> None:
        if self._peace:
            return
        node = self._victim()
        if node is not None and not self.lives[node].paused:
            self.lives[node].pause()
            self.happened["pauses"] += 1
            self._soon(self.faults.paused, self._resume, self.lives[node])
        self._soon(self.faults.pause, self._pause)

    def _resume(self, life: Life) -> None:
        if life.paused:
            life.resume()

    def _cut(self) -> None:
        if not self._peace:
            pairs = self.network.cut()
            self._soon(self.faults.parted, self._mend, pairs)
            self._soon(self.faults.cut, self._cut)

    def _mend(self, pairs: Pairs) -> None:
        self.network.heal(pairs)
