"""Replay of traces with nodes that print in other ways, are slow, flood or hang."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.formats import logs
from conformance.formats.canonical import same_output
from conformance.formats.logs import LogError
from conformance.jobs import cores
from conformance.running import fences
from conformance.running.replay import HANGS, Replayed, replay, replay_all
from tests.support.paths import IMPL, NODES, OK, ROOT
from tests.support.processes import LIMITS, PATIENCE, exists, wait_until

NODE = (sys.executable, "-S", str(IMPL / "main.py"), "--manual-clock")
ALTERED = (sys.executable, "-S", str(NODES / "altered.py"))


def altered(how: str) -> tuple[str, ...]:
    return (*ALTERED, how, "--manual-clock")


def reply(kind: str, dest: str, number: int, **fields: Any) -> Any:
    body = {"type": kind, "in_reply_to": number, **fields, "msg_id": number - 1}
    return {"src": "n1", "dest": dest, "body": body}


def alone(folder: Path, *values: Any, client: str = "c1", node: str = "n1") -> Path:
    """Write a log of a single node that decides these values for a client."""
    body: Any = {"type": "init", "msg_id": 1, "node_id": node, "node_ids": [node]}
    steps = [({"src": "c0", "dest": node, "body": body}, reply("init_ok", "c0", 1))]
    for slot, value in enumerate(values):
        body = {"type": "multi_paxos_propose", "msg_id": slot + 2, "slot": slot, "value": value}
        answer = reply(
            "multi_paxos_propose_ok",
            client,
            slot + 2,
            slot=slot,
            phase1_skipped=slot > 0,
            chosen=True,
            value=value,
        )
        steps.append(({"src": client, "dest": node, "body": body}, answer))
    records = [
        {"node": node, "input": given, "output": [{**answer, "src": node}]}
        for given, answer in steps
    ]
    path = folder / "alone.ndjson"
    logs.write(path, records)
    return path


def remark(found: Replayed) -> str:
    assert found.difference is not None
    return found.difference.remark


# Correct nodes.


def test_time_limit_is_per_output_not_per_trace(tmp_path: Path) -> None:
    def passes(limit: float) -> bool:
        path = alone(tmp_path, *range(round(30 * limit)))
        begun = time.monotonic()
        found = replay(path, altered("slow"), seconds=limit)
        return found.difference is None and time.monotonic() - begun > limit

    assert any(map(passes, LIMITS))


@pytest.mark.parametrize("value", ["a\u2028b", "a\u2029b", "a\u0085b", "a\x1cb\x0bc\x0c", "é数😀"])
@pytest.mark.parametrize("how", ["utf8", None])
def test_only_a_newline_ends_a_line(value: str, how: str | None, tmp_path: Path) -> None:
    path = alone(tmp_path, value)
    assert replay(path, altered(how) if how else NODE).difference is None


@pytest.mark.parametrize("name", ["fence", "fence-2", "c9"])
def test_client_or_a_node_may_have_any_name(name: str, tmp_path: Path) -> None:
    assert replay(alone(tmp_path, "a", "b", client=name), NODE).difference is None
    assert replay(alone(tmp_path, "a", "b", node=name), NODE).difference is None


def test_fence_name_is_unused() -> None:
    line = json.loads(OK.read_text().splitlines()[0])["input"]
    line["body"]["node_ids"] = ["n1", "fence", "fence-3"]
    taken = fences.names([line, "timeout", {**line, "src": "fence-2"}])
    assert fences.fence(line, taken).line["src"] == "fence-4"


def test_order_between_destinations_is_free() -> None:
    assert any(len({m["dest"] for m in record.output}) > 1 for record in logs.read(OK))
    assert replay(OK, altered("by_destination")).difference is None


def test_order_to_one_destination_matters() -> None:
    to = [{"dest": dest, "body": {"n": n}} for dest, n in (("n2", 1), ("n3", 2), ("n2", 3))]
    assert same_output(to, [to[1], to[0], to[2]])
    assert not same_output(to, [to[2], to[1], to[0]])
    assert not same_output(to, to[:2]) and not same_output(to[:2], to)
    assert not same_output([{"dest": "n2", "body": 1}], [{"dest": "n2", "body": True}])
    assert same_output(["no message", 7], [7, "no message"]) and not same_output(["7"], [7])


# Broken nodes.


@pytest.mark.parametrize(
    "how, words",
    [
        ("unended", "the last line that the node printed does not end"),
        ("last_unended", "the last line that the node printed does not end"),
    ],
)
def test_unterminated_line_fails(how: str, words: str, tmp_path: Path) -> None:
    found = replay(alone(tmp_path, "a"), altered(how))
    assert words in remark(found) and found.steps < 2


def test_nan_is_not_json(tmp_path: Path) -> None:
    found = replay(alone(tmp_path, "a", None), altered("nan"))
    assert remark(found) == "the node printed a line that is not JSON" and found.steps == 2


PRINT = "import json, sys; line = input()\nwhile True: "


@pytest.mark.parametrize(
    "program, words",
    [
        ("print(line)", "printed more messages than these; it was ended"),
        ("print('x' * 1000, end='')", "printed a line of more than"),
        ("print('x' * 1000, file=sys.stderr)", "it was silent for 1 s and did not end"),
        ("pass", "it was silent for 1 s and did not end"),
    ],
)
def test_node_that_does_not_end_is_killed(program: str, words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-u", "-c", PRINT + program]
    seconds = 1 if "silent" in words else PATIENCE
    assert words in remark(replay(alone(tmp_path, "a"), command, seconds=seconds))


def test_node_that_ends_early_fails(tmp_path: Path) -> None:
    """A node must still run after the last expected output."""
    records = logs.read_json(alone(tmp_path, "a"))
    records.append({**records[0], "input": "timeout", "output": []})
    logs.write(tmp_path / "more.ndjson", records)
    shell = f"head -n 4 | {' '.join(NODE)}; cat > {os.devnull}"
    found = replay(tmp_path / "more.ndjson", ["sh", "-c", shell])
    assert "without a reply to a repeated init" in remark(found) and found.steps == 2


def test_replay_stops_after_some_hangs(tmp_path: Path) -> None:
    # Others run when the last of them is found to hang.
    most = HANGS + cores() - 1
    paths = [Path(shutil.copy(OK, tmp_path / f"{n}.ndjson")) for n in range(most + 3)]
    found = replay_all(paths, ["sh", "-c", "sleep 100"], seconds=0.5)
    assert len(found) == len(paths) and HANGS <= sum(each.tried for each in found) <= most
    assert all((each.difference is not None) == each.tried for each in found)


# Cleanup.


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_ends_replay_and_its_nodes_at_once(ending: signal.Signals, tmp_path: Path) -> None:
    for number in range(3 * cores()):
        shutil.copy(OK, tmp_path / f"{number}.ndjson")
    node = ["sh", "-c", f"sleep 100 & echo $! >> {tmp_path}/pids; wait"]
    command = [sys.executable, "-m", "conformance", "replay", str(tmp_path), "--", *node]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as run:
        wait_until(lambda: len(numbers(tmp_path)) == cores())
        run.send_signal(ending)
        # Without the signal it would be a minute and a half.
        assert run.wait(PATIENCE) == 2
    assert len(numbers(tmp_path)) == cores(), "no process is started after the signal"
    wait_until(lambda: not any(map(exists, numbers(tmp_path))))


def numbers(folder: Path) -> list[int]:
    try:
        return list(map(int, (folder / "pids").read_text().split()))
    except FileNotFoundError:
        return []


def test_wrapper_that_hangs_leaves_no_process(tmp_path: Path) -> None:
    node = ["sh", "-c", f"sleep 100 & echo $! >> {tmp_path}/pids; wait"]
    assert remark(replay(alone(tmp_path, "a"), node, seconds=0.5))
    wait_until(lambda: numbers(tmp_path) and not any(map(exists, numbers(tmp_path))))


# Selection of logs.


def test_logs_and_histories_of_a_folder_are_distinguished(tmp_path: Path) -> None:
    log = alone(tmp_path, "a")
    (tmp_path / "history.ndjson").write_text('{"at": 0.1, "kind": "ask", "message": {}}\n')
    os.mkfifo(tmp_path / "pipe.ndjson")
    assert logs.find([tmp_path], logs.LOG) == [log]
    assert logs.find([tmp_path], logs.HISTORIES) == [tmp_path / "history.ndjson"]
    assert len(logs.find([tmp_path])) == 2
    log.unlink()
    with pytest.raises(LogError, match="no log of a node in this folder, but history of clients"):
        logs.find([tmp_path], logs.LOG)


def conformance(*arguments: object) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-m", "conformance", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def test_record_compares_log_with_output(tmp_path: Path) -> None:
    done = conformance("record", "-o", tmp_path, "--requests", 20, "--", *ALTERED, "liar")
    assert done.returncode == 1 and "logged" in done.stdout and "but printed" in done.stdout
    done = conformance("record", "-o", tmp_path, "--requests", 20, "--", *ALTERED, "utf8")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("*.log-pipe"))
