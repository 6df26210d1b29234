"""What TLC is given: paths and locales that it cannot take by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from conformance.tlaplus import tlc

LIBRARY = """---- MODULE Wanted ----
Limit == 3
====
"""
MODULE = """---- MODULE Plain ----
EXTENDS Naturals, Wanted
VARIABLE x
Init == x = 0
Next == x < Limit /\\ x' = x + 1
====
"""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_tlc_runs_in_folders_of_any_name(
    locale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "ä b:c;d"
    odd.mkdir()
    (odd / "Wanted.tla").write_text(LIBRARY)
    (odd / "Plain.tla").write_text("no module")
    (odd / "tools.jar").symlink_to(tlc.jar())
    monkeypatch.setenv("TLA2TOOLS_JAR", str(odd / "tools.jar"))
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    found = tlc.run("Plain", MODULE, "INIT Init\nNEXT Next\n", libraries=[odd], brief=True)
    assert (found.violated, found.distinct) == (None, 4)
    assert sorted(path.name for path in odd.iterdir()) == ["Plain.tla", "Wanted.tla", "tools.jar"]


def test_java_that_cannot_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "a:b"
    java.touch(0o755)
    monkeypatch.setenv("JAVA", str(java))
    with pytest.raises(tlc.ToolError, match="path has a :"):
        tlc.java()


def test_only_files_of_tlc_are_removed_from_a_checkpoint_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "26-01-02-03-04-05").mkdir()
    module = MODULE.replace(", Wanted", "").replace("Limit", "3")
    tlc.run("Plain", module, "INIT Init\nNEXT Next\n", brief=True, checkpoints=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
