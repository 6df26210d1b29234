"""Logs for ShiViz, which draws what happened before what: https://bestchai.bitbucket.io/shiviz/

Each record is an event of its node; a message joins the clock of its sending.  What clients do has
no clock, and so no place here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..formats.schema import is_message
from .causality import Step, clocks

Json = Any

# The first line of a file that is uploaded tells how to read the rest, the second one how to tell
# runs apart, of which there is one.
PARSER = r"(?<host>\S+) (?<clock>\{.*\})\n(?<event>.*)"


def text(steps: Sequence[Step]) -> str:
    """A run as a file that ShiViz can be given."""
    lines = [PARSER, ""]
    for step, clock in zip(steps, clocks(steps), strict=True):
        named = {_host(node): count for node, count in clock.items()}
        lines += [f"{_host(step.record.node)} {json.dumps(named)}", _event(step)]
    return "\n".join(lines) + "\n"


def _host(name: str) -> str:
    """A node's or client's name without blanks, which end a name here; no two become the same."""
    return quote(name, safe="", errors="surrogatepass") or "%"


def _event(step: Step) -> str:
    """A record on one line: what was done, with what, and what was said."""
    given, output = step.record.input, step.record.output
    told = f" from {_message(given['src'], given)}" if is_message(given) else ""
    said = ", ".join(_message(message["dest"], message) for message in output)
    return f"{step.record.action}{told}" + (f" sends to {said}" if said else "")


def _message(name: str, message: Json) -> str:
    return f"{_host(name)} {json.dumps(message['body'])}"
