"""The judge of logs on trial: makes logs, has them altered and judged, shows what came of it.

Whether a judge is right about an altered log is told in `trials`.
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
from ..validation.trace_validation import validate
from . import trials
from .mutations import Source, alterations
from .oracle import Oracle
from .trials import Judge, Trial

Json = Any

# The logs that are altered: runs of so many nodes, as they begin, with so many seeds; whole ones.
RUNS = ((3, 5), (5, 2))
RECORDS = 70
LONG_RUNS = ((3, 60), (5, 40))

# Much goes wrong soon.
FAULTS = recording.Faults(crash=60, restart=20, timeout=15)

# One of so many golden logs, and random runs of a whole cluster, with so many steps.
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
    judge: Judge = validate,
) -> bool:
    """Alters accepted logs, those given or others, and shows what the judge says of each.

    With a `kind` they are all altered in that way.

    True if it is right about all of them.  The others are left in a folder `wrong`, beside the
    `sources`.  Raises `LogError` if a log is not accepted to begin with.
    """
    for old in "sources", "wrong":
        fresh(output / old)
    with report.Line("logs to alter") as line:
        long: list[Source] = []
        sources = [trials.source(path, batch) for path in paths]
        if not paths:
            sources, long = _made(output / "sources", command, seed, line.update)
        oracles = {
            n: Oracle([*command, "--batch", str(n)], seconds)
            for n in {each.batch for each in sources}
        }
        trials.check([*sources, *long], oracles, judge)
    numbers = range(1, number + 1) if only is None else range(only, only + 1)
    made = zip(numbers, alterations(sources, long, seed, numbers.start, kind), strict=False)
    found: list[Trial] = []
    with report.Line(f"{len(numbers):,} altered logs, seed {seed}") as line:
        for trial in trials.trials(made, oracles, judge):
            found.append(trial)
            line.update(f"{len(found):,} judged")
    _show(found, seed)
    wrong = sorted((each for each in found if each.disagreements), key=lambda each: each.number)
    _explain(output / "wrong", wrong, _again(output, command, seed, paths, batch, kind))
    return not wrong


def _made(
    folder: Path, command: Sequence[str], seed: int, tell: Callable[[str], None]
) -> tuple[list[Source], list[Source]]:
    """Logs of real runs, of models' golden logs and random runs, and of a node alone."""
    sources, long = [], []
    for nodes, runs in RUNS:
        for each in range(seed, seed + runs):
            tell(f"a run of {nodes} nodes, seed {each}")
            path = _record(folder / f"{nodes}-nodes", command, nodes, 12, each)
            sources.append(trials.source(path, 1000, RECORDS))
    for nodes, requests in LONG_RUNS:
        tell(f"a long run of {nodes} nodes")
        path = _record(folder / f"{nodes}-nodes-long", command, nodes, requests, seed)
        long.append(trials.source(path, 1000))
    tell("golden logs and random runs")
    golden = generating.generate(manifest.get("gives-up"), folder / "golden").logs
    walks = generating.simulate(manifest.get("wide"), folder / "walks", WALKS, STEPS, seed).logs
    sources += [trials.source(path, 1) for path in (*golden[seed % EVERY :: EVERY], *walks)]
    path = folder / "alone" / "n1.ndjson"
    logs.write(path, Oracle(command, 30).log(_badly_used()))
    sources.append(trials.source(path, 1000))
    return sources, long


def _record(folder: Path, command: Sequence[str], nodes: int, requests: int, seed: int) -> Path:
    return recording.record(
        folder, command, nodes=nodes, requests=requests, seed=seed, faults=FAULTS
    ).path


def _badly_used() -> list[Json]:
    """What a node alone is asked, well and badly, for what no other log here has."""
    ones = {"node_id": "n1", "node_ids": ["n1"]}
    deep = {"a": [None, 1.5, True], "b": "\u00e9"}
    asked: list[Json] = [
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
        for number, body in enumerate(asked)
    ]


def _show(found: Sequence[Trial], seed: int) -> None:
    """What was altered, what was said of it, and why so much of it is legal all the same."""
    rows: list[Any] = []
    for kind in sorted({trial.altered.kind for trial in found}):
        rows.append((kind, *_counted([each for each in found if each.altered.kind == kind])))
    columns = (
        "what was done",
        "#made",
        "#known before",
        "#illegal",
        "#rejected there",
        "#legal",
        "#accepted",
        "agrees",
    )
    report.table(f"Altered logs, seed {seed}", columns, [*rows, ("all", *_counted(found))])
    claims = [(trial.altered.kind, trial.altered.claim, trial.legal) for trial in found]
    legal = Counter((claim.reason, "") for _, claim, _ in claims if claim.legal)
    same = [kind for kind, claim, is_legal in claims if claim.legal is None and is_legal]
    legal += Counter((f"a node does the same after: {kind}", "its state") for kind in same)
    report.table("Legal all the same", ("why", "depends on", "#logs"), _listed(legal))
    left = Counter(
        (kind, "yes" if is_legal else "no")
        for kind, claim, is_legal in claims
        if claim.legal is None
    )
    columns = ("what was done", "legal", "#logs")
    report.table("Not known before: told by a node, in its state", columns, _listed(left))


def _counted(found: Sequence[Trial]) -> tuple[Any, ...]:
    """How many were made, known before, illegal, rejected there, legal, accepted; all agrees."""
    known = sum(trial.altered.claim.legal is not None for trial in found)
    illegal = [not trial.disagreements for trial in found if not trial.legal]
    legal = [not trial.disagreements for trial in found if trial.legal]
    counts = (len(illegal), sum(illegal), len(legal), sum(legal))
    return len(found), known, *counts, all(illegal + legal)


def _listed(counts: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    return [(*what, n) for what, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _again(
    output: Path,
    command: Sequence[str],
    seed: int,
    paths: Sequence[Path],
    batch: int,
    kind: str | None,
) -> str:
    """The command that makes one altered log again, but for its number at the end."""
    given = [*map(str, paths), "--batch", str(batch)] if paths else []
    given += ["--kind", kind] if kind else []
    options = shlex.join([*given, "-o", f"{output}-again", "--seed", str(seed)])
    return f"python -m conformance mutate-traces {options} -- {shlex.join(command)}"


def _explain(folder: Path, wrong: Sequence[Trial], again: str) -> None:
    """The first altered logs that are judged wrongly: left as files, with what is wrong."""
    for trial in wrong[:5]:
        path = folder / f"{trial.number}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trial.altered.text, "utf-8")
        name, what = trial.altered.source.name, trial.altered.what
        repeat = again.replace(" -- ", f" --only {trial.number} -- ", 1)
        lines = [f"{path}: {name}, {what}", *trial.disagreements, f"to see it again: {repeat}"]
        report.warn("\n  ".join(lines))
    if wrong[5:]:
        report.warn(f"and {len(wrong) - 5} others")
