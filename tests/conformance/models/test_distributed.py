"""TLC on several machines: the same states, what it is refused for, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import guard
from conformance.models import distributed, manifest
from conformance.models.searching import DistributedRow
from conformance.tlaplus import tlc
from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

# The smallest model that is not done before the second worker has come.
MODEL = manifest.get("reduced")
# So long that its search has not ended when the first progress is reported.
LONG = manifest.get("main")
VERB = [sys.executable, "-m", "conformance", "distributed"]


@pytest.fixture(autouse=True)
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run Java without the better of its compilers, as for every brief search."""
    script = tmp_path / "brief" / "java"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {tlc.java()} -XX:TieredStopAtLevel=1 "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("JAVA", str(script))


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[str]]]:
    """All processes that a test starts; none of them may be left."""
    processes: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    yield processes
    # The guard ends with the process that it is for.
    left = [process.args for process in processes if process.poll() is None]
    assert [args for args in left if guard.__file__ not in args] == []


def model(folder: Path, module: str, config: str) -> manifest.Model:
    """A model of one's own."""
    place = folder / "Own" / "own.cfg"
    place.parent.mkdir()
    place.write_text(config)
    (folder / "Own.tla").write_text(f"---- MODULE Own ----\n{module}\n====\n")
    return replace(MODEL, name="own", config=place)


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*VERB, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


# Agreed, disagreed.


def test_two_local_workers_find_the_same_as_one_machine() -> None:
    done = conformance(MODEL.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f" {MODEL.states:,} ") == 2


def test_undecided_check_is_reported() -> None:
    assert "SkipIsTrue" in distributed.undecided(MODEL)
    assert "Agreement" not in distributed.undecided(MODEL)


def test_hosts_are_reached_by_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[str]]
) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(
        "#!/bin/sh\nfor script; do :; done\n"
        "export SSH_CONNECTION='127.0.0.1 1111 127.0.0.1 22'\nexec sh -c \"$script\"\n"
    )
    fake.chmod(0o755)
    found_first = (str(tmp_path), str(Path(tlc.java()).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(found_first))
    monkeypatch.setattr(tlc, "PORT", distributed.free_port())
    outcome = distributed.run(MODEL, ["alpha", "localhost"], jar=tlc.jar())
    assert (outcome.violated, outcome.distinct) == (None, MODEL.states)
    assert sum(process.args[0] == "ssh" for process in started) == 2


def test_violation_is_found() -> None:
    broken = manifest.get("broken-takes-half")
    outcome = distributed.run(broken)
    assert outcome.violated == broken.violates == "Agreement"
    assert any(line.startswith("State ") for line in outcome.trace)
    assert DistributedRow(broken, outcome).passed
    assert not DistributedRow(replace(broken, expect="holds", violates=None), outcome).passed


def test_violation_in_the_initial_state_is_found(tmp_path: Path) -> None:
    module = "VARIABLE x\nSpec == x = 0 /\\ [][UNCHANGED x]_x\nZero == x = 0\nOne == x = 1"
    wrong = model(tmp_path, module, "SPECIFICATION Spec\nINVARIANTS Zero One\n")
    assert distributed.run(wrong).violated == "One"


def test_another_count_of_states_fails() -> None:
    found = tlc.Outcome(distinct=MODEL.states - 1)
    assert not DistributedRow(MODEL, found).passed
    assert DistributedRow(MODEL, replace(found, distinct=MODEL.states)).passed


# Could not be run.


def not_run(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split())


def test_unreachable_host_is_an_error() -> None:
    not_run(conformance(MODEL.name, "--host", "no-such-host.invalid"), "host no-such-host.invalid")


@pytest.mark.parametrize("name", ["sometimes-skips", "duel"])
def test_model_about_steps_or_behaviours_is_refused(name: str) -> None:
    not_run(conformance(name), "does not decide", f"models {name}")


def test_model_with_an_action_constraint_is_refused(tmp_path: Path) -> None:
    constrained = model(tmp_path, "EXTENDS MC", MODEL.text() + "\nACTION_CONSTRAINT Some\n")
    with pytest.raises(tlc.ToolError, match="loses states"):
        distributed.run(constrained)


def test_model_that_cannot_be_parsed_starts_no_worker(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    with pytest.raises(tlc.ToolError, match="Nonsense"):
        distributed.run(model(tmp_path, "EXTENDS MC", MODEL.text() + "\nINVARIANT Nonsense\n"))
    assert len(started) == 1


def test_killed_worker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
    monkeypatch.setattr(tlc, "worker", lambda *_: dying)
    monkeypatch.setattr(distributed, "GRACE_SECONDS", 1)
    with pytest.raises(tlc.ToolError, match=r"localhost is lost \(exit status 3\):\s+no room"):
        distributed.run(MODEL)


def test_missing_workers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(tlc, "worker", lambda *_: lost)
    monkeypatch.setattr(distributed, "COMING_SECONDS", 1)
    with pytest.raises(tlc.ToolError, match="no worker came within 1 s"):
        distributed.run(MODEL)


def test_killed_server_is_an_error(started: list[subprocess.Popen[str]]) -> None:
    with pytest.raises(tlc.ToolError, match="gave no verdict"):
        distributed.run(LONG, on_progress=lambda _: started[0].kill())
    assert len(started) == 3


def test_interrupted_check_leaves_no_process(started: list[subprocess.Popen[str]]) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distributed.run(LONG, on_progress=interrupt)
    assert len(started) == 3


def test_interruption_is_no_verdict() -> None:
    with subprocess.Popen([*VERB, MODEL.name], stderr=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stderr is not None
        assert MODEL.name in run.stderr.readline()
        run.send_signal(signal.SIGINT)
        assert "interrupted" in run.stderr.read()
    assert run.returncode == 2


def may_have_a_network() -> bool:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from conformance.models.isolation import isolate\nraise SystemExit(not isolate())",
        ],
        cwd=ROOT,
        check=False,
    )
    return done.returncode == 0


def test_local_workers_use_only_loopback(tmp_path: Path) -> None:
    """A shell script in the place of Java prints the network interfaces."""
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\ntail -n +3 /proc/net/dev > {tmp_path}/interfaces\nexit 1\n")
    java.chmod(0o755)
    environment = {**os.environ, "JAVA": str(java)}
    done = subprocess.run(
        [*VERB, "reduced"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2 and "gave no verdict" in done.stderr
    names = [line.split(":")[0].strip() for line in (tmp_path / "interfaces").open()]
    if may_have_a_network():
        assert names == ["lo"] and "listen on all interfaces" not in done.stderr
    else:
        assert "listen on all interfaces" in done.stderr
