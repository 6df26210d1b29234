"""Pinned results: the counts of `check` that must stay as they are committed.

They hold what `generate` counted, what `replay` compared, what real runs covered and how many
obligations `prove` proved, with a checksum of the specification for each model.  They hold no time
and no path, so every machine finds the same: a difference is a change of the specification, the
node or the harness, and shows in review.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..formats.schema import SchemaError, check_pinned
from ..golden.generate import Generated
from ..locations import PACKAGE, in_checkout
from ..models.manifest import Model
from ..running.replay import Replayed

Json = Any

COMMITTED = PACKAGE / "pinned.json"

# What makes every model print its transitions.
PRINTERS = ("LocalTransitions", "EveryInput")


class PinnedError(Exception):
    """Pinned results that cannot be read."""


def entry(model: Model, made: Generated, replayed: Iterable[Replayed]) -> Json:
    """Return the pinned results of one model; the schema defines each count."""
    return {
        "spec": checksum(spec_of(model)),
        "states": made.states,
        "pairs": made.pairs,
        "equivalent": made.equivalent,
        "explored": made.outcome.generated,
        "transitions": made.transitions,
        "no_ops": made.no_ops,
        "covered": made.covered,
        "verified": made.verified,
        "traces": len(made.logs),
        "records": made.steps,
        "agreed": sum(each.tried and not each.difference for each in replayed),
    }


def make(entries: Mapping[str, Json], real_runs: Json, proofs: Mapping[str, Json]) -> Json:
    """Return the results of these models, real runs and proofs, as they are pinned."""
    return {"models": dict(entries), "real_runs": real_runs, "proofs": dict(proofs)}


def gaps(results: Json) -> list[str]:
    """Return what is missing in results, a line each."""
    found = [] if results["models"] else ["no model was held against the node"]
    found += [] if results["proofs"] else ["nothing was proved"]
    for name, counts in results["models"].items():
        if not counts["transitions"] or not counts["records"]:
            found.append(f"{name}: nothing was generated")
        for part, whole in (
            ("covered", "transitions"),
            ("verified", "transitions"),
            ("agreed", "traces"),
        ):
            if counts[part] != counts[whole]:
                found.append(f"{name}: {counts[part]:,} {part} of {counts[whole]:,} {whole}")
    for name, counts in results["proofs"].items():
        if counts["proved"] != counts["obligations"]:
            found.append(f"{name}: {counts['proved']:,} of {counts['obligations']:,} are proved")
    return found


def drift(found: Json, committed: Json, place: str = "") -> Iterator[str]:
    """Yield where the results that were found differ from the pinned ones, a line each."""
    if isinstance(found, dict) and isinstance(committed, dict):
        for key in {**committed, **found}:
            below = f"{place}.{key}" if place else key
            yield from drift(found.get(key), committed.get(key), below)
    elif found != committed:
        yield f"{place}: {_shown(committed)} is pinned, {_shown(found)} was found"


def _shown(value: Json) -> str:
    match value:
        case None:
            return "nothing"
        case int():
            return f"{value:,}"
        case str():
            return value[:16]
    return "something"


def read(path: Path) -> Json:
    """Read pinned results; raises `PinnedError` where there are none."""
    try:
        found = json.loads(path.read_text("utf-8"))
        check_pinned(found)
    except (OSError, ValueError, SchemaError) as error:
        again = "`check --pin` of the harness writes them"
        raise PinnedError(f"{path}: no pinned results: {error}; {again}") from None
    return found


def write(path: Path, results: Json) -> None:
    """Write results; check them against their schema."""
    check_pinned(results)
    path.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def checksum(paths: Iterable[Path]) -> str:
    """SHA-256 of files with their names, in the order of these."""
    digest = hashlib.sha256()
    for name, path in sorted((in_checkout(path), path) for path in paths):
        content = path.read_bytes()
        digest.update(f"{name.as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def spec_of(model: Model) -> set[Path]:
    """Return all that TLC reads of a model, and of what makes it print its transitions."""
    return model.files(*PRINTERS)
