"""Recorded runs by their votes: the correct node is accepted, and the table is about every bug."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from conformance.formats import logs
from conformance.formats.schema import check_record
from tests.mutants import bugs, checks, votes

RECORD = partial(checks.record, clusters=((3, 40, 0.3), (5, 40, 0.3)), seeds=1)
"""A run of three nodes and one of five, with crashes."""


@pytest.mark.parametrize(
    "name, rule", [("", None), ("promise-not-kept", "KeepsPromises")], ids=["right", "bug"]
)
def test_runs_with_crashes_are_checked_by_their_votes(
    name: str, rule: str | None, tmp_path: Path
) -> None:
    [texts] = [each.mutant().texts for each in bugs.load() if each.name == name] or [{}]
    assert votes.recorded(tmp_path, texts, RECORD) is None
    paths = logs.find([tmp_path])
    restarts = [path for path in paths if '"input": "restart"' in path.read_text("utf-8")]
    assert len(paths) == len(restarts) == 2
    verdict = votes.checked({name: paths})[name]
    assert (verdict and verdict.rejections[0].rule) == rule


def test_correct_node_must_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    [bug] = [bug for bug in votes.safety() if bug.name == "promise-not-kept"]
    record = votes.recorded
    monkeypatch.setattr(
        votes, "recorded", lambda folder, texts, how: record(folder, bug.mutant().texts, how)
    )
    with pytest.raises(RuntimeError, match=r"the correct node: .* below its promise"):
        votes.stage([], RECORD)


def no_record(folder: Path, seed: int) -> str | None:
    check_record({"node": "n1"})
    return None


def wrong_tool(folder: Path, seed: int) -> str | None:
    raise LookupError("of the tool")


def test_run_may_end_early_by_what_a_node_logs_and_by_nothing_else(tmp_path: Path) -> None:
    assert "'input' is a required property" in (votes.recorded(tmp_path, {}, no_record) or "")
    with pytest.raises(LookupError, match="of the tool"):
        votes.recorded(tmp_path, {}, wrong_tool)


def test_table_is_about_every_safety_bug() -> None:
    found = re.findall(
        r"(?m)^\| `([\w-]+)` \| (.*) \| (?:`(\w+)`|no: \d+ runs) \|$", votes.TABLE.read_text()
    )
    assert [row[:2] for row in found] == [(bug.name, bug.what) for bug in votes.safety()]
    caught = sum(bool(rule) for *_, rule in found)
    page = (Path(__file__).parents[2] / "conformance/votes.md").read_text("utf-8")
    assert f"{caught} of {len(found)} safety bugs" in page
