"""Vote logs: TLC accepts and rejects what a second checker does, at the same line."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.formats.vote_logs import Quorums, VoteLogs
from conformance.tlaplus import tlc
from conformance.validation import vote_checker
from conformance.validation.slot_shapes import Numbered
from conformance.validation.vote_verdict import (
    VoteVerdict,
    format_missing,
    format_rejection,
    validate_votes,
)
from tests.support.vote_runs import (
    MUTATIONS,
    cluster,
    decide,
    expected,
    promise,
    random_run,
    restart,
    vote,
)

RUNS, MUTATED = 60, 600
SEED = 17


def lines(clusters: list[VoteLogs]) -> list[list[int]]:
    """Return the lines that are rejected in each cluster."""
    return [[each.line.line for each in found.rejections] for found in validate_votes(clusters)]


def mutated(seed: int) -> tuple[str, VoteLogs]:
    """Return an mutated run, and how it was mutated."""
    rng = random.Random(seed)
    kind = list(MUTATIONS)[seed % len(MUTATIONS)]
    while True:
        run = random_run(rng)
        try:
            MUTATIONS[kind](rng, run)
        except (IndexError, ValueError):
            # There is nothing of this kind in the run.
            continue
        return kind, cluster(run)


def test_mutated_logs_are_checked_as_by_a_search_for_an_interleaving() -> None:
    """Random runs are accepted; mutated ones as the search says, at the same lines."""
    runs = [cluster(random_run(random.Random(SEED + at))) for at in range(RUNS)]
    kinds, logs = zip(*(mutated(SEED + at) for at in range(MUTATED)), strict=True)
    found = lines([*runs, *logs])
    assert found[:RUNS] == [[]] * RUNS
    for at, (kind, each) in enumerate(zip(kinds, logs, strict=True)):
        assert found[RUNS + at] == expected(each), f"seed {SEED + at}: {kind}"
    rejected = Counter(kind for kind, each in zip(kinds, found[RUNS:], strict=True) if each)
    assert min(rejected[kind] for kind in MUTATIONS) >= 5, rejected
    assert sum(rejected.values()) < MUTATED


def test_small_windows_give_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    ballots = [promise("n1", ballot) for ballot in (1, 2, 3, 5, 4, 6, 7, 8)]
    logs = [cluster([*ballots, decide("n1", "x"), vote("n2", 9, "y", 2)])]
    monkeypatch.setattr(vote_checker, "PART", 4)
    monkeypatch.setattr(vote_checker, "WINDOW", 1)
    assert lines(logs) == [[8, 12, 13]]


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_shape_of_a_slot_does_not_depend_on_names(seed: int) -> None:
    run = random_run(random.Random(seed))
    renamed = [
        replace(
            line,
            ballot=line.ballot and [3 * line.ballot, "n"],
            slot=1000 * line.slot,
            value={"it": [line.value]},
        )
        for line in run
    ]
    one, other = (
        [Numbered.of(slot, logs).shape for slot in logs.slots.values()]
        for logs in map(cluster, (run, renamed))
    )
    assert one == other


def test_incomplete_run_of_tlc_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlc, "run", lambda *given, **options: tlc.Outcome())
    with pytest.raises(tlc.ToolError, match="this is no verdict"):
        validate_votes([cluster(A_TAKEOVER)])


# One case each, with its reason.

A_TAKEOVER = [
    promise("n1", 1),
    promise("n2", 1),
    vote("n1", 1, "x"),
    vote("n2", 1, "x"),
    promise("n2", 2),
    promise("n3", 2),
    vote("n3", 2, "x"),
    vote("n2", 2, "x"),
]

MORE = ("n1", "n2", "n3", "n4")
# Rows and columns of a grid of two by two: a row and a column are a quorum.
GRID = Quorums(
    dict.fromkeys(MORE, 1),
    tuple(
        frozenset({*row, *column})
        for row in (("n1", "n2"), ("n3", "n4"))
        for column in (("n1", "n3"), ("n2", "n4"))
    ),
)
HEAVY = Quorums({"n1": 2, "n2": 1, "n3": 1, "n4": 0})

REASONS = {
    "another value": (
        cluster([*A_TAKEOVER[:6], vote("n3", 2, "y")]),
        'n3 voted "y" in slot 1, ballot 2; every quorum that promised it contains n2, which voted '
        '"x" in ballot 1',
    ),
    "too few promises": (
        cluster([*A_TAKEOVER[:2], promise("n3", 2), vote("n3", 2, "x")]),
        'n3 voted "x" in slot 1, ballot 2; no quorum promised it: only n3 did',
    ),
    "two values in a ballot": (
        cluster([*A_TAKEOVER, vote("n1", 2, "y")]),
        'n1 voted "y" in slot 1, ballot 2; n3 voted "x" in the same ballot (votes.ndjson:10)',
    ),
    "below a promise": (
        cluster([*A_TAKEOVER, restart("n2"), vote("n2", 1, "x", 2)]),
        'n2 voted "x" in slot 2, ballot 1, below its promise in ballot 2 (votes.ndjson:8); it '
        "restarted in between (votes.ndjson:12)",
    ),
    "a promise below a vote": (
        cluster([*A_TAKEOVER[:5], vote("n2", 2, "x"), promise("n2", 1), promise("n3", 2)]),
        "n2 promised ballot 1, below its promise in ballot 2 (votes.ndjson:8)",
    ),
    "no votes": (
        cluster([*A_TAKEOVER, decide("n1", "y")]),
        'n1 decided "y" in slot 1, which no node voted for',
    ),
    "too few votes": (
        cluster([*A_TAKEOVER[:3], decide("n1", "x")]),
        'n1 decided "x" in slot 1, which no quorum voted for: in ballot 1 only n1 did',
    ),
    "decisions that differ, with a log missing": (
        cluster(
            [*A_TAKEOVER[:5], vote("n2", 2, "x"), decide("n1", "x"), vote("n2", 3, "x")],
            logged=("n1", "n2"),
        ),
        None,
    ),
    "another decision, with a log missing": (
        cluster(
            [
                *(promise("n1", 1), vote("n1", 1, "x"), vote("n2", 2, "y")),
                *(decide("n1", "x"), decide("n2", "y")),
            ],
            logged=("n1", "n2"),
        ),
        'n2 decided "y" in slot 1, where "x" is decided by n1 (votes.ndjson:6)',
    ),
    "another choice, with a log missing": (
        cluster(
            [
                vote(node, ballot, value)
                for ballot, value in ((1, "x"), (2, "y"))
                for node in ("n1", "n2")
            ],
            logged=("n1", "n2"),
        ),
        'n1 voted "y" in slot 1, where "x" was chosen',
    ),
    "a row and a column": (
        cluster(
            [promise(n, 1) for n in MORE[:3]]
            + [vote(n, 1, "x") for n in MORE[:3]]
            + [decide("n4", "x")],
            MORE,
            GRID,
        ),
        None,
    ),
    "two of a grid": (
        cluster(
            [promise(n, 1) for n in MORE]
            + [vote("n1", 1, "x"), vote("n4", 1, "x")]
            + [decide("n4", "x")],
            MORE,
            GRID,
        ),
        'n4 decided "x" in slot 1, which no quorum voted for: in ballot 1 only n1 and n4 did',
    ),
    "heavy members": (
        cluster(
            [*A_TAKEOVER[:4], decide("n4", "x")],
            MORE,
            HEAVY,
        ),
        None,
    ),
    "light members": (
        cluster([promise(n, 1) for n in MORE[1:]] + [vote("n2", 1, "x")], MORE, HEAVY),
        'n2 voted "x" in slot 1, ballot 1; no quorum promised it: only n2, n3 and n4 did',
    ),
    "a vote that is repeated": (
        cluster([*A_TAKEOVER, restart("n2"), vote("n2", 1, "x")]),
        None,
    ),
}


PARTS = [
    cluster(
        [line for line in random_run(random.Random(seed)) if line.node in logged], logged=logged
    )
    for seed in range(30)
    for logged in (("n1",), ("n1", "n2"))
]
"""The logs of some members of random runs."""


@pytest.fixture(scope="module")
def verdicts() -> dict[str, VoteVerdict]:
    """Return the verdicts on all cases and on PARTS, which together need few runs of TLC."""
    found = validate_votes([*(logs for logs, _ in REASONS.values()), *PARTS])
    return dict(zip([*REASONS, *map(str, range(len(PARTS)))], found, strict=True))


@pytest.mark.parametrize("what", REASONS)
def test_each_condition_has_its_reason(what: str, verdicts: dict[str, VoteVerdict]) -> None:
    reason = REASONS[what][1]
    found = [each.reason for each in verdicts[what].rejections]
    assert found == ([] if reason is None else [reason])


def test_logs_of_any_members_of_a_run_are_accepted(verdicts: dict[str, VoteVerdict]) -> None:
    """What a missing member promised and voted is assumed in favour of the others."""
    assert all(not verdicts[str(at)].rejections for at in range(len(PARTS)))


def test_rejection_shows_its_slot_as_a_table(verdicts: dict[str, VoteVerdict]) -> None:
    verdict = verdicts["another value"]
    [found] = verdict.rejections
    assert format_rejection(verdict.cluster, found).split("\n")[1:] == [
        "  slot 1  promised  votes",
        '  n1      1         "x" in 1',
        '  n2      2         "x" in 1',
        '  n3      2         "y" in 2',
        '  chosen: "x" in ballot 1',
    ]


@pytest.mark.parametrize(
    "logged, named, too_many",
    [(("n1", "n2"), "no log of n3:", False), (("n1",), "no log of n2 and n3:", True)],
)
def test_missing_logs_are_named(logged: tuple[str, ...], named: str, too_many: bool) -> None:
    verdict = VoteVerdict(cluster([], logged=logged))
    assert format_missing(verdict).startswith(named) and verdict.missing_quorum == too_many


def test_no_missing_log_is_named() -> None:
    assert format_missing(VoteVerdict(cluster([]))) == ""
