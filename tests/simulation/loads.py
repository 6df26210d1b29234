"""Loads for a simulated cluster, each drawn from a seed as a script.

- steady: requests arrive at a constant rate, during faults at one node after the other, then at
  one;
- busy: the same, at nodes so slow that every turn has input;
- lossy: requests arrive at one busy node, and messages between nodes are lost until the end;
- takeover: a busy node that lacks decisions becomes the leader, while half of all messages are
  lost;
- duel: several nodes receive requests at the same rate, so they preempt each other;
- storm: a leader with many open slots loses its majority for a while;
- burst: one node of a cluster without faults receives many requests at once.

A script's `load` has the `kind`, the number of `proposers` (nodes that receive requests), the
`rate` of requests (per second), the minimum seconds of a `turn`, and how many requests are
`outstanding` at once, each with a value of `size` characters (0 for small values of several types).
`loaded` checks what must hold under a load.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from . import faults
from .faults import Script
from .lives import TURN

BURST_SIZE = 1000
"""Characters of each value of a burst."""

PROPOSER_SECONDS = 2.0
"""How long each node in turn receives the requests while there are faults."""

ANSWER_SECONDS = 0.25
"""How long after the last request to a node all are answered: it starts no ballot then."""

STORM_SLOTS, STORM_SECONDS = 1000, 20.0
"""How many slots are open in a storm, and how long it lasts."""


def draw(kind: str, seed: int, nodes: int | None = None, outstanding: int = 32) -> Script:
    """Return the script of a seed for a kind of load; `outstanding` is for a burst."""
    rng = Random(f"{seed} {kind}")
    script = Script(
        seed,
        nodes or rng.choice((3, 3, 4, 5)),
        seconds=1.0,
        loss=0.0,
        repeat=0.0,
        base=rng.choice((0.001, 0.01)),
        spread=rng.choice((0.0, 0.02)),
        events=(),
    )
    return KINDS[kind](rng, script, outstanding)


def with_load(script: Script, kind: str, **given: Any) -> Script:
    load = {"kind": kind, "proposers": 1, "rate": 0.0, "turn": TURN, "outstanding": 0, "size": 0}
    return replace(script, load=load | given)


def steady(rng: Random, script: Script, _: int) -> Script:
    script = with_load(script, "steady", rate=rng.choice((20.0, 50.0, 100.0)))
    return with_faults(rng, replace(script, seconds=10.0))


def busy(rng: Random, script: Script, _: int) -> Script:
    script = with_load(script, "busy", rate=200.0, turn=0.02)
    return with_faults(rng, replace(script, seconds=6.0))


def lossy(rng: Random, script: Script, _: int) -> Script:
    script = with_load(script, "lossy", rate=200.0, turn=0.02)
    return replace(script, loss=rng.choice((0.05, 0.1)))


def takeover(_: Random, script: Script, __: int) -> Script:
    script = with_load(replace(script, nodes=3), "takeover", rate=100.0, turn=0.02)
    cut = {
        "at": 0.1,
        "kind": "cut",
        "links": faults.both_ways(["n2"], ["n1", "n3"]),
        "seconds": PROPOSER_SECONDS + ANSWER_SECONDS - 0.1,
    }
    lose = {"at": PROPOSER_SECONDS + ANSWER_SECONDS, "kind": "lose", "loss": 0.5}
    return replace(script, seconds=2 * PROPOSER_SECONDS - 0.1, events=(cut, lose))


def duel(rng: Random, script: Script, _: int) -> Script:
    script = with_load(script, "duel", proposers=rng.choice((2, 3)), rate=5.0)
    return replace(script, seconds=5.0, loss=0.1, spread=0.0)


def storm(_: Random, script: Script, __: int) -> Script:
    # The load determines the names of the members.
    script = with_load(script, "storm", outstanding=STORM_SLOTS)
    links = faults.both_ways(["n1"], script.members()[1:])
    cut = {"at": 1.0, "kind": "cut", "links": links, "seconds": STORM_SECONDS}
    return replace(script, seconds=1.0 + STORM_SECONDS, events=(cut,))


def burst(_: Random, script: Script, outstanding: int) -> Script:
    return with_load(script, "burst", outstanding=outstanding, size=BURST_SIZE)


KINDS = {each.__name__: each for each in (steady, busy, lossy, takeover, duel, storm, burst)}


def with_faults(rng: Random, script: Script) -> Script:
    """Add lost messages, and a few faults of each kind."""
    members, events = script.members(), []
    for fault in faults.crash, faults.restart, faults.cut, faults.pause:
        mean = script.seconds / rng.choice((1, 2, 4))
        events += faults.happening(rng, members, script.seconds, mean, fault)
    events.sort(key=lambda event: event["at"])
    return replace(script, loss=rng.choice((0.02, 0.1, 0.3)), events=tuple(events))
