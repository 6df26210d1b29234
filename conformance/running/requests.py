"""The requests of clients in a recorded run, with the names, slots and values of a vocabulary.

Several clients may use the same request number, and one client may use a number for two requests
that differ.  The caller decides when a request is sent, and to which node.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from .vocabulary import HIGHEST, NO_SLOTS, Vocabulary

Json = Any

CLIENTS = 3

# How many different numbers the requests of a run have, if there are few.
FEW_NUMBERS = 6

# The probabilities that a request reads the log, and that it is malformed.
READ, MALFORMED = 0.1, 0.02


class Requests:
    """A random source of requests to the members of a cluster, for at most `count` requests."""

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
        """Return the first request to a node."""
        body = {"type": "init", "msg_id": self._vocabulary.number(0), "node_id": node}
        return self._message(self._operator, node, {**body, "node_ids": self._members})

    def draw(self, node: str, number: int, place: int) -> Json:
        """Return a proposal for the slot that stands for a place or, rarely, another request."""
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
