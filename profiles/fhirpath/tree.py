"""A FHIRPath expression as a tree. Every node is hashable, so that equal parts can be recognised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant with its System type; a value of None is the empty collection `{}`."""

    value: str | bool | int | Decimal | None
    type: str


@dataclass(frozen=True, slots=True)
class QuantityLiteral:
    """`4 'mg'` or `3 days`: the unit is a UCUM code or a calendar word."""

    value: int | Decimal
    unit: str
    calendar: bool


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`%resource`, `%ucum`, ``%`ext-birthTime` ``; without the percent sign and quotes."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; without a source the name starts a path."""

    source: Tree | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`; without a source the function is applied to `$this`."""

    source: Tree | None
    name: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`source[index]`."""

    source: Tree
    index: Tree


@dataclass(frozen=True, slots=True)
class Unary:
    """`-operand` or `+operand`."""

    operator: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type` or `operand as type`; the type may be qualified (`FHIR.Patient`)."""

    operator: str
    operand: Tree
    type: str


Tree = Literal | QuantityLiteral | Special | Variable | Member | Call | Index | Unary | Binary | TypeTest


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The trees directly below a tree."""
    match tree:
        case Member(source=source):
            return () if source is None else (source,)
        case Call(source=source, arguments=arguments):
            return arguments if source is None else (source, *arguments)
        case Index(source=source, index=index):
            return (source, index)
        case Unary(operand=operand) | TypeTest(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case _:
            return ()


def everywhere(tree: Tree) -> Iterator[Tree]:
    """A tree and all trees below it; without recursion, for a chain may be long."""
    waiting = [tree]
    while waiting:
        tree = waiting.pop()
        yield tree
        waiting.extend(parts(tree))
