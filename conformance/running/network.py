"""A lossy network: draws the delays of each message at random.

It starts no process and reads no clock: it returns delays, and its caller waits.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Pairs = frozenset[tuple[str, str]]
"""Senders and receivers between which messages are lost."""


@dataclass(frozen=True)
class Loss:
    """Probabilities per message; a late one takes up to `slowest` seconds, and can be overtaken."""

    loss: float = 0.03
    repeat: float = 0.05
    late: float = 0.1
    slowest: float = 0.3


class Network:
    """Loses, repeats and delays messages between nodes; loses and delays those of clients.

    It repeats no request: a client could not distinguish the second reply from that of a wrong
    node.
    """

    def __init__(self, members: Sequence[str], rng: random.Random, faults: Loss) -> None:
        self.members = list(members)
        self.happened: Counter[str] = Counter()
        self.quiescent = False
        self._rng = rng
        self._faults = faults
        self._cuts: Counter[tuple[str, str]] = Counter()

    def delays(self, src: str, dest: str) -> list[float]:
        """Return the delay of each copy of a message in seconds; none if it is lost.

        What a node sends to itself is not in the network.
        """
        if self.quiescent or src == dest:
            return [0.0]
        within = src in self.members and dest in self.members
        copies = 1 + (within and self._happens(self._faults.repeat, "repeated"))
        arriving = [0 for _ in range(copies) if not self._happens(self._faults.loss, "lost")]
        return [self._delay() for _ in arriving]

    def _delay(self) -> float:
        late = self._happens(self._faults.late, "late")
        return self._rng.uniform(0, self._faults.slowest) if late else 0.0

    def _happens(self, probability: float, what: str) -> bool:
        happens = self._rng.random() < probability
        self.happened[what] += happens
        return happens

    def reaches(self, src: str, dest: str) -> bool:
        """Return whether no partition separates a sender from a receiver now."""
        cut = not self.quiescent and self._cuts[src, dest] > 0
        self.happened["cut off"] += cut
        return not cut

    def cut(self) -> Pairs:
        """Cut some nodes off from the others, both ways or one way; return the pairs."""
        size = self._rng.randint(1, max(1, len(self.members) // 2))
        some = set(self._rng.sample(self.members, size))
        out = {(a, b) for a in some for b in self.members if b not in some}
        back = {(b, a) for a, b in out}
        pairs = frozenset(self._rng.choice([out | back, out | back, out, back]))
        self._cuts.update(pairs)
        self.happened["partitions"] += 1
        return pairs

    def heal(self, pairs: Pairs) -> None:
        self._cuts.subtract(pairs)
