"""Check a node without a log, by the messages that the router saw.

For a node with a clock of its own, the router knows neither which input an output answers nor when
the node's timers fired.  TLC searches for a behaviour of the specification with exactly these
outputs (tla/Observed.tla).  `init` and its answer are no part of it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..locations import LIBRARIES
from ..tlaplus import tlc, values
from .names import Names
from .step_checker import SPEC

Json = Any

# The search may take too long; it rarely needs more than a few states a message.
MOST_STATES = 50_000


@dataclass
class Observation:
    """The inputs and outputs of one node, each in the order in which the router saw them.

    Each input comes with the number of outputs before it.
    """

    inputs: list[tuple[Json, int]] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)

    def add(self, given: bool, message: Json) -> None:
        """Add a message that was given to the node, or that the node printed."""
        if given and message["body"]["type"] != "init":
            self.inputs.append((message, len(self.outputs)))
        elif not given and message["body"]["type"] != "init_ok":
            self.outputs.append(message)

    def prefix(self, outputs: int) -> Observation:
        """Return the part up to so many outputs; an explanation of the whole explains it, too."""
        return Observation(
            [pair for pair in self.inputs if pair[1] < outputs], self.outputs[:outputs]
        )

    def lines(self) -> Iterator[str]:
        """Yield each input and output as a line of JSON, in an order that fits the observation."""
        rest = deque(self.inputs)
        for place, message in enumerate([*self.outputs, None]):
            while rest and (rest[0][1] <= place or message is None):
                yield json.dumps({"input": rest.popleft()[0]})
            if message is not None:
                yield json.dumps({"output": message})


@dataclass(frozen=True)
class Explanation:
    """The longest prefix that has an explanation: its outputs, and the inputs taken by then.

    `whole` is whether that is all outputs, None if the search was ended before it was complete.
    """

    outputs: int
    inputs: int
    whole: bool | None


def find_explanations(
    members: Sequence[str],
    seen: Sequence[tuple[str, Observation]],
    batch: int,
    on_progress: Callable[[str], None] = lambda text: None,
) -> list[Explanation]:
    """Search an explanation of the outputs of each node, independently of the others.

    `batch` is the spec's constant Batch that the nodes ran with.
    """
    bodies = [
        message["body"]
        for _, each in seen
        for message in [*(given for given, _ in each.inputs), *each.outputs]
    ]
    names = Names(members, bodies)
    printed: list[Any] = []
    tlc.run(
        "Explain",
        _module(seen, names),
        _CONFIG.format(batch=batch, last=names.last, most=MOST_STATES),
        # Each worker of TLC counts its progress alone, so there is one.
        libraries=LIBRARIES,
        workers=1,
        on_progress=on_progress,
        on_print=lambda line: printed.append(values.parse(json.loads(line))),
    )
    found = [Explanation(0, 0, not each.outputs) for _, each in seen]
    for kind, run, *figures in printed:
        before = found[run - 1]
        if kind == "explained":
            outputs, inputs = figures
            whole = True if outputs == len(seen[run - 1][1].outputs) else before.whole
            found[run - 1] = Explanation(outputs, inputs, whole)
        elif not before.whole:
            found[run - 1] = replace(before, whole=None)
    return found


_CONFIG = f"""{SPEC}\
    Runs <- TheRuns
    Most = {{most}}
    Step <- ObservedStep
    Portions <- Carried
    Overdue <- Repeated
SPECIFICATION ObservedSpec
"""


def _module(seen: Sequence[tuple[str, Observation]], names: Names) -> str:
    """Return the observations as a TLA+ module that defines each message once."""
    defined: dict[str, str] = {}

    def define(message: Json) -> str:
        src, dest = names.name("p", message["src"]), names.name("p", message["dest"])
        text = f"Message({src}, {dest}, {names.body_to_tla(message['body'])})"
        return defined.setdefault(text, f"M{len(defined)}")

    runs = []
    for node, each in seen:
        inputs = ", ".join(
            f"[input |-> {define(given)}, after |-> {after}]" for given, after in each.inputs
        )
        outputs = ", ".join(map(define, each.outputs))
        runs.append(
            f"[node |-> {names.name('p', node)},\n    inputs |-> <<{inputs}>>,\n"
            f"    outputs |-> <<{outputs}>>]"
        )
    ordered = ", ".join(names.members)
    messages = (f"{name} == {text}" for text, name in defined.items())
    definitions = "\n".join([*names.definitions(), *messages])
    return (
        f"---- MODULE Explain ----\nEXTENDS Observed\nTheMembers == <<{ordered}>>\n{definitions}\n"
        f"TheRuns == <<{', '.join(runs)}>>\n====\n"
    )
