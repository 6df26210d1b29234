"""Paths through a node's state machine that cover every transition and verify its target.

Each transition is followed by inputs that distinguish its target from every other state (see
`distinguishing`).  One suffix serves many transitions: a path takes all no-ops of a state, one
after the other, then the inputs that distinguish this state from those where a faulty no-op leads.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from math import inf

from .automaton import CoverError
from .distinguishing import LEAVE, Edge, Faults, Group, Machine

# A path may take a transition once more, to verify it at once, if an earlier try was inconclusive.
TRIES = 2

# Longer than any path of the standard models; a path that is cut goes on in the next one.
LONGEST_PATH = 2_000


def cover(machine: Machine) -> Iterator[list[Edge]]:
    """Yield paths from the initial state that cover every transition and verify its target.

    Raises `CoverError` if a transition cannot be reached.  What cannot be verified is left out.
    """
    unverified = machine.unverified()
    while unverified:
        before = sum(map(len, unverified.values())), len(unverified)
        path = _Path(machine, unverified).walk()
        if not path:
            raise CoverError(f"{len(unverified)} transitions cannot be reached")
        yield path
        if before == (sum(map(len, unverified.values())), len(unverified)):
            for edge in unverified.keys() & set(path):
                del unverified[edge]


class _Path:
    """A path that is being built; it removes from `unverified` what it shows (see `Faults`)."""

    def __init__(self, machine: Machine, unverified: Group) -> None:
        self._machine = machine
        self._faults = Faults(machine, unverified)
        self._state = machine.start
        self._tries: Counter[Edge] = Counter()
        self._path: list[Edge] = []

    def walk(self) -> list[Edge]:
        """Extend the path until nothing unverified is reachable; return it."""
        while len(self._path) < LONGEST_PATH and (inputs := self._next()):
            for given in inputs:
                self._step(given)
        return self._path

    def _step(self, given: int) -> None:
        edge = self._state, given
        self._faults.step(edge)
        self._tries[edge] += 1
        self._path.append(edge)
        _, self._state = self._machine.steps[self._state][given]  # type: ignore[assignment]

    def _next(self) -> list[int]:
        """Return the next inputs, by the first rule that applies.

        1. a no-op that is pending, was not tried, and hides no suspect
        2. a no-op that reveals a suspect
        3. a no-op that is pending
        4. an input that leads to revealing a suspect, in whatever states
        5. the shortest path to a pending transition
        """
        suspects = self._faults.suspects()
        successors = self._machine.successors(self._state)
        staying = [given for given, after in successors if after == self._state]
        is_pending = [given for given in staying if self._is_pending((self._state, given))]
        new = [given for given in is_pending if not self._tries[self._state, given]]
        first = min(new, key=lambda given: self._hides(given, suspects), default=None)
        if first is not None and not self._hides(first, suspects):
            return [first]
        within = self._revealing(staying, suspects, LEAVE)
        if within is not None:
            return [within]
        if is_pending:
            return is_pending[:1] if first is None else [first]
        away = self._revealing([given for given, _ in successors], suspects, inf)
        return self._path_to_pending() if away is None else [away]

    def _hides(self, given: int, suspects: int) -> int:
        return (self._machine.effect((self._state, given)).hides & suspects).bit_count()

    def _is_pending(self, edge: Edge) -> bool:
        return self._tries[edge] < TRIES and self._faults.is_pending(edge)

    def _revealing(self, inputs: list[int], suspects: int, below: float) -> int | None:
        """Return the input that loses the fewest suspects and reveals the most.

        If none reveals one at once: the first input of the cheapest sequence that reveals one, if
        that costs less than `below`.
        """
        best = []
        for given in inputs:
            reveals, loses, _ = self._machine.effect((self._state, given))
            if reveals & suspects:
                score = (loses & suspects).bit_count(), -(reveals & suspects).bit_count()
                best.append((score, given))
        if best:
            return min(best)[1]
        places = (place for place in range(suspects.bit_length()) if suspects >> place & 1)
        successors = [
            self._machine.distinguishing.get((self._state, place), (inf, 0)) for place in places
        ]
        cost, first = min(successors, default=(inf, 0))
        return first if cost < below else None

    def _path_to_pending(self) -> list[int]:
        """Return the inputs of the shortest path to a pending transition, if there is one."""
        came: dict[int, list[int]] = {self._state: []}
        queue = deque([self._state])
        while queue:
            here = queue.popleft()
            successors = self._machine.successors(here)
            for given, _ in successors:
                if self._is_pending((here, given)):
                    return [*came[here], given]
            for given, there in successors:
                if there not in came:
                    came[there] = [*came[here], given]
                    queue.append(there)
        return []
