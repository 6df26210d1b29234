"""A log compared with what the router saw: a correct one is accepted, others are not."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from conformance.formats import logs
from conformance.validation.evidence import Evidence, find_contradiction

Json = Any


def message(src: str, dest: str, **body: Any) -> Json:
    return {"src": src, "dest": dest, "body": body}


ASKED = [message("c1", "n1", type="multi_paxos_propose", msg_id=number) for number in range(4)]
PRINTED = [
    message("n1", dest, type="printed", number=number)
    for number in range(4)
    for dest in ("n2", "c1")
]


def record(given: Json, *output: Json) -> Json:
    return {"node": "n1", "input": given, "output": list(output)}


LOG = [
    record(ASKED[0], PRINTED[0], PRINTED[1]),
    record("timeout", PRINTED[2]),
    record(ASKED[1], PRINTED[3]),
    record("crash"),
    record("restart"),
    record(ASKED[2], PRINTED[4], PRINTED[5]),
    record(ASKED[3]),
]


def life(given: list[Json], printed: list[Json], whole: bool = False) -> Evidence:
    found = Evidence(whole=whole)
    for each in given:
        found.add(True, each)
    for each in printed:
        found.add(False, each)
    return found


LIVES = [life(ASKED[:2], PRINTED[:4]), life(ASKED[2:], PRINTED[4:6], whole=True)]


def wrong(lives: list[Evidence], log: list[Json] = LOG) -> str | None:
    found = find_contradiction("n1", list(logs.of(log)), lives)
    return found and str(found)


def test_correct_log_is_accepted() -> None:
    assert wrong(LIVES) is None
    # To different destinations any order will do, and what was on its way to the node may be lost.
    first = life(ASKED, [PRINTED[1], PRINTED[3], PRINTED[0], PRINTED[2]])
    assert wrong([first, LIVES[1]]) is None


def test_crash_may_come_between_log_and_output() -> None:
    assert wrong([life(ASKED[:2], PRINTED[:2]), LIVES[1]]) is None
    assert wrong([LIVES[0], life(ASKED[2:], [])]) is None
    assert ":6: node n1: life 2: it never printed" in wrong([LIVES[0], life(ASKED[2:], [], True)])


def test_run_without_output_may_have_an_empty_log() -> None:
    quiet = life(ASKED[:1], [])
    assert wrong([quiet, LIVES[0], quiet, quiet, LIVES[1], quiet]) is None
    assert "its log ends before it" in wrong([*LIVES, life(ASKED, PRINTED[:1])])
    assert "has 2 lives, and it had 1" in wrong([LIVES[0]])


def with_fields(place: int, **fields: Any) -> list[Json]:
    printed = deepcopy(PRINTED[:4])
    printed[place]["body"] |= fields
    return printed


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (with_fields(1, number=7), ":1: node n1: life 1: it printed {"),
        (with_fields(3, number=True), ":3: node n1: life 1: it printed {"),
        ([PRINTED[2], PRINTED[0]], ":1: node n1: life 1: it printed {"),
        ([*PRINTED[:4], PRINTED[3]], "and its log does not have that"),
        ([*PRINTED[:4], message("n1", "c9", type="printed")], "and its log does not have that"),
    ],
)
def test_unlogged_output_is_found(printed: list[Json], why: str) -> None:
    assert why in wrong([life(ASKED[:2], printed), LIVES[1]])


def test_logged_input_that_was_never_sent_is_found() -> None:
    assert ":3: node n1: life 1: it was never given" in wrong(
        [life(ASKED[:1], PRINTED[:4]), LIVES[1]]
    )
    twice = [LOG[0], record(ASKED[0]), *LOG[1:]]
    assert ":2: node n1: life 1: it was never given, or not so often" in wrong(LIVES, twice)


def test_empty_log_of_a_node_with_output_is_found() -> None:
    assert wrong(LIVES, []) == "its log: node n1: life 1: its log ends before it (router)"
    assert wrong([life(ASKED, [])], []) is None
