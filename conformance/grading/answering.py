"""Has a node answer the cases of the challenge, a fresh process for each.

What is asked and what is right is told in `challenge`.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from .. import report
from ..formats.strict import NotJson, loads
from ..jobs import at_once
from ..running.process import Flood, Process, Silence, ready
from .challenge import BEGIN, CASES, RECOMMENDED, REQUIRED, Case, arranged, difference
from .plan import Plan
from .results import Failure, Stage, stage

Json = Any

# How many messages a node may print that nobody expects, and the bytes of a line, before it is
# ended: what is expected is far shorter.
MORE, MOST = 10, 1 << 24


def answers_init(plan: Plan, command: Sequence[str]) -> bool:
    """Whether it is a node at all."""
    with closing(Process(command, longest=MOST)) as process:
        said, _ = printed(process, CASES[0], plan.patience)
    for message in said:
        match message:
            case {"body": {"type": "init_ok"}}:
                return True
    return False


def run(plan: Plan, command: Sequence[str]) -> list[Stage]:
    """All cases: those that are required, and then those that are recommended."""
    stages = []
    for weight in (REQUIRED, RECOMMENDED):
        begun = time.monotonic()
        cases = [case for case in CASES if case.weight == weight]
        with report.Line(f"challenge, {len(cases)} cases that are {weight}"):
            tried = at_once(lambda case: failure(plan, command, case), cases)
            found = [found for _, found in tried]
        if weight == REQUIRED:
            found.append(waiting_failure(plan, command))
        stages.append(stage(f"challenge, {weight}", found, begun))
    return [stages[0], replace(stages[1], recommended=True)]


def failure(plan: Plan, command: Sequence[str], case: Case) -> Failure | None:
    with closing(Process(command, longest=MOST)) as process:
        found, remark = printed(process, case, plan.patience)
    return failure_of(command, case, found, remark)


def failure_of(
    command: Sequence[str], case: Case, found: Sequence[Json], remark: str
) -> Failure | None:
    """What is wrong with what a node printed for a case, or with how it ended."""
    place = difference(case, found)
    if place is None and not remark:
        return None
    differs = "" if place is None else f"message {place + 1} is not the one that is expected"
    shown = slice(place, place + 1) if place is not None else slice(0, 0)
    return Failure(
        case.name,
        "; ".join(filter(None, (differs, remark))),
        command,
        case.given,
        arranged(case, found)[shown],
        found[shown],
    )


def printed(process: Process, case: Case, seconds: float) -> tuple[list[Json], str]:
    """What a node prints for the lines of a case, and what else is wrong with how it ended.

    Nothing is read behind much more than is expected.
    """
    said: list[Json] = []
    process.give("\n".join(case.given).encode())
    try:
        for line in process.lines(seconds):
            said.append(_read(line))
            if len(said) > len(case.expected) + MORE:
                return said, f"it printed more than {len(said) - 1} messages and was ended"
    except Flood as flood:
        return said, f"it {flood} and was ended"
    except Silence:
        return said, f"it did not end within {seconds:g} s of its last sign of life"
    return said + [_read(process.rest)] * bool(process.rest), _end(process, seconds)


def _end(process: Process, seconds: float) -> str:
    """What is wrong with how a node ended that prints no more."""
    status = process.status(seconds)
    if status is None:
        return f"it did not end within {seconds:g} s of the end of its output"
    if status:
        return " / ".join([f"it ended with status {status}", *process.last_words()])
    return "its last line does not end with a newline" if process.rest else ""


def _read(line: bytes) -> Json:
    """What a node printed; the text of the line, where that is no JSON."""
    try:
        return loads(line)
    except NotJson:
        return line.decode("utf-8", "replace")


def waiting_failure(plan: Plan, command: Sequence[str]) -> Failure | None:
    """Not of lines and lines alone: clients wait for an answer before they ask again."""
    case = "init is answered while the input is still open"
    with closing(Process(command, plan.output / "waiting.stderr")) as process:
        process.give(BEGIN.encode())
        deadline = time.monotonic() + plan.patience
        with contextlib.suppress(Flood):
            while not process.over and (left := deadline - time.monotonic()) > 0:
                if ready([process.source], [], left)[0] and process.hear():
                    return None
    reason = f"nothing came within {plan.patience:g} s: is each line flushed?"
    slowly = ("sh", "-c", f"(cat; sleep {plan.patience:g}) | {shlex.join(command)}")
    return Failure(case, reason, slowly, (BEGIN,), CASES[0].expected)
