"""Clients of a run with faults: their requests, and when they are done.

Clients compete: several propose different values for the same slots, at different nodes.  Nothing
here sends a message or reads a clock: the caller gets the next request and passes replies.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

Json = Any


# Sizes as JSON: the largest value that a node must accept, and one whose line does not fit into a
# pipe; and which requests of a client have such a value.
LARGEST, LARGE = 1 << 20, 70_000
LARGEST_AT, LARGE_AT = 13, 4


def padded(text: str, size: int) -> str:
    """Return a text padded to a size as JSON, quotes included."""
    return text.ljust(size - 2, "-")


class Client:
    """Has one open request at a time; without a reply it retries it, or abandons it.

    `appends`: its proposals name no slot.
    """

    TRIES = 3

    def __init__(
        self,
        name: str,
        members: Sequence[str],
        rng: random.Random,
        large: bool = True,
        appends: bool = False,
    ) -> None:
        self.name = name
        self._large = large
        self._appends = appends
        self.happened: Counter[str] = Counter()
        self._members = list(members)
        self._rng = rng
        self._favourite = rng.choice(self._members)
        self._number = 0
        self._tries = 0
        self._open: Json | None = None

    def turn(self, newest: int) -> Json:
        """Return its next request; `newest` is the highest slot in any request so far."""
        if self._open and self._tries < self.TRIES and self._rng.random() < 0.7:
            self._tries += 1
            self.happened["retries"] += 1
            return self._open
        self.happened["abandoned"] += self._open is not None
        self.happened["requests"] += 1
        self._number += 1
        self._tries = 1
        self._open = self._request(newest)
        return self._open

    def _request(self, newest: int) -> Json:
        if self._rng.random() < 0.1:
            self._favourite = self._rng.choice(self._members)
        body: Json = {"type": "multi_paxos_propose", "msg_id": self._number}
        if self._rng.random() < 0.15:
            body["type"] = "multi_paxos_log"
            # Rarely the whole log: the cost of checking it grows with the square of its length.
            if self._rng.random() < 0.9:
                body["from"] = max(0, newest - self._rng.randint(0, 20))
                body["limit"] = self._rng.randint(1, 20)
        else:
            # Mostly a new slot or the newest, for which another client may have a request open.
            ahead = self._rng.choice((1, 1, 1, 0, 0, 0, -1, -5))
            body |= {} if self._appends else {"slot": max(0, newest + ahead)}
            body["value"] = self._value()
        return {"src": self.name, "dest": self._favourite, "body": body}

    def _value(self) -> str:
        """Return a value that no other client proposes: mostly short, in two requests large."""
        sizes = {LARGE_AT: LARGE, LARGEST_AT: LARGEST if self.name == "c1" else 0}
        sizes = sizes if self._large else {}
        return padded(f"{self.name}-{self._number}", sizes.get(self._number, 0))

    def receive(self, message: Json) -> bool:
        """Process a reply; return whether the client was waiting for it."""
        body = message["body"]
        waited = self._open is not None and self._number == body["in_reply_to"]
        if not waited:
            self.happened["late replies"] += 1
        elif body["type"] == "error":
            self.happened["errors"] += 1
        else:
            self.happened["acknowledged"] += body["type"] == "multi_paxos_propose_ok"
            self.happened["logs read"] += body["type"] == "multi_paxos_log_ok"
        if waited:
            self._open = None
        return waited


class FinalClient:
    """The client of a node in the fault-free period: decides a new slot, then reads the log.

    `slot` is None for an append.  After an error it reads the log once and proposes again.
    """

    def __init__(self, node: str, slot: int | None, large: bool = True) -> None:
        self.name = f"last-{node}"
        self._size = LARGE if large else 0
        self.decided = False
        self.log: set[int] | None = None
        self._refused = False
        self._node = node
        self._slot = slot
        self._number = 0

    def turn(self) -> Json:
        """Return its next request: the same proposal until it has a reply, then log requests."""
        body: Json = {"type": "multi_paxos_propose", "msg_id": self._number}
        if self.decided or self._refused:
            self._number += 1
            body = {"type": "multi_paxos_log", "msg_id": self._number}
        else:
            # A node that cannot read a long line does not recover.
            body |= {} if self._slot is None else {"slot": self._slot}
            body["value"] = padded(f"{self.name}-{self._number}", self._size)
        return {"src": self.name, "dest": self._node, "body": body}

    def receive(self, message: Json) -> None:
        body = message["body"]
        if body["type"] == "multi_paxos_propose_ok":
            self.decided = True
        elif body["type"] == "multi_paxos_log_ok":
            self.log = {entry["slot"] for entry in body["log"]}
            if self._refused:
                self._refused = False
                self._number += 1
        elif not self.decided:
            # A request that failed needs another number.
            self._refused = True
            self._number += 1
