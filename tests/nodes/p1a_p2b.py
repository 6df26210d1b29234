"""A small Multi-Paxos with messages of its own, to be tested as any system.

    python tests/nodes/p1a_p2b.py [--data DIR] [--votes FILE] [--forget]

Messages are p1a, p1b, p2a and p2b, ballots are {"num", "leader"}, and the leader picks the slots.
What must survive is a vote log, in FILE or in DIR: a line is there before any output leaves.
`--forget` does not read it at the start: a wrong node.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

Json = Any

# Seconds: between two ticks, and until a node without a message of a leader campaigns.
TICK, PATIENCE = 0.05, (0.2, 0.6)


class Node:
    def __init__(self, path: Path | None, forget: bool) -> None:
        self.name, self.members, self.quorum = "", [], 0
        self.promise, self.votes, self.log = [0, ""], {}, {}
        # A leader's: its ballot, None for none; who promised what; and who voted for what.
        self.ballot, self.promises, self.proposed = None, {}, {}
        self.waiting: list[Json] = []
        self.unanswered: set[tuple[str, int]] = set()
        self.output: list[Json] = []
        self.file = self.load(path, forget) if path else None
        self.wait()

    def wait(self) -> None:
        self.campaigns_at = time.monotonic() + random.uniform(*PATIENCE)

    def load(self, path: Path, forget: bool) -> Any:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        whole, end, _ = path.read_bytes().rpartition(b"\n")
        for line in map(json.loads, [] if forget else whole.splitlines()):
            self.keep(line)
        path.write_bytes(whole + end)
        return path.open("ab")

    def keep(self, line: Json) -> None:
        match line:
            case {"promise": ballot}:
                self.promise = ballot
            case {"vote": {"slot": slot, "ballot": ballot, "value": value}}:
                self.promise, self.votes[slot] = ballot, (ballot, value)
            case {"decide": {"slot": slot, "value": value}}:
                self.log[slot] = value

    def save(self, **line: Json) -> None:
        self.keep(line)
        if self.file:
            self.file.write(json.dumps({"node": self.name, **line}).encode() + b"\n")

    def flush(self) -> None:
        if self.file:
            self.file.flush()
            os.fsync(self.file.fileno())
        sys.stdout.write("".join(json.dumps(message) + "\n" for message in self.output))
        sys.stdout.flush()
        self.output = []

    def send(self, dest: str, kind: str, **fields: Json) -> None:
        self.output.append({"src": self.name, "dest": dest, "body": {"type": kind, **fields}})

    def send_in_ballot(self, dest: str, kind: str, **fields: Json) -> None:
        num, leader = fields.pop("ballot", self.ballot)
        self.send(dest, kind, ballot={"num": num, "leader": leader}, **fields)

    def broadcast(self, kind: str, **fields: Json) -> None:
        for member in self.members:
            self.send_in_ballot(member, kind, **fields)

    def leads(self) -> bool:
        return self.ballot is not None and len(self.promises) >= self.quorum

    def receive(self, src: str, body: Json) -> None:
        """Take a message, unless a ballot above its own is promised; follow its ballot."""
        if "ballot" in body:
            ballot = body["ballot"] = [body["ballot"]["num"], body["ballot"]["leader"]]
            if ballot < self.promise:
                return
            if ballot != self.promise and body["type"] != "p2a":
                self.save(promise=ballot)
            if ballot != self.ballot:
                self.ballot = None
            self.wait()
        getattr(self, body["type"])(src, body)

    # Clients.

    def init(self, src: str, body: Json) -> None:
        self.name, self.members = body["node_id"], body["node_ids"]
        self.quorum = len(self.members) // 2 + 1
        self.save(members=self.members)
        self.send(src, "init_ok", in_reply_to=body["msg_id"])

    def multi_paxos_log(self, src: str, body: Json) -> None:
        slots = sorted(slot for slot in self.log if slot >= body.get("from", 0))
        log = [{"slot": slot, "value": self.log[slot]["value"]} for slot in slots if self.log[slot]]
        log = log[: body.get("limit")]
        self.send(src, "multi_paxos_log_ok", log=log, in_reply_to=body["msg_id"])

    def multi_paxos_propose(self, src: str, body: Json) -> None:
        self.waiting.append({"client": src, "number": body["msg_id"], "value": body["value"]})
        self.unanswered.add((src, body["msg_id"]))

    def forwarded(self, src: str, body: Json) -> None:
        self.waiting.append(body["request"])

    def serve(self) -> None:
        """Propose the requests that wait, or forward them to the leader."""
        leader = self.promise[1]
        for request in self.waiting:
            if self.leads():
                self.propose(1 + max([-1, *self.log, *self.proposed]), request)
            elif self.ballot is None and leader not in ("", self.name):
                self.send(leader, "forwarded", request=request)
            else:
                return
        self.waiting = []

    # Ballots.

    def p1a(self, src: str, body: Json) -> None:
        votes, log = [*self.votes.items()], [*self.log.items()]
        self.send_in_ballot(src, "p1b", ballot=body["ballot"], votes=votes, log=log)

    def p1b(self, src: str, body: Json) -> None:
        if self.ballot is None or self.leads():
            return
        self.promises[src] = body["votes"]
        for slot, request in body["log"]:
            self.decide(slot, request)
        if self.leads():
            best: dict[int, Json] = {}
            for slot, vote in (vote for votes in self.promises.values() for vote in votes):
                best[slot] = max(best.get(slot, vote), vote, key=lambda vote: vote[0])
            for slot in range(1 + max([-1, *best, *self.log])):
                # A slot without votes gets no request.
                if slot not in self.log:
                    self.propose(slot, best[slot][1] if slot in best else None)

    def propose(self, slot: int, request: Json) -> None:
        self.proposed[slot] = (request, set())
        self.broadcast("p2a", slot=slot, request=request)

    def p2a(self, src: str, body: Json) -> None:
        ballot, slot = body["ballot"], body["slot"]
        self.save(vote={"slot": slot, "ballot": ballot, "value": body["request"]})
        self.send_in_ballot(src, "p2b", ballot=ballot, slot=slot)

    def p2b(self, src: str, body: Json) -> None:
        if not self.leads() or body["slot"] not in self.proposed:
            return
        request, voters = self.proposed[body["slot"]]
        voters.add(src)
        if len(voters) >= self.quorum:
            del self.proposed[body["slot"]]
            self.decide(body["slot"], request)

    def decide(self, slot: int, request: Json) -> None:
        if slot in self.log:
            return
        self.save(decide={"slot": slot, "value": request})
        if request and (request["client"], request["number"]) in self.unanswered:
            self.unanswered.remove((request["client"], request["number"]))
            fields = {"value": request["value"], "in_reply_to": request["number"]}
            self.send(request["client"], "multi_paxos_propose_ok", slot=slot, **fields)

    # Time.

    def tick(self) -> None:
        if self.leads():
            self.broadcast("alive", log=[*self.log.items()])
            for slot, (request, _) in self.proposed.items():
                self.broadcast("p2a", slot=slot, request=request)
        elif time.monotonic() > self.campaigns_at:
            self.wait()
            self.ballot, self.promises, self.proposed = [self.promise[0] + 1, self.name], {}, {}
            self.broadcast("p1a")

    def alive(self, src: str, body: Json) -> None:
        for slot, request in body["log"]:
            self.decide(slot, request)


def main() -> None:
    given = dict(pairwise([*sys.argv, ""]))
    file = given.get("--votes") or ("--data" in given and f"{given['--data']}/votes.ndjson")
    node, rest, ticks_at = Node(Path(file) if file else None, "--forget" in given), b"", 0.0
    while True:
        if select.select([0], [], [], TICK)[0]:
            piece = os.read(0, 1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for message in map(json.loads, lines):
                node.receive(message["src"], message["body"])
        if node.members and time.monotonic() > ticks_at:
            ticks_at = time.monotonic() + TICK
            node.tick()
        node.serve()
        node.flush()


if __name__ == "__main__":
    main()
