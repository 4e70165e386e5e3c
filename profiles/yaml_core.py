"""YAML as data files need it: the core types of YAML 1.2, every key text, every value with its line.

PyYAML follows YAML 1.1, where `no` is false and `2024-01-02` is a date object. That turns the country
code of Norway into a boolean and a birth date into something JSON cannot say, so the scalars are resolved
here by the YAML 1.2.2 core schema (section 10.3.2).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_STR = "tag:yaml.org,2002:str"

_MAX_DEPTH = 64
_MAX_DIGITS = 18


class SyntaxFault(Exception):  # noqa: N818 - becomes a DocumentError, which is what callers see
    """What the file says is YAML, but not of the kind that data files may use."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class CoreLoader(yaml.SafeLoader):
    """A loader of YAML nodes whose plain scalars follow the core schema, and which refuses aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in PyYAML, but an alias is an error: it could make a small file grow without bound."""
        if self.check_event(yaml.AliasEvent):
            line: int = self.line + 1  # of the reader, which stands just behind the alias
            raise SyntaxFault("an alias (*name) is not allowed here", line)
        return super().compose_node(parent, index)


def _resolve(tag: str, pattern: str, first: str) -> None:
    CoreLoader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), list(first))


_resolve(_NULL, "null|Null|NULL|~|", "nN~")
CoreLoader.add_implicit_resolver(_NULL, re.compile(r"^$"), [""])
_resolve(_BOOL, "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve(_INT, r"[-+]?[0-9]+", "-+0123456789")
_resolve(_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789.")


def read_node(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> Any:
    """The plain value of `node`; notes the line of it and of everything below it in `lines`.

    Raises SyntaxFault for a repeated key, a key that is not a scalar, or a tag.
    """
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if len(path) > _MAX_DEPTH:
        raise SyntaxFault("nested too deeply", line)
    if isinstance(node, yaml.MappingNode):
        return _read_mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        _no_tag(node.tag, "tag:yaml.org,2002:seq", line)
        return [read_node(child, (*path, index), lines) for index, child in enumerate(node.value)]
    return _scalar(node.tag, node.value, line)


def _read_mapping(
    node: yaml.MappingNode, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> dict[str, Any]:
    _no_tag(node.tag, "tag:yaml.org,2002:map", node.start_mark.line + 1)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise SyntaxFault("a key must be plain text", line)
        key = key_node.value  # as written: a code table's key 01 stays "01"
        if key in found:
            raise SyntaxFault(f"the key {key!r} stands here twice", line)
        lines[(*path, key)] = line
        found[key] = read_node(value_node, (*path, key), lines)
    return found


def _no_tag(tag: str, expected: str, line: int) -> None:
    if tag != expected:
        raise SyntaxFault("a tag (!name) is not allowed here", line)


def _scalar(tag: str, text: str, line: int) -> Any:
    match tag:
        case "tag:yaml.org,2002:str":
            return text
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return text.lower() == "true"
        case "tag:yaml.org,2002:int":
            return _whole(text, line)
        case "tag:yaml.org,2002:float":
            return float(text)
        case _:
            raise SyntaxFault("a tag (!name) is not allowed here", line)


def _whole(text: str, line: int) -> int:
    if len(text) > _MAX_DIGITS:
        raise SyntaxFault("a number with too many digits", line)
    return int(text)
