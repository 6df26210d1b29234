"""A node whose disk is full says so and ends, without a word that it could not keep, and goes on
from there when there is room.
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

LARGE = "x" * 4000
MOST = 2**18
"""Bytes of the disk, and of a file where the disk is a limit on the size of files."""

Json = dict


class Disk:
    """A directory that is soon full, until it is given room."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit

    def restrict(self) -> None:
        if self.limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))

    def make_room(self) -> None:
        self.limit = None
        (self.folder / "ballast").unlink(missing_ok=True)


@pytest.fixture(params=["disk", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limit":
        yield Disk(tmp_path, MOST)
        return
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={8 * MOST}", "none", tmp_path]
    try:
        subprocess.run(mounted, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system cannot be mounted here")
    try:
        (tmp_path / "ballast").write_bytes(bytes(7 * MOST))
        yield Disk(tmp_path, None)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


class Run:
    """One life of a node on a disk, asked one thing at a time."""

    def __init__(self, disk: Disk, errors: Path, log: Path) -> None:
        self.errors = errors
        self.said: list[Json] = []
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
        self.ask(init())

    def ask(self, line: str) -> Json | None:
        """The answer to a request; None if there is none and never will be."""
        self.process.stdin.write(line.encode())
        answer = self.process.stdout.readline()
        if not answer:
            return None
        self.said.append(json.loads(answer))
        return self.said[-1]["body"]

    def end(self) -> int:
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert rest == b""
        return self.process.wait(timeout=20)


@pytest.mark.parametrize("logged_beside", [True, False])
def test_full_disk_sends_nothing_unsaved(
    disk: Disk, logged_beside: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    log = (disk.folder if logged_beside else elsewhere) / "n1.ndjson"
    run, told = Run(disk, elsewhere / "first", log), 0
    while run.ask(request(told, "multi_paxos_propose", slot=told, value=LARGE + str(told))):
        told += 1
    assert run.end() == 2
    errors = run.errors.read_text()
    assert "the node cannot go on: " in errors and "Traceback" not in errors
    assert "full" in errors or "disk I/O" in errors or "No space" in errors or "too large" in errors

    disk.make_room()
    again = Run(disk, elsewhere / "second", log)
    decided = again.ask(request(9999, "multi_paxos_log"))["log"]
    assert [entry["slot"] for entry in decided] == list(range(told)) and told > 3
    assert all(entry["value"] == LARGE + str(entry["slot"]) for entry in decided)
    assert again.ask(request(told, "multi_paxos_propose", slot=told, value=0))["chosen"]
    assert again.end() == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [message for record in records for message in record["output"]] == run.said + again.said
    assert [record["input"] for record in records if isinstance(record["input"], str)] == [
        "crash",
        "restart",
    ]


def test_a_full_disk_at_the_start(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    if disk.limit is not None:
        disk.limit = 2000
    else:
        with pytest.raises(OSError):
            (disk.folder / "more").write_bytes(bytes(2 * MOST))
    run = Run(disk, folder / "first", folder / "n1.ndjson")
    assert run.end() == 2 and run.said == []
    assert "the node cannot go on: " in run.errors.read_text()
