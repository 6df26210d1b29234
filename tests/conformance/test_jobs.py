"""Jobs beside each other: each item gets its own result, and a failure ends the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import guard, jobs
from conformance.jobs import JobError, at_once, in_copies, in_turns
from tests.support.processes import PATIENCE, exists, wait_until

CORES = jobs.cores()


def test_each_item_gets_its_own_result() -> None:
    assert list(at_once(lambda n: n * n, range(20))) == [(n, n * n) for n in range(20)]


def test_as_many_jobs_run_as_there_are_cores() -> None:
    together = threading.Barrier(CORES, timeout=PATIENCE)
    assert len(list(at_once(lambda _: together.wait(), range(2 * CORES)))) == 2 * CORES


@pytest.fixture
def two_cores() -> Iterator[None]:
    jobs.use_cores(2)
    yield
    jobs.use_cores(0)


def test_job_that_needs_all_cores_runs_alone_and_first(two_cores: None) -> None:
    busy, most = threading.Semaphore(2), []

    def do(cores: int) -> bool:
        with busy:
            most.append(cores)
            return busy._value == 1

    found = list(at_once(do, [1, 2, 1, 2], lambda cores: cores))
    assert [cores for cores, _ in found] == [1, 2, 1, 2]
    assert most == [2, 2, 1, 1]
    assert [alone for cores, alone in found if cores == 2] == [True, True]


def test_expensive_jobs_start_first() -> None:
    jobs.use_cores(1)
    try:
        begun: list[int] = []
        assert len(list(at_once(begun.append, [2, 3, 1], cost=float))) == 3
    finally:
        jobs.use_cores(0)
    assert begun == [3, 2, 1]


@pytest.mark.parametrize(
    "files, quotas",
    [
        ({"cpu.max": "150000 100000"}, [2]),
        ({"cpu.max": "max 100000"}, []),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, [3]),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        ({}, []),
    ],
)
def test_cgroup_quota_limits_cores(
    files: dict[str, str], quotas: list[int], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(jobs._quotas(tmp_path)) == quotas


def test_cpu_affinity_limits_cores() -> None:
    assert 1 <= jobs.available_cores() <= len(os.sched_getaffinity(0))


def test_failure_cancels_jobs_that_have_not_started() -> None:
    begun = []

    def do(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise RuntimeError("it went wrong")

    with pytest.raises(RuntimeError, match="wrong"):
        list(at_once(do, range(10_000)))
    assert len(begun) < 10_000


def test_items_are_served_in_turn() -> None:
    left, taken = {"long": 5, "short": 2, "tiny": 1}, []

    def do(item: str) -> bool:
        taken.append(item)
        left[item] -= 1
        return left[item] > 0

    in_turns(do, left)
    assert set(left.values()) == {0}
    assert sorted(taken[:3]) == ["long", "short", "tiny"] and taken[-2:] == ["long", "long"]


def test_failing_step_ends_all_items() -> None:
    taken = []

    def do(item: int) -> bool:
        taken.append(item)
        if item == 1:
            raise ValueError("no more")
        return len(taken) < 100

    with pytest.raises(ValueError, match="no more"):
        in_turns(do, [1, 2])
    assert len(taken) < 100


def test_forked_processes_give_the_same_results() -> None:
    assert list(in_copies(str, range(20))) == list(map(str, range(20)))
    copies = set(in_copies(process, range(20)))
    assert os.getpid() not in copies and len(copies) <= CORES


def test_process_with_threads_is_not_forked() -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        assert set(in_copies(process, range(20))) == {os.getpid()}
    finally:
        over.set()
        other.join()


def test_killed_fork_ends_the_job() -> None:
    """As the system kills it where memory is short."""
    with pytest.raises(JobError, match="was killed"):
        list(in_copies(die_at_7, range(20)))


def test_forks_end_when_closed() -> None:
    found = in_copies(process, range(20))
    copy = next(found)
    found.close()
    assert not exists(copy)


COPYING = """
import os, sys, time
from conformance.jobs import in_copies, use_cores
use_cores(2)
def do(number):
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
    time.sleep(60)
list(in_copies(do, range(2)))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_forks_end_with_their_killed_parent(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", COPYING], stdout=subprocess.PIPE) as original:
        copies = [int(original.stdout.readline()) for _ in range(2)]
        original.send_signal(number)
        assert original.wait(PATIENCE) == -number
    wait_until(lambda: not any(map(exists, copies)))


def die_at_7(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def process(_: int) -> int:
    return os.getpid()


def test_process_that_another_thread_reaps_has_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is reaped between a look at its status and the system call."""
    process = subprocess.Popen(["sh", "-c", "exit 3"])

    def too_late(*_: object) -> None:
        process.wait()
        raise ChildProcessError

    monkeypatch.setattr(os, "waitid", too_late)
    assert guard.status(process) == 3
