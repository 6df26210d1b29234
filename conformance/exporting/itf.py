"""Map runs and counterexamples to the Informal Trace Format (ITF) of Apalache and Quint.

https://apalache-mc.org/docs/adr/015adr-trace.html defines it, the package itf-py writes it.
"""

from __future__ import annotations

import json
import re
from collections import namedtuple
from collections.abc import Iterable, Iterator
from functools import cache
from keyword import iskeyword
from typing import Any

from itf_py import State, Trace, itf_variant, trace_to_json

from ..tlaplus.values import Function, Sequence
from .causality import Step
from .counterexample import Counterexample
from .outputs import MADE_BY
from .states import States, apply_change

Json = Any

FORMAT = {
    "generator": MADE_BY,
    "format": "ITF",
    "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
}


# Values that the format does not have, null and fractions, as the text of their JSON.
Opaque = itf_variant(namedtuple("Json", ["value"]))


def of_run(steps: Iterable[Step], states: States | None = None) -> Json:
    """Return a run as a trace with a state for each record.

    With `states`, its variable `replica` has the states of all nodes after the record.  A node is
    in it from its first known state on, and keeps its last known one.
    """
    names = ["node", "action", "input", "output", *(["replica"] if states else [])]
    replica: dict[str, Json] = {}
    found = []
    for index, step in enumerate(steps):
        record = step.record
        variables = {
            "node": record.node,
            "action": record.action,
            "input": record.input,
            "output": record.output,
        }
        state = {name: value(item) for name, item in variables.items()}
        if states:
            if record.place in states.changes:
                before = replica.get(record.node, states.fresh)
                replica[record.node] = apply_change(before, states.changes[record.place])
            state["replica"] = {node: value(item) for node, item in replica.items()}
        found.append(State({"index": index, "place": record.place}, state))
    return _trace(names, found, {}, None)


def of_counterexample(found: Counterexample) -> Json:
    """Return a counterexample of TLC as a trace of the variables of its model."""
    states = [
        State(
            {"index": index, "action": step.action},
            {name: value(item) for name, item in step.variables.items()},
        )
        for index, step in enumerate(found.states)
    ]
    about = {"source": found.model, "description": f"violates {found.violated}"}
    return _trace(list(found.states[0].variables), states, about, found.loop)


def value(found: Any) -> Any:
    """Return a JSON or TLA+ value as a value that itf-py writes.

    An object or record becomes a record if its keys can be names of fields, and a map otherwise.
    """
    match found:
        case bool() | int() | str():
            return found
        case list():
            return Sequence(map(value, found))
        case frozenset():
            return _Set(map(value, found))
        case dict() if _are_names(keys := tuple(found)):
            return _shape(keys)(*map(value, found.values()))
        case dict():
            return Function((value(key), value(item)) for key, item in found.items())
    return Opaque(json.dumps(found))


class _Set(frozenset[Any]):
    """A set with a fixed order of iteration, so that equal runs give equal files."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=repr))


@cache
def _shape(keys: tuple[str, ...]) -> Any:
    return namedtuple("Rec", keys)


@cache
def _are_names(keys: tuple[Any, ...]) -> bool:
    """Return whether a record may have these fields; `tag` and `value` would make it a variant."""
    return (
        bool(keys)
        and set(keys) != {"tag", "value"}
        and all(
            isinstance(key, str)
            and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key)
            and not iskeyword(key)
            for key in keys
        )
    )


def _trace(names: list[str], states: list[State], about: Json, loop: int | None) -> Json:
    trace = trace_to_json(Trace(FORMAT | about, [], names, states, loop))
    # Some readers do not accept null for an absent number.
    return {key: item for key, item in trace.items() if item is not None}
