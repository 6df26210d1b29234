"""What is installed is what was pinned: every package has hashes, and no place to get it from."""

from __future__ import annotations

import re

from tests.support.paths import ROOT


def unhashed(text: str) -> list[str]:
    """The packages without a hash, and lines that are no package, hash or comment."""
    blocks = re.split(r"(?m)^(?=[a-zA-Z])", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
    pinned = re.compile(r"[\w.-]+==\S+( ; .*?)?( \\\n    --hash=sha256:[0-9a-f]{64})+\s*")
    return [each.split("\n")[0] for each in blocks if each and not pinned.fullmatch(each)]


def test_every_package_has_hashes() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert unhashed(text) == [] and "://" not in text and "setuptools==" in text
    assert unhashed("click==8.1\nrich==13.7 \\\n    --hash=sha256:" + "a" * 64) == ["click==8.1"]
    assert unhashed("--find-links elsewhere\n") != []


def test_downloads_are_installed_with_hashes() -> None:
    commands = re.findall(r"\$\(install\)(.*)", (ROOT / "Makefile").read_text())
    assert len(commands) == 3
    assert ["$(hashed)" in each or "--editable ." in each for each in commands] == [True] * 3
    assert "install --no-deps\n" in (ROOT / "Makefile").read_text()
