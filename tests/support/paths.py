"""Paths and commands that several tests use."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
IMPL = ROOT / "impl"
CACHE = ROOT / "out" / "cache"
TESTS = ROOT / "tests"
NODES = TESTS / "nodes"
FIXTURES = TESTS / "fixtures"
HISTORIES = FIXTURES / "histories"
OK, BAD = FIXTURES / "takeover-ok.ndjson", FIXTURES / "takeover-bad.ndjson"

NODE = [sys.executable, str(IMPL / "main.py")]
MANUAL_NODE = [*NODE, "--manual-clock"]
BROKEN_NODE = [sys.executable, str(TESTS / "broken_node.py")]
CARELESS_NODE = [sys.executable, str(NODES / "careless_node.py")]
