"""Mutants made by a tool: mutmut's operators, and a few of the same kind that it lacks.

Which modules and functions are mutated is decided here; a mutant is known by its function, the
source line and the mutated line, never by a line number.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from .sources import Mutant, read

CORE = ("acceptor", "leader", "members", "replica", "slots")
"""Mutated from top to bottom: the protocol."""

PARTS = {
    "wire": {
        "message",
        "multi_paxos_propose",
        "multi_paxos_log",
        "prepare",
        "promise",
        "accept",
        "accepted",
        "rejected",
        "decided",
        "learn",
        "learned",
        "line",
        "text_of_ranges",
        "LogLine.__iter__",
        "text_of_votes",
        "text_of_decisions",
        "text_of_decision",
    },
    "node": {
        "steps_of",
        "Node.turn",
        "Node.take_line",
        "Node.emit",
        "Node.step",
        "Node.event",
        "Node.initialize",
        "Node.begin",
    },
}
"""Functions around the protocol that handle every message.  The refusal of malformed lines is left
out, as are the disk, the clock and the process."""

MODULES = (*CORE, *PARTS)


@dataclass(frozen=True, order=True)
class Change:
    """What a mutation changes, so that people find it and a stale explanation is noticed.

    `place` is the function; the other two are source lines, several of them put in one.
    """

    module: str
    place: str
    line: str
    mutated: str

    def __str__(self) -> str:
        where = f"{self.module}.{self.place}" if self.place else self.module
        return f"{where}: {self.line} -> {self.mutated}"


# Operators that mutmut lacks, as mutmut has them: a node gives the nodes that may replace it.


def left_out(node: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
    """Remove a statement, unless that leaves a name undefined: such a bug is not subtle."""
    [*rest] = node.body
    docstring = m.Expr(m.SimpleString() | m.ConcatenatedString())
    effect = (
        m.Expr()
        | m.AugAssign()
        | m.Return()
        | m.Raise()
        | m.Assign(targets=[m.AssignTarget(m.Attribute() | m.Subscript())])
    )
    if len(rest) == 1 and m.matches(rest[0], effect) and not m.matches(rest[0], docstring):
        yield node.with_changes(body=[cst.Pass()])


def never_or_always(node: cst.If | cst.CompIf) -> Iterator[cst.CSTNode]:
    """Replace a guard by False or by True."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    for operator, constant in ((cst.And(), "False"), (cst.Or(), "True")):
        yield node.with_changes(test=cst.BooleanOperation(test, operator, cst.Name(constant)))


def no_iteration(node: cst.For) -> Iterator[cst.CSTNode]:
    yield node.with_changes(iter=cst.Tuple([]))


OPERATORS = [
    *mutation_operators,
    (cst.SimpleStatementLine, left_out),
    (cst.If, never_or_always),
    (cst.CompIf, never_or_always),
    (cst.For, no_iteration),
]


def mutants() -> dict[Change, Mutant]:
    """All mutants, in the order of the sources."""
    found: dict[Change, Mutant] = {}
    for module in MODULES:
        for change, text in changes(module, read(module)):
            if module in CORE or change.place.split(" ")[0] in PARTS[module]:
                found[change] = Mutant(str(change), {module: text})
    return found


def changes(module: str, source: str) -> Iterator[tuple[Change, str]]:
    """Every changed text of a module, once; one that would be no Python is none."""
    visitor = MutationVisitor(OPERATORS, IgnoredCode(set(), set(), set()))
    tree = MetadataWrapper(cst.parse_module(source)).visit(visitor)
    places, seen, times = functions(source), {source}, Counter()
    kept = left_alone(tree)
    for mutation in visitor.mutations:
        if mutation.original_node in kept:
            continue
        text = mutated(tree, mutation).code
        if text in seen or not compiles(text):
            continue
        seen.add(text)
        change = described(module, source, text, places)
        times[change] += 1
        if times[change] > 1:
            # The same line stands more than once in its function.
            change = replace(change, place=f"{change.place} ({times[change]})")
        yield change, text


def left_alone(tree: cst.Module) -> set[cst.CSTNode]:
    """Return the statements that refuse or drop a line before it is a step, or give the reason."""
    refusal = m.SimpleStatementLine([m.Raise(m.Call(m.Name("Dropped") | m.Name("Refused")))])
    report = m.SimpleStatementLine([m.Expr(m.Call(m.Attribute(attr=m.Name("on_dropped"))))])
    refuses = m.If(body=m.IndentedBlock([refusal]))
    answers = m.ExceptHandler(type=m.Name("Refused"))
    return {
        node
        for found in m.findall(tree, refusal | report | refuses | answers)
        for node in within(found)
    }


def within(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from within(child)


def mutated(tree: cst.Module, mutation: Mutation) -> cst.Module:
    """The whole module with a mutation; only the function that it is in is looked through."""
    old = mutation.contained_by_top_level_function
    if old is None:
        return tree.deep_replace(mutation.original_node, mutation.mutated_node)
    new = old.deep_replace(mutation.original_node, mutation.mutated_node)
    return tree.with_changes(body=[in_place(statement, old, new) for statement in tree.body])


def in_place(statement: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode) -> cst.CSTNode:
    """A statement of a module with a part of it replaced, if it is one or has it in its body."""
    if statement is old:
        return new
    if not isinstance(statement, cst.ClassDef) or old not in statement.body.body:
        return statement
    body = [new if part is old else part for part in statement.body.body]
    return statement.with_changes(body=statement.body.with_changes(body=body))


def compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def described(module: str, source: str, text: str, places: dict[int, str]) -> Change:
    old, new = source.splitlines(), text.splitlines()
    first = alike(old, new)
    last = alike(old[first:][::-1], new[first:][::-1])

    def lines(every: list[str]) -> str:
        return " ".join(line.strip() for line in every[first : len(every) - last])

    return Change(module, places.get(first + 1, ""), lines(old), lines(new))


def alike(one: list[str], other: list[str]) -> int:
    """Return how many lines two texts have in common at the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (line, its) in pairs if line != its), min(len(one), len(other)))


def functions(source: str) -> dict[int, str]:
    """The qualified name of the function, or else of the class, that each line stands in."""
    found: dict[int, str] = {}

    def look(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = above
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                name = f"{above}.{child.name}".lstrip(".")
                found.update(dict.fromkeys(range(child.lineno, child.end_lineno + 1), name))
            look(child, name)

    look(ast.parse(source), "")
    return found
