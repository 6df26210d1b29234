"""An adapter for a node that speaks this protocol in other words: it translates names both ways.

    python tests/nodes/adapter.py COMMAND [OPTION ...]

Change the two tables below to the node's names.  Options are passed on; a node's own message log
would have its names, so --log FILE is left out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

TYPES = {"multi_paxos_propose": "submit", "prepare": "p1a", "promise": "p1b", "accept": "p2a"}
FIELDS = {"ballot": "round"}

Json = Any
Names = dict[str, str]


def renamed(item: Json, fields: Names) -> Json:
    """Return JSON with other keys.  What is inside a value is the client's, and stays."""
    if isinstance(item, dict):
        return {
            fields.get(key, key): inner if key == "value" else renamed(inner, fields)
            for key, inner in item.items()
        }
    return [renamed(inner, fields) for inner in item] if isinstance(item, list) else item


def translated(line: bytes, types: Names, fields: Names) -> bytes:
    """Return a line in other words.  An event, or what is no message, stays as it is."""
    try:
        message = json.loads(line)
        body = renamed(message["body"], fields)
        body["type"] = types.get(body["type"], body["type"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return line
    return json.dumps({**message, "body": body}).encode() + b"\n"


def main(*command: str) -> int:
    at = command.index("--log") if "--log" in command else len(command)
    node = subprocess.Popen(
        [*command[:at], *command[at + 2 :]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    # SIGTERM is for the process group, so it ends the node; the adapter still passes on what the
    # node prints, and its status.  Sent on, it would come twice, and kill a node that is ending.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def feed() -> None:
        for line in sys.stdin.buffer:
            node.stdin.write(translated(line, TYPES, FIELDS))
        # Without this the node never sees the end of its input.
        node.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    types, fields = ({its: ours for ours, its in names.items()} for names in (TYPES, FIELDS))
    for line in node.stdout:
        sys.stdout.buffer.write(translated(line, types, fields))
        sys.stdout.buffer.flush()
    return abs(node.wait())


if __name__ == "__main__":
    # At once: where the node ended by itself, the thread still waits for input.
    os._exit(main(*sys.argv[1:]))
