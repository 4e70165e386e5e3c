"""Renderings: from the gateway's facts to a message in the agency's own form.

The same expressions as on the way in, reading the facts by path (`task.status`, `local.placer_order`,
`resources.Patient.name[use=official].family`). Of an event's renderings the first whose `when` fits is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.codes import CodeTable
from mappings.expression import Compiler
from mappings.functions import text_of
from mappings.nodes import Condition, Node, Problem
from mappings.paths import compile_path, scalar
from mappings.record import Getter, PathError, RecordError, Rejected
from mappings.result import Rendered
from mappings.writers import Field, write_csv, write_hl7v2, write_json
from profiles.document import DataPath, Document
from profiles.outcome import Issue

_FACTS = ("referral", "source", "task", "resources", "local", "now", "message")
_FORMATS = ("json", "csv", "hl7v2")

Body = Callable[[Any, list[Problem]], bytes]


@dataclass(frozen=True, slots=True)
class Rendering:
    """One message, compiled."""

    name: str
    content_type: str
    suffix: str
    fits: Condition | None
    body: Body

    def render(self, facts: Mapping[str, Any]) -> Rendered:
        """The message for `facts`. Raises RecordError naming the facts that are missing or unusable."""
        problems: list[Problem] = []
        body = self.body(facts, problems)
        if problems:
            raise RecordError(Issue("error", code, message, field=field) for field, code, message in problems)
        return Rendered(self.content_type, self.suffix, body, self.name)


def compile_renderings(
    document: Document,
    section: Mapping[str, Any],
    tables: Mapping[str, CodeTable],
    local: frozenset[str],
    issues: list[Issue],
) -> dict[str, tuple[Rendering, ...]]:
    """Each event's renderings. `local` are the values that this mapping keeps; findings go to `issues`."""
    compiler = Compiler(document, lambda path: _fact(path, local), tables, _is_fact)
    made = {
        event: tuple(
            _rendering(compiler, document, ("render", event, index), item) for index, item in enumerate(items)
        )
        for event, items in section.items()
    }
    issues += compiler.issues
    return made


def _fact(path: str, local: frozenset[str]) -> Getter:
    walk = compile_path(path)
    root, _, rest = path.partition(".")
    if root not in _FACTS:
        raise PathError(f"does not start with one of {', '.join(_FACTS)}")
    if root == "local" and rest not in local:
        raise PathError(f"is not a value that a record kind keeps under 'local' ({', '.join(sorted(local))})")
    return lambda facts: scalar(walk(facts))


def _is_fact(text: str) -> bool:
    root, dot, _ = text.partition(".")
    return bool(dot) and root in _FACTS


def _rendering(compiler: Compiler, document: Document, where: DataPath, item: Mapping[str, Any]) -> Rendering:
    formats = [name for name in _FORMATS if name in item]
    if len(formats) != 1:
        compiler.issues.append(document.issue(where, f"needs exactly one of {', '.join(_FORMATS)}"))
        formats = ["json"]
    fits = compiler.condition((*where, "when"), item["when"], "rendering") if "when" in item else None
    name, (kind, *_) = item["name"], formats
    inner, content = (*where, kind), item.get(kind, {})
    if kind == "csv":
        return Rendering(name, "text/csv; charset=utf-8", ".csv", fits, _csv(compiler, inner, content))
    if kind == "hl7v2":
        body = _hl7v2(compiler, document, inner, content)
        return Rendering(name, "x-application/hl7-v2+er7; charset=utf-8", ".hl7", fits, body)
    return Rendering(name, "application/json", ".json", fits, _json(compiler, inner, content))


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
