"""What is done to a mutant within one process, to see whether it is caught; each judge one way.

A judge says how it has caught the node, or None.  The node's modules are imported when a judge
begins, so that whoever calls decides whose modules they are; what a judge has read is not changed.
"""
from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conformance import logs
from conformance.replay import _same as same
from conformance.schema import check_record

Json = Any

IN_MEMORY = Path("/dev/shm")
"""Where a disk costs nothing, on machines that have such a place."""


@dataclass(frozen=True)
class Step:
    """A record of a log, with its input and its output as lines, and all of it as it is written."""

    record: logs.Record
    given: bytes
    said: bytes
    logged: Json

    @property
    def place(self) -> str:
        return f"{self.record.path.parent.name}/{self.record.path.name}:{self.record.line}"


@dataclass(frozen=True)
class Log:
    """What is replayed, and the --batch that it is for."""

    steps: Sequence[Step]
    batch: int

    def crashes(self) -> bool:
        return any(step.record.input == "crash" for step in self.steps)


def load(paths: Iterable[Path], batch: int) -> list[Log]:
    return [Log(steps_of(path), batch) for path in paths]


def steps_of(path: Path) -> list[Step]:
    written = path.read_text("utf-8").splitlines()
    return [step_of(record, json.loads(written[record.line - 1])) for record in logs.read(path)]


def step_of(record: logs.Record, logged: Json) -> Step:
    said = "".join(json.dumps(message) + "\n" for message in record.output)
    return Step(record, json.dumps(record.input).encode(), said.encode(), logged)


def in_turn(folders: Iterable[Sequence[Path]]) -> list[Path]:
    """The first log of each folder, then the second of each: what is unlike comes early."""
    return [path for row in zip_longest(*folders) for path in row if path is not None]


# Replaying.

def replay(given: Iterable[Log]) -> str | None:
    """Give nodes in memory what the logs say they were given."""
    for log in given:
        caught = replay_log(log)
        if caught:
            return caught
    return None


def replay_log(log: Log) -> str | None:
    from multipaxos.node import Node

    nodes: dict[str, Node] = {}
    for step in log.steps:
        if step.record.node not in nodes:
            nodes[step.record.node] = Node(batch=log.batch)
        node = nodes[step.record.node]
        if step is log.steps[-1] and node.init is not None and node.replica.up:
            tell_again(node, log)
        caught = differs(node, step)
        if caught:
            return caught
    return None


def tell_again(node: Any, log: Log) -> None:
    """Tell a node once more who it is.  That changes nothing, but that it has answered."""
    node.turn([next(step.given for step in log.steps
                    if step.record.starts and step.record.node == node.init.node_id)])
    node.replies -= 1


def repeat(given: Iterable[Log]) -> str | None:
    """Give nodes what they were given in recorded runs: they must say the same, and log it."""
    for log in given:
        caught = repeat_log(log)
        if caught:
            return caught
    return None


def repeat_log(log: Log) -> str | None:
    from multipaxos.node import Node

    nodes: dict[str, tuple[Node, io.BytesIO]] = {}
    for step in log.steps:
        if step.record.node not in nodes:
            logged = io.BytesIO()
            nodes[step.record.node] = Node(batch=log.batch, log=io.BufferedWriter(logged)), logged
        node, logged = nodes[step.record.node]
        caught = differs(node, step)
        if caught:
            return caught
        if json.loads(logged.getvalue() or "null") != step.logged:
            return f"{step.place}: other record of {named(step)}"
        logged.seek(0)
        logged.truncate()
    return None


def differs(node: Any, step: Step) -> str | None:
    try:
        found = node.turn([step.given])
    except Exception as error:
        return f"{step.place}: the node stopped: {error!r}"
    return None if agrees(found, step) else f"{step.place}: other output for {named(step)}"


def agrees(found: bytes, step: Step) -> bool:
    if found == step.said:
        return True
    if not found.endswith(b"\n"):
        return False
    try:
        said = [json.loads(line) for line in found.splitlines()]
    except ValueError:
        return False
    return same(said, step.record.output)


def named(step: Step) -> str:
    given = step.record.input
    return given if isinstance(given, str) else given["body"]["type"]


def replay_with_disks(given: Iterable[Log]) -> str | None:
    """Give nodes with disks the logs that tell of a crash.  It is a real one: what was not on the
    disk is gone, and the restart is a new node's beginning."""
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    for log in filter(Log.crashes, given):
        with TemporaryDirectory(prefix="mutant-", dir=place) as folder:
            caught = replay_lives(log, Path(folder))
        if caught:
            return caught
    return None


def replay_lives(log: Log, folder: Path) -> str | None:
    lives: dict[str, Life] = {}
    try:
        for step in log.steps:
            life = lives.setdefault(step.record.node, Life(folder / step.record.node, log.batch))
            caught = life.take(step)
            if caught:
                return caught
        return None
    finally:
        for life in lives.values():
            life.end()


class Life:
    """A node on a disk, from one crash to the next."""

    def __init__(self, folder: Path, batch: int) -> None:
        self.folder = folder
        self.batch = batch
        self.init = b""
        self.node: Any = None
        self.spoke = False

    def take(self, step: Step) -> str | None:
        if step.record.input == "crash":
            self.crash()
            return None
        self.spoke = bool(step.record.output)
        if step.record.starts and not self.init:
            self.init = step.given
        if self.node is None:
            try:
                self.begin(again=step.record.input == "restart")
            except Exception as error:
                return f"{step.place}: the node does not start: {error!r}"
        return None if step.record.input == "restart" else differs(self.node, step)

    def begin(self, again: bool) -> None:
        from multipaxos.node import Node
        from multipaxos.storage import Storage

        self.node = Node(batch=self.batch, storage=Storage(self.folder))
        if again:
            # The log has a restart where a process is told once more who it is.
            self.node.turn([self.init])
            self.node.replies = 0

    def crash(self) -> None:
        # What nobody has heard of may be lost with a crash, as if it had still been on its way;
        # but the log says that it was taken, so then the life ends as if it was asked to.
        if not self.spoke:
            self.node.save()
        self.end()

    def end(self) -> None:
        if self.node is not None:
            self.node.storage.close()
            self.node = None


# Simulated worlds.

def simulate(first: int, seeds: int) -> str | None:
    """Run so many simulated worlds, and stop at the first that fails, or whose log is none."""
    import trial
    from faults import draw

    for seed in range(first, first + seeds):
        found = trial.run(draw(seed, None, 60.0), logs=seed == first)
        if found.failure:
            return f"seed {seed}: {found.failure}"
        for line in found.log.splitlines():
            try:
                check_record(json.loads(line))
            except ValueError as error:
                return f"seed {seed}: log: {error}"
    return None
