"""Golden traces of a model: together they cover and verify every transition of each node.

TLC prints each transition of the acting node; `cover` finds paths through that state machine.  A
random run of a larger model becomes the trace of a whole cluster instead.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import guard
from ..formats import logs
from ..formats.schema import action
from ..locations import LIBRARIES
from ..models.manifest import Model
from ..tlaplus import tlc, values
from ..tlaplus.config import constants, without
from ..tlaplus.translate import message_to_json, message_to_tla
from .automaton import Automaton, CoverError, Step, Transition
from .distinguishing import Edge, Machine, verified
from .paths import cover

Json = dict[str, Any]


@dataclass
class Generated:
    """What was generated: the search, the distinct transitions, and the traces that cover them.

    outcome:     the search of the model
    logs:        the golden traces
    steps:       the records in them
    states:      the states of all nodes
    pairs:       pairs of states that have an input in common
    equivalent:  those of the pairs that no inputs of the model distinguish
    transitions: the distinct transitions; random runs count none
    no_ops:      those that leave the state as it is
    covered:     those that some trace takes
    verified:    those of which a trace also distinguishes the target from every other state
    members:     the members of the cluster
    automata:    the state machine of each node
    cached:      whether it comes from the cache
    """

    outcome: tlc.Outcome
    logs: list[Path] = field(default_factory=list)
    steps: int = 0
    states: int = 0
    pairs: int = 0
    equivalent: int = 0
    transitions: int = 0
    no_ops: int = 0
    covered: int = 0
    verified: int = 0
    members: list[str] = field(default_factory=list)
    automata: list[Automaton] = field(default_factory=list)
    cached: bool = False

    @property
    def complete(self) -> bool:
        """Whether the model holds, and there are traces that cover and verify everything."""
        whole = self.covered == self.verified == self.transitions
        return not self.outcome.violated and bool(self.logs) and whole


def generate(
    model: Model, folder: Path, *, on_progress: Callable[[str], None] = lambda text: None
) -> Generated:
    """Check a model and write golden traces that cover its transitions to a folder.

    A model that does not hold gives no traces.  Raises `CoverError` for a model in which no node
    ever takes a step.
    """
    logs.check_free(folder)
    outcome, printed = local_transitions(model, model.text(), on_progress)
    if outcome.violated:
        return Generated(outcome)
    outcome.demand_steps(model.name)
    members, automata = _automata(printed)
    if not automata:
        raise CoverError(f"{model.name} has no behaviour: none of its nodes ever takes a step")
    on_progress("every input in every state")
    _add_every_input(model, automata)
    made = Generated(outcome, members=members, automata=automata)
    for automaton in automata:
        on_progress(f"paths of {automaton.node}")
        machine = Machine(automaton)
        found = []
        for number, path in enumerate(cover(machine), 1):
            found.append(folder / f"{automaton.node}-{number:04}.ndjson")
            steps = (machine.transitions[taken].step for taken in path)
            logs.write(found[-1], log_of([automaton.node], members, steps))
        _measure(made, automaton, machine, found)
    return made


def local_transitions(
    model: Model, config: str, on_progress: Callable[[str], None] = lambda text: None
) -> tuple[tlc.Outcome, set[str]]:
    """Search a model with a configuration; return also a line for each distinct transition."""
    printed: set[str] = set()
    outcome = tlc.run(
        "Generate",
        f"---- MODULE Generate ----\nEXTENDS {model.module.stem}, LocalTransitions\n====\n",
        f"{config}\nACTION_CONSTRAINT PrintNew\n",
        libraries=LIBRARIES,
        workers=model.workers,
        brief=model.brief,
        on_progress=on_progress,
        on_print=printed.add,
    )
    return outcome, printed


def _add_every_input(model: Model, automata: list[Automaton]) -> None:
    """Add the transitions of every message of the model in every state that a node reaches.

    Most are no-ops.  Of those that leave the model only the output is known.
    """
    by_node = {automaton.node: automaton for automaton in automata}
    states = {node: automaton.states() for node, automaton in by_node.items()}
    sent = {key: m for automaton in automata for key, m in automaton.messages().items()}
    inputs = {node: [m for _, m in sorted(sent.items()) if m["dest"] == node] for node in by_node}
    asked = {node: [message_to_tla(m) for m in found] for node, found in inputs.items()}
    listed = ", ".join(f"{node} |-> <<{', '.join(found)}>>" for node, found in states.items())
    printed: list[str] = []
    outcome = tlc.run(
        "Every",
        f"---- MODULE Every ----\nEXTENDS {model.module.stem}, EveryInput\n"
        f"TheStates == [{listed}]\nTheInputs == {values.text(asked)}\n====\n",
        constants(model.text()) + _EVERY,
        libraries=LIBRARIES,
        brief=True,
        on_print=printed.append,
    )
    if outcome.distinct != sum(map(len, states.values())):
        raise tlc.ToolError(f"TLC did not look at every local state of {model.name}")
    for line in printed:
        node, number, given, output, stays = values.parse(json.loads(line))
        state = states[node][number - 1]
        # What no message asks for is numbered around those that do (see EveryInput).
        taken = ["timeout", *inputs[node], "inquire"][given]
        step = Step(node, taken, [message_to_json(message) for message in output])
        by_node[node].add(Transition(state, step, state if stays else None))


_EVERY = """
CONSTANTS
    States <- TheStates
    Inputs <- TheInputs
SPECIFICATION EverySpec
VIEW Place
ACTION_CONSTRAINT PrintAll
"""


def _measure(made: Generated, automaton: Automaton, machine: Machine, found: list[Path]) -> None:
    """Count what the traces of a node cover and verify, from the files as they were written."""
    paths: list[list[Edge]] = []
    for path in found:
        _, *records = logs.read(path)
        made.steps += 1 + len(records)
        paths.append(machine.path(automaton.walk(record.input for record in records)))
    made.logs += found
    made.states += len(machine.steps)
    made.pairs += len(machine.pairs) // 2
    made.equivalent += (len(machine.pairs) - len(machine.distinguishing)) // 2
    made.transitions += len(automaton)
    made.no_ops += sum(transition.stays for transition in automaton.transitions())
    made.covered += len({taken for path in paths for taken in path})
    made.verified += len(verified(machine, paths))


def simulate(model: Model, folder: Path, runs: int, depth: int, seed: int) -> Generated:
    """Write random runs of a model, each as the trace of a whole cluster.

    TLC writes a run as a module whose states hold `record`, the last record of the trace.
    """
    logs.check_free(folder)
    with guard.scratch("simulate-") as scratch:
        outcome = tlc.run(
            # A view has no meaning in a random run, and TLC warns about it at length.
            model.module.stem,
            model.module.read_text("utf-8"),
            without(model.text(), "VIEW"),
            libraries=LIBRARIES,
            workers=1,
            seed=seed,
            options=["-simulate", f"file={scratch}/run,num={runs}", "-depth", str(depth)],
        )
        found = sorted(scratch.glob("run*"))
        texts = [path.read_text() for path in found]
    made = Generated(outcome)
    if outcome.violated:
        return made
    outcome.demand_steps(model.name)
    if len(texts) != runs:
        raise tlc.ToolError(f"TLC wrote {len(texts)} runs of {model.name} instead of {runs}")
    for number, text in enumerate(texts, 1):
        # The initial state has a record, too, but of no step.
        _, *taken = (values.parse(record) for record in _RECORD.findall(text))
        run = [Step.of(record["node"], record["input"], record["output"]) for record in taken]
        members = sorted(values.parse(_REPLICA.search(text)[1]))  # type: ignore[index]
        records = list(log_of(members, members, run))
        made.logs.append(folder / f"run-{number:04}.ndjson")
        logs.write(made.logs[-1], records)
        made.steps += len(records)
    return made


_RECORD = re.compile(r"/\\ record = (.*?)(?=\n/\\ |\n\n|\Z)", re.DOTALL)
_REPLICA = re.compile(r"/\\ replica = (.*?)(?=\n/\\ |\n\n|\Z)", re.DOTALL)


def _automata(printed: Iterable[str]) -> tuple[list[str], list[Automaton]]:
    """Return the members of the cluster, and the automaton of each node that took a step."""
    members: list[str] = []
    transitions: dict[str, list[Transition]] = defaultdict(list)
    for line in sorted(printed):
        first, *rest = values.parse(json.loads(line))
        if isinstance(first, list):
            members, start = first, values.text(rest[0])
            continue
        given, output, before, after = rest
        step = Step.of(first, given, output)
        transitions[first].append(Transition(values.text(before), step, values.text(after)))
    return members, [Automaton(node, start, transitions[node]) for node in sorted(transitions)]


def log_of(nodes: Iterable[str], members: list[str], steps: Iterable[Step]) -> Iterable[Json]:
    """Yield steps as records: first an `init` of each node; replies are numbered as on the wire.

    The specification begins after `init` and leaves the numbers of replies to the wire.
    """
    replies: dict[str, int] = {}
    for node in nodes:
        body = {"type": "init", "msg_id": 1, "node_id": node, "node_ids": members}
        opened = {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}
        yield {
            "node": node,
            "input": {"src": "c0", "dest": node, "body": body},
            "output": [{"src": node, "dest": "c0", "body": opened}],
            "action": "Init",
        }
        replies[node] = 1
    for step in steps:
        output = []
        for message in step.output:
            body = dict(message["body"])
            if message["dest"] not in members:
                body["msg_id"] = replies[step.node]
                replies[step.node] += 1
            output.append({**message, "body": body})
        if step.input == "restart":
            replies[step.node] = 0
        yield {
            "node": step.node,
            "input": step.input,
            "output": output,
            "action": action(step.input),
        }
