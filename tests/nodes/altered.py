"""This project's node behind a filter that alters how it reads or prints, but not what.

    altered.py HOW [OPTION ...]        the options are the node's own

HOW is one of the functions below: each takes what comes in or goes out in pieces, as it comes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

MAIN = Path(__file__).parent.parent.parent / "impl" / "main.py"
T, F = b'"phase1_skipped": true', b'"phase1_skipped": false'


def pieces(source: int) -> Iterator[bytes]:
    while piece := os.read(source, 1 << 16):
        yield piece


def lines(source: int) -> Iterator[bytes]:
    with open(source, "rb") as file:
        yield from file


# Right nodes.


def slow(source: int) -> Iterator[bytes]:
    """Takes a line each 20 milliseconds, so that it is never silent for long."""
    for line in lines(source):
        yield line
        time.sleep(0.02)


def utf8(source: int) -> Iterator[bytes]:
    """Prints UTF-8 in place of escapes."""
    for line in lines(source):
        yield json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n"


def by_destination(source: int) -> Iterator[bytes]:
    """Prints messages to members, between two replies, in the reverse order of destinations."""
    held: list[bytes] = []
    for line in lines(source):
        if b'"msg_id"' in line:
            yield b"".join(sorted(held, key=destination, reverse=True)) + line
            held = []
        else:
            held.append(line)
    yield b"".join(held)


def destination(line: bytes) -> str:
    return json.loads(line)["dest"]


# Wrong ones.


def unended(source: int) -> Iterator[bytes]:
    """Prints a carriage return where a line ends."""
    for line in lines(source):
        yield line.replace(b"\n", b"\r")


def last_unended(source: int) -> Iterator[bytes]:
    """Does not end the last line."""
    text = b"".join(pieces(source))
    yield text.removesuffix(b"\n")


def nan(source: int) -> Iterator[bytes]:
    """Prints NaN for null."""
    for line in lines(source):
        yield line.replace(b"null", b"NaN")


def liar(source: int) -> Iterator[bytes]:
    """Invert phase1_skipped in the output, but not in the log."""
    for line in lines(source):
        yield line.replace(T, b"\0").replace(F, T).replace(b"\0", F)


def reads_are_lines(source: int) -> Iterator[bytes]:
    """Drops what a read leaves behind its last whole line."""
    for piece in pieces(source):
        yield piece[: piece.rfind(b"\n") + 1]


def reads_are_text(source: int) -> Iterator[bytes]:
    """Decodes each read by itself."""
    for piece in pieces(source):
        yield piece.decode("utf-8", "replace").encode()


def short_lines(source: int) -> Iterator[bytes]:
    """Drops lines longer than 64 KiB."""
    for line in lines(source):
        yield line if len(line) <= 1 << 16 else b""


def one_a_read(source: int) -> Iterator[bytes]:
    """Takes the first line of each read."""
    rest = b""
    for piece in pieces(source):
        first, end, _ = (rest + piece).partition(b"\n")
        yield first + end if end else b""
        rest = b"" if end else first


INPUT = (slow, reads_are_lines, reads_are_text, short_lines, one_a_read)


def copy(read: Iterator[bytes], sink: int) -> None:
    for piece in read:
        while piece:
            piece = piece[os.write(sink, piece) :]
    os.close(sink)


def main(name: str, *options: str) -> int:
    how = globals()[name]
    given = subprocess.PIPE if how in INPUT else None
    printed = None if how in INPUT else subprocess.PIPE
    command = [sys.executable, "-S", str(MAIN), *options]
    node = subprocess.Popen(command, stdin=given, stdout=printed)
    if how in INPUT:
        copy(how(0), node.stdin.fileno())
    else:
        thread = threading.Thread(target=copy, args=(how(node.stdout.fileno()), os.dup(1)))
        thread.start()
        thread.join()
    return node.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
