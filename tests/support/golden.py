"""Golden traces of models, generated once for all tests and kept where `make check` keeps them."""

from __future__ import annotations

from pathlib import Path

from conformance import checking
from conformance.cache import Cache
from conformance.golden.generate import Generated
from conformance.models import manifest
from tests.support.paths import CACHE
from tests.support.processes import one_at_a_time


def generated(folder: Path, *names: str) -> list[Generated]:
    """Write the golden traces of some models into a folder; each gets a folder of its name."""
    with one_at_a_time("golden"):
        made = checking.generated([manifest.get(name) for name in names], folder, 1, Cache(CACHE))
    found = {model.name: each for model, each in made}
    assert all(each.complete for each in found.values())
    return [found[name] for name in names]
