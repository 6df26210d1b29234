"""A node's local state graph, and paths through it that leave no transition out.

Because a node is deterministic, each path from the initial state is a legal sequence of inputs for
that node alone, and what it sends along the path is what the specification demands.  Nothing here
knows TLC or files.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .translate import input_to_json, message_to_json

# Long enough to reach every state of the standard models, short enough to read.
LONGEST_PATH = 80

Json = dict[str, Any]


class CoverError(Exception):
    """A graph that no logs can cover: a step with two outcomes, or one out of reach."""


@dataclass(frozen=True)
class Step:
    """One step of one node: what it took, a message or an event, and what it sent."""

    node: str
    input: Any
    output: list[Json]

    @staticmethod
    def of(node: str, given: Any, output: list[Any]) -> Step:
        """A step as the specification has it."""
        return Step(node, input_to_json(given), [message_to_json(message) for message in output])


@dataclass(frozen=True)
class Transition:
    """A step with the states before and after it, as texts of TLA+."""

    before: str
    step: Step
    after: str

    @property
    def stays(self) -> bool:
        """Whether the state is left as it is: the input is ignored, refused or answered again."""
        return self.before == self.after


class Automaton:
    """A node's distinct local transitions, by the state that they leave."""

    def __init__(self, node: str, start: str, transitions: Iterable[Transition]) -> None:
        self.node = node
        self.start = start
        self.leaving: dict[str, list[Transition]] = defaultdict(list)
        self._taking: dict[tuple[str, str], Transition] = {}
        for transition in transitions:
            self.add(transition)

    def add(self, transition: Transition) -> None:
        """Adds a transition; the same one may come twice, another in its place must not."""
        key = (transition.before, json.dumps(transition.step.input))
        known = self._taking.setdefault(key, transition)
        if known is transition:
            self.leaving[transition.before].append(transition)
        elif known != transition:
            raise CoverError(f"{self.node} in {key[0]} on {key[1]} does either of two things")

    def __len__(self) -> int:
        return len(self._taking)

    def transitions(self) -> list[Transition]:
        """All transitions, in an order that is the same for each run of the model."""
        return [transition for _, transition in sorted(self._taking.items())]

    def states(self) -> list[str]:
        """All local states, in order."""
        after = {t.after for leaving in self.leaving.values() for t in leaving}
        return sorted({self.start, *self.leaving, *after})

    def messages(self) -> dict[str, Json]:
        """All messages that this node takes or sends, by their text."""
        steps = [transition.step for transition in self._taking.values()]
        found = [message for step in steps for message in (step.input, *step.output)]
        return {json.dumps(message): message for message in found if isinstance(message, dict)}

    def taking(self, state: str, given: str) -> Transition | None:
        """What a state does on an input, which is given as its text; None if that is not told."""
        return self._taking.get((state, given))

    def walk(self, inputs: Iterable[Any]) -> Iterable[Transition]:
        """The transitions that a sequence of inputs takes; `KeyError` where there is none."""
        state = self.start
        for given in inputs:
            transition = self._taking[state, json.dumps(given)]
            yield transition
            state = transition.after


def cover(automaton: Automaton) -> Iterable[list[Transition]]:
    """Paths from the initial state that together take every transition.

    Each path goes to the nearest transition not yet taken, and from there on to the next nearest,
    until it is long enough or nothing new is in reach.
    """
    untaken = {state: list(leaving) for state, leaving in automaton.leaving.items() if leaving}
    while untaken:
        path: list[Transition] = []
        state = automaton.start
        while len(path) < LONGEST_PATH:
            way = _nearest(automaton, untaken, state, LONGEST_PATH - len(path))
            if way is None:
                break
            last = way[-1]
            untaken[last.before].remove(last)
            if not untaken[last.before]:
                del untaken[last.before]
            path += way
            state = last.after
        if not path:
            unreached = sum(map(len, untaken.values()))
            raise CoverError(f"{unreached} transitions cannot be reached within {LONGEST_PATH}")
        yield path


def _nearest(
    automaton: Automaton, untaken: dict[str, list[Transition]], state: str, longest: int
) -> list[Transition] | None:
    """The shortest way from a state whose last transition is not yet taken."""
    if state in untaken:
        # What leaves the state as it is goes first, for it costs no way back.
        stays = (t for t in untaken[state] if t.after == state)
        return [next(stays, untaken[state][0])]
    came: dict[str, Transition | None] = {state: None}
    queue = deque([(state, 0)])
    while queue:
        here, length = queue.popleft()
        if length + 1 >= longest:
            continue
        for transition in automaton.leaving.get(here, ()):
            there = transition.after
            if there in came:
                continue
            came[there] = transition
            if there in untaken:
                return [*_way(came, there), untaken[there][0]]
            queue.append((there, length + 1))
    return None


def _way(came: dict[str, Transition | None], state: str) -> list[Transition]:
    way: list[Transition] = []
    while (transition := came[state]) is not None:
        way.append(transition)
        state = transition.before
    return way[::-1]
