"""What is printed: whatever a node or a file is called, and however long a value is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from conformance import report
from conformance.validation import explanation
from conformance.validation.verdict import Discrepancy

HOSTILE = "\x1b[31m\r\x07\x9b:smile: [red]x[/red] \ud800 \u202egnp\u2066 \u2028\u200b"
SAFE = r"\x1b[31m\r\x07\x9b:smile: [red]x[/red] \ud800 \u202egnp\u2066 \u2028\u200b"


def printed(show: Callable[[], None], monkeypatch: pytest.MonkeyPatch, encoding: str) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    show()
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_text_cannot_command_a_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(lambda: report.say(f"{HOSTILE}\nsecond"), monkeypatch, encoding)
    assert said == f"{SAFE}\nsecond\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_table_cannot_command_a_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("::stop::", 1), (HOSTILE[:12], 2), ("é" * 300, 3)]
    said = printed(lambda: report.table(HOSTILE, ("name", "#n"), rows), monkeypatch, encoding)
    assert SAFE in said and "\x1b" not in said and " ::" not in said
    assert "yes" not in said and r"\x3a:stop::" in said and "3" in said


def test_letters_that_the_encoding_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(lambda: report.say("é 漢"), monkeypatch, "latin-1") == "é \\u6f22\n"
    assert printed(lambda: report.say("é 漢"), monkeypatch, "utf-8") == "é 漢\n"


@pytest.mark.parametrize(
    "text, safe",
    [
        ("::error::x", r"\x3a:error::x"),
        ("  ::add-mask::x", r"  \x3a:add-mask::x"),
        ("a ##[error]x", r"a \x23#[error]x"),
        ("##vso[task]x", r"\x23#vso[task]x"),
        ("a\n::error::x", "a\n\\x3a:error::x"),
        ("a::b: ## c", "a::b: ## c"),
    ],
)
def test_workflow_commands_are_escaped(text: str, safe: str) -> None:
    assert report.plain(text) == safe


def test_progress_shows_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with report.Line(HOSTILE):
        pass
    assert capsys.readouterr().err == f"{SAFE} ...\n"


def test_long_values_are_shown_where_they_differ() -> None:
    one, other = "x" * 1_000_000 + "y" + "z" * 1_000_000, "x" * 1_000_000 + "n" + "z" * 1_000_000
    lines = report.beside([{"value": one}], [{"value": other}])
    assert all(len(line) < 2 * report.LONGEST_MESSAGE for line in lines)
    assert "xyz" in lines[0] and "xnz" in lines[1]
    told = explanation.format_discrepancy(Discrepancy("value", one, other))
    assert len(told) < 1_000 and "xyz" in told and "xnz" in told


def test_many_messages_are_shown_where_they_differ() -> None:
    same = [{"slot": slot} for slot in range(500)]
    lines = report.beside([*same, {"slot": "right"}, *same], [*same, {"slot": "wrong"}])
    assert len(lines) < 3 * report.MOST_MESSAGES
    assert any("right" in line for line in lines) and any("wrong" in line for line in lines)
    assert "and 500 more" in lines[report.MOST_MESSAGES + 1]


def test_a_line_has_a_longest_length() -> None:
    assert len(report.plain("x" * 10_000_000)) < report.LONGEST_LINE + 10
