"""Text that a JSON library cannot read: replace what is too deep or too large in it.

Every version of Python can then read the result.  Time and memory are linear in the text.
This module does not parse messages, and does not check that the result is JSON.
"""

from __future__ import annotations

import re

VALUE_DEPTH = 128
"""How deep lists and objects may nest in a value: far below the limits of JSON libraries."""

LINE_DEPTH = VALUE_DEPTH + 5
"""How deep they may nest in a line: the deepest value lies in a vote within a promise."""

MOST_DIGITS = 4300
"""Digits of the longest integer that is read: the limit of current Pythons."""

REPLACEMENT = "[" * (VALUE_DEPTH + 1) + "]" * (VALUE_DEPTH + 1)
"""A text that each field refuses: it is no number, and nested too deep for a value."""

BLANK = r"[ \t\r\n]*"
# Each of them matches in one way only, so a failed match does not backtrack.
STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"

TOKEN = re.compile(rf'"[^"\\]*(?:\\.[^"\\]*)*["\\]?|[\[{{]|[\]}}]|{NUMBER}', re.DOTALL)
"""What may have to be replaced, and strings, which are skipped; a string may lack its end."""

OPENING = re.compile(rf"{BLANK}\{{")
MEMBER = re.compile(
    rf"{BLANK}({STRING}){BLANK}:{BLANK}({STRING}|{NUMBER}|true|false|null){BLANK},", re.DOTALL
)
BODY = re.compile(rf'{BLANK}"body"{BLANK}:{BLANK}\{{')


def replace_unreadable(text: str) -> str:
    """Replace each container that lies too deep, and each number that is too large."""
    pieces: list[str] = []
    depth = copied = 0
    for token in TOKEN.finditer(text):
        found = token[0]
        if found in "[{":
            depth += 1
            if depth == LINE_DEPTH + 1:
                pieces.append(text[copied : token.start()])
        elif found in "]}":
            if depth == LINE_DEPTH + 1:
                pieces.append("null")
                copied = token.end()
            depth -= 1
        elif found[0] != '"' and depth <= LINE_DEPTH and not is_readable(found):
            pieces += [text[copied : token.start()], REPLACEMENT]
            copied = token.end()
    if depth <= LINE_DEPTH:
        pieces.append(text[copied:])
    return "".join(pieces)


def is_deep(text: str) -> bool:
    """Return whether there are so many brackets that some may lie too deep."""
    return text.count("[") + text.count("{") > LINE_DEPTH


def is_readable(number: str) -> bool:
    if number.lstrip("-").isdigit():
        return len(number.lstrip("-")) <= MOST_DIGITS
    return abs(float(number)) < float("inf")


def beginning(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the first members of an envelope and of its body, as texts of names and values.

    They end before the first member whose value is a container or is cut off.
    """
    opening = OPENING.match(text)
    envelope, end = members(text, opening.end()) if opening else ([], 0)
    opening = BODY.match(text, end)
    return envelope, members(text, opening.end())[0] if opening else []


def members(text: str, start: int) -> tuple[list[tuple[str, str]], int]:
    found = []
    while member := MEMBER.match(text, start):
        found.append((member[1], member[2]))
        start = member.end()
    return found, start
