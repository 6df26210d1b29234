"""Values, messages and logs keep their meaning on the way to TLA+ and back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conformance.formats import logs
from conformance.tlaplus import translate, values
from conformance.validation import trace_validation
from conformance.validation.names import Names
from tests.support.paths import OK

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126))
SCALARS = st.booleans() | st.integers() | TEXTS
NAMES = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
        | st.dictionaries(st.integers(0, 9), inner, min_size=1, max_size=3)
        | st.frozensets(st.integers(0, 9), max_size=3)
    ),
)
SLOTS = st.sets(st.integers(0, 20) | st.integers(2**63 - 9, 2**63 - 1))
BODIES = st.one_of(
    st.builds(lambda b, k: {"type": "prepare", "ballot": b, "known": k}, st.integers(1, 9), SLOTS),
    st.builds(
        lambda b, a, k: {
            "type": "promise",
            "ballot": b,
            "accepted": [{"slot": s, "ballot": 1, "value": [s]} for s in sorted(a)],
            "known": k,
        },
        st.integers(1, 9),
        SLOTS,
        SLOTS,
    ),
    st.builds(
        lambda d, m: {
            "type": "learned",
            "decided": [{"slot": s, "value": {"s": s}} for s in sorted(d)],
            "more": m,
        },
        SLOTS,
        st.booleans(),
    ),
    st.builds(lambda s, v: {"type": "decided", "slot": s, "value": v}, st.integers(0, 9), TEXTS),
)


def message(body: dict[str, Any]) -> dict[str, Any]:
    if "known" in body:
        body = {**body, "known": translate.ranges(body["known"])}
    return {"src": "n1", "dest": "n2", "body": body}


@given(VALUES)
def test_written_value_is_read_back(value: Any) -> None:
    assert values.parse(values.text(value)) == value


def test_values_that_only_tlc_writes_are_parsed() -> None:
    assert values.parse("2..4") == frozenset({2, 3, 4})
    assert values.parse("[ n1 |->\n   << >>,\n  n2 |-> {} ]") == {"n1": [], "n2": frozenset()}


@given(SLOTS)
def test_ranges_are_exact_and_minimal(slots: set[int]) -> None:
    found = translate.ranges(slots)
    assert {slot for low, high in found for slot in range(low, high + 1)} == slots
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(found))


@given(st.lists(BODIES, min_size=1, max_size=4))
def test_messages_are_read_back_from_their_names(bodies: list[dict[str, Any]]) -> None:
    given_messages = [message(body) for body in bodies]
    names = Names(["n1", "n2"], [each["body"] for each in given_messages])
    for each in given_messages:
        text = names.body_to_tla(each["body"])
        for definition in reversed(names.definitions()):
            text = text.replace(*definition.split(" == "))
        body = evaluated(text.replace(" \\cup ", "+"))
        src, dest = (names.name("p", each[end]).strip('"') for end in ("src", "dest"))
        assert names.message_from_tla({"src": src, "dest": dest, "body": body}) == each


def evaluated(text: str) -> Any:
    """The value of a message's expression: a union of intervals is all that `parse` cannot read."""
    before, mark, rest = text.partition("known |-> (")
    if not mark:
        return values.parse(text)
    union, _, after = rest.partition(")]")
    slots: set[int] = set()
    for part in union.split("+"):
        slots |= values.parse(part.strip(" ()"))
    return values.parse(f"{before}known |-> {values.text(slots)}]{after}")


def test_claim_of_unmentioned_slots_is_found(tmp_path: Path) -> None:
    """The fixture's last node knows one slot; as a range around it, three."""
    path = OK
    log = [taken for taken in logs.read(path) if taken.node == "n1"]
    request = {"src": "n2", "dest": "n1", "body": {"type": "prepare", "ballot": 5, "known": []}}
    cases = []
    for known in [[1, 1]], [[1, 3]], [[0, 1]]:
        promise = {"type": "promise", "ballot": 5, "accepted": [], "known": known}
        answer = {"src": "n1", "dest": "n2", "body": promise}
        cases.append([*log, logs.Record("n1", request, [answer], path, 99)])
    verdicts = trace_validation.validate_logs(cases, 1000)
    bad = [[found.record.line for found in verdict.rejections] for verdict in verdicts]
    assert bad == [[], [99], [99]]
