"""Logs with vector clocks for ShiViz, https://bestchai.bitbucket.io/shiviz/

Each record is an event of its node, and its clock includes the clock of its input's sending.
Clients have no log, so no clock and no events.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..formats.schema import is_message
from .causality import Step, clocks

Json = Any

# The first line of an uploaded file is the pattern of an event.  The second is the pattern that
# separates runs; there is one run, so it is empty.
PARSER = r"(?<host>\S+) (?<clock>\{.*\})\n(?<event>.*)"


def text(steps: Sequence[Step]) -> str:
    """Return a run as the text of a file for ShiViz."""
    lines = [PARSER, ""]
    for step, clock in zip(steps, clocks(steps), strict=True):
        named = {_host(node): count for node, count in clock.items()}
        lines += [f"{_host(step.record.node)} {json.dumps(named)}", _event(step)]
    return "\n".join(lines) + "\n"


def _host(name: str) -> str:
    """Return a name without blanks, which end a name in ShiViz; different names stay different."""
    return quote(name, safe="", errors="surrogatepass") or "%"


def _event(step: Step) -> str:
    """Return a record on one line: action, input and output."""
    given, output = step.record.input, step.record.output
    source = f" from {_message(given['src'], given)}" if is_message(given) else ""
    sent = ", ".join(_message(message["dest"], message) for message in output)
    return f"{step.record.action}{source}" + (f" sends to {sent}" if sent else "")


def _message(name: str, message: Json) -> str:
    return f"{_host(name)} {json.dumps(message['body'])}"
