"""Logs that begin with the state of a node that ran before: what is checked, and what is not."""

from __future__ import annotations

import json
import random
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
from conformance.validation.agreement import check_agreement, check_ballots
from conformance.validation.beginning import Beginning
from conformance.validation.chosen import _chosen_by_states, check_chosen
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


def vote(ballot: int, value: Json, slot: int = 1) -> Json:
    return {"slot": slot, "ballot": ballot, "value": value}


CHOSEN = [state(3, [vote(3, "v")])] * 2
DECIDED = {"slot": 1, "value": "w"}
# The states of n1, n2 and maybe n3 in files of their own, the one that is rejected, and why.
# Ballots 3 and 6 are of n3, so no accept is missing.
CONTRADICTING = {
    "a ballot has two values": (
        [state(3, [vote(3, "v")]), state(3, [vote(3, "w")])],
        "n2",
        'slot 1, ballot 3 has another value in n1:1, "v" and not "w": a ballot has one',
    ),
    "a decision is not the chosen value": (
        [*CHOSEN, state(3, decided=[DECIDED])],
        "n3",
        'slot 1 is decided to be "w", but "v" was chosen in ballot 3, by the votes of n1 (n1:1), '
        "n2 (n2:1)",
    ),
    "a later vote is not for the chosen value": (
        [*CHOSEN, state(6, [vote(6, "w")])],
        "n3",
        'slot 1 has "w" in ballot 6, but "v" was chosen in ballot 3, by the votes of n1 (n1:1), '
        "n2 (n2:1)",
    ),
    "two values are decided": (
        [state(), *(state(3, decided=[{"slot": 1, "value": value}]) for value in "wv")],
        "n3",
        'slot 1 has another value in n2:1, "w" and not "v": both cannot be decided',
    ),
}


@pytest.mark.usefixtures("no_pages")
@pytest.mark.parametrize(
    ("states", "node", "reason"), CONTRADICTING.values(), ids=CONTRADICTING.keys()
)
def test_contradicting_states_are_rejected(
    tmp_path: Path, states: list[Json], node: str, reason: str
) -> None:
    for name, begins in zip(("n1", "n2", "n3"), states, strict=False):
        _, given, answer = started(name)
        steps = [{"node": name, "input": begins, "output": []}]
        steps += [{"node": name, "input": given, "output": answer}]
        logs.write(tmp_path / f"{name}.ndjson", steps)
    results = tmp_path / "results.json"
    done = conformance("validate", tmp_path, "--json", results)
    assert done.returncode == 1
    [wrong] = [line for line in done.stdout.splitlines() if "(agreement)" in line]
    for each in ("n1", "n2", "n3"):
        reason = reason.replace(f"{each}:1", f"{tmp_path}/{each}.ndjson:1")
    assert wrong == f"{tmp_path}/{node}.ndjson:1: node {node}: {reason} (agreement)"
    cases = json.loads(results.read_text())["cases"]
    assert {case["name"] for case in cases if case["status"] == "fail"} == {node}


def chosen_errors(*steps: tuple[str, Json, list[Json]]) -> list[tuple[int, str]]:
    found = check_chosen(records(*steps), logs.by_node(records(*steps)))
    return [(each.record.line, each.reason) for each in found]


def states_of(*states: Json, init: bool = True) -> list[tuple[str, Json, list[Json]]]:
    begun = [(f"n{number}", each, []) for number, each in enumerate(states, 1)]
    return begun + [started(node) for node, *_ in begun] * init


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("decided", {"slot": 1, "value": "w"}),
        ("learned", {"decided": [{"slot": 0, "value": "v"}, {"slot": 1, "value": "w"}]}),
        ("accept", vote(4, "w")),
    ],
)
def test_message_contradicts_what_states_show_to_be_chosen(kind: str, fields: Json) -> None:
    """It may be sent, or received from a node without a log."""
    before = states_of(*CHOSEN)
    for node, src, output in ("n3", "n3", True), ("n1", "n3", False):
        sent = message(src, "n2" if output else "n1", kind, **fields)
        given, sends = ("timeout", [sent]) if output else (sent, [])
        [(line, reason)] = chosen_errors(*before, (node, given, sends))
        assert line == 5 and '"w"' in reason and '"v" was chosen in ballot 3' in reason


OTHER = {"a": 1, "b": 2.5}


@pytest.mark.parametrize(
    "steps",
    [
        # No majority for one value in one ballot.
        states_of(CHOSEN[0], state(3, decided=[DECIDED]), state(4, [vote(4, "w")])),
        states_of(state(4, [vote(1, "v")]), CHOSEN[0], state(4, [vote(4, "w")])),
        states_of(CHOSEN[0], state(3, [vote(3, "v", 2)]), state(4, [vote(4, "w")])),
        # A lower ballot may have another value, and a higher one the same value.
        states_of(*CHOSEN, state(3, [vote(2, "w")])),
        states_of(*CHOSEN, state(4, [vote(4, "v")])),
        states_of(*CHOSEN, state(4, [vote(4, "w", 2)])),
        # Objects are equal whatever the order of their keys.
        states_of(
            *[state(3, [vote(3, {"b": 2.5, "a": 1})])] * 2,
            state(4, decided=[{"slot": 1, "value": OTHER}]),
        ),
        # The members are not known.
        states_of(*CHOSEN, state(4, [vote(4, "w")]), init=False),
    ],
    ids=str,
)
def test_states_that_a_run_may_have_are_accepted(steps: Any) -> None:
    assert chosen_errors(*steps) == []


def test_number_of_members_decides_what_a_majority_is() -> None:
    five = [f"n{number}" for number in range(1, 6)]
    last = ("n5", state(4, [vote(4, "w")]), [])
    begun = [(node, CHOSEN[0], []) for node in five[:3]]
    assert chosen_errors(*begun[:2], started("n1", five), last) == []
    assert len(chosen_errors(*begun, started("n1", five), last)) == 1


def test_states_of_a_run_never_contradict_each_other(runs: list[Log]) -> None:
    """The state of each node is that after any of its steps; the rest of its log follows."""
    rng, chosen = random.Random(1), 0
    for run in runs * 6:
        cluster: Log = []
        for log in logs.by_node(run).values():
            end = rng.randrange(1, len(log))
            cluster += [replace(log[0], input=state_after(log[:end]), output=[]), log[0]]
            cluster += log[end:]
        cut = logs.by_node(cluster)
        for check in check_agreement, check_ballots, check_chosen:
            assert check(cluster, cut) == []
        chosen += bool(_chosen_by_states(cut))
    assert chosen


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
