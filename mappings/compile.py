"""A checked mapping file compiled into record kinds and renderings.

Everything that can be known before a record comes is found here: unknown fields, functions and tables, fields
neither used nor ignored, elements that do not exist. All findings are given at once, with their lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mappings.codes import CodeTable
from mappings.elements import Element, element_at
from mappings.fields import check_fields, read_fields
from mappings.kind import RecordKind, makes_nothing
from mappings.nodes import Node, as_text, build_list, required, shown
from mappings.parts import check_parts
from mappings.record import Getter, Group, PathError, Reader
from mappings.render import Rendering, compile_renderings
from mappings.sections import Section, read_sections
from mappings.template import Compiler
from profiles.document import DataPath, Document
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parts of a mapping that run."""

    kinds: tuple[RecordKind, ...]
    renderings: Mapping[str, tuple[Rendering, ...]]


def compile_mapping(document: Document, reader: Reader, tables: Mapping[str, CodeTable]) -> Compiled:
    """The mapping in `document` (which fits the schema), compiled. Raises DocumentError with all findings."""
    issues: list[Issue] = []
    issues += check_parts(document)
    if issues:
        raise document.error(issues)
    sections = read_sections(document, issues)
    used: dict[DataPath, set[str]] = {section.places["fields"]: set() for section in sections}
    kinds = []
    for section in sections:
        kind, compiler = _compile_kind(document, section, reader, tables)
        kinds.append(kind)
        issues += compiler.issues
        used[section.places["fields"]] |= compiler.used
        if kind.fits is None and len(document.data["records"]) > 1:
            issues.append(document.issue(section.where, "needs 'when': there are several kinds of record"))
    for section in {section.places["fields"]: section for section in sections}.values():
        read = used[section.places["fields"]] | reader.keys
        issues += check_fields(document, section, read_fields(section.data), read)
    local = frozenset(name for section in sections for name in section.data.get("local", {}))
    renderings = compile_renderings(document, document.data.get("render", {}), tables, local, issues, kinds)
    if issues:
        raise document.error(sorted(dict.fromkeys(issues), key=lambda issue: issue.line or 0))
    return Compiled(tuple(kinds), renderings)


def _compile_kind(
    document: Document, section: Section, reader: Reader, tables: Mapping[str, CodeTable]
) -> tuple[RecordKind, Compiler]:
    data, fields = section.data, read_fields(section.data)
    paths = _Declared(reader, frozenset(fields.names))
    typed = element_at if document.data["format"]["type"] == "fhir" else lambda _path: None
    compiler = Compiler(document, paths, tables, paths.is_field, typed)
    fits = compiler.condition(section.places["when"], data["when"], "record") if "when" in data else None
    if data["kind"] in ("skip", "refuse"):
        return makes_nothing(section.name, data["kind"], fits, data["because"]), compiler
    envelope = _Envelope(compiler, section)
    key = envelope.parts("key")
    of = envelope.parts("of") if "of" in data else None
    subject = None
    if "subject" in data:
        needed = data["kind"] != "status"
        subject = (
            envelope.text("subject", "system", needed=needed),
            envelope.text("subject", "value", needed=needed),
        )
    recipient = envelope.text("recipient") if "recipient" in data else None
    organizations, people = (
        envelope.text("excluded", name) if name in data.get("excluded", {}) else None
        for name in ("organizations", "people")
    )
    local = tuple((name, envelope.text("local", name)) for name in data.get("local", {}))
    resources = tuple(
        (name, _resource(compiler, section, name, content)) for name, content in data["resources"].items()
    )
    kind = RecordKind(
        name=section.name,
        kind=data["kind"],
        fits=fits,
        key=key,
        of=of,
        subject=subject,
        recipient=recipient,
        excluded=(organizations, people),
        local=local,
        resources=resources,
        undeclared=reader.undeclared(fields.names),
        lines=tuple(compiler.lines),
        lineage=tuple(
            replace(line, sensitivity=fields.sensitivity(paths.names_of(line.field)))
            for line in dict.fromkeys(compiler.lineage)
        ),
        fields=fields,
    )
    return kind, compiler


class _Envelope:
    """The values around the resources, which are always text."""

    def __init__(self, compiler: Compiler, section: Section) -> None:
        self._compiler = compiler
        self._section = section

    def text(self, section: str, *path: str | int, needed: bool = False) -> Node:
        data = self._section.data[section]
        for step in path:
            data = data[step]
        element = ".".join(str(step) for step in (section, *path))
        made = self._compiler.expression((*self._section.places[section], *path), data, element)
        node = as_text(made)
        return required(node, shown(made.fields), element) if needed else node

    def parts(self, section: str) -> tuple[Node, ...]:
        return tuple(
            self.text(section, index, needed=True) for index in range(len(self._section.data[section]))
        )


class _Declared:
    """A reader's paths, of which only those that `fields` lists may be read."""

    def __init__(self, reader: Reader, declared: frozenset[str]) -> None:
        self._reader = reader
        self._declared = declared
        self._relative: dict[str, list[str]] = {}

    def is_field(self, text: str) -> bool:
        return self._declared.issuperset(self.names(text))

    def names(self, path: str) -> list[str]:
        """The declared names that `path` reads: its own, or that of a whole object around it."""
        return [self._listed(name) for name in self._reader.names(path)]

    def names_of(self, shown_path: str) -> list[str]:
        """The names that a path of the lineage reads, a relative one behind its group's included."""
        return self._relative.get(shown_path) or self.names(shown_path)

    def _listed(self, name: str) -> str:
        above = name
        while above not in self._declared:
            cut = max(above.rfind("."), above.rfind("/"))
            if cut < 0:
                return name
            above = above[:cut]
        return above

    def getter(self, path: str) -> Getter:
        made = self._reader.getter(path)
        self._must_be_listed(self.names(path))
        return made

    def group(self, path: str) -> Group:
        return self._watched(self._reader.group(path), path)

    def _watched(self, group: Group, path: str) -> Group:
        def names(relative: str) -> list[str]:
            return [self._listed(name) for name in group.names(relative)]

        def getter(relative: str) -> Getter:
            made = group.getter(relative)
            self._relative[f"{path}{relative}"] = names(relative)
            self._must_be_listed(names(relative))
            return made

        def inner(relative: str) -> Group:
            return self._watched(group.group(relative), f"{path}{relative}")

        return Group(group.items, getter, inner, names)

    def _must_be_listed(self, names: list[str]) -> None:
        missing = [name for name in names if name not in self._declared]
        if missing:
            raise PathError(f"reads {', '.join(missing)}, which 'fields' does not list")


def _resource(compiler: Compiler, section: Section, name: str, content: Any) -> Node:
    """The template of a resource, or of several of one type; what the kind cannot do without is required."""
    where = (*section.places["resources"], name)
    kind = Element(name, repeats=False)
    if isinstance(content, list):
        parts = [
            compiler.item((*where, index), item, f"{name}[{index}]", kind)
            for index, item in enumerate(content)
        ]
        return build_list(parts)
    part = compiler.template(where, content, name, kind)
    return required(part.node, shown(part.fields), name) if name in section.needs else part.node
