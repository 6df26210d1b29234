"""What clients ask in a faulty world, and when they are content.

They duel: several fill the same slots, at different nodes, with different values.  Nothing here is
sent, and no time passes: a client is told when it is its turn and what it was answered.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

Json = Any


# A value as large as a node need take, by the length of its text as JSON, and one in which a line
# fits no pipe; and which questions of a client have such a value.
LARGEST, LARGE = 1 << 20, 70_000
LARGEST_AT, LARGE_AT = 13, 4


def padded(text: str, size: int) -> str:
    """Return a text that is so long as JSON, quotes included, if it is not longer itself."""
    return text.ljust(size - 2, "-")


class Client:
    """Asks one thing at a time; when no answer comes it asks again, or gives up."""

    TRIES = 3

    def __init__(self, name: str, members: Sequence[str], chance: random.Random) -> None:
        self.name = name
        self.happened: Counter[str] = Counter()
        self._members = list(members)
        self._chance = chance
        self._favourite = chance.choice(self._members)
        self._number = 0
        self._tries = 0
        self._open: Json | None = None

    def turn(self, newest: int) -> Json:
        """What it asks now; `newest` is the highest slot that anybody has asked for."""
        if self._open and self._tries < self.TRIES and self._chance.random() < 0.7:
            self._tries += 1
            self.happened["asked again"] += 1
            return self._open
        self.happened["given up"] += self._open is not None
        self.happened["requests"] += 1
        self._number += 1
        self._tries = 1
        self._open = self._question(newest)
        return self._open

    def _question(self, newest: int) -> Json:
        if self._chance.random() < 0.1:
            self._favourite = self._chance.choice(self._members)
        body: Json = {"type": "multi_paxos_propose", "msg_id": self._number}
        if self._chance.random() < 0.15:
            body["type"] = "multi_paxos_log"
            # Rarely the whole log, for what it costs to judge grows with the square of its length.
            if self._chance.random() < 0.9:
                body["from"] = max(0, newest - self._chance.randint(0, 20))
                body["limit"] = self._chance.randint(1, 20)
        else:
            # Mostly a new slot or the newest, which somebody else may be asking for just now.
            ahead = self._chance.choice((1, 1, 1, 0, 0, 0, -1, -5))
            body |= {"slot": max(0, newest + ahead), "value": self._value()}
        return {"src": self.name, "dest": self._favourite, "body": body}

    def _value(self) -> str:
        """A value that nobody else proposes: mostly short, twice in its life not."""
        sizes = {LARGE_AT: LARGE, LARGEST_AT: LARGEST if self.name == "c1" else 0}
        return padded(f"{self.name}-{self._number}", sizes.get(self._number, 0))

    def answered(self, message: Json) -> bool:
        """Takes an answer; whether it was waited for."""
        body = message["body"]
        waited = self._open is not None and self._number == body["in_reply_to"]
        if not waited:
            self.happened["answered late"] += 1
        elif body["type"] == "error":
            self.happened["errors"] += 1
        else:
            self.happened["acknowledged"] += body["type"] == "multi_paxos_propose_ok"
            self.happened["logs told"] += body["type"] == "multi_paxos_log_ok"
        if waited:
            self._open = None
        return waited


class Last:
    """The last client of a node: has a new slot decided there, then waits for the whole log."""

    def __init__(self, node: str, slot: int) -> None:
        self.name = f"last-{node}"
        self.decided = False
        self.log: set[int] | None = None
        self._node = node
        self._slot = slot
        self._number = 0

    def turn(self) -> Json:
        """A proposal is the same until it is answered; every log is asked for anew."""
        body: Json = {"type": "multi_paxos_propose", "msg_id": self._number}
        if self.decided:
            self._number += 1
            body = {"type": "multi_paxos_log", "msg_id": self._number}
        else:
            # A node that cannot read a long line never comes to know all.
            body |= {"slot": self._slot, "value": padded(f"{self.name}-{self._number}", LARGE)}
        return {"src": self.name, "dest": self._node, "body": body}

    def answered(self, message: Json) -> None:
        body = message["body"]
        if body["type"] == "multi_paxos_propose_ok":
            self.decided = True
        elif body["type"] == "multi_paxos_log_ok":
            self.log = {entry["slot"] for entry in body["log"]}
        elif not self.decided:
            # What was given up has to be asked for under another number.
            self._number += 1
