"""The translation against TLC, and that a bug in the translation would be found."""

import pytest

from conformance.proving import agreement, evaluate


def test_translation_agrees_with_tlc() -> None:
    rows = agreement.compare(number=20)
    assert {row.kind for row in rows} == {"reachable", "drawn"}
    assert [row.name for row in rows if not row.passed] == []


def test_bug_in_the_translation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = evaluate.Translation.infix

    def wrong(self, operator, left, right):  # type: ignore[no-untyped-def]
        return correct(self, "<=" if operator == "<" else operator, left, right)

    monkeypatch.setattr(evaluate.Translation, "infix", wrong)
    rows = agreement.compare(number=5)
    assert not all(row.passed for row in rows)
