"""The message log over restarts: what it begins with, its files, and what a kill leaves of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from multipaxos import message_log
from multipaxos.files import last_line
from multipaxos.message_log import later_files, name_at
from multipaxos.node import Node
from multipaxos.storage import Storage

from tests.support.node_process import init, request, run, startup_error
from tests.support.paths import ROOT

ACCEPT = (
    b'{"src": "n2", "dest": "n1", "body": {"type": "accept", "ballot": 5, "slot": 7, "value": "v"}}'
)
CLUSTER = ("n1", ("n1", "n2", "n3"))


def records(log: Path) -> list[str]:
    return [json.loads(line)["action"] for line in log.read_text().splitlines()]


def run_once(tmp_path: Path, *lines: bytes, end: int = signal.SIGKILL) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "impl/main.py",
            "--data",
            str(tmp_path / "n1"),
            "--log",
            str(tmp_path / "log"),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as node:
        node.stdin.write(b"\n".join([init(*CLUSTER[1]).encode().rstrip(), *lines, b""]))
        node.stdin.flush()
        for _ in range(1 + len(lines)):
            node.stdout.readline()
        node.send_signal(end)


def test_log_continues_over_restarts(tmp_path: Path) -> None:
    run_once(tmp_path, ACCEPT)
    run_once(tmp_path, end=signal.SIGTERM)
    run_once(tmp_path, ACCEPT)
    restart = ["Crash", "Restart", "Init"]
    assert records(tmp_path / "log") == [
        "Init",
        "ReceiveAccept",
        *restart,
        *restart,
        "ReceiveAccept",
    ]


def test_uncommitted_records_are_cut_from_the_log(tmp_path: Path) -> None:
    run_once(tmp_path, ACCEPT)
    with (tmp_path / "log").open("a") as log:
        log.write('{"node": "n1", "input": "timeout", "output": [], "action": "Timeout"}\n{"no')
    run_once(tmp_path)
    assert records(tmp_path / "log") == ["Init", "ReceiveAccept", "Crash", "Restart", "Init"]


def test_missing_log_is_an_error(tmp_path: Path) -> None:
    """The error names the file and what to do; no empty file is left in its place."""
    run_once(tmp_path, ACCEPT)
    (tmp_path / "log").rename(tmp_path / "moved")
    message = startup_error(tmp_path / "n1", "", "--log", str(tmp_path / "log"))
    assert str(tmp_path / "log") in message and "bring it back" in message
    assert not (tmp_path / "log").exists()
    (tmp_path / "moved").rename(tmp_path / "log")
    run_once(tmp_path)
    assert records(tmp_path / "log") == ["Init", "ReceiveAccept", "Crash", "Restart", "Init"]


@pytest.mark.parametrize(
    "other",
    ["", "short\n", '{"node": "n2", "input": 1}\n' * 100, '{"node": "n1", "input": 1}\n' * 100],
)
def test_log_of_another_node_is_not_changed(tmp_path: Path, other: str) -> None:
    run_once(tmp_path, ACCEPT)
    (tmp_path / "log").write_text(other)
    message = startup_error(tmp_path / "n1", "", "--log", str(tmp_path / "log"))
    assert f"{tmp_path / 'log'} is not the log that goes with" in message
    assert "bring it back, or start once without --log" in message
    assert (tmp_path / "log").read_text() == other


def test_new_directory_does_not_change_existing_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of another\n")
    assert "is not empty" in startup_error(tmp_path / "n1", init(), "--log", str(tmp_path / "log"))
    assert (tmp_path / "log").read_text() == "of another\n"


def test_log_restarts_if_nothing_was_committed(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "n1")
    log = storage.open_log(str(tmp_path / "log"))
    log.write(b"what was not committed")
    log.close()
    storage.close()
    run_once(tmp_path, ACCEPT)
    assert records(tmp_path / "log") == ["Init", "ReceiveAccept"]


def test_log_is_synced_before_its_length_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path / "n1")
    log = storage.open_log(str(tmp_path / "log"))
    node = Node(storage=storage, log=log)
    done: list[object] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: done.append(os.fstat(file).st_size))
    storage._db.set_trace_callback(lambda statement: done.append(statement))
    node.turn([init(*CLUSTER[1]).encode()])
    node.turn([ACCEPT])
    assert [one for one in done if one in ("BEGIN", "COMMIT") or isinstance(one, int)] == [
        size
        for length in (records_end(tmp_path / "log", 1), records_end(tmp_path / "log", 2))
        for size in (length, "BEGIN", "COMMIT")
    ]


def records_end(log: Path, number: int) -> int:
    return len(b"".join(log.read_bytes().splitlines(keepends=True)[:number]))


@pytest.mark.parametrize("size", [0, 1, 2**16 - 1, 2**16, 200_000])
@pytest.mark.parametrize("before", [b"", b"one\n", b"one\n" * 30_000])
def test_last_line_of_long_and_short_files(size: int, before: bytes) -> None:
    line = b"x" * size + b"\n"
    file = io.BytesIO(before + line + b"more\nand more")
    assert last_line(file, len(before + line)) == line
    assert last_line(file, len(before + line) + 1) == b""


# A log that begins with a state.

DECIDED = b'{"src": "n2", "dest": "n1", "body": {"type": "decided", "slot": %d, "value": [%d]}}'
STATE = {
    "event": "state",
    "promised": 5,
    "accepted": [{"slot": 7, "ballot": 5, "value": "v"}],
    "decided": [{"slot": slot, "value": [slot]} for slot in (0, 1, 4)],
}


def run_without_log(data: Path) -> None:
    """Leave a directory with STATE."""
    lines = [init(*CLUSTER[1]).encode(), ACCEPT, *(DECIDED % (slot, slot) for slot in (0, 1, 4))]
    assert run(b"\n".join(lines), "--data", str(data)).returncode == 0


def lines_of(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("exists", [True, False])
def test_log_of_a_used_directory_begins_with_its_state(tmp_path: Path, exists: bool) -> None:
    run_without_log(tmp_path / "n1")
    if exists:
        (tmp_path / "log").touch()
    run_once(tmp_path)
    run_once(tmp_path, ACCEPT.replace(b"7", b"8"))
    state, *others = lines_of(tmp_path / "log")
    assert state == {"node": "n1", "input": STATE, "output": [], "action": "State"}
    assert [each["action"] for each in others] == [
        "Init",
        "Crash",
        "Restart",
        "Init",
        "ReceiveAccept",
    ]


def test_log_begins_again_after_a_run_without_one(tmp_path: Path) -> None:
    """That run ends the log: it has steps that the log lacks, and another one begins."""
    run_once(tmp_path, ACCEPT)
    before = (tmp_path / "log").read_bytes()
    run_without_log(tmp_path / "n1")
    message = startup_error(tmp_path / "n1", "", "--log", str(tmp_path / "log"))
    assert "is not empty" in message and "name a new file" in message
    assert (tmp_path / "log").read_bytes() == before
    done = run(init(*CLUSTER[1]), "--data", str(tmp_path / "n1"), "--log", str(tmp_path / "new"))
    assert done.returncode == 0
    assert lines_of(tmp_path / "new")[0]["input"] == STATE


def test_state_that_was_not_committed_is_written_again(tmp_path: Path) -> None:
    run_without_log(tmp_path / "n1")
    begun = b'{"node": "n1", "input": {"event": "state", "promised": 5'
    for written in b"", begun[:20], begun, None:
        with closing(Storage(tmp_path / "n1")) as storage:
            node = Node(storage=storage, log=storage.open_log(str(tmp_path / "log")))
            node.resume_log()
            node.log.close()
        if written is not None:
            (tmp_path / "log").write_bytes(written)
    run_once(tmp_path)
    assert records(tmp_path / "log") == ["State", "Init"]


@pytest.mark.parametrize(
    "other",
    [
        '{"node": "n2", "input": {"event": "state"}}\n',
        '{"node": "n1", "input": "timeout"}\n',
        "text",
    ],
)
def test_state_is_not_written_over_another_log(tmp_path: Path, other: str) -> None:
    run_without_log(tmp_path / "n1")
    log = str(tmp_path / "log")
    with closing(Storage(tmp_path / "n1")) as storage:
        storage.open_log(log).close()
    (tmp_path / "log").write_text(other)
    assert "is not the log that goes with" in startup_error(tmp_path / "n1", "", "--log", log)
    assert (tmp_path / "log").read_text() == other


def test_memory_does_not_grow_with_the_state_that_is_logged(tmp_path: Path) -> None:
    peaks = []
    for size in 500, 5_000:
        folder = tmp_path / str(size)
        with closing(Storage(folder)) as storage:
            storage.claim(*CLUSTER)
            for slot in range(size):
                storage.acceptor.decide(slot, f'"{slot:0200}"')
            storage.commit()
        with closing(Storage(folder)) as storage:
            node = Node(storage=storage, log=storage.open_log(str(folder / "log")))
            tracemalloc.start()
            node.resume_log()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            node.turn([init(*CLUSTER[1]).encode()])
        assert len(lines_of(folder / "log")[0]["input"]["decided"]) == size
    assert peaks[1] < 1.5 * peaks[0]


# A log in several files.


def limited(folder: Path, most: int = 1) -> list[str]:
    return [
        "--data",
        str(folder / "n1"),
        "--log",
        str(folder / "log"),
        "--log-max-bytes",
        f"{most}",
    ]


def whole(log: Path) -> bytes:
    """Return what all files of a log hold, each of which begins where the one before ends."""
    found = log.read_bytes()
    for begin in later_files(str(log)):
        assert begin == len(found)
        found += Path(name_at(str(log), begin)).read_bytes()
    return found


def test_log_continues_in_another_file_at_the_end_of_a_turn(tmp_path: Path) -> None:
    log = message_log.create(str(tmp_path / "log"), 1000)
    node = Node(log=log)
    node.turn([init(*CLUSTER[1]).encode()])
    for slot in range(30):
        node.turn([DECIDED % (slot, slot), DECIDED % (slot, slot)])
    log.close()
    files = [tmp_path / "log", *map(Path, sorted(map(str, tmp_path.glob("log.*"))))]
    assert len(files) > 3 and len(lines_of(files[0])) % 2 == 1
    assert all(len(lines_of(path)) % 2 == 0 for path in files[1:])
    assert all(1000 <= path.stat().st_size < 1500 for path in files[:-1])
    content = whole(tmp_path / "log")
    assert content == b"".join(path.read_bytes() for path in files)
    assert len(content.splitlines()) == 61


def test_files_of_a_log_without_data_are_replaced(tmp_path: Path) -> None:
    given = init() + "".join(request(n, "multi_paxos_log") for n in range(5))
    log = str(tmp_path / "log")
    with closing(message_log.create(log, 1)) as old:
        for _ in range(3):
            old.write(b"old\n")
            old.flush()
    (tmp_path / "log.1").write_text("not of a log")
    (tmp_path / "log2.00000000000000000004").write_text("of another log")
    assert len(later_files(log)) == 2
    assert run(given, "--log", log, "--log-max-bytes", "1").returncode == 0
    assert len(whole(tmp_path / "log").splitlines()) == 6
    assert (tmp_path / "log.1").exists() and (tmp_path / "log2.00000000000000000004").exists()


def test_restart_continues_in_the_last_file(tmp_path: Path) -> None:
    run_without_log(tmp_path / "n1")
    given = init(*CLUSTER[1]).encode()
    assert run(given, *limited(tmp_path)).returncode == 0
    # The state is longer than the limit, and so the next turn has a file of its own.
    assert run(given + ACCEPT, *limited(tmp_path)).returncode == 0
    assert run(given + ACCEPT, *limited(tmp_path, 10**9)).returncode == 0
    kinds = [json.loads(line)["action"] for line in whole(tmp_path / "log").splitlines()]
    restart = ["Crash", "Restart", "Init", "ReceiveAccept"]
    assert kinds == ["State", "Init", *restart, *restart]
    assert len(later_files(str(tmp_path / "log"))) == 1


def test_first_files_may_be_removed(tmp_path: Path) -> None:
    given = init(*CLUSTER[1]).encode()
    for _ in range(4):
        assert run(given + ACCEPT, *limited(tmp_path)).returncode == 0
    begins = later_files(str(tmp_path / "log"))
    (tmp_path / "log").unlink()
    Path(name_at(str(tmp_path / "log"), begins[0])).unlink()
    assert run(given, *limited(tmp_path)).returncode == 0
    assert later_files(str(tmp_path / "log"))[: len(begins) - 1] == begins[1:]


@pytest.mark.parametrize("kind", ["missing", "short", "of another"])
def test_last_file_that_is_not_that_of_the_directory_is_an_error(tmp_path: Path, kind: str) -> None:
    given = init(*CLUSTER[1]).encode()
    for _ in range(3):
        assert run(given + ACCEPT, *limited(tmp_path)).returncode == 0
    last = Path(name_at(str(tmp_path / "log"), later_files(str(tmp_path / "log"))[-1]))
    content = last.read_bytes()
    if kind == "missing":
        last.unlink()
    elif kind == "short":
        last.write_bytes(content[:-1])
    else:
        last.write_bytes(content.replace(b'"node": "n1"', b'"node": "n2"'))
    before = whole(tmp_path / "log")
    assert "is not the log that goes with" in startup_error(tmp_path / "n1", "", *limited(tmp_path))
    assert whole(tmp_path / "log") == before


def test_new_directory_does_not_continue_the_files_of_another_log(tmp_path: Path) -> None:
    later = Path(name_at(str(tmp_path / "log"), 7))
    later.write_text("of another\n")
    message = startup_error(tmp_path / "n1", init(), *limited(tmp_path))
    assert str(later) in message and later.read_text() == "of another\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [([], "--log-max-bytes needs --log"), (["--log", os.devnull], "is no regular file")],
)
def test_limit_needs_a_log_in_a_file(options: list[str], message: str) -> None:
    done = run(init(), *options, "--log-max-bytes", "5")
    assert done.returncode == 2 and message in done.stderr.decode() and not done.stdout


KILLED = """
import os, signal, sys
from pathlib import Path
from multipaxos.message_log import Log
from multipaxos.node import Node
from multipaxos.storage import Storage

left = int(sys.argv[2])

def counted(call):
    def counted_call(*given):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given)
    return counted_call

for name in "open", "unlink", "pwrite", "fsync", "fdatasync":
    setattr(os, name, counted(getattr(os, name)))
Log.flush = counted(Log.flush)
storage = Storage(Path(sys.argv[1], "n1"))
node = Node(storage=storage, log=storage.open_log(sys.argv[1] + "/log", 1))
node.resume_log()
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(node.turn([line]))
    sys.stdout.buffer.flush()
storage.close()
"""


def live(folder: Path, killed_at: int, lines: list[bytes]) -> tuple[int, list[dict]]:
    """Run a node with a turn for each line, and a file for each turn, which is killed before one
    of its system calls; 0 is never.  Return its status and the messages that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(killed_at)],
        cwd=ROOT / "impl",
        input=b"\n".join([*lines, b""]),
        stdout=subprocess.PIPE,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("used", [False, True])
def test_kill_at_any_moment_loses_no_record_of_what_was_printed(tmp_path: Path, used: bool) -> None:
    lines = [init(*CLUSTER[1]).encode().strip(), ACCEPT, DECIDED % (9, 9), ACCEPT]
    before = tmp_path / "before"
    before.mkdir()
    if used:
        run_without_log(before / "n1")
    for killed_at in range(1, 1000):
        folder = tmp_path / str(killed_at)
        shutil.copytree(before, folder)
        status, printed = live(folder, killed_at, lines)
        # The next life has half a file more to remove, or one that begins too late.
        again, more = live(folder, 7 * killed_at % 40, lines)
        last, rest = live(folder, 0, lines)
        assert last == 0 and again in (0, -signal.SIGKILL)
        found = [json.loads(line) for line in whole(folder / "log").splitlines()]
        logged = [message for record in found for message in record["output"]]
        left = iter(logged)
        assert all(message in left for message in [*printed, *more, *rest])
        assert (found[0]["input"] == STATE) == used
        shutil.rmtree(folder)
        if status == 0:
            break
    assert killed_at > 20


def test_removed_file_stays_removed_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = message_log.create(str(tmp_path / "log"), 1)
    for _ in range(3):
        log.write(b"line\n")
        log.flush()
    log.close()
    log = message_log.resume(str(tmp_path / "log"), 1, 10, "node.db")
    synced: list[object] = []
    monkeypatch.setattr(message_log.files, "sync_directory", synced.append)
    log.cut(10)
    assert synced == [str(tmp_path)] and later_files(str(tmp_path / "log")) == [5]


def test_file_is_synced_before_another_continues_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last file is synced with a commit, so after a power cut another could be shorter."""
    log = message_log.create(str(tmp_path / "log"), 1)
    log.write(b"line\n")
    log.flush()
    done: list[object] = []
    real = message_log.files.create
    monkeypatch.setattr(os, "fdatasync", lambda file: done.append(os.fstat(file).st_size))
    monkeypatch.setattr(
        message_log.files, "create", lambda name: [done.append(name), real(name)][1]
    )
    log.write(b"more\n")
    assert done == [5, name_at(str(tmp_path / "log"), 5)]


# Files that are not the log.


def test_log_that_was_begun_is_known_again_by_its_name(tmp_path: Path) -> None:
    """A kill before the first commit leaves records, and only they may be cut off."""
    storage = ["--data", str(tmp_path / "n1")]
    assert run("", *storage, "--log", str(tmp_path / "log")).returncode == 0
    other = tmp_path / "other"
    for path in other, Path(name_at(str(other), 45)):
        path.write_text("of another\n")
        message = startup_error(tmp_path / "n1", init(), "--log", str(other))
        assert f"{path} is not empty" in message
        assert path.read_text() == "of another\n"
        path.unlink()
    (tmp_path / "log").write_text('{"node": "n1", "inp')
    run_once(tmp_path, ACCEPT)
    assert records(tmp_path / "log") == ["Init", "ReceiveAccept"]


def test_older_log_of_the_same_node_is_kept(tmp_path: Path) -> None:
    data, given = ["--data", str(tmp_path / "n1")], init(*CLUSTER[1]).encode()
    run_without_log(tmp_path / "n1")
    assert run(given, *data, "--log", str(tmp_path / "old")).returncode == 0
    run_without_log(tmp_path / "n1")
    assert run("", *data, "--log", str(tmp_path / "new")).returncode == 0
    before = (tmp_path / "old").read_bytes()
    message = startup_error(tmp_path / "n1", init(), "--log", str(tmp_path / "old"))
    assert "is not empty" in message and (tmp_path / "old").read_bytes() == before


@pytest.mark.parametrize("number", ["0" * 20, "0" * 19 + "\N{ARABIC-INDIC DIGIT THREE}"])
@pytest.mark.parametrize("data", [True, False])
def test_name_with_another_number_is_no_part_of_a_log(
    tmp_path: Path, number: str, data: bool
) -> None:
    other = tmp_path / f"log.{number}"
    other.write_text("mine")
    options = limited(tmp_path)[0 if data else 2 :]
    assert run(init() + request(1, "multi_paxos_log"), *options).returncode == 0
    assert other.read_text() == "mine" and len(whole(tmp_path / "log").splitlines()) == 2


@pytest.mark.parametrize("data", [True, False])
def test_copy_with_a_name_like_a_part_is_not_removed(tmp_path: Path, data: bool) -> None:
    """A date may have twenty digits."""
    options = limited(tmp_path)[0 if data else 2 : 4]
    assert run(init(), *options).returncode == 0
    copy = Path(name_at(str(tmp_path / "log"), 20261128061306214242))
    shutil.copy(tmp_path / "log", copy)
    done = run(init(), *options)
    assert done.returncode == 2 and f"{copy} is named like a part" in done.stderr.decode()
    assert copy.read_bytes() == (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("data", [True, False])
def test_log_cannot_be_named_like_a_part(tmp_path: Path, data: bool) -> None:
    options = ["--data", str(tmp_path / "n1")] if data else []
    done = run(init(), *options, "--log", name_at(str(tmp_path / "log"), 7))
    assert done.returncode == 2 and "is named like a part of another log" in done.stderr.decode()


@pytest.mark.parametrize("data", [True, False])
def test_second_node_with_the_same_log_is_refused(tmp_path: Path, data: bool) -> None:
    log = str(tmp_path / "log")
    options = ["--data", str(tmp_path / "n2")] if data else []
    with closing(message_log.create(log, 1)) as first:
        for _ in range(2):
            first.write(b"line\n")
            first.flush()
            done = run(init(), *options, "--log", log)
            assert done.returncode == 2 and f"another node writes {log}" in done.stderr.decode()
    assert whole(tmp_path / "log") == b"line\nline\n"


def test_start_without_a_log_ends_it_without_init(tmp_path: Path) -> None:
    run_once(tmp_path, ACCEPT)
    (tmp_path / "log").unlink()
    assert run("", "--data", str(tmp_path / "n1")).returncode == 0
    new = ["--data", str(tmp_path / "n1"), "--log", str(tmp_path / "new")]
    assert run(init(*CLUSTER[1]), *new).returncode == 0
    assert records(tmp_path / "new") == ["State", "Init"]


@pytest.mark.parametrize("data", [True, False])
def test_error_of_the_log_names_it(tmp_path: Path, data: bool) -> None:
    options = ["--data", str(tmp_path / "n1")] if data else []
    done = run(init(), *options, "--log", "/dev/full")
    what = "/dev/full is no regular file" if data else "the log /dev/full: No space left on device"
    assert done.returncode == 2 and what in done.stderr.decode()
