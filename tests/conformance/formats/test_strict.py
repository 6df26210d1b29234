"""The strict JSON reader takes what RFC 8259 defines and refuses everything else, with a reason."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.formats import strict

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)

REFUSED = {
    "NaN": "NaN is not a JSON number",
    "[-Infinity]": "-Infinity is not a JSON number",
    "1e400": "1e400 is too large for a double",
    '{"a": [-1e999]}': "-1e999 is too large for a double",
    f"1{'0' * 400}.5": "0... is too large for a double",
    "1" * 5_000: "an integer has more than 4,300 digits",
    '{"a": 1': "Expecting",
    "[1] 2": "Extra data",
    "": "Expecting value",
    "\ufeff1": "Expecting value",
    '"a\nb"': "control character",
}


@given(JSON)
def test_json_is_parsed_as_by_json_loads(value: object) -> None:
    for ascii_only in True, False:
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert strict.loads(text) == value
        assert json.dumps(
            strict.loads(text.encode("utf-8", "surrogatepass"))
            if ascii_only
            else strict.loads(text)
        ) == json.dumps(value)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_invalid_json_is_refused_with_a_reason(text: str) -> None:
    for given_text in text, text.encode():
        with pytest.raises(strict.NotJson) as refused:
            strict.loads(given_text)
        assert REFUSED[text] in str(refused.value) and len(str(refused.value)) < 200


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(strict.NotJson, match="utf-8"):
        strict.loads(b'"\xff"')


@pytest.mark.parametrize("opened, closed", [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_depth_is_bounded_for_every_stack_size(opened: str, closed: str) -> None:
    most = strict.DEEPEST // sum(map(opened.replace('"]"', "").count, "[{"))
    taken = f"{opened * most}1{closed * most}"
    assert strict.loads(taken) == json.loads(taken)
    for levels in most + 1, 900, 5_000, 200_000:
        for text in f"{opened * levels}1{closed * levels}", opened * levels:
            with pytest.raises(strict.NotJson, match="deeper than 256"):
                strict.loads(text)
    assert sys.getrecursionlimit() >= 1_000


def test_brackets_in_strings_and_siblings_add_no_depth() -> None:
    for value in ["[" * 9_000, '\\"' + "{" * 9_000, [[]] * 9_000, {"[" * 300: [1, '"[' * 300]}]:
        assert strict.loads(json.dumps(value)) == value


def test_only_a_line_feed_ends_a_line() -> None:
    data = "a\u2028b\u0085c\r\x0b\n\nd".encode()
    assert strict.split_lines(data) == (["a\u2028b\u0085c\r\x0b".encode(), b""], b"d")
    assert strict.split_lines(b"") == ([], b"") and strict.split_lines(b"a\n") == ([b"a"], b"")
