"""A small Multi-Paxos with messages of its own, to be tested as any system: level 1.

    python tests/nodes/p1a_p2b.py [--data DIR] [--forget]

Messages are p1a, p1b, p2a and p2b, ballots are {"num", "leader"}, and the leader picks the slots.
A node forwards its clients' requests to the leader that it follows; without one it campaigns.
`--forget` removes the directory at each start: a wrong node.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import sys
import time
from pathlib import Path
from typing import Any

Json = Any

# Seconds: between two ticks, and until a node that hears of no leader campaigns.
TICK, PATIENCE = 0.05, (0.2, 0.6)


def rank(ballot: Json) -> tuple[int, str]:
    return ballot["num"], ballot["leader"]


class Node:
    """A node; what must survive is a line of its file before any output leaves."""

    def __init__(self, data: Path | None) -> None:
        self.name, self.members, self.quorum = "", [], 0
        self.votes, self.log, self.promise = {}, {}, {0: {"num": 0, "leader": ""}}
        # A leader's: its ballot, None for none; who promised what; and who voted for what.
        self.ballot, self.promises, self.proposed = None, {}, {}
        self.waiting: list[Json] = []
        self.unanswered: set[tuple[str, int]] = set()
        self.output: list[Json] = []
        self.campaigns_at = time.monotonic() + random.uniform(*PATIENCE)
        self.file = self.load(data / "state") if data else None

    def load(self, path: Path) -> Any:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, end, _ = (path.read_bytes() if path.exists() else b"").rpartition(b"\n")
        for kind, slot, entry in map(json.loads, whole.splitlines()):
            getattr(self, kind)[slot] = entry
        path.write_bytes(whole + end)
        return path.open("ab")

    def save(self, kind: str, slot: int, entry: Json) -> None:
        getattr(self, kind)[slot] = entry
        if self.file:
            self.file.write(json.dumps([kind, slot, entry]).encode() + b"\n")

    def flush(self) -> None:
        if self.file:
            self.file.flush()
            os.fsync(self.file.fileno())
        sys.stdout.write("".join(json.dumps(message) + "\n" for message in self.output))
        sys.stdout.flush()
        self.output = []

    def send(self, dest: str, kind: str, **fields: Json) -> None:
        self.output.append({"src": self.name, "dest": dest, "body": {"type": kind, **fields}})

    def broadcast(self, kind: str, **fields: Json) -> None:
        for member in self.members:
            self.send(member, kind, **fields)

    @property
    def promised(self) -> Json:
        return self.promise[0]

    def leads(self) -> bool:
        return self.ballot is not None and len(self.promises) >= self.quorum

    # Clients.

    def init(self, src: str, body: Json) -> None:
        self.name, self.members = body["node_id"], body["node_ids"]
        self.quorum = len(self.members) // 2 + 1
        self.send(src, "init_ok", in_reply_to=body["msg_id"])

    def multi_paxos_log(self, src: str, body: Json) -> None:
        slots = sorted(slot for slot in self.log if slot >= body.get("from", 0))
        log = [{"slot": slot, "value": self.log[slot]["value"]} for slot in slots if self.log[slot]]
        log = log[: body.get("limit")]
        self.send(src, "multi_paxos_log_ok", log=log, in_reply_to=body["msg_id"])

    def multi_paxos_propose(self, src: str, body: Json) -> None:
        request = {"client": src, "number": body["msg_id"], "value": body["value"]}
        self.waiting.append(request)
        self.unanswered.add((src, body["msg_id"]))

    def forwarded(self, src: str, body: Json) -> None:
        self.waiting.append(body["request"])

    def serve(self) -> None:
        """Propose the requests that wait, or forward them to the leader."""
        leader = self.promised["leader"]
        if self.leads():
            for request in self.waiting:
                self.propose(1 + max([-1, *self.log, *self.proposed]), request)
        elif self.ballot is None and leader not in ("", self.name):
            for request in self.waiting:
                self.send(leader, "forwarded", request=request)
        else:
            return
        self.waiting = []

    # Ballots.

    def follow(self, ballot: Json) -> bool:
        """Promise a ballot, unless a higher one is promised."""
        if rank(ballot) < rank(self.promised):
            return False
        if ballot != self.promised:
            self.save("promise", 0, ballot)
        if ballot != self.ballot:
            self.ballot = None
        self.campaigns_at = time.monotonic() + random.uniform(*PATIENCE)
        return True

    def p1a(self, src: str, body: Json) -> None:
        if self.follow(body["ballot"]):
            votes, log = [*self.votes.items()], [*self.log.items()]
            self.send(src, "p1b", ballot=body["ballot"], votes=votes, log=log)

    def p1b(self, src: str, body: Json) -> None:
        if body["ballot"] != self.ballot or self.leads():
            return
        self.promises[src] = body["votes"]
        for slot, request in body["log"]:
            self.decide(slot, request)
        if self.leads():
            best: dict[int, Json] = {}
            for slot, vote in (vote for votes in self.promises.values() for vote in votes):
                if slot not in best or rank(best[slot]["ballot"]) < rank(vote["ballot"]):
                    best[slot] = vote
            for slot in range(1 + max([-1, *best, *self.log])):
                # A slot without votes gets no request.
                if slot not in self.log:
                    self.propose(slot, best[slot]["request"] if slot in best else None)

    def propose(self, slot: int, request: Json) -> None:
        self.proposed[slot] = (request, set())
        self.broadcast("p2a", ballot=self.ballot, slot=slot, request=request)

    def p2a(self, src: str, body: Json) -> None:
        if self.follow(body["ballot"]):
            vote = {"ballot": body["ballot"], "request": body["request"]}
            self.save("votes", body["slot"], vote)
            self.send(src, "p2b", ballot=body["ballot"], slot=body["slot"])

    def p2b(self, src: str, body: Json) -> None:
        if body["ballot"] == self.ballot and body["slot"] in self.proposed:
            request, voters = self.proposed[body["slot"]]
            voters.add(src)
            if len(voters) >= self.quorum:
                del self.proposed[body["slot"]]
                self.decide(body["slot"], request)

    def decide(self, slot: int, request: Json) -> None:
        if slot in self.log:
            return
        self.save("log", slot, request)
        if request and (request["client"], request["number"]) in self.unanswered:
            self.unanswered.remove((request["client"], request["number"]))
            fields = {"value": request["value"], "in_reply_to": request["number"]}
            self.send(request["client"], "multi_paxos_propose_ok", slot=slot, **fields)

    # Time.

    def tick(self) -> None:
        if self.leads():
            self.broadcast("alive", ballot=self.ballot)
            for slot, (request, _) in self.proposed.items():
                self.broadcast("p2a", ballot=self.ballot, slot=slot, request=request)
        elif time.monotonic() > self.campaigns_at:
            self.campaigns_at = time.monotonic() + random.uniform(*PATIENCE)
            self.ballot = {"num": self.promised["num"] + 1, "leader": self.name}
            self.promises, self.proposed = {}, {}
            self.broadcast("p1a", ballot=self.ballot)

    def alive(self, src: str, body: Json) -> None:
        if self.follow(body["ballot"]):
            self.send(src, "known", slots=[*self.log])

    def known(self, src: str, body: Json) -> None:
        for slot in self.log.keys() - {*body["slots"]}:
            self.send(src, "decided", slot=slot, request=self.log[slot])

    def decided(self, src: str, body: Json) -> None:
        self.decide(body["slot"], body["request"])


def main() -> None:
    data = Path(sys.argv[sys.argv.index("--data") + 1]) if "--data" in sys.argv else None
    if data and "--forget" in sys.argv:
        shutil.rmtree(data, ignore_errors=True)
    node, rest, ticks_at = Node(data), b"", 0.0
    while True:
        if select.select([0], [], [], TICK)[0]:
            piece = os.read(0, 1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for message in map(json.loads, lines):
                getattr(node, message["body"]["type"])(message["src"], message["body"])
        if node.members and time.monotonic() > ticks_at:
            ticks_at = time.monotonic() + TICK
            node.tick()
        node.serve()
        node.flush()


if __name__ == "__main__":
    main()
