"""Run the harness's command, in this process or in one of its own, and check how it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from conformance import __main__ as cli
from conformance import report
from conformance.cli import group
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

Done = subprocess.CompletedProcess[str]


def conformance(*arguments: object, **environment: str) -> Done:
    """Run the command in this process, and see that its output has no traceback."""
    return without_traceback(called(*arguments, **environment))


def called(*arguments: object, **environment: str) -> Done:
    """Run the command in this process, which saves the start of another one.

    Its process is tested in test_cli.py, by `conformance_process`.
    """
    detail, folder = report.detail, Path.cwd()
    os.chdir(ROOT)
    try:
        # Signals end the tests as before.
        with mock.patch.object(group, "ENDINGS", ()):
            done = CliRunner().invoke(cli.main, list(map(str, arguments)), env=environment)
    finally:
        os.chdir(folder)
        report.detail = detail
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return Done([], done.exit_code, done.stdout, done.stderr)


def conformance_process(*arguments: object, **environment: str) -> Done:
    """Run `python -m conformance` as a user would, and see that its output has no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=PATIENCE,
        check=False,
    )
    return without_traceback(done)


def without_traceback(done: Done) -> Done:
    assert "Traceback" not in done.stdout + done.stderr
    return done


def copied(log: Path, folder: Path) -> Path:
    """Copy a log to a folder in which a page may be written, and return its path."""
    return Path(shutil.copy(log, folder))


def not_run(done: Done, *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split())
