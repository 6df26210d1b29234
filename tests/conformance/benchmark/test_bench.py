"""What the benchmark could get wrong without anybody noticing; no test here has a clock."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.benchmark import bench, load
from conformance.benchmark.bench import Comparison, Row, Unmeasurable
from conformance.benchmark.load import Link, LoadError, Process, Router
from tests.support.conformance_command import conformance
from tests.support.paths import NODE
from tests.support.processes import PATIENCE


class Pipes:
    """The pipes of a process, whose input and output a test reads and writes."""

    def __init__(self) -> None:
        self.takes, self.stdin_fd = os.pipe()
        self.stdout_fd, self.output = os.pipe()

    write, read = Process.write, Process.read

    def failure(self) -> LoadError:
        return LoadError("it ended")

    def emit(self, data: bytes) -> None:
        os.write(self.output, data)

    def taken(self) -> bytes:
        os.set_blocking(self.takes, False)
        try:
            return os.read(self.takes, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for end in (self.takes, self.stdin_fd, self.stdout_fd, self.output):
            os.close(end)


@pytest.fixture
def nodes() -> Iterator[dict[str, Pipes]]:
    made = {name: Pipes() for name in ("n1", "n2", "n3")}
    yield made
    for pipes in made.values():
        pipes.close()


@pytest.fixture
def router(nodes: dict[str, Pipes]) -> Iterator[Router]:
    made = Router([Link(name, pipes) for name, pipes in nodes.items()], nodes)
    yield made
    made.close()


def message(src: str, dest: str, number: int = 0) -> bytes:
    body = {"type": "accepted", "ballot": 1, "slot": number}
    return json.dumps({"src": src, "dest": dest, "body": body}).encode()


# The router.


def test_lines_reach_their_nodes_in_order(nodes: dict[str, Pipes], router: Router) -> None:
    lines = [message("n1", ("n2", "n3", "c1")[number % 3], number) for number in range(30)]
    nodes["n1"].emit(b"".join(line + b"\n" for line in lines))
    assert router.turn() == lines[2::3]
    nodes["n3"].emit(message("n3", "n2", 99) + b"\n")
    assert router.turn() == []
    nodes["n1"].emit(message("n1", "c1") + b"\n")
    router.turn()
    assert nodes["n2"].taken().splitlines() == [*lines[0::3], message("n3", "n2", 99)]
    assert nodes["n3"].taken().splitlines() == lines[1::3]
    assert nodes["n1"].taken() == b""


def test_line_may_arrive_in_pieces(nodes: dict[str, Pipes], router: Router) -> None:
    line, reply = message("n1", "n2"), message("n1", "c1")
    whole = line + b"\n" + reply + b"\n"
    came = []
    for at in range(0, len(whole), 7):
        nodes["n1"].emit(whole[at : at + 7])
        came += router.turn()
    assert came == [reply] and nodes["n2"].taken() == line + b"\n"


def test_pieces_of_two_nodes_are_not_mixed(nodes: dict[str, Pipes], router: Router) -> None:
    one, two = message("n1", "c1"), message("n2", "c2")
    nodes["n1"].emit(one[:20])
    nodes["n2"].emit(two[:30])
    assert router.turn() == []
    nodes["n1"].emit(one[20:] + b"\n")
    nodes["n2"].emit(two[30:] + b"\n")
    assert sorted(router.turn()) == sorted([one, two])


def test_full_pipe_loses_nothing(nodes: dict[str, Pipes], router: Router) -> None:
    lines = [message("c1", "n1", number) for number in range(5000)]
    router.send("n1", lines[:4000])
    router.send("n1", lines[4000:])
    taken = b""
    while taken.count(b"\n") < len(lines):
        # Something to wait for, so that no turn of the router waits for ever.
        nodes["n2"].emit(message("n2", "c1") + b"\n")
        router.turn()
        taken += nodes["n1"].taken()
    assert taken.splitlines() == lines


def test_node_that_ends_is_an_error(nodes: dict[str, Pipes], router: Router) -> None:
    os.close(nodes["n2"].output)
    with pytest.raises(LoadError, match="it ended"):
        router.turn()
    nodes["n2"].output = os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize(
    "line, dest",
    [
        (message("n1", "n2"), "n2"),
        (b'{"src":"n1","dest":"n2","body":{}}', "n2"),
        (b'{"dest": "n2", "src": "n1", "body": {}}', "n2"),
        (b'{"src": "n1", "dest": "\\u006e2", "body": {}}', "n2"),
        (b'{"src": "n1\\", \\"dest\\": \\"n3", "dest": "n2", "body": {}}', "n2"),
        (message("n1", "ñ"), "ñ"),
    ],
)
def test_destination_of_a_line(line: bytes, dest: str) -> None:
    assert load.destination(line, b'{"src": "n1", "dest": "') == dest.encode()


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b'{"dest": 1}', b'{"src": "n1"}'])
def test_line_without_destination_is_an_error(line: bytes) -> None:
    with pytest.raises(LoadError, match="not a message"):
        load.destination(line, b'{"src": "n1", "dest": "')


# Replies.

REQUESTS = load.proposals("n1", range(3))


def reply(number: int, **changes: object) -> bytes:
    body = {
        "type": "multi_paxos_propose_ok",
        "in_reply_to": number,
        "slot": number,
        "phase1_skipped": True,
        "chosen": True,
        "value": f"set x={number}",
    }
    return json.dumps({"src": "n1", "dest": "c1", "body": body | changes}).encode()


def test_replies_may_come_in_any_order() -> None:
    load.check_chosen([reply(2), reply(0), reply(1)], REQUESTS)


@pytest.mark.parametrize(
    "wrong",
    [
        reply(2, value="set x=1"),
        reply(2, chosen=False),
        reply(2, chosen=1),
        reply(2, slot=3),
        reply(2, type="error", code=11),
        reply(1),
        reply(7),
        reply(2, in_reply_to=None),
        reply(2, in_reply_to=[]),
        b"{",
        b"[]",
        b'{"body": 1}',
    ],
)
def test_wrong_reply_is_an_error(wrong: bytes) -> None:
    with pytest.raises(LoadError):
        load.check_chosen([reply(0), reply(1), wrong], REQUESTS)


def test_missing_reply_is_an_error() -> None:
    with pytest.raises(LoadError, match="1 proposals were not answered"):
        load.check_chosen([reply(0), reply(1)], REQUESTS)


def test_loop_must_repeat_its_lines() -> None:
    load.check_repeated(REQUESTS, REQUESTS)
    with pytest.raises(LoadError):
        load.check_repeated(REQUESTS[::-1], REQUESTS)


# Processes.

ECHO = [sys.executable, "-c", "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"]


def test_every_line_is_sent_and_answered() -> None:
    lines = [b"%d" % number for number in range(20_000)]
    process = Process(ECHO, PATIENCE)
    router = Router([Link("n1", process)])
    try:
        assert load.one_at_a_time(process, lines[:5])[1] == lines[:5]
        assert load.pipelined(router, "n1", lines, 32)[1] == lines
        assert load.pipelined(router, "n1", lines, len(lines))[1] == lines
        process.end()
    finally:
        router.close()
        process.close()


@pytest.mark.parametrize(
    "program, expected",
    [
        ("raise SystemExit('out of order')", "status 1\n  out of order"),
        ("import time; time.sleep(60)", "did not finish within 0.5 s"),
    ],
)
def test_process_that_does_not_answer_is_an_error(program: str, expected: str) -> None:
    process = Process([sys.executable, "-c", program], 0.5 if "sleep" in program else PATIENCE)
    try:
        with pytest.raises(LoadError) as error:
            process.line()
        assert expected in str(error.value)
    finally:
        process.close()


# Bursts.


def test_longest_wait_is_that_of_the_slowest_reply() -> None:
    times = load.Times()
    times.sent, times.received = [1.0, 1.0, 2.0], [3.0, 4.5, 5.0]
    # The second request was answered last.
    assert times.longest([reply(1), reply(3), reply(2)], first=1) == 4.0


def test_larger_bursts_than_the_largest_are_not_sent() -> None:
    often, once = bench.bursts(NODE, 200_000)
    assert list(often.runs) == [f"{size} outstanding" for size in ("1", "32", "1,000", "20,000")]
    assert list(once.runs) == ["200,000 outstanding", "32 outstanding"]
    assert (often.repetitions(7), once.repetitions(7)) == (7, 1)
    assert [list(each.runs) for each in bench.bursts(NODE, 32)] == [
        ["1 outstanding", "32 outstanding"]
    ]


# Ratios.


def comparison(order: list[str], rows: list[Row], **figures: list[float]) -> Comparison:
    def run(name: str, _: Path) -> float:
        order.append(name)
        if not figures[name]:
            raise Unmeasurable("there is none")
        return figures[name].pop(0)

    runs = {name: (lambda folder, name=name: run(name, folder)) for name in figures}
    return Comparison("a comparison", runs, rows)


def test_ratio_is_the_median_of_pairs(tmp_path: Path) -> None:
    order: list[str] = []
    row = Row("ours", "theirs", 2)
    measured = comparison(order, [row], ours=[10.0, 40.0, 90.0], theirs=[10.0, 10.0, 90.0])
    measured.measure(3, tmp_path)
    assert order == ["ours", "theirs"] * 3
    # The ratio of the medians would be 4.
    assert measured.ratios(row) == [1.0, 4.0, 1.0]
    expected = ("ours", 40, "theirs", 10, "1.00", "1.00", "4.00", "at least 2", "no")
    assert bench._cells(measured, row) == expected


def test_missing_answers_are_reported_and_not_retried(tmp_path: Path) -> None:
    order: list[str] = []
    row = Row("ours", "theirs", 1, above=True)
    measured = comparison(order, [row], ours=[8.0, 9.0], theirs=[])
    measured.measure(2, tmp_path)
    assert order == ["ours", "theirs", "ours"]
    expected = ("ours", 8, "theirs", "not measured", "", "", "", "above 1", "")
    assert bench._cells(measured, row) == expected


@pytest.mark.parametrize("figures, times", [([1.0], 1), ([], 0)])
def test_pysyncobj_is_shown_with_what_it_does_not_persist(
    figures: list[float], times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row(bench.NODE, bench.PYSYNCOBJ)]
    measured = comparison([], rows, **{bench.NODE: [2.0], bench.PYSYNCOBJ: figures})
    measured.measure(1, tmp_path)
    bench.show([measured], 1)
    assert " ".join(capsys.readouterr().out.split()).count(bench.PYSYNCOBJ_NOTE) == times


def test_measured_figure_must_not_go_missing(tmp_path: Path) -> None:
    left = [1.0]

    def run(_: Path) -> float:
        if not left:
            raise Unmeasurable("it does not start")
        return left.pop()

    with pytest.raises(LoadError, match="it failed after it had succeeded: it does not start"):
        Comparison("a comparison", {"ours": run}, []).measure(2, tmp_path)


@pytest.mark.parametrize(
    "row, ratio, reached",
    [
        (Row("a", "b", 2), 2.0, "yes"),
        (Row("a", "b", 2), 1.99, "no"),
        (Row("a", "b"), 9.0, ""),
        (Row("a", "b", 1, above=True), 1.0, "no"),
        (Row("a", "b", 1, above=True), 1.01, "yes"),
    ],
)
def test_target_is_reached_or_not(row: Row, ratio: float, reached: str) -> None:
    assert row.reached(ratio) == reached


def test_run_that_fails_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> float:
        (folder / "something").touch()
        raise LoadError("it lost a line")

    with pytest.raises(LoadError, match="a comparison, ours: it lost a line"):
        Comparison("a comparison", {"ours": fails}, []).measure(1, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rows_refer_to_existing_runs() -> None:
    for measured in bench.comparisons(NODE, 100, True) + bench.bursts(NODE, 200_000):
        assert {
            name for row in measured.rows for name in (row.ours, row.theirs)
        } == measured.runs.keys()


def test_missing_pysyncobj_error_names_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LoadError, match="make bench"):
        bench.bench(NODE, tmp_path, 1, 10, True, 1)


# The verb.


def run(tmp_path: Path, *node: str) -> tuple[int, str, str]:
    done = conformance(
        "bench",
        "--without-pysyncobj",
        "--repetitions",
        1,
        "--requests",
        50,
        "--largest-burst",
        1,
        "--without-long-logs",
        "-o",
        tmp_path,
        "--",
        *node,
    )
    assert list(tmp_path.iterdir()) == []
    return done.returncode, done.stdout, done.stderr


def test_small_benchmark_has_figures(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, *NODE)
    assert status == 0, err
    assert "three processes, 32 outstanding: median of 1" in out
    assert "1 outstanding: longest wait for an answer" in out
    assert "PySyncObj, in memory: not measured: --without-pysyncobj was given" in out
    shown = [line for line in out.splitlines() if "node, in memory" in line]
    assert len(shown) == 6 and "not measured" not in shown[0]


LIAR = """
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    b = m["body"]
    reply = {"type": "init_ok"} if b["type"] == "init" else {
        "type": "multi_paxos_propose_ok", "slot": b["slot"], "phase1_skipped": True,
        "chosen": b["slot"] != 7, "value": b["value"]}
    reply["in_reply_to"] = b["msg_id"]
    print(json.dumps({"src": m["dest"], "dest": m["src"], "body": reply}), flush=True)
"""


def test_node_with_wrong_reply_has_no_figure(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, sys.executable, "-c", LIAR)
    assert (status, out) == (2, "")
    assert "single node, streamed, node, in memory: a proposal was answered by" in err
