"""The stage `replay`: golden traces, each with a fresh process, some of them under a renaming."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import cache, checking, report
from ..coverage.pinned import spec_of
from ..formats import logs
from ..formats.folders import fresh
from ..formats.schema import SchemaError, check_record
from ..models import manifest
from ..models.manifest import Model
from ..running import replay as replaying
from ..running.replay import Difference, Replayed
from ..tlaplus import tlc
from ..validation import explanation
from .plan import Plan, file_name
from .stage import Failure, Stage

Json = Any
Options = dict[str, str]
"""Each option with "" if the node takes it, or with the reason why it does not."""

# Seconds that a node may be silent during a golden trace.
SILENT = 30.0

# How many failing traces are also explained by the specification.
EXPLAINED = 100

# The file beside generated traces that holds the checksums of their sources and of themselves.
CURRENT = ".checksums.json"


def run(plan: Plan, command: Sequence[str], options: Options, stage: Stage) -> None:
    """Replay all golden traces; raises `ToolError` where a model gives none."""
    if options["--manual-clock"]:
        stage.skip("golden traces", "they need --manual-clock")
        return
    every = golden_traces(plan)
    batch = not options["--batch"]
    usable = every if batch else [path for path in every if not _needs_batch(path)]
    if left_out := len(every) - len(usable):
        stage.skip(f"{left_out:,} golden traces", "they need --batch")
    given = [*command, "--manual-clock", *(["--batch", "1"] if batch else [])]
    renamed = checking.some_renamed(usable, plan.seed)
    runs: list[tuple[Path, int | None]] = [(path, None) for path in usable]
    runs += [(path, plan.seed) for path in renamed]
    chosen = plan.select(runs, lambda each: f"replay: {case_name(*each)}")
    found: list[Replayed] = []
    for seed in (None, plan.seed):
        paths = [path for path, its in chosen if its == seed]
        found += _replay(plan, paths, given, seed, stage) if paths else []
    failing = [each.difference for each in found if each.difference]
    _explain(plan, failing, stage)


def case_name(path: Path, renamed: int | None) -> str:
    """Return the name of a golden trace as a case."""
    name = f"{path.parent.name}/{path.name}"
    return name if renamed is None else f"{name} renamed by seed {renamed}"


def _replay(
    plan: Plan, paths: Sequence[Path], command: Sequence[str], seed: int | None, stage: Stage
) -> list[Replayed]:
    done = 0
    with report.Line(f"replay of {len(paths):,} golden traces") as line:

        def add(found: Replayed) -> None:
            nonlocal done
            done += 1
            line.update(f"{done:,} done")
            name = case_name(found.path, seed)
            if not found.tried:
                stage.skip(name, "not tried: the node hangs in other golden traces")
                return
            failure = _failure(plan, found.difference, command) if found.difference else None
            stage.add(name, failure, found.seconds)

        return replaying.replay_all(
            paths,
            command,
            seconds=SILENT,
            renamed=seed,
            on_done=add,
            errors=lambda path: plan.errors("replay", case_name(path, seed)),
        )


def _failure(plan: Plan, found: Difference, command: Sequence[str]) -> Failure:
    """Return the failure of a golden trace, with what to paste into a shell."""
    reason = f"{found.record.place}: {found.remark or 'the output differs from the golden trace'}"
    if found.renamed is not None:
        reason += f" (under a renaming, seed {found.renamed})"
    errors = plan.errors("replay", case_name(found.record.path, found.renamed))
    inputs = [json.dumps(record.input) for record in _records(found)]
    return Failure(
        reason,
        command,
        inputs,
        found.record.output,
        found.found,
        errors=errors if errors.exists() else None,
    )


def _records(found: Difference) -> list[logs.Record]:
    """Return the records of the node that differs, up to the one where it does.

    If it differs only when it can read ahead, return all of them.
    """
    records = replaying.read(found.record.path, found.renamed)
    mine = [record for record in records if record.node == found.record.node]
    return mine if found.ahead else mine[: mine.index(found.record) + 1]


def _explain(plan: Plan, failing: Sequence[Difference], stage: Stage) -> None:
    """Add what `validate` finds in the outputs of failing nodes, and the commands to go on.

    Each node's log goes into a file, for `shrink` and `export`.
    """
    failures = {each.name: each.failure for each in stage.outcomes if each.failure}
    written: list[tuple[Failure, list[logs.Record]]] = []
    for found in failing[:EXPLAINED]:
        name = case_name(found.record.path, found.renamed)
        failure = failures[name]
        *before, last = _records(found)
        log = [*before, replace(last, output=found.found)]
        path = plan.output / "failures" / f"{file_name('replay', name)}.ndjson"
        if not found.ahead and found.found != last.output and _is_log(log):
            logs.write(path, map(_as_json, log))
            failure.again = commands(path, 1)
            written.append((failure, logs.read(path)))
    try:
        verdicts = checking.validate([log for _, log in written], 1) if written else []
    except (tlc.ToolError, logs.LogError) as error:
        report.warn(f"the failures are not explained by the specification: {error}")
        return
    for (failure, _), verdict in zip(written, verdicts, strict=True):
        if verdict.rejections:
            shown = explanation.format_rejection(verdict.rejections[0]).split("\n")
            failure.details = [f"  {failure.reason}", *shown[1:]]


def _as_json(record: logs.Record) -> Json:
    return {"node": record.node, "input": record.input, "output": record.output}


def _is_log(records: Iterable[logs.Record]) -> bool:
    """Return whether the records are well-formed and more than `init`."""
    some = list(records)
    try:
        for record in some:
            check_record(_as_json(record))
    except SchemaError:
        return False
    return not all(record.starts for record in some)


def commands(log: Path, batch: int | None = None) -> dict[str, str]:
    """Return the commands that make a log smaller and that draw it."""
    options = f" --batch {batch}" if batch else ""
    place, small, page = (
        shlex.quote(str(path))
        for path in (log, log.with_name(f"{log.stem}-small.ndjson"), log.with_suffix(".html"))
    )
    return {
        "shrink": f"python -m conformance shrink {place} -o {small}{options}",
        "draw": f"python -m conformance export --html {page} {place}{options}",
    }


# Golden traces.


def golden_traces(plan: Plan) -> list[Path]:
    """Return the golden traces of a plan; generate those that are missing or out of date."""
    if plan.golden is not None:
        return given_traces(plan.golden, plan.models)
    folder = plan.output / "golden"
    chosen = models(plan)
    stale = [model for model in chosen if not is_current(folder / model.name, model)]
    for model in stale:
        fresh(folder / model.name)
    for model, made in checking.generated(stale, folder, plan.seed) if stale else ():
        if not made.complete:
            raise tlc.ToolError(f"{model.name}: its golden traces do not cover it")
        mark_current(folder / model.name, model)
    return [path for model in chosen for path in logs.find([folder / model.name], logs.LOG)]


def models(plan: Plan) -> list[Model]:
    """Return the models whose golden traces a plan replays."""
    return [manifest.get(name) for name in plan.models] or manifest.golden()


def given_traces(golden: Path, names: Sequence[str]) -> list[Path]:
    """Return the traces of a folder or a file; of these models only, if any is named.

    Raises `UsageError` if there is no trace of a model.
    """
    every = logs.find([golden], logs.LOG)
    for name in names:
        if not any(path.parent.name == name for path in every):
            raise click.UsageError(f"--golden {golden} has no folder {name} for --model {name}")
    return [path for path in every if not names or path.parent.name in names]


def is_current(folder: Path, model: Model) -> bool:
    """Return whether a folder holds golden traces of a model as it is now."""
    try:
        kept = json.loads((folder / CURRENT).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(kept == _checksums(folder, model))


def mark_current(folder: Path, model: Model) -> None:
    """Note from which sources the golden traces in a folder were generated."""
    (folder / CURRENT).write_text(json.dumps(_checksums(folder, model)), "utf-8")


def _checksums(folder: Path, model: Model) -> dict[str, str]:
    sources = cache.key(cache.code("golden.generate"), cache.files(spec_of(model)))
    traces = cache.files(folder.rglob("*.ndjson"))
    # By their names, so that they stay current in a folder that is moved.
    by_name = {Path(path).name: checksum for path, checksum in traces.items()}
    return {"sources": sources, "traces": cache.key(by_name)}


def _needs_batch(path: Path) -> bool:
    """Return whether a trace has a node that needs several messages for its decisions."""
    sent = (message for record in logs.read(path) for message in record.output)
    return any(message["body"].get("more") for message in sent)
