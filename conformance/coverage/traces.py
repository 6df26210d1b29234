"""Coverage of the specification by real runs: its actions and its branches.

Traces are validated with the marked copy of the specification in the place of the original (see
`branches`), so that TLC prints which branches it evaluates; the verdict is the same.  Only accepted
traces count.  `explore` measures how much of a model real runs cover.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import guard, locations
from ..formats.logs import Record
from ..formats.schema import action
from ..models.branches import Branch, bodies, branches, marked, plain, words
from ..tlaplus import tlc
from ..validation import step_checker
from ..validation import trace_validation as validating
from ..validation.verdict import Verdict

SPEC = locations.SPEC / "MultiPaxos.tla"
TRACE = locations.PACKAGE / "tla" / "Trace.tla"


@dataclass(frozen=True)
class TraceCoverage:
    """What accepted traces cover: the number of records of each action, the branches that TLC can
    evaluate when it validates a trace, and those that it did not evaluate.
    """

    actions: dict[str, int]
    branches: list[Branch]
    uncovered: list[Branch]

    @property
    def whole(self) -> bool:
        """Whether every action and every branch was covered."""
        return all(self.actions.values()) and not self.uncovered

    @property
    def percent(self) -> int:
        """How many of a hundred branches were covered, rounded down."""
        return 100 * (len(self.branches) - len(self.uncovered)) // len(self.branches)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return {
            "actions": self.actions,
            "branches": len(self.branches),
            "covered": len(self.branches) - len(self.uncovered),
            "uncovered": [f"{branch.place} {branch.operator}" for branch in self.uncovered],
        }


def validate(
    clusters: Sequence[Sequence[Record]],
    batch: int,
    *,
    window: int | None = step_checker.WINDOW,
    on_progress: Callable[[str], None] = lambda text: None,
) -> tuple[list[Verdict], TraceCoverage]:
    """Validate traces as `validate_logs` does; return also what the accepted ones cover.

    Raises `ToolError` if TLC did not read the marked copy.
    """
    found = reachable()
    marks: set[int] = set()
    with guard.scratch("covered-") as scratch:
        copy = marked(SPEC.read_text("utf-8"), found, 1)
        (scratch / SPEC.name).write_text(copy, "utf-8")

        def run(*sources: str, **options: Any) -> tlc.Outcome:
            listen = options.pop("on_print")

            def read(line: str) -> None:
                if not _is_mark(line, marks):
                    listen(line)

            libraries = [scratch, *options.pop("libraries")]
            return tlc.run(*sources, **options, libraries=libraries, on_print=read)

        verdicts = validating.validate_logs(
            clusters, batch, window=window, on_progress=on_progress, run=run
        )
    accepted = [
        cluster
        for cluster, verdict in zip(clusters, verdicts, strict=True)
        if not verdict.rejections
    ]
    if 0 < len(accepted) < len(clusters):
        # Branches that only a rejected trace evaluates are among the marks, and must not be.
        return verdicts, validate(accepted, batch, window=window, on_progress=on_progress)[1]
    steps = [record for cluster in accepted for record in cluster if not record.refused]
    taken = Counter(action(record.input) for record in steps)
    counts = {name: taken[name] for name in actions()}
    if not accepted:
        marks.clear()
    elif any(counts.values()) and not marks:
        raise tlc.ToolError(f"TLC printed no mark, so it read another {SPEC.name} than the copy")
    left = [branch for number, branch in enumerate(found, 1) if number not in marks]
    return verdicts, TraceCoverage(counts, found, left)


def _is_mark(line: str, marks: set[int]) -> bool:
    """Return whether a line is the number of a branch, and add it to the marks then.

    Trace validation itself prints no number.
    """
    printed = str(json.loads(line))
    if printed.isdigit():
        marks.add(int(printed))
    return printed.isdigit()


def reachable() -> list[Branch]:
    """Return the branches that TLC can evaluate when it validates a trace.

    They are those of the operators that Trace.tla uses, except for those that it overrides.
    """
    text = SPEC.read_text("utf-8")
    used = words(plain(TRACE.read_text("utf-8"))) & bodies(plain(text)).keys()
    return branches(SPEC.stem, text, used, step_checker.OVERRIDDEN)


def actions() -> list[str]:
    """The actions of the specification, in its order: the operators that end in a step."""
    text = plain(SPEC.read_text("utf-8"))
    return [name for name, body in bodies(text).items() if "Step" in words(text[slice(*body)])]
