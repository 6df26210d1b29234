"""The oracle: a second opinion on mutated traces, from a node, without specification and TLC.

A node is deterministic, so it can have written a log exactly if it writes the same log from the
same inputs.  Whether these inputs can have been sent is decided in `order`.
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
from .expectations import is_message, is_refusal, message_key
from .order import BadLines

Json = Any


@dataclass(frozen=True)
class Opinion:
    """The oracle's verdict on a trace.

    `bad` is the line of the first bad record of each node that certainly has one.  `ordered` is
    whether the steps have an order, apart from inputs that were never sent.  If they have none,
    some receipt of a message that is sent later is bad, too, but it is open which one.
    """

    records: Sequence[Json]
    bad: BadLines
    ordered: bool

    @property
    def legal(self) -> bool:
        return self.ordered and not self.bad

    def allows(self, found: BadLines) -> bool:
        """Return whether a checker may reject these records and no others."""
        if self.ordered:
            return found == self.bad
        early = order.early_receipts(self.records)
        return (
            all(found.get(node, line + 1) <= line for node, line in self.bad.items())
            and all(line in early or self.bad.get(node) == line for node, line in found.items())
            and order.has_order(self.records, found)
        )


class Oracle:
    """Runs a process of a node for each log, once for the same inputs."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        check_command(command)
        self._command = command
        self._seconds = seconds
        self._written: dict[str, list[Json]] = {}

    def opinion(self, records: Sequence[Json]) -> Opinion:
        """Return the verdict on the trace of a cluster."""
        logs: dict[str, list[tuple[int, Json]]] = defaultdict(list)
        for line, record in enumerate(records, 1):
            logs[record["node"]].append((line, record))
        bad = order.unsent(records)
        for node, log in logs.items():
            differing = self._first_difference(log)
            if differing is not None:
                bad[node] = min(differing, bad.get(node, differing))
        for node, line in _other_members(records).items():
            bad[node] = min(line, bad.get(node, line))
        return Opinion(records, bad, order.has_order(records, {}))

    def _first_difference(self, log: list[tuple[int, Json]]) -> int | None:
        written = self.log([record["input"] for _, record in log])
        for at, (line, record) in enumerate(log):
            # An input that the node ignored is not in its log, so the next step is there instead.
            if at == len(written) or not _same(record, written[at]):
                return line
        return None

    def log(self, inputs: Sequence[Json]) -> list[Json]:
        """Return the log that a fresh node writes; raises `NodeError` if the node fails."""
        text = "".join(json.dumps(each) + "\n" for each in inputs)
        if text not in self._written:
            self._written[text] = self._write_log(text)
        return self._written[text]

    def _write_log(self, inputs: str) -> list[Json]:
        with tempfile.TemporaryDirectory(prefix="oracle-") as scratch:
            path = Path(scratch) / "log.ndjson"
            try:
                done = subprocess.run(
                    [*self._command, "--manual-clock", "--log", path],
                    input=inputs.encode(),
                    capture_output=True,
                    timeout=self._seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise NodeError(f"the node did not exit within {self._seconds:g} s") from None
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
            if done.returncode != 0 or not path.exists():
                why = f"exited with status {done.returncode}: {' / '.join(last)}"
                raise NodeError(f"a node that had to write a log {why}")
            return [loads(line) for line in split_lines(path.read_bytes())[0]]


def _same(record: Json, written: Json) -> bool:
    return (
        record.keys() <= written.keys()
        and record["node"] == written["node"]
        and record.get("action", written["action"]) == written["action"]
        and _input_key(record["input"]) == _input_key(written["input"])
        and output_key(record["output"]) == output_key(written["output"])
    )


def _input_key(given: Json) -> str:
    """Return an input without what a network adds to it."""
    return message_key(given) if is_message(given) else canonical(given)


def output_key(output: Sequence[Json]) -> tuple[dict[str, list[str]], list[str], bool]:
    """Return what must be equal in two outputs of the same step.

    That is the messages to each destination in their order, without texts of errors; the numbers of
    all replies, which have no order between clients; and whether they ascend for each client.
    """
    found: dict[str, list[str]] = defaultdict(list)
    numbers: dict[str, list[Json]] = defaultdict(list)
    for message in output:
        body, dest = dict(message["body"]), canonical(message.get("dest"))
        if body.get("type") == "error" and isinstance(body.get("text", ""), str):
            body.pop("text", None)
        if "msg_id" in body:
            numbers[dest].append(body.pop("msg_id"))
            body["msg_id"] = "compared separately"
        found[dest].append(canonical({**message, "body": body}))
    every = sorted(canonical(number) for its in numbers.values() for number in its)
    ascending = all(its == sorted(its, key=_number_or_less) for its in numbers.values())
    return found, every, ascending


def _number_or_less(number: Json) -> float:
    return number if isinstance(number, (int, float)) else -1


def _other_members(records: Sequence[Json]) -> BadLines:
    """Return the line of each `init` whose members are not those that most nodes were given."""
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
