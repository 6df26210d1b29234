"""Coverage by real runs: of the specification by recorded traces, of models by exploration.

Runs the measurements with progress on a line, and prints the results.
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
from . import traces
from .traces import TraceCoverage


def validate(
    clusters: Sequence[Sequence[Record]], batch: int, window: int | None = WINDOW
) -> tuple[list[Verdict], TraceCoverage]:
    """Validate traces and measure what they cover, with progress on a line."""
    with report.Line(f"validating {sum(map(len, clusters)):,} records") as line:
        return traces.validate(clusters, batch, window=window, on_progress=line.update)


def show_trace_coverage(found: TraceCoverage) -> None:
    """Print the actions and branches that real runs cover, and the uncovered branches."""
    actions = [(name, count, count > 0) for name, count in found.actions.items()]
    report.table("Actions in real runs", ("action", "#records", "result"), actions)
    there, left = len(found.branches), len(found.uncovered)
    report.table(
        "Branches in real runs",
        ("module", "#branches", "#covered", "#uncovered", "result"),
        [(traces.SPEC.stem, there, there - left, left, not left)],
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
    """Run real processes in the state spaces of models, as many at a time as there are cores."""
    chosen = [(model, generated) for model, generated in made if generated.automata]
    total, done = len(chosen) * runs, 0
    with report.Line(f"exploration of {len(chosen)} models") as line:

        def update(name: str, text: str) -> None:
            nonlocal done
            done += 1
            line.update(f"{name}, {text}", done / total)

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
                on_progress=lambda text: update(model.name, text),
            )

        def size(each: tuple[Model, Generated]) -> float:
            return each[1].transitions

        return {model.name: found for (model, _), found in at_once(run, chosen, cost=size)}


def passed(explored: dict[str, Explored]) -> bool:
    """Return whether there were runs and no node differs from its model."""
    return bool(explored) and all(f.covered and not f.differences for f in explored.values())


def show_explored(explored: dict[str, Explored], command: Sequence[str], seed: int) -> None:
    """Print how much of each model was covered, differences, and how to repeat them."""
    rows = []
    for name, figures in {**_figures(explored), "all": _sums(explored)}.items():
        there, covered, moves, moved, *rest = figures.values()
        same = passed(explored if name == "all" else {name: explored[name]})
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
        "#transitions",
        "#covered",
        "#%",
        "#state-changing",
        "#covered",
        "#%",
        "#runs",
        "#within bounds",
        "#out of bounds",
        "result",
    )
    report.table("Transitions covered by exploration", columns, rows)
    for name, found in explored.items():
        for difference in found.differences:
            report.say(difference.text())
            report.warn(
                f"To repeat it: python -m conformance explore {name} -o again "
                f"--runs {found.runs} --seed {seed} -- {shlex.join(command)}"
            )


def as_json(covered: TraceCoverage, explored: dict[str, Explored], seed: int) -> dict[str, Any]:
    """Return all of it as pinned results have it; the same for the same seed on any machine."""
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
