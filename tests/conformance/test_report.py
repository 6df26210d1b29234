"""What is printed: whatever a node or a file is called, and however long a value is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

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
    output = printed(lambda: report.say(f"{HOSTILE}\nsecond"), monkeypatch, encoding)
    assert output == f"{SAFE}\nsecond\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_table_cannot_command_a_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("::stop::", 1), (HOSTILE[:12], 2), ("é" * 300, 3)]
    output = printed(lambda: report.table(HOSTILE, ("name", "#n"), rows), monkeypatch, encoding)
    assert SAFE in output and "\x1b" not in output and " ::" not in output
    assert "yes" not in output and r"\x3a:stop::" in output and "3" in output


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


def test_progress_escapes_text(capsys: pytest.CaptureFixture[str]) -> None:
    with report.Line(HOSTILE):
        pass
    assert capsys.readouterr().err == f"{SAFE} ...\n"


def test_long_values_are_shown_where_they_differ() -> None:
    one, other = "x" * 1_000_000 + "y" + "z" * 1_000_000, "x" * 1_000_000 + "n" + "z" * 1_000_000
    lines = report.beside([{"value": one}], [{"value": other}])
    assert all(len(line) < 2 * report.LONGEST_MESSAGE for line in lines)
    assert "xyz" in lines[0] and "xnz" in lines[1]
    text = explanation.format_discrepancy(Discrepancy("value", one, other))
    assert len(text) < 1_000 and "xyz" in text and "xnz" in text


def test_many_messages_are_shown_where_they_differ() -> None:
    same = [{"slot": slot} for slot in range(500)]
    lines = report.beside([*same, {"slot": "right"}, *same], [*same, {"slot": "wrong"}])
    assert len(lines) < 3 * report.MOST_MESSAGES
    assert any("right" in line for line in lines) and any("wrong" in line for line in lines)
    assert "and 500 more" in lines[report.MOST_MESSAGES + 1]


def test_long_line_is_cut() -> None:
    assert len(report.plain("x" * 10_000_000)) < report.LONGEST_LINE + 10


ROWS = [("one", 1, True), ("two", 2, False)]


def test_copied_output_prints_rows_that_fail_and_writes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "check.txt"

    def show() -> None:
        with report.copied(path, all_rows=False):
            report.table("Both", ("name", "#n", "result"), ROWS)
            report.table("Passing", ("name", "#n", "result"), ROWS[:1])
            report.say("a text")

    shown = printed(show, monkeypatch, "utf-8")
    assert "two" in shown and "FAIL" in shown and "a text" in shown
    assert "one" not in shown and "Passing" not in shown
    written = path.read_text("utf-8")
    assert all(text in written for text in ("one", "two", "PASS", "FAIL", "Passing", "a text"))


def test_verbose_output_prints_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def show() -> None:
        with report.copied(tmp_path / "check.txt", all_rows=True):
            report.table("Both", ("name", "#n", "result"), ROWS)

    assert "one" in printed(show, monkeypatch, "utf-8")


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0 s"), (59.6, "1 min 0 s"), (400, "6 min 40 s"), (12, "12 s")]
)
def test_duration_is_rounded(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_estimate_is_shown_from_a_twentieth_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    with report.phase(3, 7), report.Line("golden traces") as line:
        now[0] = 25
        line.update("main", 0.01)
        now[0] = 60
        line.update("main", 0.25)
    assert capsys.readouterr().err.splitlines() == [
        "[3/7] golden traces: main",
        "[3/7] golden traces: main, about 3 min 0 s left",
    ]
