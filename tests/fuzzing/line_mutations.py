"""Mutations of the lines that a node gets.

What a mutation leaves may be right again; what a node should do about a line is checked in `fuzz`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.support.node_lines import TYPES

Json = Any
Path = tuple[Any, ...]
"""A path within a JSON value: keys and indexes."""

RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "1" * 400,
    "1" * 5000,
    "-0",
    "1.0",
    "0.1e1",
    "1e2",
    '"\\ud800"',
    '"\\u0000"',
    "[" * 127 + "]" * 127,
    "[" * 128 + "]" * 128,
    "[" * 129 + "]" * 129,
    '{"a":' * 200 + "1" + "}" * 200,
    "[" * 3000,
    "'a'",
    "undefined",
    "",
]
"""Texts that replace a value, valid JSON or not."""

ODD = [
    0,
    1,
    -1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64,
    10**30,
    1.0,
    1.5,
    True,
    False,
    None,
    "",
    "1",
    "n1",
    "n2",
    "n3",
    "n9",
    "c1",
    "é\u2028",
    "x" * 300,
    [],
    {},
    [[]],
    [[0, 0]],
    [[0, 2**63 - 1]],
    [[1, 2], [3, 4]],
    {"slot": 1},
]
"""Values that replace others."""

MARK = "a value that is put in as it is"


def mutated(lines: Sequence[bytes], rng: Random) -> bytes:
    """Return one of these lines with a few mutations, or unchanged."""
    line = rng.choice(lines)
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 4))):
        line = rng.choice(MUTATIONS)(line, lines, rng)
    return line


# The bytes of a line.


def with_other_bits(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    if not line:
        return line
    at = rng.randrange(len(line))
    return line[:at] + bytes([line[at] ^ 1 << rng.randrange(8)]) + line[at + 1 :]


def cut_short(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    return line[: rng.randrange(len(line) + 1)]


def without_a_piece(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    return line[:at] + line[at + rng.randrange(12) :]


def with_a_piece_twice(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    at, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    return line[:end] + line[at:]


def with_bytes_put_in(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    put = rng.choice(
        (
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\0",
            b"\r",
            b"\xef\xbb\xbf",
            b",",
            b'"',
            b"{",
            b"}",
            b"]",
            b"\\",
            b"\\u",
            b" ",
            b"0",
            b"-",
            b"e9",
        )
    )
    return line[:at] + put + line[at:]


def with_the_end_of_another(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    other = rng.choice(lines)
    return line[: rng.randrange(len(line) + 1)] + other[rng.randrange(len(other) + 1) :]


# The fields of a message.


def with_an_odd_value(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    return altered(line, rng, lambda found: rng.choice(ODD))


def with_a_raw_value(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    text = altered(line, rng, lambda found: MARK)
    return text.replace(json.dumps(MARK).encode(), rng.choice(RAW).encode())


def with_another_number(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    def near(found: Json) -> Json:
        return found + rng.choice((-1, 1, 2, 3)) if type(found) is int else rng.choice(ODD)

    return altered(line, rng, near)


def with_a_value_of_another(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    other = parsed(rng.choice(lines))
    return altered(line, rng, lambda found: at(other, rng.choice(paths(other))))


def altered(line: bytes, rng: Random, new: Callable[[Json], Json]) -> bytes:
    """Replace a part of a message."""
    message = parsed(line)
    where = rng.choice(paths(message))
    if where:
        holder = at(message, where[:-1])
        holder[where[-1]] = new(holder[where[-1]])
    return json.dumps(message).encode()


def with_another_type(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    message = parsed(line)
    if isinstance(message, dict) and isinstance(message.get("body"), dict):
        message["body"]["type"] = rng.choice(TYPES)
    return json.dumps(message).encode()


def from_another(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    message = parsed(line)
    if isinstance(message, dict):
        message[rng.choice(("src", "src", "dest"))] = rng.choice(("n1", "n2", "n3", "c1", ""))
    return json.dumps(message).encode()


def with_other_fields(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    """Remove, add, rename or repeat a field."""
    message = parsed(line)
    holders = [
        found for where in paths(message) if isinstance(found := at(message, where), dict) and found
    ]
    if not holders:
        return line
    fields = rng.choice(holders)
    name = rng.choice(list(fields))
    match rng.randrange(4):
        case 0:
            del fields[name]
        case 1:
            fields[rng.choice(("extra", "in_reply_to", "msg_id"))] = rng.choice(ODD)
        case 2:
            fields[name.upper()] = fields.pop(name)
        case 3:
            fields[MARK] = rng.choice(ODD)
            return (
                json.dumps(message)
                .encode()
                .replace(json.dumps(MARK).encode(), json.dumps(name).encode())
            )
    return json.dumps(message).encode()


def parsed(line: bytes) -> Json:
    """Return the JSON value of a line, or None."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def paths(value: Json, above: Path = ()) -> list[Path]:
    """Return the paths to all parts of a JSON value, itself included, up to a depth."""
    found = [above]
    if len(above) < 8:
        keys = (
            value
            if isinstance(value, dict)
            else range(len(value))
            if isinstance(value, list)
            else ()
        )
        for key in keys:
            found += paths(value[key], (*above, key))
    return found


def at(value: Json, where: Path) -> Json:
    for key in where:
        value = value[key]
    return value


MUTATIONS = [
    with_other_bits,
    cut_short,
    without_a_piece,
    with_a_piece_twice,
    with_bytes_put_in,
    with_the_end_of_another,
    with_an_odd_value,
    with_an_odd_value,
    with_a_raw_value,
    *[with_another_number] * 6,
    *[with_a_value_of_another] * 3,
    with_another_type,
    from_another,
    with_other_fields,
    with_other_fields,
]
