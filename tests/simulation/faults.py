"""The script of a simulation: its faults and requests, drawn from one seed before the run.

A script is plain data, so it can be written down, repeated and made smaller.  Its slots are places
of the log, and its clients c1 to c4; the simulation has names and slots of the seed's own for them.
Every seed draws its own mixture of faults, since a fault is found most easily where others do not
hide it.  `cluster` applies them to the nodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from conformance.running.vocabulary import Vocabulary

Event = dict[str, Any]
"""One event: `at` (in seconds), `kind`, and the fields of its kind."""


@dataclass(frozen=True)
class Script:
    """A simulation's seed and size, how bad its network is all the time, and what happens when.

    A message takes from `base` to `base + spread` seconds, most of them little.  What `load` is
    put on the nodes beside the events, if any, stands in `loads`.
    """

    seed: int
    nodes: int
    seconds: float
    loss: float
    repeat: float
    base: float
    spread: float
    events: tuple[Event, ...]
    load: dict[str, Any] | None = None

    def members(self) -> list[str]:
        plain = [f"n{number}" for number in range(1, self.nodes + 1)]
        return plain if self.load else Vocabulary(self.seed).members(self.nodes)

    def text(self) -> str:
        """Return JSON with an event per line."""
        fields = asdict(self)
        events = fields.pop("events")
        head = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
        lines = ",\n  ".join(map(json.dumps, events))
        return "{" + ",\n ".join([*head, f'"events": [\n  {lines}]']) + "}\n"

    @classmethod
    def of(cls, text: str) -> Script:
        fields = json.loads(text)
        return cls(**{**fields, "events": tuple(fields["events"])})


SIZES = (3, 3, 3, 3, 5, 5, 4, 2, 1)
"""How many nodes a seed may have."""


OFTEN = (0, 5, 20, 40)
"""How often a fault may happen in a run: some simulations have none, and some have little else."""


def draw(seed: int, nodes: int | None, seconds: float) -> Script:
    """Return the script of a seed, for a number of nodes if it is given."""
    rng = Random(f"{seed} script")
    size = rng.choice(SIZES)
    script = Script(
        seed,
        nodes or size,
        seconds,
        loss=rng.choice((0.0, 0.02, 0.1, 0.3)),
        repeat=rng.choice((0.0, 0.02, 0.2)),
        base=rng.choice((0.001, 0.01, 0.05)),
        spread=rng.choice((0.0, 0.02, 0.5, 3.0)),
        events=(),
    )
    members = script.members()
    events = list(requests(rng, members, seconds))
    for fault in crash, restart, cut, full, pause, slow:
        if often := rng.choice(OFTEN):
            events += happening(rng, members, seconds, seconds / often, fault)
    if rng.random() < 0.5:
        events.append(straggle(rng, members, seconds))
    events.sort(key=lambda event: event["at"])
    return replace(script, events=tuple(events))


# What clients do.


def requests(rng: Random, members: list[str], seconds: float) -> Iterator[Event]:
    """Add requests: mostly at one node for new slots, sometimes several for the same slot."""
    at, newest, favourite = 0.0, 0, rng.choice(members)
    gap = rng.choice((0.5, 1.0, 2.0))
    strays = rng.choice((0.0, 0.1, 0.5, 1.0))
    while (at := at + rng.uniform(0, 2 * gap)) < seconds:
        if rng.random() < 0.05:
            favourite = rng.choice(members)
        if rng.random() < 0.05:
            yield log(rng, members, newest, at)
            continue
        newest += rng.choice((0, 1, 1, 1, 2))
        slot = max(0, newest - rng.choice((0, 0, 0, 0, 1, 3)))
        for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
            node = rng.choice(members) if rng.random() < strays else favourite
            yield {
                "at": at,
                "kind": "propose",
                "client": client(rng),
                "node": node,
                "slot": slot,
                "tries": rng.choice((0, 1)),
            }


def log(rng: Random, members: list[str], newest: int, at: float) -> Event:
    least = rng.choice((0, max(0, newest - 5)))
    return {
        "at": at,
        "kind": "log",
        "client": client(rng),
        "node": rng.choice(members),
        "from": least,
        "limit": rng.choice((3, 1000)),
    }


def client(rng: Random) -> str:
    return rng.choice(("c1", "c2", "c3"))


# What goes wrong.

Fault = Callable[[Random, list[str]], Event]


def happening(
    rng: Random, members: list[str], seconds: float, mean: float, fault: Fault
) -> Iterator[Event]:
    at = 0.0
    while (at := at + rng.uniform(0, 2 * mean)) < seconds:
        yield {"at": at, **fault(rng, members)}


def crash(rng: Random, members: list[str]) -> Event:
    """At once; in the next turn that is to be saved, before it is; or when it is, but only the
    first `left` of its lines have left."""
    return {
        "kind": "crash",
        "node": rng.choice(members),
        "point": rng.choice(("now", "before", "after")),
        "left": rng.choice((0, 0, 1, 2)),
        "seconds": rng.uniform(0, 4),
    }


def restart(rng: Random, members: list[str]) -> Event:
    """Add a crash with a restart while messages of the node are still in flight."""
    return {**crash(rng, members), "seconds": rng.uniform(0, 0.05)}


def cut(rng: Random, members: list[str]) -> Event:
    """Add a partition: links cut one way, both ways, or between two parts."""
    part = members[:]
    rng.shuffle(part)
    one, *others = part
    half = len(part) // 2
    links = rng.choice(
        (
            [(one, other) for other in others[:1]],
            [(one, other) for other in others],
            [(other, one) for other in others],
            both_ways([one], others),
            both_ways(part[:half], part[half:]),
        )
    )
    return {"kind": "cut", "links": links, "seconds": rng.uniform(0.5, 8)}


def straggle(rng: Random, members: list[str], seconds: float) -> Event:
    """Add a partition of one node at the end, long enough to miss many decisions."""
    one, *others = rng.sample(members, len(members))
    alone = rng.uniform(seconds / 4, seconds / 2)
    return {
        "at": seconds - alone,
        "kind": "cut",
        "links": both_ways([one], others),
        "seconds": alone,
    }


def both_ways(one: list[str], other: list[str]) -> list[tuple[str, str]]:
    links = [(here, there) for here in one for there in other]
    return links + [(there, here) for here, there in links]


def full(rng: Random, members: list[str]) -> Event:
    """Add a full disk, and the time when space is freed."""
    return {"kind": "full", "node": rng.choice(members), "seconds": rng.uniform(0.5, 5)}


def pause(rng: Random, members: list[str]) -> Event:
    """Add a pause of a node."""
    return {"kind": "pause", "node": rng.choice(members), "seconds": rng.uniform(0.2, 6)}


def slow(rng: Random, members: list[str]) -> Event:
    """Add a time in which every turn of a node is slow."""
    return {
        "kind": "slow",
        "node": rng.choice(members),
        "turn": rng.choice((0.05, 0.5)),
        "seconds": rng.uniform(1, 10),
    }
