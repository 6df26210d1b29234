"""The requests of clients in a recorded run, with the names, slots and values of a vocabulary.

Several clients may use the same number, and one client may use a number twice for requests that
differ in something else.  When a request is sent, and to which node, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from .vocabulary import HIGHEST, NO_SLOTS, Vocabulary

Json = Any

CLIENTS = 3

# How many numbers the requests of a run share, if they do.
FEW_NUMBERS = 6

# How often a request reads the log, and how often it is malformed.
READ, MALFORMED = 0.1, 0.02


class Requests:
    """Draws the requests to the members of one cluster, `count` of them at most."""

    def __init__(
        self, vocabulary: Vocabulary, members: Sequence[str], rng: Random, count: int
    ) -> None:
        self._members = list(members)
        self._vocabulary = vocabulary
        self._rng = rng
        self._slots = vocabulary.slots(2 * count + 1)
        self._operator, *self._clients = vocabulary.clients(1 + CLIENTS, members)
        few = vocabulary.rng("few numbers").random() < 0.5
        self._different = FEW_NUMBERS if few else count + 1

    def init(self, node: str) -> Json:
        """The first request to a node."""
        body = {"type": "init", "msg_id": self._vocabulary.number(0), "node_id": node}
        return self._message(self._operator, node, {**body, "node_ids": self._members})

    def draw(self, node: str, number: int, place: int) -> Json:
        """A proposal for the slot at a place of the log or, rarely, something else."""
        body: Json = {"type": "multi_paxos_propose", "slot": self._slots(place)}
        body["value"] = self._vocabulary.value(place, self._rng.randrange(4))
        if self._rng.random() < READ:
            body = self._read(place)
        if self._rng.random() < MALFORMED:
            field = "slot" if "slot" in body else "from"
            body = {**body, field: self._rng.choice(NO_SLOTS)}
        body["msg_id"] = self._vocabulary.number(number % self._different)
        return self._message(self._rng.choice(self._clients), node, body)

    def _read(self, place: int) -> Json:
        body: Json = {"type": "multi_paxos_log"}
        if self._rng.random() < 0.5:
            body["from"] = self._slots(place - self._rng.randint(0, 20))
        if self._rng.random() < 0.5:
            body["limit"] = self._rng.choice((0, self._rng.randint(1, 20), HIGHEST))
        return body

    def _message(self, client: str, node: str, body: Json) -> Json:
        return {"src": client, "dest": node, "body": body}
