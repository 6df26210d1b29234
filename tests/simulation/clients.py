"""The clients of a simulation, and the history of their requests and replies.

They send the requests of the script and repeat each until it is answered, as messages are lost.
The script is drawn in `faults`; the history checker decides whether the answers are right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.running.vocabulary import Vocabulary

from .lives import OPERATOR

if TYPE_CHECKING:
    from .cluster import Simulation

Json = Any

PATIENCE = 5.0
"""Seconds before a client repeats a request."""


PLACES = 10_000
"""How many slots a simulation has."""


@dataclass(frozen=True)
class Request:
    """What a client asked, and at how many other nodes it tries if it only gets errors.

    `place` is what the slot of a proposal stands for.
    """

    client: str
    node: str
    body: Json
    tries: float
    place: int = 0

    @property
    def msg_id(self) -> int:
        return self.body["msg_id"]

    def envelope(self) -> Json:
        return {"src": self.client, "dest": self.node, "body": self.body}


class Clients:
    """All clients.  They share the numbers of requests, so each is used once."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.vocabulary = Vocabulary(simulation.script.seed)
        # Under a load, of which there may be much, all is as plain as can be.
        self.plain = bool(simulation.script.load)
        self.slots = int if self.plain else self.vocabulary.slots(PLACES)
        names = (
            [f"c{number}" for number in range(1, 10)]
            if self.plain
            else self.vocabulary.clients(4, [*simulation.hosts, OPERATOR])
        )
        self.called = {name: f"c{number}" for number, name in enumerate(names, 1)}
        self.names = {client: name for name, client in self.called.items()}
        self.history: list[tuple[float, str, Json]] = []
        self.open: dict[int, Request] = {}
        self.acknowledged: set[int] = set()
        self.asked = 0
        self.newest = 0

    def propose(self, client: str, node: str, place: int, tries: float) -> None:
        self.newest = max(self.newest, place)
        number = self.asked + 1
        value = self.value(number) if self.plain else self.vocabulary.value(place, number % 4)
        body = {"type": "multi_paxos_propose", "slot": self.slots(place), "value": value}
        self.ask(client, node, body, tries, place)

    def value(self, number: int) -> Json:
        """Return the value that a request proposes: distinct for each number, of several types."""
        return (f"v{number}", number, [number, None], {"set": number})[number % 4]

    def log(self, client: str, node: str, **which: int) -> int:
        if "from" in which:
            which["from"] = self.slots(which["from"])
        return self.ask(client, node, {"type": "multi_paxos_log", **which})

    def ask(self, client: str, node: str, body: Json, tries: float = 0, place: int = 0) -> int:
        self.asked += 1
        number = self.asked if self.plain else self.vocabulary.number(self.asked)
        name, body = self.names[client], {**body, "msg_id": number}
        self.open[number] = request = Request(name, node, body, tries, place)
        self.send(request)
        return number

    def send(self, request: Request) -> None:
        if request.msg_id in self.open:
            simulation, message = self.simulation, request.envelope()
            self.history.append((simulation.now, "ask", message))
            simulation.carry(
                request.client,
                request.node,
                simulation.arrive,
                simulation.hosts[request.node],
                json.dumps(message).encode(),
                request.msg_id,
            )
            simulation.at(simulation.now + PATIENCE, self.send, request)

    def receive(self, message: Json) -> None:
        self.history.append((self.simulation.now, "answer", message))
        body = message["body"]
        request = self.open.pop(body["in_reply_to"], None)
        if body["type"] == "multi_paxos_propose_ok":
            self.acknowledged.add(body["slot"])
        elif body["type"] == "error":
            self.simulation.happened["errors"] += 1
            if request is not None and request.tries > 0:
                self.try_again(request)

    def try_again(self, request: Request) -> None:
        """Propose for the slot again, at the next node or at the same one."""
        nodes = list(self.simulation.hosts)
        insists = request.tries == float("inf")
        node = nodes[(nodes.index(request.node) + (not insists)) % len(nodes)]
        client = self.called[request.client]
        self.propose(client, node, request.place, request.tries - 1)

    # The end.

    def are_content(self) -> bool:
        return not self.open

    def insist(self, nodes: Sequence[str]) -> Callable[[], bool]:
        """Have each node decide a new slot; return a function that returns whether all have."""
        places = range(self.newest + 1, self.newest + 1 + len(nodes))
        for node, place in zip(nodes, places, strict=True):
            self.propose("c4", node, place, float("inf"))
        return lambda: self.acknowledged.issuperset(map(self.slots, places))

    def insist_on_logs(self, nodes: Sequence[str]) -> Callable[[], bool]:
        numbers = [self.log("c4", node) for node in nodes]
        return lambda: not any(number in self.open for number in numbers)
