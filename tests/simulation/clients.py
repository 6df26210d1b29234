"""The clients of a simulated world, and the one history of all that they see.

They ask what they are told to and repeat it until it is answered, for messages are lost.  What they
ask for is told in `faults`, and whether they were answered rightly is for the judge of histories.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.running.vocabulary import Vocabulary

from .lives import OPERATOR

if TYPE_CHECKING:
    from .world import World

Json = Any

PATIENCE = 5.0
"""How long a client waits before it repeats what it asked."""


PLACES = 10_000
"""How many slots a world has."""


@dataclass(frozen=True)
class Request:
    """What a client asked, and at how many other nodes it tries if all it is told is an error.

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
    """All clients.  A number is used for one request alone, whichever client asks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.vocabulary = Vocabulary(world.script.seed)
        # Under a load, of which there may be much, all is as plain as can be.
        self.plain = bool(world.script.load)
        self.slots = int if self.plain else self.vocabulary.slots(PLACES)
        names = (
            [f"c{number}" for number in range(1, 10)]
            if self.plain
            else self.vocabulary.clients(4, [*world.hosts, OPERATOR])
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
        """The value that a request proposes: another one for each number, of several types."""
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
        self.say(request)
        return number

    def say(self, request: Request) -> None:
        if request.msg_id in self.open:
            world, message = self.world, request.envelope()
            self.history.append((world.now, "ask", message))
            world.carry(
                request.client,
                request.node,
                world.arrive,
                world.hosts[request.node],
                json.dumps(message).encode(),
                request.msg_id,
            )
            world.at(world.now + PATIENCE, self.say, request)

    def hear(self, message: Json) -> None:
        self.history.append((self.world.now, "answer", message))
        body = message["body"]
        request = self.open.pop(body["in_reply_to"], None)
        if body["type"] == "multi_paxos_propose_ok":
            self.acknowledged.add(body["slot"])
        elif body["type"] == "error":
            self.world.happened["errors"] += 1
            if request is not None and request.tries > 0:
                self.try_again(request)

    def try_again(self, request: Request) -> None:
        """The slot is asked for anew, at the next node, or at the same one by who insists."""
        nodes = list(self.world.hosts)
        insists = request.tries == float("inf")
        node = nodes[(nodes.index(request.node) + (not insists)) % len(nodes)]
        client = self.called[request.client]
        self.propose(client, node, request.place, request.tries - 1)

    # The end.

    def are_content(self) -> bool:
        return not self.open

    def insist(self, nodes: Sequence[str]) -> Callable[[], bool]:
        """Have each node decide a new slot; the result tells whether all have."""
        places = range(self.newest + 1, self.newest + 1 + len(nodes))
        for node, place in zip(nodes, places, strict=True):
            self.propose("c4", node, place, float("inf"))
        return lambda: self.acknowledged.issuperset(map(self.slots, places))

    def insist_on_logs(self, nodes: Sequence[str]) -> Callable[[], bool]:
        numbers = [self.log("c4", node) for node in nodes]
        return lambda: not any(number in self.open for number in numbers)
