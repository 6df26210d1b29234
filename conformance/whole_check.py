"""The verb `check`: all phases, one after the other, a line for each and one verdict at the end.

Results that depend on nothing that changed since they were found are taken from the cache (see
`cache`): those of TLC by the specification, those of this project's own node by its files.  Runs
of another node are never cached.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import cache, checking, locations, report
from .cache import Cache
from .coverage import pinned, real_runs
from .coverage import traces as trace_coverage
from .coverage.traces import TraceCoverage
from .formats import logs
from .formats.folders import fresh
from .golden.generate import Generated
from .models import branches as branching
from .models import manifest, searching
from .models.manifest import Model
from .proving import counts as proof_counts
from .results import Case, Results
from .running import record as recording
from .running import replay as replaying
from .running.cluster import NodeWrong
from .running.explore import Explored
from .running.record import Recorded
from .running.replay import Replayed
from .tlaplus import tlc
from .validation.verdict import Rejection, Verdict

Json = Any

# The recorded runs: nodes and requests, and a --batch so small that a `learned` may have to leave
# something out.
CLUSTERS, BATCH = ((1, 50), (3, 200), (5, 200)), 2

# So small that even these traces are validated in several windows.
SMALL_WINDOW = 300

# Runs in the exploration of each model.
RUNS = 10

PHASES = 8

# What runs a node, for the checksum of its results.
_RUNNERS = ("running.record", "running.replay", "running.explore")


@dataclass
class Phase:
    """What a phase found: a summary, its cases, and the command that repeats what failed."""

    title: str
    summary: str = ""
    cases: list[Case] = field(default_factory=list)
    again: str = ""
    cached: int = 0
    of: int = 0

    @property
    def passed(self) -> bool:
        return bool(self.cases) and all(case.status == "pass" for case in self.cases)

    def add(self, suite: str, name: str, reason: str, seconds: float = 0.0) -> None:
        """Add a case, which passes if there is no reason against it."""
        self.cases.append(Case(suite, name, "fail" if reason else "pass", seconds, reason))


@dataclass
class Check:
    """One run of `check`: its options, its caches, and the phases that have ended.

    `store` caches what TLC finds, `runs` what this project's own node does.
    """

    output: Path
    seed: int
    node: tuple[str, ...]
    store: Cache
    runs: Cache
    results: Results
    quiet: bool = False
    phases: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """Run a phase: print one line when it ends, and add its cases to the results."""
        phase, started = Phase(title), time.monotonic()
        with report.phase(len(self.phases) + 1, PHASES) as prefix:
            report.warn(f"{prefix}{title} ...", style="dim")
            yield phase
        self.results.cases += phase.cases
        self.phases.append(phase)
        if self.quiet and phase.passed:
            return
        result = "PASS" if phase.passed else "FAIL"
        some = "cached" if phase.cached == phase.of else f"{phase.cached} of {phase.of} cached"
        note = f" ({some})" if phase.cached else ""
        seconds = report.duration(time.monotonic() - started)
        report.say(f"{prefix}{title}: {result}, {phase.summary}, {seconds}{note}")

    def verdict(self) -> bool:
        """Print the last line; return whether all phases passed."""
        failed = [phase for phase in self.phases if not phase.passed]
        seconds = report.duration(time.monotonic() - self._started)
        if not failed:
            counts = ", ".join(phase.summary for phase in self.phases if phase.summary)
            report.verdict(True, f"{counts} in {seconds}")
            return True
        again = next((phase.again for phase in failed if phase.again), "make check")
        titles = ", ".join(phase.title for phase in failed)
        report.verdict(False, f"{titles} in {seconds}; run next: {again}")
        return False

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def ours(self) -> bool:
        """Whether the node is this project's own."""
        return self.node == checking.NODE


def check(
    output: Path,
    seed: int,
    command: Sequence[str],
    *,
    pin: bool = False,
    use_cache: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    results: Results | None = None,
) -> bool:
    """Run all phases on the standard models; return whether all of them pass.

    `pin` commits the results if they are complete.  All tables are in `check.txt` in `output`;
    only rows that fail are printed, unless `verbose`.
    """
    if pin:
        locations.demand_checkout("--pin")
    node = tuple(command) or checking.NODE
    replaying.check_command(node)
    store = Cache(output / "cache" if use_cache else None)
    runs = Cache(None) if command else store
    run = Check(output, seed, node, store, runs, results or Results("check"), quiet)
    for old in ("golden", "run", "explored"):
        fresh(output / old)
    with report.copied(output / "check.txt", all_rows=verbose):
        _check_models(run)
        _check_branches(run)
        proofs = _prove(run)
        made = _generate(run)
        replayed = _replay(run, made)
        covered = _record_and_validate(run)
        explored = _explore(run, made)
        _compare_with_pinned(run, made, replayed, covered, explored, proofs, pin)
        if not run.quiet:
            report.say(f"all rows: {output / 'check.txt'}")
        return run.verdict()


def _check_models(run: Check) -> None:
    with run.phase("models") as phase:
        chosen = [model for model in searching.standard() if not model.golden]
        rows = searching.models(chosen, store=run.store)
        searching.show_models(rows)
        for row in rows:
            phase.add("models", row.model.name, row.reason, row.outcome.seconds)
        phase.summary = f"{len(rows):,} models"
        phase.cached, phase.of = sum(row.cached for row in rows), len(rows)
        failed = [row.model.name for row in rows if not row.passed]
        phase.again = f"python -m conformance models {' '.join(failed[:5])}"


def _check_branches(run: Check) -> None:
    with run.phase("branches of the specification") as phase:
        found = searching.coverage(run.store)
        searching.show_coverage(found)
        for module in branching.ROOTS:
            left = [each.uncovered() for each in found.uncovered if each.module == module]
            phase.add("branches", module, "\n".join(left))
        phase.summary = f"{len(found.branches):,} branches"
        phase.cached = phase.of = int(found.cached)
        phase.again = "python -m conformance coverage"


def _prove(run: Check) -> Json:
    """Prove what is proved for every size; return the counts of each theorem."""
    with run.phase("proofs") as phase:
        key = proof_counts.key()
        stored = run.store.get("prove", key)
        found = proof_counts.proved() if stored is None else proof_counts.Proofs(**stored)
        for name, failure in found.failures.items():
            phase.add("proofs", name, failure)
        if stored is None and phase.passed:
            run.store.put("prove", key, asdict(found))
        phase.summary = found.summary
        phase.cached, phase.of = int(stored is not None), 1
        phase.again = "python -m conformance prove"
    return found.figures


def _generate(run: Check) -> list[tuple[Model, Generated]]:
    """Generate golden traces, the random runs of the deep model among them."""
    with run.phase("golden traces") as phase:
        deep = [model for model in manifest.load().values() if model.expect == "runs"]
        chosen = [*manifest.golden(), *deep]
        made = checking.generated(chosen, run.output / "golden", run.seed, run.store)
        checking.show_generated(made)
        searched = [(model, found) for model, found in made if model.golden]
        rows = [searching.ModelRow(model, found.outcome) for model, found in searched]
        searching.show_models(rows)
        reasons = {row.model.name: row.reason for row in rows}
        for model, found in made:
            incomplete = "" if found.complete else "some transitions are not covered or verified"
            reason = reasons.get(model.name) or incomplete
            phase.add("golden traces", model.name, reason, found.outcome.seconds)
        traces = sum(len(found.logs) for _, found in made)
        phase.summary = f"{traces:,} golden traces of {len(made)} models"
        phase.cached, phase.of = sum(found.cached for _, found in made), len(made)
        failed = next((case.name for case in phase.cases if case.reason), "")
        phase.again = f"python -m conformance generate {failed} -o out/{failed}-again"
    return made


def _replay(run: Check, made: Sequence[tuple[Model, Generated]]) -> list[Replayed]:
    """Replay golden traces, each once: some with other names, the others as they are."""
    paths = [path for _, found in made for path in found.logs]
    other = checking.some_renamed(paths, run.seed)
    plain = sorted({*paths} - {*other})
    command = [*run.node, "--manual-clock", "--batch", "1"]
    with run.phase("replay") as phase:
        if run.ours:
            checking.compile_node()
        first, cached = _replayed(run, plain, command, None)
        renamed, also = _replayed(run, other, command, run.seed)
        every = [*first, *renamed]
        differing = [found.difference for found in every if found.difference]
        checking.show_differences(differing, command)
        for suite, results in (("replay", first), (f"replay, renamed {run.seed}", renamed)):
            for found in results:
                phase.cases.append(_case(suite, run.output / "golden", found))
        records = sum(found.steps for found in every)
        phase.summary = f"{len(every):,} replays with {records:,} records"
        phase.cached, phase.of = cached + also, 2
        if differing:
            seed = differing[0].renamed
            options = "" if seed is None else f" --renamed {seed}"
            place = differing[0].record.path
            phase.again = f"python -m conformance replay {place}{options} -- {shlex.join(command)}"
    return every


def _replayed(
    run: Check, paths: Sequence[Path], command: Sequence[str], renamed: int | None
) -> tuple[list[Replayed], bool]:
    """Replay traces, or take it from the cache that all of them pass; return whether it was so."""
    names = [str(path.relative_to(run.output)) for path in paths]
    key = cache.key(_node(run), list(zip(names, _digests(paths), strict=True)), renamed)
    steps = run.runs.get("replay", key)
    if steps is not None:
        return [Replayed(path, count, None) for path, count in zip(paths, steps, strict=True)], True
    found = checking.replay(paths, command, renamed=renamed)
    if all(each.tried and not each.difference for each in found):
        run.runs.put("replay", key, [each.steps for each in found])
    return found, False


def _case(suite: str, folder: Path, found: Replayed) -> Case:
    name = found.path.relative_to(folder).with_suffix("").as_posix()
    if found.difference:
        return Case(suite, name, "fail", reason=found.difference.text())
    if not found.tried:
        return Case(suite, name, "unknown", reason="not run: the node hangs in others")
    return Case(suite, name, "pass")


def _node(run: Check) -> Json:
    """Return what the results of this project's own node depend on, besides what it is given."""
    return [cache.files(locations.NODE_FOLDER.rglob("*.py")), cache.code(*_RUNNERS)]


def _digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _record_and_validate(run: Check) -> TraceCoverage | None:
    """Record runs of real clusters and validate their traces; return what these cover."""
    with run.phase("recorded runs") as phase:
        rows: list[tuple[Any, ...]] = []
        paths = [path for size in CLUSTERS if (path := _recorded(run, phase, rows, *size))]
        covered = None
        if len(paths) == len(CLUSTERS):
            clusters = list(map(logs.read, paths))
            covered = _validated(run, phase, rows, paths, clusters)
            real_runs.show_trace_coverage(covered)
            records = sum(map(len, clusters))
            phase.summary = f"{len(clusters)} recorded runs with {records:,} records"
        report.table("Recorded runs", ("what", "figure", "#time", "result"), rows)
        phase.of = len(CLUSTERS) + 1
    return covered


def _recorded(
    run: Check, phase: Phase, rows: list[tuple[Any, ...]], nodes: int, requests: int
) -> Path | None:
    """Record the run of a cluster; return the path of its trace, None if a node is wrong."""
    what, started = f"record {nodes} nodes, {requests} requests, seed {run.seed}", time.monotonic()
    command = [*run.node, "--batch", str(BATCH)]
    try:
        recorded, cached = _record(run, command, nodes, requests)
    except NodeWrong as error:
        report.say(str(error))
        phase.add("recorded runs", what, str(error))
        rows.append((what, "a node is wrong", time.monotonic() - started, False))
        return None
    phase.cached += cached
    happened = recorded.happened
    answered = happened["answered"] > 0
    counts = ", ".join(
        f"{happened[name]:,} {name}" for name in ("answered", "lost", "repeated", "crashes")
    )
    seconds = "cached" if cached else time.monotonic() - started
    rows.append((what, counts, seconds, answered))
    phase.add("recorded runs", what, "" if answered else "no request was answered")
    phase.again = phase.again or (
        f"python -m conformance record -o out/again --nodes {nodes} --requests {requests} "
        f"--seed {run.seed} -- {shlex.join(command)}"
    )
    return recorded.path


def _record(run: Check, command: Sequence[str], nodes: int, requests: int) -> tuple[Recorded, bool]:
    """Record the run of a cluster, or take it from the cache; return whether it was there.

    Raises `NodeWrong`.
    """
    folder = run.output / "run" / f"{nodes}-nodes"
    key = cache.key(_node(run), nodes, requests, run.seed, BATCH)
    stored = run.runs.get("record", key)
    if stored is not None:
        path = folder / str(stored["name"])
        folder.mkdir(parents=True)
        path.write_text(stored["text"], "utf-8")
        return Recorded(path, happened=Counter(stored["happened"])), True
    with report.Line(f"cluster of {nodes} nodes, seed {run.seed}") as line:
        found = recording.record(
            folder,
            command,
            nodes=nodes,
            requests=requests,
            seed=run.seed,
            on_progress=lambda count: line.update(f"{count:,} steps"),
        )
    if found.happened["answered"]:
        text = found.path.read_text("utf-8")
        value = {"name": found.path.name, "text": text, "happened": dict(found.happened)}
        run.runs.put("record", key, value)
    return found, False


@dataclass(frozen=True)
class Validated:
    """The validation of traces: in windows, with their coverage, and as wholes, as a cross-check.

    `same` is true if both had the same verdicts.  `seconds` are those of each, or "cached".
    """

    verdicts: list[Verdict]
    covered: TraceCoverage
    same: bool = True
    seconds: tuple[float, float] | tuple[str, str] = ("cached", "cached")

    @property
    def rejections(self) -> list[Rejection]:
        return [found for verdict in self.verdicts for found in verdict.rejections]


def _validated(
    run: Check,
    phase: Phase,
    rows: list[tuple[Any, ...]],
    paths: Sequence[Path],
    clusters: Sequence[Sequence[logs.Record]],
) -> TraceCoverage:
    """Validate the traces at some paths and add the results; return what they cover."""
    found, cached = _validate(run, paths, clusters)
    phase.cached += cached
    covered, figure = found.covered, f"{sum(map(len, clusters)):,} records"
    windows, wholes = found.seconds
    rows.append((f"validate in windows of {SMALL_WINDOW}", figure, windows, not found.rejections))
    rows.append(("validate as wholes, the same verdicts", figure, wholes, found.same))
    for path, cluster, verdict in zip(paths, clusters, found.verdicts, strict=True):
        reasons = {each.record.node: each.reason for each in verdict.rejections}
        for node in logs.by_node(cluster):
            phase.add("trace validation", f"{path.parent.name}/{node}", reasons.get(node, ""))
    different = "" if found.same else "whole traces and windows have different verdicts"
    phase.add("trace validation", "as wholes", different)
    left = "\n".join(branch.uncovered() for branch in covered.uncovered)
    missing = [name for name, count in covered.actions.items() if not count]
    unseen = f"actions without a record: {', '.join(missing)}" if missing else ""
    phase.add("trace validation", "branches covered", left or unseen)
    if found.rejections:
        place = found.rejections[0].record.path
        phase.again = f"python -m conformance validate {place} --batch {BATCH}"
    return covered


def _validate(
    run: Check, paths: Sequence[Path], clusters: Sequence[Sequence[logs.Record]]
) -> tuple[Validated, bool]:
    """Validate traces, or take it from the cache that all pass; return whether it was there."""
    key = cache.key(_digests(paths), _validation())
    actions = run.store.get("validate", key)
    if actions is not None:
        covered = TraceCoverage(actions, trace_coverage.reachable(), [])
        return Validated([Verdict(len(cluster), []) for cluster in clusters], covered), True
    started = time.monotonic()
    verdicts, covered = real_runs.validate(clusters, BATCH, SMALL_WINDOW)
    between = time.monotonic()
    same = checking.validate(clusters, BATCH, None) == verdicts
    seconds = between - started, time.monotonic() - between
    checking.show_rejections(paths, clusters, verdicts, BATCH)
    found = Validated(verdicts, covered, same, seconds)
    if same and covered.whole and not found.rejections:
        run.store.put("validate", key, covered.actions)
    return found, False


def _validation() -> Json:
    """Return what the verdict on a trace depends on, besides the trace."""
    read = (path for folder in manifest.LIBRARIES for path in folder.glob("*.tla"))
    code = cache.code("coverage.traces", "validation.trace_validation")
    return [cache.files(read), tlc.version(), code, BATCH, SMALL_WINDOW]


def _explore(run: Check, made: Sequence[tuple[Model, Generated]]) -> dict[str, Explored]:
    """Run real processes in the state space of each model; return what they cover."""
    with run.phase("exploration") as phase:
        digests = [_digests(found.logs) for _, found in made]
        automata = cache.code("golden.generate")
        models = [cache.files(model.files()) for model, _ in made]
        key = cache.key(_node(run), digests, models, automata, RUNS, run.seed)
        stored = run.runs.get("explore", key)
        if stored is not None:
            phase.cached = phase.of = 1
            explored = {name: Explored(**figures) for name, figures in stored.items()}
        else:
            explored = real_runs.explore(run.output / "explored", run.node, made, RUNS, run.seed)
            if real_runs.passed(explored):
                figures = {name: found.as_json() for name, found in explored.items()}
                run.runs.put("explore", key, figures)
        real_runs.show_explored(explored, run.node, run.seed)
        for name, found in explored.items():
            texts = [difference.text() for difference in found.differences]
            idle = "" if found.covered else "no transition was covered"
            phase.add("exploration", name, "\n".join(texts) or idle)
        runs = sum(found.runs for found in explored.values())
        phase.summary = f"{runs:,} explorations of models"
        failed = next((case.name for case in phase.cases if case.reason), "")
        phase.again = (
            f"python -m conformance explore {failed} -o out/again --runs {RUNS} "
            f"--seed {run.seed} -- {shlex.join(run.node)}"
        )
    return explored


def _compare_with_pinned(
    run: Check,
    made: Sequence[tuple[Model, Generated]],
    replayed: Sequence[Replayed],
    covered: TraceCoverage | None,
    explored: dict[str, Explored],
    proofs: Json,
    pin: bool,
) -> None:
    with run.phase("pinned results") as phase:
        phase.again = "python -m conformance check --pin, if the change means that"
        if covered is None:
            phase.add("pinned results", "real runs", "not compared: a run could not be recorded")
            return
        real = real_runs.as_json(covered, explored, run.seed)
        wrong = hold_to_pinned(run.output, made, replayed, real, proofs, ours=run.ours, pin=pin)
        for line in wrong:
            phase.add("pinned results", line.partition(": ")[0], line)
        if not wrong:
            phase.add("pinned results", "all", "")
            phase.summary = "all pinned results"


def hold_to_pinned(
    output: Path,
    made: Sequence[tuple[Model, Generated]],
    replayed: Sequence[Replayed],
    real: Json,
    proofs: Json,
    *,
    ours: bool,
    pin: bool,
) -> list[str]:
    """Write the results; return, a line each, what is incomplete or differs from the pinned ones.

    With `pin`, complete results become the pinned ones.
    """
    by_log = {each.path: each for each in replayed}
    entries = {
        model.name: pinned.entry(model, found, [by_log[path] for path in found.logs])
        for model, found in made
        if model.golden
    }
    found = pinned.make(entries, real, proofs)
    pinned.write(output / "results.json", found)
    wrong = pinned.gaps(found)
    advice = "node and specification were not compared completely"
    if not wrong and pin and ours:
        pinned.write(pinned.COMMITTED, found)
    if not wrong:
        committed = pinned.read(pinned.COMMITTED)
        if real["seed"] != committed["real_runs"]["seed"]:
            # Other runs cover something else.
            committed["real_runs"] = real
        wrong = list(pinned.drift(found, committed))
        advice = "if that is what the change means, commit the new results: check --pin"
    for line in wrong[:20]:
        report.warn(f"pinned results: {line}")
    if wrong:
        report.warn(f"pinned results: {advice}", style="red")
    return wrong
