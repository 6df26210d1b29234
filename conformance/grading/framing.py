"""The stage `framing`: the same lines in other pieces than one line at a time.

A read from a pipe may end inside a line, a character or an escape, and may hold many lines.  A
node's output must not depend on that, up to the longest value.
"""

from __future__ import annotations

import fcntl
import json
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from .. import report
from ..jobs import at_once
from ..running.process import Process
from .challenge import LONGEST_LINE, failure_of, fresh_errors, printed
from .challenge_cases import BEGIN, BEGUN, RECOMMENDED, Case, decided, log, log_reply, propose
from .plan import Plan
from .stage import Failure, Stage

LONGEST_VALUE = 1 << 20
"""Bytes of JSON: the longest value that every node must accept."""

# The usual size of a read from a pipe, and the seconds to wait until a piece is read.
READ, UNREAD = 1 << 16, 1.0

Cut = Callable[[bytes], Iterator[int]]
"""The sizes of the pieces that an input is given in."""


def _by(*sizes: int) -> Cut:
    """Return pieces of these sizes, cyclically."""
    return lambda text: cycle(sizes)


def _inside(*places: bytes) -> Cut:
    """Return pieces that end after each occurrence of these bytes."""

    def cut(text: bytes) -> Iterator[int]:
        ends = {
            at + len(place)
            for place in places
            for at in range(len(text))
            if text.startswith(place, at)
        }
        last = 0
        for end in sorted(ends):
            yield end - last
            last = end
        yield len(text)

    return cut


def _at_once(text: bytes) -> Iterator[int]:
    return iter([len(text)])


@dataclass(frozen=True)
class FramingCase:
    """Values to propose, and how the input lines are cut; `utf8` writes them without escapes."""

    name: str
    values: Sequence[str]
    cut: Cut
    utf8: bool = False

    def case(self) -> Case:
        """Return the lines that decide each value in its own slot and then read the log."""
        pairs = list(enumerate(self.values))
        given = [propose(2 + slot, slot, value) for slot, value in pairs]
        replies = [decided(2 + slot, slot, value, slot > 0) for slot, value in pairs]
        last = len(pairs) + 2
        lines = (BEGIN, *given, log(last))
        if self.utf8:
            lines = tuple(json.dumps(json.loads(line), ensure_ascii=False) for line in lines)
        return Case(self.name, RECOMMENDED, lines, (BEGUN, *replies, log_reply(last, *pairs)))


ESCAPED = 'a "quoted" \\ back\nline\u2028 \U0001f600'
UNICODE = "d\u00e9p\u00f4t \u6570 \U0001f600 \u2028 \u0085"
SHORT = ("a", ESCAPED, "", "b")

FRAMING_CASES = (
    FramingCase("a byte at a time", SHORT, _by(1)),
    FramingCase("a byte at a time, not ASCII", (UNICODE,), _by(1), utf8=True),
    FramingCase("pieces of 3 and 7 bytes", SHORT * 8, _by(3, 7)),
    FramingCase(
        "pieces that end inside escapes", (ESCAPED,) * 3, _inside(b"\\", b"\\u20", b"\\ud83d")
    ),
    FramingCase(
        "pieces that end inside characters",
        (UNICODE,) * 3,
        _inside(b"\xc3", b"\xe6\x95", b"\xf0"),
        utf8=True,
    ),
    FramingCase("pieces that end before and after a newline", SHORT * 4, _inside(b"}", b"\n")),
    FramingCase("many lines at once", tuple(map(str, range(2000))), _at_once),
    FramingCase(
        "a line of exactly the size of a read",
        ("x" * (READ - len(propose(2, 0, "")) - 1), "next"),
        _by(READ),
    ),
    FramingCase(
        "lines longer than a read, and short ones between",
        ("x" * 70_000, "y", "z" * 200_000, ""),
        _by(READ),
    ),
    FramingCase(
        "a long line that is not ASCII", (UNICODE * 8_000, "next"), _by(READ + 1), utf8=True
    ),
    FramingCase("a long line of escapes", (ESCAPED * 4_000, "next"), _by(READ - 1)),
    FramingCase(
        "a value of 1 MiB, the longest allowed", ("x" * (LONGEST_VALUE - 2), "next"), _by(READ, 1)
    ),
)


class PiecewiseProcess(Process):
    """A process that gets a piece of input only when it has read the one before."""

    def __init__(self, command: Sequence[str], sizes: Iterator[int], errors: Path) -> None:
        super().__init__(command, errors, longest=LONGEST_LINE)
        self._sizes = sizes
        self._put_at = 0.0

    def push(self) -> bool:
        # A node that stops reading gets the next piece anyway after a while.
        if _unread(self.sink) and time.monotonic() - self._put_at < UNREAD:
            time.sleep(0.0005)
            return False
        self._put_at = time.monotonic()
        return self._put(next(self._sizes, READ))


def _unread(sink: int) -> int:
    """Return how many bytes wait in a pipe; 0 where the system does not support the query."""
    try:
        return int.from_bytes(fcntl.ioctl(sink, termios.FIONREAD, b"\0" * 4), sys.byteorder)
    except OSError:
        return 0


def run(plan: Plan, command: Sequence[str], stage: Stage) -> None:
    """Run all cases."""
    chosen = plan.select(FRAMING_CASES, lambda framing: f"framing: {framing.name}")

    def check(framing: FramingCase) -> tuple[Failure | None, float]:
        started = time.monotonic()
        return find_failure(plan, command, framing), time.monotonic() - started

    with report.Line(f"framing, {len(chosen)} cases"):
        for framing, (failure, seconds) in at_once(check, chosen):
            stage.add(framing.name, failure, seconds)


def find_failure(plan: Plan, command: Sequence[str], framing: FramingCase) -> Failure | None:
    """Run one case; return why it fails, None if it passes."""
    case, errors = framing.case(), plan.errors("framing", framing.name)
    text = "".join(f"{line}\n" for line in case.given).encode()
    with (
        fresh_errors(errors),
        closing(PiecewiseProcess(command, framing.cut(text), errors)) as process,
    ):
        found, remark = printed(process, case, plan.patience)
    failed = failure_of(command, case, found, remark, errors)
    # Without its lines, because a shell would not cut them in the same way.
    return failed and replace(failed, reason=f"{failed.reason}, with its input cut", inputs=())
