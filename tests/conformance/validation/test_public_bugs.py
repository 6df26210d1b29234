"""Bugs of public implementations of Multi-Paxos, as vote logs: each lets two values be chosen.

promise-of-a-vote-lost: an acceptor that votes in a ballot that it did not promise before saves the
vote without the promise.  promises-of-another-ballot: a candidate that was preempted has taken its
next ballot when the promises for the one before arrive, and leads the next one with them.
"""

from __future__ import annotations

import pytest

from conformance import checking
from conformance.formats import vote_logs
from tests.support.paths import FIXTURES


def rejected(name: str) -> list[tuple[str, int]]:
    cluster = vote_logs.read([FIXTURES / "votes" / f"{name}.ndjson"])
    verdict = checking.validate_votes(cluster)
    return [(found.line.node, found.line.line) for found in verdict.rejections]


@pytest.mark.parametrize(
    ("bug", "lines"),
    [
        # The vote below the other one, and the vote for a second value that this made possible.
        ("promise-of-a-vote-lost", [("a", 12), ("c", 15)]),
        ("promises-of-another-ballot", [("n1", 11)]),
    ],
)
def test_bug_is_found_from_the_votes(bug: str, lines: list[tuple[str, int]]) -> None:
    assert rejected(f"{bug}-ok") == []
    assert rejected(f"{bug}-bad") == lines
