"""Logs that begin with the state of a node that ran before: what is checked, and what is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from multipaxos.node import Node

from conformance.exporting.export import make_run
from conformance.formats import logs
from conformance.formats.schema import SchemaError, check_record
from conformance.validation.agreement import check_ballots
from conformance.validation.beginning import Beginning
from conformance.validation.delivery import check_delivery
from conformance.validation.trace_validation import validate_logs
from conformance.validation.verdict import Verdict
from tests.conformance.validation.test_clusters import message, started
from tests.simulation import trial
from tests.simulation.faults import draw
from tests.simulation.lives import BATCH
from tests.support.conformance_command import conformance, copied, not_run
from tests.support.paths import FIXTURES, NODE

Json = Any
Log = list[logs.Record]

BEGUN, BEGUN_BAD = FIXTURES / "begun-ok.ndjson", FIXTURES / "begun-bad.ndjson"


def state(promised: int = 0, accepted: Sequence[Json] = (), decided: Sequence[Json] = ()) -> Json:
    votes, decisions = list(accepted), list(decided)
    return {"event": "state", "promised": promised, "accepted": votes, "decided": decisions}


# Logs of simulated nodes whose first lives are left out.


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Log]:
    folder = tmp_path_factory.mktemp("runs")
    found = []
    for seed in 1, 3, 4, 9:
        trial.run(draw(seed, 3, 20), logs=True).write(folder)
        found.append(logs.read(folder / "logs" / f"seed-{seed}.ndjson"))
    return found


def state_after(log: Log) -> Json:
    """Return the durable state of a node that takes the inputs of a log."""
    node = Node(batch=BATCH)
    for record in log:
        node.turn([json.dumps(record.input).encode()])
    acceptor = node.replica.acceptor
    return state(
        acceptor.promised,
        [
            {"slot": slot, "ballot": vote.ballot, "value": json.loads(vote.value)}
            for slot, vote in sorted(acceptor.accepted.items())
        ],
        [
            {"slot": slot, "value": json.loads(value)}
            for slot, value in acceptor.decided.read(acceptor.known)
        ],
    )


def begun(cluster: Log, nodes: Sequence[str], change: Callable[[Json], Json] = dict) -> Log:
    """Return a cluster's log in which these nodes begin with the state before their last life."""
    made: list[logs.Record] = []
    for node, log in logs.by_node(cluster).items():
        lives = [at for at, record in enumerate(log) if record.input == "restart"]
        if node in nodes and lives:
            first = replace(log[0], input=change(state_after(log[: lives[-1] + 1])), output=[])
            log = [first, *log[lives[-1] + 1 :]]
        made += log
    return [replace(record, line=line) for line, record in enumerate(made, 1)]


def restarted(cluster: Log) -> list[str]:
    return sorted({record.node for record in cluster if record.input == "restart"})


def test_log_that_begins_with_the_right_state_is_accepted(runs: list[Log]) -> None:
    cases = [(run, nodes) for run in runs for nodes in ([restarted(run)[0]], restarted(run))]
    verdicts = validate_logs([begun(*case) for case in cases], BATCH)
    assert [verdict.rejections for verdict in verdicts] == [[]] * len(cases)
    assert [sorted(verdict.begun_logs) for verdict in verdicts] == [nodes for _, nodes in cases]
    [windows] = validate_logs([begun(runs[0], restarted(runs[0]))], BATCH, window=5)
    assert windows.rejections == []


CHANGES: dict[str, Callable[[Json], Json]] = {
    "a lower promise": lambda found: {**found, "promised": 0, "accepted": []},
    "no votes": lambda found: {**found, "accepted": []},
    "a decision is missing": lambda found: {**found, "decided": found["decided"][1:]},
    "other decisions": lambda found: {**found, "decided": others(found["decided"])},
    "other votes": lambda found: {**found, "accepted": others(found["accepted"])},
}


def others(entries: list[Json]) -> list[Json]:
    return [{**entry, "value": "another"} for entry in entries]


def test_wrong_state_is_rejected_where_the_logs_show_it(runs: list[Log]) -> None:
    """Each change is shown by some log; a state that nothing contradicts is accepted."""
    cases = [
        (name, begun(run, [node], change))
        for name, change in CHANGES.items()
        for run in runs
        for node in restarted(run)
    ]
    verdicts = validate_logs([case for _, case in cases], BATCH)
    shown = {name for (name, _), verdict in zip(cases, verdicts, strict=True) if verdict.rejections}
    assert shown == CHANGES.keys()


# What may have been sent before a state, and what not.

VOTE = {"slot": 3, "ballot": 4, "value": "v"}
BEGINNING = Beginning(
    state(5, [VOTE], [{"slot": slot, "value": f"v{slot}"} for slot in (0, 1, 2, 7)])
)
SENT = [
    ({"type": "prepare", "ballot": 5, "known": [[1, 2], [7, 7]]}, True),
    ({"type": "prepare", "ballot": 6, "known": []}, False),
    ({"type": "prepare", "ballot": 5, "known": [[1, 3]]}, False),
    ({"type": "prepare", "ballot": 5, "known": [[6, 6]]}, False),
    ({"type": "promise", "ballot": 5, "known": [[0, 2]], "accepted": [VOTE]}, True),
    ({"type": "promise", "ballot": 5, "known": [[3, 3]], "accepted": []}, False),
    ({"type": "promise", "ballot": 6, "known": [], "accepted": []}, False),
    ({"type": "promise", "ballot": 5, "known": [], "accepted": [{**VOTE, "value": "w"}]}, False),
    ({"type": "promise", "ballot": 5, "known": [], "accepted": [{**VOTE, "slot": 4}]}, False),
    ({"type": "accept", **VOTE}, True),
    ({"type": "accept", **VOTE, "ballot": 3, "value": "w"}, True),
    ({"type": "accept", **VOTE, "value": "w"}, False),
    ({"type": "accept", **VOTE, "ballot": 5}, False),
    ({"type": "accept", **VOTE, "slot": 7, "ballot": 5}, True),
    ({"type": "accept", **VOTE, "slot": 7, "ballot": 6}, False),
    ({"type": "accepted", "slot": 3, "ballot": 4}, True),
    ({"type": "accepted", "slot": 3, "ballot": 5}, False),
    ({"type": "accepted", "slot": 4, "ballot": 1}, False),
    ({"type": "rejected", "promised": 5}, True),
    ({"type": "rejected", "promised": 6}, False),
    ({"type": "decided", "slot": 7, "value": "v7"}, True),
    ({"type": "decided", "slot": 7, "value": "v"}, False),
    ({"type": "decided", "slot": 3, "value": "v"}, False),
    ({"type": "learn", "known": [[0, 2]]}, True),
    ({"type": "learn", "known": [[0, 7]]}, False),
    ({"type": "poll", "version": 9}, True),
    ({"type": "learned", "decided": [{"slot": 7, "value": "v7"}], "version": 4}, True),
    ({"type": "learned", "decided": [{"slot": 7, "value": "v7"}], "version": 5}, False),
    ({"type": "learned", "decided": [{"slot": 8, "value": "v8"}], "version": 4}, False),
]


@pytest.mark.parametrize(("body", "may"), SENT, ids=str)
def test_message_before_a_state_leaves_a_trace_in_it(body: Json, may: bool) -> None:
    assert BEGINNING.may_have_sent(body) == may


def records(*steps: tuple[str, Json, list[Json]]) -> Log:
    return [logs.Record(*step, Path("run"), line) for line, step in enumerate(steps, 1)]


def rejected(*steps: tuple[str, Json, list[Json]]) -> Verdict:
    [verdict] = validate_logs([records(*steps)], 1000)
    return verdict


def reasons(verdict: Verdict) -> Iterator[tuple[int, str, str]]:
    return ((each.record.line, each.checker, each.reason) for each in verdict.rejections)


def test_message_that_the_state_contradicts_is_rejected() -> None:
    steps = [
        ("n1", state(2), []),
        started("n1"),
        started("n2"),
        ("n2", message("n1", "n2", "decided", slot=1, value="v"), []),
    ]
    [found] = check_delivery(logs.by_node(records(*steps)))
    assert found.record.line == 4
    assert found.reason == "no decided like this was ever sent, and the state in run:1 shows none"
    steps[0] = ("n1", state(2, decided=[{"slot": 1, "value": "v"}]), [])
    assert check_delivery(logs.by_node(records(*steps))) == []


def test_vote_that_nobody_asked_for_is_rejected() -> None:
    """Ballot 2 is of n2, whose log has no accept; nor has its state, if it begins with one."""
    begins = ("n1", state(2, [{"slot": 1, "ballot": 2, "value": "v"}]), [])
    for other in [started("n2")], [("n2", state(2), []), started("n2")]:
        [found] = check_delivery(logs.by_node(records(begins, started("n1"), *other)))
        assert (found.record.line, found.reason) == (
            1,
            "no accept for the vote in slot 1 was ever sent",
        )
    decided = ("n2", state(2, decided=[{"slot": 1, "value": "v"}]), [])
    assert check_delivery(logs.by_node(records(begins, started("n1"), decided))) == []
    assert check_delivery(logs.by_node(records(begins, started("n1")))) == []


def test_states_that_disagree_are_rejected() -> None:
    steps = []
    for node, value in ("n1", "v"), ("n2", "w"):
        steps += [(node, state(1, decided=[{"slot": 1, "value": value}]), []), started(node)]
    [(line, checker, reason)] = reasons(rejected(*steps))
    assert (line, checker) == (3, "agreement") and "slot 1 has another value in run:1" in reason


def test_states_with_two_values_in_a_ballot_are_rejected() -> None:
    """Also if only the message shows it that another node received, and the sender has no log."""
    one, other = ([{"slot": 1, "ballot": 3, "value": value}] for value in "vw")
    states = [("n1", state(3, one), []), started("n1"), ("n2", state(3, other), []), started("n2")]
    accept = message("n3", "n2", "accept", **other[0])
    accepted = message("n2", "n3", "accepted", slot=1, ballot=3)
    received = [states[0], states[1], started("n2"), ("n2", accept, [accepted])]
    for steps in states, received:
        [found] = check_ballots(records(*steps), logs.by_node(records(*steps)))[:1]
        assert found.record.state is not None and "slot 1, ballot 3 has another" in found.reason
        assert check_ballots(records(*steps[:2]), logs.by_node(records(*steps[:2]))) == []
    assert len(rejected(*received).rejections) == 1


@pytest.mark.parametrize(
    ("steps", "line", "reason"),
    [
        ([started("n1"), ("n1", state(), [])], 2, "a state is not at the beginning"),
        ([("n1", state(), []), ("n1", state(), [])], 2, "a state is not at the beginning"),
        ([("n1", state(), []), ("n1", "timeout", [])], 2, "a step before init"),
        ([("n1", state(3, [VOTE]), []), started("n1")], 1, "above the promise 3"),
        (
            [("n1", state(4, [VOTE], [{"slot": 3, "value": "v"}]), []), started("n1")],
            1,
            "slot 3 has a vote, and is decided",
        ),
    ],
)
def test_impossible_state_is_rejected(steps: Any, line: int, reason: str) -> None:
    [found] = rejected(*steps).rejections
    assert (found.record.line, found.checker) == (line, "handshake") and reason in found.reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"promised": -1},
        {"decided": [{"slot": 2, "value": 1}, {"slot": 1, "value": 1}]},
        {"accepted": [{"slot": 2, "value": 1}]},
        {"more": 1},
    ],
)
def test_malformed_state_is_an_error(wrong: Json) -> None:
    record = {"node": "n1", "input": state(), "output": []}
    check_record({**record, "action": "State"})
    with pytest.raises(SchemaError):
        check_record({**record, "input": {**state(), **wrong}})
    with pytest.raises(SchemaError):
        check_record({**record, "output": [message("n1", "n2", "learn", known=[])]})


# The verbs.


def test_validate_names_nodes_whose_logs_begin_with_a_state(tmp_path: Path) -> None:
    done = conformance("validate", copied(BEGUN, tmp_path))
    assert done.returncode == 0 and "begins with a state, of n3" in " ".join(done.stderr.split())


def test_page_has_the_state_that_a_log_begins_with() -> None:
    found = make_run("begun", logs.read(BEGUN), 1000, 100, lambda text: None)
    [first] = [step.record for step in found.steps if step.record.state is not None]
    assert found.states is not None and found.states.stopped == {}
    assert found.states.changes[first.place] == {
        "promised": 1,
        "accepted": [[{"slot": 1, "ballot": 1, "value": "set x=1"}], []],
        "decided": [[], []],
    }


def test_verbs_that_can_do_without_the_first_steps(tmp_path: Path) -> None:
    log = copied(BEGUN, tmp_path)
    page, trace, events = (tmp_path / f"run.{suffix}" for suffix in ("html", "json", "shiviz"))
    options = ("--html", page, "--itf", trace, "--shiviz", events, "--states", "100", "--replica")
    assert conformance("export", log, *options).returncode == 0
    assert page.stat().st_size and '"State"' in trace.read_text() and "State" in events.read_text()
    assert conformance("trace-coverage", log).returncode == 0
    small = tmp_path / "small.ndjson"
    assert conformance("shrink", BEGUN_BAD, "-o", small).returncode == 0
    assert logs.read(small)[-1].action == "ReceivePrepare"


def test_verbs_that_need_the_first_steps_say_so(tmp_path: Path) -> None:
    log = tmp_path / "n3.ndjson"
    shutil.copy(BEGUN, log)
    node = ("--", *NODE)
    not_run(conformance("replay", log, *node), "begins with a state", "cannot be replayed")
    not_run(conformance("replay", log, "--renamed", 1, *node), "begins with a state")
    not_run(conformance("mutate-traces", log, "-o", tmp_path / "mutated", *node), "cannot be")
    not_run(conformance("export", log, "--votes", tmp_path / "v"), "begins with a state")
