"""Run `python3 impl/main.py` as a user would, with an empty environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import PATIENCE

Run = subprocess.CompletedProcess[bytes]


def run(given: bytes | str, *options: str) -> Run:
    return subprocess.run(
        [sys.executable, "impl/main.py", *options],
        cwd=ROOT,
        env={},
        timeout=PATIENCE,
        input=given if isinstance(given, bytes) else given.encode(),
        capture_output=True,
    )


def startup_error(data: Path, given: str = "", *options: str) -> str:
    """Return the error message of a node that does not start; it prints no message."""
    done = run(given, "--data", str(data), *options)
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"") and "Traceback" not in message
    assert message.startswith("the node cannot go on: ") and message.count("\n") == 1
    return message


def request(msg_id: int, kind: str, **fields: object) -> str:
    """Return a client's line to n1."""
    body = {"type": kind, "msg_id": msg_id, **fields}
    return json.dumps({"src": "c1", "dest": "n1", "body": body}) + "\n"


def init(*nodes: str, node: str = "n1") -> str:
    return (
        json.dumps(
            {
                "src": "c0",
                "dest": node,
                "body": {
                    "type": "init",
                    "msg_id": 1,
                    "node_id": node,
                    "node_ids": list(nodes or [node]),
                },
            }
        )
        + "\n"
    )
