"""What a node may have sent before its log began, by the durable state that the log begins with.

What is durable only grows: promises ascend, a vote is replaced only by one in a higher ballot or by
the decision, and decisions stay.  So each message leaves a trace in the state of its sender.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..formats.canonical import canonical
from ..tlaplus.translate import ranges

Json = Any


class Beginning:
    """The state that a log begins with."""

    def __init__(self, state: Json) -> None:
        self._promised: int = state["promised"]
        self._votes = {vote["slot"]: vote for vote in state["accepted"]}
        self._decided = {entry["slot"]: entry["value"] for entry in state["decided"]}
        self._known = ranges(self._decided)
        self._version = len(self._decided)

    def may_have_sent(self, body: Json) -> bool:
        """Return whether a message between nodes, with this body, may have been sent before."""
        match body["type"]:
            case "prepare":
                return body["ballot"] <= self._promised and self._knew(body["known"])
            case "promise":
                return (
                    body["ballot"] <= self._promised
                    and self._knew(body["known"])
                    and all(map(self._voted, body["accepted"]))
                )
            case "accept" | "accepted":
                return self._voted(body)
            case "rejected":
                return bool(body["promised"] <= self._promised)
            case "decided":
                return self._had_decided(body)
            case "learn":
                return self._knew(body["known"])
            case "learned":
                known = body["version"] <= self._version
                return known and all(map(self._had_decided, body["decided"]))
        # A poll is about what its receiver knows.
        return True

    def _knew(self, known: Sequence[Sequence[int]]) -> bool:
        """Return whether all slots of these ranges are decided in the state."""
        for low, high in known:
            at = bisect_right(self._known, low, key=lambda found: found[0]) - 1
            if at < 0 or self._known[at][1] < high:
                return False
        return True

    def _voted(self, vote: Json) -> bool:
        """Return whether this vote was cast, as far as the state shows; `accepted` has no value."""
        if vote["ballot"] > self._promised:
            return False
        if vote["slot"] in self._decided:
            return True
        last = self._votes.get(vote["slot"])
        if last is None or last["ballot"] != vote["ballot"]:
            return last is not None and bool(last["ballot"] > vote["ballot"])
        return "value" not in vote or canonical(last["value"]) == canonical(vote["value"])

    def _had_decided(self, entry: Json) -> bool:
        slot = entry["slot"]
        return slot in self._decided and canonical(self._decided[slot]) == canonical(entry["value"])
