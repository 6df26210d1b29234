"""The harness's command line: statuses 0, 1 and 2, help with an example, never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import multipaxos
import pytest
from click.testing import CliRunner

from conformance import __main__ as cli
from conformance.cli.group import GROUPS, summary
from conformance.jobs import cores
from conformance.running import record
from tests.support.conformance_command import (
    conformance,
    conformance_process,
    copied,
    not_run,
)
from tests.support.paths import BAD, BROKEN_NODE, HISTORIES, MANUAL_NODE, NODE, OK, ROOT
from tests.support.processes import PATIENCE, exists, wait_until

VERBS = [
    *("models", "prove", "coverage", "simulate", "distributed", "generate", "replay", "record"),
    *(
        "validate",
        "trace-coverage",
        "explore",
        "check-history",
        "export",
        "inject",
        "check",
        "grade",
        "bench",
    ),
    *("shrink", "mutate-traces"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_with_examples(verb: str) -> None:
    done = CliRunner().invoke(cli.main, [verb, "--help"])
    assert done.exit_code == 0
    _, heading, examples = re.split(r"(Examples?):\n", done.stdout)
    lines = [line.split() for line in examples.splitlines()]
    assert all(line[:4] == ["python", "-m", "conformance", verb] for line in lines)
    assert heading == ("Examples" if len(lines) > 1 else "Example")


def test_help_lists_each_verb_with_a_whole_summary() -> None:
    listed = conformance_process("--help", COLUMNS="80").stdout
    grouped = [verb for verbs in GROUPS.values() for verb in verbs]
    assert sorted(grouped) == sorted(VERBS) == sorted(cli.main.commands)
    for verb in VERBS:
        [line] = [line for line in listed.splitlines() if line.split()[:1] == [verb]]
        assert line.endswith(".") and not line.endswith("..")
        assert line.split(maxsplit=1)[1] == summary(cli.main.commands[verb])
    places = [listed.index(f"\n  {verb} ") for verb in grouped]
    assert places == sorted(places)


def test_version_is_that_of_the_project() -> None:
    done = conformance_process("--version")
    assert done.returncode == 0 and done.stdout.split()[-1] == multipaxos.__version__


def test_shell_completion_lists_verbs() -> None:
    program = "from conformance.__main__ import main; main(prog_name='multipaxos-conformance')"
    environment = {
        **os.environ,
        "_MULTIPAXOS_CONFORMANCE_COMPLETE": "bash_complete",
        "COMP_WORDS": "multipaxos-conformance tr",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.stdout == "plain,trace-coverage\n"


# Pass, fail.


def test_replay_passes() -> None:
    done = conformance_process("replay", OK, "--", *MANUAL_NODE)
    assert done.returncode == 0 and "1 traces" in done.stdout and "0 traces differ" in done.stdout


@pytest.mark.usefixtures("no_pages")
def test_replay_in_process_gives_the_same_verdict(tmp_path: Path) -> None:
    within = ("--in-process", "tests.support.in_process:node")
    done = conformance("replay", OK, *within)
    assert done.returncode == 0 and "0 traces differ" in done.stdout
    bad = copied(BAD, tmp_path)
    done = conformance("replay", bad, *within)
    assert done.returncode == 1 and f"{bad}:{bad_line()}: node" in done.stdout


@pytest.mark.usefixtures("no_pages")
def test_replay_shows_the_first_record_that_differs(tmp_path: Path) -> None:
    bad = copied(BAD, tmp_path)
    done = conformance("replay", bad, "--", *MANUAL_NODE)
    assert done.returncode == 1
    assert f"{bad}:{bad_line()}: node" in done.stdout
    assert "expected: " in done.stdout and "found: " in done.stdout


def test_validate_passes() -> None:
    done = conformance_process("validate", OK)
    assert done.returncode == 0 and "0 logs rejected" in done.stdout


@pytest.mark.usefixtures("no_pages")
def test_validate_shows_the_rejected_record_and_what_was_allowed(tmp_path: Path) -> None:
    bad = copied(BAD, tmp_path)
    done = conformance("validate", bad)
    assert done.returncode == 1
    assert f"{bad}:{bad_line()}: node" in done.stdout
    assert "expected: " in done.stdout and "found: " in done.stdout
    verdict, pace = done.stdout.rsplit("; ", 1)
    assert verdict.endswith("18 records checked, 1 logs rejected") and "records a second" in pace
    for how in ["--whole"], ["--window", 4]:
        again = conformance("validate", bad, *how)
        assert (again.returncode, again.stdout.rsplit("; ", 1)[0]) == (1, verdict)


def test_trace_coverage_names_uncovered_branches() -> None:
    done = conformance_process("trace-coverage", OK)
    assert done.returncode == 0, "coverage is a figure and not a verdict"
    assert "ReceiveMultiPaxosPropose" in done.stdout and "MultiPaxos" in done.stdout
    assert (
        "spec/MultiPaxos.tla:" in done.stderr
        and "uncovered branch of ReceiveLearned" in done.stderr
    )


@pytest.mark.parametrize("percent, status", [(10, 0), (100, 1)])
def test_trace_coverage_compares_with_a_threshold(percent: int, status: int) -> None:
    done = conformance("trace-coverage", OK, "--at-least", percent)
    assert done.returncode == status
    assert ("of the branches are covered, and not 100 %" in done.stderr) == bool(status)


def test_explore_passes(tmp_path: Path) -> None:
    done = conformance_process("explore", "single", "-o", tmp_path, "--runs", 3, "--seed", 5)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "single" in done.stdout and "all" in done.stdout


def test_explore_shows_the_difference_and_a_command_that_repeats_it(tmp_path: Path) -> None:
    broken = [*BROKEN_NODE, "loser-answered-with-own-value"]
    done = conformance("explore", "single", "-o", tmp_path, "--runs", 9, "--seed", 5, "--", *broken)
    assert done.returncode == 1
    assert f"{tmp_path / 'single'}/run-" in done.stdout and "expected: " in done.stdout
    assert "explore single -o again --runs" in " ".join(done.stderr.split())


def test_check_history_passes() -> None:
    done = conformance_process("check-history", "--quiescent", HISTORIES / "duel-ok.ndjson")
    assert done.returncode == 0 and "0 findings" in done.stdout


def test_check_history_shows_the_entry_and_its_contradiction() -> None:
    bad = HISTORIES / "duel-bad.ndjson"
    done = conformance("check-history", bad)
    assert done.returncode == 1 and "1 findings" in done.stdout
    assert f"{bad}:4: slot 1 holds" in done.stdout
    assert "line 3, answer: " in done.stdout and "line 4, answer: " in done.stdout


def bad_line() -> int:
    """Return the line where the two fixtures differ."""
    pairs = zip(OK.read_text().splitlines(), BAD.read_text().splitlines(), strict=True)
    [line] = [number for number, (ok, bad) in enumerate(pairs, 1) if ok != bad]
    return line


def test_recorded_log_is_accepted(tmp_path: Path) -> None:
    done = conformance_process("record", "-o", tmp_path, "--requests", 10, "--seed", 3, "--", *NODE)
    assert done.returncode == 0 and "seed-3.ndjson" in done.stdout
    assert conformance("validate", tmp_path).returncode == 0


def test_inject_writes_a_history_and_logs(tmp_path: Path) -> None:
    done = conformance_process("inject", "-o", tmp_path, "--kills", 2, "--records", 0, "--seed", 5)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills" in done.stdout and "records not validated" in done.stdout
    assert conformance("check-history", "--quiescent", tmp_path / "history.ndjson").returncode == 0
    # Its logs are those of one cluster; its history is not a log.
    validated = conformance("validate", tmp_path)
    assert validated.returncode == 0 and "1 logs, " in validated.stdout
    not_run(conformance("validate", tmp_path / "history.ndjson"), "for the verb check-history")
    not_run(conformance("inject", "-o", tmp_path), "there are logs in it already")


def test_run_with_too_few_events_exits_with_2(tmp_path: Path) -> None:
    done = conformance("inject", "-o", tmp_path, "--seconds", 0.1, "--records", 0)
    not_run(done, "too little happened to decide", "at least 10 acknowledged", "at least 3 kills")
    recorded = record.Recorded(tmp_path)
    assert recorded.missing(200) == "0 of at least 20 requests answered"
    recorded.happened["answered"] = 20
    assert recorded.missing(200) == ""


def test_models_compares_with_the_manifest(tmp_path: Path) -> None:
    done = conformance_process("models", "single", "sometimes-inherits")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "single" in done.stdout and "sometimes-inherits" in done.stdout


def test_violated_model_gives_no_traces(tmp_path: Path) -> None:
    done = conformance_process("generate", "broken-takes-half", "-o", tmp_path)
    assert done.returncode == 1 and "Agreement is violated" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_random_runs_are_replayed(tmp_path: Path) -> None:
    walk = ("--simulate", 2, "--depth", 30, "--seed", 4)
    done = conformance("generate", "wide", "-o", tmp_path, *walk)
    assert done.returncode == 0 and len(list(tmp_path.glob("*.ndjson"))) == 2
    assert conformance("replay", tmp_path, "--", *MANUAL_NODE, "--batch", 1).returncode == 0


# Exit with 2.


def test_missing_command_is_an_error() -> None:
    not_run(conformance("replay", OK, "--", "no-such-node"), "no-such-node", "no such command")
    for verb in ("record", "inject"):
        not_run(conformance(verb, "-o", "out/none", "--", "no-such-node"), "no such command")


def test_replay_without_command_is_an_error() -> None:
    not_run(conformance("replay", OK), "give it after --")


@pytest.mark.parametrize("missing", ["JAVA", "TLA2TOOLS_JAR"])
def test_missing_tools_are_reported(missing: str) -> None:
    not_run(conformance("validate", OK, **{missing: "/no/such/thing"}), missing, "unset it")


def test_wrong_jar_is_reported(tmp_path: Path) -> None:
    jar = tmp_path / "tla2tools.jar"
    jar.write_text("no jar")
    not_run(conformance("validate", OK, TLA2TOOLS_JAR=str(jar)), "gave no verdict")


def test_unknown_model_gets_a_suggestion() -> None:
    done = conformance("generate", "retuns", "-o", "out/none")
    not_run(done, "no model 'retuns'; did you mean returns")
    assert len(done.stderr.splitlines()) <= 2 and len(done.stderr) < 400


def test_model_too_big_to_search_is_an_error() -> None:
    not_run(conformance("models", "wide"), "too big to search")
    not_run(conformance("generate", "wide", "-o", "out/none"), "too big to search")


def test_generate_does_not_add_to_other_logs(tmp_path: Path) -> None:
    (tmp_path / "old.ndjson").touch()
    not_run(conformance("generate", "single", "-o", tmp_path), "there are logs in it already")


def test_missing_log_is_an_error() -> None:
    not_run(conformance("validate", "no/such.ndjson"), "no/such.ndjson")


def test_log_instead_of_history_is_an_error() -> None:
    not_run(conformance("check-history", OK), f"{OK}:1: not a history entry")


def test_empty_log_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    not_run(conformance("validate", empty), "the log is empty")
    not_run(conformance("replay", empty, "--", *MANUAL_NODE), "the log is empty")
    not_run(conformance("check-history", empty), "the history is empty")


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    not_run(conformance("validate", tmp_path), "no *.ndjson file")
    not_run(conformance("replay", tmp_path, "--", *MANUAL_NODE), "no *.ndjson file")


def test_log_without_expected_output_is_an_error(tmp_path: Path) -> None:
    """A node without any output would pass."""
    silent = tmp_path / "silent.ndjson"
    record = {"node": "n1", "input": "timeout", "output": [], "action": "Timeout"}
    silent.write_text(json.dumps(record) + "\n")
    not_run(conformance("replay", silent, "--", *MANUAL_NODE), "node n1 has no expected output")


def test_wrong_in_process_node_is_an_error() -> None:
    for name in (
        "no_such_module:node",
        "tests.support.in_process:absent",
        "tests.support.in_process",
        "json:",
    ):
        not_run(conformance("replay", OK, "--in-process", name), "MODULE:FUNCTION")
    both = conformance(
        "replay", OK, "--in-process", "tests.support.in_process:node", "--", *MANUAL_NODE
    )
    not_run(both, "two nodes; give one")


def test_results_of_another_node_are_not_pinned() -> None:
    not_run(conformance("check", "--pin", "--", *NODE), "this project's own node")


@pytest.mark.parametrize(
    "line, word",
    [
        ("{", "not a log record"),
        ("[" * 100_000, "not a log record"),
        ("null", "not a log record"),
        (json.dumps({"node": "n1", "input": "timeout"}), "output"),
        (json.dumps({"node": "n1", "input": "tick", "output": []}), "tick"),
    ],
)
def test_malformed_record_is_reported_with_its_line(line: str, word: str, tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    first = OK.read_text().splitlines()[0]
    log.write_text(f"{first}\n{line}\n")
    for verb in (["validate", log], ["replay", log, "--", *MANUAL_NODE]):
        not_run(conformance(*verb), f"{log}:2", word)


@pytest.mark.usefixtures("no_pages")
def test_exit_of_a_node_is_reported(tmp_path: Path) -> None:
    done = conformance("record", "-o", tmp_path, "--", sys.executable, "-c", "print('hello')")
    not_run(done, "node n1")
    ok = copied(OK, tmp_path)
    done = conformance("replay", ok, "--", sys.executable, "-c", "import sys; sys.exit(3)")
    assert done.returncode == 1 and "status 3" in done.stdout


@pytest.mark.usefixtures("no_pages")
def test_node_that_hangs_is_reported(tmp_path: Path) -> None:
    ok = copied(OK, tmp_path)
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    done = conformance("replay", ok, "--timeout-seconds", 1, "--", *sleeper)
    assert done.returncode == 1 and "silent for 1 s" in done.stdout


SMALL = ["single", "consensus", "returns"]
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL]


@pytest.mark.parametrize("number", ENDINGS, ids=lambda each: each.name)
def test_terminated_command_leaves_no_process_and_no_file(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Instead of Java, a shell script runs that writes its process ID and that of its child."""
    runs = min(cores(), len(SMALL) - 1)
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\nsleep 60 &\necho $$ $! >> {tmp_path}/pids\nwait\n")
    java.chmod(0o755)
    command = [sys.executable, "-m", "conformance", "models", *SMALL]
    environment = {**os.environ, "JAVA": str(java), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as run:
        wait_until(lambda: (tmp_path / "pids").exists() and len(numbers(tmp_path)) == 2 * runs)
        assert len(list(tmp_path.glob("tlc-*"))) == runs
        run.send_signal(number)
        assert run.wait(PATIENCE) == (-number if number == signal.SIGKILL else 2)
    wait_until(lambda: not any(map(exists, numbers(tmp_path))))
    wait_until(lambda: not list(tmp_path.glob("tlc-*")))
    assert len(numbers(tmp_path)) == 2 * runs, "no process is started after the signal"


# Unexpected errors.

FAILING = """
import sys
from conformance import __main__ as cli
from conformance.formats import logs
for error in (MemoryError(), RecursionError("too deep"), OSError(24, "Too many open files"),
              UnicodeEncodeError("ascii", "\\xe9", 0, 1, "not in range"), ZeroDivisionError("1/0"),
              AssertionError("never"), KeyError("slot"), BrokenPipeError(32, "Broken pipe")):
    def fail(*_):
        raise error
    logs.find = fail
    try:
        cli.main(["replay", "any", "--", "node"])
    except SystemExit as end:
        print(type(error).__name__, end.code)
"""


def test_unexpected_error_has_status_2_and_one_sentence() -> None:
    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", FAILING],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
            timeout=PATIENCE,
        )

    done = run()
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["2"] * 8, done.stderr
    sentences = done.stderr.splitlines()
    assert len(sentences) == 8 and all(line.startswith("conformance: ") for line in sentences)
    assert "CONFORMANCE_TRACEBACK=1" in done.stderr
    assert "ZeroDivisionError" in run(CONFORMANCE_TRACEBACK="1").stderr.split("Traceback", 5)[5]


def test_too_many_descriptors_are_reported(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "conformance",
        "record",
        "-o",
        str(tmp_path / "run"),
        "--nodes",
        "20",
        "--",
        *NODE,
    ]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 30; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert "Traceback" not in done.stderr
    not_run(done, "conformance: ", "Too many open files")


def test_closed_standard_output_has_status_2() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [
        sys.executable,
        "-m",
        "conformance",
        "check-history",
        str(HISTORIES / "duel-ok.ndjson"),
    ]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writing)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_verdict_with_unprintable_names_is_escaped(encoding: str, tmp_path: Path) -> None:
    """A lone surrogate cannot be encoded, and ESC controls terminals."""
    text = (HISTORIES / "duel-bad.ndjson").read_text().replace('"n1"', r'"n\ud800\u001b[2J"')
    history = tmp_path / "h\u202eé.ndjson"
    history.write_text(text)
    done = conformance_process("check-history", history, PYTHONIOENCODING=encoding)
    assert done.returncode == 1 and "1 findings" in done.stdout
    assert not {"\x1b", "\u202e", "\ud800"} & set(done.stdout) and "\\u202e" in done.stdout


# Options.


def numbers_wanted() -> list[tuple[str, click.Option]]:
    """Return each verb with each of its options that takes a number."""
    return [
        (verb, option)
        for verb, command in cli.main.commands.items()
        for option in command.params
        if isinstance(option, click.Option)
        and isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType))
    ]


@pytest.mark.parametrize("verb, option", numbers_wanted(), ids=lambda of: getattr(of, "name", of))
def test_numbers_out_of_range_are_rejected(verb: str, option: click.Option) -> None:
    counts_from_0 = {
        "minutes",
        "loss",
        "repeat",
        "seed",
        "states",
        "records",
        "at_least",
        "renamed",
        "kills",
    }
    context = click.Context(cli.main.commands[verb])
    huge = ["1e300"] * isinstance(option.type, click.types.FloatParamType)
    zero = ["0"] * (option.name not in counts_from_0)
    for value in ["nan", "inf", "-inf", "1e999", "-1", *huge, *zero]:
        with pytest.raises(click.BadParameter):
            option.type_cast_value(context, (value,) if option.multiple else value)


def numbers(folder: Path) -> list[int]:
    return [int(text) for text in (folder / "pids").read_text().split()]
