"""A node's local state graph: what it does in each state that a model reaches, on each input.

Because a node is deterministic, each path from the initial state is a legal sequence of inputs for
that node alone, and what it sends along the path is what the specification demands.  Nothing here
knows TLC or files, and which paths are taken is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..formats.schema import is_message
from ..tlaplus.translate import input_to_json, message_to_json

Json = dict[str, Any]


class CoverError(Exception):
    """A graph that no logs can cover: a step with two outcomes, one out of reach, or none."""


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
    """A step with the states before and after it, as texts of TLA+.

    Where an input changes a state that it never meets in the model, the state after it is none of
    the model's, and None.
    """

    before: str
    step: Step
    after: str | None

    @property
    def key(self) -> tuple[str, str]:
        """The state and the input, of which there is one transition at most."""
        return self.before, json.dumps(self.step.input)

    @property
    def stays(self) -> bool:
        """Whether the state is left as it is: the input is ignored, refused or answered again."""
        return self.before == self.after


class Automaton:
    """A node's distinct local transitions, each once, and what it would say beyond them."""

    def __init__(self, node: str, start: str, transitions: Iterable[Transition]) -> None:
        self.node = node
        self.start = start
        self._taking: dict[tuple[str, str], Transition] = {}
        self._beyond: dict[tuple[str, str], Transition] = {}
        for transition in transitions:
            self.add(transition)

    def add(self, transition: Transition) -> None:
        """Adds a transition; the same one may come twice, another in its place must not."""
        key = transition.key
        if transition.after is None:
            if key not in self._taking:
                self._beyond[key] = transition
        elif self._taking.setdefault(key, transition) != transition:
            raise CoverError(f"{self.node} in {key[0]} on {key[1]} does either of two things")

    def __len__(self) -> int:
        return len(self._taking)

    def transitions(self) -> list[Transition]:
        """All transitions, in an order that is the same for each run of the model."""
        return [transition for _, transition in sorted(self._taking.items())]

    def beyond(self) -> list[Transition]:
        """Those that leave the model, which no log can take."""
        return [transition for _, transition in sorted(self._beyond.items())]

    def states(self) -> list[str]:
        """All local states, in order."""
        ends = {state for t in self._taking.values() for state in (t.before, t.after) if state}
        return sorted({self.start, *ends})

    def messages(self) -> dict[str, Json]:
        """All messages that this node takes or sends, by their text."""
        steps = [transition.step for transition in self._taking.values()]
        found = [message for step in steps for message in (step.input, *step.output)]
        return {json.dumps(message): message for message in found if is_message(message)}

    def taking(self, state: str, given: str) -> Transition | None:
        """What a state does on an input, which is given as its text; None if that is not told."""
        return self._taking.get((state, given))

    def walk(self, inputs: Iterable[Any]) -> list[Transition]:
        """The transitions that a sequence of inputs takes; `KeyError` where there is none."""
        path: list[Transition] = []
        state: str | None = self.start
        for given in inputs:
            path.append(self._taking[state, json.dumps(given)])  # type: ignore[index]
            state = path[-1].after
        return path
