"""The members of the cluster, the size of a quorum and the owners of ballots.

All of it follows from `node_ids` and never changes.
"""

from __future__ import annotations

from collections.abc import Sequence


class Members(frozenset[str]):
    """The spec's `Node`, with its `Members` as `nodes` and its section "Membership".

    `last_ballot` is the highest ballot above which each member has another one in 63 bits.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = tuple(nodes)
        self.quorum = len(self.nodes) // 2 + 1
        self.last_ballot = 2**63 - 1 - len(self.nodes)
        self._index = {node: index for index, node in enumerate(self.nodes)}

    def peers(self, node: str) -> tuple[str, ...]:
        return tuple(other for other in self.nodes if other != node)

    def owner(self, ballot: int) -> str:
        return self.nodes[(ballot - 1) % len(self.nodes)]

    def next_ballot(self, node: str, ballot: int) -> int:
        return ballot + 1 + (self._index[node] - ballot) % len(self.nodes)
