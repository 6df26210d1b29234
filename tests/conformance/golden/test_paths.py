"""Paths through an automaton: they cover every transition, and verify its target."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from conformance.golden.automaton import Automaton, CoverError, Step, Transition
from conformance.golden.distinguishing import Edge, Machine, verified
from conformance.golden.paths import cover


def step(given: str, output: str = "") -> Step:
    message = {"src": "n1", "dest": "n2", "body": {"type": output}}
    return Step("n1", given, [message] if output else [])


def transition(before: str, given: str, output: str, after: str | None) -> Transition:
    return Transition(before, step(given, output), after)


def machine(*transitions: Transition) -> Machine:
    return Machine(Automaton("n1", "a", transitions))


def test_cover_takes_every_transition() -> None:
    found = [
        transition("a", "timeout", "", "b"),
        transition("b", "timeout", "learn", "b"),
        transition("b", "crash", "", "c"),
        transition("c", "restart", "", "a"),
        transition("a", "crash", "", "d"),
    ]
    automaton = Automaton("n1", "a", found)
    made = Machine(automaton)
    paths = [[made.transitions[edge] for edge in path] for path in cover(made)]
    assert {t.key for path in paths for t in path} == {t.key for t in found}
    for path in paths:
        assert automaton.walk(t.step.input for t in path) == path


def test_unreachable_transition_is_an_error() -> None:
    with pytest.raises(CoverError, match="1 transitions cannot be reached"):
        list(cover(machine(transition("b", "timeout", "", "c"))))


def test_nondeterministic_transitions_are_an_error() -> None:
    with pytest.raises(CoverError, match="two things"):
        machine(transition("a", "timeout", "", "b"), transition("a", "timeout", "learn", "b"))


# A cycle of three states of which only one has output, and an input that all ignore.
RING = [
    *(transition(*each) for each in (("a", "go", "", "b"), ("b", "go", "", "c"))),
    transition("c", "go", "end", "a"),
    *(transition(state, "idle", "", state) for state in "abc"),
]


def paths_without_verification(made: Machine) -> list[list[Edge]]:
    """Return paths that end right after each transition."""
    ring = {state: given for (state, given), t in made.transitions.items() if not t.stays}
    idle = {state: given for (state, given), t in made.transitions.items() if t.stays}
    around = [(state, ring[state]) for state in (0, 1, 2)]
    return [[*around[:n], (n, idle[n])] for n in range(3)] + [around]


def test_covered_transition_is_not_yet_verified() -> None:
    made = machine(*RING)
    paths = paths_without_verification(made)
    assert {edge for path in paths for edge in path} == made.transitions.keys()
    missed = made.transitions.keys() - verified(made, paths)
    assert {made.transitions[edge].key for edge in missed} == {
        *((state, '"idle"') for state in "abc"),
        ("c", '"go"'),
    }
    assert verified(made, cover(made)) == made.transitions.keys()


def test_inputs_out_of_bounds_distinguish_nothing() -> None:
    """Both states have the same output, and one of them then leaves the model."""
    made = machine(
        transition("a", "go", "", "b"),
        transition("b", "go", "", None),
        transition("b", "idle", "", "b"),
        transition("a", "idle", "", "a"),
    )
    assert made.distinguishing == {} and len(made.pairs) == 2
    made = machine(transition("a", "go", "", "b"), transition("b", "go", "end", None))
    assert {pair for pair in made.pairs if pair in made.distinguishing} == {(0, 1)}


def detects(made: Machine, paths: Iterable[list[Edge]], fault: Edge, astray: int) -> bool:
    """Return whether the paths detect a transition with a wrong target."""
    for path in paths:
        at: int | None = made.start
        for state, given in path:
            if at is None or given not in made.steps[at]:
                break
            output_of_fault, after = made.steps[at][given]
            if output_of_fault != made.steps[state][given][0]:
                return True
            at = astray if (at, given) == fault else after
    return False


def random_machine(seed: int) -> Machine:
    """Return a random partial automaton with few outputs."""
    rng = random.Random(seed)
    states = [f"s{number}" for number in range(rng.randint(2, 8))]
    found = []
    for state in states:
        for given in ("timeout", "expire", "inquire", "learn"):
            after = rng.choice((state, state, *states, None))
            if rng.random() < 0.8:
                found.append(transition(state, given, rng.choice(("", "", "learn")), after))
    reached, new = set(), {"s0"}
    while new:
        reached |= new
        new = {t.after for t in found if t.before in reached and t.after} - reached
    return Machine(Automaton("n1", "s0", [t for t in found if t.before in reached]))


@pytest.mark.parametrize("seed", range(100))
def test_verified_counts_only_identified_targets(seed: int) -> None:
    """Try every transfer fault: a transition with another, distinguishable target."""
    made = random_machine(seed)
    paths = list(cover(made))
    shown = {
        edge
        for edge, t in made.transitions.items()
        if all(detects(made, paths, edge, astray) for astray in made.unverified()[edge])
    }
    assert {edge for path in paths for edge in path} == made.transitions.keys()
    assert verified(made, paths) == shown
