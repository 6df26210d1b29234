"""The tables of models in spec/README.md, written from the manifest.

Each is between two comments that name what it lists; the rest of the page does not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..locations import SPEC
from . import manifest
from .manifest import Model

README = SPEC / "README.md"

_TABLE = re.compile(r"(<!-- models that (\w+)[^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def render(page: str, models: Iterable[Model]) -> str:
    """Return the page with its tables written from the models."""
    every = list(models)

    def table(found: re.Match[str]) -> str:
        chosen = [model for model in every if model.expect == found[2]]
        return found[1] + "\n".join(_lines(chosen)) + "\n" + found[3]

    return _TABLE.sub(table, page)


def write() -> None:
    """Update the tables of the page."""
    page = README.read_text("utf-8")
    README.write_text(render(page, manifest.load().values()), "utf-8")


def _lines(models: Iterable[Model]) -> Iterable[str]:
    yield "| model | tier | violates | states | depth | time | purpose |"
    yield "| --- | --- | --- | ---: | ---: | ---: | --- |"
    for model in models:
        cells = (
            f"`{model.name}`",
            model.tier,
            f"`{model.violates}`" if model.violates else "",
            f"{model.states:,}" if model.states else "",
            str(model.depth or ""),
            duration(model.seconds) if model.seconds else "",
            model.purpose,
        )
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def duration(seconds: float) -> str:
    """Return seconds in a readable form: `4 s`, `75 min`."""
    return f"{seconds / 60:.0f} min" if seconds >= 300 else f"{seconds:.0f} s"
