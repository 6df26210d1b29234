"""The manifest of models: what each is for, what TLC must find, in how many states.

Nothing here runs anything.  A model is a configuration `spec/models/MODULE/NAME.cfg` and its table
in `spec/models/models.toml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import tomlkit

from .. import locations
from ..locations import MODELS, demand_checkout
from ..tlaplus import config

LIBRARIES = locations.LIBRARIES
MANIFEST = MODELS / "models.toml"

TIERS = ("tiny", "standard", "large", "deep")

# Below this one worker is faster than two, and two models at a time are faster still.
FOR_ONE_WORKER = 50_000

# The most names that are suggested for one that is not known.
_NEAR = 5

# Below this, as seconds of processor time, a search ends before it pays to optimize it.
BRIEF_SECONDS = 6


_USED = re.compile(r"\bEXTENDS\s+(\w+(?:\s*,\s*\w+)*)|\bINSTANCE\s+(\w+)")


class UnknownModel(Exception):
    """A model that the manifest does not have; the text lists those of a similar name."""


@dataclass(frozen=True)
class Model:
    """One model.

    `expect` is "holds" (TLC finds nothing wrong), or TLC must find that `violates` is violated:
    "reaches" because something must be possible, "needs" because an assumption was left out,
    "breaks" because the model is broken on purpose; or it is "runs" (too large to search, for
    random runs only).  `tier` is the size of the search.  `states` and `depth` are what a search
    must find, `seconds` is how long it took when they were pinned.  `golden` says that the model's
    transitions become golden traces.
    """

    name: str
    config: Path
    expect: str
    tier: str
    purpose: str
    violates: str | None = None
    golden: bool = False
    states: int = 0
    depth: int = 0
    seconds: float = 0.0

    @property
    def module(self) -> Path:
        """The module that the configuration is for."""
        return self.config.parent.with_suffix(".tla")

    @property
    def workers(self) -> int:
        """Only one worker always stops at the same count, and always finds the same depth."""
        large = self.tier == "large" or self.states >= FOR_ONE_WORKER
        return 2 if self.expect == "holds" and large else 1

    @property
    def brief(self) -> bool:
        """Whether a search is over in seconds of processor time (see `tlc.run`)."""
        return self.workers * self.seconds < BRIEF_SECONDS

    @property
    def expected(self) -> str:
        """What TLC must find, as text."""
        return f"{self.expect} {self.violates or ''}".strip()

    def sources(self) -> tuple[str, str, str]:
        """What TLC runs: the module's name, its text, and the text of the configuration."""
        return self.module.stem, self.module.read_text("utf-8"), self.text()

    def text(self) -> str:
        """The text of the configuration."""
        return self.config.read_text("utf-8")

    def files(self, *extra: str) -> set[Path]:
        """Return the configuration and every module that TLC reads, except its standard ones.

        `extra` names modules that are read besides the model's own.
        """
        places = {path.stem: path for folder in LIBRARIES for path in folder.glob("*.tla")}
        found, new = {self.config}, {self.module, *(places[name] for name in extra)}
        while new:
            found |= new
            texts = "\n".join(path.read_text("utf-8") for path in new)
            used = " ".join(" ".join(names) for names in _USED.findall(texts)).replace(",", " ")
            new = {places[name] for name in used.split() if name in places} - found
        return found

    def checked(self) -> list[str]:
        """The invariants and properties that the configuration lists."""
        return config.listed(self.text(), "INVARIANT", "PROPERTY")


def load() -> dict[str, Model]:
    """All models of the manifest, in its order."""
    paths = {path.stem: path for path in MODELS.glob("*/*.cfg")}
    tables = tomlkit.parse(MANIFEST.read_text("utf-8")).unwrap()
    if not tables:
        raise UnknownModel(f"{MANIFEST}: there is no model in it")
    return {
        name: Model(name, paths.get(name, MODELS / f"{name}.cfg"), **table)
        for name, table in tables.items()
    }


def golden() -> list[Model]:
    """Return the models whose transitions become golden traces."""
    return [model for model in load().values() if model.golden]


def get(name: str) -> Model:
    """One model by its name."""
    models = load()
    if name not in models:
        # The parts of a name may be right, and their order wrong.
        parts = [each for each in models if set(name.split("-")) & set(each.split("-"))]
        near = list(dict.fromkeys([*get_close_matches(name, models), *parts]))[:_NEAR]
        meant = f"did you mean {' or '.join(near)}?" if near else "no other has a similar name"
        raise UnknownModel(f"no model {name!r}; {meant} (spec/README.md lists all)")
    return models[name]


def pin(name: str, states: int, depth: int, seconds: float) -> None:
    """Write what a search found into the manifest.  Raises NoCheckout."""
    demand_checkout("--pin")
    document = tomlkit.parse(MANIFEST.read_text("utf-8"))
    table = document[name]
    table["states"] = tomlkit.value(f"{states:_}")
    table["depth"] = depth
    table["seconds"] = round(seconds, 1)
    MANIFEST.write_text(tomlkit.dumps(document), "utf-8")
