"""A disk in memory in the place of `storage`: what was committed is kept.

It can be full, and the power can fail before or after a commit.  `faults` draws when.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from multipaxos.files import StorageError
from multipaxos.journal import Committed, Journal
from multipaxos.message_log import Log
from multipaxos.messages import Value, Vote

Saved = Callable[[str, list[tuple[int, int, Value]], dict[int, Value]], None]
"""Called at every commit with its node, the votes that were cast, and the decisions."""


class PowerCut(Exception):
    """The node has lost its power, and what it had not committed."""


class RecordingJournal(Journal):
    """A journal that records all votes of a turn, also those replaced or decided in it."""

    def __init__(self, committed: Committed) -> None:
        super().__init__(committed)
        self.cast: list[tuple[int, int, Value]] = []

    def vote_for(self, ballot: int, slot: int, value: Value) -> None:
        super().vote_for(ballot, slot, value)
        self.cast.append((slot, ballot, value))


class Rows:
    """The decisions of a disk, as a journal reads them."""

    def __init__(self, decided: dict[int, Value]) -> None:
        self.value = decided.__getitem__

    def values(self, low: int, high: int) -> Iterator[tuple[int, Value]]:
        return ((slot, self.value(slot)) for slot in range(low, high + 1))


class Disk:
    """The state of a node that is kept over restarts."""

    def __init__(self, node: str, saved: Saved = lambda *_: None) -> None:
        self.node = node
        self.saved = saved
        self.cluster: tuple[str, tuple[str, ...]] | None = None
        self.promised = 0
        self.accepted: dict[int, Vote] = {}
        self.decided: dict[int, Value] = {}
        self.logged = 0
        self.log = io.BytesIO()
        self.full = False
        self.power_fails = False
        self.saves = 0

    def mount(self) -> Mounted:
        return Mounted(self)

    def log_text(self) -> bytes:
        """Return the message log that goes with the state."""
        return self.log.getvalue()

    def save(self, journal: Journal) -> None:
        self.promised = journal.promised
        self.accepted.update(journal.votes)
        self.decided.update(journal.decisions)
        for slot in journal.decisions:
            self.accepted.pop(slot, None)


class Mounted:
    """A disk as one run of its node sees it: in the place of `storage.Storage`."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.path = f"the disk of {disk.node}"
        self.cluster = disk.cluster
        self.logged = disk.logged
        self.acceptor = journal = RecordingJournal(Rows(disk.decided))
        journal.promised = disk.promised
        journal.accepted = dict(sorted(disk.accepted.items()))
        for slot in disk.decided:
            journal.known.add(slot)

    def open_log(self) -> Log | None:
        """Open the message log; None if this life of the node writes none."""
        return Log("", self.disk.log)

    def claim(self, node_id: str, node_ids: tuple[str, ...]) -> None:
        if self.cluster is None:
            self.cluster = (node_id, node_ids)
        elif self.cluster != (node_id, node_ids):
            raise StorageError(f"{self.path} is another's")

    def changed(self) -> bool:
        """Return whether a commit has something to write, beside the length of the log."""
        disk, journal = self.disk, self.acceptor
        return bool(
            journal.cast
            or journal.decisions
            or journal.promised != disk.promised
            or self.cluster != disk.cluster
        )

    def commit(self, logged: int = 0) -> None:
        disk, journal, changed = self.disk, self.acceptor, self.changed()
        # The log takes no space here, so that a simulation is the same whether there is one or not.
        if changed and disk.power_fails:
            raise PowerCut
        if changed and disk.full:
            raise StorageError(f"{self.path} is full")
        disk.logged = logged
        if not changed:
            return
        disk.saves += 1
        disk.cluster = self.cluster
        disk.save(journal)
        disk.saved(disk.node, journal.cast, journal.decisions)
        journal.cast = []
        journal.forget_changes()
