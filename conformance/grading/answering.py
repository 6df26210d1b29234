"""Has a node answer the cases of the challenge, a fresh process for each.

What is asked and what is right is told in `challenge`.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from .. import report
from ..jobs import at_once
from ..running.life import Life
from .challenge import BEGIN, CASES, RECOMMENDED, REQUIRED, Case, difference
from .marks import Failure, Stage, stage
from .plan import Plan

Json = Any


def answers_init(plan: Plan, command: Sequence[str]) -> bool:
    """Whether it is a node at all."""
    said, _ = _print(command, (BEGIN,), plan.patience)
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
    found, remark = _print(command, case.given, plan.patience)
    place = difference(case, found)
    if place is None and not remark:
        return None
    differs = "" if place is None else f"message {place + 1} is not the one that is expected"
    shown = slice(place, place + 1) if place is not None else slice(0, 0)
    return Failure(
        case.name, "; ".join(filter(None, (differs, remark))), command, case.given,
        case.expected[shown], found[shown],
    )  # fmt: skip


def _print(command: Sequence[str], lines: Sequence[str], seconds: float) -> tuple[list[Json], str]:
    """What a node prints for these lines, and what else is wrong with how it ended."""
    given = "".join(f"{line}\n" for line in lines).encode()
    remark = ""
    # A group of its own, so that nothing is left of a command that starts others.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, told = process.communicate(given, seconds)
    except subprocess.TimeoutExpired:
        remark = f"it did not end within {seconds:g} s of the end of its input"
        os.killpg(process.pid, signal.SIGKILL)
        said, told = process.communicate()
    if not remark and process.returncode:
        last = told.decode("utf-8", "replace").strip().splitlines()[-3:]
        remark = " / ".join([f"it ended with status {process.returncode}", *last])
    return [_read(line) for line in said.decode("utf-8", "replace").splitlines()], remark


def _read(line: str) -> Json:
    """What a node printed; the text of the line, where that is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def waiting_failure(plan: Plan, command: Sequence[str]) -> Failure | None:
    """Not of lines and lines alone: clients wait for an answer before they ask again."""
    case = "init is answered while the input is still open"
    with closing(Life(command, plan.output / "waiting.stderr")) as life:
        life.give(BEGIN.encode())
        deadline = time.monotonic() + plan.patience
        while not life.over and (left := deadline - time.monotonic()) > 0:
            if select.select([life.source], [], [], left)[0] and life.hear():
                return None
    reason = f"nothing came within {plan.patience:g} s: is each line flushed?"
    slowly = ("sh", "-c", f"(cat; sleep {plan.patience:g}) | {shlex.join(command)}")
    return Failure(case, reason, slowly, (BEGIN,), CASES[0].expected)
