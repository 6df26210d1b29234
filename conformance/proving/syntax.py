"""The text of a TLA+ module as a tree: the part of the language that `spec/` is written in.

A parser of our own: the one on the package index needs Python 3.11 and is there as source alone.
What is not known here is an error with file and line, never left out.  Not known: proofs, temporal
operators other than `[]`, and operators that the table `_INFIX` does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class SyntaxProblem(Exception):
    """Text that is outside of the known part of TLA+; the message has file and line."""


@dataclass(frozen=True)
class Expr:
    """An expression: its kind, its parts (expressions, names, lists of these), and where it is."""

    kind: str
    parts: tuple[Any, ...]
    where: str = field(compare=False, default="")

    def names(self) -> set[str]:
        """Return the names that occur in it."""
        own = {self.parts[0]} if self.kind == "name" else set()
        return own.union(*map(_names, self.parts))


def _names(part: Any) -> set[str]:
    """Return the names in a part of an expression, which may be a list, or a LET's definition."""
    if isinstance(part, Expr):
        return part.names()
    if isinstance(part, Definition):
        return part.body.names()
    return set().union(*map(_names, part)) if isinstance(part, (list, tuple)) else set()


@dataclass(frozen=True)
class Definition:
    """`Name(parameters) == body`; `kind` is "operator", "function" or "instance".

    The body of a function is a `function` expression; of an instance, its module and substitutions.
    """

    name: str
    parameters: tuple[str, ...]
    body: Expr
    kind: str = "operator"


@dataclass
class Module:
    """A module: what it extends and declares, and its definitions by name, in order."""

    name: str
    path: Path
    extends: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int
    column: int


_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<line>-{4,}|={4,})|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<op><=>|=>|==|=<|<=|>=|\|->|->|<-|<<|>>_?|:>|@@|\.\.|/\\|\\/|\\[A-Za-z]+|\[\]|\]_
       |[-+*%=\#<>~'.,:;()\[\]{}@!\\|])""",
    re.VERBOSE,
)

# Operator -> precedence, and whether it groups to the right.
_INFIX = {
    "=>": (1, True),
    "<=>": (2, False),
    "\\/": (3, False),
    "/\\": (3, False),
    **dict.fromkeys(["=", "#", "<", ">", "<=", ">=", "\\in", "\\notin", "\\subseteq"], (5, False)),
    "@@": (6, False),
    ":>": (7, False),
    **dict.fromkeys(["\\cup", "\\cap", "\\"], (8, False)),
    "..": (9, False),
    "+": (10, False),
    "-": (11, False),
    **dict.fromkeys(["*", "%", "\\o"], (13, False)),
}
_PREFIX = {"~": 4, "UNCHANGED": 4, "[]": 4, "SUBSET": 8, "UNION": 8, "DOMAIN": 9, "-": 12}
_ENDS = {"==", ",", ")", "]", "}", ">>", ":", "|->", "->", "<-", "THEN", "ELSE", "IN", "[]", "]_"}
_UNITS = {
    *("EXTENDS", "CONSTANT", "CONSTANTS", "VARIABLE", "VARIABLES"),
    *("ASSUME", "RECURSIVE", "LOCAL", "THEOREM", "INSTANCE"),
}


def load(path: Path) -> Module:
    """Parse the module in a file; raises `SyntaxProblem`."""
    return parse(path.read_text("utf-8"), path)


def parse(text: str, path: Path) -> Module:
    """Parse the text of a module; `path` is what errors name."""
    return _Parser(list(_tokens(_blanked(text), path)), path).module()


def _blanked(text: str) -> str:
    """The text with spaces in place of comments, so that positions stay."""
    kept, depth, at = [], 0, 0
    while at < len(text):
        pair = text[at : at + 2]
        if pair in ("(*", "*)") and (depth or pair == "(*"):
            depth += 1 if pair == "(*" else -1
            kept.append("  ")
            at += 2
        elif not depth and pair == "\\*":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            kept.append(" " * (end - at))
            at = end
        else:
            kept.append(text[at] if not depth or text[at] == "\n" else " ")
            at += 1
    return "".join(kept)


def _tokens(text: str, path: Path) -> Iterator[Token]:
    start = text.index("----")
    line, begin, at = text.count("\n", 0, start) + 1, text.rfind("\n", 0, start) + 1, start
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise SyntaxProblem(f"{path.name}:{line}: unknown text {text[at : at + 10]!r}")
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found[0], line, at - begin)
            if found.lastgroup == "line" and found[0][0] == "=":
                return
        if newlines := found[0].count("\n"):
            line += newlines
            begin = at + found[0].rindex("\n") + 1
        at = found.end()


class _Parser:
    """Recursive descent over the tokens of one module."""

    def __init__(self, tokens: list[Token], path: Path) -> None:
        self.tokens = tokens
        self.path = path
        self.at = 0
        # A token at this column or left of it ends the item of a list of conjuncts or disjuncts.
        self.margin = -1

    # Tokens.

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one that ends every expression."""
        if self.at + ahead < len(self.tokens):
            token = self.tokens[self.at + ahead]
            if token.column > self.margin:
                return token
            return Token("margin", "", token.line, token.column)
        return Token("end", "", self.tokens[-1].line, 0)

    def sees(self, *texts: str) -> bool:
        token = self.peek()
        return token.kind != "string" and token.text in texts

    def take(self, text: str | None = None) -> Token:
        token = self.peek()
        if token.kind in ("margin", "end") or (text is not None and token.text != text):
            real = self.tokens[min(self.at, len(self.tokens) - 1)]
            self.fail(f"{text or 'more'} expected, {real.text!r} found")
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.sees(text):
            self.at += 1
            return True
        return False

    def fail(self, reason: str) -> Any:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        raise SyntaxProblem(f"{self.path.name}:{token.line}: {reason}")

    def where(self) -> str:
        return f"{self.path.name}:{self.tokens[min(self.at, len(self.tokens) - 1)].line}"

    def many(self, item: Any) -> list[Any]:
        found = [item()]
        while self.accept(","):
            found.append(item())
        return found

    # Modules.

    def module(self) -> Module:
        self.take()
        self.take("MODULE")
        module = Module(self.take().text, self.path)
        self.take()
        while self.peek().kind != "end" and not self.peek().text.startswith("===="):
            self.unit(module)
        return module

    def unit(self, module: Module) -> None:
        token = self.peek()
        if token.kind == "line":
            self.take()
        elif self.accept("EXTENDS"):
            module.extends += self.many(lambda: self.take().text)
        elif token.text in ("CONSTANT", "CONSTANTS", "VARIABLE", "VARIABLES", "RECURSIVE"):
            self.take()
            names = self.many(self.declared)
            if token.text.startswith("CONSTANT"):
                module.constants += names
            elif token.text.startswith("VARIABLE"):
                module.variables += names
        elif self.accept("ASSUME"):
            self.expression()
        else:
            found = self.definition()
            module.definitions[found.name] = found

    def declared(self) -> str:
        """A name, or an operator to be defined or given: `Name(_, _)`."""
        name = self.take().text
        if self.accept("("):
            self.many(self.take)
            self.take(")")
        return name

    def definition(self) -> Definition:
        where, name = self.where(), self.take().text
        if self.accept("["):
            bounds = self.bounds()
            self.take("]")
            self.take("==")
            body = Expr("function", (bounds, self.expression()), where)
            return Definition(name, (), body, "function")
        parameters: list[str] = []
        if self.accept("("):
            parameters = self.many(self.declared)
            self.take(")")
        self.take("==")
        if self.accept("INSTANCE"):
            module, pairs = self.take().text, []
            if self.accept("WITH"):
                pairs = self.many(self.substitution)
            return Definition(
                name, tuple(parameters), Expr("instance", (module, pairs), where), "instance"
            )
        return Definition(name, tuple(parameters), self.expression())

    def substitution(self) -> tuple[str, Expr]:
        name = self.take().text
        self.take("<-")
        return name, self.expression()

    # Expressions.

    def expression(self, least: int = 0) -> Expr:
        left = self.prefix()
        while True:
            token = self.peek()
            if token.kind != "op" or token.text not in _INFIX:
                return left
            strength, right = _INFIX[token.text]
            if strength < least:
                return left
            where = self.where()
            self.take()
            other = self.expression(strength if right else strength + 1)
            left = Expr("infix", (token.text, left, other), where)

    def prefix(self) -> Expr:
        token, where = self.peek(), self.where()
        if token.text in ("/\\", "\\/") and token.kind == "op":
            return self.junction(token)
        if token.text in _PREFIX and token.kind in ("op", "name"):
            self.take()
            return Expr("prefix", (token.text, self.expression(_PREFIX[token.text])), where)
        return self.postfix(self.atom())

    def junction(self, bullet: Token) -> Expr:
        """A list of conjuncts or disjuncts, whose bullets stand in one column."""
        where, outer, items = self.where(), self.margin, []
        while self.sees(bullet.text) and self.peek().column == bullet.column:
            self.take()
            self.margin = bullet.column
            items.append(self.expression())
            self.margin = outer
        return Expr("and" if bullet.text == "/\\" else "or", tuple(items), where)

    def postfix(self, found: Expr) -> Expr:
        while True:
            where = self.where()
            if self.accept("'"):
                found = Expr("prime", (found,), where)
            elif self.sees("."):
                self.take()
                found = Expr("field", (found, self.take().text), where)
            elif self.sees("["):
                self.take()
                found = Expr("apply", (found, self.inside("]")), where)
            else:
                return found

    def inside(self, close: str) -> Expr:
        found = self.expression()
        self.take(close)
        return found

    def bounds(self) -> list[tuple[str, Expr]]:
        """`x, y \\in S, z \\in T` as pairs of a name and a set."""
        found: list[tuple[str, Expr]] = []
        while True:
            names = self.many(lambda: self.take().text)
            self.take("\\in")
            domain = self.expression(6)
            found += [(name, domain) for name in names]
            if not self.accept(","):
                return found

    def atom(self) -> Expr:
        token, where = self.peek(), self.where()
        special = {
            "(": self.bracketed,
            "{": self.braces,
            "[": self.brackets,
            "<<": self.sequence,
            "IF": self.conditional,
            "CASE": self.cases,
            "LET": self.local,
            "CHOOSE": self.quantified,
            "\\A": self.quantified,
            "\\E": self.quantified,
            "LAMBDA": self.anonymous,
        }
        if token.kind in ("op", "name") and token.text in special:
            self.take()
            return special[token.text](token, where)
        if token.kind == "number":
            return Expr("number", (int(self.take().text),), where)
        if token.kind == "string":
            return Expr("string", (self.take().text[1:-1],), where)
        if token.text == "@":
            self.take()
            return Expr("at", (), where)
        if token.kind == "name" and token.text not in _UNITS | _ENDS:
            return self.named(where)
        return self.fail(f"an expression expected, {token.text!r} found")  # type: ignore[no-any-return]

    def named(self, where: str) -> Expr:
        """A name, with arguments or without, in this module or in an instance (`V!Act(a, b)`)."""
        path: list[Any] = []
        while True:
            name, arguments = self.take().text, []
            if self.accept("("):
                arguments = self.many(self.expression)
                self.take(")")
            path.append((name, arguments))
            if not self.accept("!"):
                break
        found = Expr("name", path[-1], where)
        for name, arguments in reversed(path[:-1]):
            found = Expr("within", (name, arguments, found), where)
        return found

    def bracketed(self, token: Token, where: str) -> Expr:
        margin, self.margin = self.margin, -1
        found = self.inside(")")
        self.margin = margin
        return found

    def sequence(self, token: Token, where: str) -> Expr:
        items = [] if self.sees(">>") else self.many(self.expression)
        self.take(">>")
        return Expr("tuple", tuple(items), where)

    def braces(self, token: Token, where: str) -> Expr:
        if self.accept("}"):
            return Expr("set", (), where)
        if self.peek().kind == "name" and self.peek(1).text == "\\in":
            start = self.at
            bounds = self.bounds()
            if len(bounds) == 1 and self.accept(":"):
                return Expr("filter", (*bounds[0], self.inside("}")), where)
            self.at = start
        items = self.many(self.expression)
        if self.accept(":"):
            bounds = self.bounds()
            self.take("}")
            return Expr("image", (items[0], bounds), where)
        self.take("}")
        return Expr("set", tuple(items), where)

    def brackets(self, token: Token, where: str) -> Expr:
        after = self.peek(1).text
        if self.peek().kind == "name" and after in ("|->", ":"):
            pairs = self.many(lambda: (self.take().text, self.take().text, self.expression()))
            self.take("]")
            kind = "record" if after == "|->" else "records"
            return Expr(kind, tuple((name, item) for name, _, item in pairs), where)
        if self.peek().kind == "name" and after in ("\\in", ","):
            bounds = self.bounds()
            self.take("|->")
            return Expr("function", (bounds, self.inside("]")), where)
        first = self.expression()
        if self.accept("EXCEPT"):
            changes = self.many(self.change)
            self.take("]")
            return Expr("except", (first, tuple(changes)), where)
        if self.accept("->"):
            return Expr("functions", (first, self.inside("]")), where)
        self.take("]_")
        return Expr("box", (first, self.prefix()), where)

    def change(self) -> tuple[list[tuple[str, Any]], Expr]:
        """`!.field[key] = value` as the way to the place, and the value."""
        self.take("!")
        way: list[tuple[str, Any]] = []
        while not self.sees("="):
            if self.accept("."):
                way.append(("field", self.take().text))
            else:
                self.take("[")
                way.append(("key", self.inside("]")))
        self.take("=")
        return way, self.expression()

    def conditional(self, token: Token, where: str) -> Expr:
        test = self.expression()
        self.take("THEN")
        first = self.expression()
        self.take("ELSE")
        return Expr("if", (test, first, self.expression()), where)

    def cases(self, token: Token, where: str) -> Expr:
        arms: list[tuple[Expr | None, Expr]] = []
        while True:
            test = None if self.accept("OTHER") else self.expression()
            self.take("->")
            arms.append((test, self.expression()))
            if not self.accept("[]"):
                return Expr("case", tuple(arms), where)

    def local(self, token: Token, where: str) -> Expr:
        found = []
        while not self.sees("IN"):
            found.append(self.definition())
        self.take("IN")
        return Expr("let", (tuple(found), self.expression()), where)

    def quantified(self, token: Token, where: str) -> Expr:
        bounds = self.bounds()
        self.take(":")
        return Expr(token.text.lstrip("\\").lower(), (bounds, self.expression()), where)

    def anonymous(self, token: Token, where: str) -> Expr:
        names = self.many(lambda: self.take().text)
        self.take(":")
        return Expr("lambda", (tuple(names), self.expression()), where)
