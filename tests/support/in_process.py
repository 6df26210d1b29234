"""The node within the harness's process, for `--in-process tests.support.in_process:node`."""

from __future__ import annotations

from collections.abc import Callable

from multipaxos.node import Node


def node() -> Callable[[list[bytes]], bytes]:
    """Return the turn of a new node without a clock, with one decision in each `learned`."""
    return Node(batch=1).turn
