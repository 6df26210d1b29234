"""Count how many mutants of the node the harness catches, without the unit tests.

    python -m tests.mutants
    python -m tests.mutants --only promise

The package `mutants` has the mutants, the checks and the targets.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import click

from conformance import checking, report
from conformance.formats import logs
from conformance.jobs import cores
from conformance.models import manifest, searching
from conformance.models.manifest import Model
from conformance.running import syscalls
from conformance.tlaplus.tlc import ToolError
from tests.mutants import bugs, machine, runs, score, sources, survivors
from tests.mutants.pool import CheckError, Pool, pool
from tests.mutants.score import HAND, MACHINE, MODEL, Found, Row
from tests.mutants.sources import RIGHT, ROOT, Mutant

Result = TypeVar("Result")

REPLAY_SECONDS, RECORD_SECONDS, SIMULATE_SECONDS, PROCESSES_SECONDS = 30, 60, 60, 60
LOAD_SECONDS, GROWTH_SECONDS = 120, 60
"""Of a processor, many times what the right node takes."""

SECONDS = {
    "replay": REPLAY_SECONDS,
    "simulate": SIMULATE_SECONDS,
    "processes": PROCESSES_SECONDS,
    "load": LOAD_SECONDS,
    "growth": GROWTH_SECONDS,
}

AROUND = {"files", "formats", "message_log", "process", "storage"}
"""Modules that run only in a process, not in a simulation."""

SEEDS = 100
"""Seeds that are simulated for a mutant."""

CHECK_FILES = (
    "growth/work.py",
    "simulation/clients.py",
    "simulation/disk.py",
    "simulation/faults.py",
    "simulation/loaded.py",
    "simulation/loads.py",
    "simulation/lives.py",
    "simulation/trial.py",
    "simulation/cluster.py",
    "mutants/checks.py",
    "mutants/processes.py",
    "mutants/runs.py",
    "mutants/within.py",
    "mutants/zygote.py",
)
"""The files of tests/ that the checks consist of."""

FEW = 50
"""So many rows are shown with what is well in them."""

SAVED_EVERY = 20.0
"""Seconds after which what was found is written down: a run that is ended goes on from there."""


@dataclass
class Hunt:
    """What all mutants have in common: the checks, and the results so far."""

    checks: Pool
    seed: int
    output: Path
    rows: list[Row] = field(default_factory=list)
    saved: float = field(default_factory=time.monotonic)

    @property
    def right(self) -> Path:
        return self.output / "right"

    @property
    def runs(self) -> Path:
        """Where logs are until they are checked: many, and soon made again."""
        return self.output / "runs"

    def check(self, row: Row, mutant: Mutant, check: str) -> str | None:
        """Return the result of one check, from this run or an earlier one."""
        if check not in row.found:
            seconds = SECONDS[check]
            row.found[check] = Found(
                *self.checks.check(mutant, check, seconds=seconds, first=self.seed, seeds=SEEDS)
            )
        return row.found[check].how

    def record(self, row: Row, mutant: Mutant) -> list[Path]:
        """Record a mutant's runs; the result are the logs that are to be checked."""
        folder = self.runs / row.key
        shutil.rmtree(folder, ignore_errors=True)
        how, seconds = self.checks.check(
            mutant, "record", seconds=RECORD_SECONDS, first=self.seed, folder=str(folder)
        )
        doubtful = [] if how else runs.different(folder, self.right)
        if not doubtful:
            row.found["validate"] = Found(how, seconds)
        return doubtful

    def validate(self, title: str, wanted: Sequence[tuple[Row, Mutant]]) -> None:
        """Record the runs of mutants, and check them by trace validation."""
        rows = {row.key: row for row, _ in wanted if "validate" not in row.found}
        chosen = [(row, mutant) for row, mutant in wanted if row.key in rows]
        doubtful = self.each(f"{title}: recorded", chosen, self.record)
        given = {key: found for key, found in zip(rows, doubtful, strict=True) if found}
        begun = time.monotonic()
        with report.Line(f"{title}: {len(given)} checked by trace validation") as line:
            found = runs.rejected(given, line.update)
        for key, how in found.items():
            rows[key].found["validate"] = Found(how, (time.monotonic() - begun) / len(found))
        shutil.rmtree(self.runs, ignore_errors=True)
        self.save()

    def each(
        self, title: str, wanted: Sequence[tuple[Row, Mutant]], do: Callable[[Row, Mutant], Result]
    ) -> list[Result]:
        """Do the same with all of them, as many at a time as there are cores for."""
        done: list[Result] = []
        with (
            report.Line(f"{title}: {len(wanted):,} mutants") as line,
            ThreadPoolExecutor(cores()) as threads,
        ):
            for found in threads.map(lambda one: do(*one), wanted):
                done.append(found)
                line.update(f"{len(done):,} done")
                if time.monotonic() - self.saved >= SAVED_EVERY:
                    self.save()
        self.save()
        return done

    def save(self) -> None:
        self.saved = time.monotonic()
        score.save(self.output / "results.json", self.rows, self.seed)


# The checks.


def check_right_node(hunt: Hunt) -> None:
    """Raise CheckError if a check catches the right node."""
    if why := syscalls.why_not():
        raise CheckError(f"the power of a node cannot be cut without strace: {why}")
    row = Row("right", RIGHT.name, "right")
    for check in SECONDS:
        hunt.check(row, RIGHT, check)
    shutil.rmtree(hunt.right, ignore_errors=True)
    how, seconds = hunt.checks.check(
        RIGHT, "record", seconds=RECORD_SECONDS, first=hunt.seed, folder=str(hunt.right)
    )
    how = how or runs.rejected({"right": logs.find([hunt.right])})["right"]
    row.found["validate"] = Found(how, seconds)
    for check, found in row.found.items():
        if found.how:
            raise CheckError(
                f"the right node is caught by {check}, so its results for mutants mean "
                f"nothing: {found.how}; are the golden traces old? make check"
            )


def hunt_by_hand(hunt: Hunt, wanted: Sequence[tuple[Row, Mutant]]) -> None:
    """Run the first three checks for every bug, which is the matrix, and the others for the bugs
    that are left."""

    def ask(row: Row, mutant: Mutant) -> None:
        hunt.check(row, mutant, "replay")
        if mutant.texts.keys() & AROUND or row.breaks == "process":
            hunt.check(row, mutant, "processes")
        if not mutant.texts.keys() <= AROUND:
            # A simulation has lines and disks of its own.
            hunt.check(row, mutant, "simulate")

    hunt.each("bugs by hand: replayed, simulated and run as processes", wanted, ask)
    hunt.validate("bugs by hand", wanted)

    def ask_further(row: Row, mutant: Mutant) -> None:
        for check in "load", "growth":
            if not row.caught:
                hunt.check(row, mutant, check)

    left = [(row, mutant) for row, mutant in wanted if not row.caught]
    hunt.each("bugs by hand: under load, and growth", left, ask_further)


def hunt_by_machine(hunt: Hunt, wanted: Sequence[tuple[Row, Mutant]]) -> None:
    """Run each check for the mutants that the checks before it have not caught."""

    def alive() -> list[tuple[Row, Mutant]]:
        return [(row, mutant) for row, mutant in wanted if not row.caught]

    def replay(row: Row, mutant: Mutant) -> None:
        hunt.check(row, mutant, "replay")

    def simulate(row: Row, mutant: Mutant) -> None:
        hunt.check(row, mutant, "simulate")

    hunt.each("by machine: replayed", wanted, replay)
    hunt.validate("by machine", alive())
    hunt.each("by machine: simulated", alive(), simulate)


def hunt_models(hunt: Hunt, wanted: Sequence[tuple[Row, Model]]) -> None:
    """Check that TLC finds in a mutant of the specification what the manifest lists."""
    rows = {model.name: row for row, model in wanted}

    def note(found: searching.ModelRow) -> None:
        how = found.outcome.violated if found.passed else None
        rows[found.model.name].found["invariants"] = Found(how, found.outcome.seconds)
        hunt.save()

    searching.models([model for row, model in wanted if not row.found], on_found=note)


def add_spec_mutants(rows: Sequence[Row], known: Iterable[bugs.Bug]) -> None:
    """Add TLC's answer to each bug by hand that is a mutant of the specification, too."""
    models = {row.name: row for row in rows if row.group == MODEL}
    names = {bug.name: bug.spec_mutant for bug in known}
    for row in rows:
        mutant = models.get(names[row.name]) if row.group == HAND else None
        if mutant is not None and mutant.found:
            row.found |= mutant.found


# What there is.


def golden_traces(folder: Path, seed: int) -> None:
    """Generate the golden traces that are missing."""
    wanted = [model for model in manifest.load().values() if model.golden or model.expect == "runs"]
    missing = [model for model in wanted if not any((folder / model.name).glob("*.ndjson"))]
    if missing:
        checking.generated(missing, folder, seed)


def evidence(golden: Path, seed: int) -> str:
    """What all answers depend on beside the mutant: node, harness, logs and seed."""
    files = [
        path
        for folder in ("impl", "conformance")
        for path in (ROOT / folder).rglob("*.*")
        if "__pycache__" not in path.parts
    ]
    files += [ROOT / "tests" / name for name in CHECK_FILES]
    return f"{seed}-{sources.digest([*files, *golden.rglob('*.ndjson')])}"


def collect(
    known: Sequence[bugs.Bug], changes: dict[machine.Change, Mutant], shared: str, file: Path
) -> list[Row]:
    """A row for each mutant and each broken model, with what was found before."""
    specification = sources.digest((ROOT / "spec").rglob("*.*"))
    rows = [
        Row(HAND, bug.name, f"{shared}-{bug.mutant().digest()}", bug.what, bug.breaks)
        for bug in known
    ]
    rows += [
        Row(MACHINE, mutant.name, f"{shared}-{mutant.digest()}", change=change)
        for change, mutant in changes.items()
    ]
    rows += [
        Row(MODEL, model.name, f"{specification}-{model.name}", model.purpose)
        for model in manifest.load().values()
        if model.expect == "breaks"
    ]
    before = score.found_before(file)
    for row in rows:
        row.found = dict(before.get(row.key, {}))
    return rows


def explain(rows: Iterable[Row], explained: dict[machine.Change, survivors.Explanation]) -> None:
    for row in rows:
        row.explanation = explained.get(row.change) if not row.caught else None


# The command.


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Example:
  python -m tests.mutants -o out/mutants

Exit status: 0 all targets are reached, 1 one is not or a survivor is not explained, 2 could not be
run.""",
)
@click.option("--seed", default=1, show_default=True, help="Seed of recorded runs and simulations.")
@click.option(
    "--golden",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default="out/golden",
    show_default=True,
    help="Golden traces as `check` leaves them; made if they are not there.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default="out/mutants",
    show_default=True,
    help="Folder for the matrix; a run that was ended goes on from what is there.",
)
@click.option("--only", metavar="TEXT", help="Only mutants with this in their names, and no score.")
def main(seed: int, golden: Path, output: Path, only: str | None) -> None:
    """Run the harness on mutants of the node and the specification; count how many it catches."""
    try:
        sys.exit(mutate(seed, golden, output.resolve(), only))
    except (CheckError, ToolError, bugs.PatchError, survivors.ExplanationError, OSError) as error:
        report.warn(f"mutate: {error}", style="red")
        sys.exit(2)


def mutate(seed: int, golden: Path, output: Path, only: str | None) -> int:
    golden_traces(golden, seed)
    known, explained = bugs.load(), survivors.load()
    with report.Line("mutants are made"):
        changes = machine.mutants()
    rows = collect(known, changes, evidence(golden, seed), output / "results.json")
    chosen = [row for row in rows if only is None or only in row.name]
    if not chosen:
        raise CheckError(f"no mutant has {only} in its name")
    made = {mutant.name: mutant for mutant in (*(bug.mutant() for bug in known), *changes.values())}
    models = manifest.load()
    with pool(cores(), golden.resolve()) as checks:
        hunt = Hunt(checks, seed, output, rows)
        check_right_node(hunt)
        for group, check in (HAND, hunt_by_hand), (MACHINE, hunt_by_machine):
            check(hunt, [(row, made[row.name]) for row in chosen if row.group == group])
    hunt_models(hunt, [(row, models[row.name]) for row in chosen if row.group == MODEL])
    add_spec_mutants(chosen, known)
    explain(rows, explained)
    hunt.save()
    if only is not None:
        return show(chosen)
    stale = survivors.stale(
        explained,
        changes,
        {row.change for row in rows if row.caught},
        {row.change for row in rows if row.caught_by("replay")},
    )
    return concluded(rows, stale, output, seed)


def show(rows: Sequence[Row]) -> int:
    """What came of a few mutants; status 1 if one survived."""
    alive = [row for row in rows if not row.caught]
    report.table(
        "Mutants",
        ("mutant", *score.CHECKS),
        ((row.name, *score.cells(row)) for row in (rows if len(rows) <= FEW else alive)),
    )
    report.say(f"{len(rows):,} mutants, {len(alive):,} survive")
    return 1 if alive else 0


def concluded(rows: Sequence[Row], stale: Sequence[str], output: Path, seed: int) -> int:
    """Show and write what came of all; the result is the exit status."""
    (output / "matrix.md").write_text(score.markdown(rows, seed), "utf-8")
    left = score.unexplained(rows)
    (output / "unexplained.toml").write_text(score.stubs(left), "utf-8")
    report.table("Bugs by hand", numbers(score.HAND_COLUMNS), score.by_hand(rows))
    report.table("Mutants by machine", numbers(score.MACHINE_COLUMNS), score.by_module(rows))
    reached = score.scores(rows)
    report.table(
        f"The mutation score, seed {seed}",
        ("what", "#caught", "#of", "#score", "reached"),
        (
            (each.what, each.caught, each.of, f"{each.percent:.1f} %", each.reached)
            for each in reached
        ),
    )
    alive = [row for row in rows if not row.caught and row.group != MACHINE]
    for text in (
        *(f"not caught: {row.name}" for row in alive),
        *stale,
        *(f"survives without an explanation: {row.name}" for row in left[:20]),
    ):
        report.warn(text, style="red")
    report.say(f"{output}/matrix.md has all of it; again: python -m tests.mutants --seed {seed}")
    return 0 if all(each.reached for each in reached) and not (alive or stale or left) else 1


def numbers(columns: Sequence[str]) -> tuple[str, ...]:
    return (columns[0], *(f"#{column}" for column in columns[1:]))
