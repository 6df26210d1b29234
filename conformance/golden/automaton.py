"""A node as a state machine (a Mealy machine): output and next state for each state and input.

The states are those that a model reaches.  A node is deterministic, so each path from the initial
state is a legal sequence of inputs for that node alone, with the output that the specification
requires.
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
    """A state machine that no traces can cover: nondeterministic, not connected, or empty."""


@dataclass(frozen=True)
class Step:
    """One step of one node: its input, a message or an event, and the messages that it sends."""

    node: str
    input: Any
    output: list[Json]

    @staticmethod
    def of(node: str, given: Any, output: list[Any]) -> Step:
        """Return a step of the specification, given as TLA+ values."""
        return Step(node, input_to_json(given), [message_to_json(message) for message in output])


@dataclass(frozen=True)
class Transition:
    """A step with the states before and after it, as TLA+ text.

    `after` is None if the input never occurs in that state of the model and changes it: the next
    state is out of the model.
    """

    before: str
    step: Step
    after: str | None

    @property
    def key(self) -> tuple[str, str]:
        """The state and the input, which identify a transition."""
        return self.before, json.dumps(self.step.input)

    @property
    def stays(self) -> bool:
        """Whether it is a no-op: the state does not change."""
        return self.before == self.after


class Automaton:
    """A node's distinct transitions, and the outputs of those that leave the model."""

    def __init__(self, node: str, start: str, transitions: Iterable[Transition]) -> None:
        self.node = node
        self.start = start
        self._taking: dict[tuple[str, str], Transition] = {}
        self._beyond: dict[tuple[str, str], Transition] = {}
        for transition in transitions:
            self.add(transition)

    def add(self, transition: Transition) -> None:
        """Add a transition; raises `CoverError` if another one has its state and input."""
        key = transition.key
        if transition.after is None:
            if key not in self._taking:
                self._beyond[key] = transition
        elif self._taking.setdefault(key, transition) != transition:
            raise CoverError(f"{self.node} in {key[0]} on {key[1]} does either of two things")

    def __len__(self) -> int:
        return len(self._taking)

    def transitions(self) -> list[Transition]:
        """Return all transitions, in the same order for each run of the model."""
        return [transition for _, transition in sorted(self._taking.items())]

    def beyond(self) -> list[Transition]:
        """Return the transitions that leave the model, which no trace can take."""
        return [transition for _, transition in sorted(self._beyond.items())]

    def states(self) -> list[str]:
        """Return all states, sorted."""
        ends = {state for t in self._taking.values() for state in (t.before, t.after) if state}
        return sorted({self.start, *ends})

    def messages(self) -> dict[str, Json]:
        """Return all messages that this node receives or sends, by their text."""
        steps = [transition.step for transition in self._taking.values()]
        found = [message for step in steps for message in (step.input, *step.output)]
        return {json.dumps(message): message for message in found if is_message(message)}

    def taking(self, state: str, given: str) -> Transition | None:
        """Return the transition of a state on an input, given as JSON text; None if unknown."""
        return self._taking.get((state, given))

    def walk(self, inputs: Iterable[Any]) -> list[Transition]:
        """Return the transitions that inputs take from the start, or raise `KeyError`."""
        path: list[Transition] = []
        state: str | None = self.start
        for given in inputs:
            path.append(self._taking[state, json.dumps(given)])  # type: ignore[index]
            state = path[-1].after
        return path
