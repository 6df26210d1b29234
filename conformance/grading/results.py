"""What a grade is made of, and how it is written: as JSON, and as lines to paste into a shell.

Nothing here runs a node or decides whether it did right.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Failure:
    """A case that failed, and how to see it.

    `command` given `inputs`, a line each, prints `found` where `expected` was to come; what stands
    before that is left out of both.  Where time or chance had a part in it there are no inputs, and
    `reason` tells where it is written down.
    """

    case: str
    reason: str
    command: Sequence[str] = ()
    inputs: Sequence[str] = ()
    expected: Sequence[Json] = ()
    found: Sequence[Json] = ()

    def script(self) -> str:
        """The command with its inputs as a here-document, to paste into a shell."""
        lines = "".join(f"{line}\n" for line in self.inputs)
        return f"{shlex.join(self.command)} <<'END'\n{lines}END\n"

    def summary(self) -> Json:
        return {
            "case": self.case,
            "reason": self.reason,
            "command": list(self.command),
            "inputs": list(self.inputs),
            "expected": list(self.expected),
            "found": list(self.found),
        }


@dataclass(frozen=True)
class Stage:
    """One part of a grade: how many of its cases passed, and the first one that did not.

    `lost` tells what could not be graded and why; a stage of no cases says nothing but that.  What
    is only `recommended` is counted, and no node fails for it.
    """

    name: str
    passed: int = 0
    cases: int = 0
    seconds: float = 0.0
    failure: Failure | None = None
    lost: str = ""
    recommended: bool = False

    @property
    def agrees(self) -> bool | None:
        """Whether all cases passed; None if there were none."""
        return self.failure is None and self.passed == self.cases if self.cases else None

    def summary(self) -> Json:
        return {
            "name": self.name,
            "recommended": self.recommended,
            "passed": self.passed,
            "cases": self.cases,
            "lost": self.lost,
            "seconds": round(self.seconds, 1),
            "failure": self.failure.summary() if self.failure else None,
        }


def stage(name: str, cases: Sequence[Failure | None], begun: float, *lost: str) -> Stage:
    """A stage of these cases, each with how it failed, or None."""
    failures = [failure for failure in cases if failure is not None]
    return Stage(
        name,
        len(cases) - len(failures),
        len(cases),
        time.monotonic() - begun,
        failures[0] if failures else None,
        "; ".join(filter(None, lost)),
    )


@dataclass
class Grade:
    """All stages, and what became of each option: "" if the node takes it, or why it does not."""

    command: Sequence[str]
    options: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)

    @property
    def agrees(self) -> bool | None:
        """Whether nothing that is required failed; None if nothing was graded."""
        required = [stage.agrees for stage in self.stages if not stage.recommended]
        return False not in required if {True, False} & set(required) else None

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not any(stage.lost for stage in self.stages)

    def summary(self) -> Json:
        """What `grade.json` holds."""
        return {
            "command": list(self.command),
            "agrees": self.agrees,
            "complete": self.complete,
            "options": {name: reason or "taken" for name, reason in self.options.items()},
            "stages": [stage.summary() for stage in self.stages],
        }
