"""Recorded runs of mutants, checked by the specification.

A run with the same seed is the same run, so a log that is the right node's to the byte needs no
check: the right node's was accepted.  `checks` records them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from conformance.formats import logs
from conformance.validation.trace_validation import validate_logs
from conformance.validation.verdict import Verdict

from .checks import BATCH

Key = TypeVar("Key")


def different(folder: Path, right: Path) -> list[Path]:
    """Return the logs in a folder that differ from those of the correct node."""
    return [
        path
        for path in logs.find([folder])
        if path.read_bytes() != (right / path.relative_to(folder)).read_bytes()
    ]


def rejected(
    wanted: Mapping[Key, Sequence[Path]], on_progress: Callable[[str], None] = lambda text: None
) -> dict[Key, str | None]:
    """Return why trace validation rejects the logs of each mutant, or None.

    One log of each is checked first, as one rejection is enough.
    """
    found = checked({key: paths[:1] for key, paths in wanted.items()}, on_progress)
    left = {key: wanted[key][1:] for key, how in found.items() if how is None and wanted[key][1:]}
    return found | checked(left, on_progress)


def checked(
    wanted: Mapping[Key, Sequence[Path]], on_progress: Callable[[str], None]
) -> dict[Key, str | None]:
    owners = [(key, path) for key, paths in wanted.items() for path in paths]
    verdicts = validate_logs(
        [logs.read(path) for _, path in owners], BATCH, on_progress=on_progress
    )
    found: dict[Key, str | None] = {}
    for (key, _), verdict in zip(owners, verdicts, strict=True):
        found[key] = found.get(key) or first(verdict)
    return found


def first(verdict: Verdict) -> str | None:
    """Return the first rejected record of a run, and the reason."""
    for found in verdict.rejections:
        return f"{found.record.path.parent.name}:{found.record.line}: {found.reason}"
    return None
