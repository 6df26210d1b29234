"""Traces in the Informal Trace Format of Apalache and Quint, which the ITF Trace Viewer shows, too.

https://apalache-mc.org/docs/adr/015adr-trace.html describes it, the package itf-py writes it.
Here is told what of ours becomes what of theirs.
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
from .states import States, after

Json = Any

FORMAT = {
    "generator": MADE_BY,
    "format": "ITF",
    "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
}


# What the format has no value for, null and fractions, as the text of its JSON.
Opaque = itf_variant(namedtuple("Json", ["value"]))


def of_run(steps: Iterable[Step], states: States | None = None) -> Json:
    """A run as a trace: a state for each record, and in `replica` the states of all nodes after it.

    Without `states` there is no `replica`.  A node is in it from its first known state on, and as
    it was last known where TLC could follow it no further.
    """
    names = ["node", "action", "input", "output", *(["replica"] if states else [])]
    replica: dict[str, Json] = {}
    found = []
    for index, step in enumerate(steps):
        record = step.record
        told = {
            "node": record.node,
            "action": record.action,
            "input": record.input,
            "output": record.output,
        }
        state = {name: value(item) for name, item in told.items()}
        if states:
            if record.place in states.changes:
                before = replica.get(record.node, states.fresh)
                replica[record.node] = after(before, states.changes[record.place])
            state["replica"] = {node: value(item) for node, item in replica.items()}
        found.append(State({"index": index, "place": record.place}, state))
    return _trace(names, found, {}, None)


def of_counterexample(found: Counterexample) -> Json:
    """A counterexample of TLC as a trace of the variables of its model."""
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
    """A JSON or a TLA+ value, as itf-py writes it.

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
    """A set that is always written in the same order."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=repr))


@cache
def _shape(keys: tuple[str, ...]) -> Any:
    return namedtuple("Rec", keys)


@cache
def _are_names(keys: tuple[Any, ...]) -> bool:
    """Whether a record may have these fields, and is not taken for a variant by who reads it."""
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
    # Not every reader takes null for an absent number.
    return {key: item for key, item in trace.items() if item is not None}
