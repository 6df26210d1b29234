"""A bug that a public Multi-Paxos has, as a vote log: a vote is saved without its promise."""

from __future__ import annotations

from conformance import checking
from conformance.formats import vote_logs
from tests.support.paths import FIXTURES


def rejected(name: str) -> list[tuple[str, int]]:
    cluster = vote_logs.read([FIXTURES / "votes" / f"promise-of-a-vote-lost-{name}.ndjson"])
    verdict = checking.validate_votes(cluster)
    return [(found.line.node, found.line.line) for found in verdict.rejections]


def test_lower_vote_after_a_restart_is_found() -> None:
    assert rejected("ok") == []
    # The vote below the other one, and the vote for a second value that this made possible.
    assert rejected("bad") == [("a", 12), ("c", 15)]
