"""Which states of an automaton can be told apart by what a node says, and by which inputs.

A step to a wrong state may say the right thing, and then shows only later, in something that the
two states do otherwise.  So a step is judged by what follows it: inputs that tell its target from
every other state.  This is how conformance testing finds transfer faults (T. S. Chow's W-method,
1978, and its kin): a node of which one step leads to another state of the automaton than it should
shows it, as long as the rest of it is right.

Where an input would change a state that it never meets in the model, the model tells what is said,
and nothing of what would follow.  How logs are made of this is told in `cover`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count, permutations
from typing import NamedTuple

from .automaton import Automaton, Transition

Taken = tuple[int, int]
"""A transition, by the numbers of its state and of its input."""

Group = dict[Taken, set[int]]
"""Faults: transitions, each with the wrong states that it may lead to."""


class Effect(NamedTuple):
    """What becomes, with a transition, of nodes in other states; sets of states as bits.

    Those that it `tells` say something else.  Those that it `loses` can not be told from its target
    any more; of some of them, which it `hides`, the model does not tell what they do next.
    """

    tells: int
    loses: int
    hides: int


# To leave a state costs more than any number of steps within it: there may be no way back.
STAY, LEAVE = 1, 1_000


class Machine:
    """An automaton with its states, inputs and outputs as numbers.

    `does[state][given]` is what is said there on this input, and the state after it; that is None
    if it is none of the model's.
    """

    def __init__(self, automaton: Automaton) -> None:
        states = {state: number for number, state in enumerate(automaton.states())}
        inputs: dict[str, int] = defaultdict(count().__next__)
        outputs: dict[str, int] = defaultdict(count().__next__)
        self.start = states[automaton.start]
        self.does: list[dict[int, tuple[int, int | None]]] = [{} for _ in states]
        self.transitions: dict[Taken, Transition] = {}
        for transition in (*automaton.transitions(), *automaton.beyond()):
            taken = states[transition.before], inputs[transition.key[1]]
            said = outputs[json.dumps(transition.step.output)]
            after = None if transition.after is None else states[transition.after]
            self.does[taken[0]][taken[1]] = said, after
            if after is not None:
                self.transitions[taken] = transition
        self._numbers = {t.key: taken for taken, t in self.transitions.items()}
        self._effects: dict[Taken, Effect] = {}

    def ways(self, state: int) -> list[tuple[int, int]]:
        """The inputs that a log may give in a state, and the states after them."""
        does = self.does[state].items()
        return [(given, after) for given, (_, after) in does if after is not None]

    def path(self, transitions: Iterable[Transition]) -> list[Taken]:
        """Transitions of the automaton, by their numbers."""
        return [self._numbers[transition.key] for transition in transitions]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of states, either way round, that have an input in common.

        A node that is down takes none that one that is up takes, and answers nobody: that is seen
        at once (see `replay`).
        """
        every = permutations(range(len(self.does)), 2)
        return [(one, other) for one, other in every if self.does[one].keys() & self.does[other]]

    @cached_property
    def apart(self) -> dict[tuple[int, int], tuple[int, int]]:
        """For each pair of states that can be told apart: what that costs from the first of them,
        and the input to begin with."""
        found: dict[tuple[int, int], tuple[int, int]] = {}
        changed = True
        while changed:
            changed = False
            for pair in self.pairs:
                cheapest = min(self._ways(*pair, found), default=None)
                if cheapest is not None and cheapest != found.get(pair):
                    found[pair], changed = cheapest, True
        return found

    def _ways(
        self, one: int, other: int, found: dict[tuple[int, int], tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """What it costs to tell two states apart beginning with each of the inputs that do."""
        theirs = self.does[other]
        for given, (said, after) in self.does[one].items():
            if given in theirs:
                otherwise, elsewhere = theirs[given]
                cost = STAY if after == one else LEAVE
                if said != otherwise and after is not None:
                    yield cost, given
                elif said == otherwise and (after, elsewhere) in found:
                    yield cost + found[after, elsewhere][0], given

    @cached_property
    def rivals(self) -> list[frozenset[int]]:
        """For each state those that it can be told from."""
        found: list[set[int]] = [set() for _ in self.does]
        for one, other in self.apart:
            found[one].add(other)
        return [frozenset(others) for others in found]

    def owed(self) -> Group:
        """The transitions, with the wrong states that they may lead to without being found out at
        once: those that can be told from the right one."""
        return {
            (state, given): set(self.rivals[after])
            for state in range(len(self.does))
            for given, after in self.ways(state)
        }

    def effect(self, taken: Taken) -> Effect:
        """What a transition does for telling the states that others may be in."""
        if taken not in self._effects:
            state, given = taken
            said, after = self.does[state][given]
            tells = loses = hides = 0
            for place, does in enumerate(self.does):
                otherwise, elsewhere = does.get(given, (said, None))
                if otherwise != said:
                    tells |= 1 << place
                elif (after, elsewhere) not in self.apart:
                    loses |= 1 << place
                    hides |= (elsewhere is None) << place
            self._effects[taken] = Effect(tells, loses, hides)
        return self._effects[taken]


class Faults:
    """Nodes of which one transition leads to a wrong state, whenever it is taken, and all else is
    right: all such nodes at once, in step with the right one along a path.

    `owed` has the transitions that no path has taken or whose faults are not all seen, with these.
    What this path takes and shows is removed.  `wrong` are the faulty nodes by the states in which
    they are now, where the right one is in another.
    """

    def __init__(self, machine: Machine, owed: Group) -> None:
        self.wrong: dict[int, Group] = {}
        self._machine = machine
        self._owed = owed
        # Those that are in a wrong state, or in one of which the model does not tell.
        self._away: Group = defaultdict(set)

    def due(self, taken: Taken) -> bool:
        """Whether something is owed to a transition that may be shown if it is taken now."""
        owed = self._owed.get(taken)
        return owed is not None and (not owed or not owed <= self._away[taken])

    def step(self, taken: Taken) -> None:
        """The right node takes a transition; the others do what they do with this input."""
        state, given = taken
        said, after = self._machine.does[state][given]
        moved: dict[int | None, list[Group]] = defaultdict(list)
        for place, group in self.wrong.items():
            otherwise, elsewhere = self._machine.does[place].get(given, (said, None))
            if otherwise != said:
                self._see(group)
            else:
                fault = place, given
                moved[elsewhere].append({t: at for t, at in group.items() if t != fault})
                for astray in group.get(fault, ()):
                    moved[astray].append({fault: {astray}})
        fresh = self._owed.get(taken, set()) - self._away[taken]
        self._away[taken] |= fresh
        for astray in fresh:
            moved[astray].append({taken: {astray}})
        for group in moved.pop(after, ()):
            for fault, places in group.items():
                self._away[fault] -= places
        moved.pop(None, None)
        self.wrong = {place: _joined(groups) for place, groups in moved.items()}
        if taken in self._owed and not self._owed[taken]:
            del self._owed[taken]

    def _see(self, group: Group) -> None:
        """These nodes say something else than the right one, so their faults are seen."""
        for taken, places in group.items():
            if taken in self._owed:
                self._owed[taken] = self._owed[taken] - places
                if not self._owed[taken]:
                    del self._owed[taken]

    def suspects(self) -> int:
        """The wrong states in which there are nodes whose faults are not seen yet, as bits."""
        none: set[int] = set()
        return sum(
            1 << place
            for place, group in self.wrong.items()
            if any(places & self._owed.get(taken, none) for taken, places in group.items())
        )


def _joined(groups: Sequence[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    found: Group = {}
    for group in groups:
        for taken, places in group.items():
            found[taken] = found[taken] | places if taken in found else places
    return found


def verified(machine: Machine, paths: Iterable[Sequence[Taken]]) -> set[Taken]:
    """The transitions that some path takes and whose every fault is seen in some path."""
    owed = machine.owed()
    for path in paths:
        faults = Faults(machine, owed)
        for taken in path:
            faults.step(taken)
    return machine.transitions.keys() - owed.keys()
