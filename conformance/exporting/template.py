"""Fill the markup of a page, which is in pages/."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from .outputs import MADE_BY


def read(name: str) -> str:
    """Return the text of a file in pages/."""
    return (files(__package__) / "pages" / name).read_text("utf-8")


def fill(name: str, inserts: Mapping[str, str]) -> str:
    """Return the markup of a page with each @@NAME@@ replaced; MADE_BY need not be given.

    What an insert contains is not looked at, so it may come from a log.
    """
    every = {"MADE_BY": MADE_BY, **inserts}
    # Every second piece of the markup is the name of an insert.
    pieces = enumerate(read(name).split("@@"))
    return "".join(every[piece] if at % 2 else piece for at, piece in pieces)
