"""`Slots` behaves as a set, and its ranges are maximal."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from multipaxos.slots import Slots

SLOTS = st.sets(st.integers(0, 24))


def slots_of(members: set[int]) -> Slots:
    slots = Slots()
    for slot in members:
        slots.add(slot)
    return slots


def is_same(slots: Slots, members: set[int]) -> bool:
    ranges = slots.ranges()
    apart = all(high + 1 < low for (_, high), (low, _) in pairwise(ranges))
    return apart and list(slots) == sorted(members) and bool(slots) == bool(members)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 24))))
def test_add_and_discard_are_those_of_a_set(steps: list[tuple[bool, int]]) -> None:
    slots, members = Slots(), set()
    for is_added, slot in steps:
        (slots.add if is_added else slots.discard)(slot)
        (members.add if is_added else members.discard)(slot)
        assert is_same(slots, members)


@given(SLOTS)
def test_contains_is_that_of_a_set(members: set[int]) -> None:
    assert [slot in slots_of(members) for slot in range(-1, 26)] == [
        slot in members for slot in range(-1, 26)
    ]


@given(SLOTS, SLOTS)
def test_update_and_difference_are_those_of_a_set(some: set[int], others: set[int]) -> None:
    assert is_same(slots_of(some) - slots_of(others), some - others)
    slots = slots_of(some)
    slots.update(slots_of(others))
    assert is_same(slots, some | others)


@given(SLOTS)
def test_slots_of_ranges_are_equal(members: set[int]) -> None:
    assert is_same(Slots(slots_of(members).ranges()), members)


@given(SLOTS, st.integers(0, 26), st.none() | st.integers(0, 26))
def test_part_is_that_of_a_list(members: set[int], least: int, most: int | None) -> None:
    expected = [slot for slot in sorted(members) if slot >= least][:most]
    assert is_same(slots_of(members).part(least, most), set(expected))


@given(SLOTS)
def test_range_of_a_slot_includes_it(members: set[int]) -> None:
    slots = slots_of(members)
    for low, high in slots.ranges():
        assert {slots.range_of(slot) for slot in range(low, high + 1)} == {(low, high)}


def test_long_log_is_one_range() -> None:
    assert slots_of(set(range(10_000))).ranges() == ((0, 9_999),)
