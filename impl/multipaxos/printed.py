"""The output lines of a turn.  A line that is too long for memory is kept as its pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Printed(list[str]):
    """Lines without their newlines, in order.

    `long` has the index and the pieces of each line that is only read when it is written; "" is in
    its place.
    """

    def __init__(self) -> None:
        self.long: list[tuple[int, Iterable[str]]] = []

    def add(self, line: Iterable[str], most: float) -> int:
        """Append a line that is given in pieces, which can be iterated again.

        It is kept as pieces if it has more than `most` characters.  Return how many were read.
        """
        read, size = [], 0
        for piece in line:
            read.append(piece)
            size += len(piece)
            if size > most:
                self.long.append((len(self), line))
                read = []
                break
        self.append("".join(read))
        return size

    def pieces(self, first: int, separator: str) -> Iterator[str]:
        """Yield the text of the lines from an index on, with a separator between them."""
        for at, line in self.long:
            if at >= first:
                yield separator.join([*self[first:at], ""])
                yield from line
                first = at + 1
                if first < len(self):
                    yield separator
        yield separator.join(self[first:])
