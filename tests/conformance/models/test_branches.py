"""Branches are read right, marked without a change of meaning, and one not taken is found."""

from __future__ import annotations

import pytest

from conformance import locations
from conformance.models import branches as branching
from conformance.models import manifest

MINIATURE = r"""---- MODULE Miniature ----
EXTENDS Naturals  \* IF this is no branch THEN nothing ELSE nothing
(* Nor IF this THEN that ELSE other. *)
Unused(x) == IF x THEN 1 ELSE 2

Helper(x) == IF x > 1 THEN "THEN" ELSE x

Init == x = 0 /\ y = 0

Next ==
    \/ /\ x < 2
       /\ x' = Helper(x)
    \/ LET z == x + y
       IN  y' = z \/ y' = x
====
"""


def found(text: str) -> list[tuple[str, str]]:
    branches = branching.branches("Miniature", text, ("Init", "Next"))
    return [(branch.operator, branch.text) for branch in branches]


def test_branches_of_used_operators_are_found() -> None:
    assert found(MINIATURE) == [
        ("Helper", '"THEN" ELSE x'),
        ("Helper", "x"),
        ("Init", "y = 0"),
        ("Next", "x < 2"),
        ("Next", "x' = Helper(x)"),
        ("Next", "LET z == x + y"),
        ("Next", r"y' = z \/ y' = x"),
        ("Next", "y' = x"),
    ]


def test_case_cannot_be_marked() -> None:
    with pytest.raises(ValueError, match="CASE"):
        found(MINIATURE.replace("IF x > 1", "CASE x > 1"))


def test_mark_keeps_columns() -> None:
    branches = branching.branches("Miniature", MINIATURE, ("Init", "Next"))
    copy = branching.marked(MINIATURE, branches, 7)
    assert "EXTENDS Taken, Naturals" in copy
    assert copy.count("CASE Took(") == len(branches) and "CASE Took(7) ->" in copy
    columns = {
        line.index("x' = Helper(x)")
        for line in copy.split("\n")
        if "Helper(x)" in line and "==" not in line
    }
    assert columns == {10}


@pytest.mark.parametrize("module", branching.ROOTS)
def test_every_module_has_branches(module: str) -> None:
    text = (locations.SPEC / f"{module}.tla").read_text("utf-8")
    assert len(branching.branches(module, text, branching.ROOTS[module])) >= 3


def test_uncovered_branch_is_found() -> None:
    """A cluster of one has no messages between nodes, and time is never lively in it."""
    measured = branching.measure([manifest.get("single")])
    uncovered = {branch.operator for branch in measured.uncovered}
    assert {"ReceivePromise", "ReceiveLearned", "Lose"} <= uncovered
    taken = {branch.operator for branch in measured.branches} - uncovered
    assert {"Crash", "Restart", "Put"} <= taken
    assert measured.models == ["single"]
