"""A log that fails becomes as small as is known beforehand, and fails in the same way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from multipaxos.message_log import Log
from multipaxos.node import Node

from conformance import shrink
from conformance.formats import logs
from conformance.validation import trace_validation
from tests.support.conformance_command import conformance, not_run
from tests.support.node_process import init, request
from tests.support.paths import BAD, BROKEN_NODE, MANUAL_NODE, OK, ROOT
from tests.support.processes import PATIENCE, wait_until

BROKEN = BROKEN_NODE

Json = dict


def peer(src: str, dest: str, kind: str, **fields: object) -> str:
    return json.dumps({"src": src, "dest": dest, "body": {"type": kind, **fields}}) + "\n"


def lived(path: Path, *lines: str) -> list[Json]:
    """The log of a node that takes these lines."""
    with path.open("wb") as file:
        Node(log=Log("", file)).turn([line.encode() for line in lines])
    return logs.read_json(path)


def rejected(*paths: Path) -> list[tuple[int, str, object]]:
    """Return where and why each of these logs is rejected."""
    verdicts = trace_validation.validate_logs([*map(logs.read, paths)], 1000)
    every = [min(each.rejections, key=lambda found: found.record.line) for each in verdicts]
    return [(each.record.line, re.sub(r"\d+", "#", each.reason), each.allowed) for each in every]


def shrunk(path: Path, records: list[Json]) -> list[Json]:
    """What is left of a log that is rejected, and rejected in the same way."""
    logs.write(path, records)
    found = shrink.shrink_log(path, 1000)
    assert found.before == len(records)
    smaller = path.with_name("smaller.ndjson")
    logs.write(smaller, found.records)
    (line, *how), (_, *before) = rejected(smaller, path)
    assert line == len(found.records) and how == before
    return found.records


def proposals(slots: Iterable[int]) -> list[str]:
    return [request(slot + 10, "multi_paxos_propose", slot=slot, value=slot) for slot in slots]


def test_shrunk_log_has_only_what_the_bad_record_needs(tmp_path: Path) -> None:
    again = request(99, "multi_paxos_propose", slot=3, value="late")
    records = lived(
        tmp_path / "n1",
        init(),
        *proposals(range(6)),
        '"crash"',
        '"restart"',
        *proposals(range(6, 9)),
        again,
        *proposals(range(9, 12)),
    )
    bad = next(at for at, each in enumerate(records) if "late" in str(each["input"]))
    assert records[bad]["output"][0]["body"]["value"] == 3
    records[bad]["output"][0]["body"]["value"] = "late"
    left = shrunk(tmp_path / "bad.ndjson", records)
    # The answer for slot 3 shows that it was not the first one.
    assert [each["input"] for each in left] == [records[at]["input"] for at in (0, 1, 4, bad)]
    assert [each["output"][0]["body"]["msg_id"] for each in left] == [0, 1, 2, 3]


def test_wrong_msg_id_is_kept_wrong(tmp_path: Path) -> None:
    records = lived(tmp_path / "n1", init(), *proposals(range(6)))
    records[4]["output"][0]["body"]["msg_id"] += 2
    left = shrunk(tmp_path / "bad.ndjson", records)
    # Without the first proposal, which waits for a Phase 1, something else would be wrong as well.
    assert [each["output"][0]["body"]["msg_id"] for each in left] == [0, 1, 4]


def test_shrunk_unsent_message_needs_its_sender_alone(tmp_path: Path) -> None:
    ours = lived(
        tmp_path / "n1",
        init("n1", "n2"),
        '"timeout"',
        peer("n2", "n1", "learn", known=[]),
        *proposals(range(2)),
        peer("n2", "n1", "learn", known=[[7, 7]]),
        '"timeout"',
    )
    theirs = lived(
        tmp_path / "n2",
        init("n1", "n2", node="n2"),
        '"inquire"',
        '"timeout"',
        peer("n1", "n2", "prepare", ballot=1, known=[]),
    )
    left = shrunk(tmp_path / "bad.ndjson", [*theirs, *ours])
    assert [each["node"] for each in left].count("n2") == 1
    assert [each for each in left if each["node"] == "n1"] == [ours[0], ours[5]]


@pytest.mark.usefixtures("no_pages")
def test_difference_of_a_node_is_shown_in_its_own_log(tmp_path: Path) -> None:
    noise = [peer("n1", "n3", "learn", known=[[slot, slot]]) for slot in range(8)]
    accept = peer("n1", "n3", "accept", ballot=1, slot=4, value="x")
    path, smaller = tmp_path / "right.ndjson", tmp_path / "smaller.ndjson"
    lived(
        path,
        init("n1", "n2", "n3", node="n3"),
        *noise,
        peer("n2", "n3", "decided", slot=1, value=1),
        peer("n2", "n3", "prepare", ballot=2, known=[]),
        *noise,
        accept,
        *noise,
    )
    node = [*BROKEN, "vote-below-promise", "--manual-clock"]
    done = conformance("shrink", path, "-o", smaller, "--", *node)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 records of 28" in done.stdout and "expected: " in done.stdout
    kinds = [each["input"]["body"]["type"] for each in logs.read_json(smaller)]
    assert kinds == ["init", "prepare", "accept"]
    assert conformance("validate", smaller).returncode == 1
    not_run(conformance("shrink", path, "-o", smaller, "--", *MANUAL_NODE), "nothing to shrink")


@pytest.mark.usefixtures("no_pages")
def test_shrink_writes_a_fixture(tmp_path: Path) -> None:
    smaller = tmp_path / "smaller.ndjson"
    done = conformance("shrink", BAD, "-o", smaller)
    assert done.returncode == 0 and f"{smaller}:3: node n2" in done.stdout
    assert "3 records of 18" in done.stdout
    assert conformance("validate", smaller).returncode == 1


def test_accepted_log_is_not_shrunk(tmp_path: Path) -> None:
    not_run(conformance("shrink", OK, "-o", tmp_path / "none"), "accepted", "nothing to shrink")
    assert not (tmp_path / "none").exists()


def test_replies_are_numbered_anew_and_back(tmp_path: Path) -> None:
    records = lived(
        tmp_path / "n1",
        init(),
        *proposals(range(3)),
        '"crash"',
        '"restart"',
        *proposals(range(3, 5)),
    )
    off = shrink._renumbered(records, -1)
    assert {m["body"]["msg_id"] for each in off for m in each["output"]} == {0}
    assert shrink._renumbered(off, +1) == records


def long_log(tmp_path: Path) -> tuple[Path, list[Json]]:
    """A log whose record for slot 30 is wrong, with more of the same slot before it."""
    again = request(99, "multi_paxos_propose", slot=30, value="late")
    records = lived(tmp_path / "n1", init(), *proposals([30, *range(30), *range(31, 60)]), again)
    records[-1]["output"][0]["body"]["value"] = "late"
    path = tmp_path / "bad.ndjson"
    logs.write(path, records)
    return path, records


def test_likely_cut_is_tried_first(tmp_path: Path) -> None:
    path, _ = long_log(tmp_path)
    sizes: list[int] = []
    checked = []

    def checker(clusters: list, batch: int) -> list:
        checked.append(sum(map(len, clusters)))
        return trace_validation.validate_logs(clusters, batch)

    effort = shrink.Effort(on_smaller=lambda left: sizes.append(len(left)))
    found = shrink.shrink_log(path, 1000, checker, effort)
    assert found.smallest and sizes[0] == 62 and sizes[1] <= 5
    assert sum(checked) < 20 * 62


def test_timeout_keeps_the_smallest_log_so_far(tmp_path: Path) -> None:
    path, records = long_log(tmp_path)
    smaller = tmp_path / "smaller.ndjson"
    done = conformance("shrink", path, "-o", smaller, "--seconds", 0.001)
    assert done.returncode == 0 and "62 records of 62; more may go" in done.stdout
    assert logs.read_json(smaller) == records


def test_interrupt_keeps_the_smallest_log_so_far(tmp_path: Path) -> None:
    path, records = long_log(tmp_path)
    smaller = tmp_path / "smaller.ndjson"
    command = [sys.executable, "-m", "conformance", "shrink", str(path), "-o", str(smaller)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        wait_until(smaller.exists)
        run.terminate()
        assert run.wait(PATIENCE) == 2 and "interrupted" in run.stderr.read()
    assert 2 < len(logs.read_json(smaller)) <= len(records)
    not_run(conformance("shrink", smaller, "-o", smaller), "-o must name another file")
