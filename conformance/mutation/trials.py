"""Is the judge of logs to be trusted?  Alters accepted logs and sees what it says of each.

Three know something of an altered log: whoever altered it (`alterations`), a node that is given its
inputs (`oracle`), and the judge that is on trial here.  Where they do not agree, one of them is
wrong; which one is for people to find out.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats import logs
from ..jobs import at_once
from ..tlaplus.tlc import ToolError
from ..validation.trace_validation import validate_logs
from ..validation.verdict import Verdict
from .expectations import is_causal
from .mutations import Altered, Source
from .oracle import Opinion, Oracle
from .order import Found

# Whose a record is that cannot be read.
NOBODY = ""

Judge = Callable[[Sequence[Sequence[logs.Record]], int], list[Verdict]]

Oracles = Mapping[int, Oracle]
"""Nodes to ask, by the batch that they run with."""

# Logs that are judged in one go: enough that to start a judge is cheap, few enough to tell of it.
AT_ONCE = 200


@dataclass(frozen=True)
class Trial:
    """An altered log, whether the second opinion takes it for legal, and where the checker or that
    opinion is wrong.
    """

    number: int
    altered: Altered
    legal: bool
    disagreements: list[str]


def source(path: Path, batch: int, most: int | None = None) -> Source:
    """The log in a file, or its first records; raises `LogError` if it stands in no order."""
    records = logs.read_json(path)
    if not is_causal(records):
        raise logs.LogError(f"{path}: a message is received before the line that tells it was sent")
    return Source(str(path), records[:most], batch)


def trials(
    made: Iterable[tuple[int, Altered]], oracles: Oracles, judge: Judge = validate_logs
) -> Iterator[Trial]:
    """Tries the judge with numbered altered logs; whatever it cannot judge is a disagreement."""

    def tried(some: Sequence[tuple[int, Altered]]) -> list[Trial] | ToolError:
        try:
            return list(_try(some, oracles, judge))
        except ToolError as error:
            return error

    for some, found in at_once(tried, _groups(made)):
        yield from found if isinstance(found, list) else _apart(some, found, oracles, judge)


def _apart(
    some: Sequence[tuple[int, Altered]], error: ToolError, oracles: Oracles, judge: Judge
) -> Iterator[Trial]:
    """Tries in ever smaller groups what cannot be judged together."""
    if len(some) == 1:
        [(number, altered)] = some
        yield Trial(number, altered, _opinion(altered, oracles).legal, [f"no verdict: {error}"])
        return
    for part in some[: len(some) // 2], some[len(some) // 2 :]:
        try:
            yield from list(_try(part, oracles, judge))
        except ToolError as reason:
            yield from _apart(part, reason, oracles, judge)


def check(sources: Sequence[Source], oracles: Oracles, judge: Judge = validate_logs) -> None:
    """Raises `LogError` for a log that is rejected as it is: altering it would show nothing."""
    for batch, oracle in oracles.items():
        alike = [each for each in sources if each.batch == batch]
        verdicts = judge([logs.of(each.records) for each in alike], batch)
        for each, verdict in zip(alike, verdicts, strict=True):
            opinion = oracle.opinion(each.records)
            for who, bad in ("tlc", _lines(verdict)), ("node", opinion.bad):
                if bad:
                    line = min(bad.values())
                    raise logs.LogError(f"{each.name}:{line}: rejected by the {who} as it is")


def _groups(made: Iterable[tuple[int, Altered]]) -> Iterator[list[tuple[int, Altered]]]:
    """Logs of one cluster together, for a judge may have to be started anew for each cluster."""
    alike: dict[str, list[tuple[int, Altered]]] = defaultdict(list)
    for number, altered in made:
        alike[altered.source.cluster].append((number, altered))
    for some in alike.values():
        for at in range(0, len(some), AT_ONCE):
            yield some[at : at + AT_ONCE]


def _try(some: Sequence[tuple[int, Altered]], oracles: Oracles, judge: Judge) -> Iterator[Trial]:
    """Tries the judge with logs of one cluster."""
    batch = some[0][1].source.batch
    read = [_read(altered) for _, altered in some]
    readable = [each for each in read if isinstance(each, list)]
    verdicts = iter(judge(readable, batch) if readable else ())
    for (number, altered), each in zip(some, read, strict=True):
        found = _lines(next(verdicts)) if isinstance(each, list) else each
        opinion = _opinion(altered, oracles)
        wrong = [*disagreements(altered, found, opinion)]
        yield Trial(number, altered, opinion.legal, wrong)


def _opinion(altered: Altered, oracles: Oracles) -> Opinion:
    """The second opinion; half a record is nothing that a node could be asked about."""
    if altered.whole:
        return oracles[altered.source.batch].opinion(altered.records)
    return Opinion([], {NOBODY: altered.first}, True)


def disagreements(altered: Altered, found: Found, opinion: Opinion) -> Iterator[str]:
    """Where what the checker found is not what is known by construction, or what the node says."""
    claim = altered.claim
    for who, lines, legal in (
        ("the judge", found, not found),
        ("the node", opinion.bad, opinion.legal),
    ):
        if claim.legal is not None and claim.legal != legal:
            yield f"{'legal' if claim.legal else 'illegal'}, for {claim.reason}; {who} disagrees"
        early = [line for line in lines.values() if line < altered.first]
        if early:
            yield f"{who} rejects line {early[0]}, and what is altered begins in {altered.first}"
        for node, line in claim.at.items():
            at = lines.get(node, lines.get(NOBODY, line + 1))
            if lines and at > line:
                yield f"{who} does not reject {node} in line {line} or before, for {claim.reason}"
        for node in sorted(lines.keys() & altered.innocent):
            yield f"{who} rejects {node}, which neither was altered nor received what was"
    if NOBODY in found:
        # Nothing is read behind the first line that is no record.
        if found[NOBODY] not in opinion.bad.values():
            yield f"line {found[NOBODY]} is no record to the reader, and {_told(opinion.bad)}"
    elif not opinion.allows(found):
        circle = "" if opinion.ordered else ", and one of the receipts of what is sent later"
        yield f"the judge rejects {_told(found)}, the node {_told(opinion.bad)}{circle}"


def _told(lines: Found) -> str:
    return ", ".join(f"line {line} of {node or 'the file'}" for node, line in lines.items()) or (
        "nothing"
    )


def _read(altered: Altered) -> list[logs.Record] | Found:
    """What is in the file of an altered log, or where it is no log."""
    with tempfile.TemporaryDirectory(prefix="altered-") as scratch:
        path = Path(scratch) / "log.ndjson"
        path.write_text(altered.text, "utf-8")
        try:
            return logs.read(path)
        except logs.LogError as error:
            named = re.match(rf"{re.escape(str(path))}:(\d+): ", str(error))
            if named is None:
                raise
            return {NOBODY: int(named[1])}


def _lines(verdict: Verdict) -> Found:
    return {found.record.node: found.record.line for found in verdict.rejections}
