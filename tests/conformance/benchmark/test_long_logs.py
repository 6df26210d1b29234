"""The figures about long logs: each is measured, compared with its target, and never made up."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from conformance.benchmark import bench, load, long_logs
from conformance.benchmark.load import LoadError, Process
from conformance.benchmark.long_logs import Row
from tests.support.paths import NODE

SLOTS = 2_000


def test_every_row_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples, missing = long_logs.measure(NODE, tmp_path, SLOTS, 1, quiet=0.5)
    assert missing == "" and list(tmp_path.iterdir()) == []
    assert {row.what for row in long_logs.rows(SLOTS)} | {"lookups", "inserts"} == samples.keys()
    assert all(figure >= 0 for found in samples.values() for figure in found)
    assert 5 < samples["memory, 2,000 slots"][0] < 200
    long_logs.show(SLOTS, samples, missing)
    assert "not measured" not in capsys.readouterr().out


def test_node_with_other_data_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import sys\nfor line in sys.stdin: print(%r, flush=True)"
    reply = json.dumps({"body": {"type": "init_ok", "in_reply_to": 0}})
    samples, missing = long_logs.measure(
        [sys.executable, "-c", program % reply], tmp_path, SLOTS, 1
    )
    assert samples == {} and missing == "the node does not keep its data in node.db"
    long_logs.show(SLOTS, samples, missing)
    out = capsys.readouterr().out
    assert "long logs: not measured: the node does not keep" in out and "yes" not in out


def test_wrong_value_of_a_decided_slot_is_an_error() -> None:
    lines = load.proposals("n1", [7])
    right = {"body": {"slot": 7, "value": "set x=0000007"}}
    long_logs.check_decided([json.dumps(right).encode()], lines)
    for wrong in {"slot": 7, "value": "set x=7"}, {"slot": 7}, {}:
        with pytest.raises(LoadError):
            long_logs.check_decided([json.dumps({"body": wrong}).encode()], lines)
    with pytest.raises(LoadError, match="0 replies to 1 proposals"):
        long_logs.check_decided([], lines)


def test_log_that_lacks_entries_is_an_error(tmp_path: Path) -> None:
    node = bench.Node(NODE, durable=True)
    long_logs.make_log(node, tmp_path / "200", 100)
    with pytest.raises(LoadError, match="the log of 200 slots was answered with 100"):
        long_logs.whole_log(node, tmp_path, SLOTS)


def test_memory_is_that_of_the_process() -> None:
    figures = []
    for size in 0, 50_000_000:
        program = f"x = b'x' * {size}; print(len(x), flush=True); input()"
        with closing(Process([sys.executable, "-c", program], 60)) as process:
            process.line()
            figures.append(long_logs.memory(process))
    assert 40 < figures[1] - figures[0] < 120


@pytest.mark.parametrize(
    ("row", "figures", "shown", "reached"),
    [
        (Row("a", "MB", 40, at_most=True), [10, 41, 40], ["40 MB", "41 MB"], "yes"),
        (Row("a", "MB", 40, at_most=True), [41], ["41 MB", "41 MB"], "no"),
        (Row("a", "/s", 40), [39, 40, 90], ["40 /s", "39 /s"], "yes"),
        (Row("a", "/s", 40), [39], ["39 /s", "39 /s"], "no"),
    ],
)
def test_median_decides_and_the_worst_is_shown(
    row: Row, figures: list[float], shown: list[str], reached: str
) -> None:
    _, *found, _, _, verdict = row.cells({"a": figures})
    assert (found, verdict) == (shown, reached)
