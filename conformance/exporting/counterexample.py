"""What TLC found wrong with a model: its counterexample as values, and as the log of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats.logs import Record
from ..golden.automaton import Step
from ..golden.generate import log_of
from ..locations import LIBRARIES
from ..models.manifest import Model
from ..tlaplus import tlc, values


class NoCounterexample(Exception):
    """A model has none, or none that can be what was asked for; the text says which."""


@dataclass(frozen=True)
class State:
    """A state of a counterexample, and the action that led to it, as TLC names it."""

    action: str
    variables: dict[str, Any]


@dataclass(frozen=True)
class Counterexample:
    """The states that lead to where a model's property is violated.

    `loop` is the place of the state that the behaviour goes back to in the end, if it does.
    """

    model: str
    violated: str
    states: list[State]
    loop: int | None


def find(model: Model, on_progress: Callable[[str], None] = lambda text: None) -> Counterexample:
    """Has TLC look for what is wrong with a model.

    Raises `NoCounterexample` for a model that holds, and `tlc.ToolError`.
    """
    outcome = tlc.run(*model.sources(), libraries=LIBRARIES, workers=1, on_progress=on_progress)
    if outcome.violated is None:
        raise NoCounterexample(f"{model.name} holds, so there is no counterexample to export")
    return read(model.name, outcome.violated, outcome.trace)


_STATE = re.compile(r"(?m)^State \d+: (?:<(\w+).*>|(Stuttering))$")
_BACK = re.compile(r"(?m)^Back to state (\d+)")
_VARIABLE = re.compile(r"(?m)^/\\ (\w+) = ")


def read(model: str, violated: str, trace: Sequence[str]) -> Counterexample:
    """Reads the text of a counterexample."""
    text = "\n".join(trace)
    back = _BACK.search(text)
    loop = int(back[1]) - 1 if back else None
    _, *parts = _STATE.split(text[: back.start()] if back else text)
    states = []
    for action, stutters, told in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if stutters:
            loop = len(states) - 1
        else:
            _, *pairs = _VARIABLE.split(told)
            found = zip(pairs[::2], map(values.parse, pairs[1::2]), strict=True)
            states.append(State(action, dict(found)))
    return Counterexample(model, violated, states, loop)


def records(found: Counterexample) -> list[Record]:
    """The steps of a counterexample as the log of its cluster."""
    first, *others = (state.variables for state in found.states)
    taken = [state.get("record") for state in others]
    # All nodes begin up, so a first step that is the `restart` of the beginning is none at all.
    if first.get("record") in (None, *taken[:1]):
        raise NoCounterexample(
            f"{found.model} keeps no record of its steps; it gives an ITF trace only"
        )
    steps = [Step.of(record["node"], record["input"], record["output"]) for record in taken]
    members = sorted(first["replica"])
    return [
        Record(record["node"], record["input"], record["output"], Path(found.model), number)
        for number, record in enumerate(log_of(members, members, steps), 1)
    ]
