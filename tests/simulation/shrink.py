"""Shrink a script that fails.

The caller decides what failing is; nothing is known here of what the events mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .faults import Script

Fails = Callable[[Script], bool]


def shrink(script: Script, fails: Fails) -> Script:
    """Return a smaller script that still fails."""
    script = with_fewer_events(script, fails)
    for name in "spread", "repeat", "loss":
        without = replace(script, **{name: 0.0})
        if without != script and fails(without):
            script = without
    # In a calmer network even fewer events may do.
    script = with_fewer_events(script, fails)
    shorter = replace(script, seconds=max((event["at"] for event in script.events), default=0.0))
    return shorter if fails(shorter) else script


def with_fewer_events(script: Script, fails: Fails) -> Script:
    """Leave out all events, each half of them, each quarter, ... and each one, the last first."""
    size = len(script.events)
    while size:
        for end in range(len(script.events), 0, -size):
            rest = script.events[: max(0, end - size)] + script.events[end:]
            without = replace(script, events=rest)
            if fails(without):
                script = without
        size //= 2
    return script
