"""The stage `feeding`: the same lines in other pieces than one line at a time.

A pipe cuts where it likes: a read may end inside a line, a character or an escape, and may hold
many lines.  A node must do the same however its input is cut, up to the longest value.
"""

from __future__ import annotations

import fcntl
import json
import struct
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle

from .. import report
from ..jobs import at_once
from ..running.process import Process
from .answering import MOST, failure_of, printed
from .challenge import BEGIN, BEGUN, RECOMMENDED, Case, decided, log, propose, told
from .plan import Plan
from .results import Failure, Stage, stage

LONGEST_VALUE = 1 << 20
"""Bytes: how long a value may be as JSON that any node has to take."""

# What a read of a pipe often ends at, and how long it is waited for that a piece is read.
READ, UNREAD = 1 << 16, 1.0

Cut = Callable[[bytes], Iterator[int]]
"""The sizes of the pieces that an input is given in."""


def _by(*sizes: int) -> Cut:
    """Pieces of these sizes, again and again."""
    return lambda text: cycle(sizes)


def _inside(*places: bytes) -> Cut:
    """Pieces that end behind each of these bytes, wherever they stand."""

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
class Fed:
    """A case of lines and answers, and how the lines are cut; `spelled` writes them as UTF-8."""

    name: str
    values: Sequence[str]
    cut: Cut
    spelled: bool = False

    def case(self) -> Case:
        """The lines for these values, each decided in a slot of its own, and then the whole log."""
        pairs = list(enumerate(self.values))
        given = [propose(2 + slot, slot, value) for slot, value in pairs]
        answers = [decided(2 + slot, slot, value, slot > 0) for slot, value in pairs]
        last = len(pairs) + 2
        lines = (BEGIN, *given, log(last))
        if self.spelled:
            lines = tuple(json.dumps(json.loads(line), ensure_ascii=False) for line in lines)
        return Case(self.name, RECOMMENDED, lines, (BEGUN, *answers, told(last, *pairs)))


ESCAPED = 'a "quoted" \\ back\nline\u2028 \U0001f600'
SPELLED = "d\u00e9p\u00f4t \u6570 \U0001f600 \u2028 \u0085"
SHORT = ("a", ESCAPED, "", "b")

FEEDINGS = (
    Fed("a byte at a time", SHORT, _by(1)),
    Fed("a byte at a time, not ASCII", (SPELLED,), _by(1), spelled=True),
    Fed("pieces of 3 and 7 bytes", SHORT * 8, _by(3, 7)),
    Fed("pieces that end inside escapes", (ESCAPED,) * 3, _inside(b"\\", b"\\u20", b"\\ud83d")),
    Fed(
        "pieces that end inside characters",
        (SPELLED,) * 3,
        _inside(b"\xc3", b"\xe6\x95", b"\xf0"),
        spelled=True,
    ),
    Fed("pieces that end before and behind the end of a line", SHORT * 4, _inside(b"}", b"\n")),
    Fed("many lines at once", tuple(map(str, range(2000))), _at_once),
    Fed(
        "a line of just the size of a read",
        ("x" * (READ - len(propose(2, 0, "")) - 1), "next"),
        _by(READ),
    ),
    Fed(
        "lines longer than a read, and short ones between",
        ("x" * 70_000, "y", "z" * 200_000, ""),
        _by(READ),
    ),
    Fed("a long line that is not ASCII", (SPELLED * 8_000, "next"), _by(READ + 1), spelled=True),
    Fed("a long line of escapes", (ESCAPED * 4_000, "next"), _by(READ - 1)),
    Fed(
        "a value of 1 MiB, as long as any may be", ("x" * (LONGEST_VALUE - 2), "next"), _by(READ, 1)
    ),
)


class Fussy(Process):
    """A process that is given a piece only when it has read the one before."""

    def __init__(self, command: Sequence[str], sizes: Iterator[int]) -> None:
        super().__init__(command, longest=MOST)
        self._sizes = sizes
        self._put_at = 0.0

    def push(self) -> bool:
        # If it reads no further, the next piece is put behind the one that it has not read yet.
        if _unread(self.sink) and time.monotonic() - self._put_at < UNREAD:
            time.sleep(0.0005)
            return False
        self._put_at = time.monotonic()
        return self._put(next(self._sizes, READ))


def _unread(sink: int) -> int:
    """How many bytes wait in a pipe; 0 where the system does not tell."""
    try:
        return struct.unpack("i", fcntl.ioctl(sink, termios.FIONREAD, b"\0" * 4))[0]
    except OSError:
        return 0


def run(plan: Plan, command: Sequence[str]) -> Stage:
    """A case is a way to cut some lines."""
    begun = time.monotonic()
    with report.Line(f"{len(FEEDINGS)} ways to cut lines"):
        tried = at_once(lambda fed: failure(plan, command, fed), FEEDINGS)
        cases = [found for _, found in tried]
    return stage("feeding", cases, begun)


def failure(plan: Plan, command: Sequence[str], fed: Fed) -> Failure | None:
    case = fed.case()
    text = "".join(f"{line}\n" for line in case.given).encode()
    with closing(Fussy(command, fed.cut(text))) as process:
        found, remark = printed(process, case, plan.patience)
    failed = failure_of(command, case, found, remark)
    # Without its lines, for a shell would not cut them in the same way.
    return failed and replace(failed, reason=f"{failed.reason}, with its input cut", inputs=())
