"""The demonstration catches its bug, and fails if it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import demo


def test_demo_catches_the_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "OUTPUT", tmp_path)
    assert demo.main() == 0
    printed = capsys.readouterr().out
    assert "  PASS  " in printed and "  FAIL  " in printed and "differs:" in printed
    assert len(printed.splitlines()) <= 10
    assert (tmp_path / "broken" / f"seed-{demo.SEED}.html").exists()


def test_demo_fails_if_the_bug_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "trial", lambda name, node: (0, ""))
    monkeypatch.setattr(demo, "records", lambda name: 0)
    assert demo.main() == 1


def test_demo_reports_a_command_that_could_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "trial", lambda name, node: (2, "no Java"))
    assert demo.main() == 2
