"""The documentation shows what happens, names what exists, and keeps its form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from conformance import __main__ as command_line
from conformance.formats.schema import check_record
from tests import demo
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

README = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
] or sorted(path for path in ROOT.glob("**/*.md") if ".venv" not in path.parts)
BLOCKS = [
    re.sub(r"(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n|^\n)+", README)
]
[VERBS] = [each for each in vars(command_line).values() if isinstance(each, click.Group)]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


# The form of the README.


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 180


def test_readme_begins_with_a_picture_and_a_command() -> None:
    lines = README.splitlines()
    assert any(line.startswith("![") for line in lines[:15])
    assert any(line.startswith("    python3 impl/main.py") for line in lines[:30])


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_says_first_who_needs_it(page: Path) -> None:
    if page.name in {"README.md", "CHANGELOG.md"} and page.parent == ROOT:
        return
    text = page.read_text("utf-8")
    assert re.search(r"\bFor (?:people|authors|everybody)\b", "\n".join(text.splitlines()[:5]))


# What is shown.


def test_node_answers_as_shown() -> None:
    [shown] = [block for block in BLOCKS if "impl/main.py <<'END'" in block]
    given = shown.split("<<'END'\n")[1].split("\nEND")[0]
    done = subprocess.run(
        [sys.executable, "impl/main.py"],
        input=given.encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=PATIENCE,
        check=True,
    )
    [printed] = [block for block in BLOCKS if '"init_ok"' in block and "END" not in block]
    assert done.stdout.decode() == printed.strip() + "\n" and done.stderr == b""


def test_demo_output_is_current() -> None:
    [shown] = [block for block in BLOCKS if "The bug was caught" in block]
    first = f"{demo.NODES} nodes, {demo.REQUESTS} requests"
    assert shown.strip().startswith(first) and f"seed {demo.SEED}:" in shown


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_records_shown_are_records(page: Path) -> None:
    for record in re.findall(r'(?m)^    (\{"node": .*)$', page.read_text("utf-8")):
        check_record(json.loads(record))


# What is named.


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8"))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page to files or headings that do not exist."""
    found = []
    for link in re.findall(r"\]\(([^):]+)\)", page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_have_a_target(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](page.md#a-title) [b](page.md#b) [c](other.md)\n")
    assert broken_links(page) == ["page.md#b", "other.md"]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_targets_and_verbs_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    named = set(re.findall(r"(?m)(?:`|^    )make ([a-z][a-z-]*)", text))
    verbs = set(re.findall(r"(?:-m conformance|multipaxos-conformance) ([a-z][a-z-]*)", text))
    modules = set(re.findall(r"-m tests\.(\w+)", text))
    assert named <= targets and verbs <= VERBS.commands.keys()
    assert all((ROOT / "tests" / name / "__main__.py").exists() for name in modules)


def test_readme_names_the_main_commands() -> None:
    assert {"demo", "check", "test", "grade"} <= set(re.findall(r"    make ([a-z-]+)", README))


def test_every_verb_is_listed() -> None:
    page = (ROOT / "conformance" / "README.md").read_text("utf-8")
    listed = re.findall(r"(?m)^\| `([a-z-]+)[^|]*` \| ", page)
    assert sorted(set(listed) & VERBS.commands.keys()) == sorted(VERBS.commands)
