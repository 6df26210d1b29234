"""Check recorded runs of each safety bug by their votes alone, and write the table `votes.md`.

    python -m tests.mutants.votes            # ten minutes of a processor; writes the table
    python -m tests.mutants.votes NAME...    # prints what is found, and writes nothing

First come the runs of the check "recorded runs" of `make mutants`, then runs with more faults.  A
run of a bug that is the same as that of the correct node needs no check.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.exporting import votes as exporting
from conformance.formats import logs, vote_logs
from conformance.formats.schema import SchemaError
from conformance.formats.vote_logs import VoteLogs
from conformance.running.record import Faults
from conformance.validation.vote_verdict import VoteVerdict, validate_votes

from . import bugs, checks, runs
from .bugs import Bug
from .patched import patched
from .sources import Texts

Record = Callable[[Path, int], "str | None"]

TABLE = Path(__file__).parent / "votes.md"
RIGHT = "the correct node"
FIRST = 1
"""The first seed of the runs."""

MANY_FAULTS = Faults(slowest=30, timeout=15, inquire=100, crash=60, restart=20)
STAGES: tuple[Record, ...] = (
    checks.record,
    *(
        partial(checks.record, clusters=clusters, seeds=24, faults=(MANY_FAULTS, MANY_FAULTS))
        for clusters in (((3, 30, 0.3),), ((3, 30, 0.5), (5, 20, 0.5)))
    ),
)
"""How to record runs, for bugs that the stage before has not found."""

HEAD = """# Safety bugs and their votes

For people who want to know what [vote logs](../../conformance/votes.md) can find. For each safety
bug in [bugs.toml](bugs.toml) there is the first rule that the vote logs of recorded runs break. If
there is none, every vote, promise and decision in these runs was right: the table has the number of
runs that were not those of the correct node. Written by `python -m tests.mutants.votes`.

| bug | what is wrong | found by its votes |
| --- | --- | --- |
"""


def safety() -> list[Bug]:
    """Return the bugs that make two values for one slot possible."""
    return [bug for bug in bugs.load() if bug.breaks == "safety"]


def recorded(folder: Path, texts: Texts, record: Record) -> str | None:
    """Record runs of the node with these changes into a folder, in a process of its own.

    Return why they ended before the last one, or None.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        return process.submit(_record, folder, texts, record).result()


def _record(folder: Path, texts: Texts, record: Record) -> str | None:
    with patched(texts):
        try:
            return record(folder, FIRST)
        except SchemaError as error:
            # What the node logged is not a record.
            return str(error)


def vote_logs_of(path: Path) -> VoteLogs | None:
    """Return the vote logs of a run, made from its message log; None if it has no votes."""
    records = logs.of(map(json.loads, path.read_text("utf-8").splitlines()), path)
    lines = exporting.lines(records)
    if not any("vote" in line for line in lines):
        # The nodes of some bugs stop early.
        return None
    written = path.with_suffix(".votes")
    written.write_text(vote_logs.text(lines), "utf-8")
    return vote_logs.read([written])


def checked(folders: Mapping[str, Sequence[Path]]) -> dict[str, VoteVerdict | None]:
    """Return for each bug the first verdict that rejects one of its runs, None if none does."""
    every = [(name, vote_logs_of(path)) for name, paths in folders.items() for path in paths]
    owners = [(name, cluster) for name, cluster in every if cluster]
    found: dict[str, VoteVerdict | None] = dict.fromkeys(folders)
    verdicts = validate_votes([cluster for _, cluster in owners], _say)
    for (name, _), verdict in zip(owners, verdicts, strict=True):
        if verdict.rejections:
            found[name] = found[name] or verdict
    return found


def stage(
    some: Iterable[Bug], record: Record
) -> tuple[dict[str, VoteVerdict | None], dict[str, int]]:
    """Record and check runs of each bug, as `checked` does; also return how many differ.

    Those of the correct node are checked, too, and must be accepted.
    """
    with TemporaryDirectory(prefix="votes-") as scratch:
        right = Path(scratch) / "right"
        if ended := recorded(right, {}, record):
            raise RuntimeError(f"{RIGHT}: {ended}")
        different = {RIGHT: logs.find([right])}
        for bug in some:
            folder = Path(scratch) / bug.name
            ended = recorded(folder, bug.mutant().texts, record)
            different[bug.name] = runs.different(folder, right)
            _say(f"{bug.name}: {len(different[bug.name])} runs are not those of {RIGHT}")
            if ended:
                _say(f"  stopped early: {ended}")
        found = checked(different)
        if wrong := found.pop(RIGHT):
            raise RuntimeError(f"{RIGHT}: {wrong.rejections[0].reason}")
        counts = {name: len(paths) for name, paths in different.items()}
        _say(f"{counts.pop(RIGHT)} runs of {RIGHT} are accepted")
        return found, counts


def rows(found: Mapping[str, VoteVerdict | None], different: Mapping[str, int]) -> Iterator[str]:
    """Yield the rows of the table, in the order of the catalogue."""
    for bug in safety():
        verdict = found[bug.name]
        what = f"`{verdict.rejections[0].rule}`" if verdict else f"no: {different[bug.name]} runs"
        yield f"| `{bug.name}` | {bug.what} | {what} |"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main(names: Sequence[str]) -> int:
    chosen = [bug for bug in safety() if not names or bug.name in names]
    found: dict[str, VoteVerdict | None] = dict.fromkeys(bug.name for bug in chosen)
    different: Counter[str] = Counter()
    for record in STAGES:
        verdicts, counts = stage([bug for bug in chosen if not found[bug.name]], record)
        found |= verdicts
        different.update(counts)
    for name, verdict in found.items():
        print(f"{name}: {verdict.rejections[0].reason if verdict else 'accepted'}")
    caught = sum(map(bool, found.values()))
    print(f"{caught} of {len(found)} are rejected by their votes")
    if not names:
        TABLE.write_text(HEAD + "\n".join(rows(found, different)) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
