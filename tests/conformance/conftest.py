"""What all tests of the harness share."""

from __future__ import annotations

import pytest

from conformance import checking
from conformance.models import manifest, searching
from tests.support.processes import one_at_a_time


@pytest.fixture(scope="session", autouse=True)
def startup_cache() -> None:
    """Make TLC start faster, as `make check` does before its many short searches."""
    with one_at_a_time("startup"):
        searching.make_startup_cache(list(manifest.load().values()))


@pytest.fixture
def no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no page of a run that fails: each needs TLC, and has tests in exporting/."""
    monkeypatch.setattr(checking, "show_page", lambda *_: None)
