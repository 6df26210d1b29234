"""Serialization of the messages between nodes.

`test_bad_input` has the malformed ones.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipaxos import wire
from multipaxos.members import Members
from multipaxos.messages import (
    Accept,
    Accepted,
    Decided,
    Learn,
    Learned,
    Poll,
    Prepare,
    Promise,
    Rejected,
    Vote,
)
from multipaxos.slots import Slots

MEMBERS = Members(["n1", "n2", "n3"])
SLOT = st.integers(0, 2**63 - 1)
VALUE = (
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.integers())
).map(json.dumps)


def ballots(owner: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**60).map(lambda turn: 3 * turn + owner)


def by_slot(values: st.SearchStrategy) -> st.SearchStrategy[dict]:
    return st.dictionaries(SLOT, values).map(lambda found: dict(sorted(found.items())))


def known_of(slots: set[int]) -> tuple[tuple[int, int], ...]:
    known = Slots()
    for slot in slots:
        known.add(slot)
    return known.ranges()


KNOWN = st.sets(st.integers(0, 20) | SLOT).map(known_of)
# From n2 to n1: 2 is a ballot of n2, 1 a ballot of n1.
BODIES = st.one_of(
    st.builds(Prepare, ballots(2), KNOWN),
    st.builds(Promise, ballots(1), by_slot(st.builds(Vote, ballots(3), VALUE)), KNOWN),
    st.builds(Accept, ballots(2), SLOT, VALUE),
    st.builds(Accepted, ballots(1), SLOT),
    st.builds(Rejected, ballots(3)),
    st.builds(Decided, SLOT, VALUE),
    st.builds(Poll, SLOT),
    st.builds(Learn, KNOWN),
    st.builds(Learned, by_slot(VALUE), st.booleans(), SLOT),
)


def line_of(body: object) -> str:
    return f"{wire.Heads('n2')['n1']}{wire.TEXT[type(body)](body)}}}}}"


@given(BODIES)
def test_written_message_is_read_back(body: tuple) -> None:
    assert wire.message(*wire.read(line_of(body)), MEMBERS) == body


@given(BODIES)
def test_lines_are_equal_to_json_dumps(body: tuple) -> None:
    line = line_of(body)
    assert line == json.dumps(json.loads(line))


@pytest.mark.parametrize(
    "body, text",
    [
        (Prepare(2, ((0, 3), (5, 5))), '"prepare", "ballot": 2, "known": [[0, 3], [5, 5]]'),
        (
            Promise(1, {4: Vote(3, '"v"'), 6: Vote(1, "null")}, ()),
            '"promise", "ballot": 1, "accepted": [{"slot": 4, "ballot": 3, "value": "v"}, '
            '{"slot": 6, "ballot": 1, "value": null}], "known": []',
        ),
        (Accept(2, 7, "[1, 2]"), '"accept", "ballot": 2, "slot": 7, "value": [1, 2]'),
        (Accepted(1, 7), '"accepted", "ballot": 1, "slot": 7'),
        (Rejected(9), '"rejected", "promised": 9'),
        (Decided(7, "1.0"), '"decided", "slot": 7, "value": 1.0'),
        (Poll(3), '"poll", "version": 3'),
        (Learn(()), '"learn", "known": []'),
        (
            Learned({1: '"a"', 2: "true"}, True, 5),
            '"learned", "decided": [{"slot": 1, "value": "a"}, {"slot": 2, "value": true}], '
            '"more": true, "version": 5',
        ),
    ],
)
def test_text_of_each_message_type(body: tuple, text: str) -> None:
    assert line_of(body) == f'{{"src": "n2", "dest": "n1", "body": {{"type": {text}}}}}'
