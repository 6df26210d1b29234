"""Names, slots, request numbers and values for runs and golden traces, chosen by a seed.

The specification is data-independent: it only compares names, request numbers and values, and only
orders slots.  So a run or a trace is as valid under any choice of them, and a node that treats
`n10`, 2^63-1 or 1.0 differently from `n2`, 1 or "v" has a bug.  Each seed chooses some that are
likely to show such a bug.

Not used are lone surrogates, which RFC 8259 allows and most JSON libraries reject, and numbers
beyond a double's exponent.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from ..tlaplus.translate import ranges

Json = Any

HIGHEST = 2**63 - 1
"""The highest slot."""

ODD_NAMES = (
    "",
    " ",
    "0",
    "-1",
    "N1",
    "n1 ",
    "n01",
    "null",
    '"',
    "\\",
    "\n",
    "\t",
    "\x7f",
    "\u00e9",
    "e\u0301",
    "\u2028",
    "\u0085",
    "\ufeff",
    "\U0001f600",
    "a/b",
    "../n1",
    ":",
    "*",
    "n1,n2",
    "n" * 300,
    "n" * 300 + "1",
    ":smile:",
    "fences",
    "client",
    "{}",
)

CLIENTS = ("c0", "c1", "c", "n", "n0", "n4", "n6", "n11", "n01", "N1", "n1n", "c2", "c3", "node")

# Values of one group are almost equal: some languages, libraries or databases take them for equal.
ALMOST_EQUAL: tuple[tuple[Json, ...], ...] = (
    (1, 1.0, True, "1"),
    ("a", "A", "a ", "a\u0000"),
    (2**53, 2**53 + 1, float(2**53), str(2**53)),
    (0, -0.0, False, "0"),
    ("\u00e9", "e\u0301", "\u00c9", "e"),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2.0}, {"a": 1, "b": "2"}, {"A": 1, "b": 2}),
    (None, "null", [None], {"": None}),
    (2**63 - 1, 2**63, 2**64 + 1, float(2**63)),
    ([1, [2]], [[1], 2], [1, 2], {"1": 2}),
    ("", [], {}, [[]]),
    (0.1, 0.10000000000000002, "0.1", 0.1 + 1e-9),
    ("\u2028", "\u2029", "\u0085", "\n"),
    (10**30, 1e30, 10**30 + 1, -(10**30)),
    ("\U0001f600", "\uff5e", "\\u0041", "\\ud83d\\ude00"),
    (5e-324, 1.7976931348623157e308, -5e-324, 0.5),
    ({"k": {"b": 2, "a": [1]}}, {"k": {"b": 2, "a": [1.0]}}, {"k": {"b": 2}}, {"k": [1]}),
)

NO_SLOTS = (True, False, -1, 1.5, "1", 2**63, [1])
"""Values that are not slots; a request with one of them as its slot is malformed."""

# Slots next to which a representation may change: its digits, its sign, its size, its precision.
_BORDERS = (0, 9, 2**31 - 1, 2**32 - 1, 2**53, HIGHEST)

# The number of the first request, and the distance from one number to the next.
_STARTS = (0, 1, -1, -100, 2**31 - 1, 2**53 - 1, 2**63 - 1, -(2**63), 10**20)
_STEPS = (1, 1, -1, 7, 2**32)

# The most gaps in a sequence of slots: messages name each range of known slots.
_GAPS = 12


class Vocabulary:
    """The choice of one seed; names, slots, numbers and values are independent of each other."""

    def __init__(self, seed: object) -> None:
        self._seed = seed
        rng = self.rng("values")
        self._group, self._value = (rng.randrange(len(ALMOST_EQUAL)) for _ in range(2))
        rng = self.rng("numbers")
        self._start, self._step = rng.choice(_STARTS), rng.choice(_STEPS)

    def rng(self, kind: str) -> random.Random:
        """Return the PRNG for one purpose."""
        return random.Random(f"{self._seed} {kind}")

    def members(self, count: int) -> list[str]:
        """Return names of members in the order of `node_ids`, which is not alphabetical."""
        rng = self.rng("members")
        pools: Sequence[Iterable[str]] = (
            [f"n{number}" for number in range(1, count + 1)],
            [f"n{number}" for number in range(max(1, 11 - count), 12 + count)],
            ["n" * length for length in range(1, count + 3)],
            [f"n{'0' * zeros}" for zeros in range(count)] + ["n1", "n10", "n100"],
            ODD_NAMES,
            ODD_NAMES,
        )
        pool = list(rng.choice(pools))
        if count > len(pool):
            pool += [f"m{number}" for number in range(count)]
        return rng.sample(pool, count)

    def clients(self, count: int, members: Sequence[str]) -> list[str]:
        """Return names of clients, similar to those of members and different from them."""
        rng = self.rng("clients")
        near = [name + "1" for name in members] + [name[:-1] for name in members]
        near += [f"n{len(members) + 1}", *(name.swapcase() for name in members)]
        pool = [*dict.fromkeys([*CLIENTS, *ODD_NAMES, *near, *near])]
        free = [name for name in pool if name not in members and name != "fence"]
        free += [f"client {number}" for number in range(count - len(free))]
        return rng.sample(free, count)

    def number(self, place: int) -> int:
        """Return the number of a request, any integer; it differs between places."""
        return self._start + self._step * place

    def value(self, topic: int, variant: int) -> Json:
        """Return a value: the first variants of a topic are almost equal; no two are equal."""
        around, place = divmod(topic, len(ALMOST_EQUAL))
        group = ALMOST_EQUAL[(self._group + place) % len(ALMOST_EQUAL)]
        again, place = divmod(variant, len(group))
        value = group[(self._value + place) % len(group)]
        if around or again:
            value = [value, around, again] if around % 2 else {"it": value, "at": [around, again]}
        return value

    def slots(self, count: int, first: int = 0) -> Slots:
        """Return `count` ascending slots, which stand for the places from `first` on."""
        return Slots(self.rng("slots"), count, first)


class Slots:
    """Ascending slots that stand for consecutive places.

    Most are consecutive, some have gaps between them; they form one to three groups near borders.
    """

    def __init__(self, rng: random.Random, count: int, first: int = 0) -> None:
        self._first = first
        groups = rng.randint(1, min(3, count))
        ends = [*sorted(rng.sample(range(1, count), groups - 1)), count]
        borders = sorted(rng.sample(_BORDERS, groups))
        gaps = set(rng.sample(range(count), min(count // 2, rng.randint(0, _GAPS))))
        self._slots: list[int] = []
        for begin, end, border in zip([0, *ends], ends, borders, strict=False):
            offsets = [0]
            for place in range(begin + 1, end):
                offsets.append(offsets[-1] + (rng.choice((2, 3, 1000)) if place in gaps else 1))
            least = self._slots[-1] + 1 if self._slots else 0
            base = max(border - rng.choice((offsets[-1], rng.choice(offsets))), least)
            base = min(base, HIGHEST - offsets[-1])
            self._slots += [base + offset for offset in offsets]

    def __call__(self, place: int) -> int:
        """Return the slot that stands for a place; beyond the ends the first or the last one."""
        return self._slots[min(max(place - self._first, 0), len(self._slots) - 1)]

    def place(self, slot: int) -> int:
        """Return the place that a slot stands for."""
        return bisect_right(self._slots, slot) - 1 + self._first

    def ranges(self, known: Iterable[Sequence[int]]) -> list[list[int]]:
        """Map ranges of places to ranges of slots; adjacent ones may no longer be adjacent."""
        return ranges(self(place) for low, high in known for place in range(low, high + 1))


def reordered(value: Json, rng: random.Random) -> Json:
    """Return an equal value with the keys of its objects in another order."""
    if isinstance(value, dict):
        items = [(key, reordered(item, rng)) for key, item in value.items()]
        return dict(rng.sample(items, len(items)))
    if isinstance(value, list):
        return [reordered(item, rng) for item in value]
    return value
