"""The adapter lets a node with other words pass, and is as mortal as the node."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from conformance.running.process import Process
from conformance.running.replay import replay, replay_all
from tests.nodes.adapter import FIELDS, TYPES, translated
from tests.support.golden import generated
from tests.support.paths import IMPL, NODES, OK

ADAPTER = [sys.executable, str(NODES / "adapter.py")]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command of this project's node with other words for some types and fields."""
    folder = tmp_path_factory.mktemp("node") / "impl"
    shutil.copytree(IMPL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for ours, its in (TYPES | FIELDS).items():
        replace(folder / "multipaxos" / "wire.py", f'"{ours}"', f'"{its}"')
    for ours, its in TYPES.items():
        replace(folder / "multipaxos" / "replica.py", f"receive_{ours}(", f"receive_{its}(")
    return [sys.executable, str(folder / "main.py"), "--manual-clock", "--batch", "1"]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_node_with_other_words_passes_golden_traces_only_behind_the_adapter(
    words: list[str], tmp_path: Path
) -> None:
    generated(tmp_path, "single")
    paths = [OK, *sorted(tmp_path.glob("single/*.ndjson"))[:3]]
    assert len(paths) == 4
    found = replay_all(paths, [*ADAPTER, *words])
    assert [each.difference for each in found] == [None] * 4
    assert replay(OK, words).difference is not None


def test_values_and_other_lines_are_not_translated() -> None:
    body = {"type": "promise", "ballot": 3, "accepted": [{"slot": 1, "ballot": 2, "value": 0}]}
    body["accepted"][0]["value"] = {"ballot": [{"type": "accept"}]}
    line = json.dumps({"src": "n1", "dest": "n2", "body": body}).encode() + b"\n"
    assert translated(line, TYPES, FIELDS) == (
        b'{"src": "n1", "dest": "n2", "body": {"type": "p1b", "round": 3, "accepted": '
        b'[{"slot": 1, "round": 2, "value": {"ballot": [{"type": "accept"}]}}]}}\n'
    )
    for other in (b'"timeout"\n', b"{}\n", b'{"body": {"type": []}}\n', b"\xff\n", b"[1]\n", b"\n"):
        assert translated(other, TYPES, FIELDS) == other


COUNTS = "import sys; print(len(sys.stdin.readlines()), flush=True); sys.exit(3)"
SLEEPS = "import time; print(0, flush=True); time.sleep(100)"
# As an interpreter that ends, it has no handler any more: a second SIGTERM would kill it.
TERMINATED = """
import signal, sys, time
def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(0.5)
    sys.exit(print("ended", flush=True))
signal.signal(signal.SIGTERM, end)
print(0, flush=True)
while True:
    time.sleep(0.01)
"""


def test_end_of_input_and_status_are_passed_on(tmp_path: Path) -> None:
    process = Process([*ADAPTER, sys.executable, "-c", COUNTS], tmp_path / "stderr")
    process.give(b'"timeout"')
    assert list(process.lines(60)) == [b"1"] and process.status(60) == 3
    process.close()


def test_sigterm_reaches_the_node_and_its_last_output_is_passed_on(tmp_path: Path) -> None:
    process = Process([*ADAPTER, sys.executable, "-c", TERMINATED], tmp_path / "stderr")
    lines = process.lines(60, lambda: False)
    assert next(lines) == b"0"
    process.terminate()
    assert next(lines) == b"ended" and process.status(60) == 0
    process.close()


def test_end_of_the_node_ends_the_adapter(tmp_path: Path) -> None:
    process = Process([*ADAPTER, sys.executable, "-c", SLEEPS], tmp_path / "stderr")
    lines = process.lines(60, lambda: False)
    assert next(lines) == b"0"
    process.terminate()
    assert process.status(60) == signal.SIGTERM
    process.close()
