"""The arrows between the layers and the words they share, read from the sources themselves.

Each check is a function of texts, so that each is also seen to reject one; what the code does is
tested elsewhere.
"""

from __future__ import annotations

import ast
import re
import sys

import pytest
from multipaxos import messages
from multipaxos.members import Members
from multipaxos.node import EVENTS
from multipaxos.replica import Replica

from tests.support.paths import ROOT

NODE = {path.stem: path.read_text("utf-8") for path in (ROOT / "impl/multipaxos").glob("*.py")}
# It starts `process`, as impl/main.py does, and holds nothing else.
del NODE["__main__"]
HARNESS = {path.stem: path.read_text("utf-8") for path in (ROOT / "conformance").rglob("*.py")}
SPEC = (ROOT / "spec/MultiPaxos.tla").read_text("utf-8")

OUTER = {
    "readable",
    "wire",
    "files",
    "formats",
    "message_log",
    "storage",
    "node",
    "printed",
    "process",
    "__init__",
}
CORE = sorted(NODE.keys() - OUTER)
PURE = {"__future__", "bisect", "collections", "dataclasses", "heapq", "itertools", "typing"}
# The clock is given its PRNG.
ALLOWED_IMPORTS = {"clock": {"random"}}
OUTSIDE = {"open", "print", "input", "exec", "eval", "__import__"}


def imports(source: str) -> set[str]:
    """The modules that a source imports; a leading dot marks a sibling."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {"." + name.split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


# Layers.


def impure(source: str, and_: frozenset[str] | set[str] = frozenset()) -> set[str]:
    """What a module of the core uses and must not."""
    allowed = PURE | and_ | {f".{module}" for module in CORE}
    return (imports(source) - allowed) | (names(source) & OUTSIDE)


def test_core_modules_exist() -> None:
    assert {"acceptor", "clock", "leader", "members", "messages", "replica", "slots"} <= set(CORE)


@pytest.mark.parametrize("module", CORE)
def test_core_is_pure(module: str) -> None:
    assert impure(NODE[module], ALLOWED_IMPORTS.get(module, set())) == set()


@pytest.mark.parametrize(
    "source, found",
    [
        ("import json", {"json"}),
        ("import time", {"time"}),
        ("from random import random", {"random"}),
        ("from os import path", {"os"}),
        ("from . import wire", {".wire"}),
        ("from .node import Node", {".node"}),
        ("def f():\n    import sys", {"sys"}),
        ("open('x')", {"open"}),
        ("print(1)", {"print"}),
        ("from conformance import x", {"conformance"}),
    ],
)
def test_impure_module_is_found(source: str, found: set[str]) -> None:
    assert impure(source) == found


# Each room of the harness knows those before it alone.
ROOMS = [
    "formats",
    "tlaplus",
    "models",
    "proving",
    "golden",
    "validation",
    "running",
    "coverage",
    "mutation",
    "exporting",
    "benchmark",
    "grading",
    "cli",
]
# What stands in no package: the first six serve all of them and know none, the others are served.
SHARED = {"cache", "guard", "jobs", "locations", "report", "results"}
VERBS = {"checking", "shrink", "whole_check", "__main__"}


def rooms(source: str) -> set[str]:
    """The rooms and the modules in none that a module in a room imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            names = [node.module] if node.module else [each.name for each in node.names]
            found |= {name.split(".")[0] for name in names}
    return found


def test_every_package_is_listed() -> None:
    folders = {path.parent.name for path in (ROOT / "conformance").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "conformance").glob("*.py")}
    assert folders == set(ROOMS) and modules == SHARED | VERBS | {"__init__"}


@pytest.mark.parametrize("room", ROOMS)
def test_package_imports_only_packages_before_it(room: str) -> None:
    allowed = SHARED | set(ROOMS[: ROOMS.index(room)])
    if room == "grading":
        # A grade is made of parts of the whole check.
        allowed |= {"checking"}
    if room == "cli":
        allowed |= VERBS
    for path in (ROOT / "conformance" / room).glob("*.py"):
        assert rooms(path.read_text("utf-8")) <= allowed, path.name


@pytest.mark.parametrize("module", sorted(SHARED))
def test_shared_modules_import_no_package(module: str) -> None:
    siblings = {f".{name}" for name in SHARED}
    assert {name for name in imports(HARNESS[module]) if name.startswith(".")} <= siblings


def test_import_of_a_later_package_is_found() -> None:
    assert rooms("from .. import report\nfrom ..grading.plan import Plan\nfrom . import x") == {
        "report",
        "grading",
    }


def users(modules: dict[str, str], *used: str) -> set[str]:
    return {
        name for name, source in modules.items() if (imports(source) | names(source)) & set(used)
    }


def test_only_wire_uses_json() -> None:
    assert users(NODE, "json") == {"wire"}


def test_only_process_and_storage_do_io() -> None:
    assert users(NODE, "os", "pathlib", *OUTSIDE) == {
        "process",
        "storage",
        "files",
        "message_log",
    }
    assert users(NODE, "sys", "argparse", "select", "signal", "time") == {"process"}
    assert users(NODE, "sqlite3") == {"storage", "formats"}


def test_node_needs_only_the_standard_library() -> None:
    used = set().union(*map(imports, NODE.values()))
    assert {name for name in used if name[0] != "."} <= set(sys.stdlib_module_names) | {
        "__future__"
    }


def test_node_and_harness_never_import_each_other() -> None:
    assert users(NODE, "conformance") == set()
    assert users(HARNESS, "multipaxos") == set()
    assert users({"bad": "from multipaxos.node import Node"}, "multipaxos") == {"bad"}


@pytest.mark.parametrize(
    "module",
    [
        "history_checker",
        "delivery",
        "handshake",
        "network",
        "clients",
        "causality",
        "shiviz",
        "challenge_cases",
    ],
)
def test_checkers_and_random_choices_are_pure(module: str) -> None:
    assert not imports(HARNESS[module]) & {"os", "select", "signal", "subprocess", "sys", "time"}
    assert not names(HARNESS[module]) & OUTSIDE


def speakers_of_java(modules: dict[str, str]) -> set[str]:
    return {name for name, source in modules.items() if re.search("java", source, re.IGNORECASE)}


def test_only_tlc_knows_java() -> None:
    assert speakers_of_java(NODE) == set()
    assert speakers_of_java(HARNESS) <= {"tlc"}
    assert speakers_of_java({"bad": "run('java')", "good": "tlc.run()"}) == {"bad"}


def printers(modules: dict[str, str]) -> set[str]:
    """The modules that write to standard output or standard error by themselves."""
    found = set()
    for name, source in modules.items():
        tree = list(ast.walk(ast.parse(source)))
        attributes = {node.attr for node in tree if isinstance(node, ast.Attribute)}
        called = names(source) | attributes
        if called & {"print", "echo", "secho", "Console"} or any(
            isinstance(node, ast.Attribute)
            and node.attr in ("stdout", "stderr")
            and isinstance(node.value, ast.Name)
            and node.value.id == "sys"
            for node in tree
        ):
            found.add(name)
    return found


def test_only_the_report_prints() -> None:
    # Programs of their own: peers are measured and print as nodes do, and the server runs the node.
    assert printers(HARNESS) - {"peers", "preload_server"} == {"report"}
    for source in (
        "print(1)",
        "import click\nclick.echo(1)",
        "import sys\nsys.stderr.write('')",
        "from rich.console import Console\nConsole().print(1)",
    ):
        assert printers({"bad": source}) == {"bad"}


# Vocabulary.


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name).lower()


def definition(spec: str, name: str) -> str:
    """The text of an operator's definition, up to the blank line behind it and without comments."""
    found = re.search(rf"^{name}(?:\([^)]*\))? ==(.*?)\n\s*\n", spec, re.DOTALL | re.MULTILINE)
    assert found, f"the spec defines no {name}"
    return re.sub(r"\\\*.*", "", found[1])


def actions(spec: str) -> set[str]:
    """The actions of Next, with Receive taken apart."""

    def called(name: str) -> set[str]:
        return set(re.findall(r"\b([A-Z]\w+)\(", definition(spec, name)))

    return called("Next") - {"Receive"} | called("Receive")


def fields(spec: str) -> set[str]:
    return set(re.findall(r"(?<!\\in )\b(\w+)\s*\|->", definition(spec, "Fresh")))


def message_types(spec: str) -> dict[str, tuple[str, ...]]:
    """The record of each message that the spec makes: its type and then its other fields."""
    records = re.findall(r'\[type\s*\|->\s*"(\w+)",([^]]*\|->.*?)\]\)*\s*\n', spec, re.DOTALL)
    return {
        kind: tuple(re.findall(r"(\w+)\s*\|->", re.sub(r"\[[^]]*\]", "", rest)))
        for kind, rest in records
    }


def methods(replica: type) -> set[str]:
    return {
        name
        for name in vars(replica)
        if name.startswith("receive_") or name in map(str.lower, (*EVENTS.values(), "Repeat"))
    }


def test_actions_are_methods() -> None:
    assert {snake(action) for action in actions(SPEC)} == methods(Replica)


def test_docstrings_name_the_actions() -> None:
    for action in actions(SPEC):
        docstring = getattr(Replica, snake(action)).__doc__
        assert re.match(rf"{action}[.:]", docstring), action


def test_every_method_is_an_operator() -> None:
    operators = {snake(name) for name in re.findall(r"(\w+)(?:\([^)]*\))? ==", SPEC)}
    assert {name for name in vars(Replica) if not name.startswith("__")} <= operators


def test_fields_are_attributes() -> None:
    replica = Replica("n1", Members(["n1"]), 1)
    about_all = vars(replica).keys() & {"up", "versions"}
    state = vars(replica.acceptor).keys() | vars(replica.leader).keys() | about_all
    # `known` is an index of `decided`: the spec's Known(s).
    assert fields(SPEC) == state - {"known"}


def classes() -> dict[str, tuple[str, ...]]:
    """Message type -> fields, of every message class."""
    kinds = messages.Body.__args__
    return {snake(kind.__name__): kind.__match_args__ for kind in kinds}


def test_message_types_are_classes() -> None:
    received = set(re.findall(r'Receives\(n, m, "(\w+)"\)', SPEC))
    # `init` is how a process learns what the spec takes as given.
    assert received | message_types(SPEC).keys() == classes().keys() - {"init", "init_ok"}


def test_message_fields_are_the_same() -> None:
    for kind, found in message_types(SPEC).items():
        for_people = ("text",) if kind == "error" else ()
        assert classes()[kind] == found + for_people, kind


MINIATURE = """
Fresh ==
    [promised |-> 0,    \\* not a |-> field
     up       |-> TRUE]

Reply == [type |-> "reply", slot |-> 1,
          log |-> [i \\in S |-> entry(i)]]

Receive(n, m) ==
    \\/ ReceiveAsk(n, m)

Next ==
    \\/ \\E m \\in network : Receive(m.dest, m)
    \\/ \\E n \\in Node : Timeout(n)

"""


def test_spec_is_parsed() -> None:
    assert actions(MINIATURE) == {"ReceiveAsk", "Timeout"}
    assert fields(MINIATURE) == {"promised", "up"}
    assert message_types(MINIATURE) == {"reply": ("slot", "log")}


def test_missing_field_is_found() -> None:
    renamed = SPEC.replace("ReceiveLearned(n, m)", "ReceiveTaught(n, m)")
    assert {snake(action) for action in actions(renamed)} ^ methods(Replica) == {
        "receive_taught",
        "receive_learned",
    }
    assert "known" not in message_types(re.sub(r"known( *)\|->", r"learned\1|->", SPEC))["prepare"]
    assert "vow" in fields(SPEC.replace("promised |-> 0", "vow |-> 0"))


# The refinement chain.


def known(module: str) -> set[str]:
    """The modules that a module of the specification knows: it extends or instantiates them."""
    text = (ROOT / f"spec/{module}.tla").read_text("utf-8")
    extended = re.findall(r"(?m)^EXTENDS (.*)$", text)
    return set(re.findall(r"\w+", " ".join(extended))) | set(re.findall(r"INSTANCE (\w+)", text))


STANDARD = {"Naturals", "Sequences", "FiniteSets"}


@pytest.mark.parametrize(
    "module, below",
    [
        ("Consensus", set()),
        ("Voting", {"Consensus"}),
        ("VoteLogs", {"Voting"}),
        ("MultiPaxos", {"Voting"}),
        ("Liveness", {"MultiPaxos"}),
        ("Invariant", {"MultiPaxos"}),
    ],
)
def test_level_refers_only_to_the_level_above(module: str, below: set[str]) -> None:
    assert known(module) - STANDARD == below


def test_every_module_of_the_specification_has_a_level() -> None:
    assert {path.stem for path in (ROOT / "spec").glob("*.tla")} == {
        "Consensus",
        "Voting",
        "VoteLogs",
        "MultiPaxos",
        "Liveness",
        "Invariant",
    }
