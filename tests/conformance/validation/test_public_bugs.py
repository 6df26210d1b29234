"""Bugs of public implementations of Multi-Paxos, as vote logs: each lets two values be chosen.

promise-of-a-vote-lost: an acceptor that votes in a ballot that it did not promise before saves the
vote without the promise.  promises-of-another-ballot: a candidate that was preempted has taken its
next ballot when the promises for the one before arrive, and leads the next one with them.
"""

from __future__ import annotations

from conformance.formats import vote_logs
from conformance.validation.vote_verdict import validate_votes
from tests.support.paths import FIXTURES

REJECTED = {
    "promise-of-a-vote-lost-ok": [],
    # The vote below the other one, and the vote for a second value that this made possible.
    "promise-of-a-vote-lost-bad": [("a", 12), ("c", 15)],
    "promises-of-another-ballot-ok": [],
    "promises-of-another-ballot-bad": [("n1", 11)],
}


def test_bugs_are_found_from_the_votes() -> None:
    paths = [FIXTURES / "votes" / f"{name}.ndjson" for name in REJECTED]
    verdicts = validate_votes([vote_logs.read([path]) for path in paths])
    found = [[(each.line.node, each.line.line) for each in it.rejections] for it in verdicts]
    assert found == list(REJECTED.values())
