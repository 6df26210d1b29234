"""Trace validation accepts logs of nodes, and rejects changed ones at the first wrong record.

Whether a changed log is legal is decided independently: a new node gets its inputs, and receipts
without a send are searched.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from multipaxos import message_log
from multipaxos.node import Node

from conformance import locations
from conformance.formats import logs
from conformance.formats.schema import is_message
from conformance.mutation import order
from conformance.mutation.oracle import Opinion, output_key
from conformance.running import record
from conformance.tlaplus import tlc
from conformance.validation import trace_validation
from conformance.validation.verdict import Verdict
from tests.support.node_process import init, request
from tests.support.paths import FIXTURES, NODE

FIXTURES = sorted(FIXTURES.glob("*.ndjson"))

Log = list[logs.Record]


def changed_field(rng: random.Random, log: Log) -> tuple[Log, int]:
    """Change one field in the input or output of one record."""
    places = [at for at, taken in enumerate(log) if is_message(taken.input)]
    at = rng.choice(places)
    taken = log[at]
    message = rng.choice([taken.input, *taken.output])
    field = rng.choice([f for f in message["body"] if f not in ("type", "node_id", "node_ids")])
    changed = {**message, "body": {**message["body"], field: other(message["body"][field], field)}}
    swap = [changed if m is message else m for m in (taken.input, *taken.output)]
    new = logs.Record(taken.node, swap[0], swap[1:], taken.path, taken.line)
    return [*log[:at], new, *log[at + 1 :]], at


SOME = {
    "accepted": [{"slot": 7, "ballot": 9, "value": 7}],
    "decided": [{"slot": 7, "value": 9}],
    "known": [[7, 9]],
    "log": [{"slot": 7, "value": 9, "status": "chosen"}],
}


def other(item: object, field: str) -> object:
    """Return another item that the schema allows in the same place."""
    if isinstance(item, bool):
        return not item
    if isinstance(item, int):
        return item + 1
    if isinstance(item, str):
        return item + "x"
    if item == []:
        return SOME[field]
    return [] if isinstance(item, list) else {"other": item}


def dropped_record(rng: random.Random, log: Log) -> tuple[Log, int]:
    at = rng.randrange(1, len(log))
    return [*log[:at], *log[at + 1 :]], at


def swapped_records(rng: random.Random, log: Log) -> tuple[Log, int]:
    at = rng.randrange(1, len(log) - 1)
    return [*log[:at], log[at + 1], log[at], *log[at + 2 :]], at


Change = Callable[[random.Random, Log], tuple[Log, int]]
CHANGES: list[Change] = [changed_field, dropped_record, swapped_records]


def illegal_at(log: Log, batch: int) -> int | None:
    """Return the first record where a node has other output, or drops the input."""
    node = Node(batch=batch)
    for at, taken in enumerate(log):
        up = node.replica is not None and node.replica.up
        lines = node.turn([json.dumps(taken.input).encode()]).splitlines()
        printed = [json.loads(line) for line in lines]
        ignored = node.replica is not None and not printed and is_refused(node, taken, up)
        if output_key(printed) != output_key(taken.output) or ignored:
            return at
    return None


def is_refused(node: Node, taken: logs.Record, up: bool) -> bool:
    """Return whether the node dropped this input instead of taking it; `up`: it was up before."""
    if isinstance(taken.input, dict) and not is_message(taken.input):
        named = {slot for low, high in taken.input["slots"] for slot in range(low, high + 1)}
        return not up or not named <= node.replica.leader.votes.keys()
    if not is_message(taken.input):
        return up == (taken.input == "restart")
    return not up or taken.input["dest"] != node.replica.node


def second_opinion(cluster: Log, batch: int) -> Opinion:
    records = [{"node": r.node, "input": r.input, "output": r.output} for r in cluster]
    bad = order.unsent(records)
    for node, log in logs.by_node(cluster).items():
        at = illegal_at(log, batch)
        if at is not None:
            bad[node] = min(log[at].line, bad.get(node, len(cluster)))
    return Opinion(records, bad, order.has_order(records, {}))


def with_change(cluster: Log, node: str, change: Change, rng: random.Random) -> Log:
    """Return a cluster's log with the log of one node changed, and lines renumbered."""
    places = [at for at, taken in enumerate(cluster) if taken.node == node]
    changed, at = change(rng, [cluster[place] for place in places])
    dropped = {places.pop(at)} if len(changed) < len(places) else set()
    made: list[logs.Record | None] = list(cluster)
    for place, taken in zip(places, changed, strict=True):
        made[place] = taken
    kept = [taken for at, taken in enumerate(made) if at not in dropped]
    return [replace(taken, line=line) for line, taken in enumerate(kept, 1)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A short run of three real processes."""
    folder = tmp_path_factory.mktemp("small")
    faults = record.Faults(crash=60, restart=20, timeout=15)
    return logs.read(record.record(folder, NODE, nodes=3, requests=8, seed=2, faults=faults).path)


def validate_changes(cluster: Log, seeds: range, batch: int = 1000) -> dict[str, int]:
    """Change a log once for each seed and kind, validate all, and compare the verdicts.

    The log itself is accepted.
    """
    nodes = sorted(logs.by_node(cluster))
    cases = []
    for seed in seeds:
        for change in CHANGES:
            rng = random.Random(f"{change.__name__} {seed}")
            node = rng.choice(nodes)
            name = f"{change.__name__} in {node}, seed {seed}"
            cases.append((name, with_change(cluster, node, change, rng)))
    changed = [case for _, case in cases]
    unchanged, *verdicts = trace_validation.validate_logs([cluster, *changed], batch)
    assert unchanged.rejections == [] and unchanged.records == len(cluster)
    counts = {"rejected": 0, "legal": 0}
    for (name, case), verdict in zip(cases, verdicts, strict=True):
        found = {r.record.node: r.record.line for r in verdict.rejections}
        opinion = second_opinion(case, batch)
        assert opinion.allows(found), f"{name}: {found} and not {opinion.bad}"
        counts["rejected" if found else "legal"] += 1
        print(f"{name}: {f'rejected at line {found}' if found else 'legal as it is'}")
    return counts


def test_changed_small_logs_are_rejected_at_the_first_wrong_record(small: Log) -> None:
    counts = validate_changes(small, range(10))
    assert counts["rejected"] >= 10


@pytest.mark.parametrize(("nodes", "requests"), [(3, 60), (5, 40)])
def test_changed_recorded_runs_are_rejected_at_the_first_wrong_record(
    nodes: int, requests: int, tmp_path: Path
) -> None:
    run = record.record(tmp_path, NODE, nodes=nodes, requests=requests, seed=5)
    assert run.happened["requests"] >= requests and run.happened["crashes"] > 0
    cluster = logs.read(run.path)
    inputs = [taken.input for taken in cluster]
    assert {given for given in inputs if isinstance(given, str)} == {
        *("timeout", "inquire", "expire", "crash", "restart")
    }
    asked = [given["body"] for given in inputs if is_message(given)]
    assert {frozenset(body) & {"from", "limit"} for body in asked} == {
        *map(frozenset, [(), ("from",), ("limit",), ("from", "limit")])
    }
    counts = validate_changes(cluster, range(1, 4))
    assert counts["rejected"] > 0


def test_same_seed_gives_the_same_run(small: Log, tmp_path: Path) -> None:
    faults = record.Faults(crash=60, restart=20, timeout=15)
    again = record.record(tmp_path, NODE, nodes=3, requests=8, seed=2, faults=faults).path
    assert again.read_bytes() == small[0].path.read_bytes()


def test_validation_that_misses_the_end_of_a_log_is_an_error(
    small: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when TLC reads an empty module, or another one, or a part of it."""
    start = '"<<\\"starts\\", 1, 1, <<0>>>>"'
    ends = ['"<<\\"ends\\", 1, 1, <<0>>>>"'], ['"<<\\"ends\\", 9, 1, <<0>>>>"']
    for lines in ([], [start], *ends):

        def run(*_: object, on_print: object, lines: list[str] = lines, **__: object) -> None:
            for line in lines:
                on_print(line)

        monkeypatch.setattr(tlc, "run", run)
        with pytest.raises(tlc.ToolError, match="end of every log"):
            trace_validation.validate_logs([small], 1000)


@pytest.fixture(scope="module")
def fixtures() -> dict[Path, Verdict]:
    """The verdicts on all fixtures, from as few runs of TLC as on one."""
    verdicts = trace_validation.validate_logs([*map(logs.read, FIXTURES)], 1000)
    return dict(zip(FIXTURES, verdicts, strict=True))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixtures_differ_in_one_line_and_verdict(path: Path, fixtures: dict[Path, Verdict]) -> None:
    verdict = fixtures[path]
    ok = path.stem.endswith("-ok")
    assert ok or path.stem.endswith("-bad")
    assert bool(verdict.rejections) != ok
    mine, other_end = ("-ok", "-bad") if ok else ("-bad", "-ok")
    other_path = path.with_stem(path.stem.removesuffix(mine) + other_end)
    ours, theirs = path.read_text().splitlines(), other_path.read_text().splitlines()
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1


def test_in_order_equals_ascending_of_the_specification() -> None:
    """Trace validation uses InOrder, which is faster than Ascending."""
    module = """---- MODULE Same ----
EXTENDS Trace
One == <<"n1">>
Timeouts == <<[input |-> Event("timeout"), output |-> <<>>]>>
ASSUME TLCSet(1, <<[node |-> "n1", start |-> Fresh, records |-> Timeouts]>>)
ASSUME \\A S \\in SUBSET (0..5) : InOrder(S) = Ascending(S){wrong}
====
"""
    config = (
        "CONSTANTS\nMembers <- One\nRequests = {}\nBatch = 1\nRestless = {}\n"
        "Last = 5\nStep <- TraceStep\nSPECIFICATION TraceSpec\n"
    )
    run = partial(tlc.run, libraries=locations.LIBRARIES, brief=True)
    run("Same", module.replace("{wrong}", ""), config)
    with pytest.raises(tlc.ToolError, match="Assumption"):
        wrong = module.replace("{wrong}", " /\\ S # {2, 4}")
        run("Same", wrong, config)


def test_leader_that_proposes_in_many_slots_at_once_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "n1.ndjson"
    requests = [request(slot, "multi_paxos_propose", slot=slot, value=slot) for slot in range(100)]
    promise = {"type": "promise", "ballot": 1, "accepted": [], "known": []}
    with path.open("wb") as file:
        node = Node(log=message_log.Log("", file))
        for line in init("n1", "n2", "n3"), *requests:
            node.turn([line.encode()])
        node.turn([json.dumps({"src": "n2", "dest": "n1", "body": promise}).encode()])
    log = logs.read(path)
    assert len(log[-1].output) == 2 * len(requests)
    [verdict] = trace_validation.validate_logs([log], 1000)
    assert verdict.rejections == []
