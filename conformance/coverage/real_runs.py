"""What real runs cover, for people and as one value: by their logs, and in small worlds.

Has it measured, tells how far it is and shows what was found; what counts is decided in `covered`
and in `explore`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .. import report
from ..formats.logs import Record
from ..golden.generate import Generated
from ..jobs import at_once
from ..models.manifest import Model
from ..running import explore as exploring
from ..running.explore import Explored
from ..validation.step_checker import WINDOW
from ..validation.verdict import Verdict
from . import traces as visiting
from .traces import TraceCoverage


def validate(
    clusters: Sequence[Sequence[Record]], batch: int, window: int | None = WINDOW
) -> tuple[list[Verdict], TraceCoverage]:
    """Judges logs and sees what they visit, with a line that tells how far it is."""
    with report.Line(f"judging {sum(map(len, clusters)):,} records") as line:
        return visiting.validate(clusters, batch, window=window, on_progress=line.tell)


def show_trace_coverage(found: TraceCoverage) -> None:
    """The actions and branches that real runs cover, and those that they have not."""
    actions = [(name, count, count > 0) for name, count in found.actions.items()]
    report.table("Actions in real runs", ("action", "#records", "agrees"), actions)
    there, left = len(found.branches), len(found.uncovered)
    report.table(
        "Branches in real runs",
        ("module", "#branches", "#covered", "#uncovered", "agrees"),
        [(visiting.SPEC.stem, there, there - left, left, not left)],
    )
    for branch in found.uncovered:
        report.warn(branch.uncovered())


def explore(
    folder: Path,
    command: Sequence[str],
    made: Iterable[tuple[Model, Generated]],
    runs: int,
    seed: int,
    seconds: float = 30,
) -> dict[str, Explored]:
    """Has real processes explore models, as many at a time as there are cores for."""
    chosen = [(model, generated) for model, generated in made if generated.automata]
    with report.Line(f"real processes in the worlds of {len(chosen)} models") as line:

        def run(each: tuple[Model, Generated]) -> Explored:
            model, generated = each
            return exploring.explore(
                folder / model.name,
                [*command, "--batch", "1"],
                generated.members,
                generated.automata,
                runs=runs,
                seed=seed,
                seconds=seconds,
                on_progress=lambda text: line.tell(f"{model.name}, {text}"),
            )

        return {model.name: found for (model, _), found in at_once(run, chosen)}


def agrees(explored: dict[str, Explored]) -> bool:
    """Whether there were runs and no node differs from its model."""
    return bool(explored) and all(f.covered and not f.differences for f in explored.values())


def show_explored(explored: dict[str, Explored], command: Sequence[str], seed: int) -> None:
    """How much of each model was covered; where a node differs, and how to see it again."""
    rows = []
    for name, figures in {**_figures(explored), "all": _sums(explored)}.items():
        there, covered, moves, moved, *rest = figures.values()
        same = agrees(explored if name == "all" else {name: explored[name]})
        rows.append(
            (
                name,
                there,
                covered,
                _share(covered, there),
                moves,
                moved,
                _share(moved, moves),
                *rest,
                same,
            )
        )
    columns = (
        "model",
        "#local",
        "#covered",
        "#%",
        "#moves",
        "#covered",
        "#%",
        "#runs",
        "#inside",
        "#outside",
        "agrees",
    )
    report.table("Local transitions in real runs", columns, rows)
    for name, found in explored.items():
        for difference in found.differences:
            report.say(difference.words())
            report.warn(
                f"To see it again: python -m conformance explore {name} -o again "
                f"--runs {found.runs} --seed {seed} -- {shlex.join(command)}"
            )


def as_json(covered: TraceCoverage, explored: dict[str, Explored], seed: int) -> dict[str, Any]:
    """All of it as JSON has it; the same for the same seed on any machine."""
    return {
        "seed": seed,
        **covered.as_json(),
        "models": _figures(explored),
        "all_models": _sums(explored),
    }


def _figures(explored: dict[str, Explored]) -> dict[str, dict[str, int]]:
    return {name: found.as_json() for name, found in explored.items()}


def _sums(explored: dict[str, Explored]) -> dict[str, int]:
    every = _figures(explored).values()
    return {name: sum(figures[name] for figures in every) for name in exploring.FIGURES}


def _share(some: int, every: int) -> str:
    # Rounded down, so that only the whole is shown as the whole.
    return f"{100 * some // every if every else 0}"
