"""TLC configurations, as far as the harness reads them: sections by keyword.

A section begins with its keyword at the start of a line and ends where the next one begins.
"""

from __future__ import annotations

import re

_PLURALS = {
    "CONSTANTS": "CONSTANT",
    "CONSTRAINTS": "CONSTRAINT",
    "ACTION_CONSTRAINTS": "ACTION_CONSTRAINT",
    "INVARIANTS": "INVARIANT",
    "PROPERTIES": "PROPERTY",
}


def _sections(text: str) -> list[tuple[str, str]]:
    """Return the sections as (keyword, text), in order; a plural keyword counts as its singular."""
    found = re.split(r"(?m)^(?=[A-Z_]+\b)", text)
    named = [(section.split()[0], section) for section in found if section.strip()]
    return [(_PLURALS.get(keyword, keyword), section) for keyword, section in named]


def constants(text: str) -> str:
    """Return the part that gives the constants their values."""
    return "".join(section for keyword, section in _sections(text) if keyword == "CONSTANT")


def without(text: str, *keywords: str) -> str:
    """Return the configuration without some sections."""
    return "".join(section for keyword, section in _sections(text) if keyword not in keywords)


def listed(text: str, *keywords: str) -> list[str]:
    """Return the names that sections list, as `listed(text, "INVARIANT", "PROPERTY")`."""
    return [
        name
        for keyword, section in _sections(text)
        if keyword in keywords
        for name in section.split()[1:]
    ]


def overridden(text: str) -> dict[str, str]:
    """Return which operators and constants are overridden: name -> name of the replacement."""
    return dict(re.findall(r"(\w+)\s*<-\s*(\w+)", constants(text)))
