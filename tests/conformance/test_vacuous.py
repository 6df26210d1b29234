"""Nothing passes because nothing was looked at.

Each test here is a way in which that could happen, and sees it end with status 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from conformance.formats import logs
from conformance.golden import generate
from conformance.models import branches, manifest, searching
from conformance.tlaplus import tlc
from tests.support.conformance_command import conformance, copied, not_run
from tests.support.paths import HISTORIES, MANUAL_NODE, OK

TAKES_NO_STEP = "nothing happens in"

# What a Java can do instead of running TLC to its end.
JAVAS = {
    "prints nothing": "exit 0",
    "prints no end": "echo '9 states generated, 9 distinct states found, 0 states left'",
    "is killed": "echo 'Model checking completed. No error has been found.'; kill -9 $$",
    "has no memory": "echo 'java.lang.OutOfMemoryError: Java heap space'; exit 1",
    "finds no state": "echo 'Model checking completed. No error has been found.'; "
    "echo '0 states generated, 0 distinct states found, 0 states left on queue.'",
}

VERBS = {
    "models": ["models", "single"],
    "generate": ["generate", "single"],
    "simulate": ["simulate", "--minutes", "0"],
    "random runs": ["generate", "wide", "--simulate", "2"],
    "coverage": ["coverage"],
    "validate": ["validate", OK],
}


def fake(folder: Path, script: str) -> str:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return str(java)


@pytest.mark.parametrize("java", JAVAS)
@pytest.mark.parametrize("verb", VERBS)
def test_java_that_does_not_run_tlc_is_an_error(verb: str, java: str, tmp_path: Path) -> None:
    folder = ["-o", tmp_path / "logs"] if VERBS[verb][0] == "generate" else []
    done = conformance(*VERBS[verb], *folder, JAVA=fake(tmp_path, JAVAS[java]))
    assert done.returncode == 2, done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_java_that_does_nothing_is_an_error(verb: str, tmp_path: Path) -> None:
    """TLC itself would not have come by so few states."""
    script = (
        "echo 'Model checking completed. No error has been found.'; "
        "echo '1 states generated, 1 distinct states found, 0 states left on queue.'; "
        "echo 'Progress: 1 states checked.'; echo 'Finished in 00s'"
    )
    folder = ["-o", tmp_path / "logs"] if VERBS[verb][0] == "generate" else []
    done = conformance(*VERBS[verb], *folder, JAVA=fake(tmp_path, script))
    assert done.returncode == (1 if verb == "coverage" else 2), done.stdout + done.stderr


# Models.

IDLE = """---- MODULE Idle ----
VARIABLE x
Nowhere == x \\in {}
Somewhere == x = 1
Next == x' = 2
Never == x = 3 /\\ x' = x
====
"""


def counted(run: Callable[[], tlc.Outcome]) -> tlc.Outcome:
    """Run TLC again, a few times, if it gives no verdict.

    A short simulation may end before TLC has printed how many states it has generated.
    """
    for _ in range(5):
        with suppress(tlc.ToolError):
            return run()
    return run()


def test_model_without_behaviours_is_an_error() -> None:
    for options in ([], ["-simulate", "num=2", "-depth", "3"]):
        run = partial(tlc.run, "Idle", IDLE, workers=1, options=options, brief=True)
        with pytest.raises(tlc.ToolError, match="no verdict"):
            run("INIT Nowhere\nNEXT Next\n")
        stuck = counted(partial(run, "INIT Somewhere\nNEXT Never\n"))
        with pytest.raises(tlc.ToolError, match=TAKES_NO_STEP):
            stuck.demand_steps("Idle")
        counted(partial(run, "INIT Somewhere\nNEXT Next\n")).demand_steps("Idle")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> manifest.Model:
    """A model whose Next is never enabled."""
    model = manifest.get("single")
    idle = IDLE.replace("Idle", model.module.stem)
    config = "INIT Somewhere\nNEXT Never\n"
    monkeypatch.setattr(manifest.Model, "sources", lambda self: (self.module.stem, idle, config))
    run = tlc.run
    monkeypatch.setattr(
        tlc,
        "run",
        lambda name, module, text, **options: counted(
            partial(run, model.module.stem, idle, config, **{**options, "brief": True})
        ),
    )
    return model


def test_model_without_steps_is_an_error(stuck: manifest.Model, tmp_path: Path) -> None:
    with pytest.raises(tlc.ToolError, match=TAKES_NO_STEP):
        searching.models([stuck])
    with pytest.raises(tlc.ToolError, match=TAKES_NO_STEP):
        generate.generate(stuck, tmp_path)
    with pytest.raises(tlc.ToolError, match=TAKES_NO_STEP):
        searching.simulate(stuck, minutes=0, seed=1, steps=5)


def test_manifest_without_models_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "manifest.toml"
    empty.write_text("# nothing\n")
    monkeypatch.setattr(manifest, "MANIFEST", empty)
    with pytest.raises(manifest.UnknownModel, match="no model in it"):
        searching.standard()


def test_module_without_its_roots_is_an_error() -> None:
    text = "---- MODULE A ----\nInit == x = 1\nMove == IF x = 1 THEN y ELSE z\n====\n"
    assert len(branches.branches("A", text, ("Move",))) == 2
    with pytest.raises(tlc.ToolError, match="A does not define Next"):
        branches.branches("A", text, ("Init", "Next"))


# Logs.


def written(folder: Path, *lines: str) -> Path:
    path = folder / "log.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize("lines", [("",), ("", ""), (" ",)])
def test_blank_lines_are_no_records(lines: tuple[str, ...], tmp_path: Path) -> None:
    path = written(tmp_path, *lines)
    not_run(conformance("validate", path), f"{path}:1: not a log record")
    not_run(conformance("replay", path, "--", *MANUAL_NODE), f"{path}:1: not a log record")
    not_run(conformance("check-history", path), f"{path}:1: not a history entry")


def test_log_of_init_alone_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, OK.read_text().splitlines()[0])
    not_run(conformance("validate", path), f"{path}: nothing but init is in it")


def test_log_that_every_node_passes_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"node": "n1", "input": "timeout", "output": []}))
    not_run(conformance("replay", path, "--", "true"), "node n1 has no expected output")


def test_history_without_answers_is_an_error(tmp_path: Path) -> None:
    asks = (HISTORIES / "duel-ok.ndjson").read_text().splitlines()
    path = written(tmp_path, *(line for line in asks if '"ask"' in line))
    not_run(conformance("check-history", path), f"{path}: it has no reply")


def test_folder_without_ndjson_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(OK.read_text())
    not_run(conformance("validate", tmp_path), "no *.ndjson file in this folder")
    not_run(conformance("replay", tmp_path, "--", *MANUAL_NODE), "no *.ndjson file in this folder")
    (tmp_path / "inside.ndjson").mkdir()
    not_run(conformance("validate", tmp_path), f"{tmp_path}: no *.ndjson file in this folder")


def test_log_cut_within_a_character_is_an_error(tmp_path: Path) -> None:
    first = OK.read_text().splitlines()[0]
    path = tmp_path / "log.ndjson"
    path.write_bytes(f'{first}\n{{"node": "é'.encode()[:-1])
    with pytest.raises(logs.LogError, match=rf"{path}:2: not a log record"):
        logs.read(path)


@pytest.mark.usefixtures("no_pages")
def test_node_without_output_is_an_error(tmp_path: Path) -> None:
    for command in (["true"], [sys.executable, "-c", "import sys; sys.stdin.read()"]):
        done = conformance("replay", copied(OK, tmp_path), "--", *command)
        assert done.returncode == 1 and "0 records equal, 1 traces differ" in done.stdout
