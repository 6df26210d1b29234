"""The page for authors of nodes has the messages of the schemas and the options of the harness."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conformance.formats.schema import SchemaError, check, check_record, load
from conformance.grading.challenge_cases import CASES
from conformance.grading.plan import STAGES
from conformance.grading.probe import EFFECTS
from tests.support.paths import ROOT

FOLDER = ROOT / "conformance"
PAGE = (FOLDER / "nodes.md").read_text("utf-8")
DEFINITIONS = load("messages")["$defs"]
BODIES = {
    name: found
    for name, found in DEFINITIONS.items()
    if found.get("properties", {}).get("type", {}).get("const") == name
}
LINES = "urn:multipaxos:schema:messages"
EVENTS = DEFINITIONS["event"]["enum"]


def rows(page: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    [table] = re.findall(rf"(?m)^\| {first} \|.*\n\|(?: -+ \|)+\n((?:\|.*\n)+)", page)
    return [[cell.strip() for cell in row.split(" | ")] for row in table.strip().split("\n")]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def examples(page: str) -> list[Any]:
    return [json.loads(line) for line in re.findall(r'(?m)^    ([{"].*)$', page)]


def disagreements(page: str) -> set[str]:
    """Return the differences between the page and the schemas."""
    found = set()
    shown = {code(name)[0]: code(fields) for name, fields, *_ in rows(page, "type")}
    for name in shown.keys() | BODIES.keys():
        fields = [each for each in BODIES.get(name, {}).get("properties", ()) if each != "type"]
        required = BODIES.get(name, {}).get("required", ())
        if shown.get(name) != [each + "?" * (each not in required) for each in fields]:
            found.add(name)
    listed = {name for row in rows(page, "field") for name in code(row[0])}
    needed = {field for body in BODIES.values() for field in body["properties"]} - {"type"}
    return found | (listed ^ needed)


def test_page_and_schemas_list_the_same_messages() -> None:
    assert len(BODIES) == 16 and disagreements(PAGE) == set()


@pytest.mark.parametrize(
    "old, new, found",
    [
        ("| `learn` | `known` |", "| `learn` | `known?` |", {"learn"}),
        ("| `accept` | `ballot`, `slot`,", "| `accept` | `slot`, `ballot`,", {"accept"}),
        ("| `rejected` |", "| `refused` |", {"rejected", "refused"}),
        ("| `more` | boolean", "| `rest` | boolean", {"more", "rest"}),
    ],
)
def test_page_that_differs_is_found(old: str, new: str, found: set[str]) -> None:
    assert PAGE.count(old) == 1 and disagreements(PAGE.replace(old, new)) == found


def test_each_message_and_event_has_an_example() -> None:
    shown = examples(PAGE)
    kinds = [each["body"]["type"] for each in shown if isinstance(each, dict) and "body" in each]
    assert set(kinds) == BODIES.keys()
    assert [each for each in shown if isinstance(each, str)] == EVENTS
    assert [each["event"] for each in shown if isinstance(each, dict) and "event" in each] == [
        "repeat"
    ]


def test_examples_are_valid() -> None:
    for each in examples(PAGE):
        if isinstance(each, dict) and "node" in each:
            check_record(each)
        else:
            check(each, LINES)
            body = each.get("body", {}) if isinstance(each, dict) else {}
            assert not body or body.keys() <= BODIES[body["type"]]["properties"].keys()


def test_bad_example_is_found() -> None:
    with pytest.raises(SchemaError):
        check({"src": "n1", "dest": "n2", "body": {"type": "learn"}}, LINES)


def test_page_lists_every_error_code() -> None:
    [row] = [row for row in rows(PAGE, "field") if code(row[0]) == ["code"]]
    codes = DEFINITIONS["error"]["properties"]["code"]["enum"]
    assert sorted(map(int, re.findall(r"\d+", row[2]))) == sorted(codes)


def test_page_lists_number_ranges() -> None:
    assert DEFINITIONS["slot"]["maximum"] == DEFINITIONS["count"]["maximum"] == 2**63 - 1
    assert {row[1] for row in rows(PAGE, "field") if "2^63-1" in row[1]} == {
        "integer, 0 to 2^63-1",
        "integer, 1 to 2^63-1-*N*",
    }
    assert DEFINITIONS["ballot"]["maximum"] == 2**63 - 1 - 1


def test_page_lists_stages_and_options() -> None:
    stages = dict.fromkeys(row[0].removeprefix("| ").split(",")[0] for row in rows(PAGE, "stage"))
    assert tuple(stages) == STAGES
    options = [code(row[0])[0].split()[0] for row in rows(PAGE, "option")]
    assert options == list(EFFECTS)


def test_cases_of_the_challenge_are_listed() -> None:
    listed = [(name.removeprefix("| "), weight) for name, weight in rows(PAGE, "case")]
    assert listed == [(case.name, f"{case.weight} |") for case in CASES]


def test_links_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links and [link for link in links if not (FOLDER / link).exists()] == []
