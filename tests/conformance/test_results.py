"""Results as JSON and JUnit files: their formats, strange texts, and interrupts."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from conformance.formats.schema import check_results
from conformance.results import Case, Results, case, written
from tests.support.conformance_command import conformance, copied, not_run
from tests.support.paths import BAD, HISTORIES, MANUAL_NODE, NODE, OK, ROOT
from tests.support.processes import PATIENCE, wait_until

STRANGE = 'n\x00\x1b[2J\ud800\ufffe<&">\u202e::error::\n##[group]'


def read(folder: Path) -> tuple[Any, dict[str, list[Any]]]:
    """The JSON results, and the kind of result of each JUnit test case."""
    results = json.loads((folder / "r.json").read_text("utf-8"))
    check_results(results)
    xml = JUnitXml.fromfile(str(folder / "r.xml"))
    kinds = {test.name: [type(each) for each in test.result] for suite in xml for test in suite}
    return results, kinds


def files(folder: Path) -> list[str]:
    return ["--json", str(folder / "r.json"), "--junit", str(folder / "r.xml")]


def test_each_status_is_written(tmp_path: Path) -> None:
    with written("verb", tmp_path / "r.json", tmp_path / "r.xml") as results:
        results.add(case("a", "one", True, "unused"), case("b", "two", False, "wrong\nthere"))
        results.add(case("a", "three", None, "too little"), Case("a", "four", "skipped"))
        results.add(Case("a", "five", "fail", reason="advice", required=False))
    found, kinds = read(tmp_path)
    assert found["status"] == "fail" and [each["status"] for each in found["cases"]] == [
        *("pass", "fail", "unknown", "skipped", "fail")
    ]
    expected = {"one": [], "two": [Failure], "three": [Error], "four": [Skipped], "five": [Skipped]}
    assert kinds == expected


@pytest.mark.parametrize(
    "statuses, status",
    [
        ([], "unknown"),
        (["skipped"], "unknown"),
        (["pass", "skipped"], "pass"),
        (["pass", "unknown"], "unknown"),
        (["unknown", "fail", "pass"], "fail"),
    ],
)
def test_worst_status_decides(statuses: list[Any], status: str) -> None:
    assert Results("verb", [Case("s", "n", each) for each in statuses]).status == status


def test_control_characters_are_written(tmp_path: Path) -> None:
    with written("verb", tmp_path / "r.json", tmp_path / "r.xml") as results:
        results.add(case(STRANGE, STRANGE, False, STRANGE))
    found, kinds = read(tmp_path)
    assert found["cases"][0]["name"] == STRANGE and list(kinds.values()) == [[Failure]]


def test_error_is_written_as_unknown(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        written("verb", tmp_path / "r.json", tmp_path / "r.xml") as results,
    ):
        results.add(case("s", "n", True))
        raise ZeroDivisionError("1/0")
    found, kinds = read(tmp_path)
    assert found["status"] == "unknown" and kinds == {"n": [], "the run": [Error]}
    assert found["cases"][1]["reason"] == "ended by ZeroDivisionError: 1/0"


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "r.json")
    with written("verb", tmp_path / "link.json", None) as results:
        begun = json.loads((tmp_path / "r.json").read_text("utf-8"))
        assert begun["status"] == "unknown" and begun["cases"][0]["reason"] == "it did not end"
        results.add(case("s", "n", True))
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["status"] == "pass"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "r.json"]


def test_unwritable_path_is_an_error_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in ("--json", "--junit"):
        done = conformance("validate", "no/such/log", option, tmp_path / "file" / "r.json")
        not_run(done, "file")
        assert "no/such/log" not in done.stderr


@pytest.mark.parametrize("option", ["--json", "--junit"])
def test_results_do_not_overwrite_a_log(tmp_path: Path, option: str) -> None:
    """Nor a later file of a log, which begins with a whole record."""
    log, later = tmp_path / "n.ndjson", tmp_path / f"n.ndjson.{OK.stat().st_size:020}"
    history = tmp_path / "history.ndjson"
    shutil.copy(OK, log)
    shutil.copy(OK, later)
    shutil.copy(HISTORIES / "duel-ok.ndjson", history)
    for path, kind in (log, "log of a node"), (later, "log of a node"), (history, "history"):
        before = path.read_bytes()
        not_run(conformance("validate", log, option, path), f"{path.name} is a {kind}")
        assert path.read_bytes() == before


VERBS = [
    (["check-history", HISTORIES / "duel-ok.ndjson"], 0, 1),
    (["check-history", HISTORIES / "duel-bad.ndjson"], 1, 1),
    (["validate", OK], 0, 3),
    (["models", "single"], 0, 1),
    (["trace-coverage", OK, "--at-least", "100"], 1, 4),
    (["replay", OK, "--", *MANUAL_NODE], 0, 1),
]


@pytest.mark.parametrize("arguments, status, cases", VERBS, ids=lambda of: str(of)[:30])
def test_verbs_write_results(arguments: list[Any], status: int, cases: int, tmp_path: Path) -> None:
    verb, *rest = arguments
    done = conformance(verb, *files(tmp_path), "--quiet", *rest)
    assert done.returncode == status, done.stderr
    found, kinds = read(tmp_path)
    assert found["command"] == verb and len(found["cases"]) == len(kinds) == cases
    assert found["status"] == ("fail" if status else "pass")
    assert done.stdout.splitlines()[-1].startswith("FAIL: " if status else "PASS: ")


@pytest.mark.usefixtures("no_pages")
def test_failing_trace_has_its_reason(tmp_path: Path) -> None:
    bad = copied(BAD, tmp_path)
    done = conformance("replay", bad, *files(tmp_path), "--verbose", "--", *MANUAL_NODE)
    assert done.returncode == 1 and "FAIL     replay: " in done.stdout
    found, _ = read(tmp_path)
    assert "differs here" in found["cases"][0]["reason"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_interrupted_grade_leaves_both_files(number: signal.Signals, tmp_path: Path) -> None:
    """The first stage ends, and the second one is interrupted."""
    shutil.copytree(OK.parent, tmp_path / "golden", ignore=lambda *_: ["histories"])
    slow = f"case $* in *manual*) touch {tmp_path}/begun; sleep 60;; esac; exec {shlex.join(NODE)}"
    node = ["sh", "-c", slow + ' "$@"', "sh"]
    stages = ["--stage", "challenge", "--stage", "replay", "--golden", str(tmp_path / "golden")]
    command = [sys.executable, "-m", "conformance", "grade", "-o", str(tmp_path / "out"), *stages]
    command += [*files(tmp_path), "--case", "init is*", "--case", "takeover*", "--case", "golden/*"]
    command += ["--timeout-seconds", str(PATIENCE)]
    with subprocess.Popen([*command, "--", *node], cwd=ROOT, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: (tmp_path / "begun").exists())
        run.send_signal(number)
        assert run.wait(PATIENCE) == 2
    found, kinds = read(tmp_path)
    assert found["status"] == "unknown" and kinds["the run"] == [Error]
    assert found["cases"][-1]["reason"] == f"ended by {number.name}"
    assert kinds["init is answered, by the first reply"] == []
    assert found["stages"][0]["passed"] == 2
    assert json.loads((tmp_path / "out" / "grade.json").read_text("utf-8")) == found
