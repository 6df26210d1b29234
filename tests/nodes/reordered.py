"""Run the node with the messages of each step in another order.

    python tests/nodes/reordered.py HOW [options of the node]

HOW is one of the functions below.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "impl"))

from multipaxos import process
from multipaxos.node import Node
from multipaxos.replica import Output


def by_destination(output: Output) -> list[Output]:
    found: dict[str, Output] = defaultdict(list)
    for dest, message in output:
        found[dest].append((dest, message))
    return list(found.values())


def destinations(output: Output) -> Output:
    """Send to the last receiver first: a right node, for the network keeps no such order."""
    return [message for its in reversed(by_destination(output)) for message in its]


def messages(output: Output) -> Output:
    """Send the last message to each receiver first: a wrong node."""
    return [message for its in by_destination(output) for message in reversed(its)]


def main(how: str, *options: str) -> int:
    reorder, emit = globals()[how], Node.emit
    Node.emit = lambda node, name, text, action, output, printed: emit(
        node, name, text, action, reorder(output), printed
    )
    return process.main(list(options))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
