"""YAML as data files need it: the core types of YAML 1.2, every key text, every value with its place.

PyYAML follows YAML 1.1, where `no` is false and `2024-01-02` is a date object. That turns the country
code of Norway into a boolean and a birth date into something JSON cannot say, so the scalars are resolved
here by the YAML 1.2.2 core schema (section 10.3.2).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

DataPath = tuple[str | int, ...]

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_STR = "tag:yaml.org,2002:str"

_MAX_DEPTH = 64
_MAX_DIGITS = 18


class SyntaxFault(Exception):  # noqa: N818 - becomes a DocumentError, which is what callers see
    """What the file says is YAML, but not of the kind that data files may use."""

    def __init__(self, message: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line, self.column = place(mark)


def place(mark: yaml.Mark | None) -> tuple[int, int]:
    """Line and column of `mark`, counted from 1; the beginning of the file where there is none."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class CoreLoader(yaml.SafeLoader):
    """A loader of YAML nodes whose plain scalars follow the core schema, and which refuses aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in PyYAML, but an alias is an error: it could make a small file grow without bound."""
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]
            raise SyntaxFault("an alias (*name) is not allowed here", alias.start_mark)
        return super().compose_node(parent, index)


def _resolve(tag: str, pattern: str, first: str) -> None:
    CoreLoader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), list(first))


_resolve(_NULL, "null|Null|NULL|~|", "nN~")
CoreLoader.add_implicit_resolver(_NULL, re.compile(r"^$"), [""])
_resolve(_BOOL, "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve(_INT, r"[-+]?[0-9]+", "-+0123456789")
_resolve(_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789.")


def read_node(
    node: yaml.Node, path: DataPath, lines: dict[DataPath, int], columns: dict[DataPath, int]
) -> Any:
    """The plain value of `node`; notes where it and everything below it stands, a member where its key does.

    Raises SyntaxFault for a repeated key, a key that is not a scalar, or a tag.
    """
    if path not in lines:
        lines[path], columns[path] = place(node.start_mark)
    if len(path) > _MAX_DEPTH:
        raise SyntaxFault("nested too deeply", node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _read_mapping(node, path, lines, columns)
    if isinstance(node, yaml.SequenceNode):
        _no_tag(node, "tag:yaml.org,2002:seq")
        return [read_node(child, (*path, index), lines, columns) for index, child in enumerate(node.value)]
    return _scalar(node)


def _read_mapping(
    node: yaml.MappingNode, path: DataPath, lines: dict[DataPath, int], columns: dict[DataPath, int]
) -> dict[str, Any]:
    _no_tag(node, "tag:yaml.org,2002:map")
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        if not isinstance(key_node, yaml.ScalarNode):
            raise SyntaxFault("a key must be plain text", mark)
        key = key_node.value  # as written: a code table's key 01 stays "01"
        if key in found:
            raise SyntaxFault(f"the key {key!r} stands here twice", mark)
        lines[(*path, key)], columns[(*path, key)] = place(mark)
        found[key] = read_node(value_node, (*path, key), lines, columns)
    return found


def _no_tag(node: yaml.Node, expected: str) -> None:
    if node.tag != expected:
        raise SyntaxFault("a tag (!name) is not allowed here", node.start_mark)


def _scalar(node: yaml.Node) -> Any:
    match node.tag:
        case "tag:yaml.org,2002:str":
            return node.value
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return node.value.lower() == "true"
        case "tag:yaml.org,2002:int":
            return _whole(node)
        case "tag:yaml.org,2002:float":
            return float(node.value)
        case _:
            raise SyntaxFault("a tag (!name) is not allowed here", node.start_mark)


def _whole(node: yaml.Node) -> int:
    if len(node.value) > _MAX_DIGITS:
        raise SyntaxFault("a number with too many digits", node.start_mark)
    return int(node.value)
