"""The work of each operation grows about as its size does: counted, so it is the same each time."""

from __future__ import annotations

import pytest

from tests.growth import work as growth


@pytest.mark.parametrize("name", growth.OPERATIONS)
def test_work_grows_about_linearly(name: str) -> None:
    assert growth.exponent(growth.OPERATIONS[name])[2] <= growth.LIMIT


def test_quadratic_work_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def quadratic(size: int) -> growth.Work:
        return lambda: [one * other for one in range(size) for other in range(size)]

    monkeypatch.setattr(growth, "OPERATIONS", {"quadratic": quadratic})
    assert growth.too_steep().startswith("quadratic: the work grows as size ** 1.9")
