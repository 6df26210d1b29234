"""The documentation, the help and the tables use the field's terms: see `BANNED`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.project.test_readme import PAGES, VERBS, page_id
from tests.support.paths import ROOT

BANNED = re.compile(
    r"\b(?:told|tells?|twins?|endures?|endured|rungs?|ladder|nobody|whoever|whom|hears?|heard"
    r"|asks? around|judges?|judged|on trial|golden logs?|certificates?|dice|luck|outbids?"
    r"|complains?|of another make|simulated worlds?|bad lines?|untouched|altered logs?|peace"
    r"|agrees)\b",
    re.IGNORECASE,
)
"""Words for which the field has others.  Names in code, between backticks, are not words."""


def banned(text: str) -> list[str]:
    """Return the banned words of a text, without those in code."""
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    text = re.sub(r"(?m)^    .*$", "", text)
    return BANNED.findall(re.sub(r"`[^`]*`|\]\([^)]*\)", "", text))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_has_no_banned_word(page: Path) -> None:
    assert banned(page.read_text("utf-8")) == []


def test_banned_word_is_found() -> None:
    assert banned("TLC is the judge, of `the judge`.\n\n    judge\n") == ["judge"]


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Return the help of a command and of its verbs, each with its name."""
    yield name, command.get_help(click.Context(command, info_name=name))
    if isinstance(command, click.Group):
        for verb, inner in command.commands.items():
            yield from helps(inner, f"{name} {verb}")


@pytest.mark.parametrize("name, text", list(helps(VERBS, "conformance")))
def test_help_has_no_banned_word(name: str, text: str) -> None:
    assert BANNED.findall(text) == []


@pytest.mark.parametrize(
    "command",
    [
        ("impl/main.py", "--help"),
        ("tests/broken_node.py", "--help"),
        *(("-m", f"tests.{tool}", "--help") for tool in ("simulation", "fuzzing", "mutants")),
    ],
    ids=lambda command: command[-2],
)
def test_help_of_other_commands_has_no_banned_word(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "usage" in (done.stdout + done.stderr).lower() or "broken_node" in command[0]
    assert BANNED.findall(done.stdout + done.stderr) == []


def test_targets_have_no_banned_word() -> None:
    described = re.findall(r"(?m)^[a-z-]+:.*## (.*)$", (ROOT / "Makefile").read_text("utf-8"))
    assert len(described) > 10 and BANNED.findall("\n".join(described)) == []


def headers(source: str) -> list[str]:
    """Return the texts in all functions that print a table, its title and columns among them."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            nodes = list(ast.walk(function))
            calls = [node.func for node in nodes if isinstance(node, ast.Call)]
            if any(getattr(each, "attr", getattr(each, "id", "")) == "table" for each in calls):
                texts = [each.value for each in nodes if isinstance(each, ast.Constant)]
                docstring = ast.get_docstring(function, clean=False)
                found += [each for each in texts if isinstance(each, str) and each != docstring]
    return found


SOURCES = sorted([*(ROOT / "conformance").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


@pytest.mark.parametrize("source", SOURCES, ids=page_id)
def test_tables_have_no_banned_word(source: Path) -> None:
    texts = headers(source.read_text("utf-8"))
    assert [text for text in texts if BANNED.search(text)] == []


def test_headers_of_tables_are_found() -> None:
    assert headers("def show():\n    report.table('Models', ('a', '#b'), rows)") == [
        "Models",
        "a",
        "#b",
    ]
    assert sum(bool(headers(source.read_text("utf-8"))) for source in SOURCES) > 5
