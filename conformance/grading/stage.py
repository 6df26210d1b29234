"""The outcome of each case of a stage, and how to see a failure again.

Nothing here runs a node or decides whether it is right.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..report import beside
from ..results import Case, Status, show_case

Json = Any

# The cases of the stage `faults` about what clients saw, the most serious first.
CLIENT_RULES = ("agreement", "durability", "validity", "refusals", "answers", "quiescence", "order")

LEVELS = {1: "clients", 2: "votes", 3: "messages"}
"""The levels of conformance, each with what it is about."""

# Lines of standard error that are shown from the beginning, and from the end.
FIRST, LAST = 3, 3


@dataclass
class Failure:
    """Why a case failed, and how to see it again.

    `reason` is one line.  `details` are more lines, as `validate` shows them; without them,
    `expected` is shown beside `found`: the messages from the first difference on.  `command`, given
    `inputs` line by line, reproduces the failure; there are no inputs where time had a part in it.
    `again` are the commands "shrink", which makes the failure smaller, and "draw".  `errors` is the
    file with the node's standard error.
    """

    reason: str
    command: Sequence[str] = ()
    inputs: Sequence[str] = ()
    expected: Sequence[Json] = ()
    found: Sequence[Json] = ()
    details: Sequence[str] = ()
    again: Mapping[str, str] = field(default_factory=dict)
    errors: Path | None = None
    script: Path | None = None

    def script_text(self) -> str:
        """Return the command with its inputs as a here-document, for a shell."""
        lines = "".join(f"{line}\n" for line in self.inputs)
        return f"{shlex.join(self.command)} <<'END'\n{lines}END\n"

    def lines(self) -> list[str]:
        """Return what people need to see, without the script."""
        shown = list(self.details) or [f"  {self.reason}", *beside(self.expected, self.found)]
        if self.errors is not None:
            shown += stderr_lines(self.errors)
        return shown + [f"  {name + ':':9} {command}" for name, command in self.again.items()]

    def as_json(self, suite: str, name: str) -> Json:
        return {
            "suite": suite,
            "name": name,
            "reason": self.reason,
            "details": list(self.details),
            "command": list(self.command),
            "inputs": list(self.inputs),
            "expected": list(self.expected),
            "found": list(self.found),
            "again": dict(self.again),
            "script": str(self.script) if self.script else None,
            "stderr": str(self.errors) if self.errors else None,
        }


def stderr_lines(path: Path) -> list[str]:
    """Return the first and the last lines of a node's standard error, with the file's name."""
    try:
        text = path.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    if not text:
        return []
    shown = text
    if len(text) > FIRST + LAST:
        left_out = f"... {len(text) - FIRST - LAST:,} lines ..."
        shown = [*text[:FIRST], left_out, *text[-LAST:]]
    return [f"  stderr:   {path}", *(f"            {line}" for line in shown)]


@dataclass
class Outcome:
    """The outcome of one case; `skipped` is the reason why it was not run, "" if it was.

    `level` is a key of `LEVELS`: what the case is about; 0 if it is about none.
    """

    name: str
    failure: Failure | None = None
    skipped: str = ""
    seconds: float = 0.0
    level: int = 0


@dataclass
class Stage:
    """The cases of one part of a grade.

    What is `recommended` is counted and does not decide the verdict.  `level` is that of the cases
    for which no other is given.  `shown` prints each case with --verbose.
    """

    name: str
    recommended: bool = False
    level: int = 0
    shown: bool = True
    outcomes: list[Outcome] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def add(
        self,
        name: str,
        failure: Failure | None = None,
        seconds: float = 0.0,
        level: int | None = None,
    ) -> None:
        """Add a case that was run."""
        self.append(Outcome(name, failure, "", seconds, self.level if level is None else level))

    def skip(self, name: str, reason: str) -> None:
        """Add a case that cannot be run with this node."""
        self.append(Outcome(name, skipped=reason))

    def append(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.seconds = time.monotonic() - self.started
        if self.shown:
            show_case(self.case(outcome))

    @property
    def run(self) -> list[Outcome]:
        """The cases that were run."""
        return [outcome for outcome in self.outcomes if not outcome.skipped]

    @property
    def failures(self) -> list[Failure]:
        return [outcome.failure for outcome in self.outcomes if outcome.failure]

    @property
    def passed(self) -> int:
        return len(self.run) - len(self.failures)

    @property
    def skipped(self) -> list[str]:
        """Why cases were not run, a line each."""
        return [f"{each.name}: {each.skipped}" for each in self.outcomes if each.skipped]

    @property
    def passes(self) -> bool | None:
        """Whether all cases that were run passed; None if none was."""
        return not self.failures if self.run else None

    def cases(self) -> list[Case]:
        return list(map(self.case, self.outcomes))

    def case(self, outcome: Outcome) -> Case:
        """Return an outcome as a test case."""
        status: Status = "skipped" if outcome.skipped else "fail" if outcome.failure else "pass"
        reason = outcome.skipped
        if outcome.failure:
            reason = "\n".join([outcome.failure.reason, *outcome.failure.lines()])
        required = not self.recommended
        return Case(self.name, outcome.name, status, outcome.seconds, reason, required)

    def as_json(self) -> Json:
        return {
            "name": self.name,
            "recommended": self.recommended,
            "passed": self.passed,
            "failed": len(self.failures),
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
        }


@dataclass
class Grade:
    """All stages, and each option with "" if the node takes it, or the reason why it does not."""

    command: Sequence[str]
    options: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)

    @property
    def passes(self) -> bool | None:
        """Whether nothing that is required failed; None if nothing that is required was run."""
        required = [stage.passes for stage in self.stages if not stage.recommended]
        return False not in required if {True, False} & set(required) else None

    @property
    def level(self) -> int | None:
        """The highest level that the cases show, a key of `LEVELS`; None if they show none.

        Only the highest needs the cases about none to pass, too: they are about this protocol.
        """
        run = [each for stage in self.stages if not stage.recommended for each in stage.run]
        for level in sorted(LEVELS, reverse=True):
            lowest = 0 if level == max(LEVELS) else 1
            cases = [each for each in run if lowest <= each.level <= level]
            shown = any(each.level == level for each in cases)
            if shown and not any(each.failure for each in cases):
                return level
        return None

    @property
    def complete(self) -> bool:
        """Whether no case was skipped."""
        return not any(stage.skipped for stage in self.stages)

    def as_json(self) -> Json:
        """Return what a grade adds to the keys of other results."""
        return {
            "node": list(self.command),
            "complete": self.complete,
            "level": self.level,
            "options": {name: reason or "taken" for name, reason in self.options.items()},
            "stages": [stage.as_json() for stage in self.stages],
            "failures": [
                outcome.failure.as_json(stage.name, outcome.name)
                for stage in self.stages
                for outcome in stage.outcomes
                if outcome.failure
            ],
        }
