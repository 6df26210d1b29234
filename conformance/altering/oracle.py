"""The second judge of altered logs: a node.  It knows no specification, and nothing of TLC.

A node is deterministic, so a log is one that it can have written if it writes the same log when it
is given the same inputs; and what it received must have been sent before.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..logbook.canonical import canonical
from ..running.cluster import NodeError
from ..running.replay import check_command
from .claims import is_message, key

Json = Any


class Oracle:
    """Asks processes of a node, each question once."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        check_command(command)
        self._command = command
        self._seconds = seconds
        self._known: dict[str, list[Json]] = {}

    def bad(self, records: Sequence[Json]) -> dict[str, int]:
        """The line of the first bad record of each node that has one, in a cluster's log."""
        logs: dict[str, list[tuple[int, Json]]] = defaultdict(list)
        for line, record in enumerate(records, 1):
            logs[record["node"]].append((line, record))
        found = _undelivered(logs)
        for node, log in logs.items():
            line = self._differs(log)
            if line is not None:
                found[node] = min(line, found.get(node, line))
        return found

    def _differs(self, log: list[tuple[int, Json]]) -> int | None:
        written = self.log([record["input"] for _, record in log])
        for at, (line, record) in enumerate(log):
            # What the node did not take as a step is not in its log, so there the next step stands.
            if at == len(written) or not _same(record, written[at]):
                return line
        return None

    def log(self, inputs: Sequence[Json]) -> list[Json]:
        """The log that a fresh node writes; raises `NodeError` if it does not end well."""
        given = "".join(json.dumps(each) + "\n" for each in inputs)
        if given not in self._known:
            self._known[given] = self._write_log(given)
        return self._known[given]

    def _write_log(self, given: str) -> list[Json]:
        with tempfile.TemporaryDirectory(prefix="oracle-") as scratch:
            path = Path(scratch) / "log.ndjson"
            try:
                done = subprocess.run(
                    [*self._command, "--manual-clock", "--log", path], input=given.encode(),
                    capture_output=True, timeout=self._seconds, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise NodeError(f"the node did not end within {self._seconds:g} s") from None
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
            if done.returncode != 0 or not path.exists():
                why = f"ended with status {done.returncode}: {' / '.join(told)}"
                raise NodeError(f"a node that was to write a log {why}")
            return [json.loads(line) for line in path.read_bytes().splitlines()]


def _same(record: Json, written: Json) -> bool:
    return (
        record.keys() <= written.keys()
        and record["node"] == written["node"]
        and record.get("action", written["action"]) == written["action"]
        and _taken(record["input"]) == _taken(written["input"])
        and list(map(_said, record["output"])) == list(map(_said, written["output"]))
    )


def _taken(given: Json) -> str:
    """An input without what a network adds to it."""
    return key(given) if is_message(given) else canonical(given)


def _said(message: Json) -> str:
    """A message without what an error tells people."""
    body = message["body"]
    if body.get("type") == "error" and isinstance(body.get("text", ""), str):
        body = {name: item for name, item in body.items() if name != "text"}
    return canonical({**message, "body": body})


def _undelivered(logs: dict[str, list[tuple[int, Json]]]) -> dict[str, int]:
    """Where each node waits forever for what nobody can have sent before.

    Lets every node go as far as it can, again and again until none gets further.
    """
    at, sent, moved = dict.fromkeys(logs, 0), set(), True
    while moved:
        moved = False
        for node, log in logs.items():
            while at[node] < len(log):
                _, record = log[at[node]]
                given = record["input"]
                if is_message(given) and given.get("src") in logs and key(given) not in sent:
                    break
                sent |= {key(message) for message in record["output"]}
                at[node] += 1
                moved = True
    return {node: log[at[node]][0] for node, log in logs.items() if at[node] < len(log)}
