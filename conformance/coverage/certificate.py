"""The certificate: of which models, and how wholly, the node and the specification are the same.

It is made of what `generate` counted and `replay` compared, and names by checksums what these read.
It tells nothing of when and where, so that the committed one is what everybody finds: what differs
is a changed specification, node or harness, and shows in review.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..golden.generate import Generated
from ..logbook.schema import SchemaError, check_certificate
from ..models.manifest import LIBRARIES, ROOT, Model
from ..running.replay import Replayed

Json = Any

COMMITTED = ROOT / "conformance" / "certificate.json"

# What makes every model print its transitions.
_PRINTERS = ("LocalTransitions", "EveryInput")

_USED = re.compile(r"^EXTENDS (.*)$|\bINSTANCE (\w+)", re.MULTILINE)


class CertificateError(Exception):
    """A certificate that cannot be read."""


def entry(model: Model, made: Generated, replayed: Iterable[Replayed]) -> Json:
    """What the certificate says of one model; the schema tells what each count means."""
    return {
        "spec": checksum(spec_of(model)),
        "states": made.states,
        "pairs": made.pairs,
        "alike": made.alike,
        "explored": made.outcome.generated,
        "distinct": made.transitions,
        "refused": made.refused,
        "covered": made.covered,
        "told": made.told,
        "logs": len(made.logs),
        "records": made.steps,
        "agreed": sum(each.steps for each in replayed),
    }


def make(entries: Mapping[str, Json], real_runs: Json, node: str | None) -> Json:
    """A certificate for these models and real runs, and the node with this checksum, if any."""
    return {"node": node, "models": dict(entries), "real_runs": real_runs}


def gaps(certificate: Json) -> list[str]:
    """What keeps a certificate from being whole, a line each."""
    found = [] if certificate["models"] else ["no model was held against the node"]
    for name, counts in certificate["models"].items():
        if not counts["distinct"] or not counts["records"]:
            found.append(f"{name}: nothing was generated")
        for part, whole in (("covered", "distinct"), ("told", "distinct"), ("agreed", "records")):
            if counts[part] != counts[whole]:
                found.append(f"{name}: {counts[part]:,} {part} of {counts[whole]:,} {whole}")
    return found


def drift(found: Json, committed: Json, place: str = "") -> Iterator[str]:
    """Where what was found is not what is committed, a line each."""
    if isinstance(found, dict) and isinstance(committed, dict):
        for key in {**committed, **found}:
            below = f"{place}.{key}" if place else key
            yield from drift(found.get(key), committed.get(key), below)
    elif found != committed:
        yield f"{place}: {_shown(committed)} is committed, {_shown(found)} was found"


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
    """Reads a certificate; raises `CertificateError` where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
        check_certificate(found)
    except (OSError, ValueError, SchemaError) as error:
        again = "`check --pin` of the harness makes one"
        raise CertificateError(f"{path}: not a certificate: {error}; {again}") from None
    return found


def write(path: Path, certificate: Json) -> None:
    """Writes a certificate, checked on its way out."""
    check_certificate(certificate)
    path.write_text(json.dumps(certificate, indent=2) + "\n", "utf-8")


def checksum(paths: Iterable[Path]) -> str:
    """SHA-256 of files with their names, in the order of these."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def node() -> list[Path]:
    """The sources of this project's node."""
    return list((ROOT / "impl").rglob("*.py"))


def spec_of(model: Model) -> set[Path]:
    """All that TLC reads of a model, and of what makes it print, but its own standard modules."""
    places = {path.stem: path for library in LIBRARIES for path in library.glob("*.tla")}
    found, new = {model.config}, {model.module, *(places[name] for name in _PRINTERS)}
    while new:
        found |= new
        used = [" ".join(found) for path in new for found in _USED.findall(path.read_text("utf-8"))]
        words = set(re.findall(r"\w+", " ".join(used)))
        new = {places[word] for word in words & places.keys()} - found
    return found
