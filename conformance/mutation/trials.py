"""Compare the verdicts of the checker under test with what is expected of mutated traces.

There are three sources for the verdict on a mutated trace: the mutation (`mutations`), a node that
is given its inputs (`oracle`), and the checker under test.  Where they disagree, one of them is
wrong; people have to find out which one.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats import logs
from ..jobs import at_once
from ..tlaplus.tlc import ToolError
from ..validation.trace_validation import Checker, validate_logs
from ..validation.verdict import Verdict
from .expectations import is_causal
from .mutations import MutatedTrace, Source
from .oracle import Opinion, Oracle
from .order import BadLines

# The node of a record that cannot be read.
UNREADABLE = ""

Oracles = Mapping[int, Oracle]
"""Oracles, by the constant Batch that their nodes run with."""

# How many traces are checked together: enough to make up for the start of the checker, and few
# enough to show progress.
AT_ONCE = 200


@dataclass(frozen=True)
class Trial:
    """A mutated trace, whether it is legal according to the oracle, and all disagreements."""

    number: int
    mutated: MutatedTrace
    legal: bool
    disagreements: list[str]


def source(path: Path, batch: int, most: int | None = None) -> Source:
    """Return the trace in a file, or its first records.

    Raises `LogError` if a message is received in a line before the one that sends it, and for a
    log that begins with a state: the node that gives the second opinion starts without one.
    """
    records = logs.read_json(path)
    if any(record.state is not None for record in logs.of(records)):
        raise logs.LogError(f"{path}: the log begins with a state, so it cannot be mutated")
    if not is_causal(records):
        raise logs.LogError(f"{path}: a message is received in a line before the one that sends it")
    return Source(str(path), records[:most], batch)


def run_trials(
    made: Iterable[tuple[int, MutatedTrace]], oracles: Oracles, checker: Checker = validate_logs
) -> Iterator[Trial]:
    """Check numbered mutated traces; a trace without a verdict is a disagreement."""

    def tried(some: Sequence[tuple[int, MutatedTrace]]) -> list[Trial] | ToolError:
        try:
            return list(_try(some, oracles, checker))
        except ToolError as error:
            return error

    for some, found in at_once(tried, _groups(made)):
        yield from found if isinstance(found, list) else _halves(some, found, oracles, checker)


def _halves(
    some: Sequence[tuple[int, MutatedTrace]], error: ToolError, oracles: Oracles, checker: Checker
) -> Iterator[Trial]:
    """Check in ever smaller groups the traces that have no verdict together."""
    if len(some) == 1:
        [(number, mutated)] = some
        yield Trial(number, mutated, _opinion(mutated, oracles).legal, [f"no verdict: {error}"])
        return
    for part in some[: len(some) // 2], some[len(some) // 2 :]:
        try:
            yield from list(_try(part, oracles, checker))
        except ToolError as reason:
            yield from _halves(part, reason, oracles, checker)


def require_accepted(
    sources: Sequence[Source], oracles: Oracles, checker: Checker = validate_logs
) -> None:
    """Raise `LogError` for a source that is rejected: mutating it would show nothing."""
    for batch, oracle in oracles.items():
        some = [each for each in sources if each.batch == batch]
        verdicts = checker([logs.of(each.records) for each in some], batch)
        for each, verdict in zip(some, verdicts, strict=True):
            opinion = oracle.opinion(each.records)
            for name, bad in ("checker", _bad_lines(verdict)), ("node", opinion.bad):
                if bad:
                    line = min(bad.values())
                    raise logs.LogError(
                        f"{each.name}:{line}: rejected by the {name} before any mutation"
                    )


def _groups(
    made: Iterable[tuple[int, MutatedTrace]],
) -> Iterator[list[tuple[int, MutatedTrace]]]:
    """Group traces by cluster, for a checker may have to start anew for each cluster."""
    groups: dict[str, list[tuple[int, MutatedTrace]]] = defaultdict(list)
    for number, mutated in made:
        groups[mutated.source.cluster].append((number, mutated))
    for some in groups.values():
        for at in range(0, len(some), AT_ONCE):
            yield some[at : at + AT_ONCE]


def _try(
    some: Sequence[tuple[int, MutatedTrace]], oracles: Oracles, checker: Checker
) -> Iterator[Trial]:
    """Check traces of one cluster."""
    batch = some[0][1].source.batch
    read = [_read(mutated) for _, mutated in some]
    readable = [each for each in read if isinstance(each, list)]
    verdicts = iter(checker(readable, batch) if readable else ())
    for (number, mutated), each in zip(some, read, strict=True):
        found = _bad_lines(next(verdicts)) if isinstance(each, list) else each
        opinion = _opinion(mutated, oracles)
        wrong = [*disagreements(mutated, found, opinion)]
        yield Trial(number, mutated, opinion.legal, wrong)


def _opinion(mutated: MutatedTrace, oracles: Oracles) -> Opinion:
    """Return the oracle's opinion; an incomplete record is bad without it."""
    if mutated.whole:
        return oracles[mutated.source.batch].opinion(mutated.records)
    return Opinion([], {UNREADABLE: mutated.first}, True)


def disagreements(mutated: MutatedTrace, found: BadLines, opinion: Opinion) -> Iterator[str]:
    """Yield where the checker, the oracle and the expectation do not agree."""
    expected = mutated.expectation
    for name, lines, legal in (
        ("the checker", found, not found),
        ("the node", opinion.bad, opinion.legal),
    ):
        if expected.legal is not None and expected.legal != legal:
            verdict = "legal" if expected.legal else "illegal"
            yield f"{verdict}, because {expected.reason}; {name} disagrees"
        early = [line for line in lines.values() if line < mutated.first]
        if early:
            yield f"{name} rejects line {early[0]}, before the first mutated line {mutated.first}"
        for node, line in expected.at.items():
            at = lines.get(node, lines.get(UNREADABLE, line + 1))
            if lines and at > line:
                yield f"{name} does not reject {node} up to line {line}, though {expected.reason}"
        for node in sorted(lines.keys() & mutated.unaffected):
            yield f"{name} rejects {node}, which is not mutated and received no mutated message"
    if UNREADABLE in found:
        # Nothing is read after the first line that is not a record.
        if found[UNREADABLE] not in opinion.bad.values():
            line = found[UNREADABLE]
            yield f"line {line} cannot be read, but the node rejects {_places(opinion.bad)}"
    elif not opinion.allows(found):
        cycle = "" if opinion.ordered else ", and a receipt of a message that is sent later"
        yield f"the checker rejects {_places(found)}, the node {_places(opinion.bad)}{cycle}"


def _places(lines: BadLines) -> str:
    places = (f"line {line} of {node or 'the file'}" for node, line in lines.items())
    return ", ".join(places) or "nothing"


def _read(mutated: MutatedTrace) -> list[logs.Record] | BadLines:
    """Return the records in the file of a mutated trace, or the first line that is not a record."""
    with tempfile.TemporaryDirectory(prefix="mutated-") as scratch:
        path = Path(scratch) / "log.ndjson"
        path.write_text(mutated.text, "utf-8")
        try:
            return logs.read(path)
        except logs.LogError as error:
            named = re.match(rf"{re.escape(str(path))}:(\d+): ", str(error))
            if named is None:
                raise
            return {UNREADABLE: int(named[1])}


def _bad_lines(verdict: Verdict) -> BadLines:
    return {found.record.node: found.record.line for found in verdict.rejections}
