"""Settings of all tests: Hypothesis has no deadlines and prints how to repeat a failure, and the
tests that take longest run first, so that all workers end at about the same time.

There are more workers than cores, as many tests wait: for a process, or for real time.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from conformance.jobs import cores

settings.register_profile(
    "shared", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")

LONGEST = (
    "tests/conformance/mutation/",
    "tests/conformance/validation/",
    "tests/conformance/grading/",
    "tests/conformance/golden/",
    "tests/conformance/coverage/",
    "tests/conformance/running/",
    "tests/spec/",
    "tests/project/test_installed.py",
    "tests/project/test_demo.py",
    "tests/mutants/",
    "tests/simulation/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return cores() + (cores() + 1) // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
