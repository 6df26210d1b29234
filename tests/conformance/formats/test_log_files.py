"""A log in several files is read as one, and a gap in it is found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from multipaxos import message_log

from conformance.formats import log_files, logs
from tests.support.conformance_command import conformance, conformance_process, not_run
from tests.support.paths import BAD, NODE, OK


def split(log: Path, to: Path, lines: int = 1) -> list[Path]:
    """Write a log with so many lines in each file, as a node does; return the files."""
    with closing(message_log.create(str(to), 1)) as made:
        every = log.read_bytes().splitlines(keepends=True)
        for first in range(0, len(every), lines):
            made.write(b"".join(every[first : first + lines]))
            made.flush()
    return log_files.files_of(to)


def test_files_are_read_as_one_log_in_numeric_order(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson", 2)
    assert len(files) == 9 and files[0] == tmp_path / "n.ndjson"
    found, whole = logs.read(files[0]), logs.read(OK)
    assert [(r.node, r.input, r.output, r.line) for r in found] == [
        (r.node, r.input, r.output, r.line) for r in whole
    ]
    assert found[1].place == f"{files[0]}:2" and found[2].place == f"{files[1]}:1"
    assert {record.path for record in found} == {files[0]}
    assert logs.read_json(files[0]) == logs.read_json(OK)
    assert log_files.size(files[0]) == OK.stat().st_size


def test_position_of_ten_bytes_comes_after_that_of_nine(tmp_path: Path) -> None:
    for position in 9, 10, 100:
        (tmp_path / f"n.ndjson.{position:020}").write_text("x")
    found = log_files.files_of(tmp_path / "n.ndjson")
    assert list(map(log_files.position, found)) == [9, 10, 100]


def test_log_is_found_once_whatever_file_names_it(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson")
    (tmp_path / "n.ndjson.1").write_text("of nobody")
    other = tmp_path / "n.ndjson.5.ndjson"
    shutil.copy(OK, other)
    assert logs.find(files) == logs.find(files[3:5]) == [files[0]]
    assert logs.find([tmp_path]) == [files[0], other]
    assert logs.clusters([tmp_path]) == [[files[0]], [other]]
    for path in files[:-1]:
        path.unlink()
    assert logs.find([tmp_path], logs.LOG) == [files[0], other]
    with pytest.raises(logs.LogError, match="there are logs in it already"):
        logs.check_free(tmp_path)


@pytest.mark.parametrize("name", ["n.ndjson", ".ndjson", "two\nlines.ndjson"])
def test_log_of_any_name_is_found_with_its_files(tmp_path: Path, name: str) -> None:
    first, later = tmp_path / name, tmp_path / f"{name}.{1:020}"
    first.write_text("x")
    later.write_text("x")
    assert log_files.files_of(first) == [first, later]
    assert logs.find([tmp_path]) == logs.find([later]) == [first]


@pytest.mark.parametrize("suffix", ["0" * 20, "0" * 19 + "\u0665", "0" * 18 + "5", "0" * 20 + "5"])
def test_other_suffixes_do_not_continue_a_log(tmp_path: Path, suffix: str) -> None:
    """The position is above 0, and has 20 digits of ASCII."""
    first, other = tmp_path / "n.ndjson", tmp_path / f"n.ndjson.{suffix}"
    first.write_text("x")
    other.write_text("x")
    assert log_files.files_of(first) == [first] and log_files.log_of(other) == other
    assert logs.find([tmp_path]) == [first]


@pytest.mark.usefixtures("no_pages")
@pytest.mark.parametrize("log", [OK, BAD], ids=["accepted", "rejected"])
def test_verdict_is_that_of_the_whole_log(tmp_path: Path, log: Path) -> None:
    files = split(log, tmp_path / "n.ndjson", 5)
    wrong = [line for line in conformance("validate", log).stdout.splitlines() if str(log) in line]
    for place in files[0], tmp_path, files[-1]:
        done = conformance("validate", place)
        assert done.returncode == (0 if log == OK else 1)
        if wrong:
            line = int(wrong[0].split(":")[1])
            file = files[(line - 1) // 5]
            assert f"{file}:{(line - 1) % 5 + 1}: node" in done.stdout


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        (
            [0],
            ["begins in the middle", "bring back its first files", "start the node once without"],
        ),
        ([0, 1, 2], ["begins in the middle"]),
        ([4], ["the file before it ends with byte", "bring back what is missing"]),
        ([2, 5], ["the file before it ends with byte"]),
    ],
)
def test_missing_file_is_no_verdict(
    tmp_path: Path, removed: Sequence[int], words: Sequence[str]
) -> None:
    files = split(OK, tmp_path / "n.ndjson")
    for at in removed:
        files[at].unlink()
    for place in tmp_path, files[0]:
        not_run(conformance("validate", place), *words)
    not_run(conformance("export", tmp_path, "--html", tmp_path / "run.html"), *words)


def test_file_that_was_cut_is_no_verdict(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson", 5)
    lines = files[1].read_bytes().splitlines(keepends=True)
    files[1].write_bytes(b"".join(lines[:-1]))
    not_run(conformance("validate", tmp_path), "the file before it ends with byte")


def test_empty_last_file_was_not_saved(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson", 5)
    Path(message_log.name_at(str(files[0]), OK.stat().st_size)).touch()
    assert len(logs.read(files[0])) == len(logs.read(OK))


def test_malformed_line_is_named_with_its_file(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson", 5)
    lines = files[1].read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"node": ', b'"nose": ')
    files[1].write_bytes(b"".join(lines))
    with pytest.raises(logs.LogError, match=rf"{files[1]}:3: not a log record"):
        logs.read(files[0])


# Files that must not be overwritten, and files that cannot be read.


def test_files_of_a_log_are_known_by_name_and_by_content(tmp_path: Path) -> None:
    first, later, link = (tmp_path / name for name in ("n", f"n.{1:020}", "link"))
    assert not log_files.has(first, first)
    later.write_text("x")
    link.symlink_to(later)
    (tmp_path / "folder").symlink_to(tmp_path)
    inside = (first, later, link, tmp_path / f"n.{7:020}", tmp_path / "folder" / "n")
    assert all(log_files.has(first, file) for file in inside)
    assert not any(log_files.has(first, tmp_path / name) for name in ("m", "n.1", f"link.{1:020}"))


@pytest.mark.parametrize("at", [0, 1, -1, None])
def test_no_file_of_a_log_is_overwritten(tmp_path: Path, at: int | None) -> None:
    """Nor is a new file written that would continue it."""
    files = split(BAD, tmp_path / "n.ndjson", 5)
    contents = [file.read_bytes() for file in files]
    output = tmp_path / f"n.ndjson.{10**6:020}" if at is None else files[at]
    for place in files[0], files[-1], tmp_path:
        done = conformance("export", place, "--states", 0, "--html", output, "--force")
        not_run(done, "is the log itself")
    for place in files[0], files[-1]:
        not_run(conformance("shrink", place, "-o", output), "-o must name another file than LOG")
    assert log_files.files_of(files[0]) == files
    assert [file.read_bytes() for file in files] == contents


def test_vote_log_is_not_overwritten(tmp_path: Path) -> None:
    log = tmp_path / "votes.html"
    assert conformance("export", OK, "--votes", log).returncode == 0
    not_run(conformance("export", log, "--html", log, "--force"), "is the log itself")


def test_shrink_does_not_write_into_another_log(tmp_path: Path) -> None:
    files = split(OK, tmp_path / "n.ndjson", 5)
    for output in files[0], files[1], tmp_path / f"n.ndjson.{10**6:020}":
        not_run(conformance("shrink", BAD, "-o", output), "are files of one log")
    files[0].unlink()
    not_run(conformance("shrink", BAD, "-o", files[0]), "are files of one log")


@pytest.mark.usefixtures("no_pages")
def test_shrink_reads_the_whole_log(tmp_path: Path) -> None:
    smaller = tmp_path / "smaller"
    files = split(OK, tmp_path / "ok.ndjson", 5)
    not_run(conformance("shrink", files[-1], "-o", smaller), "accepted")
    files = split(BAD, tmp_path / "bad.ndjson", 5)
    done = conformance("shrink", files[-1], "-o", smaller)
    assert done.returncode == 0 and "3 records of 18" in done.stdout


def test_shrink_asks_for_a_file(tmp_path: Path) -> None:
    split(BAD, tmp_path / "n.ndjson")
    done = conformance("shrink", tmp_path, "-o", tmp_path / "smaller")
    not_run(done, "is a folder; name the file of one log")


@pytest.mark.parametrize(
    "verb", ["validate", "trace-coverage", "replay", "export", "shrink", "check-history"]
)
def test_pipe_is_no_log(tmp_path: Path, verb: str) -> None:
    """It would be waited for; in a process of its own, as the test would wait as well."""
    pipe = tmp_path / "n.ndjson"
    os.mkfifo(pipe)
    output = tmp_path / "out"
    more = {"export": ("--html", output), "shrink": ("-o", output), "replay": ("--", *NODE)}
    done = conformance_process(verb, pipe, *more.get(verb, ()))
    not_run(done, "neither a regular file nor a folder")
