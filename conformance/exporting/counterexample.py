"""The counterexample that TLC finds for a model, as values and as the log of a run."""

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
    """A model has no counterexample, or none that can be exported; the text says which."""


@dataclass(frozen=True)
class State:
    """A state of a counterexample, and the action that led to it, as TLC names it."""

    action: str
    variables: dict[str, Any]


@dataclass(frozen=True)
class Counterexample:
    """The states up to the violation of a property.

    `loop` is the index of the state to which the behaviour goes back at its end, if it does.
    """

    model: str
    violated: str
    states: list[State]
    loop: int | None


def find(model: Model, on_progress: Callable[[str], None] = lambda text: None) -> Counterexample:
    """Search a model with TLC; raises `NoCounterexample` if it holds, and `tlc.ToolError`."""
    outcome = tlc.run(*model.sources(), libraries=LIBRARIES, workers=1, on_progress=on_progress)
    if outcome.violated is None:
        raise NoCounterexample(f"{model.name} holds, so there is no counterexample to export")
    return read(model.name, outcome.violated, outcome.trace)


_STATE = re.compile(r"(?m)^State \d+: (?:<(\w+).*>|(Stuttering))$")
_BACK = re.compile(r"(?m)^Back to state (\d+)")
_VARIABLE = re.compile(r"(?m)^/\\ (\w+) = ")


def read(model: str, violated: str, trace: Sequence[str]) -> Counterexample:
    """Parse the text of a counterexample."""
    text = "\n".join(trace)
    back = _BACK.search(text)
    loop = int(back[1]) - 1 if back else None
    _, *parts = _STATE.split(text[: back.start()] if back else text)
    states: list[State] = []
    for action, stutters, variables in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if stutters:
            loop = len(states) - 1
        else:
            _, *pairs = _VARIABLE.split(variables)
            found = zip(pairs[::2], map(values.parse, pairs[1::2]), strict=True)
            states.append(State(action, dict(found)))
    return Counterexample(model, violated, states, loop)


def records(found: Counterexample) -> list[Record]:
    """Return the steps of a counterexample as the log of its cluster."""
    first, *others = (state.variables for state in found.states)
    # The initial `record` is a `restart`, which cannot be the first step, for all nodes begin up.
    if first.get("record") in (None, *(state.get("record") for state in others[:1])):
        raise NoCounterexample(
            f"{found.model} keeps no record of its steps; it gives an ITF trace only"
        )
    taken = [state["record"] for state in others]
    steps = [Step.of(record["node"], record["input"], record["output"]) for record in taken]
    members = sorted(first["replica"])
    return [
        Record(record["node"], record["input"], record["output"], Path(found.model), number)
        for number, record in enumerate(log_of(members, members, steps), 1)
    ]
