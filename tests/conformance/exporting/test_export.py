"""Export of runs to other tools: every record is exported, and nothing else."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import checking
from conformance.exporting import causality, counterexample, export, page, shiviz, states
from conformance.formats import logs
from conformance.formats.logs import Record
from conformance.models import manifest
from tests.support.conformance_command import conformance, not_run
from tests.support.paths import BAD, HISTORIES, NODE, OK
from tests.support.runs import PING, PONG, STRANGE, message, run

# Matching receipts with sends.


def sendings(records: list[Record]) -> list[tuple[int, int] | None]:
    found = [step.sending for step in causality.arrange(records)]
    return [each and (each.step, each.index) for each in found]


def test_resent_message_matches_the_latest_sending() -> None:
    log = run(
        ("a", "timeout", [PONG, PING]),
        ("a", "timeout", [PING]),
        ("b", PING, []),
        ("b", PING, []),
        ("b", PING, []),
    )
    assert sendings(log) == [None, None, (1, 0), (0, 1), (1, 0)]


def test_unsent_message_has_no_sending_and_blocks_nothing() -> None:
    log = run(
        ("a", PONG, []),
        ("b", message("c", "b", "init"), []),
        ("a", "timeout", [PING]),
        ("b", PING, []),
    )
    assert sorted(step.record.line for step in causality.arrange(log)) == [1, 2, 3, 4]
    assert sendings(log).count(None) == 3


def test_logs_of_nodes_are_merged_in_causal_order() -> None:
    mine = run(("a", PONG, []), ("a", "timeout", [PING]), path="a")
    other = run(("b", "timeout", [PONG]), ("b", PING, []), path="b")
    found = causality.arrange(mine + other)
    assert [(step.record.node, step.record.line) for step in found] == [
        ("b", 1),
        ("a", 1),
        ("a", 2),
        ("b", 2),
    ]
    assert [step.sending is None for step in found] == [True, False, True, False]


def test_single_log_keeps_its_order_with_unsent_messages() -> None:
    records = logs.read(OK)
    sends = next(at for at, record in enumerate(records) if record.action == "ReceivePrepare")
    lost = [*records[:sends], replace(records[sends], output=[]), *records[sends + 1 :]]
    for run_ in records, lost:
        assert [step.record for step in causality.arrange(run_)] == run_
    unsent = [
        step.record.action
        for step in causality.arrange(lost)
        if step.record.action.startswith("ReceiveP") and step.sending is None
    ]
    assert "ReceivePromise" in unsent


def test_unsent_message_leaves_other_records_in_order() -> None:
    """With a log per node, all other records keep their order."""
    parts = [replace(record, path=Path(record.node)) for record in logs.read(OK)]
    parts.sort(key=lambda record: record.node)
    whole = causality.arrange(parts)
    at = next(at for at, record in enumerate(parts) if record.action == "ReceivePrepare")
    lost = causality.arrange([*parts[:at], replace(parts[at], output=[]), *parts[at + 1 :]])
    unsent = [
        {step.record.place for step in steps if step.sending is None} for steps in (whole, lost)
    ]
    [promise] = unsent[1] - unsent[0]
    assert next(r for r in parts if r.place == promise).action == "ReceivePromise"
    assert unsent[0] < unsent[1]


def test_vector_clock_counts_events_that_happened_before() -> None:
    """Sent twice, received once: only the first send surely happened before the receipt."""
    log = run(
        ("a", "timeout", [PING]),
        ("a", "timeout", [PING]),
        ("b", PING, [PONG]),
        ("a", PONG, []),
        ("b", "crash", []),
    )
    assert causality.clocks(causality.arrange(log)) == [
        {"a": 1},
        {"a": 2},
        {"a": 1, "b": 1},
        {"a": 3, "b": 1},
        {"a": 1, "b": 2},
    ]


# ShiViz.


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the events as ShiViz parses them, by the expression in the first line."""
    parser, delimiter, log = text.split("\n", 2)
    assert delimiter == ""
    found, end = [], 0
    for event in re.finditer(parser.replace("(?<", "(?P<"), log):
        assert log[end : event.start()].strip() == "", "the expression skipped text"
        end = event.end()
        found.append({**event.groupdict(), "clock": json.loads(event["clock"])})
    assert log[end:].strip() == ""
    return found


def test_shiviz_text_has_every_event_and_its_clock() -> None:
    steps = causality.arrange(logs.read(OK))
    events = parsed(shiviz.text(steps))
    assert [event["host"] for event in events] == [step.record.node for step in steps]
    assert [event["event"].split()[0] for event in events] == [s.record.action for s in steps]
    assert {"Crash", "Restart"} <= {event["event"] for event in events}
    counted: dict[str, int] = {}
    for step, event in zip(steps, events, strict=True):
        host, clock = event["host"], event["clock"]
        counted[host] = counted.get(host, 0) + 1
        assert clock[host] == counted[host], "the clock of a host counts its events"
        if step.sending:
            sent = events[step.sending.step]["clock"]
            assert all(clock[other] >= count for other, count in sent.items())


def test_shiviz_names_are_distinct_and_without_blanks() -> None:
    names = ["a b", "a%20b", "", "%", "\ud800\n"]
    log = run(*((name, "timeout", []) for name in names))
    events = parsed(shiviz.text(causality.arrange(log)))
    assert len({event["host"] for event in events}) == len(names)


# States.


def test_states_of_an_accepted_log_are_complete() -> None:
    records = logs.read(OK)
    found = states.compute_states(records, 1)
    assert found.stopped == {}
    assert found.changes.keys() == {r.place for r in records if not r.starts}
    after = dict.fromkeys((record.node for record in records), found.fresh)
    for record in records:
        after[record.node] = states.apply_change(
            after[record.node], found.changes.get(record.place, {})
        )
    assert after["n2"]["promised"] == 2 and after["n2"]["promises"] == ["n2", "n3"]
    assert after["n1"]["decided"] == [{"slot": 1, "value": "set x=1"}]
    assert after["n2"]["waiting"][-1]["request"]["body"]["value"] == "set y=2"


def test_states_end_before_a_rejected_record() -> None:
    records = logs.read(BAD)
    found = states.compute_states(records, 1)
    assert list(found.stopped) == [f"{BAD}:11"]
    assert found.stopped[f"{BAD}:11"][0]["body"]["value"] == "set x=1"
    known = {r.line for r in records if r.node == "n2" and r.place in found.changes}
    assert max(known) < 11


# ITF.


def to_json(found: Any) -> Any:
    """Return what itf-py read as the JSON that it was made of."""
    if hasattr(found, "_fields"):
        if type(found).__name__ == "Json":
            return json.loads(found.value)
        return {name: to_json(item) for name, item in found._asdict().items()}
    if isinstance(found, dict):
        return {to_json(key): to_json(item) for key, item in found.items()}
    return [to_json(item) for item in found] if isinstance(found, list) else found


def read_itf(trace: Any) -> Any:
    itf_py = pytest.importorskip("itf_py")
    return itf_py.trace_from_json(json.loads(json.dumps(trace)))


def test_itf_trace_is_read_back_as_the_log() -> None:
    itf = pytest.importorskip("conformance.exporting.itf")
    asked = [
        message("c", "a", "multi_paxos_propose", msg_id=i, slot=i, value=value)
        for i, value in enumerate(STRANGE)
    ]
    log = run(*(("a", ask, [PING]) for ask in asked), ("a", "crash", []))
    for records in (log, logs.read(OK), logs.read(BAD)):
        found = read_itf(itf.of_run(causality.arrange(records)))
        assert found.vars == ["node", "action", "input", "output"]
        assert [state.meta["index"] for state in found.states] == list(range(len(records)))
        for state, record in zip(found.states, records, strict=True):
            values = {name: to_json(item) for name, item in state.values.items()}
            assert values == {
                "node": record.node,
                "action": record.action,
                "input": record.input,
                "output": record.output,
            }


def test_itf_trace_has_the_states_of_all_nodes() -> None:
    itf = pytest.importorskip("conformance.exporting.itf")
    records = logs.read(OK)
    found = read_itf(itf.of_run(causality.arrange(records), states.compute_states(records, 1)))
    assert found.vars[-1] == "replica"
    last = {node: to_json(state) for node, state in found.states[-1].values["replica"].items()}
    assert last.keys() == {"n1", "n2", "n3"} and last["n3"]["promised"] == 2


TRACE = """Error: The behavior up to this point is:
State 1: <Initial predicate>
/\\ network = {[src |-> "c1", body |-> [known |-> {2, 1}]], [src |-> "b", body |-> <<>>]}
/\\ votes = (0 :> {"a", "b"} @@ 3 :> {})

State 2: <Next line 518, col 8 to line 518, col 44 of module MultiPaxos>
/\\ network = {}
/\\ votes = << [ slot |-> 1 ],
   TRUE >>
"""


@pytest.mark.parametrize(
    "end, loop", [("", None), ("\nState 3: Stuttering", 1), ("\nBack to state 1: <Next line 1>", 0)]
)
def test_counterexample_text_is_parsed(end: str, loop: int | None) -> None:
    itf = pytest.importorskip("conformance.exporting.itf")
    read = counterexample.read("some", "Agreement", (TRACE + end).split("\n"))
    assert read.loop == loop and [state.action for state in read.states] == ["Initial", "Next"]
    written = itf.of_counterexample(read)
    assert ("loop" in written) == (loop is not None)
    assert written["states"][0]["votes"]["#map"][0][1] == {"#set": ["a", "b"]}
    first, second = (state.values for state in read_itf(written).states)
    assert len(first["network"]) == 2
    assert first["votes"][0] == {"a", "b"} and first["votes"][3] == set()
    assert second["network"] == frozenset() and second["votes"][1] is True


def test_counterexample_of_a_mutant_becomes_a_rejected_run() -> None:
    found = counterexample.find(manifest.get("broken-takes-half"))
    records = counterexample.records(found)
    assert found.violated == "Agreement" and len(records) == 2 + len(found.states) - 1
    stopped = states.compute_states(records, 1).stopped
    assert stopped, "the specification must reject what its mutant does"


def test_model_without_records_gives_an_itf_trace_only() -> None:
    found = counterexample.read("some", "Agreement", TRACE.split("\n"))
    with pytest.raises(counterexample.NoCounterexample, match="gives an ITF trace only"):
        counterexample.records(found)


# The command.


def test_one_command_writes_all_formats(tmp_path: Path) -> None:
    pytest.importorskip("itf_py")
    files = {name: tmp_path / "new" / f"run.{name}" for name in ("html", "itf", "shiviz")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    done = conformance("export", OK, *options, "--replica")
    assert done.returncode == 0, done.stderr
    assert all(str(path) in done.stdout and path.stat().st_size for path in files.values())
    assert len(parsed(files["shiviz"].read_text())) == len(logs.read(OK))
    assert len(json.loads(files["itf"].read_text())["states"]) == len(logs.read(OK))


def test_export_reports_wrong_arguments(tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").touch()
    (tmp_path / "other.ndjson").write_text(OK.read_text())
    out = ("--shiviz", tmp_path / "out.log")
    not_run(conformance("export", OK), "give a file to write")
    not_run(conformance("export", *out), "give the LOGs of one run, or --model")
    not_run(conformance("export", OK, "--model", "single", *out), "give the LOGs of one run, or")
    not_run(conformance("export", "no/such.ndjson", *out), "no/such.ndjson")
    not_run(conformance("export", tmp_path / "empty.ndjson", *out), "the log is empty")
    not_run(conformance("export", tmp_path / "..", "--html", tmp_path, *out), "directory")
    not_run(conformance("export", OK, tmp_path / "other.ndjson", *out), "these are two runs")
    not_run(conformance("export", "README.md", *out), "README.md:1: not a log record")
    not_run(conformance("export", "--model", "single", *out), "single holds")
    assert not (tmp_path / "out.log").exists()


# Pages of failed runs.


@pytest.mark.parametrize("verb", [["validate"], ["replay"]])
def test_failure_leaves_a_page(verb: list[str], tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    log.write_text(BAD.read_text())
    command = ["--", *NODE, "--manual-clock"] if verb == ["replay"] else []
    done = conformance(*verb, log, *command)
    page = tmp_path / "bad.html"
    assert done.returncode == 1 and f"  page: {page}" in done.stdout
    assert '"mark":["' in page.read_text()


def test_unwritable_page_does_not_hide_the_failure(tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    log.write_text(BAD.read_text())
    (tmp_path / "bad.html").mkdir()
    done = conformance("validate", log)
    assert done.returncode == 1 and "no page of this run" in done.stderr


def test_page_of_a_long_run_has_the_part_around_the_failure() -> None:
    records = run(*[("a", "timeout", [])] * (export.MOST_RECORDS + 9_000))
    mark = page.Mark(records[25_000].place, "wrong", None, [])
    found = export.make_failed_run("long", records, [mark], 1, lambda text: None)
    assert found.states is None and found.part == range(6_000, 26_000)


def test_page_without_java_has_no_states(tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    log.write_text(BAD.read_text())
    done = conformance("replay", log, "--", *NODE, "--manual-clock", JAVA="/no/such/java")
    assert done.returncode == 1 and '"fresh":null' in (tmp_path / "bad.html").read_text()


# Files that are overwritten, and files that are not.


def test_export_overwrites_only_its_own_files(tmp_path: Path) -> None:
    log, mine = tmp_path / "log.html", tmp_path / "mine.html"
    log.write_bytes(OK.read_bytes())
    mine.write_text("my own page")
    link, other = tmp_path / "link.html", tmp_path / "other.html"
    link.symlink_to(mine)
    for path, forced in (mine, ()), (link, ()), (log, ()), (log, ("--force",)):
        done = conformance("export", log, "--states", 0, "--html", path, *forced)
        not_run(done, "exists and was not made" if path != log else "is the log itself")
    assert mine.read_text() == "my own page" and log.read_bytes() == OK.read_bytes()
    # An export overwrites its own files, and replaces a link without changing its target.
    for path, forced in (other, ()), (other, ()), (link, ("--force",)):
        done = conformance("export", log, "--states", 0, "--html", path, *forced)
        assert done.returncode == 0 and path.read_text().startswith("<!doctype html>")
    assert mine.read_text() == "my own page"


@pytest.mark.parametrize("name", ["itf", "shiviz"])
def test_other_formats_overwrite_only_their_own_files(name: str, tmp_path: Path) -> None:
    if name == "itf":
        pytest.importorskip("itf_py")
    paths = {name: tmp_path / name}
    options = export.ExportOptions(
        **{"html": None, "itf": None, "shiviz": None, **paths}, states=0, replica=False
    )
    for _ in range(2):
        export.export_logs([OK], options, 1000, lambda text: None)
    paths[name].write_text("something else")
    with pytest.raises(export.ExportError, match="was not made by an export"):
        export.export_logs([OK], options, 1000, lambda text: None)


def test_page_does_not_overwrite_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.html"
    path.write_bytes(BAD.read_bytes())
    checking.show_page(path.with_suffix(".html"), logs.read(path), [], 1000)
    assert path.read_bytes() == BAD.read_bytes()
    assert "no page of this run" in capsys.readouterr().err


def test_deeply_nested_values_are_exported(tmp_path: Path) -> None:
    value: Any = 2**60
    for _ in range(240):
        value = [value]
    path = tmp_path / "deep.ndjson"
    logs.write(
        path,
        [
            {
                "node": "a",
                "input": message("c", "a", "multi_paxos_propose", msg_id=1, slot=1, value=value),
                "output": [],
                "action": "ReceiveMultiPaxosPropose",
            }
        ],
    )
    options = export.ExportOptions(tmp_path / "deep.html", None, None, 0, False)
    export.export_logs([path], options, 1000, lambda text: None)
    assert "[" * 240 in (tmp_path / "deep.html").read_text()


def test_commands_select_logs_or_histories_of_a_folder(tmp_path: Path) -> None:
    """A folder has logs and a history, and here a FIFO as well."""
    (tmp_path / "n1.ndjson").write_bytes(OK.read_bytes())
    ok = HISTORIES / "duel-ok.ndjson"
    (tmp_path / "history.ndjson").write_bytes(ok.read_bytes())
    os.mkfifo(tmp_path / "fifo.ndjson")
    checked = conformance("check-history", tmp_path)
    assert checked.returncode == 0 and "1 histories" in checked.stdout
    shown = conformance("export", tmp_path, "--states", 0, "--html", tmp_path / "run.html")
    assert shown.returncode == 0, shown.stderr
