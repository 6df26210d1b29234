"""The results of all mutants: rows, scores compared with their targets, and their files.

Nothing here runs anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit

from .machine import Change
from .survivors import EQUIVALENT, GAP, Explanation

HAND, MACHINE, MODEL = "hand", "machine", "model"
CHECKS = ("replay", "validate", "simulate", "processes", "load", "growth", "invariants")
"""The columns of the matrix: golden traces, trace validation of recorded runs, simulations, real
processes on files whose power is cut, simulated clusters under load, counted work at two sizes, and
TLC on the specification itself, for bugs that are also mutants of the specification.  Load and
growth are only for the bugs by hand that the checks before them do not catch."""

TARGETS = {"hand": 100.0, "safety by replay": 95.0, "machine": 95.0, "models": 100.0}


class Found(NamedTuple):
    """How a check has caught a mutant, or None; and in how many seconds."""

    how: str | None
    seconds: float


@dataclass
class Row:
    """A mutant, and the results of the checks that were run.

    `key` is equal for two rows only if they are about the same mutant and the same checks.
    """

    group: str
    name: str
    key: str
    what: str = ""
    breaks: str = ""
    change: Change | None = None
    found: dict[str, Found] = field(default_factory=dict)
    explanation: Explanation | None = None

    @property
    def caught(self) -> bool:
        return any(found.how for found in self.found.values())

    def caught_by(self, check: str) -> bool:
        return check in self.found and self.found[check].how is not None

    @property
    def equivalent(self) -> bool:
        return self.explanation is not None and self.explanation.verdict == EQUIVALENT


class Score(NamedTuple):
    """So many of so many, and the least per cent that is enough."""

    what: str
    caught: int
    of: int
    target: float

    @property
    def percent(self) -> float:
        return 100 * self.caught / self.of if self.of else 0.0

    @property
    def reached(self) -> bool:
        return self.of > 0 and self.percent >= self.target


def scores(rows: Sequence[Row]) -> list[Score]:
    """The scores that are aimed at; a group without rows reaches nothing."""
    hand, machine, models = (
        [row for row in rows if row.group == group] for group in (HAND, MACHINE, MODEL)
    )
    safety = [row for row in hand if row.breaks == "safety"]
    different = [row for row in machine if not row.equivalent]
    return [
        Score("bugs by hand", count(hand), len(hand), TARGETS["hand"]),
        Score(
            "bugs of safety, by replay alone",
            sum(row.caught_by("replay") for row in safety),
            len(safety),
            TARGETS["safety by replay"],
        ),
        Score(
            "mutants by machine that are not equivalent",
            count(different),
            len(different),
            TARGETS["machine"],
        ),
        Score("broken models", count(models), len(models), TARGETS["models"]),
    ]


def count(rows: Iterable[Row]) -> int:
    return sum(row.caught for row in rows)


def unexplained(rows: Iterable[Row]) -> list[Row]:
    return [
        row for row in rows if row.group == MACHINE and not row.caught and row.explanation is None
    ]


# Tables, for people on a screen and in Markdown.


def by_hand(rows: Iterable[Row]) -> list[list[Any]]:
    """A line for each kind of bug: how many there are, and how many each check catches."""
    chosen = [row for row in rows if row.group == HAND]
    kinds = dict.fromkeys(row.breaks for row in chosen)
    return [
        [
            kind,
            len(alike),
            *(sum(row.caught_by(check) for row in alike) for check in CHECKS),
            count(alike),
        ]
        for kind in kinds
        for alike in [[row for row in chosen if row.breaks == kind]]
    ]


def by_module(rows: Iterable[Row]) -> list[list[Any]]:
    """A row for each module: its mutants, the checks that caught them first, and survivors."""
    chosen = [row for row in rows if row.group == MACHINE]
    lines = []
    for module in dict.fromkeys(row.change.module for row in chosen):
        alike = [row for row in chosen if row.change.module == module]
        alive = [row for row in alike if not row.caught]
        verdicts = [row.explanation.verdict for row in alive if row.explanation]
        lines.append(
            [
                module,
                len(alike),
                *(sum(row.caught_by(check) for row in alike) for check in CHECKS[:3]),
                verdicts.count(EQUIVALENT),
                verdicts.count(GAP),
                len(alive) - len(verdicts),
            ]
        )
    return lines


HAND_COLUMNS = ("breaks", "bugs", *CHECKS, "caught")
MACHINE_COLUMNS = ("module", "mutants", *CHECKS[:3], "equivalent", "gaps", "unexplained")


def markdown(rows: Sequence[Row], seed: int) -> str:
    """The whole matrix as a page."""
    parts = [
        f"# Kill matrix\n\nSeed {seed}. A cell has the seconds in which the mutant was caught;"
        " `-` is not caught, and nothing is not tried.",
        "## Scores",
        *lines(
            ("what", "caught", "of", "score", "target", "reached"),
            (
                (
                    each.what,
                    each.caught,
                    each.of,
                    f"{each.percent:.1f} %",
                    f"{each.target:g} %",
                    "yes" if each.reached else "NO",
                )
                for each in scores(rows)
            ),
        ),
        "## By hand",
        *lines(HAND_COLUMNS, by_hand(rows)),
        *lines(
            ("bug", "breaks", *CHECKS, "what it is"),
            (
                (f"`{row.name}`", row.breaks, *cells(row), row.what)
                for row in rows
                if row.group == HAND
            ),
        ),
        "## By machine",
        *lines(MACHINE_COLUMNS, by_module(rows)),
        "### Survivors",
        *lines(
            ("mutant", "verdict", "why"),
            (
                (
                    f"`{row.name}`",
                    row.explanation.verdict if row.explanation else "unexplained",
                    row.explanation.why if row.explanation else "",
                )
                for row in rows
                if row.group == MACHINE and not row.caught
            ),
        ),
        "### All",
        *lines(
            ("mutant", *CHECKS[:3]),
            ((f"`{row.name}`", *cells(row)[:3]) for row in rows if row.group == MACHINE),
        ),
        "## Broken models",
        *lines(
            ("model", "caught by", "seconds", "what it is"),
            (
                (
                    f"`{row.name}`",
                    row.found["invariants"].how or "-",
                    f"{row.found['invariants'].seconds:.1f}",
                    row.what,
                )
                for row in rows
                if row.group == MODEL
            ),
        ),
    ]
    return "\n".join(parts) + "\n"


def cells(row: Row) -> list[str]:
    found = [row.found.get(check) for check in CHECKS]
    return ["" if each is None else f"{each.seconds:.2f}" if each.how else "-" for each in found]


def lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    # A bar ends a cell of Markdown even within code.
    body = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *body, ""]


# Files.


def save(file: Path, rows: Iterable[Row], seed: int) -> None:
    """Write all rows as JSON, at once or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    saved = {
        "seed": seed,
        "rows": [
            asdict(row) | {"found": {check: found._asdict() for check, found in row.found.items()}}
            for row in rows
        ],
    }
    new = file.with_suffix(".new")
    new.write_text(json.dumps(saved, indent=1) + "\n", "utf-8")
    new.replace(file)


def found_before(file: Path) -> dict[str, dict[str, Found]]:
    """Return earlier results by the keys of rows; nothing if there is no such file."""
    if not file.exists():
        return {}
    results: dict[str, dict[str, Found]] = {}
    for row in json.loads(file.read_text("utf-8"))["rows"]:
        # A generated mutant may equal one written by hand, with fewer checks.
        row_results = results.setdefault(row["key"], {})
        row_results.update({check: Found(**found) for check, found in row["found"].items()})
    return results


def stubs(rows: Iterable[Row]) -> str:
    """What `survivors.toml` needs for these rows, but for the verdict and the reason."""
    tables = tomlkit.aot()
    for row in rows:
        change = row.change
        table = tomlkit.table()
        table.update(
            {
                "module": change.module,
                "place": change.place,
                "line": change.line,
                "mutated": [change.mutated],
                "verdict": "",
                "why": "",
            }
        )
        tables.append(table)
    return tomlkit.dumps({"survivor": tables})
