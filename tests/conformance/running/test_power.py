"""Power cuts: the model of a disk, and real nodes with recorded system calls."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from conformance.running import syscalls
from conformance.running.power import Disk, UnsupportedCall, put
from conformance.running.syscalls import Call, calls
from tests.mutants import bugs, processes, sources

needs_strace = pytest.mark.skipif(bool(syscalls.why_not()), reason=syscalls.why_not())


class Calls:
    """The calls of a process on one file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file"
        self.disk = Disk([folder])
        self.ended = 0

    def call(self, name: str, arguments: str, result: int = 0, path: Path | None = None) -> None:
        path = path or self.file
        self.disk.take(Call(name, arguments, result, (str(path),), self.ended))
        self.ended += 1

    def open(self, flags: str = "O_RDWR|O_CREAT") -> None:
        self.call("openat", f'AT_FDCWD<>, "{hexed(str(self.file))}", {flags}', 3)

    def write(self, text: str) -> None:
        self.call("write", f'3<>, "{hexed(text)}", {len(text)}', len(text))

    def sync(self) -> None:
        self.call("fsync", "3<>")

    def left(self) -> str | None:
        content = self.disk.left().get(str(self.file))
        return None if content is None else content.decode()


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


@pytest.fixture
def made(tmp_path: Path) -> Calls:
    found = Calls(tmp_path)
    found.open()
    return found


def test_power_cut_loses_unsynced_writes(made: Calls) -> None:
    assert made.left() is None
    made.write("one")
    made.sync()
    made.write("two")
    assert made.left() == "one"
    made.call("pwrite64", f'3<>, "{hexed("NE")}", 2, 1', 2)
    made.sync()
    assert made.left() == "oNEtwo"
    made.call("ftruncate", "3<>, 2")
    assert made.left() == "oNEtwo"
    made.call("lseek", "3<>, 1, SEEK_SET", 1)
    made.write("x")
    made.sync()
    assert made.left() == "ox"


def test_power_cut_covers_every_file_of_a_log(tmp_path: Path) -> None:
    made = Calls(tmp_path)
    made.file = tmp_path / "file.00000000000000000004"
    other = tmp_path / "other.00000000000000000004"
    made.disk = Disk([tmp_path / "file"])
    made.open()
    made.write("line")
    made.call("fsync", "4<>", path=other)
    assert made.left() == ""
    made.call("write", f'4<>, "{hexed("of another log")}", 14', 14, other)
    made.sync()
    assert made.disk.left() == {str(made.file): b"line"}


def test_sync_covers_only_writes_before_it_began(made: Calls) -> None:
    made.write("one")
    begun = made.ended
    made.write("two")
    made.disk.take(Call("fdatasync", "3<>", 0, (str(made.file),), begun))
    assert made.left() == "one"


def test_names_are_durable_after_the_next_sync(made: Calls) -> None:
    made.write("one")
    made.sync()
    other = made.file.with_name("other")
    made.call("rename", f'"{hexed(str(made.file))}", "{hexed(str(other))}"')
    assert set(made.disk.left()) == {str(made.file)}
    made.call("fsync", "4<>", path=made.file.parent)
    assert made.disk.left() == {str(other): b"one"}
    made.call("unlink", f'"{hexed(str(other))}"')
    assert made.disk.left() == {str(other): b"one"}
    made.call("sync", "")
    assert made.disk.left() == {}


def test_any_part_of_unsynced_writes_may_be_left(made: Calls) -> None:
    made.write("a")
    made.sync()
    for _ in range(3):
        made.write("bb")
    found = {made.disk.left(Random(seed))[str(made.file)].decode() for seed in range(200)}
    assert {"a", "abb", "abbbb", "abbbbbb", "a\0\0bb"} <= found
    assert all(set(text) <= set("ab\0") for text in found)


def test_truncation_is_durable_after_a_sync(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    found = Calls(tmp_path)
    found.open("O_WRONLY|O_CREAT|O_TRUNC")
    assert found.left() == "old"
    found.sync()
    assert found.left() == ""
    found.disk.cut({str(tmp_path / "a" / "b"): b"new"})
    assert (tmp_path / "a" / "b").read_text() == "new" and not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mmap", "NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 3<>, 0"),
        ("io_uring_setup", "8"),
        ("copy_file_range", "3<>, NULL, 4<>, NULL, 9, 0"),
        ("write", f'9<>, "{hexed("x")}", 1'),
    ],
)
def test_unsupported_system_calls_are_reported(made: Calls, name: str, arguments: str) -> None:
    with pytest.raises(UnsupportedCall, match=name):
        made.call(name, arguments, 1)


def test_files_that_sqlite_rebuilds_are_ignored(made: Calls) -> None:
    index = made.file.with_name("node.db-shm")
    index.write_text("x")
    made.call("mmap", "NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 3<>, 0", 1, index)
    made.disk.cut(made.disk.left())
    assert not index.exists()


def test_write_past_the_end_leaves_a_gap() -> None:
    content = bytearray(b"ab")
    put(content, (4, b"c"))
    put(content, (5, None))
    assert bytes(content) == b"ab\0\0c"


def test_interrupted_calls_are_joined(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(
        f'7 write(3<{hexed("/f")}>, "{hexed("a")}", 1 <unfinished ...>\n'
        f"8 fsync(3<{hexed('/f')}>) = 0\n"
        "7 <... write resumed>) = 1\n"
        '7 unlink("\\x66") = -1 ENOENT (No such file or directory)\n'
        f'7 write(1<pipe:[5]>, "{hexed("b")}", 1 <unfinished ...>\n7 +++ killed by SIGKILL +++\n'
    )
    found = [(call.name, call.result, call.path, call.begun) for call in calls(trace)]
    assert found == [("fsync", 0, "/f", 0), ("write", 1, "/f", 0), ("unlink", -1, "", 2)]


# Real nodes.


HANGS = {"lines-cut-by-reads": "values are kept"}
CAUGHT = {
    **HANGS,
    "short-writes-dropped": "output is complete",
    "log-not-synced": "power cut",
}


@needs_strace
@pytest.mark.parametrize("name", CAUGHT)
def test_process_checks_catch_bug(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in HANGS:
        monkeypatch.setattr(processes, "HANG", 3.0)
    [bug] = [bug for bug in bugs.load() if bug.name == name]
    sources.copy(bug.mutant(), tmp_path / "impl")
    how = processes.check(tmp_path / "impl")
    assert how is not None and how.startswith(CAUGHT[name])
