"""Measure how the time of `validate --votes` grows with the number of votes.

    python -m tests.growth.votes

It prints processor time at two sizes, as that of a machine with other work on it is still right,
and the ratio of the times per vote.  The logs are of five nodes that compete: of 100,000 votes in
14,000 slots, half of the slots differ from all others in more than names.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Json = Any

NODES = [f"n{number}" for number in range(1, 6)]
SIZES = (10_000, 100_000)
MOST_RATIO, MOST_SECONDS = 1.2, 120
"""120 seconds of processor time are 60 seconds of two cores."""

# New slots of a ballot (the mean), the most slots that are open, and the probability of a vote.
NEW, OPEN, VOTES = 12, 200, 0.45


@dataclass
class Run:
    """Five acceptors; in each ballot a majority or more promises, and some of them vote."""

    rng: random.Random
    slot: int = 0
    ballot: int = 0
    open: dict[int, str] = field(default_factory=dict)
    last: dict[str, dict[int, tuple[int, str]]] = field(
        default_factory=lambda: {node: {} for node in NODES}
    )

    def next_ballot(self) -> Iterator[Json]:
        """Yield the lines of one ballot."""
        self.ballot += 1
        leader = self.rng.choice(NODES)
        ballot = [self.ballot, leader]
        follow = self.rng.sample(NODES, self.rng.randint(3, 5))
        for node in follow:
            yield {"node": node, "promise": ballot}
        for slot, value in self._proposals(follow[:3]):
            voters = [node for node in follow if self.rng.random() < VOTES]
            for node in voters:
                self.last[node][slot] = self.ballot, value
                yield {"node": node, "vote": {"slot": slot, "ballot": ballot, "value": value}}
            self.open[slot] = value
            if len(voters) >= 3:
                del self.open[slot]
                yield {"node": leader, "decide": {"slot": slot, "value": value}}

    def _proposals(self, quorum: list[str]) -> list[tuple[int, str]]:
        """Return what the votes of a quorum allow in open slots, and values for new slots."""
        while len(self.open) > OPEN:
            del self.open[min(self.open)]
        found = []
        for slot in sorted(self.open):
            votes = [self.last[node][slot] for node in quorum if slot in self.last[node]]
            if votes:
                found.append((slot, max(votes)[1]))
        for _ in range(self.rng.randint(NEW // 2, 2 * NEW)):
            self.slot += 1
            found.append((self.slot, f"value {self.slot} of {self.ballot}"))
        return found


def lines(votes: int, seed: int = 1) -> Iterator[Json]:
    """Yield vote logs, in one file, with about so many votes."""
    run = Run(random.Random(seed))
    yield from ({"node": node, "members": NODES} for node in NODES)
    while votes > 0:
        for line in run.next_ballot():
            votes -= "vote" in line
            yield line


def seconds(votes: int, folder: Path) -> float:
    """Return the processor time of the command for logs with so many votes."""
    path = folder / f"{votes}.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(votes)), "utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "conformance", "validate", "--votes", str(path)]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    with TemporaryDirectory(prefix="votes-") as scratch:
        found = {votes: seconds(votes, Path(scratch)) for votes in SIZES}
    for votes, taken in found.items():
        print(
            f"{votes:,} votes: {taken:.1f} s of processor time, {taken / votes * 1e6:.0f} us each"
        )
    small, large = (taken / votes for votes, taken in found.items())
    ratio = large / small
    print(f"time per vote at {SIZES[1]:,} to that at {SIZES[0]:,}: {ratio:.2f}")
    return 0 if ratio <= MOST_RATIO and found[SIZES[1]] <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
