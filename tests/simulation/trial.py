"""One run of a simulation: its result, and the files that show it.

The simulation checks its rules while it runs; the history checker checks the clients' history.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from conformance.formats.history import Entry
from conformance.validation.history_checker import check_history

from .cluster import Simulation
from .faults import Script
from .lives import RIGHT, Failed, Parts
from .loaded import Loaded


@dataclass(frozen=True)
class Trial:
    """A run that is over; `failure` begins with the rule that was broken, and a colon.

    It took `seconds` of simulated time, and so many of a `processor`.
    """

    script: Script
    failure: str | None
    seconds: float
    processor: float
    happened: Counter[str]
    history: bytes
    log: bytes

    @property
    def rule(self) -> str | None:
        return self.failure and self.failure.split(":")[0]

    def digest(self) -> str:
        """Return a digest that is equal only for runs that are equal to the byte."""
        return hashlib.sha256(self.history + b"\0" + self.log).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the script, the log of all nodes and the history."""
        for kind, text in (
            ("scripts", self.script.text().encode()),
            ("logs", self.log),
            ("histories", self.history),
        ):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / f"seed-{self.script.seed}.ndjson").write_bytes(text)


def run(script: Script, parts: Parts = RIGHT, logs: bool = False) -> Trial:
    """Run a script and check it; without `logs` it is faster, and otherwise the same."""
    begun = time.process_time()
    simulation = (Loaded if script.load else Simulation)(script, parts, logs)
    failure = None
    try:
        simulation.run()
    except Failed as error:
        failure = str(error)
    history = [
        {"at": round(at, 6), "kind": kind, "message": message}
        for at, kind, message in simulation.clients.history
    ]
    failure = failure or first_finding(history, settled=script.load is None)
    happened = simulation.happened + Counter(acknowledged=len(simulation.clients.acknowledged))
    lines = [json.dumps(entry) + "\n" for entry in history] if logs else []
    log = b"".join(host.disk.log_text() for host in simulation.hosts.values()) if logs else b""
    took = time.process_time() - begun
    return Trial(script, failure, simulation.now, took, happened, "".join(lines).encode(), log)


def first_finding(history: list[dict], settled: bool) -> str | None:
    """Return the first finding in a history that ends at quiescence, or under load."""
    entries = [
        Entry(entry["at"], entry["kind"], entry["message"], Path("history"), line)
        for line, entry in enumerate(history, 1)
    ]
    found = check_history(entries, settled)
    return f"{found[0].rule}: {found[0].entry.place}: {found[0].reason}" if found else None
