"""Run real processes within the bounds of a model, and count the transitions that they cover.

A cluster with the model's members gets the requests of the model's clients, and no others.  The
nodes' messages are delivered at any time, more than once, or never; nodes crash, restart, and get
events.  Each node is tracked in the automaton that TLC has found for it.  A step that is in the
automaton covers a transition, and must have its output.  A step that is not in it leads out of
bounds; the further steps of that node are only counted.

All randomness comes from one seed; the choice prefers uncovered transitions.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats import logs
from ..formats.canonical import canonical, same_output
from ..golden.automaton import Automaton, Transition
from ..validation.names import UNSPECIFIED
from .cluster import NodeError, NodeProcess, Waiting
from .replay import Difference

Json = Any

# Probabilities of the next step: an uncovered transition if one is possible, else a message that
# has not been delivered yet; and any step at all, even out of bounds.
NEW, FIRST, ANYWHERE = 0.9, 0.6, 0.01

# A run ends after so many steps, or after so many that cover nothing new.
LONGEST, IDLE = 200, 30

EVENTS = ("timeout", "inquire", "expire", "crash")

FIGURES = ("transitions", "covered", "moves", "moved", "runs", "inside", "outside")


@dataclass
class Explored:
    """The transitions of one model that runs within its bounds cover.

    `moves` are the state-changing transitions, which are all reachable.  The others are no-ops, and
    some cannot occur, as the automaton has every message in every state.  `inside` and `outside`
    count the steps of runs within the bounds of the model and out of bounds.
    """

    transitions: int
    moves: int
    covered: int = 0
    moved: int = 0
    runs: int = 0
    inside: int = 0
    outside: int = 0
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> dict[str, int]:
        """Return the figures as a JSON object."""
        return {name: getattr(self, name) for name in FIGURES}


def explore(
    folder: Path,
    command: Sequence[str],
    members: Sequence[str],
    automata: Sequence[Automaton],
    *,
    runs: int,
    seed: int,
    seconds: float = 10,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Explored:
    """Run clusters within the bounds of a model, one after the other.

    A run in which a node differs from the model is the last one; its log is left in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = _Model(members, automata)
    everything = [t for automaton in automata for t in automaton.transitions()]
    moves = {id(t) for t in everything if not t.stays}
    found = Explored(len(everything), len(moves))
    covered: set[int] = set()
    for number in range(1, runs + 1):
        with ExitStack() as stack:
            processes = {
                node: stack.enter_context(
                    closing(NodeProcess(node, command, folder / f"{node}.stderr", seconds))
                )
                for node in members
            }
            rng = random.Random(f"{seed} {number}")
            cluster_run = _Cluster(processes, model, covered, rng)
            difference = cluster_run.run(folder / f"run-{number:04}.ndjson")
            for process in () if difference else processes.values():
                process.end()
        found.runs += 1
        found.inside += cluster_run.inside
        found.outside += cluster_run.outside
        found.covered, found.moved = len(covered), len(covered & moves)
        on_progress(f"{number} of {runs} runs, {len(covered):,} of {len(everything):,} covered")
        if difference:
            found.differences.append(difference)
            break
    return found


class _Model:
    """What runs have in common: the automaton of each node, and the requests of clients."""

    def __init__(self, members: Sequence[str], automata: Sequence[Automaton]) -> None:
        self.automata = {automaton.node: automaton for automaton in automata}
        messages = {text: m for automaton in automata for text, m in automaton.messages().items()}
        self.requests = sorted(
            (m["dest"], text) for text, m in messages.items() if m["src"] not in members
        )
        self._texts = {canonical(message): text for text, message in messages.items()}

    def text(self, message: Json) -> str:
        """Return a message as the automata write it, whatever the order of its keys."""
        return self._texts.get(canonical(message), canonical(message))


@dataclass(frozen=True)
class _Choice:
    """A possible step: a node, its input as text, and the transition, None if out of bounds."""

    node: str
    given: str
    transition: Transition | None


class _Cluster:
    """One run: the processes, their messages, and the state of each in its automaton."""

    def __init__(
        self,
        processes: dict[str, NodeProcess],
        model: _Model,
        covered: set[int],
        rng: random.Random,
    ) -> None:
        self.inside = self.outside = 0
        self._processes = processes
        self._model = model
        self._covered = covered
        self._rng = rng
        # None is out of bounds.
        self._at: dict[str, str | None] = dict.fromkeys(processes)
        self._at |= {node: automaton.start for node, automaton in model.automata.items()}
        self._down: set[str] = set()
        self._waiting = {node: Waiting() for node in processes}
        # Messages between nodes, by receiver and text; true if delivered.
        self._arrived: dict[tuple[str, str], bool] = {}
        self._records: list[Json] = []

    def run(self, log: Path) -> Difference | None:
        """Run until nothing new is covered; write the log, return where a node differs."""
        members = list(self._processes)
        for node, process in self._processes.items():
            body = {"type": "init", "msg_id": 0, "node_id": node, "node_ids": members}
            self._records.append(process.step({"src": "c0", "dest": node, "body": body}))
        idle = 0
        while idle < IDLE and self.inside + self.outside < LONGEST:
            known, choice = len(self._covered), self._choose()
            sent, remark = self._give(choice)
            transition = choice.transition
            if transition is None:
                self._at[choice.node] = None
                self.outside += 1
            elif remark or not same_output(sent, transition.step.output):
                logs.write(log, self._records)
                line = len(self._records) + bool(remark)
                expected = logs.Record(
                    choice.node, transition.step.input, transition.step.output, log, line
                )
                return Difference(expected, sent, remark)
            else:
                self._at[choice.node] = transition.after
                self._covered.add(id(transition))
                self.inside += 1
            idle = 0 if len(self._covered) > known else idle + 1
        return None

    def _choose(self) -> _Choice:
        every = list(self._choices())
        inside = [c for c in every if c.transition]
        new = [c for c in inside if id(c.transition) not in self._covered]
        # No-ops go first: they need no way back.
        stays = [c for c in new if c.transition and c.transition.stays]
        first = [c for c in inside if not self._arrived.get((c.node, c.given), True)]
        for often, some in ((ANYWHERE, every), (NEW, stays or new), (FIRST, first)):
            if some and self._rng.random() < often:
                return self._rng.choice(some)
        return self._rng.choice(inside or every)

    def _choices(self) -> Iterator[_Choice]:
        for node, given in (*self._arrived, *self._model.requests, *self._events()):
            # What arrives at a node that is down is lost.
            if node not in self._down or given == '"restart"':
                state = self._at[node]
                known = state is not None and self._model.automata[node].taking(state, given)
                yield _Choice(node, given, known or None)

    def _events(self) -> Iterator[tuple[str, str]]:
        for node, waiting in self._waiting.items():
            for event in ("restart",) if node in self._down else EVENTS:
                if event != "expire" or waiting:
                    yield node, json.dumps(event)

    def _give(self, choice: _Choice) -> tuple[list[Json], str]:
        """Execute a step; return the output, and what else is wrong with it."""
        given = json.loads(choice.given)
        try:
            record = self._processes[choice.node].step(given)
        except NodeError as error:
            if choice.transition is None:
                raise
            return [], str(error)
        self._records.append(record)
        self._waiting[choice.node].step(given, record["output"])
        sent = [self._plain(message) for message in record["output"]]
        self._follow(choice.node, choice.given, sent)
        return sent, ""

    def _follow(self, node: str, given: str, sent: list[Json]) -> None:
        """Update which nodes are down, and which messages have arrived."""
        if given == '"crash"':
            self._down.add(node)
        elif given == '"restart"':
            self._down.discard(node)
        elif (node, given) in self._arrived:
            self._arrived[node, given] = True
        for message in sent:
            if message["dest"] in self._processes:
                self._arrived.setdefault((message["dest"], self._model.text(message)), False)

    def _plain(self, message: Json) -> Json:
        """Return a message without the fields that the model leaves out."""
        body = message["body"]
        if message["dest"] not in self._processes:
            body = {field: item for field, item in body.items() if field not in UNSPECIFIED}
        return {"src": message["src"], "dest": message["dest"], "body": body}
