"""The second opinion on altered logs: that of a node.  It knows no specification, and nothing of
TLC.

A node is deterministic, so a log is one that it can have written if it writes the same log when it
is given the same inputs; and what it received must have been sent before, which is told in `order`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats.canonical import canonical
from ..formats.strict import loads, split_lines
from ..running.cluster import NodeError
from ..running.replay import check_command
from . import order
from .expectations import is_message, is_refusal, key
from .order import Found

Json = Any


@dataclass(frozen=True)
class Opinion:
    """The line of the first bad record of each node that has one for certain, and whether the steps
    have an order, apart from what was never sent.

    If they have none, some receipt of what is sent later is bad, too, but not for certain which.
    """

    records: Sequence[Json]
    bad: Found
    ordered: bool

    @property
    def legal(self) -> bool:
        return self.ordered and not self.bad

    def allows(self, found: Found) -> bool:
        """Whether a checker may reject these records and no others."""
        if self.ordered:
            return found == self.bad
        early = order.early(self.records)
        return (
            all(found.get(node, line + 1) <= line for node, line in self.bad.items())
            and all(line in early or self.bad.get(node) == line for node, line in found.items())
            and order.has_order(self.records, found)
        )


class Oracle:
    """Asks processes of a node, each question once."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        check_command(command)
        self._command = command
        self._seconds = seconds
        self._known: dict[str, list[Json]] = {}

    def opinion(self, records: Sequence[Json]) -> Opinion:
        """What is wrong with a cluster's log."""
        logs: dict[str, list[tuple[int, Json]]] = defaultdict(list)
        for line, record in enumerate(records, 1):
            logs[record["node"]].append((line, record))
        bad = order.unsent(records)
        for node, log in logs.items():
            line = self._differs(log)
            if line is not None:
                bad[node] = min(line, bad.get(node, line))
        for node, line in _given_others(records).items():
            bad[node] = min(line, bad.get(node, line))
        return Opinion(records, bad, order.has_order(records, {}))

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
                    [*self._command, "--manual-clock", "--log", path],
                    input=given.encode(),
                    capture_output=True,
                    timeout=self._seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise NodeError(f"the node did not end within {self._seconds:g} s") from None
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
            if done.returncode != 0 or not path.exists():
                why = f"ended with status {done.returncode}: {' / '.join(told)}"
                raise NodeError(f"a node that was to write a log {why}")
            return [loads(line) for line in split_lines(path.read_bytes())[0]]


def _same(record: Json, written: Json) -> bool:
    return (
        record.keys() <= written.keys()
        and record["node"] == written["node"]
        and record.get("action", written["action"]) == written["action"]
        and _taken(record["input"]) == _taken(written["input"])
        and said(record["output"]) == said(written["output"])
    )


def _taken(given: Json) -> str:
    """An input without what a network adds to it."""
    return key(given) if is_message(given) else canonical(given)


def said(output: Sequence[Json]) -> tuple[dict[str, list[str]], list[str], bool]:
    """The messages to each destination, without what an error tells people; the numbers of the
    replies, which may come to different clients in any order; whether those to each ascend.
    """
    found: dict[str, list[str]] = defaultdict(list)
    numbers: dict[str, list[Json]] = defaultdict(list)
    for message in output:
        body, dest = dict(message["body"]), canonical(message.get("dest"))
        if body.get("type") == "error" and isinstance(body.get("text", ""), str):
            body.pop("text", None)
        if "msg_id" in body:
            numbers[dest].append(body.pop("msg_id"))
            body["msg_id"] = "told apart"
        found[dest].append(canonical({**message, "body": body}))
    every = sorted(canonical(number) for its in numbers.values() for number in its)
    rising = all(its == sorted(its, key=_natural) for its in numbers.values())
    return found, every, rising


def _natural(number: Json) -> float:
    return number if isinstance(number, (int, float)) else -1


def _given_others(records: Sequence[Json]) -> Found:
    """The line of the `init` that named other members than those that most nodes were given."""
    opened: dict[str, tuple[int, str]] = {}
    for line, record in enumerate(records, 1):
        given = record["input"]
        if is_message(given, "init") and not is_refusal(given, record["output"]):
            named = canonical(given["body"].get("node_ids"))
            opened.setdefault(record["node"], (line, named))
    every = [named for _, named in opened.values()]
    return {
        node: line for node, (line, named) in opened.items() if 2 * every.count(named) < len(every)
    }
