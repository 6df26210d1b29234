"""JSON that a JSON library cannot read: what is too deep or too large in it is replaced, so that
the rest can be read, on every Python alike.

It takes time in proportion to the text, and little more memory.  Nothing here knows what a message
is; whether the result is JSON is found out by whoever reads it.
"""

from __future__ import annotations

import re

DEEPEST = 128
"""How deep lists and objects may nest in a value: far from where a JSON library gives up."""

FLOOR = DEEPEST + 5
"""How deep they may nest in a line: the deepest value lies in a vote within a promise."""

MOST_DIGITS = 4300
"""Digits of the longest integer that is read: where Pythons of today give up."""

REPLACEMENT = "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)
"""What is refused wherever it is looked at: it is no number, and nested too deep for a value."""

BLANK = r"[ \t\r\n]*"
# Each of them matches in one way only, so that a text that does not match is given up at once.
STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"

TOKEN = re.compile(rf'"[^"\\]*(?:\\.[^"\\]*)*["\\]?|[\[{{]|[\]}}]|{NUMBER}', re.DOTALL)
"""What may have to be replaced, and strings, in which nothing is; a string may lack its end."""

OPENING = re.compile(rf"{BLANK}\{{")
MEMBER = re.compile(
    rf"{BLANK}({STRING}){BLANK}:{BLANK}({STRING}|{NUMBER}|true|false|null){BLANK},", re.DOTALL
)
BODY = re.compile(rf'{BLANK}"body"{BLANK}:{BLANK}\{{')


def legible(text: str) -> str:
    """The text with something in the place of each container that lies too deep, and of each
    number that is too large."""
    pieces: list[str] = []
    depth = copied = 0
    for token in TOKEN.finditer(text):
        found = token[0]
        if found in "[{":
            depth += 1
            if depth == FLOOR + 1:
                pieces.append(text[copied : token.start()])
        elif found in "]}":
            if depth == FLOOR + 1:
                pieces.append("null")
                copied = token.end()
            depth -= 1
        elif found[0] != '"' and depth <= FLOOR and not is_readable(found):
            pieces += [text[copied : token.start()], REPLACEMENT]
            copied = token.end()
    if depth <= FLOOR:
        pieces.append(text[copied:])
    return "".join(pieces)


def is_deep(text: str) -> bool:
    """Whether there are so many brackets that some may lie too deep."""
    return text.count("[") + text.count("{") > FLOOR


def is_readable(number: str) -> bool:
    if number.lstrip("-").isdigit():
        return len(number.lstrip("-")) <= MOST_DIGITS
    return abs(float(number)) < float("inf")


def beginning(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The members, each as the texts of its name and value, that an envelope and its body begin
    with: those in front of the first whose value is a container, or does not end."""
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
