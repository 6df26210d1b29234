"""The manifest of models: what each is for, what TLC must find, in how many states.

Nothing here runs anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "spec" / "models"
LIBRARIES = (ROOT / "spec", MODELS, Path(__file__).resolve().parent / "tla")


class UnknownModel(Exception):
    """A model that the manifest does not have; the text lists those that it has."""


@dataclass(frozen=True)
class Model:
    """One model.

    `expect` is "holds" (TLC finds nothing wrong), "reaches" or "breaks" (TLC must find that
    `violates` is violated: the one because something must be possible, the other because the
    model is broken on purpose), or "runs" (too big to search, for random runs only).  `states` is
    the pinned number of distinct states; `golden` says that its transitions become golden logs.
    """

    name: str
    module: str
    config: Path
    expect: str
    purpose: str
    states: int = 0
    violates: str | None = None
    golden: bool = False

    def constants(self) -> str:
        """The part of the configuration that gives the constants their values."""
        sections = re.split(r"(?m)^(?=[A-Z])", self.config.read_text("utf-8"))
        return "".join(section for section in sections if section.startswith("CONSTANT"))

    @property
    def workers(self) -> int:
        """Where TLC stops at a violation, only one worker always stops at the same count."""
        return 2 if self.expect == "holds" else 1


def load() -> dict[str, Model]:
    """All models of `spec/models/models.toml`, in its order."""
    tables: list[dict[str, Any]] = tomli.loads((MODELS / "models.toml").read_text("utf-8"))["model"]
    models = (Model(**{**table, "config": MODELS / table["config"]}) for table in tables)
    return {model.name: model for model in models}


def get(name: str) -> Model:
    """One model by its name."""
    models = load()
    if name not in models:
        raise UnknownModel(f"no model {name!r}; there are: {', '.join(models)}")
    return models[name]
