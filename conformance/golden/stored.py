"""Generated golden traces as one JSON value, for the cache of `check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..formats import logs
from ..tlaplus import tlc
from .automaton import Automaton, Step, Transition
from .generate import Generated

Json = Any

_COUNTS = ("steps", "states", "pairs", "equivalent", "transitions", "no_ops", "covered", "verified")


def to_json(generated: Generated) -> Json:
    """Return all of it, with the text of each golden trace."""
    return {
        "outcome": asdict(generated.outcome),
        "logs": {path.name: path.read_text("utf-8") for path in generated.logs},
        **{name: getattr(generated, name) for name in _COUNTS},
        "members": generated.members,
        "automata": [_automaton_to_json(automaton) for automaton in generated.automata],
    }


def from_json(stored: Json, folder: Path) -> Generated:
    """Return what was generated, and write its golden traces to a folder that has none."""
    logs.check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in stored["logs"].items():
        paths.append(folder / name)
        paths[-1].write_text(text, "utf-8")
    return Generated(
        tlc.Outcome(**stored["outcome"]),
        paths,
        **{name: stored[name] for name in _COUNTS},
        members=stored["members"],
        automata=[_automaton_from_json(automaton) for automaton in stored["automata"]],
        cached=True,
    )


def _automaton_to_json(automaton: Automaton) -> Json:
    every = [*automaton.transitions(), *automaton.beyond()]
    steps = [[t.before, t.step.input, t.step.output, t.after] for t in every]
    return {"node": automaton.node, "start": automaton.start, "transitions": steps}


def _automaton_from_json(stored: Json) -> Automaton:
    node = stored["node"]
    transitions = (
        Transition(before, Step(node, given, output), after)
        for before, given, output, after in stored["transitions"]
    )
    return Automaton(node, stored["start"], transitions)
