"""One entry of a status record read backwards: to which field it goes, and which value of the Task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mappings import nodes
from mappings.codes import CodeTable
from mappings.conditions import as_list
from mappings.functions.argument import ArgumentError, Function
from mappings.functions.dates_back import date_back, datetime_back
from mappings.line import Line
from mappings.nodes import Node, Part
from mappings.parts import resolved
from mappings.paths import compile_path, scalar
from profiles.document import Document

PLAIN: Final = ("copy", "text")
_NAMES = re.compile(r"[^\[\].?*]+(\.[^\[\].?*]+)*")
_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?")


class NotInvertible(Exception):  # noqa: N818 - a verdict on one entry
    """Why an entry cannot be read backwards."""


def field_of(document: Document, line: Line) -> str:
    """The field that a value goes back to: the first, where several are tried. Raises NotInvertible."""
    data = line.data
    if line.repeated:
        raise NotInvertible("is made for each item of a group")
    if line.conditional:
        raise NotInvertible("has a condition")
    source = data.get("from", data.get("first")) if isinstance(data, dict) else data
    _, field = resolved(document, line.where, source[0] if isinstance(source, list) else source)
    if not isinstance(field, str):
        raise NotInvertible("is made from several fields, or in several steps")
    if not _NAMES.fullmatch(field):
        raise NotInvertible("reads a path that picks from a list")
    return field


def value_of(line: Line, lines: Sequence[Line], tables: Mapping[str, CodeTable]) -> tuple[str, Node]:
    """The fact that a value comes from, as people write it, and the value as it goes back to its field.

    `lines` are all entries of its kind. Raises NotInvertible.
    """
    if line.element == "Task.id" and line.function in PLAIN:
        return "referral", _fact("referral")
    element = line.element
    if line.function == "coding":
        element = re.sub(r"\[\d+\]$", "", element)
    getter = _getter(element, [other for other in lines if other.function == "constant"])
    shown = "task" + re.sub(r"\[\d+\]", "", element).removeprefix("Task")
    part = Part(nodes.get(getter, shown), dynamic=True, fields=(shown,), getter=getter)
    return shown, nodes.apply(_back(line, tables), part, whole=True)


def kept(name: str) -> Node:
    """A value that the referral's record gave for write-back."""
    return _fact(f"local.{name}")


def _fact(path: str) -> Node:
    walk = compile_path(path)
    return nodes.get(lambda facts: scalar(walk(facts)), path)


def _getter(element: str, constants: Sequence[Line]) -> Callable[[Any], Any]:
    """How to get from the facts to what a Task holds at `element`."""
    steps: list[tuple[str, Callable[[list[Any]], Any] | None]] = []
    path = "Task"
    for name, index in _STEP.findall(element.removeprefix("Task.")):
        path += f".{name}[{index}]" if index else f".{name}"
        steps.append((name, _pick(path, int(index), constants) if index else None))

    def get(facts: Any) -> Any:
        value = facts["task"]
        for name, pick in steps:
            value = value.get(name) if isinstance(value, dict) else None
            value = pick(value) if pick is not None and isinstance(value, list) else value
        return value

    return get


def _pick(path: str, index: int, constants: Sequence[Line]) -> Callable[[list[Any]], Any]:
    """Which item of a list it is: the one with the constants that the mapping puts beside the entry."""
    marks = [
        ([name for name, _ in _STEP.findall(line.element.removeprefix(path))], line.argument)
        for line in constants
        if line.element.startswith(f"{path}.") and not line.conditional
    ]
    if index and not marks:
        raise NotInvertible("nothing tells it from the others of its list")
    return lambda items: next(
        (item for item in items if all(_holds(item, names, value) for names, value in marks)), None
    )


def _holds(value: Any, names: Sequence[str], wanted: Any) -> bool:
    """Whether `wanted` stands at the end of `names`, in any item of the lists on the way."""
    if isinstance(value, list):
        return any(_holds(item, names, wanted) for item in value)
    if not names:
        return bool(value == wanted)
    return isinstance(value, dict) and _holds(value.get(names[0]), names[1:], wanted)


def _back(line: Line, tables: Mapping[str, CodeTable]) -> Function:
    """What turns the element's value into the field's."""
    argument = line.argument
    try:
        match line.function:
            case "copy" | "text" | "integer" | "decimal":
                return scalar
            case "code":
                return _one_to_one(tables[argument]).local_code
            case "uncode":
                return _one_to_one(tables[argument], single=True).code
            case "coding" | "concept" | "safe_contact":
                return _uncoded(_one_to_one(tables[argument]))
            case "date":
                return date_back(argument)
            case "datetime":
                return datetime_back(argument)
            case "boolean":
                return _word(argument)
    except ArgumentError as fault:
        raise NotInvertible(f"'{line.function}' {fault}") from None
    raise NotInvertible(f"'{line.function}' has no way back")


def _one_to_one(table: CodeTable, *, single: bool = False) -> CodeTable:
    """`table`, when no two codes become the same; with `single`, and none becomes several."""
    if shared := table.ambiguous():
        raise NotInvertible(f"several codes become {', '.join(shared)} in the table {table.name!r}")
    if single and any(len(targets) > 1 for targets in table.targets.values()):
        raise NotInvertible(f"a code becomes several in the table {table.name!r}")
    return table


def _uncoded(table: CodeTable) -> Function:
    """The local code for a CodeableConcept or for Codings; the words, where the table keeps words."""
    local = {
        (coding["system"], coding["code"]): code
        for code, codings in table.targets.items()
        for coding in codings
    }

    def uncoded(value: Any) -> Any:
        codings = value if isinstance(value, list) else value.get("coding", [value])
        for coding in codings:
            if (found := local.get((coding.get("system"), coding.get("code")))) is not None:
                return found
        if table.unmapped == "text" and isinstance(value, dict):
            return value.get("text")
        return table.local_code(None)

    return uncoded


def _word(argument: Mapping[str, Any]) -> Function:
    """The word for true and for false, where there is one for each."""
    words = {meaning: as_list(argument[key]) for key, meaning in (("yes", True), ("no", False))}
    if any(len(each) != 1 for each in words.values()):
        raise NotInvertible("has several words for the same answer")
    return lambda value: words[value][0]
