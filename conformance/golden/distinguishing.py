"""Distinguishing sequences: which states of an automaton differ in their output, on which inputs.

A transition to a wrong state may send the right output; it shows only later, where the two states
differ.  So a transition is verified by inputs after it that distinguish its target from every other
state (the W-method: Chow 1978; UIO sequences: Sabnani and Dahbura).  This finds every single
transfer fault: one transition that leads to a wrong state of the automaton, the rest being right.

Some inputs leave the model: of these the output is known and the next state is not.  `paths` makes
golden traces of this.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count, permutations
from typing import NamedTuple

from .automaton import Automaton, Transition

Edge = tuple[int, int]
"""A transition, as the numbers of its state and of its input."""

Group = dict[Edge, set[int]]
"""Faults: transitions, each with the wrong states that it may lead to."""


class Effect(NamedTuple):
    """What one input shows about nodes in other states than the right one; sets of states as bits.

    reveals: states that send another output
    loses: states from which the next state is equivalent to the target, or unknown
    hides: those of `loses` whose next state is unknown, because it is out of the model
    """

    reveals: int
    loses: int
    hides: int


# Leaving a state costs more than any number of steps within it: there may be no path back.
STAY, LEAVE = 1, 1_000


class Machine:
    """An automaton with its states, inputs and outputs as numbers.

    `steps[state][given]` is the output on this input and the next state, which is None if it is out
    of the model.
    """

    def __init__(self, automaton: Automaton) -> None:
        states = {state: number for number, state in enumerate(automaton.states())}
        inputs: dict[str, int] = defaultdict(count().__next__)
        outputs: dict[str, int] = defaultdict(count().__next__)
        self.start = states[automaton.start]
        self.steps: list[dict[int, tuple[int, int | None]]] = [{} for _ in states]
        self.transitions: dict[Edge, Transition] = {}
        for transition in (*automaton.transitions(), *automaton.beyond()):
            edge = states[transition.before], inputs[transition.key[1]]
            output = outputs[json.dumps(transition.step.output)]
            after = None if transition.after is None else states[transition.after]
            self.steps[edge[0]][edge[1]] = output, after
            if after is not None:
                self.transitions[edge] = transition
        self._numbers = {t.key: edge for edge, t in self.transitions.items()}
        self._effects: dict[Edge, Effect] = {}

    def successors(self, state: int) -> list[tuple[int, int]]:
        """Return the inputs that a trace may give in a state, and the next states."""
        steps = self.steps[state].items()
        return [(given, after) for given, (_, after) in steps if after is not None]

    def path(self, transitions: Iterable[Transition]) -> list[Edge]:
        """Return transitions of the automaton by their numbers."""
        return [self._numbers[transition.key] for transition in transitions]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The ordered pairs of states that have an input in common.

        A node that is down and one that is up have none: that is seen at once (see `replay`).
        """
        every = permutations(range(len(self.steps)), 2)
        return [(one, other) for one, other in every if self.steps[one].keys() & self.steps[other]]

    @cached_property
    def distinguishing(self) -> dict[tuple[int, int], tuple[int, int]]:
        """For each distinguishable pair of states: the cost from the first one, and the first input
        of the cheapest distinguishing sequence."""
        found: dict[tuple[int, int], tuple[int, int]] = {}
        changed = True
        while changed:
            changed = False
            for pair in self.pairs:
                cheapest = min(self._distinguishing_inputs(*pair, found), default=None)
                if cheapest is not None and cheapest != found.get(pair):
                    found[pair], changed = cheapest, True
        return found

    def _distinguishing_inputs(
        self, one: int, other: int, found: dict[tuple[int, int], tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """Yield the cost of distinguishing two states for each input that may come first."""
        theirs = self.steps[other]
        for given, (output, after) in self.steps[one].items():
            if given in theirs:
                other_output, other_after = theirs[given]
                cost = STAY if after == one else LEAVE
                if output != other_output and after is not None:
                    yield cost, given
                elif (
                    output == other_output
                    and after is not None
                    and other_after is not None
                    and (rest := found.get((after, other_after)))
                ):
                    yield cost + rest[0], given

    @cached_property
    def distinguishable(self) -> list[frozenset[int]]:
        """For each state the states that are distinguishable from it."""
        found: list[set[int]] = [set() for _ in self.steps]
        for one, other in self.distinguishing:
            found[one].add(other)
        return [frozenset(others) for others in found]

    def unverified(self) -> Group:
        """Return all transitions, each with the wrong targets that are distinguishable from its
        own."""
        return {
            (state, given): set(self.distinguishable[after])
            for state in range(len(self.steps))
            for given, after in self.successors(state)
        }

    def effect(self, edge: Edge) -> Effect:
        """Return what a transition shows about nodes in other states."""
        if edge not in self._effects:
            state, given = edge
            output, after = self.steps[state][given]
            reveals = loses = hides = 0
            for place, steps in enumerate(self.steps):
                other_output, other_after = steps.get(given, (output, None))
                if other_output != output:
                    reveals |= 1 << place
                elif (after, other_after) not in self.distinguishing:
                    loses |= 1 << place
                    hides |= (other_after is None) << place
            self._effects[edge] = Effect(reveals, loses, hides)
        return self._effects[edge]


class Faults:
    """All nodes with a single transfer fault, run along a path together with the right node.

    `unverified` has the transitions that are not covered yet, or not verified, with the faults that
    no path has shown; what this path covers and shows is removed.  `wrong` are the faulty nodes
    that are in another state than the right one, by their state.
    """

    def __init__(self, machine: Machine, unverified: Group) -> None:
        self.wrong: dict[int, Group] = {}
        self._machine = machine
        self._owed = unverified
        # Faulty nodes that are in a wrong state, or in one that is out of the model.
        self._away: Group = defaultdict(set)

    def is_pending(self, edge: Edge) -> bool:
        """Return whether taking a transition now may cover it or show a fault of it."""
        unverified = self._owed.get(edge)
        return unverified is not None and (not unverified or not unverified <= self._away[edge])

    def step(self, edge: Edge) -> None:
        """Take a transition in the right node, and the same input in all faulty ones."""
        state, given = edge
        output, after = self._machine.steps[state][given]
        # Faulty nodes by their next state, which is None where it is out of the model.
        moved: dict[int | None, list[Group]] = defaultdict(list)
        for place, group in self.wrong.items():
            other_output, other_after = self._machine.steps[place].get(given, (output, None))
            if other_output != output:
                self._see(group)
            else:
                fault = place, given
                moved[other_after].append({t: at for t, at in group.items() if t != fault})
                for astray in group.get(fault, ()):
                    moved[astray].append({fault: {astray}})
        fresh = self._owed.get(edge, set()) - self._away[edge]
        self._away[edge] |= fresh
        for astray in fresh:
            moved[astray].append({edge: {astray}})
        for group in moved.pop(after, ()):
            for fault, places in group.items():
                self._away[fault] -= places
        self.wrong = {
            place: _joined(groups) for place, groups in moved.items() if place is not None
        }
        if edge in self._owed and not self._owed[edge]:
            del self._owed[edge]

    def _see(self, group: Group) -> None:
        """Remove the faults of nodes whose output differs from that of the right one."""
        for edge, places in group.items():
            if edge in self._owed:
                self._owed[edge] = self._owed[edge] - places
                if not self._owed[edge]:
                    del self._owed[edge]

    def suspects(self) -> int:
        """Return the wrong states of nodes whose faults are not shown yet, as bits."""
        none: set[int] = set()
        return sum(
            1 << place
            for place, group in self.wrong.items()
            if any(places & self._owed.get(edge, none) for edge, places in group.items())
        )


def _joined(groups: Sequence[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    found: Group = {}
    for group in groups:
        for edge, places in group.items():
            found[edge] = found[edge] | places if edge in found else places
    return found


def verified(machine: Machine, paths: Iterable[Sequence[Edge]]) -> set[Edge]:
    """Return the transitions that some path takes and whose every fault some path shows."""
    unverified = machine.unverified()
    for path in paths:
        faults = Faults(machine, unverified)
        for edge in path:
            faults.step(edge)
    return machine.transitions.keys() - unverified.keys()
