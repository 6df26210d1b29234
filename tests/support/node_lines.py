"""Lines for a node in this process, strategies for random ones, and the state of the node."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from multipaxos.node import Node

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
)
TYPES = [
    "init",
    "multi_paxos_propose",
    "multi_paxos_log",
    "prepare",
    "promise",
    "accept",
    "accepted",
    "rejected",
    "decided",
    "learn",
    "learned",
    "multi_paxos_log_ok",
    "error",
]
FIELDS = [
    "msg_id",
    "slot",
    "value",
    "ballot",
    "known",
    "accepted",
    "promised",
    "decided",
    "more",
    "node_id",
    "node_ids",
    "in_reply_to",
]


def line(body: object, src: object = "n2", dest: object = "n1") -> bytes:
    return json.dumps({"src": src, "dest": dest, "body": body}).encode()


def state(node: Node) -> Any:
    """Return a copy of the state of a node."""
    replica = node.replica
    if replica is None:
        return (node.init, node.members.nodes)
    fields = {**vars(replica.acceptor), **vars(replica.leader)}
    fields.update(known=fields["known"].ranges(), closed=fields["closed"].ranges())
    return repr((node.init, node.members.nodes, replica.up, fields))
