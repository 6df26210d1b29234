"""Run `python -m conformance` as a user would, and check how it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import PATIENCE


def conformance(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def copied(log: Path, folder: Path) -> Path:
    """Copy a log to a folder in which a page may be written, and return its path."""
    return Path(shutil.copy(log, folder))


def not_run(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split())
