"""The translation against TLC, and that a bug in the translation would be found."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest

from conformance.proving import actions, agreement, agreement_nodes, evaluate, states
from conformance.proving.agreement import Row
from conformance.tlaplus import tlc

run = tlc.run


@cache
def printed(*sources: str, seed: int, options: tuple[str, ...], **others: Any) -> list[str]:
    lines: list[str] = []
    run(*sources, seed=seed, options=options, on_print=lines.append, **others)
    return lines


@pytest.fixture(autouse=True)
def one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run TLC once for tests that ask it the same, as the bugs here are in the translation."""

    def again(
        *sources: str,
        on_print: Callable[[str], None],
        seed: int = 1,
        options: Sequence[str] = (),
        **others: Any,
    ) -> None:
        for line in printed(*sources, seed=seed, options=tuple(options), **others):
            on_print(line)

    monkeypatch.setattr(tlc, "run", again)


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


# MultiPaxos: assertions, steps, and what is claimed of steps.


def compared(*only: str, number: int = 4) -> dict[str, Row]:
    """Return the rows of reachable states of a cluster of two, by name."""
    rows = agreement_nodes.compare(number, clusters=states.CLUSTERS[1:2], only=only)
    return {row.name: row for row in rows if row.kind == "reachable"}


def test_translation_of_actions_agrees_with_tlc() -> None:
    only = ("ReceivePrepare", "Timeout", "Inquire", "Expire", "Crash", "Restart")
    rows = agreement_nodes.compare(4, clusters=states.CLUSTERS[1:2], only=only)
    assert {row.kind for row in rows} == {"reachable", "altered"}
    assert [(row.name, row.kind, row.examples) for row in rows if not row.passed] == []


def test_action_without_an_input_does_not_pass() -> None:
    # A cluster of one has no messages between nodes.
    rows = agreement_nodes.compare(2, clusters=states.CLUSTERS[:1], only=("ReceivePrepare",))
    assert "ReceivePrepare" in [row.name for row in rows if not row.passed]


def test_altered_states_violate_assertions() -> None:
    rows = agreement_nodes.compare(20, clusters=states.CLUSTERS[1:2], only=())
    assert all(row.true == row.evaluations for row in rows if row.kind == "reachable")
    altered = [row for row in rows if row.kind == "altered"]
    assert sum(row.evaluations - row.true for row in altered) > 5


def test_bug_in_the_translation_of_an_update_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = evaluate.Translation._change

    def forgetful(self, value, way, item, env):  # type: ignore[no-untyped-def]
        changed = correct(self, value, way, item, env)
        return value if way and way[0] == ("field", "up") else changed

    monkeypatch.setattr(evaluate.Translation, "_change", forgetful)
    rows = compared("Crash", "Restart")
    assert rows["Crash"].different + rows["Restart"].different > 0


def test_bug_in_the_translation_of_a_sequence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def keeps_first(self, translation, values):  # type: ignore[no-untyped-def]
        return values[0]

    monkeypatch.setattr(actions.Cluster, "_select", keeps_first)
    assert compared("Inquire")["Inquire"].different > 0


def test_bug_in_the_translation_of_an_assertion_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = evaluate.Translation.infix

    def wrong(self, operator, left, right):  # type: ignore[no-untyped-def]
        return correct(self, "=" if operator == ">=" else operator, left, right)

    monkeypatch.setattr(evaluate.Translation, "infix", wrong)
    assert any(row.different for row in compared(number=20).values())
