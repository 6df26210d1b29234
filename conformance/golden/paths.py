"""Paths through a node's local state graph that leave no transition out and show where each leads.

Each transition is taken, and followed by inputs that tell its target from every other state (see
`apart`).  One suffix serves many transitions: a path takes all that leave a state as it is, one
after the other, and then what tells that state from those in which any of them may have left the
node instead.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from math import inf

from .automaton import CoverError
from .distinguishing import LEAVE, Faults, Group, Machine, Taken

# A path that has lost sight of where a transition led takes it once more, and then tells at once.
TRIES = 2

# Longer than any path of the standard models; a path that is cut goes on in the next one.
LONGEST_PATH = 2_000


def cover(machine: Machine) -> Iterator[list[Taken]]:
    """Paths from the initial state that take every transition and show where it leads.

    Raises `CoverError` where a transition is out of reach.  What cannot be shown is left.
    """
    owed = machine.owed()
    while owed:
        before = sum(map(len, owed.values())), len(owed)
        path = _Path(machine, owed).walk()
        if not path:
            raise CoverError(f"{len(owed)} transitions cannot be reached")
        yield path
        if before == (sum(map(len, owed.values())), len(owed)):
            for taken in owed.keys() & set(path):
                del owed[taken]


class _Path:
    """A path in the making; it removes from `owed` what it shows (see `Faults`)."""

    def __init__(self, machine: Machine, owed: Group) -> None:
        self._machine = machine
        self._faults = Faults(machine, owed)
        self._state = machine.start
        self._tries: Counter[Taken] = Counter()
        self._path: list[Taken] = []

    def walk(self) -> list[Taken]:
        """Goes on until nothing that is owed is in reach."""
        while len(self._path) < LONGEST_PATH and (inputs := self._next()):
            for given in inputs:
                self._step(given)
        return self._path

    def _step(self, given: int) -> None:
        taken = self._state, given
        self._faults.step(taken)
        self._tries[taken] += 1
        self._path.append(taken)
        _, self._state = self._machine.does[self._state][given]  # type: ignore[assignment]

    def _next(self) -> list[int]:
        """What comes first of: what leaves the state as it is, has not been tried and hides no
        suspect; what tells a suspect and leaves the state as it is; what leaves it as it is and has
        not been tried, or may be tried again; what tells a suspect and leaves the state; the way to
        the nearest that is owed."""
        suspects = self._faults.suspects()
        ways = self._machine.ways(self._state)
        staying = [given for given, after in ways if after == self._state]
        due = [given for given in staying if self._due((self._state, given))]
        new = [given for given in due if not self._tries[self._state, given]]
        first = min(new, key=lambda given: self._hides(given, suspects), default=None)
        if first is not None and not self._hides(first, suspects):
            return [first]
        within = self._telling(staying, suspects, LEAVE)
        if within is not None:
            return [within]
        if due:
            return due[:1] if first is None else [first]
        away = self._telling([given for given, _ in ways], suspects, inf)
        return self._way() if away is None else [away]

    def _hides(self, given: int, suspects: int) -> int:
        return (self._machine.effect((self._state, given)).hides & suspects).bit_count()

    def _due(self, taken: Taken) -> bool:
        return self._tries[taken] < TRIES and self._faults.due(taken)

    def _telling(self, inputs: list[int], suspects: int, below: float) -> int | None:
        """Of these inputs the one that loses the fewest suspects and tells the most; if none tells
        one at once, the first on the cheapest way to tell one, if that costs less than `below`."""
        best = []
        for given in inputs:
            tells, loses, _ = self._machine.effect((self._state, given))
            if tells & suspects:
                score = (loses & suspects).bit_count(), -(tells & suspects).bit_count()
                best.append((score, given))
        if best:
            return min(best)[1]
        places = (place for place in range(suspects.bit_length()) if suspects >> place & 1)
        ways = [self._machine.apart.get((self._state, place), (inf, 0)) for place in places]
        cost, first = min(ways, default=(inf, 0))
        return first if cost < below else None

    def _way(self) -> list[int]:
        """The shortest way whose last transition is owed; nothing if there is none."""
        came: dict[int, list[int]] = {self._state: []}
        queue = deque([self._state])
        while queue:
            here = queue.popleft()
            ways = self._machine.ways(here)
            for given, _ in ways:
                if self._due((here, given)):
                    return [*came[here], given]
            for given, there in ways:
                if there not in came:
                    came[there] = [*came[here], given]
                    queue.append(there)
        return []
