"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from conformance.formats.schema import check_record
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = [
    re.sub(r"(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n|^\n)+", README)
]


def test_the_node_answers_as_shown() -> None:
    [shown] = [block for block in BLOCKS if "impl/main.py <<'END'" in block]
    given = shown.split("<<'END'\n")[1].split("\nEND")[0]
    done = subprocess.run(
        [sys.executable, "impl/main.py"],
        input=given.encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=20,
        check=True,
    )
    [printed] = [block for block in BLOCKS if '"init_ok"' in block and "END" not in block]
    assert done.stdout.decode() == printed.strip() + "\n" and done.stderr == b""


def test_the_record_shown_is_one() -> None:
    [record] = re.findall(r'(?m)^    (\{"node": .*)$', README)
    check_record(json.loads(record))


def test_links_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_targets_named_are_there() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    named = set(re.findall(r"(?m)(?:`|^    )make ([a-z-]+)", README))
    assert {"check", "test"} <= named <= targets
