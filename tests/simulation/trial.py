"""One run of a simulated world: what came of it, and the files that show it.

Whether it was right is said by the world itself while it runs, and then by the judge of histories.
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

from .faults import Script
from .lives import RIGHT, Failed, Parts
from .loaded import Loaded
from .world import World


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
        """Equal for two runs only if they are the same to the byte."""
        return hashlib.sha256(self.history + b"\0" + self.log).hexdigest()

    def write(self, folder: Path) -> None:
        """Leave the script, the log of all nodes and the history."""
        for kind, text in (
            ("scripts", self.script.text().encode()),
            ("logs", self.log),
            ("histories", self.history),
        ):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / f"seed-{self.script.seed}.ndjson").write_bytes(text)


def run(script: Script, parts: Parts = RIGHT, logs: bool = False) -> Trial:
    """Run a script and judge it; without `logs` it is faster, and the same."""
    begun = time.process_time()
    world = (Loaded if script.load else World)(script, parts, logs)
    failure = None
    try:
        world.run()
    except Failed as error:
        failure = str(error)
    history = [
        {"at": round(at, 6), "kind": kind, "message": message}
        for at, kind, message in world.clients.history
    ]
    failure = failure or judged(history, settled=script.load is None)
    happened = world.happened + Counter(acknowledged=len(world.clients.acknowledged))
    lines = [json.dumps(entry) + "\n" for entry in history] if logs else []
    log = b"".join(host.log.getvalue() for host in world.hosts.values()) if logs else b""
    took = time.process_time() - begun
    return Trial(script, failure, world.now, took, happened, "".join(lines).encode(), log)


def judged(history: list[dict], settled: bool) -> str | None:
    """The first thing that is wrong with a history that ends in peace, or under load."""
    entries = [
        Entry(entry["at"], entry["kind"], entry["message"], Path("history"), line)
        for line, entry in enumerate(history, 1)
    ]
    found = check_history(entries, settled)
    return f"{found[0].rule}: {found[0].entry.place}: {found[0].reason}" if found else None
