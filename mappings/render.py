"""Renderings: from the gateway's facts to a message in the agency's own form.

The same expressions as on the way in, reading the facts by path (`task.status`, `local.placer_order`,
`resources.Patient.name[use=official].family`). Of an event's renderings the first whose `when` fits is made.

`inverse_of`, in place of a message, reads a status record of the system backwards (see `mappings.invert`). A
mapping that says nothing of the event `task` is read backwards where it can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from mappings.codes import CodeTable
from mappings.functions.argument import text_of
from mappings.kind import RecordKind
from mappings.nodes import Condition, Node, Problem
from mappings.paths import compile_path, scalar
from mappings.record import Getter, Group, PathError, RecordError, Rejected
from mappings.render_inverse import CSV, JSON, Body, Form, Inverses
from mappings.result import Rendered
from mappings.template import Compiler
from mappings.writers import Field, write_csv, write_hl7v2, write_json
from profiles.document import DataPath, Document
from profiles.outcome import Issue

_FACTS = ("referral", "source", "task", "resources", "local", "now", "message")
_FORMATS = ("json", "csv", "hl7v2", "inverse_of")
_HL7V2: Final[Form] = ("x-application/hl7-v2+er7; charset=utf-8", ".hl7")
_MERGE_PATCH: Final = "application/merge-patch+json"  # RFC 7396


@dataclass(frozen=True, slots=True)
class Rendering:
    """One message, compiled."""

    name: str
    content_type: str
    suffix: str
    fits: Condition | None
    body: Body
    method: Literal["POST", "PATCH"] = "POST"

    def render(self, facts: Mapping[str, Any]) -> Rendered:
        """The message for `facts`. Raises RecordError naming the facts that are missing or unusable."""
        problems: list[Problem] = []
        body = self.body(facts, problems)
        if problems:
            raise RecordError(Issue("error", code, message, field=field) for field, code, message in problems)
        return Rendered(self.content_type, self.suffix, body, self.name, self.method)


def compile_renderings(
    document: Document,
    section: Mapping[str, Any],
    tables: Mapping[str, CodeTable],
    local: frozenset[str],
    issues: list[Issue],
    kinds: Sequence[RecordKind] = (),
) -> dict[str, tuple[Rendering, ...]]:
    """Each event's renderings. `local` are the values that this mapping keeps; findings go to `issues`.

    kinds: the kinds of record that come in, for those that are read backwards.
    """
    compiler = Compiler(document, _Facts(local), tables, _is_fact)
    inverses = Inverses(document, kinds, tables)
    made = {
        event: tuple(
            _rendering(compiler, document, inverses, ("render", event, index), item)
            for index, item in enumerate(items)
        )
        for event, items in section.items()
    }
    if "task" not in section and (found := inverses.first()) is not None:
        name, form, body = found
        made["task"] = (Rendering(name, *form, None, body),)
    issues += compiler.issues
    return made


class _Facts:
    """The paths of the facts that a message is made from; `local` are the values that this mapping keeps."""

    def __init__(self, local: frozenset[str]) -> None:
        self._local = local

    def getter(self, path: str) -> Getter:
        walk = compile_path(path)
        root, _, rest = path.partition(".")
        if root not in _FACTS:
            raise PathError(f"does not start with one of {', '.join(_FACTS)}")
        if root == "local" and rest not in self._local:
            known = ", ".join(sorted(self._local))
            raise PathError(f"is not a value that a record kind keeps under 'local' ({known})")
        return lambda facts: scalar(walk(facts))

    def group(self, path: str) -> Group:  # noqa: ARG002 - as every format has it
        raise PathError("cannot repeat here: a message out is made from single facts")

    def names(self, path: str) -> list[str]:
        return [path]


def _is_fact(text: str) -> bool:
    root, dot, _ = text.partition(".")
    return bool(dot) and root in _FACTS


def _rendering(
    compiler: Compiler, document: Document, inverses: Inverses, where: DataPath, item: Mapping[str, Any]
) -> Rendering:
    formats = [name for name in _FORMATS if name in item]
    if len(formats) != 1:
        compiler.wrong(where, f"needs exactly one of {', '.join(_FORMATS)}")
        formats = ["json"]
    fits = compiler.condition((*where, "when"), item["when"], "rendering") if "when" in item else None
    (kind, *_) = formats
    form, body = _message(compiler, document, inverses, (*where, kind), item.get(kind, {}))
    made = Rendering(item["name"], *form, fits, body)
    if item.get("method") != "PATCH":
        return made
    if form != JSON:
        compiler.wrong((*where, "method"), "PATCH changes a JSON record, and this is none")
    return replace(made, content_type=_MERGE_PATCH, method="PATCH")


def _message(
    compiler: Compiler, document: Document, inverses: Inverses, where: DataPath, content: Any
) -> tuple[Form, Body]:
    match where[-1]:
        case "inverse_of":
            return inverses.of(where, content, compiler.wrong)
        case "csv":
            return CSV, _csv(compiler, where, content)
        case "hl7v2":
            return _HL7V2, _hl7v2(compiler, document, where, content)
        case _:
            return JSON, _json(compiler, where, content)


def _json(compiler: Compiler, where: DataPath, content: Mapping[str, Any]) -> Body:
    node = compiler.template(where, content, "json").node
    return lambda facts, problems: write_json(node(facts, problems) or {})


def _csv(compiler: Compiler, where: DataPath, content: Mapping[str, Any]) -> Body:
    columns = tuple(content)
    node = compiler.template(where, content, "csv").node
    return lambda facts, problems: write_csv(columns, node(facts, problems) or {})


def _hl7v2(compiler: Compiler, document: Document, where: DataPath, content: list[Any]) -> Body:
    segments = tuple(
        _segment(compiler, document, (*where, index), segment) for index, segment in enumerate(content)
    )

    def body(facts: Any, problems: list[Problem]) -> bytes:
        made = ((name, fields(facts, problems)) for name, fields in segments)
        return write_hl7v2([(name, fields) for name, fields in made if fields is not None])

    return body


def _segment(
    compiler: Compiler, document: Document, where: DataPath, data: Mapping[str, Any]
) -> tuple[str, Callable[[Any, list[Problem]], dict[int, Field] | None]]:
    """A segment's name and its fields; a segment whose `when` does not fit gives None and is left out."""
    names = {re.sub("-.*", "", key) for key in data if key != "when"}
    if len(names) != 1:
        compiler.issues.append(document.issue(where, "holds fields of one segment, such as RF1-1 and RF1-6"))
    condition = None
    if "when" in data:
        condition = compiler.condition((*where, "when"), data["when"], "segment")
    fields = tuple(
        (int(key.partition("-")[2]), _field(compiler, (*where, key), key, value))
        for key, value in data.items()
        if key != "when"
    )

    def make(facts: Any, problems: list[Problem]) -> dict[int, Field] | None:
        if condition is not None and not condition(facts, problems):
            return None
        return {number: node(facts, problems) for number, node in fields}

    return min(names, default=""), make


def _field(compiler: Compiler, where: DataPath, key: str, data: Any) -> Node:
    """A field: one text, or the list of its components, of which empty ones keep their place."""
    if not isinstance(data, list):
        return _text(compiler.template(where, data, key).node, key)
    parts = tuple(
        _text(compiler.template((*where, index), item, f"{key}.{index + 1}").node, key)
        for index, item in enumerate(data)
    )

    def components(facts: Any, problems: list[Problem]) -> list[str | None] | None:
        made = [part(facts, problems) for part in parts]
        return made if any(part is not None for part in made) else None

    return components


def _text(inner: Node, key: str) -> Node:
    def node(facts: Any, problems: list[Problem]) -> str | None:
        value = inner(facts, problems)
        try:
            return None if value is None else text_of(value)
        except Rejected as fault:
            problems.append((key, fault.code, fault.message))
            return None

    return node
