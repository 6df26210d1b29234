"""The data directory: durability, rejected directories, and saving before sending.

Uses real files and processes. Campaigns kill nodes at random moments.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipaxos.files import COUNTER, NO_LOG, StorageError
from multipaxos.journal import Journal
from multipaxos.members import Members
from multipaxos.messages import Vote
from multipaxos.node import Node
from multipaxos.replica import Replica
from multipaxos.slots import Slots
from multipaxos.storage import FILE, Storage

from tests.support.node_process import init, request, run, startup_error
from tests.support.paths import ROOT

ACCEPT = (
    b'{"src": "n2", "dest": "n1", "body": {"type": "accept", "ballot": 5, "slot": 7, "value": "v"}}'
)
CLUSTER = ("n1", ("n1", "n2", "n3"))


def open_storage(folder: Path) -> Storage:
    storage = Storage(folder)
    storage.claim(*CLUSTER)
    return storage


def reopened(storage: Storage) -> Storage:
    storage.close()
    return Storage(storage.path.parent)


def decisions(storage: Storage) -> dict[int, str]:
    return dict(storage.acceptor.decided.read(storage.acceptor.known))


def state(journal: Journal) -> tuple:
    decided = dict(journal.decided.read(journal.known))
    return journal.promised, journal.accepted, decided, journal.known.ranges()


def test_restart_keeps_committed_state(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "a" / "n1")
    journal = storage.acceptor
    journal.promise(5)
    journal.vote_for(5, 7, '"v"')
    journal.vote_for(2, 8, '"w"')
    storage.commit()
    journal.vote_for(5, 8, '"x"')
    journal.decide(7, '"v"')
    journal.decide(2**63 - 1, "null")
    journal.vote_for(5, 9, "1")
    journal.decide(9, "1")
    storage.commit(123)
    before = state(journal)
    storage = reopened(storage)
    assert state(storage.acceptor) == before
    assert storage.acceptor.accepted == {8: Vote(5, '"x"')}
    assert (storage.cluster, storage.logged) == (CLUSTER, 123)


def test_restart_loses_uncommitted_state(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    storage.acceptor.promise(1)
    storage.commit()
    storage.acceptor.promise(4)
    storage.acceptor.vote_for(4, 1, "1")
    storage = reopened(storage)
    assert state(storage.acceptor) == (1, {}, {}, ())


def test_turn_is_one_transaction(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    node = Node(storage=storage)
    node.turn([init("n1").encode()])
    statements: list[str] = []
    storage._db.set_trace_callback(statements.append)
    node.turn(
        [
            request(slot, "multi_paxos_propose", slot=slot, value=slot).encode()
            for slot in range(250)
        ]
    )
    assert [statement for statement in statements if statement in ("BEGIN", "COMMIT")] == [
        "BEGIN",
        "COMMIT",
    ]
    inserts = [statement for statement in statements if "INTO decided" in statement]
    assert sum(statement.count("(") for statement in inserts) == 250
    node.turn([request(1, "multi_paxos_log").encode()])
    assert statements.count("COMMIT") == 1


def test_commit_needs_no_temporary_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.claim("n1", ("n1",))
    storage.commit()
    for first in 0, 5:
        for slot in range(first, 20_000, 10):
            storage.acceptor.decide(slot, "7" * 1000)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            storage.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    storage.close()


def test_input_without_output_is_saved_with_the_next_output(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    node = Node(storage=storage)
    node.turn([init(*CLUSTER[1]).encode()])
    statements: list[str] = []
    storage._db.set_trace_callback(statements.append)
    decided = b'{"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": 7, "value": "v"}}'
    assert node.turn([decided]) == b"" and statements == []
    assert b"accepted" in node.turn([ACCEPT.replace(b"7", b"8")])
    assert statements.count("COMMIT") == 1 and any(
        "INTO decided" in statement for statement in statements
    )


def test_end_of_input_saves_accepted_lines(tmp_path: Path) -> None:
    decided = b'{"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": 7, "value": "v"}}'
    run(init(*CLUSTER[1]).encode() + decided, "--data", str(tmp_path))
    assert decisions(Storage(tmp_path)) == {7: '"v"'}


def test_unsaved_output_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(tmp_path)
    node = Node(storage=storage)
    node.turn([init(*CLUSTER[1]).encode()])
    storage._db.execute("PRAGMA max_page_count = 1")
    large = ACCEPT.replace(b'"v"', b'"' + 100_000 * b"v" + b'"')
    with pytest.raises(StorageError, match="full; free space"):
        node.turn([large])
    storage = reopened(storage)
    assert state(storage.acceptor) == (0, {}, {}, ())


def test_vote_is_saved_before_its_reply_is_printed(tmp_path: Path) -> None:
    """The database holds a vote when its reply is printed."""
    with subprocess.Popen(
        [sys.executable, "impl/main.py", "--data", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as node:
        node.stdin.write(init(*CLUSTER[1]).encode() + ACCEPT + b"\n")
        node.stdin.flush()
        while b"accepted" not in node.stdout.readline():
            pass
        node.kill()
    storage = Storage(tmp_path)
    assert (storage.acceptor.promised, storage.acceptor.accepted) == (5, {7: Vote(5, '"v"')})


def test_restart_keeps_promise_and_vote(tmp_path: Path) -> None:
    def replies(*lines: bytes) -> list[dict]:
        done = run(init(*CLUSTER[1]).encode() + b"\n".join(lines), "--data", str(tmp_path))
        assert (done.returncode, done.stderr) == (0, b"")
        return [json.loads(line)["body"] for line in done.stdout.splitlines()][1:]

    assert replies(ACCEPT)[0]["type"] == "accepted"
    prepare = b'{"src": "n3", "dest": "n1", "body": {"type": "prepare", "ballot": 3, "known": []}}'
    assert replies(prepare) == [{"type": "rejected", "promised": 5}]
    higher = prepare.replace(b"3, ", b"6, ")
    assert replies(higher)[0]["accepted"] == [{"slot": 7, "ballot": 5, "value": "v"}]


# Directories and files that are rejected.


def test_directory_in_use_is_rejected(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    storage.commit()
    assert "each needs its own" in startup_error(tmp_path)
    storage.acceptor.promise(2)
    storage.commit()
    assert reopened(storage).acceptor.promised == 2


@pytest.mark.parametrize("other", [init("n1", "n2"), init(*CLUSTER[1], node="n2")])
def test_directory_of_another_node_is_rejected(tmp_path: Path, other: str) -> None:
    storage = open_storage(tmp_path)
    storage.commit()
    storage.close()
    assert "data of n1 in n1, n2, n3, not" in startup_error(tmp_path, other)
    assert Storage(tmp_path).cluster == CLUSTER


@pytest.mark.parametrize(
    "statement, message",
    [
        ("PRAGMA user_version = 4", "newer version"),
        ("PRAGMA application_id = 1", "another program's"),
        ("DROP TABLE decided", "no such table"),
    ],
)
def test_file_of_another_format_is_rejected(tmp_path: Path, statement: str, message: str) -> None:
    storage = open_storage(tmp_path)
    storage.commit()
    storage.close()
    database = sqlite3.connect(storage.path)
    database.execute(statement)
    database.close()
    assert message in startup_error(tmp_path)


def filled(folder: Path) -> Storage:
    """Return a closed directory with so many decisions that they need several pages."""
    storage = open_storage(folder)
    for slot in range(2000):
        storage.acceptor.decide(slot, '"value"')
    storage.commit()
    storage.close()
    return storage


def test_corrupt_database_is_rejected(tmp_path: Path) -> None:
    storage = filled(tmp_path)
    content = bytearray(storage.path.read_bytes())
    for damaged in b"no database at all" * 500, content[:5000]:
        storage.path.write_bytes(damaged)
        assert "leave this node out" in startup_error(tmp_path)
        assert storage.path.read_bytes() == damaged


def rewrite(storage: Storage, *statements: str) -> None:
    """Close a directory, and change its database."""
    storage.close()
    with closing(sqlite3.connect(storage.path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_damaged_decision_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    """A start reads no decided value.  A node that cannot read one stops, and answers nothing."""
    storage = filled(tmp_path)
    content = storage.path.read_bytes()
    leaf = content.index(b'"value"') // 4096 * 4096
    storage.path.write_bytes(content[:leaf] + bytes(4096) + content[leaf + 4096 :])
    log = init(*CLUSTER[1]) + request(1, "multi_paxos_log")
    propose = [request(2, "multi_paxos_propose", slot=slot, value=0) for slot in range(0, 2000, 99)]
    for lines in log, init(*CLUSTER[1]) + "".join(propose):
        done = run(lines, "--data", str(tmp_path))
        assert done.returncode == 2 and b"leave this node out" in done.stderr
        assert b"multi_paxos" not in done.stdout


@pytest.mark.parametrize("lost", [0, 3, 9])
def test_lost_decision_is_an_error(tmp_path: Path, lost: int) -> None:
    storage = open_storage(tmp_path)
    for slot in range(10):
        storage.acceptor.decide(slot, '"value"')
    storage.commit()
    rewrite(storage, f"DELETE FROM decided WHERE slot = {lost}")
    message = f"does not hold the decision of slot {lost}: bring back"
    with pytest.raises(StorageError, match=message), closing(Storage(tmp_path)) as storage:
        decisions(storage)
    with pytest.raises(StorageError, match=message), closing(Storage(tmp_path)) as storage:
        storage.acceptor.decided[lost]


def test_decision_that_no_range_includes_is_an_error(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    storage.commit()
    rewrite(storage, "INSERT INTO decided VALUES (7, '1')")
    assert "does not hold the decision of slot 7" in startup_error(tmp_path)


def test_full_standard_error_keeps_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "impl/main.py", "--data", str(tmp_path / "file")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=full,
        )
    assert done.returncode == 2


def test_path_that_is_no_directory_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "needs a directory" in startup_error(tmp_path / "file" / "n1")
    (tmp_path / "n1" / FILE).mkdir(parents=True)
    assert "Is a directory" in startup_error(tmp_path / "n1")


def test_read_only_database_is_an_error(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    storage.commit()
    storage._db.execute("PRAGMA query_only = ON")
    storage.acceptor.promise(4)
    with pytest.raises(StorageError, match="readonly database; let it be written"):
        storage.commit()


# Decided values on the disk.


def test_decided_values_are_read_in_order_whether_committed_or_not(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    acceptor = storage.acceptor
    for slots in (1, 2, 5, 9), (0, 3, 7, 8):
        storage.commit()
        for slot in slots:
            acceptor.decide(slot, str(slot))
    for _ in range(2):
        slots = [0, 1, 2, 3, 5, 7, 8, 9]
        assert list(acceptor.decided.read(acceptor.known)) == [(slot, str(slot)) for slot in slots]
        part = Slots([(1, 2), (8, 8)])
        assert list(acceptor.decided.read(part)) == [(1, "1"), (2, "2"), (8, "8")]
        assert [acceptor.decided[slot] for slot in slots] == list(map(str, slots))
        assert [slot for slot in range(11) if slot in acceptor.decided] == slots
        storage.commit()
    assert acceptor.decisions == {}


LEARN = b'{"src": "n2", "dest": "n1", "body": {"type": "learn", "known": [[40, 59]]}}'


@pytest.mark.parametrize(
    ("line", "scans"), [(LEARN, 2), (request(1, "multi_paxos_log").encode(), 1)]
)
def test_range_is_read_by_one_query(tmp_path: Path, line: bytes, scans: int) -> None:
    storage = Storage(tmp_path)
    node = Node(storage=storage)
    node.turn([init(*CLUSTER[1]).encode()])
    for slot in range(100):
        storage.acceptor.decide(slot, '"value"')
    storage.commit()
    statements: list[str] = []
    storage._db.set_trace_callback(statements.append)
    output = json.loads(node.turn([line]))["body"]
    slots = [entry["slot"] for entry in output.get("decided", output.get("log"))]
    assert slots == [slot for slot in range(100) if scans == 1 or not 40 <= slot <= 59]
    assert len([statement for statement in statements if "FROM decided" in statement]) == scans


@given(st.lists(st.sets(st.integers(0, 15), max_size=4), max_size=6))
def test_ranges_are_kept_as_ranges(commits: list[set[int]]) -> None:
    with TemporaryDirectory() as folder:
        storage = open_storage(Path(folder))
        for slots in commits:
            for slot in slots - set(storage.acceptor.known):
                storage.acceptor.decide(slot, str(slot))
            storage.commit()
        ranges = storage.acceptor.known.ranges()
        assert tuple(storage._db.execute("SELECT low, high FROM known ORDER BY low")) == ranges
        storage.close()


def test_memory_does_not_grow_with_decided_values(tmp_path: Path) -> None:
    """Neither to start, nor to decide, nor to bring an old directory to this format."""
    peaks = []
    for size in 1_000, 20_000:
        storage = open_storage(tmp_path / str(size))
        storage.acceptor.decide(size + 7, '"after a gap"')
        tracemalloc.start()
        for first in range(0, size, 500):
            for slot in range(first, first + 500):
                storage.acceptor.decide(slot, f'"{slot:0100}"')
            storage.commit()
        rewrite(storage, "DROP TABLE known", "PRAGMA user_version = 2")
        storage = reopened(storage)
        assert storage.acceptor.known.ranges() == ((0, size - 1), (size + 7, size + 7))
        storage = reopened(storage)
        assert sum(1 for _ in storage.acceptor.decided.read(storage.acceptor.known)) == size + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# Damaged files.


def killed_node_data(tmp_path: Path) -> Path:
    """Return the directory of a killed node that has replied "first" for slots 0 to 5."""
    data = tmp_path / "n1"
    with subprocess.Popen(
        [sys.executable, "impl/main.py", "--data", str(data)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as node:
        node.stdin.write(init().encode())
        node.stdout.readline()
        for slot in range(6):
            given = request(slot, "multi_paxos_propose", slot=slot, value="first")
            node.stdin.write(given.encode())
            assert b'"first"' in node.stdout.readline()
        node.kill()
    return data


def flip(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 4
    path.write_bytes(content)


WAL = f"{FILE}-wal"
DAMAGE = {
    **{
        f"a bit flipped at {at:.0%} of the WAL": lambda data, at=at: flip(data / WAL, at)
        for at in (0.001, 0.2, 0.4, 0.6, 0.8, 0.999)
    },
    "the WAL deleted": lambda data: (data / WAL).unlink(),
    "the WAL emptied": lambda data: (data / WAL).write_bytes(b""),
    "the WAL cut": lambda data: os.truncate(data / WAL, (data / WAL).stat().st_size - 1),
    "the database emptied": lambda data: (data / FILE).write_bytes(b""),
    "the database deleted": lambda data: (data / FILE).unlink(),
    "both deleted": lambda data: [(data / FILE).unlink(), (data / WAL).unlink()],
    "the counter deleted": lambda data: (data / COUNTER).unlink(),
    "the counter emptied": lambda data: (data / COUNTER).write_bytes(b""),
    "the counter damaged": lambda data: (data / COUNTER).write_bytes(b"1 000000000000000000\n"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_node_with_lost_commits_does_not_start(tmp_path: Path, kind: str) -> None:
    data = killed_node_data(tmp_path)
    DAMAGE[kind](data)
    requests = init() + request(9, "multi_paxos_propose", slot=5, value="second")
    assert "leave this node out" in startup_error(data, requests)
    assert "leave this node out" in startup_error(data, requests)


def test_killed_node_with_intact_files_starts(tmp_path: Path) -> None:
    data = killed_node_data(tmp_path)
    done = run(
        init() + request(9, "multi_paxos_propose", slot=5, value="second"), "--data", str(data)
    )
    assert json.loads(done.stdout.splitlines()[1])["body"]["value"] == "first"


def test_commit_counter_may_be_behind_the_database(tmp_path: Path) -> None:
    """The counter is not synced, so a power cut can leave it behind the database."""
    data = killed_node_data(tmp_path)
    assert int((data / COUNTER).read_bytes()) == 7
    for behind in 6, 0:
        (data / COUNTER).write_bytes(b"%020d\n" % behind)
        assert run(init(), "--data", str(data)).returncode == 0
    run(init() + request(9, "multi_paxos_propose", slot=9, value="v"), "--data", str(data))
    assert int((data / COUNTER).read_bytes()) == 8


def test_failed_counter_write_sends_nothing_of_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path)
    node = Node(storage=storage)
    node.turn([init(*CLUSTER[1]).encode()])

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match="No space left"):
        node.turn([ACCEPT])


FORMAT_1 = """
    CREATE TABLE node (node_id TEXT NOT NULL, promised INTEGER NOT NULL, logged INTEGER NOT NULL);
    CREATE TABLE node_ids (place INTEGER PRIMARY KEY, node_id TEXT NOT NULL);
    CREATE TABLE accepted (slot INTEGER PRIMARY KEY, ballot INTEGER NOT NULL, value TEXT NOT NULL);
    CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL);
    PRAGMA application_id = 1836077144;
    PRAGMA user_version = 1;
"""
FORMAT_2 = """
    CREATE TABLE node (node_id TEXT NOT NULL, promised INTEGER NOT NULL, logged INTEGER NOT NULL,
                       commits INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE node_ids (place INTEGER PRIMARY KEY, node_id TEXT NOT NULL);
    CREATE TABLE accepted (slot INTEGER PRIMARY KEY, ballot INTEGER NOT NULL, value TEXT NOT NULL);
    CREATE TABLE decided (slot INTEGER PRIMARY KEY, value TEXT NOT NULL);
    PRAGMA application_id = 1836077144;
    PRAGMA user_version = 2;
"""
ROWS = """
    INSERT INTO node VALUES ('n1', 5, {logged}{commits});
    INSERT INTO node_ids VALUES (0, 'n1'), (1, 'n2'), (2, 'n3');
    INSERT INTO accepted VALUES (7, 5, '"v"');
    INSERT INTO decided VALUES (3, '"w"'), (4, '"x"'), (6, '"y"');
"""
OLD_STATE = 5, {7: Vote(5, '"v"')}, {3: '"w"', 4: '"x"', 6: '"y"'}, ((3, 4), (6, 6))


def make_old(folder: Path, version: int, logged: int = 25) -> None:
    """Make the directory of a node that an older version of this program has left."""
    script, commits = ((FORMAT_1, ""), (FORMAT_2, ", 1"))[version - 1]
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.executescript(script + ROWS.format(logged=logged, commits=commits))
    if version > 1:
        (folder / COUNTER).write_bytes(b"%020d\n" % 1)


@pytest.mark.parametrize(("version", "logged"), [(1, 0), (1, 25), (2, NO_LOG), (2, 25)])
def test_directory_of_older_format_is_opened(tmp_path: Path, version: int, logged: int) -> None:
    make_old(tmp_path, version, logged)
    storage = Storage(tmp_path)
    assert state(storage.acceptor) == OLD_STATE
    assert (storage.cluster, storage.logged) == (CLUSTER, logged or NO_LOG)
    storage.acceptor.decide(7, '"v"')
    storage.commit(logged)
    storage = reopened(storage)
    assert decisions(storage) == OLD_STATE[2] | {7: '"v"'}
    assert storage.acceptor.known.ranges() == ((3, 4), (6, 7))
    assert int((tmp_path / COUNTER).read_bytes()) == version


def test_empty_directory_of_format_1_is_opened(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(FORMAT_1)
    propose = request(2, "multi_paxos_propose", slot=1, value="v")
    assert run(init() + propose, "--data", str(tmp_path)).stdout.count(b"propose_ok") == 1


def test_lost_commits_of_format_2_are_noticed(tmp_path: Path) -> None:
    make_old(tmp_path, 2)
    (tmp_path / COUNTER).write_bytes(b"%020d\n" % 2)
    assert "this node has made commit 2" in startup_error(tmp_path)


MIGRATION = """
import os, signal, sys
from pathlib import Path
from multipaxos import formats
from multipaxos.storage import Storage
formats.REPORTED_SLOTS = 1
reports = []
def report(text):
    reports.append(text)
    if len(reports) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
Storage(Path(sys.argv[1]), report)
"""


@pytest.mark.parametrize("version", [1, 2])
def test_killed_migration_begins_again(tmp_path: Path, version: int) -> None:
    """A process that is killed at a moment of its migration has changed nothing."""
    make_old(tmp_path, version)
    for killed_at in 1, 2, 4:
        command = [sys.executable, "-c", MIGRATION, str(tmp_path), str(killed_at)]
        assert subprocess.run(command, cwd=ROOT / "impl").returncode == -signal.SIGKILL
    reports: list[str] = []
    assert state(Storage(tmp_path, reports.append).acceptor) == OLD_STATE
    assert reports == [f"the data is brought from format {version} to format 3"]


def test_migration_reports_its_progress(tmp_path: Path) -> None:
    make_old(tmp_path, 2)
    assert b"from format 2 to format 3\n" in run(init(*CLUSTER[1]), "--data", str(tmp_path)).stderr
    assert run(init(*CLUSTER[1]), "--data", str(tmp_path)).stderr == b""


def test_exhausted_ballots_are_reported(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    storage.acceptor.promise(2**63)
    with pytest.raises(StorageError, match="used up"):
        storage.commit()


# Long logs.


def test_long_log_is_one_range_and_is_read_in_parts(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    for slot in range(100_000):
        storage.acceptor.decide(slot, "0")
    storage.commit()
    node = Node(storage=reopened(storage))
    node.turn([init(*CLUSTER[1]).encode()])
    propose = request(2, "multi_paxos_propose", slot=10**6, value="v")
    prepare = json.loads(node.turn([propose.encode()]).splitlines()[0])
    assert prepare["body"]["known"] == [[0, 99_999]]
    part = request(3, "multi_paxos_log", **{"from": 99_998, "limit": 5})
    log = json.loads(node.turn([part.encode()]))["body"]["log"]
    assert [entry["slot"] for entry in log] == [99_998, 99_999]


def test_node_that_missed_100_000_slots_catches_up() -> None:
    members = Members(CLUSTER[1])
    current, behind = (Replica(node, members, 1000) for node in ("n1", "n3"))
    for slot in range(100_000):
        current.acceptor.decide(slot, str(slot))
    poll = dict(behind.inquire())["n1"]
    [(_, answer)] = current.receive_poll("n3", poll)
    [(_, learn)] = behind.receive_learned("n1", answer)
    for _ in range(100):
        [(_, learned)] = current.receive_learn("n3", learn)
        assert len(learned.decided) == 1000
        next_learn = behind.receive_learned("n1", learned)
        learn = next_learn[0][1] if next_learn else None
    assert learn is None and behind.acceptor.known.ranges() == ((0, 99_999),)
    assert current.receive_poll("n3", dict(behind.inquire())["n1"]) == []
