"""The stage `challenge`: single requests, each case with a fresh process.

The cases are in `challenge_cases`.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from .. import report
from ..formats.strict import NotJson, loads
from ..jobs import at_once
from ..running.process import Flood, Process, Silence, ready
from .challenge_cases import BEGIN, CASES, Case, arranged, difference
from .plan import Plan
from .stage import Failure, Stage

Json = Any

# How many messages a node may print beyond the expected ones, and the bytes of a line, before it is
# ended: what is expected is far shorter.
MORE, LONGEST_LINE = 10, 1 << 24

OPEN_INPUT = "init is answered while the input is still open"


def answers_init(plan: Plan, command: Sequence[str]) -> bool:
    """Return whether the program replies to `init`."""
    with closing(Process(command, longest=LONGEST_LINE)) as process:
        found, _ = printed(process, CASES[0], plan.patience)
    for message in found:
        match message:
            case {"body": {"type": "init_ok"}}:
                return True
    return False


def names(weight: str) -> list[str]:
    """Return the names of the cases of a weight."""
    found = [case.name for case in CASES if case.weight == weight]
    return [*found, OPEN_INPUT] if weight == CASES[0].weight else found


def run(plan: Plan, command: Sequence[str], weight: str, stage: Stage) -> None:
    """Run all cases of a weight."""
    cases = {case.name: case for case in CASES if case.weight == weight}
    chosen = plan.select(names(weight), lambda name: f"{stage.name}: {name}")

    def check(name: str) -> tuple[Failure | None, float]:
        started = time.monotonic()
        if name == OPEN_INPUT:
            failure = open_input_failure(plan, command)
        else:
            failure = find_failure(plan, command, cases[name])
        return failure, time.monotonic() - started

    with report.Line(f"{stage.name}, {len(chosen)} cases"):
        for name, (failure, seconds) in at_once(check, chosen):
            stage.add(name, failure, seconds)


def find_failure(plan: Plan, command: Sequence[str], case: Case) -> Failure | None:
    """Run one case; return why it fails, None if it passes."""
    errors = plan.errors("challenge", case.name)
    with fresh_errors(errors), closing(Process(command, errors, longest=LONGEST_LINE)) as process:
        found, remark = printed(process, case, plan.patience)
    return failure_of(command, case, found, remark, errors)


@contextlib.contextmanager
def fresh_errors(path: Path) -> Iterator[None]:
    """Remove a file for standard error before a node is started, and after it if it is empty."""
    path.unlink(missing_ok=True)
    yield
    if path.is_file() and not path.stat().st_size:
        path.unlink()


def failure_of(
    command: Sequence[str], case: Case, found: Sequence[Json], remark: str, errors: Path
) -> Failure | None:
    """Return what is wrong with a node's output for a case, or with how it ended."""
    place = difference(case, found)
    if place is None and not remark:
        return None
    differs = "" if place is None else f"message {place + 1} differs from the expected one"
    shown = slice(place, place + 1) if place is not None else slice(0, 0)
    return Failure(
        "; ".join(filter(None, (differs, remark))),
        command,
        case.given,
        arranged(case, found)[shown],
        found[shown],
        errors=errors if errors.exists() else None,
    )


def printed(process: Process, case: Case, seconds: float) -> tuple[list[Json], str]:
    """Return what a node prints for the lines of a case, and what is wrong with how it ended.

    Reading stops soon after more than the expected messages.
    """
    found: list[Json] = []
    process.give("\n".join(case.given).encode())
    try:
        for line in process.lines(seconds):
            found.append(_read(line))
            if len(found) > len(case.expected) + MORE:
                return found, f"it printed more than {len(found) - 1} messages and was ended"
    except Flood as flood:
        return found, f"it {flood} and was ended"
    except Silence:
        return found, f"it did not end within {seconds:g} s of its last input or output"
    return found + [_read(process.rest)] * bool(process.rest), _end(process, seconds)


def _end(process: Process, seconds: float) -> str:
    """Return what is wrong with how a node ended after its last output."""
    status = process.status(seconds)
    if status is None:
        return f"it did not end within {seconds:g} s of the end of its output"
    if status:
        return " / ".join([f"it ended with status {status}", *process.last_error_lines()])
    return "its last line does not end with a newline" if process.rest else ""


def _read(line: bytes) -> Json:
    """Return what a node printed; the text of the line if it is not JSON."""
    try:
        return loads(line)
    except NotJson:
        return line.decode("utf-8", "replace")


def open_input_failure(plan: Plan, command: Sequence[str]) -> Failure | None:
    """Check that a node replies to a line before its input ends, as clients wait for replies."""
    errors = plan.errors("challenge", OPEN_INPUT)
    with fresh_errors(errors), closing(Process(command, errors)) as process:
        process.give(BEGIN.encode())
        deadline = time.monotonic() + plan.patience
        with contextlib.suppress(Flood):
            while not process.over and (left := deadline - time.monotonic()) > 0:
                if ready([process.source], [], left)[0] and process.read_lines():
                    return None
    reason = f"no output within {plan.patience:g} s: is each line flushed?"
    slowly = ("sh", "-c", f"(cat; sleep {plan.patience:g}) | {shlex.join(command)}")
    return Failure(reason, slowly, (BEGIN,), CASES[0].expected)
