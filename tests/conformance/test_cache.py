"""The cache of `check`: a result is found only if nothing that it depends on has changed."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from conformance import cache, checking, locations, whole_check
from conformance.cache import Cache
from conformance.golden import stored
from conformance.golden.automaton import Automaton, Step, Transition
from conformance.golden.generate import Generated
from conformance.models import manifest, searching
from conformance.results import Results
from conformance.running.replay import Difference, Replayed
from conformance.tlaplus import tlc
from tests.support.paths import ROOT

SINGLE = manifest.get("single")
FOUND = tlc.Outcome(distinct=SINGLE.states, depth=SINGLE.depth, generated=163, initial=1)


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_result_comes_back_as_it_was_stored(store: Cache) -> None:
    value = {"text": "é\n", "counts": [1, 2.5, None, True]}
    assert store.get("models", "a") is None
    store.put("models", "a", value)
    assert store.get("models", "a") == value
    assert store.get("models", "b") is None and store.get("golden", "a") is None


def test_cache_without_folder_keeps_nothing() -> None:
    store = Cache(None)
    store.put("models", "a", 1)
    assert store.get("models", "a") is None


def damaged(content: bytes) -> Iterator[bytes]:
    yield b""
    yield content[:-1]
    yield content[: len(content) // 2]
    yield content + b"\n"
    for at in range(0, len(content), 7):
        yield content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_damaged_file_is_ignored(store: Cache, tmp_path: Path) -> None:
    store.put("models", "a", {"violated": None})
    [path] = (tmp_path / "cache").rglob("*.gz")
    for content in list(damaged(path.read_bytes())):
        path.write_bytes(content)
        assert store.get("models", "a") is None


def test_file_under_another_name_is_ignored(store: Cache, tmp_path: Path) -> None:
    store.put("models", "a", 1)
    folder = tmp_path / "cache" / "models"
    shutil.copy(folder / "a.gz", folder / "b.gz")
    assert store.get("models", "b") is None


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that results depend on."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("spec", "conformance", "impl"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "constraints.txt").write_text("rich==1")
    (folder / "tla2tools.jar").write_bytes(b"a jar")
    return folder


@pytest.fixture
def copy(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy, put in the place of the original."""
    libraries = tuple(tree / folder.relative_to(ROOT) for folder in manifest.LIBRARIES)
    monkeypatch.setattr(locations, "NODE_FOLDER", tree / "impl")
    monkeypatch.setattr(manifest, "LIBRARIES", libraries)
    monkeypatch.setattr(cache, "HARNESS", tree / "conformance")
    monkeypatch.setattr(cache, "_ENVIRONMENT", (tree / "constraints.txt",))
    monkeypatch.setattr(tlc, "jar", lambda: str(tree / "tla2tools.jar"))
    return tree


def keys(copy: Path) -> dict[str, str]:
    """The keys of all kinds of results, by their kind."""
    cache.code.cache_clear()
    tlc._version.cache_clear()
    run = whole_check.Check(copy, 1, checking.NODE, Cache(None), Cache(None), Results("check"))
    model = replace(SINGLE, config=copy / SINGLE.config.relative_to(SINGLE.config.parents[3]))
    return {
        "models": searching.search_key(model),
        "golden": checking._golden_key(model, 1),
        "validate": cache.key(whole_check._validation()),
        "node": cache.key(whole_check._node(run)),
    }


@functools.cache
def keys_without_change(copy: Path) -> dict[str, str]:
    before = keys(copy)
    assert keys(copy) == before
    return before


TLC = {"models", "golden", "validate"}


@pytest.mark.parametrize(
    "name, changed",
    [
        ("spec/MultiPaxos.tla", TLC),
        ("spec/models/MC/single.cfg", {"models", "golden"}),
        ("spec/models/MC/main.cfg", set()),
        ("spec/models/Broken.tla", {"validate"}),
        ("spec/README.md", set()),
        ("conformance/tla/LocalTransitions.tla", {"golden", "validate"}),
        ("conformance/tla/Trace.tla", {"validate"}),
        ("conformance/tlaplus/tlc.py", TLC),
        ("conformance/models/searching.py", {"models"}),
        ("conformance/golden/paths.py", {"golden"}),
        ("conformance/validation/step_checker.py", {"validate"}),
        ("conformance/running/process.py", {"node"}),
        ("conformance/formats/canonical.py", {"validate", "node"}),
        ("conformance/schemas/record.schema.json", {*TLC, "node"}),
        ("conformance/benchmark/bench.py", set()),
        ("constraints.txt", {*TLC, "node"}),
        ("tla2tools.jar", TLC),
        ("impl/main.py", {"node"}),
        ("impl/multipaxos/replica.py", {"node"}),
    ],
)
def test_changed_file_changes_the_keys_of_what_depends_on_it(
    name: str, changed: set[str], copy: Path
) -> None:
    before, content = keys_without_change(copy), (copy / name).read_bytes()
    (copy / name).write_bytes(content + b"\n")
    try:
        after = keys(copy)
    finally:
        (copy / name).write_bytes(content)
    assert {kind for kind in before if before[kind] != after[kind]} == changed


def test_changed_manifest_entry_changes_the_key() -> None:
    assert searching.search_key(replace(SINGLE, states=1)) != searching.search_key(SINGLE)


def test_search_that_passes_is_found_and_one_that_fails_is_not(
    store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [replace(FOUND, distinct=FOUND.distinct + 1), FOUND]
    monkeypatch.setattr(tlc, "run", lambda *_, **__: outcomes.pop(0))
    [failing] = searching.models([SINGLE], store=store)
    [passing] = searching.models([SINGLE], store=store)
    [cached] = searching.models([SINGLE], store=store)
    assert [(row.passed, row.cached) for row in (failing, passing, cached)] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert cached.outcome == FOUND and not outcomes


def test_stored_result_that_the_manifest_does_not_expect_is_ignored(
    store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if a wrong result came into the cache, it is compared with the manifest again."""
    store.put("models", searching.search_key(SINGLE), {"violated": "Agreement"})
    monkeypatch.setattr(tlc, "run", lambda *_, **__: FOUND)
    [row] = searching.models([SINGLE], store=store)
    assert row.passed and not row.cached


def test_golden_traces_come_back_from_the_cache(tmp_path: Path) -> None:
    message = {"src": "c0", "dest": "n1", "body": {"type": "prepare"}}
    steps = [Transition("a", Step("n1", message, [message]), "b")]
    beyond = Transition("b", Step("n1", "timeout", []), None)
    trace = tmp_path / "n1-0001.ndjson"
    trace.write_text("{}\n")
    automaton = Automaton("n1", "a", [*steps, beyond])
    made = Generated(FOUND, [trace], 1, 2, 3, 4, 5, 6, 7, 8, ["n1"], [automaton])
    found = stored.from_json(stored.to_json(made), tmp_path / "again")
    for each in fields(Generated):
        if each.name not in ("logs", "automata", "cached"):
            assert getattr(found, each.name) == getattr(made, each.name), each.name
    [again] = found.logs
    assert again == tmp_path / "again" / trace.name and again.read_text() == "{}\n"
    [copy] = found.automata
    assert (copy.node, copy.start) == ("n1", "a")
    assert (copy.transitions(), copy.beyond()) == (steps, [beyond]) and found.cached


@pytest.mark.parametrize("ours", [True, False])
def test_only_replays_of_our_own_node_that_pass_are_cached(
    ours: bool, tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "n1.ndjson"
    trace.write_text("{}\n")
    runs = store if ours else Cache(None)
    run = whole_check.Check(tmp_path, 1, checking.NODE, store, runs, Results("check"))
    difference = Difference(None, [])  # type: ignore[arg-type]
    answers = [[Replayed(trace, 0, difference)], [Replayed(trace, 0, None, tried=False)]]
    answers += [[Replayed(trace, 7, None)]] * 2
    monkeypatch.setattr(checking, "replay", lambda *_, **__: answers.pop(0))
    cached = [whole_check._replayed(run, [trace], [], None)[1] for _ in range(4)]
    assert cached == [False, False, False, ours]
    trace.write_text("{} \n")
    answers = [[Replayed(trace, 7, None)]]
    assert not whole_check._replayed(run, [trace], [], None)[1]


def test_node_starts_from_bytecode_of_its_present_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started() -> str:
        command = [sys.executable, "-v", "-c", "import node"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr

    monkeypatch.setattr(locations, "NODE_FOLDER", tmp_path)
    source = tmp_path / "node.py"
    source.write_text("import sys; sys.stderr.write('before')")
    checking.compile_node()
    compiled = started()
    assert re.search(r"node\.\S+\.pyc matches", compiled) and "before" in compiled
    # Within the same second, and of the same length.
    source.write_text("import sys; sys.stderr.write('behind')")
    assert "behind" in started()
