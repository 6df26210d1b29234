"""The parser of TLA+: junction lists, positions, and an error for what it does not know."""

from pathlib import Path

import pytest

from conformance.proving import syntax

SPEC = Path(__file__).resolve().parents[3] / "spec"


def parse(body: str) -> syntax.Module:
    return syntax.parse(f"---- MODULE M ----\n{body}\n====\n", Path("M.tla"))


def test_junction_list_ends_at_its_column() -> None:
    body = parse("A ==\n  /\\ x\n  /\\ \\/ y\n     \\/ z\n  /\\ w").definitions["A"].body
    assert body.kind == "and"
    assert [part.kind for part in body.parts] == ["name", "or", "name"]


def test_expression_has_file_and_line() -> None:
    body = parse("\n\nA == x + 1").definitions["A"].body
    assert body.where == "M.tla:4"


def test_comments_may_be_nested() -> None:
    assert list(parse("(* a (* b *) c *) A == 1 \\* B == 2").definitions) == ["A"]


@pytest.mark.parametrize("text", ["A == x \\div y", "A == (1", "A == $"])
def test_unknown_text_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(syntax.SyntaxProblem, match=r"^M\.tla:[23]: "):
        parse(text)


@pytest.mark.parametrize("name", ["Consensus", "Voting", "MultiPaxos", "Invariant"])
def test_modules_that_are_proved_are_parsed_whole(name: str) -> None:
    module = syntax.load(SPEC / f"{name}.tla")
    assert module.name == name
    assert module.definitions
