"""A bad network: what becomes of a message, by chance alone.

Knows no process and no clock: how long a message takes is said here, and waited for elsewhere.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Pairs = frozenset[tuple[str, str]]
"""Who cannot reach whom."""


@dataclass(frozen=True)
class Loss:
    """Chances per message; one that is late takes up to `slowest` seconds, and is overtaken."""

    loss: float = 0.03
    repeat: float = 0.05
    late: float = 0.1
    slowest: float = 0.3


class Network:
    """Between nodes messages are lost, repeated and late; to and from clients lost and late.

    A question that the network repeated would be answered twice, which a client could not tell from
    a node that answers twice.
    """

    def __init__(self, members: Sequence[str], chance: random.Random, faults: Loss) -> None:
        self.members = list(members)
        self.happened: Counter[str] = Counter()
        self.peace = False
        self._chance = chance
        self._faults = faults
        self._cuts: Counter[tuple[str, str]] = Counter()

    def delays(self, src: str, dest: str) -> list[float]:
        """How long each copy of a message takes that is sent now; no copy if it is lost."""
        if self.peace:
            return [0.0]
        within = src in self.members and dest in self.members
        copies = 1 + (within and self._falls(self._faults.repeat, "repeated"))
        arriving = [0 for _ in range(copies) if not self._falls(self._faults.loss, "lost")]
        return [self._delay() for _ in arriving]

    def _delay(self) -> float:
        late = self._falls(self._faults.late, "late")
        return self._chance.uniform(0, self._faults.slowest) if late else 0.0

    def _falls(self, chance: float, what: str) -> bool:
        falls = self._chance.random() < chance
        self.happened[what] += falls
        return falls

    def reaches(self, src: str, dest: str) -> bool:
        """Whether a message that arrives now gets through."""
        cut = not self.peace and self._cuts[src, dest] > 0
        self.happened["cut off"] += cut
        return not cut

    def cut(self) -> Pairs:
        """Cuts some nodes off from the others: both ways, or one way only."""
        size = self._chance.randint(1, max(1, len(self.members) // 2))
        some = set(self._chance.sample(self.members, size))
        out = {(a, b) for a in some for b in self.members if b not in some}
        back = {(b, a) for a, b in out}
        pairs = frozenset(self._chance.choice([out | back, out | back, out, back]))
        self._cuts.update(pairs)
        self.happened["partitions"] += 1
        return pairs

    def heal(self, pairs: Pairs) -> None:
        self._cuts.subtract(pairs)
