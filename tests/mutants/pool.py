"""A pool of zygotes: one per core, each with one mutant at a time.

`zygote` is the program of these processes.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .sources import ROOT, Mutant, copy


class CheckError(Exception):
    """A check that gave no result."""


class Zygote:
    """One process that checks; `run` blocks until the check has ended."""

    def __init__(self, golden: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.zygote", golden],
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, **task: Any) -> dict[str, Any]:
        print(json.dumps(task), file=self._process.stdin, flush=True)
        return self.receive()

    def receive(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise CheckError(f"a check ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Pool:
    """Zygotes that run checks in turn, for several threads."""

    def __init__(self, zygotes: list[Zygote]) -> None:
        self._idle: queue.Queue[Zygote] = queue.Queue()
        for zygote in zygotes:
            self._idle.put(zygote)

    def check(self, mutant: Mutant, check: str, **about: Any) -> tuple[str | None, float]:
        """Return how a check has caught a mutant, or None, and the seconds that it took."""
        zygote = self._idle.get()
        try:
            with TemporaryDirectory(prefix="mutant-") as folder:
                copy(mutant, Path(folder) / "impl")
                answer = zygote.run(impl=f"{folder}/impl", check=check, **about)
        finally:
            self._idle.put(zygote)
        if "error" in answer:
            raise CheckError(f"{mutant.name}: {check}: {answer['error']}")
        return answer["caught"], answer["seconds"]


@contextmanager
def pool(size: int, golden: Path) -> Iterator[Pool]:
    with ExitStack() as stack:
        zygotes = [Zygote(golden) for _ in range(size)]
        for zygote in zygotes:
            stack.callback(zygote.close)
        for zygote in zygotes:
            zygote.receive()
        yield Pool(zygotes)
