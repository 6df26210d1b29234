"""A node with a full disk reports it and ends, sends nothing unsaved, and restarts when there is
space.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node_process import init, request
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

LARGE = "x" * 4000
DISK_BYTES = 2**18
"""Free bytes of the disk; for `limit`, the maximum size of a file."""

Json = dict


class Disk:
    """A directory with little free space, until `free_space` is called."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit

    def restrict(self) -> None:
        if self.limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))

    def free_space(self) -> None:
        self.limit = None
        (self.folder / "ballast").unlink(missing_ok=True)


@pytest.fixture(params=["disk", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limit":
        yield Disk(tmp_path, DISK_BYTES)
        return
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={8 * DISK_BYTES}", "none", tmp_path]
    try:
        subprocess.run(mounted, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system cannot be mounted here")
    try:
        (tmp_path / "ballast").write_bytes(bytes(7 * DISK_BYTES))
        yield Disk(tmp_path, None)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


class Run:
    """One run of a node on a disk, with one request at a time."""

    def __init__(self, disk: Disk, errors: Path, log: Path) -> None:
        self.errors = errors
        self.replies: list[Json] = []
        with errors.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "impl/main.py", "--data", disk.folder / "n1", "--log", log],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                preexec_fn=disk.restrict,
                bufsize=0,
            )
        self.send(init())

    def send(self, line: str) -> Json | None:
        """Send a request and return its answer, or None if the node has ended."""
        self.process.stdin.write(line.encode())
        answer = self.process.stdout.readline()
        if not answer:
            return None
        self.replies.append(json.loads(answer))
        return self.replies[-1]["body"]

    def end(self) -> int:
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert rest == b""
        return self.process.wait(PATIENCE)


@pytest.mark.parametrize("log_on_disk", [True, False])
def test_full_disk_sends_nothing_unsaved(
    disk: Disk, log_on_disk: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    log = (disk.folder if log_on_disk else elsewhere) / "n1.ndjson"
    run, count = Run(disk, elsewhere / "first", log), 0
    while run.send(request(count, "multi_paxos_propose", slot=count, value=LARGE + str(count))):
        count += 1
    assert run.end() == 2
    errors = run.errors.read_text()
    assert "the node cannot go on: " in errors and "Traceback" not in errors
    assert "full" in errors or "disk I/O" in errors or "No space" in errors or "too large" in errors

    disk.free_space()
    again = Run(disk, elsewhere / "second", log)
    decided = again.send(request(9999, "multi_paxos_log"))["log"]
    assert [entry["slot"] for entry in decided] == list(range(count)) and count > 3
    assert all(entry["value"] == LARGE + str(entry["slot"]) for entry in decided)
    assert again.send(request(count, "multi_paxos_propose", slot=count, value=0))["chosen"]
    assert again.end() == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [
        message for record in records for message in record["output"]
    ] == run.replies + again.replies
    assert [record["input"] for record in records if isinstance(record["input"], str)] == [
        "crash",
        "restart",
    ]


def test_node_does_not_start_on_full_disk(
    disk: Disk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    if disk.limit is not None:
        disk.limit = 2000
    else:
        with pytest.raises(OSError):
            (disk.folder / "more").write_bytes(bytes(2 * DISK_BYTES))
    run = Run(disk, folder / "first", folder / "n1.ndjson")
    assert run.end() == 2 and run.replies == []
    assert "the node cannot go on: " in run.errors.read_text()
