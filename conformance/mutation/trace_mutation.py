"""Trace mutation: mutate accepted traces, check them, and show how often the checker is right.

`trials` decides whether it is right about a mutated trace.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import report
from ..formats import logs
from ..formats.folders import fresh
from ..golden import generate as generating
from ..models import manifest
from ..running import record as recording
from ..validation.trace_validation import Checker, validate_logs
from . import trials
from .mutations import Source, mutated_traces
from .oracle import Oracle
from .trials import Trial

Json = Any

# The traces that are mutated.  RUNS are beginnings, as (nodes, runs), each with another seed, and
# LONG_RUNS whole runs, as (nodes, requests).
RUNS = ((3, 5), (5, 2))
RECORDS = 70
LONG_RUNS = ((3, 60), (5, 40))

# More faults than usual, for only the first records of a run are taken.
FAULTS = recording.Faults(crash=60, restart=20, timeout=15)

# One of EVERY golden traces, and WALKS random runs of a whole cluster with STEPS steps each.
EVERY, WALKS, STEPS = 12, 5, 50


def mutate_traces(
    output: Path,
    command: Sequence[str],
    *,
    number: int,
    seed: int,
    only: int | None = None,
    paths: Sequence[Path] = (),
    batch: int = 1000,
    seconds: float = 30,
    kind: str | None = None,
    checker: Checker = validate_logs,
) -> bool:
    """Mutate accepted traces, check them, and return whether the checker is right about all.

    Takes the traces in `paths`, or makes some in the folder `sources`.  `kind` is the kind of all
    mutations, if given.  Mutated traces with a wrong verdict are left in the folder `wrong`.
    Raises `LogError` if a trace is rejected before any mutation.
    """
    for old in "sources", "wrong":
        fresh(output / old)
    with report.Line("traces to mutate") as line:
        long: list[Source] = []
        sources = [trials.source(path, batch) for path in paths]
        if not paths:
            sources, long = _make_sources(output / "sources", command, seed, line.update)
        oracles = {
            n: Oracle([*command, "--batch", str(n)], seconds)
            for n in {each.batch for each in sources}
        }
        trials.require_accepted([*sources, *long], oracles, checker)
    numbers = range(1, number + 1) if only is None else range(only, only + 1)
    made = zip(numbers, mutated_traces(sources, long, seed, numbers.start, kind), strict=False)
    found: list[Trial] = []
    with report.Line(f"{len(numbers):,} mutated traces, seed {seed}") as line:
        for trial in trials.run_trials(made, oracles, checker):
            found.append(trial)
            line.update(f"{len(found):,} checked")
    _show_tables(found, seed)
    wrong = sorted((each for each in found if each.disagreements), key=lambda each: each.number)
    _leave_wrong(
        output / "wrong", wrong, _command_to_repeat(output, command, seed, paths, batch, kind)
    )
    return not wrong


def _make_sources(
    folder: Path, command: Sequence[str], seed: int, on_progress: Callable[[str], None]
) -> tuple[list[Source], list[Source]]:
    """Return short traces and long ones to mutate.

    They are recorded runs, golden traces, random runs of a model, and a run of a single node.
    """
    sources, long = [], []
    for nodes, runs in RUNS:
        for each in range(seed, seed + runs):
            on_progress(f"a run of {nodes} nodes, seed {each}")
            path = _record(folder / f"{nodes}-nodes", command, nodes, 12, each)
            sources.append(trials.source(path, 1000, RECORDS))
    for nodes, requests in LONG_RUNS:
        on_progress(f"a long run of {nodes} nodes")
        path = _record(folder / f"{nodes}-nodes-long", command, nodes, requests, seed)
        long.append(trials.source(path, 1000))
    on_progress("golden traces and random runs")
    golden = generating.generate(manifest.get("gives-up"), folder / "golden").logs
    walks = generating.simulate(manifest.get("wide"), folder / "walks", WALKS, STEPS, seed).logs
    sources += [trials.source(path, 1) for path in (*golden[seed % EVERY :: EVERY], *walks)]
    path = folder / "alone" / "n1.ndjson"
    logs.write(path, Oracle(command, 30).log(_single_node_inputs()))
    sources.append(trials.source(path, 1000))
    return sources, long


def _record(folder: Path, command: Sequence[str], nodes: int, requests: int, seed: int) -> Path:
    return recording.record(
        folder, command, nodes=nodes, requests=requests, seed=seed, faults=FAULTS
    ).path


def _single_node_inputs() -> list[Json]:
    """Return requests to a single node, malformed ones too, which no other trace here has."""
    ones = {"node_id": "n1", "node_ids": ["n1"]}
    deep = {"a": [None, 1.5, True], "b": "\u00e9"}
    inputs: list[Json] = [
        {"type": "init", **ones},
        {"type": "multi_paxos_propose", "slot": 5, "value": deep},
        {"type": "multi_paxos_propose", "slot": -1, "value": 1},
        {"type": "multi_paxos_propose", "slot": 2**63 - 1, "value": 1},
        {"type": "multi_paxos_propose", "slot": 5, "value": 2},
        {"type": "multi_paxos_log", "from": 6, "limit": 1},
        {"type": "multi_paxos_sing"},
        {"type": "init", "node_id": "n1", "node_ids": ["n1", "n2"]},
        *("timeout", "inquire", "crash", "restart"),
        {"type": "init", **ones},
        {"type": "multi_paxos_log", "limit": 0},
        {"type": "multi_paxos_propose", "slot": 6, "value": 3},
        {"type": "multi_paxos_log"},
    ]
    return [
        body
        if isinstance(body, str)
        else {"src": "c1", "dest": "n1", "body": {**body, "msg_id": number}}
        for number, body in enumerate(inputs)
    ]


def _show_tables(found: Sequence[Trial], seed: int) -> None:
    """Show the verdicts by kind of mutation, and why mutated traces are legal."""
    rows: list[Any] = []
    for kind in sorted({trial.mutated.kind for trial in found}):
        rows.append((kind, *_counted([each for each in found if each.mutated.kind == kind])))
    columns = (
        "mutation",
        "#traces",
        "#expected",
        "#illegal",
        "#rejected there",
        "#legal",
        "#accepted",
        "result",
    )
    report.table(f"Mutated traces, seed {seed}", columns, [*rows, ("all", *_counted(found))])
    by_mutation = [(trial.mutated.kind, trial.mutated.expectation, trial.legal) for trial in found]
    legal = Counter((expected.reason, "") for _, expected, _ in by_mutation if expected.legal)
    by_oracle = [(kind, is_legal) for kind, each, is_legal in by_mutation if each.legal is None]
    same = [kind for kind, is_legal in by_oracle if is_legal]
    legal += Counter((f"a node writes the same log after: {kind}", "its state") for kind in same)
    report.table("Why traces are legal", ("reason", "depends on", "#traces"), _listed(legal))
    decided = Counter((kind, "yes" if is_legal else "no") for kind, is_legal in by_oracle)
    title = "Decided by a node"
    report.table(title, ("mutation", "legal", "#traces"), _listed(decided))


def _counted(found: Sequence[Trial]) -> tuple[Any, ...]:
    """Return the cells of a row of the first table, from the number of traces on."""
    expected = sum(trial.mutated.expectation.legal is not None for trial in found)
    illegal = [not trial.disagreements for trial in found if not trial.legal]
    legal = [not trial.disagreements for trial in found if trial.legal]
    counts = (len(illegal), sum(illegal), len(legal), sum(legal))
    return len(found), expected, *counts, all(illegal + legal)


def _listed(counts: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    return [(*what, n) for what, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _command_to_repeat(
    output: Path,
    command: Sequence[str],
    seed: int,
    paths: Sequence[Path],
    batch: int,
    kind: str | None,
) -> str:
    """Return the command that makes these mutated traces again, without the number of one."""
    given = [*map(str, paths), "--batch", str(batch)] if paths else []
    given += ["--kind", kind] if kind else []
    options = shlex.join([*given, "-o", f"{output}-again", "--seed", str(seed)])
    return f"python -m conformance mutate-traces {options} -- {shlex.join(command)}"


def _leave_wrong(folder: Path, wrong: Sequence[Trial], again: str) -> None:
    """Write the first traces with a wrong verdict to files, and print what is wrong."""
    for trial in wrong[:5]:
        path = folder / f"{trial.number}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trial.mutated.text, "utf-8")
        name, what = trial.mutated.source.name, trial.mutated.what
        repeat = again.replace(" -- ", f" --only {trial.number} -- ", 1)
        lines = [f"{path}: {name}, {what}", *trial.disagreements, f"to repeat it: {repeat}"]
        report.warn("\n  ".join(lines))
    if wrong[5:]:
        report.warn(f"and {len(wrong) - 5} others")
