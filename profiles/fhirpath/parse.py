"""FHIRPath text to a tree: the grammar of FHIRPath 2.0.0 (N1), section "Formal Specifications"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from profiles.fhirpath.errors import Unsupported
from profiles.fhirpath.tree import (
    Binary,
    Call,
    Index,
    Literal,
    Member,
    QuantityLiteral,
    Special,
    Tree,
    TypeTest,
    Unary,
    Variable,
)

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*(?s:.*?)\*/)
    |(?P<string>'(?:[^'\\]|\\(?s:.))*')
    |(?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?
        (?P<time>T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    |(?P<clock>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<special>\$(?:this|index|total))
    |(?P<variable>%(?:[A-Za-z_]\w*(?:-\w+)*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
    |(?P<quoted>`(?:[^`\\]|\\.)*`)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><=|>=|!=|!~|[-+*/&|<>=~.,()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

_PRECEDENCE = {
    operator: rank
    for rank, operators in enumerate(
        [
            ["implies"],
            ["or", "xor"],
            ["and"],
            ["in", "contains"],
            ["=", "~", "!=", "!~"],
            ["<", ">", "<=", ">="],
            ["|"],
            ["is", "as"],
            ["+", "-", "&"],
            ["*", "/", "div", "mod"],
        ]
    )
    for operator in operators
}
_CALENDAR = {
    word + plural
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}


def parse(expression: str) -> Tree:
    """The tree of an expression. Raises Unsupported when it is not FHIRPath, or nested too deeply."""
    try:
        parser = _Parser(_tokens(expression))
        tree = parser.expression(0)
        parser.expect("end")
    except RecursionError:
        raise Unsupported("an expression that is nested too deeply") from None
    return tree


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(expression: str) -> list[_Token]:
    found = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise Unsupported(f"an expression that cannot be read from character {position + 1} on")
        position = match.end()
        kind = "date" if match["date"] else str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, match[0]))
    return [*found, _Token("end", "")]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPED.get(m[2], m[2]), text)


class _Parser:
    """Precedence climbing over the tokens; every method leaves `_at` behind what it has read."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def expression(self, lowest: int) -> Tree:
        left = self._signed()
        while True:
            operator = self._peek().text
            rank = _PRECEDENCE.get(operator, -1)
            if rank < lowest or self._peek().kind not in {"name", "sign"}:
                return left
            self._at += 1
            if operator in {"is", "as"}:
                left = TypeTest(operator, left, self._type_name())
            else:
                left = Binary(operator, left, self.expression(rank + 1))

    def expect(self, text: str) -> None:
        token = self._next()
        if token.text != text and token.kind != text:
            raise Unsupported("an expression that ends early or goes on behind its end")

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _takes(self, sign: str) -> bool:
        if self._peek() == _Token("sign", sign):
            self._at += 1
            return True
        return False

    def _signed(self) -> Tree:
        for sign in "-+":
            if self._takes(sign):
                return Unary(sign, self._signed())
        return self._path()

    def _path(self) -> Tree:
        tree = self._term()
        while True:
            if self._takes("."):
                token = self._next()
                if token.kind not in {"name", "quoted"}:
                    raise Unsupported("a path with something else than a name behind a point")
                tree = self._invocation(tree, token)
            elif self._takes("["):
                tree = Index(tree, self.expression(0))
                self.expect("]")
            else:
                return tree

    def _invocation(self, source: Tree | None, token: _Token) -> Tree:
        name = _unescaped(token.text[1:-1]) if token.kind == "quoted" else token.text
        if not self._takes("("):
            return Member(source, name)
        arguments: list[Tree] = []
        if not self._takes(")"):
            arguments.append(self.expression(0))
            while self._takes(","):
                arguments.append(self.expression(0))
            self.expect(")")
        return Call(source, name, tuple(arguments))

    def _term(self) -> Tree:
        token = self._next()
        match token.kind:
            case "string":
                return Literal(_unescaped(token.text[1:-1]), "System.String")
            case "number":
                return self._number(token.text)
            case "date":
                timed = "T" in token.text
                return Literal(
                    token.text[1:].removesuffix("T"), "System.DateTime" if timed else "System.Date"
                )
            case "clock":
                return Literal(token.text[2:], "System.Time")
            case "special":
                return Special(token.text)
            case "variable":
                name = token.text[1:]
                return Variable(_unescaped(name[1:-1]) if name[0] in "`'" else name)
            case "name" if token.text in {"true", "false"}:
                return Literal(token.text == "true", "System.Boolean")
            case "name" | "quoted":
                return self._invocation(None, token)
        if token.text == "(":
            inner = self.expression(0)
            self.expect(")")
            return inner
        if token.text == "{":
            self.expect("}")
            return Literal(None, "System.Any")
        raise Unsupported("an expression with an operand missing")

    def _number(self, text: str) -> Tree:
        value = Decimal(text) if "." in text else int(text)
        unit = self._peek()
        if unit.kind == "string":
            self._at += 1
            return QuantityLiteral(value, _unescaped(unit.text[1:-1]), False)
        if unit.kind == "name" and unit.text in _CALENDAR:
            self._at += 1
            return QuantityLiteral(value, unit.text, True)
        return Literal(value, "System.Decimal" if isinstance(value, Decimal) else "System.Integer")

    def _type_name(self) -> str:
        names = [self._name()]
        while self._takes("."):
            names.append(self._name())
        return ".".join(names)

    def _name(self) -> str:
        token = self._next()
        if token.kind not in {"name", "quoted"}:
            raise Unsupported("an expression with a type name missing")
        return token.text.strip("`")
