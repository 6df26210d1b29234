"""Show a bug being caught: `make demo`.

A small cluster is recorded, and its log is validated with TLC.  Then the same cluster with the same
seed runs nodes that forget their promise at a restart.  Only commands of the harness take part.

Exit status: 0 if the first run passes and the second fails, 1 if not, 2 if a command cannot run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "out" / "demo"

SEED, NODES, REQUESTS = 110, 3, 100
"""A run in which a node that has forgotten its promise starts a ballot that is too low."""

CORRECT = ("impl/main.py",)
BROKEN = ("tests/broken_node.py", "promise-lost-at-restart")

VERDICT = re.compile(r"(?m)^(\S+\.ndjson:\d+: .*(?:\n +.*)*)")
DETAIL = re.compile(r"^ +(?:action|needs|differs):")
WIDTH = 110


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the harness and return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def trial(name: str, node: tuple[str, ...]) -> tuple[int, str]:
    """Record a run of this node and validate it; return the status and what was printed."""
    folder = OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    size = ("--nodes", str(NODES), "--requests", str(REQUESTS), "--seed", str(SEED))
    done = conformance("record", "-o", str(folder), *size, "--", sys.executable, *node)
    if done.returncode == 0:
        done = conformance("validate", str(folder))
    return done.returncode, done.stdout + done.stderr


def verdict(printed: str) -> list[str]:
    """Return the first rejected record of what `validate` printed, in a few lines."""
    found = VERDICT.search(printed)
    where, *details = found[1].splitlines() if found else [""]
    lines = [where.replace(f"{ROOT}/", ""), *filter(DETAIL.match, details)]
    return [line.strip()[:WIDTH] for line in lines[:4]]


def records(name: str) -> int:
    """Return how many records the log of a run has."""
    [log] = (OUTPUT / name).glob("*.ndjson")
    return len(log.read_text("utf-8").splitlines())


def main() -> int:
    started = time.monotonic()
    print(f"{NODES} nodes, {REQUESTS} requests, a bad network, crashes, seed {SEED}:", flush=True)
    status, printed = trial("correct", CORRECT)
    if status:
        print(printed, file=sys.stderr)
        return status
    print(f"  PASS  the specification allows all {records('correct'):,} records", flush=True)

    print("The same with nodes that forget their promise at a restart:", flush=True)
    status, printed = trial("broken", BROKEN)
    page = OUTPUT / "broken" / f"seed-{SEED}.html"
    if status not in (0, 1):
        print(printed, file=sys.stderr)
        return status
    if status == 0 or not page.exists():
        print("The bug was not caught.", file=sys.stderr)
        return 1
    first, *others = verdict(printed)
    print(f"  FAIL  {first}", *others, sep="\n        ")
    print(f"The bug was caught ({time.monotonic() - started:.0f} s). The failed run, to look at:")
    print(f"  {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
