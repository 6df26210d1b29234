"""Results of a command for other tools: a JSON file and a JUnit XML file.

A case is a model, a golden trace, the log of a node, or a case of the challenge.  Its status is
"pass", "fail" (shown to be wrong) or "unknown" (not run, or not enough to decide).  Both files are
written when the command ends.  If it is interrupted, they hold what was found until then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from .report import plain

Status = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Case:
    """One thing that was checked.  `reason` is empty if it passes."""

    suite: str
    name: str
    status: Status
    seconds: float = 0.0
    reason: str = ""


@dataclass
class Results:
    """The cases of one run of a command, in the order in which they ended."""

    command: str
    cases: list[Case] = field(default_factory=list)
    seconds: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """Return the worst status of the cases, "unknown" if there are none."""
        found = {case.status for case in self.cases} or {"unknown"}
        return "fail" if "fail" in found else "unknown" if "unknown" in found else "pass"

    def as_json(self) -> dict[str, Any]:
        """Return what the schema `results` describes."""
        cases = [asdict(case) for case in self.cases]
        head = {"command": self.command, "status": self.status, "seconds": round(self.seconds, 3)}
        return {**head, "cases": cases, **self.extra}

    def as_junit(self) -> JUnitXml:
        """Return the cases as JUnit suites: a failure where one fails, an error where unknown."""
        xml = JUnitXml(self.command)
        for name, cases in groupby(self.cases, lambda case: case.suite):
            suite = TestSuite(name)
            suite.add_testcases(map(_test_case, cases))
            xml.add_testsuite(suite)
        return xml


def _test_case(case: Case) -> TestCase:
    # XML has no control characters and no lone surrogates, not even escaped.
    made = TestCase(plain(case.name), plain(case.suite), case.seconds)
    kind = {"fail": Failure, "unknown": Error}.get(case.status)
    if kind:
        reason = plain(case.reason)
        wrong = kind(reason.split("\n", 1)[0])
        wrong.text = reason
        made.result = [wrong]
    return made


@contextmanager
def written(command: str, json_file: Path | None, junit_file: Path | None) -> Iterator[Results]:
    """Collect results, and write them to these files at the end, whatever ends the command."""
    results, started = Results(command), time.monotonic()
    try:
        yield results
    finally:
        results.seconds = time.monotonic() - started
        if json_file:
            json_file.write_text(json.dumps(results.as_json(), indent=2) + "\n", "utf-8")
        if junit_file:
            results.as_junit().write(str(junit_file), pretty=True)
