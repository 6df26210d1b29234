"""Trace validation gives the same verdict for every size of window, and none from a wrong state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from multipaxos.node import Node

from conformance.formats import logs
from conformance.formats.schema import is_message
from conformance.running import record
from conformance.tlaplus import tlc
from conformance.validation import explanation, step_checker
from conformance.validation.ballots import Ballots
from conformance.validation.names import Names
from conformance.validation.state import State
from conformance.validation.trace_validation import validate_logs
from conformance.validation.verdict import MISSING, Rejection, Verdict
from tests.support.node_process import init, request
from tests.support.paths import IMPL, OK

NODE = ("python3", str(IMPL / "main.py"))
TAKEOVER = OK

Log = list[logs.Record]
Json = Any


def validated(clusters: Sequence[Log], *windows: int | None, batch: int = 1000) -> list[Verdict]:
    """Return the verdicts; check that they are the same for all sizes of window."""
    first, *others = [validate_logs(clusters, batch, window=window) for window in windows]
    assert all(other == first for other in others)
    return first


def rejected_lines(verdict: Verdict) -> list[int]:
    return [found.record.line for found in verdict.rejections]


def with_wrong_output(log: Log, at: int) -> Log:
    """Return a log with one output without its last message, or with a stray one if it had none."""
    taken = log[at]
    stray = {"src": taken.node, "dest": "n9", "body": {"type": "rejected", "promised": 99}}
    output = taken.output[:-1] if taken.output else [stray]
    return [*log[:at], replace(taken, output=output), *log[at + 1 :]]


def kind(given: Json) -> str:
    """Return the type of a message, or the name of an event."""
    return given["body"]["type"] if is_message(given) else str(given)[:10]


def written(path: Path, node: Node, lines: Sequence[str]) -> Log:
    """Return the log that a node writes for some lines."""
    with path.open("wb") as file:
        node.log = file
        for line in lines:
            node.turn([line.encode()])
    return logs.read(path)


def message(src: str, kind: str, **fields: object) -> str:
    return json.dumps({"src": src, "dest": "n1", "body": {"type": kind, **fields}})


# Cuts.


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The log of a node that crashed in a short run of three real processes."""
    faults = record.Faults(crash=60, restart=20, timeout=15)
    folder = tmp_path_factory.mktemp("run")
    path = record.record(folder, NODE, nodes=3, requests=8, seed=2, faults=faults).path
    nodes = logs.by_node(logs.read(path)).values()
    return next(log for log in nodes if "restart" in [taken.input for taken in log])


def test_window_of_one_record_gives_the_same_verdict() -> None:
    [verdict] = validated([logs.read(TAKEOVER)], 1, None)
    assert verdict.rejections == []


def test_wrong_output_is_found_in_each_action_and_at_each_cut(crashed: Log) -> None:
    log, size = crashed, 25
    steps = [at for at, taken in enumerate(log) if not taken.starts]
    kinds = {kind(log[at].input): at for at in steps}
    steps = [at for at in steps if at % size in (0, 1, 2) or at in kinds.values()]
    assert len(kinds) >= 9
    verdicts = validated([log, *(with_wrong_output(log, at) for at in steps)], size, None)
    assert [rejected_lines(verdict) for verdict in verdicts] == [
        [],
        *([log[at].line] for at in steps),
    ]


def test_log_is_checked_in_windows(crashed: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    original = step_checker._run

    def counted(windows: Sequence[step_checker.Window], *rest: Any) -> list[step_checker.Result]:
        sizes.extend(len(window.records) for window in windows)
        return original(windows, *rest)

    monkeypatch.setattr(step_checker, "_run", counted)
    validate_logs([crashed], 1000, window=60)
    assert max(sizes) <= 60 and sum(sizes) == len(crashed) - 1


def test_window_with_many_slots_is_shorter(crashed: Log) -> None:
    cursor = step_checker.Cursor.at_start(crashed)
    decisions = [{"slot": 2 * slot, "value": slot} for slot in range(10)]
    learned = {"src": "n2", "dest": "n1", "body": {"type": "learned", "decided": decisions}}
    cursor.steps = [replace(cursor.steps[0], input=learned, output=[])] * 5
    assert len(list(step_checker._next_records(cursor, 5))) == 1
    assert len(list(step_checker._next_records(cursor, 100))) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda state: replace(state, promised=state.promised + 5),
        lambda state: replace(state, up=not state.up),
        lambda state: replace(state, known=[[0, 0]], decided={**state.decided, 0: "another"}),
        lambda state: replace(state, waiting=[]),
    ],
)
def test_window_from_another_state_is_an_error(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Names.start_to_tla

    def stated(names: Names) -> str:
        state = names._state
        # In the fixture n2 waits for a promise when its second window begins.
        if isinstance(state, State) and state.waiting:
            return original(Names(list(names._order), [], wrong(state)))
        return original(names)

    monkeypatch.setattr(Names, "start_to_tla", stated)
    log = [taken for taken in logs.read(TAKEOVER) if taken.node == "n2"]
    with pytest.raises(tlc.ToolError, match="another state"):
        validate_logs([log], 1000, window=1)


# Slot intervals: replies about many slots.


def decided(count: int) -> list[str]:
    """Return lines that send decisions to n1 of three nodes, with a gap after every seventh."""
    slots = [slot for slot in range(count) if slot % 8 != 7]
    return [
        init("n1", "n2", "n3"),
        *(message("n2", "decided", slot=slot, value=f"v{slot}") for slot in slots),
    ]


def all_rejected(
    cases: Sequence[tuple[Log, list[Json]]], window: int | None, batch: int = 1000
) -> list[Rejection]:
    """Return the rejections of other last outputs; check that the logs themselves are accepted."""
    clusters = [log for log, _ in cases]
    clusters += [[*log[:-1], replace(log[-1], output=output)] for log, output in cases]
    verdicts = validated(clusters, window, None, batch=batch)
    assert [rejected_lines(verdict) for verdict in verdicts[: len(cases)]] == [[]] * len(cases)
    found = [rejection for verdict in verdicts for rejection in verdict.rejections]
    for rejection, (log, _) in zip(found, cases, strict=True):
        assert rejection.record.line == log[-1].line
        assert rejection.allowed == [without_number(sent) for sent in log[-1].output]
    return found


def without_number(sent: Json) -> Json:
    return {**sent, "body": {k: v for k, v in sent["body"].items() if k != "msg_id"}}


LOG_REQUESTS = (
    {},
    {"from": 9},
    {"limit": 5},
    {"from": 3, "limit": 20},
    {"from": 100},
    {"limit": 0},
    {"from": 6, "limit": 1000},
    {"from": 26, "limit": 4},
)


def with_too_many_decisions(path: Path) -> tuple[Log, list[Json]]:
    """Return a log and a wrong last output: a reply with more slots than its limit.

    It has as many slot intervals as it may have slots.
    """
    lines = [*decided(30), request(1, "multi_paxos_log"), request(2, "multi_paxos_log", limit=4)]
    log = written(path, Node(), lines)
    [everything], [some] = log[-2].output, log[-1].output
    return log, [{**some, "body": {**some["body"], "log": everything["body"]["log"]}}]


def test_log_reply_is_checked_to_the_last_slot(tmp_path: Path) -> None:
    cases = []
    for fields in LOG_REQUESTS:
        lines = [*decided(30), request(1, "multi_paxos_log", **fields)]
        log = written(tmp_path / "n1.ndjson", Node(), lines)
        [sent] = log[-1].output
        decisions = sent["body"]["log"]
        wrong = [[*decisions, {"slot": 90, "value": "more", "status": "chosen"}]]
        for at in {0, len(decisions) // 2, len(decisions) - 1} if decisions else ():
            wrong += [
                decisions[:at] + decisions[at + 1 :],
                [*decisions[:at], {**decisions[at], "value": "other"}, *decisions[at + 1 :]],
            ]
        cases += [(log, [{**sent, "body": {**sent["body"], "log": log_}}]) for log_ in wrong]
    cases.append(with_too_many_decisions(tmp_path / "many.ndjson"))
    # The last window begins after the decisions and has none of them.
    *found, too_many = all_rejected(cases, len(decided(30)) - 1)
    differing = [each.path for rejection in found for each in rejection.differing]
    assert all(path.startswith("output[0].body.log[") for path in differing)
    assert len(too_many.differing) == 23


def test_order_of_keys_makes_no_difference(tmp_path: Path) -> None:
    """Not every language keeps the order.  But true, 1 and 1.0 are three values."""
    lines = [
        init("n1"),
        request(1, "multi_paxos_propose", slot=0, value={"a": 1, "b": 2}),
        request(2, "multi_paxos_propose", slot=0, value={"a": 1, "b": 3}),
    ]
    log = written(tmp_path / "n1.ndjson", Node(), lines)
    [sent] = log[-1].output

    def with_value(value: Json) -> Log:
        reply = {**sent, "body": {**sent["body"], "value": value}}
        return [*log[:-1], replace(log[-1], output=[reply])]

    values: list[Json] = [{"b": 2, "a": 1}, {"b": 2, "a": 1.0}, {"b": 2, "a": True}]
    verdicts = validated([with_value(value) for value in values], None, 1)
    assert [rejected_lines(verdict) for verdict in verdicts] == [[], [3], [3]]


def with_another_order_in_a_request(path: Path) -> Log:
    """Return a log with a request that is repeated with its keys in another order."""
    lines = [
        init("n1", "n2", "n3"),
        request(1, "multi_paxos_propose", slot=0, value={"a": 1, "b": {"c": 2, "d": 3}}),
        request(1, "multi_paxos_propose", slot=0, value={"b": {"d": 3, "c": 2}, "a": 1}),
        message("n2", "promise", ballot=1, accepted=[], known=[]),
        message("n2", "accepted", ballot=1, slot=0),
    ]
    log = written(path, Node(), lines)
    assert [sent["body"]["type"] for sent in log[-1].output].count("multi_paxos_propose_ok") == 1
    return log


@pytest.mark.parametrize("batch", [5, 26, 27])
def test_batch_is_counted_in_slots(batch: int, tmp_path: Path) -> None:
    """A `learned` has the first decisions: one at least, and at most the batch."""
    cases: list[Log] = []
    bad: list[list[int]] = []
    allowed: list[Any] = []
    for known in [], [[0, 3]]:
        lines = [*decided(30), message("n2", "learn", known=known)]
        log = written(tmp_path / "n1.ndjson", Node(batch=batch), lines)
        [sent] = log[-1].output
        decisions, more = sent["body"]["decided"], sent["body"]["more"]
        few, fewer = decisions[:-1], decisions[:1]
        for good, entries, ends in [
            (True, decisions, more),
            (True, few, True),
            (True, fewer, True),
            (False, decisions[1:], True),
            (False, decisions, not more),
            (False, few, False),
            (False, [], True),
        ]:
            body = {**sent["body"], "decided": entries, "more": ends}
            cases.append([*log[:-1], replace(log[-1], output=[{**sent, "body": body}])])
            bad.append([] if good else [log[-1].line])
            right = decisions[: len(entries) or 1]
            allowed += [] if good else [(right, more or len(right) < len(decisions))]
    # The last of two windows has none of the decisions; once is enough.
    windows = [len(log) - 2] if batch == 5 else []
    verdicts = validated(cases, *windows, None, batch=batch)
    assert [rejected_lines(verdict) for verdict in verdicts] == bad
    bodies = [found.allowed[0]["body"] for verdict in verdicts for found in verdict.rejections]
    assert [(body["decided"], body["more"]) for body in bodies] == allowed


@pytest.mark.parametrize("far", [27, 2**30, 2**31, 2**63 - 1])
def test_version_counts_slots_and_may_be_any_number(far: int, tmp_path: Path) -> None:
    others = [message(src, "learned", decided=[], more=False, version=far) for src in ("n2", "n3")]
    lines = [*decided(30), *others, '"inquire"', message("n2", "poll", version=26), *others[:1]]
    log = written(tmp_path / "n1.ndjson", Node(), [*lines, message("n2", "poll", version=27)])
    *_, polls, answer, _, silence = log
    assert [sent["body"]["version"] for sent in polls.output] == [far, far]
    assert [sent["body"]["version"] for sent in answer.output] == [27] and not silence.output
    cases = [log]
    for at in len(log) - 4, len(log) - 3:
        sent, *rest = log[at].output
        body = {**sent["body"], "version": sent["body"]["version"] - 1}
        wrong = replace(log[at], output=[{**sent, "body": body}, *rest])
        cases.append([*log[:at], wrong, *log[at + 1 :]])
    verdicts = validated(cases, 1, 33, None)
    rejected = [rejected_lines(verdict) for verdict in verdicts]
    assert rejected == [[], [polls.line], [answer.line]]


# Ballots of any size, and the order of messages to different destinations.


def ballot_of(large: int, place: int) -> int:
    """Return the smallest ballot from `large` on that belongs to a member, of three."""
    return next(ballot for ballot in range(large, large + 3) if (ballot - 1) % 3 == place)


def with_large_ballots(large: int, path: Path) -> tuple[Log, int]:
    """Return a log with large ballots, and the last of them.

    n1 votes in a ballot of n2, starts its smallest ballot above it, and inherits votes.
    """
    first = ballot_of(large, 1)
    mine, other = ballot_of(first + 1, 0), ballot_of(2 * large, 1)
    old = [{"slot": 5, "ballot": first, "value": "b"}]
    lines = [
        init("n1", "n2", "n3"),
        message("n2", "accept", ballot=first, slot=5, value="a"),
        request(1, "multi_paxos_propose", slot=7, value="v"),
        message("n2", "prepare", ballot=first, known=[]),
        message("n3", "promise", ballot=mine, accepted=old, known=[]),
        message("n2", "rejected", promised=other),
        '"timeout"',
    ]
    log = written(path, Node(), lines)
    prepares = [
        sent["body"]["ballot"]
        for taken in log
        for sent in taken.output
        if sent["body"]["type"] == "prepare"
    ]
    assert prepares == [mine] * 2 + [ballot_of(other + 1, 0)] * 2
    return log, prepares[-1]


def with_several_differences(path: Path) -> tuple[Log, list[Json]]:
    """Return a log and a wrong last output: two fields differ, and there is one message more."""
    lines = [*decided(3), request(1, "multi_paxos_propose", slot=1, value="w")]
    log = written(path, Node(), lines)
    [sent] = log[-1].output
    answer = {**sent, "body": {**sent["body"], "value": "w", "phase1_skipped": False}}
    more = {**answer, "body": {**answer["body"], "msg_id": answer["body"]["msg_id"] + 1}}
    return log, [answer, more]


def test_rejection_lists_each_difference_and_ballots_may_have_any_size(tmp_path: Path) -> None:
    several = with_several_differences(tmp_path / "several.ndjson")
    cases, ballots = [several], []
    for large in 2**31 - 2, 2**61:
        log, right = with_large_ballots(large, tmp_path / f"{large}.ndjson")
        for ballot in (right + by for by in (3, -3, 1)):
            output = [
                {**sent, "body": {**sent["body"], "ballot": ballot}} for sent in log[-1].output
            ]
            cases.append((log, output))
            ballots.append((right, ballot))
    lists, *found = all_rejected(cases, 3)
    assert [(each.differing[0].expected, each.differing[0].found) for each in found] == ballots
    assert [(each.path, each.expected, each.found) for each in lists.differing] == [
        ("output[0].body.phase1_skipped", True, False),
        ("output[0].body.value", "v1", "w"),
        ("output[1]", MISSING, several[1][1]),
    ]
    assert 'output[0].body.value must be "v1" and is "w"' in explanation.format_rejection(lists)


def test_compressed_ballots_keep_owner_order_and_successors() -> None:
    for members in 1, 2, 3, 5:
        found = sorted({0, *(round(1.7**power) + power for power in range(80))})
        names = Ballots(found, members)
        small = [names.compress(ballot) for ballot in found]
        assert small == sorted({*small}) and small[-1] < 3 * members * len(found)
        assert [each % members for each in small] == [each % members for each in found]
        for ballot in found:
            following = range(ballot, ballot + members + 1)
            above = range(names.compress(ballot), names.compress(ballot) + members + 1)
            assert [names.expand(each) for each in above] == list(following)


def test_order_matters_only_of_messages_to_one_destination(tmp_path: Path) -> None:
    repeated = with_another_order_in_a_request(tmp_path / "repeated.ndjson")
    lines = [
        init("n1", "n2", "n3"),
        *(request(slot, "multi_paxos_propose", slot=slot, value=slot) for slot in (1, 2)),
        message("n2", "promise", ballot=1, accepted=[], known=[]),
    ]
    log = written(tmp_path / "n1.ndjson", Node(), lines)
    one, two = ([sent for sent in log[-1].output if sent["dest"] == dest] for dest in ("n2", "n3"))
    good = [[*one, *two], [*two, *one], [one[0], *two, one[1]]]
    assert len(one) == len(two) == 2
    bad = {
        (0, 1): [*reversed(one), *two],
        (2, 3): [*two, *reversed(one)],
        (1,): [one[0], one[0], *two],
    }
    outputs = [*good, *bad.values()]
    cases = [[*log[:-1], replace(log[-1], output=each)] for each in outputs]
    first, *verdicts = validated([repeated, *cases], None, 1)
    assert rejected_lines(first) == []
    assert [rejected_lines(verdict) for verdict in verdicts[: len(good)]] == [[]] * len(good)
    for places, verdict in zip(bad, verdicts[len(good) :], strict=True):
        [found] = verdict.rejections
        assert {each.path.split(".")[0] for each in found.differing} == {
            f"output[{place}]" for place in places
        }


# Reports of rejected records.


def test_too_large_batch_names_the_option(tmp_path: Path) -> None:
    lines = [*decided(6), message("n2", "learn", known=[])]
    log = written(tmp_path / "n1.ndjson", Node(batch=6), lines)
    [found] = validate_logs([log], 2)[0].rejections
    assert "6 decisions, and --batch says that nodes send at most 2" in found.reason
    assert rejected_lines(validate_logs([log], 6)[0]) == []


def test_message_to_crashed_node_is_rejected_with_both_values(crashed: Log) -> None:
    log = crashed
    at = next(at for at, taken in enumerate(log) if taken.input == "crash")
    given = next(taken.input for taken in log[1:] if is_message(taken.input))
    late = logs.Record(log[0].node, given, [], log[0].path, 999)
    [verdict] = validated([[*log[: at + 1], late, *log[at + 1 :]]], 40, None)
    [found] = verdict.rejections
    assert found.record is late and found.action.startswith("Receive")
    need = found.unmet
    assert (need.path, need.expected, need.found) == ("the node is up", True, False)
    assert found.state["up"] is False
    assert found.before == log[max(0, at - 4) : at + 1]
    text = explanation.format_rejection(found)
    assert "the node is up must be true and is false" in text
    assert all(f"line {taken.line}, before: " in text for taken in found.before)


def test_rejection_names_missing_input_fields() -> None:
    log = [taken for taken in logs.read(TAKEOVER) if taken.node == "n1"][:1]
    astray = {"src": "n2", "dest": "n3", "body": {"type": "rejected", "promised": 1}}
    bad = [
        [*log, logs.Record("n1", given, [], log[0].path, 999)]
        for given in ("restart", "expire", astray)
    ]
    verdicts = validated(bad, 5, None)
    unmet = [found.unmet for verdict in verdicts for found in verdict.rejections]
    assert [(need.path, need.expected, need.found) for need in unmet] == [
        ("the node is up", False, True),
        ("a request waits", True, False),
        ("dest", "n1", "n3"),
    ]
