"""Can what was seen of a node be explained?  For nodes that keep no log and have a clock of their
own: nobody knows which input an output belongs to, or when time passed.

TLC looks for a behaviour of the specification that says what the node said (tla/Observed.tla).
What a node has to be told before, its `init`, is no part of it.
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

# Looking for an explanation may take too long; it seldom takes more than some states a message.
MOST_STATES = 50_000


@dataclass
class Seen:
    """What one node was given and what it said, each in order, as the one who carries it sees it.

    With each input goes how many outputs had come before it was given.
    """

    inputs: list[tuple[Json, int]] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)

    def add(self, given: bool, message: Json) -> None:
        """Takes a message that the node was given, or said."""
        if given and message["body"]["type"] != "init":
            self.inputs.append((message, len(self.outputs)))
        elif not given and message["body"]["type"] != "init_ok":
            self.outputs.append(message)

    def beginning(self, outputs: int) -> Seen:
        """The same as far as so many outputs: what explains the whole explains that, too."""
        return Seen([pair for pair in self.inputs if pair[1] < outputs], self.outputs[:outputs])

    def lines(self) -> Iterator[str]:
        """All of it as lines, each a message that the node was given or said."""
        rest = deque(self.inputs)
        for place, message in enumerate([*self.outputs, None]):
            while rest and (rest[0][1] <= place or message is None):
                yield json.dumps({"given": rest.popleft()[0]})
            if message is not None:
                yield json.dumps({"said": message})


@dataclass(frozen=True)
class Explained:
    """How many of a node's outputs can be explained, and how many inputs it had then taken.

    `whole` tells whether that is all of them; it is None if the search was given up.
    """

    outputs: int
    inputs: int
    whole: bool | None


def explain(
    members: Sequence[str],
    seen: Sequence[tuple[str, Seen]],
    batch: int,
    on_progress: Callable[[str], None] = lambda text: None,
) -> list[Explained]:
    """Looks for an explanation of what each node said, each for itself.

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
        # One worker, for each keeps for itself how far it has come.
        libraries=LIBRARIES,
        workers=1,
        on_progress=on_progress,
        on_print=lambda line: printed.append(values.parse(json.loads(line))),
    )
    found = [Explained(0, 0, not each.outputs) for _, each in seen]
    for kind, run, *figures in printed:
        before = found[run - 1]
        if kind == "explained":
            whole = True if figures[0] == len(seen[run - 1][1].outputs) else before.whole
            found[run - 1] = Explained(*figures, whole)
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


def _module(seen: Sequence[tuple[str, Seen]], names: Names) -> str:
    """What was seen as a TLA+ module, each message defined once."""
    defined: dict[str, str] = {}

    def define(message: Json) -> str:
        src, dest = names.name("p", message["src"]), names.name("p", message["dest"])
        text = f"Message({src}, {dest}, {names.body(message['body'])})"
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
    told = [*names.definitions(), *(f"{name} == {text}" for text, name in defined.items())]
    messages = "\n".join(told)
    return (
        f"---- MODULE Explain ----\nEXTENDS Observed\nTheMembers == <<{ordered}>>\n{messages}\n"
        f"TheRuns == <<{', '.join(runs)}>>\n====\n"
    )
