"""This project's node within the harness's own process, for `replay --in-process in_process:node`.

What it does is the node's own affair; here stands only how it is made for golden logs.
"""

from __future__ import annotations

from collections.abc import Callable

from multipaxos.node import Node


def node() -> Callable[[list[bytes]], bytes]:
    """A node without a clock of its own, that tells one decision in each `learned`."""
    return Node(batch=1).turn
