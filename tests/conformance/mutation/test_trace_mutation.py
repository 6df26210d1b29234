"""Trace mutation passes a correct checker and fails wrong ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance import whole_check
from conformance.__main__ import main
from conformance.formats import logs, schema
from conformance.golden import generate
from conformance.mutation import expectations, mutations, trace_mutation, trials
from conformance.mutation.oracle import Opinion, Oracle, output_key
from conformance.results import Case, Results
from conformance.running import record
from conformance.running.cluster import NodeError
from conformance.tlaplus.tlc import ToolError
from conformance.validation import trace_validation
from conformance.validation.handshake import check_handshake
from conformance.validation.verdict import Rejection, Verdict
from tests.support.golden import generated
from tests.support.paths import BROKEN_NODE, NODE

Clusters = list[list[logs.Record]]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record the beginning of a run of three real processes."""
    folder = tmp_path_factory.mktemp("short")
    run = record.record(folder, NODE, nodes=3, requests=8, seed=2, faults=trace_mutation.FAULTS)
    path = folder / "short.ndjson"
    logs.write(path, run.records[:50])
    return path


def trial(path: Path, checker: trials.Checker, folder: Path, **options: Any) -> bool:
    given = {"number": 20, "seed": 3, **options}
    return trace_mutation.mutate_traces(
        folder / "mutated", NODE, paths=[path], checker=checker, **given
    )


def rejecting(line: int, cluster: list[logs.Record]) -> Verdict:
    return Verdict(len(cluster), [Rejection(cluster[line - 1], "specification", "so it is")])


def test_trace_validation_passes_trace_mutation(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(short, trace_validation.validate_logs, tmp_path, number=60)
    [total] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  all ")]
    made, known, illegal, rejected, legal, accepted = map(int, total.split()[1:-1])
    assert made == 60 and illegal == rejected > 30 and legal == accepted > 5 and known > 40


def test_checker_that_accepts_everything_fails(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def blind(clusters: Clusters, batch: int) -> list[Verdict]:
        return [Verdict(len(cluster), []) for cluster in clusters]

    assert not trial(short, blind, tmp_path)
    printed = " ".join(capsys.readouterr().err.split())
    wrong = (tmp_path / "mutated" / "wrong").glob("*.ndjson")
    left = sorted(wrong, key=lambda path: int(path.stem))
    assert len(left) == 5 and f"{left[0]}: {short}, line" in printed
    assert f"--seed 3 --only {left[0].stem} -- {NODE[0]}" in printed
    assert not trial(short, blind, tmp_path, only=int(left[0].stem))


def test_checker_that_rejects_everything_fails(short: Path, tmp_path: Path) -> None:
    def strict(clusters: Clusters, batch: int) -> list[Verdict]:
        return [rejecting(1, cluster) for cluster in clusters]

    with pytest.raises(logs.LogError, match=r"short.ndjson:1: rejected by the checker before"):
        trial(short, strict, tmp_path)
    as_it_is = [(each.input, each.output) for each in logs.read(short)]

    def rejecting_changes(clusters: Clusters, batch: int) -> list[Verdict]:
        same = [[(r.input, r.output) for r in cluster] == as_it_is for cluster in clusters]
        return [
            Verdict(1, []) if each else rejecting(len(cluster), cluster)
            for cluster, each in zip(clusters, same, strict=True)
        ]

    assert not trial(short, rejecting_changes, tmp_path)


def derived_checker(rejected: Callable[[Opinion], set[int]]) -> trials.Checker:
    """Return a checker that rejects the lines that `rejected` derives from the oracle's opinion."""
    oracle = Oracle(NODE, 30)

    def checker(clusters: Clusters, batch: int) -> list[Verdict]:
        made = []
        for cluster in clusters:
            records = [{"node": r.node, "input": r.input, "output": r.output} for r in cluster]
            lines = {min(max(line, 1), len(cluster)) for line in rejected(oracle.opinion(records))}
            found = [each for line in lines for each in rejecting(line, cluster).rejections]
            made.append(Verdict(len(cluster), found))
        return made

    return checker


def test_checker_equal_to_the_oracle_passes(short: Path, tmp_path: Path) -> None:
    assert trial(
        short, derived_checker(lambda opinion: {*opinion.bad.values()}), tmp_path, number=25
    )


@pytest.mark.parametrize("off", [-1, 1])
def test_checker_that_rejects_another_record_fails(off: int, short: Path, tmp_path: Path) -> None:
    inexact = derived_checker(lambda opinion: {line + off for line in opinion.bad.values()})
    assert not trial(short, inexact, tmp_path)


def test_checker_that_stops_a_node_at_an_unsent_message_fails(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records that depend on later messages of that node are correct, and must be accepted."""

    def stopping(opinion: Opinion) -> set[int]:
        return {*opinion.bad.values(), *stopped(opinion.records)}

    assert not trial(short, derived_checker(stopping), tmp_path, kind="lose-message", number=15)
    assert "which is not mutated and received no mutated message" in " ".join(
        capsys.readouterr().err.split()
    )


def stopped(records: Sequence[dict]) -> set[int]:
    """Return the lines where nodes stop if they wait for messages that were never sent."""
    left = {
        node: [(line, r) for line, r in enumerate(records, 1) if r["node"] == node]
        for node in expectations.nodes_in(records)
    }
    sent: set[str] = set()
    moved = True
    while moved:
        moved = False
        for log in left.values():
            while log and not (
                expectations.is_message(given := log[0][1]["input"])
                and given["src"] in left
                and expectations.message_key(given) not in sent
            ):
                sent |= {expectations.message_key(message) for message in log.pop(0)[1]["output"]}
                moved = True
    return {log[0][0] for log in left.values() if log}


def test_checker_that_raises_fails(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(clusters: Clusters, batch: int) -> list[Verdict]:
        if any(len(cluster) > 50 for cluster in clusters):
            raise ToolError("too much")
        return [Verdict(len(cluster), []) for cluster in clusters]

    assert not trial(short, raising, tmp_path)
    assert "no verdict: too much" in capsys.readouterr().err


def test_broken_node_is_not_accepted_as_oracle(short: Path, tmp_path: Path) -> None:
    silent = Oracle([sys.executable, "-c", "pass"], 30)
    with pytest.raises(NodeError, match="had to write a log"):
        silent.opinion(logs.read_json(short))
    broken = BROKEN_NODE
    node = Oracle([*broken, "vote-only-above-promise"], 30)
    bad = node.opinion(logs.read_json(short)).bad.values()
    assert all("accept" in str(logs.read_json(short)[line - 1]["output"]) for line in bad) and bad
    with pytest.raises(logs.LogError, match="rejected by the node before any mutation"):
        trials.require_accepted([trials.source(short, 1000)], {1000: node})


@pytest.mark.parametrize(
    "options, number, status",
    [
        ([], 0, 0),
        (["--mutate-traces"], 2000, 1),
        (["--mutate-traces", "7"], 7, 1),
        (["--mutate-traces", "8"], 8, 0),
    ],
)
def test_check_runs_trace_mutation_on_request(
    options: list[str], number: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def tried(*_: object, number: int, **__: object) -> bool:
        asked.append(number)
        return number == 8

    def passing(*_: object, results: Results, **__: object) -> bool:
        results.add(Case("check", "phase", "pass"))
        return True

    monkeypatch.setattr(trace_mutation, "mutate_traces", tried)
    monkeypatch.setattr(whole_check, "check", passing)
    with pytest.raises(SystemExit) as ended:
        main(["check", *options, "--seed", "3"])
    assert ended.value.code == status and asked == [number] * bool(number)


# Expectations without an oracle.


def of(node: str, given: object, *output: tuple[str, dict]) -> dict:
    messages = [{"src": node, "dest": dest, "body": body} for dest, body in output]
    return {"node": node, "input": given, "output": messages}


def begun(node: str) -> dict:
    body = {"type": "init", "msg_id": 1, "node_id": node, "node_ids": ["n1", "n2"]}
    reply = {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}
    return of(node, {"src": "c0", "dest": node, "body": body}, ("c0", reply))


LEARN = {"type": "learn", "known": []}
LEARN_REQUEST = {"src": "n2", "dest": "n1", "body": LEARN}


@pytest.mark.parametrize(
    "records, seen",
    [
        ([begun("n1"), of("n1", "crash"), of("n1", "restart"), of("n1", "timeout")], {}),
        ([begun("n1"), of("n1", LEARN_REQUEST)], {}),
        ([of("n2", "inquire", ("n1", LEARN)), begun("n1"), of("n1", LEARN_REQUEST)], {"n2": 1}),
        ([begun("n2"), begun("n1"), of("n1", LEARN_REQUEST)], {"n1": 3}),
        ([begun("n2"), of("n2", LEARN_REQUEST)], {"n2": 2}),
        ([begun("n1"), of("n1", "crash"), of("n1", "timeout")], {"n1": 3}),
        ([begun("n1"), of("n1", "restart")], {"n1": 2}),
        ([begun("n1"), begun("n1")], {"n1": 2}),
        ([begun("n1"), {**of("n1", "inquire", ("n2", LEARN)), "node": "n2"}], {"n2": 2}),
        (
            [begun("n1"), of("n1", "timeout", ("c5", {"type": "error", "in_reply_to": 5}))],
            {"n1": 2},
        ),
    ],
)
def test_errors_visible_without_an_oracle_are_found(
    records: list[dict], seen: dict[str, int]
) -> None:
    assert {node: line for node, (line, _) in expectations.visible_errors(records).items()} == seen


def test_contradictory_expectation_is_an_error() -> None:
    records = [begun("n1"), of("n1", "restart")]
    with pytest.raises(AssertionError):
        expectations.combined(expectations.Expectation(True, "as required"), records)
    assert expectations.combined(None, records).at == {"n1": 2}


def test_mutated_traces_differ_and_are_deterministic(short: Path) -> None:
    source = trials.source(short, 1000)
    some = list(islice(mutations.mutated_traces([source], [], 5), 200))
    assert [each.what for each in some if each.text == short.read_text()] == []
    assert {each.kind for each in some} == mutations._SHARES.keys() - {"splice-node"}
    [again] = islice(mutations.mutated_traces([source], [], 5, first=77), 1)
    assert replace(again) == some[76]


def test_log_without_causal_order_is_not_mutated(short: Path, tmp_path: Path) -> None:
    path = tmp_path / "sorted.ndjson"
    records = sorted(logs.read_json(short), key=lambda each: each["node"])
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    with pytest.raises(logs.LogError, match="before the one that sends it"):
        trials.source(path, 1000)


def test_every_field_of_every_message_is_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Already without long runs, and with fewer short ones."""
    monkeypatch.setattr(trace_mutation, "LONG_RUNS", ())
    monkeypatch.setattr(trace_mutation, "RUNS", ((3, 1), (5, 1)))
    golden = SimpleNamespace(
        generate=lambda model, folder: generated(folder, model.name)[0],
        simulate=generate.simulate,
    )
    monkeypatch.setattr(trace_mutation, "generating", golden)
    sources, _ = trace_mutation._make_sources(tmp_path, NODE, 1, lambda text: None)
    edited = {(kind, name) for side, kind, name in mutations.places(sources) if side != "record"}
    defined = schema.load("messages")["$defs"]
    messages = {
        name: each["properties"]
        for name, each in defined.items()
        if "type" in each.get("properties", ())
    }
    assert len(messages) >= 15
    missing = [
        (kind, field)
        for kind, fields in messages.items()
        for field in fields
        if (kind, f"body.{field}") not in edited
    ]
    assert missing == []


# Bugs that trace mutation has found.


@pytest.mark.parametrize("given", [{}, {"node_ids": ["n2", "n3"]}])
def test_refused_init_defines_no_cluster(given: dict, tmp_path: Path) -> None:
    path = tmp_path / "n1.ndjson"
    body = {"type": "init", "msg_id": 7, "node_id": "n1", **given}
    asked = [{"src": "c0", "dest": "n1", "body": body}, begun("n1")["input"], "timeout"]
    logs.write(path, Oracle(NODE, 30).log(asked))
    [verdict] = trace_validation.validate_logs([logs.read(path)], 1000)
    assert verdict.rejections == []


def test_init_that_does_not_name_its_node_is_rejected(short: Path) -> None:
    records = logs.read_json(short)
    body = records[0]["input"]["body"]
    node = body["node_id"]
    body["node_ids"] = [f"not {name}" if name == node else name for name in body["node_ids"]]
    [verdict] = trace_validation.validate_logs([logs.of(records)], 1000)
    assert {found.record.node: found.record.line for found in verdict.rejections}[node] == 1


DECIDED = {"type": "decided", "slot": 1, "value": 1}
ACCEPT = {"type": "accept", "ballot": 1, "slot": 1, "value": 1}
ACCEPTED = {"type": "accepted", "ballot": 1, "slot": 1}


@pytest.mark.parametrize(
    "src, body, output, reason",
    [
        ("c9", DECIDED, (), "decided is from c9, which is not another node"),
        ("n2", ACCEPT, (("n2", ACCEPTED),), "accept of ballot 1, which belongs to n1"),
        ("n2", {**ACCEPTED, "ballot": 2}, (), "accepted of ballot 2, which belongs to n2"),
        ("n2", {"type": "multi_paxos_log", "msg_id": 3}, (), "is from a node, not from a client"),
    ],
)
def test_message_that_was_never_sent_is_rejected(
    src: str, body: dict, output: tuple, reason: str
) -> None:
    """The specification has no senders other than members, so the handshake checks them."""
    records = [begun("n1"), of("n1", {"src": src, "dest": "n1", "body": body}, *output)]
    found = check_handshake(logs.of(records))
    assert found is not None and found.record.line == 2 and reason in found.reason


def test_answer_of_a_node_that_is_down_is_rejected() -> None:
    refusal = {"type": "error", "in_reply_to": 9, "code": 10, "text": "no", "msg_id": 1}
    ask = {"src": "c1", "dest": "n1", "body": {"type": "sing", "msg_id": 9}}
    records = [begun("n1"), of("n1", "crash"), of("n1", ask, ("c1", refusal))]
    found = check_handshake(logs.of(records))
    assert found is not None and found.record.line == 3


@pytest.mark.parametrize("given", [{}, {"type": None}, {"type": ["learn"]}])
def test_request_without_a_type_is_malformed(given: dict) -> None:
    def refused(code: int) -> dict:
        error = {"type": "error", "in_reply_to": 9, "code": code, "text": "no", "msg_id": 1}
        ask = {"src": "c1", "dest": "n1", "body": {**given, "msg_id": 9}}
        return of("n1", ask, ("c1", error))

    assert check_handshake(logs.of([begun("n1"), refused(12)])) is None
    found = check_handshake(logs.of([begun("n1"), refused(10)]))
    assert found is not None and "refused with error 10 instead of 12" in found.reason
    output = Oracle(NODE, 30).log([begun("n1")["input"], refused(12)["input"]])[1]["output"]
    assert output[0]["body"]["code"] == 12


def test_replies_to_different_clients_are_numbered_in_any_order() -> None:
    def reply(dest: str, number: int) -> dict:
        return {"src": "n1", "dest": dest, "body": {"type": "error", "msg_id": number}}

    def key(*replies: tuple[str, int]) -> object:
        return output_key([reply(dest, number) for dest, number in replies])

    assert key(("c1", 2), ("c2", 3)) == key(("c2", 2), ("c1", 3))
    assert key(("c1", 2), ("c1", 3)) != key(("c1", 3), ("c1", 2))
    assert key(("c1", 2)) != key(("c1", 3))
