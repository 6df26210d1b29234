"""Results of a command for other tools: a JSON file and a JUnit XML file.

A case is a model, a golden trace, the log of a node, or a case of the challenge.  Both files are
written when the command starts, so that a path that cannot be written is an error before the work,
and again when it ends.  If it is interrupted, they hold what was found until then.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from . import report

Status = Literal["pass", "fail", "unknown", "skipped"]
Verdict = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Case:
    """One thing that was checked.

    `status` is "fail" if it was shown to be wrong, "unknown" if there is not enough to decide, and
    "skipped" if it does not apply to this node.  `reason` is empty if it passes.  A case that is
    not `required` does not count for the verdict.
    """

    suite: str
    name: str
    status: Status
    seconds: float = 0.0
    reason: str = ""
    required: bool = True


def case(
    suite: str, name: str, passes: bool | None, reason: str = "", seconds: float = 0.0
) -> Case:
    """Return the case of an outcome: True passes, False fails, None is unknown."""
    status: dict[bool | None, Status] = {True: "pass", False: "fail", None: "unknown"}
    return Case(suite, name, status[passes], seconds, "" if passes else reason)


def show_case(case: Case) -> None:
    """Print a line for a case if --verbose was given."""
    if report.detail == "verbose":
        timed = f"  {case.seconds:.1f} s" if case.seconds else ""
        report.say(f"{case.status.upper():7}  {case.suite}: {case.name}{timed}")


@dataclass
class Results:
    """The cases of one run of a command, in the order in which they ended.

    `extra` are more keys for the JSON files.  `save` writes all files as they are now.
    """

    command: str
    cases: list[Case] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    json_files: list[Path] = field(default_factory=list)
    junit_files: list[Path] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def add(self, *cases: Case) -> None:
        """Add cases; print a line for each if --verbose was given."""
        self.cases += cases
        for each in cases:
            show_case(each)

    @property
    def status(self) -> Verdict:
        """Return the worst status of the required cases, "unknown" if there are none."""
        found = {case.status for case in self.cases if case.required} - {"skipped"}
        return "fail" if "fail" in found else "unknown" if found != {"pass"} else "pass"

    def summary(self) -> str:
        """Return the number of cases by status as a text."""
        recommended = {True: "", False: " (recommended)"}
        counts = Counter(
            "pass" if case.status == "pass" else case.status + recommended[case.required]
            for case in self.cases
        )
        parts = [f"{counts[status]:,} {status}" for status in counts if status != "pass"]
        return ", ".join([f"{counts['pass']:,} of {len(self.cases):,} cases pass", *parts])

    def as_json(self) -> dict[str, Any]:
        """Return what the schema `results` describes."""
        cases = [{**asdict(case), "seconds": round(case.seconds, 3)} for case in self.cases]
        seconds = round(time.monotonic() - self.started, 3)
        head = {"command": self.command, "status": self.status, "seconds": seconds}
        return {**head, "cases": cases, **self.extra}

    def as_junit(self) -> JUnitXml:
        """Return the cases as JUnit suites.

        "fail" becomes a failure, "unknown" an error; "skipped" is skipped, as is what fails and is
        not required.
        """
        xml = JUnitXml(self.command)
        for name in dict.fromkeys(case.suite for case in self.cases):
            suite = TestSuite(report.plain(name))
            suite.add_testcases([_test_case(case) for case in self.cases if case.suite == name])
            xml.add_testsuite(suite)
        return xml

    def begin(self) -> None:
        """Write all files before the work; raises `OSError` if one cannot be written.

        They say that the run did not end, so if the process is killed no earlier results are left.
        """
        files = [*self.json_files, *self.junit_files]
        for path in files:
            path.resolve().parent.mkdir(parents=True, exist_ok=True)
        if not any(path.exists() and not path.is_file() for path in files):
            cases, self.cases = self.cases, [_unfinished(self.command, "it did not end")]
            self.save()
            self.cases = cases

    def save(self) -> None:
        """Write the files that were asked for, each in one step."""
        text = json.dumps(self.as_json(), indent=2).encode() + b"\n"
        for path in self.json_files:
            _write(path, text)
        for path in self.junit_files:
            _write(path, self.as_junit().tostring())  # type: ignore[no-untyped-call]


def _unfinished(command: str, reason: str) -> Case:
    return Case(command, "the run", "unknown", reason=reason)


_KINDS = {"fail": Failure, "unknown": Error, "skipped": Skipped}


def _test_case(case: Case) -> TestCase:
    # XML has no control characters and no lone surrogates, not even escaped.
    name, suite = report.plain(case.name), report.plain(case.suite)
    made = TestCase(name, suite, round(case.seconds, 3))
    if case.status != "pass":
        kind = _KINDS[case.status] if case.required else Skipped
        reason = report.plain(case.reason)
        wrong = kind(reason.split("\n", 1)[0])
        wrong.text = reason
        made.result = [wrong]
    return made


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step; write into a pipe or a device as it is."""
    path = path.resolve()
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        path.write_bytes(content)
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def written(command: str, json_file: Path | None, junit_file: Path | None) -> Iterator[Results]:
    """Collect results; write them to these files at the end, whatever ends the command.

    Raises `OSError` before the work if a file cannot be written.
    """
    results = Results(command)
    results.json_files += [json_file] if json_file else []
    results.junit_files += [junit_file] if junit_file else []
    results.begin()
    try:
        yield results
    except SystemExit:
        raise
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".removeprefix("KeyboardInterrupt: ")
        results.cases.append(_unfinished(command, f"ended by {reason}"))
        raise
    finally:
        results.save()
