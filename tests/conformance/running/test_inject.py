"""Fault injection: the faults of network, clients and processes, and the bugs that it finds.

The checks of histories and logs have tests of their own.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from conformance import checking
from conformance.formats import log_files, logs
from conformance.formats.history import Entry
from conformance.running import inject, syscalls
from conformance.running.clients import Client, FinalClient
from conformance.running.cluster import NodeError, NodeWrong
from conformance.running.life import Life
from conformance.running.network import Loss, Network
from conformance.running.nodes import check_opaque
from conformance.running.process import ready
from conformance.validation.history_checker import check_history
from tests.support.paths import CARELESS_NODE, NODE, ROOT
from tests.support.paths import NODES as NODES_FOLDER
from tests.support.processes import PATIENCE, exists, wait_until

CARELESS = CARELESS_NODE


# The network.

NODES = ["n1", "n2", "n3"]


def network(**faults: float) -> Network:
    return Network(NODES, random.Random(1), Loss(**{"loss": 0, "repeat": 0, "late": 0} | faults))


def test_network_without_faults_delivers_at_once() -> None:
    assert [network().delays("n1", "n2") for _ in range(20)] == [[0.0]] * 20


def test_faulty_network_loses_repeats_and_delays() -> None:
    assert network(loss=1).delays("n1", "n2") == []
    assert network(repeat=1).delays("n1", "n2") == [0.0, 0.0]
    [delay] = network(late=1, slowest=2).delays("n1", "n2")
    assert 0 < delay < 2


def test_client_messages_are_never_repeated() -> None:
    for pair in (("c1", "n1"), ("n1", "c1")):
        assert network(repeat=1).delays(*pair) == [0.0]
        assert network(loss=1).delays(*pair) == []


def test_partitions_heal_and_some_are_one_way() -> None:
    faulty, ways = network(), Counter()
    for _ in range(40):
        pairs = faulty.cut()
        assert pairs and not any(faulty.reaches(*pair) for pair in pairs)
        ways[all((b, a) in pairs for a, b in pairs)] += 1
        faulty.heal(pairs)
        assert all(faulty.reaches(*pair) for pair in pairs)
    assert min(ways[True], ways[False]) > 5


def test_link_cut_by_two_partitions_heals_after_both() -> None:
    faulty = network()
    first = faulty.cut()
    while not (second := faulty.cut()) & first:
        faulty.heal(second)
    faulty.heal(first)
    assert not any(faulty.reaches(*pair) for pair in second)


def test_quiescent_network_has_no_faults() -> None:
    faulty = network(loss=1, repeat=1, late=1)
    pairs = faulty.cut()
    faulty.quiescent = True
    assert faulty.delays("n1", "n2") == [0.0] and all(faulty.reaches(*pair) for pair in pairs)


# Clients.


def reply(question: dict, kind: str, **fields: object) -> dict:
    body = {"type": kind, "in_reply_to": question["body"]["msg_id"], **fields}
    return {"src": question["dest"], "dest": question["src"], "body": body}


def test_client_retries_and_gives_up() -> None:
    client = Client("c1", NODES, random.Random(1))
    questions = [client.turn(0) for _ in range(100)]
    times = Counter(question["body"]["msg_id"] for question in questions)
    assert set(times.values()) == {1, 2, 3}
    assert client.happened["retries"] == 100 - len(times)
    assert client.happened["abandoned"] == len(times) - 1
    assert all(
        questions.count(question) == times[question["body"]["msg_id"]] for question in questions
    )


def test_client_continues_after_a_reply() -> None:
    client = Client("c1", NODES, random.Random(1))
    first = client.turn(0)
    assert client.receive(reply(first, "error", code=0))
    assert not client.receive(reply(first, "multi_paxos_propose_ok"))
    second = client.turn(0)
    assert second["body"]["msg_id"] == 2
    assert client.receive(reply(second, "multi_paxos_propose_ok"))
    happened = {"requests": 2, "errors": 1, "late replies": 1, "acknowledged": 1}
    assert +client.happened == happened


def test_clients_propose_different_values_for_a_slot() -> None:
    """Several values are proposed for one slot, at several nodes."""
    rng = random.Random(2)
    clients = [Client(f"c{number}", NODES, rng) for number in range(4)]
    requests = [client.turn(5) for _ in range(200) for client in clients]
    bodies = [question["body"] for question in requests if "slot" in question["body"]]
    duels = [question for question in requests if question["body"].get("slot") == 5]
    assert len({question["dest"] for question in duels}) == len(NODES)
    assert len({question["body"]["value"] for question in duels}) > 20
    assert {body["slot"] for body in bodies} == {0, 4, 5, 6}


def test_final_client_proposes_and_then_reads_logs() -> None:
    last = FinalClient("n1", 7)
    assert last.turn() == last.turn()
    last.receive(reply(last.turn(), "error", code=0))
    reading = last.turn()
    assert reading["body"]["type"] == "multi_paxos_log"
    last.receive(reply(reading, "multi_paxos_log_ok", log=[]))
    proposal = last.turn()
    assert proposal["body"]["slot"] == 7 and proposal["body"]["msg_id"] == 3
    last.receive(reply(proposal, "multi_paxos_propose_ok"))
    first, second = last.turn(), last.turn()
    assert first["body"]["type"] == "multi_paxos_log"
    assert first["body"]["msg_id"] != second["body"]["msg_id"]
    last.receive(reply(second, "multi_paxos_log_ok", log=[{"slot": 7, "value": 1}]))
    assert last.decided and last.log == {7}


# Processes of nodes.

ECHO = (sys.executable, "-u", "-c", "import sys\nfor line in sys.stdin: print(line, end='')")


def lines_from(life: Life, number: int) -> list[bytes]:
    lines: list[bytes] = []
    while len(lines) < number:
        readable, writable = ready({life.source}, {life.sink} if life.unsent else (), PATIENCE)
        assert readable or writable
        life.push()
        lines += life.read_lines()
    return lines


@pytest.fixture
def life(tmp_path: Path):
    begun = Life(ECHO, tmp_path / "stderr")
    yield begun
    begun.close()


def test_process_gets_and_returns_lines(life: Life) -> None:
    life.give(b"one")
    life.give(b"two")
    assert lines_from(life, 2) == [b"one", b"two"] and not life.over


def test_paused_process_neither_blocks_nor_loses_lines(life: Life) -> None:
    life.give(b"first")
    lines_from(life, 1)
    life.pause()
    lines = [b"x" * 1000 for _ in range(1000)]
    for line in lines:
        life.give(line)
    assert life.unsent and life.read_lines() == []
    life.resume()
    assert lines_from(life, 1000) == lines


def test_output_before_a_kill_is_read(life: Life) -> None:
    life.give(b"one")
    assert ready({life.source}, (), PATIENCE)[0]
    assert life.kill() == [b"one"] and life.over
    life.give(b"two")
    assert life.kill() == []


def test_kill_ends_child_processes(tmp_path: Path) -> None:
    """As when the command is a script that starts the node."""
    life = Life(["sh", "-c", "sleep 100 & echo $!; wait"], tmp_path / "stderr")
    [child] = lines_from(life, 1)
    life.kill()
    wait_until(lambda: not exists(int(child)))
    life.close()


def test_status_is_returned_or_times_out(tmp_path: Path) -> None:
    for script, status in (("exit 3", 3), ("kill -9 $$", -9), ("sleep 100", None)):
        life = Life(["sh", "-c", script], tmp_path / "stderr")
        assert life.status(PATIENCE if status else 0.1) == status
        life.close()


# Runs with faults.

HARSH = inject.Faults(kill=0.25, downtime=0.2, pause=1, cut=1, parted=0.5)


RARE = inject.Faults(kill=1000)


def inject_faults(
    folder: Path,
    *command: str,
    nodes: int = 3,
    kills: int = 10,
    seed: int = 1,
    faults: inject.Faults = HARSH,
) -> inject.FaultRun:
    return inject.inject(
        folder, command or NODE, nodes=nodes, kills=kills, seconds=300, seed=seed, faults=faults
    )


def contradictions(fault_run: inject.FaultRun) -> list[str]:
    return list(map(str, checking.contradictions(fault_run, checking.logs_of(fault_run))))


@pytest.mark.parametrize("options", [(), ("--log-max-bytes", "1", "--cache-kib", "1")], ids=str)
def test_durable_node_passes_fault_injection(tmp_path: Path, options: Sequence[str]) -> None:
    """Also if it begins a file of its log with each turn, and caches next to nothing."""
    fault_run = inject_faults(tmp_path, *NODE, *options)
    assert all((len(log_files.files_of(path)) > 10) == bool(options) for path in fault_run.logs)
    assert fault_run.happened["kills"] == 10 and fault_run.happened["acknowledged"] > 0
    assert fault_run.happened["requests"] >= fault_run.happened["acknowledged"]
    assert (
        check_history(fault_run.history, quiescent=True) == []
        and fault_run.recovery_seconds is not None
    )
    assert (fault_run.missing, fault_run.unrefused, contradictions(fault_run)) == ([], [], [])
    assert set(fault_run.statuses.values()) == {0}
    cluster = [record for path in fault_run.logs for record in logs.read(path)]
    # A node that is killed before it has saved anything logs no crash.
    assert any(record.input == "crash" for record in cluster)
    [verdict] = checking.validate([cluster], 1000)
    assert verdict.rejections == []


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inject, "RECOVERY_SECONDS", 3)
    monkeypatch.setattr(inject, "EXIT_SECONDS", 1)
    monkeypatch.setattr(inject, "REFUSAL_SECONDS", 1)


ATTEMPTS = 5


def is_found(
    finds: Callable[[inject.FaultRun], bool], folder: Path, bug: str, nodes: int = 3
) -> bool:
    """Return whether one of several runs finds a bug: time is real, so one run can miss it."""
    return any(
        finds(inject_faults(folder / str(seed), *CARELESS, bug, nodes=nodes, seed=seed))
        for seed in range(1, ATTEMPTS + 1)
    )


@pytest.mark.parametrize(("bug", "nodes"), [("forgets", 3), ("forgets", 1), ("answers-first", 1)])
def test_lost_state_is_found(bug: str, nodes: int, short_timeouts: None, tmp_path: Path) -> None:
    def finds(fault_run: inject.FaultRun) -> bool:
        rules = {finding.rule for finding in check_history(fault_run.history, quiescent=True)}
        return bool(rules & {"durability", "agreement"})

    assert is_found(finds, tmp_path, bug, nodes)


@pytest.mark.parametrize("bug", ["answers-first", "forgets-votes"])
def test_loss_unseen_by_clients_is_found_in_the_logs(
    bug: str, short_timeouts: None, tmp_path: Path
) -> None:
    def finds(fault_run: inject.FaultRun) -> bool:
        cluster = [record for path in fault_run.logs for record in logs.read(path)]
        [verdict] = checking.validate([cluster], 1000)
        return bool(verdict.rejections)

    assert is_found(finds, tmp_path, bug)


# Clusters of any system.

P1A_P2B = (sys.executable, str(NODES_FOLDER / "p1a_p2b.py"))
APPENDS = inject.Dialect(opaque=True, appends=True)


# A node that forgets gets most of its log back, unless others forget theirs at the same time.
OVERLAPPING = inject.Faults(kill=0.15, downtime=0.4)


def inject_opaque(
    folder: Path, *command: str, seed: int, kills: int = 4, faults: inject.Faults = HARSH
) -> inject.FaultRun:
    return inject.inject(
        folder,
        command,
        nodes=3,
        kills=kills,
        seconds=60,
        seed=seed,
        options=["--data"],
        faults=faults,
        dialect=APPENDS,
        large=False,
    )


def test_node_with_messages_of_its_own_passes_opaque_fault_injection(tmp_path: Path) -> None:
    """No run has a finding, and one is not cut short by a slow machine."""
    for seed in range(1, ATTEMPTS + 1):
        fault_run = inject_opaque(tmp_path / str(seed), *P1A_P2B, seed=seed)
        recovered = fault_run.recovery_seconds is not None
        assert check_history(fault_run.history, quiescent=recovered) == []
        if recovered and not fault_run.missing:
            break
    else:
        pytest.fail(f"in none of {ATTEMPTS} runs enough happened: {fault_run.missing}")
    assert fault_run.happened["kills"] >= 3 and "second processes" not in fault_run.happened
    assert not any("slot" in entry.message["body"] for entry in fault_run.history if is_ask(entry))


def is_ask(entry: Entry) -> bool:
    return entry.kind == "ask"


def test_loss_of_acknowledged_decisions_is_found_from_histories_alone(
    short_timeouts: None, tmp_path: Path
) -> None:
    for seed in range(1, ATTEMPTS + 1):
        node = (*P1A_P2B, "--forget")
        fault_run = inject_opaque(
            tmp_path / str(seed), *node, seed=seed, kills=20, faults=OVERLAPPING
        )
        rules = {finding.rule for finding in check_history(fault_run.history)}
        if rules & {"durability", "agreement", "order"}:
            return
    pytest.fail(f"none of {ATTEMPTS} runs found the loss")


TALKER = """
import json
init = json.loads(input())
line = {"src": init["dest"], "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 0}}
print(json.dumps(WHAT), flush=True)
for line in iter(input, ""): pass
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("{**line, 'src': 'n9'}", "its src is 'n9'"),
        ("{'src': init['dest'], 'dest': 'c0', 'body': {'type': 'hello'}}", "'hello' fits none"),
        ("{'src': init['dest']}", "'dest' is a required property"),
    ],
)
def test_line_that_no_opaque_node_may_print_is_reported(
    what: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(NodeWrong, match=reason):
        inject_opaque(tmp_path, sys.executable, "-c", TALKER.replace("WHAT", what), seed=1)


def test_opaque_members_may_print_any_object_to_each_other() -> None:
    check_opaque("n1", NODES, {"src": "n1", "dest": "n2", "term": 3})
    check_opaque("n1", NODES, {"src": "n1", "dest": "n1", "body": [1]})


@pytest.mark.parametrize(
    ("bug", "reason"),
    [
        ("leaves", r"n\d ended by itself, with status 1\n.*enough"),
        ("mumbles", r"n\d printed b'{}': .*src"),
        ("floods", r"n\d floods: it printed \d+,\d+ lines in \d+ s, given \d+"),
    ],
)
def test_node_that_misbehaves_ends_fault_injection(bug: str, reason: str, tmp_path: Path) -> None:
    # Each bug needs some turns of one life.
    with pytest.raises(NodeError, match=f"(?s){reason}"):
        inject_faults(tmp_path, *CARELESS, bug, faults=RARE)
    wait_until(lambda: not any(map(exists, pids(tmp_path))))


def test_output_that_differs_from_the_log_is_found(tmp_path: Path) -> None:
    """Its log is correct, so no other check finds it."""
    fault_run = inject_faults(tmp_path, *CARELESS, "lies", kills=3)
    found = contradictions(fault_run)
    assert found and all("phase1_skipped" in each for each in found)
    assert check_history(fault_run.history, quiescent=True) == []


def test_accepted_second_process_is_found(short_timeouts: None, tmp_path: Path) -> None:
    fault_run = inject_faults(tmp_path, *CARELESS, "shares", kills=3)
    assert "a second process on the directory of n" in fault_run.unrefused[0]


@pytest.mark.skipif(bool(syscalls.why_not()), reason=syscalls.why_not())
def test_durable_node_passes_power_cuts(tmp_path: Path) -> None:
    fault_run = inject.inject(
        tmp_path, NODE, nodes=3, kills=4, seconds=60, seed=1, power_cuts=True, faults=HARSH
    )
    assert fault_run.happened["kills"] == 4 and fault_run.recovery_seconds is not None
    assert (
        check_history(fault_run.history, quiescent=True) == [] and contradictions(fault_run) == []
    )
    assert not list(tmp_path.glob("*.trace"))


def test_missing_power_cut_support_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "why_not", lambda: "there is no strace here")
    with pytest.raises(NodeError, match="power cannot be cut: there is no strace here"):
        inject.inject(tmp_path, NODE, nodes=1, kills=1, seconds=1, seed=1, power_cuts=True)


def test_run_with_too_few_events_names_what_is_missing(tmp_path: Path) -> None:
    fault_run = inject.inject(tmp_path, NODE, nodes=3, kills=5, seconds=0.0, seed=1)
    assert fault_run.missing[0].endswith("of at least 10 acknowledged")
    assert fault_run.missing[-2:] == ["0 of at least 3 kills", "0 of at least 1 second processes"]


def test_node_that_ignores_sigterm_is_reported_and_killed(
    short_timeouts: None, tmp_path: Path
) -> None:
    fault_run = inject_faults(tmp_path, *CARELESS, "stays", kills=1)
    assert set(fault_run.statuses.values()) == {None}
    wait_until(lambda: not any(map(exists, pids(tmp_path))))


def test_difference_is_shown_with_its_seed(
    short_timeouts: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (*CARELESS, "forgets")

    about = {"nodes": 1, "kills": 6, "seconds": 60, "batch": 1000, "records": 0}
    for seed in range(1, ATTEMPTS + 1):
        passed = checking.inject_faults(tmp_path / str(seed), command, seed=seed, **about)
        printed = capsys.readouterr()
        # What is forgotten may be decided anew, and is then found by agreement first.
        if not passed and "(durability)" in printed.out:
            break
    assert "(durability)" in printed.out and "FAIL" in printed.out
    assert f"--kills 6 --seconds 60 --seed {seed} -- {' '.join(command)}" in printed.err


def pids(folder: Path) -> list[int]:
    lines = [line for path in folder.glob("*.stderr") for line in path.read_text().splitlines()]
    return [int(line.removeprefix("pid ")) for line in lines if line.startswith("pid ")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_terminated_command_leaves_no_node(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance", "inject", "-o", tmp_path, "--kills", "999"]
    command += ["--", *CARELESS, "none"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as run:
        wait_until(lambda: len(pids(tmp_path)) >= 5)
        run.send_signal(number)
        assert run.wait(PATIENCE) == 2
        assert b"--seed 1 -- " in run.stderr.read()
    wait_until(lambda: not any(map(exists, pids(tmp_path))))
    os.stat(tmp_path / "history.ndjson")
