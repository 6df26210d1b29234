"""The count of wrong nodes counts right: nothing is caught or forgiven that should not be.

These tests run a small part, with one golden trace; `make mutants` runs all.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.formats import logs
from conformance.formats.schema import action
from conformance.models import manifest
from conformance.running import replay as replaying
from conformance.running import syscalls
from tests.mutants import bugs, machine, mutate, pool, runs, score, sources, survivors
from tests.mutants.bugs import Bug, Edit, PatchError
from tests.mutants.machine import Change
from tests.mutants.score import Found, Row
from tests.mutants.sources import RIGHT, Mutant
from tests.mutants.survivors import EQUIVALENT, GAP, Explanation, ExplanationError
from tests.support.paths import FIXTURES

BUGS = {bug.name: bug for bug in bugs.load()}


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pool.Pool]:
    """Return a pool of checkers with one golden trace."""
    golden = tmp_path_factory.mktemp("golden")
    (golden / "takeover").mkdir()
    shutil.copy(FIXTURES / "takeover-ok.ndjson", golden / "takeover")
    with pool.pool(1, golden) as found:
        yield found


def caught(
    checks: pool.Pool, mutant: Mutant, check: str = "replay", seconds: int = 5, **about: object
) -> str | None:
    return checks.check(mutant, check, seconds=seconds, first=1, **about)[0]


def changed(module: str, old: str, new: str) -> Mutant:
    return Bug("changed", "", "safety", (Edit(module, old, new),)).mutant()


# By hand.


def test_catalogue_has_bugs_of_every_kind() -> None:
    kinds = [bug.breaks for bug in BUGS.values()]
    assert len(kinds) >= 40 and set(kinds) == set(bugs.BREAKS)


@pytest.mark.parametrize("name", BUGS)
def test_every_patch_fits_once(name: str) -> None:
    mutant = BUGS[name].mutant()
    assert mutant.texts and all(
        text != sources.read(module) for module, text in mutant.texts.items()
    )


def test_bugs_are_distinct() -> None:
    assert len({bug.mutant().digest() for bug in BUGS.values()}) == len(BUGS)


def test_spec_mutants_of_bugs_are_in_the_manifest() -> None:
    known = manifest.load()
    assert [
        bug.name
        for bug in BUGS.values()
        if bug.spec_mutant and known[bug.spec_mutant].expect != "breaks"
    ] == []


@pytest.mark.parametrize("old", ["no such text", "self.ballot"])
def test_patch_that_fits_nowhere_or_twice_is_an_error(old: str) -> None:
    with pytest.raises(PatchError, match=r"changed: in clock\.py \d places have this text"):
        changed("clock", old, "pass")


def test_patch_that_leaves_no_python_is_an_error() -> None:
    with pytest.raises(PatchError, match="no longer Python"):
        changed("acceptor", "self.promised = ballot", "self.promised =")


# Checkers.

NEEDS_STRACE = pytest.mark.skipif(bool(syscalls.why_not()), reason=syscalls.why_not())


@pytest.mark.parametrize(
    "check", ["replay", "simulate", "record", pytest.param("processes", marks=NEEDS_STRACE)]
)
def test_correct_node_passes_every_check(checks: pool.Pool, check: str, tmp_path: Path) -> None:
    assert caught(checks, RIGHT, check, seconds=30, seeds=5, folder=str(tmp_path)) is None


@pytest.mark.parametrize(
    "name", ["reports-ignored", "vote-only-above-promise", "phase1-skipped-as-of-reply"]
)
def test_golden_trace_catches_bug(checks: pool.Pool, name: str) -> None:
    assert "takeover-ok.ndjson:" in caught(checks, BUGS[name].mutant())


@pytest.mark.parametrize("name", ["clients-named-n-are-nodes", "values-rounded-to-doubles"])
def test_renamed_trace_catches_bug(checks: pool.Pool, name: str, tmp_path: Path) -> None:
    assert "takeover-ok.ndjson:" in caught(checks, BUGS[name].mutant())
    mutant = BUGS[name].mutant()
    sources.copy(mutant, tmp_path / "impl")
    # A renaming depends on a log's name, and that of its folder.
    log = tmp_path / "takeover" / "takeover-ok.ndjson"
    log.parent.mkdir()
    shutil.copy(FIXTURES / log.name, log)
    node = (sys.executable, "-S", str(tmp_path / "impl" / "main.py"), "--manual-clock")
    assert replaying.replay(log, node).difference is None
    assert replaying.replay(log, node, renamed=1).difference.renamed == 1


def test_bug_is_not_caught_by_unrelated_trace(checks: pool.Pool) -> None:
    assert caught(checks, BUGS["promise-lost-at-restart"].mutant()) is None


def test_load_catches_bug(checks: pool.Pool) -> None:
    how = caught(checks, BUGS["young-slots-repeated"].mutant(), "load", seconds=30)
    assert how.startswith("steady, seed 1: lines: ")


def test_simulation_catches_bug(checks: pool.Pool) -> None:
    mutant = BUGS["never-inquires"].mutant()
    assert caught(checks, mutant) is None
    assert caught(checks, mutant, "simulate", seconds=30, seeds=20).startswith("seed ")


@pytest.mark.parametrize(
    "new, how",
    [
        ("while True: pass", "stopped by SIG"),
        ("[0] * 10 ** 12", "MemoryError"),
        ("raise ValueError('wrong')", "ValueError"),
        ("__import__('os').abort()", "stopped by SIGABRT"),
    ],
)
def test_mutant_that_does_not_end_is_caught(checks: pool.Pool, new: str, how: str) -> None:
    assert how in caught(checks, changed("acceptor", "self.promised = ballot", new), seconds=1)


def test_mutant_that_cannot_be_imported_is_caught(checks: pool.Pool) -> None:
    mutant = Mutant("import", {"acceptor": "import no_such_module"})
    assert "no_such_module" in caught(checks, mutant)


CRASH = """
{"src": "c0", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": \
["n1", "n2", "n3"]}}
-> {"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n3", "dest": "n1", "body": {"type": "prepare", "ballot": 3, "known": []}}
-> {"src": "n1", "dest": "n3", "body": {"type": "promise", "ballot": 3, "accepted": [], "known": \\
[]}}
"crash"
"restart"
{"src": "n2", "dest": "n1", "body": {"type": "accept", "ballot": 2, "slot": 1, "value": "v"}}
-> {"src": "n1", "dest": "n2", "body": {"type": "rejected", "promised": 3}}
"""


def test_crash_in_a_trace_restarts_the_node_from_its_disk(tmp_path: Path) -> None:
    (tmp_path / "crash").mkdir()
    records = []
    for line in CRASH.replace("\\\n", "").strip().splitlines():
        if line.startswith("-> "):
            records[-1]["output"].append(json.loads(line[3:]))
        else:
            given = json.loads(line)
            records.append({"node": "n1", "input": given, "output": [], "action": action(given)})
    logs.write(tmp_path / "crash" / "n1.ndjson", records)
    with pool.pool(1, tmp_path) as found:
        assert caught(found, RIGHT) is None
        for name in "promise-not-on-disk", "output-leaves-before-disk":
            assert "n1.ndjson:5: accept: another output" in caught(found, BUGS[name].mutant())
        assert caught(found, BUGS["votes-not-on-disk"].mutant()) is None


def test_checker_with_another_node_loaded_is_an_error(
    checks: pool.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "copy", lambda mutant, folder: folder.mkdir())
    with pytest.raises(pool.CheckError, match="is not the node in"):
        caught(checks, RIGHT)


def test_run_of_a_mutant_is_rejected(checks: pool.Pool, tmp_path: Path) -> None:
    right, bad = tmp_path / "right", tmp_path / "bad"
    for folder, mutant in (right, RIGHT), (bad, BUGS["decision-not-announced"].mutant()):
        assert caught(checks, mutant, "record", seconds=60, folder=str(folder)) is None
    assert runs.different(right, right) == []
    first, *_ = runs.different(bad, right)
    reasons = runs.rejected({"right": [right / first.relative_to(bad)], "bad": [first]})
    assert reasons["right"] is None and "output" in reasons["bad"]


@pytest.mark.parametrize(
    "module, old, new, how",
    [
        ("acceptor", "self.promised = ballot", "1 / 0", "a node raised ZeroDivisionError"),
        ("node", "self.log.flush()", "pass", "a node logged None but printed"),
        ("node", 'printed.append("")', "pass", "but printed"),
        ("wire", '"promised": {m.promised}', '"promised": {m.promised}x', "JSONDecodeError"),
    ],
)
def test_mutant_that_cannot_be_recorded_is_caught(
    checks: pool.Pool, tmp_path: Path, module: str, old: str, new: str, how: str
) -> None:
    mutant = changed(module, old, new)
    assert how in caught(checks, mutant, "record", seconds=60, folder=str(tmp_path))


# By machine.

SOURCE = '''
"""A module."""
from __future__ import annotations

LIMIT = 3


class Thing:
    """A class."""

    def act(self, size: int | None) -> int:
        """Acts."""
        if size is None or size >= LIMIT:
            return 0
        for number in range(size):
            self.note(number)
        self.note(size)
        self.note(size)
        return size
'''


def test_mutants_are_identified_by_their_change() -> None:
    made = [change for change, _ in machine.changes("thing", SOURCE)]
    assert (
        len(set(made)) == len(made) == len({text for _, text in machine.changes("thing", SOURCE)})
    )
    act = partial(Change, "thing", "Thing.act")
    guard = "if size is None or size >= LIMIT:"
    for change in (
        Change("thing", "", "LIMIT = 3", "LIMIT = 4"),
        act(guard, "if size is None or size > LIMIT:"),
        act(guard, "if (size is None or size >= LIMIT) and False:"),
        act("return 0", "pass"),
        act("for number in range(size):", "for number in ():"),
        act("self.note(size)", "pass"),
        Change("thing", "Thing.act (2)", "self.note(size)", "pass"),
    ):
        assert change in made


def test_messages_and_types_are_not_mutated() -> None:
    texts = [text for _, text in machine.changes("thing", SOURCE)]
    assert all(
        kept in text
        for text in texts
        for kept in ('"""A module."""', '"""A class."""', '"""Acts."""', "int | None")
    )


REFUSALS = """
def act(size):
    if size > 3:
        raise Refused(3, f"{size} is too much")
    try:
        look(size)
    except ValueError:
        raise Dropped("it is odd")
    self.on_dropped("why", size)
    return size
"""


def test_refusals_and_dropped_lines_are_not_mutated() -> None:
    lines = {change.line for change, _ in machine.changes("thing", REFUSALS)}
    assert lines == {"look(size)", "return size"}


# Survivors.


def explained(folder: Path, text: str) -> dict[Change, Explanation]:
    file = folder / "survivors.toml"
    file.write_text(text, "utf-8")
    return survivors.load(file)


ENTRY = """
[[survivor]]
module = "thing"
place = "Thing.act"
line = "return 0"
mutated = ["return 1", "pass"]
verdict = "equivalent"
why = "Its value is never used."
"""


def test_explanations_are_read(tmp_path: Path) -> None:
    found = explained(tmp_path, ENTRY)
    assert found == {
        Change("thing", "Thing.act", "return 0", mutated): Explanation(
            EQUIVALENT, "Its value is never used."
        )
        for mutated in ("return 1", "pass")
    }


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.replace("equivalent", "harmless"),
        ENTRY.replace("Its value is never used.", ""),
        ENTRY + ENTRY,
    ],
)
def test_malformed_explanation_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ExplanationError):
        explained(tmp_path, text)


def test_stale_explanations_are_found(tmp_path: Path) -> None:
    one, other = found = explained(tmp_path, ENTRY)
    assert survivors.stale(found, [one, other], [], []) == []
    assert survivors.stale(found, [one], [one], []) == [
        f"not equivalent, for it is caught: {one}",
        f"no such mutant is made any more: {other}",
    ]
    gaps = explained(tmp_path, ENTRY.replace("equivalent", "gap"))
    assert survivors.stale(gaps, [one, other], [one], []) == []
    assert survivors.stale(gaps, [one, other], [one], [one]) == [f"no gap any more: {one}"]


def test_explained_lines_are_lines_of_the_sources() -> None:
    text = {module: " ".join(sources.read(module).split()) for module in machine.MODULES}
    assert [
        str(change)
        for change in survivors.load()
        if " ".join(change.line.split()) not in text[change.module]
    ] == []


# The score.

CHANGE = Change("thing", "Thing.act", "return 0", "pass")
ROWS = [
    Row("hand", "one", "1", "A bug.", "safety", found={"replay": Found("here", 0.1)}),
    Row(
        "hand",
        "two",
        "2",
        "Another.",
        "client",
        found={"replay": Found(None, 0.1), "simulate": Found("seed 3", 1.0)},
    ),
    Row(
        "machine",
        "caught",
        "3",
        change=replace(CHANGE, mutated="return 1"),
        found={"replay": Found("here", 0.1)},
    ),
    Row(
        "machine",
        str(CHANGE),
        "4",
        change=CHANGE,
        found={"replay": Found(None, 0.1)},
        explanation=Explanation(EQUIVALENT, "So it is."),
    ),
    Row("model", "broken", "5", "A model.", found={"invariants": Found("Agreement", 2.0)}),
]


def conclude(rows: list[Row], folder: Path, stale: tuple[str, ...] = ()) -> int:
    return mutate.concluded(rows, stale, folder, seed=1)


def without(index: int, **changed: object) -> list[Row]:
    return [replace(row, **changed) if at == index else row for at, row in enumerate(ROWS)]


def test_all_targets_reached(tmp_path: Path) -> None:
    assert conclude(ROWS, tmp_path) == 0
    page = (tmp_path / "matrix.md").read_text("utf-8")
    assert "| `two` | client | - |  | 1.00 |  |  |  |  | Another. |" in page
    assert "So it is." in page


@pytest.mark.parametrize(
    "rows",
    [
        without(0, found={"replay": Found(None, 0.1)}),
        without(0, found={"replay": Found(None, 0.1), "simulate": Found("seed 3", 1.0)}),
        without(1, found={"replay": Found(None, 0.1)}),
        without(3, explanation=None),
        without(3, explanation=Explanation(GAP, "It is never used.")),
        without(4, found={"invariants": Found(None, 2.0)}),
        ROWS[:4],
        ROWS[:2],
        ROWS[2:],
        [],
    ],
    ids=[
        "bug",
        "safety",
        "client",
        "unexplained",
        "gap",
        "model",
        "no models",
        "no machine",
        "no bugs",
        "nothing",
    ],
)
def test_target_that_is_not_reached_fails(tmp_path: Path, rows: list[Row]) -> None:
    assert conclude(rows, tmp_path) == 1


def test_stale_explanation_fails(tmp_path: Path) -> None:
    assert conclude(ROWS, tmp_path, stale=("no such mutant",)) == 1


def test_unexplained_survivor_is_listed(tmp_path: Path) -> None:
    conclude(without(3, explanation=None), tmp_path)
    stub = (tmp_path / "unexplained.toml").read_text("utf-8")
    filled = stub.replace('verdict = ""', 'verdict = "gap"').replace('why = ""', 'why = "so"')
    assert explained(tmp_path, filled) == {CHANGE: Explanation(GAP, "so")}


def test_results_are_read_back(tmp_path: Path) -> None:
    score.save(tmp_path / "results.json", ROWS, seed=1)
    assert score.found_before(tmp_path / "results.json") == {row.key: row.found for row in ROWS}
    assert score.found_before(tmp_path / "nothing.json") == {}


def test_changed_node_or_harness_is_checked_again(tmp_path: Path) -> None:
    (tmp_path / "n1.ndjson").write_text("{}\n", "utf-8")
    before = mutate.evidence(tmp_path, 1)
    assert mutate.evidence(tmp_path, 2) != before == mutate.evidence(tmp_path, 1)
    (tmp_path / "n1.ndjson").write_text("[]\n", "utf-8")
    assert mutate.evidence(tmp_path, 1) != before


def test_unknown_mutant_in_results_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mutate, "golden_traces", lambda folder, seed: None)
    monkeypatch.setattr(machine, "mutants", dict)
    result = CliRunner().invoke(mutate.main, ["--only", "no-such-mutant", "-o", str(tmp_path)])
    assert result.exit_code == 2 and "no mutant has no-such-mutant in its name" in result.output


def test_failed_run_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> int:
        raise PatchError("it does not fit")

    monkeypatch.setattr(mutate, "mutate", stale)
    result = CliRunner().invoke(mutate.main, [])
    assert (result.exit_code, result.output) == (2, "mutate: it does not fit\n")
