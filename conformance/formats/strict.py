"""Parse JSON as RFC 8259 defines it, and split bytes into lines.

Everything that is read from a node, a log or a history is read here, so that all parts of the
harness accept and refuse the same text on every version of Python.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

Json = Any

DEEPEST = 256
"""How deep a text may nest.  A node takes values up to 128 deep, and a message adds a few levels;
far below this, no library here comes near the end of Python's stack.
"""

LONGEST_INTEGER = 4_300
"""How many digits an integer may have; Python refuses to convert longer ones."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")


class NotJson(ValueError):
    """A text that is not JSON, or that holds something that cannot be compared."""


def loads(text: str | bytes) -> Json:
    """Return the value of a JSON text; bytes must be UTF-8.

    Raises `NotJson` for anything that RFC 8259 does not allow (NaN and Infinity among it), for a
    number too large for a double, an integer of more than `LONGEST_INTEGER` digits, and for a text
    that nests deeper than `DEEPEST`.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        _check_depth(text)
        return _DECODER.decode(text)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson(f"it nests deeper than {DEEPEST}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotJson(str(error)) from None
    except ValueError:
        # This comes from the conversion of an integer.
        raise NotJson(f"an integer has more than {LONGEST_INTEGER:,} digits") from None


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    r"""Return the lines that end with `\n`, without it, and what follows the last end.

    Only this byte ends a line: U+2028, U+0085 and the like may stand inside JSON.
    """
    *lines, rest = data.split(b"\n")
    return lines, rest


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise NotJson(f"{shown} is too large for a double, so it cannot be compared")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number)


def _check_depth(text: str) -> None:
    """Raise `NotJson` before the text is parsed: the depth that Python can parse varies."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    brackets = _NOT_BRACKETS.sub("", _STRING.sub("", text))
    if max(accumulate(1 if each in "[{" else -1 for each in brackets), default=0) > DEEPEST:
        raise NotJson(f"it nests deeper than {DEEPEST}")
