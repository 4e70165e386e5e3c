"""XML: one document, such as a C-CDA note, is one record. What is taken, and what refused: see xml_tree.

Paths are those of mappings.readers.xml_paths. What an element says is read as it stands; `nullFlavor` is an
attribute like others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mappings.readers.xml_paths import Namespaces, compile_path
from mappings.readers.xml_tree import MAX_BYTES, XML, parse
from mappings.record import Getter, Group, PathError, Record, RecordError, refuse

if TYPE_CHECKING:
    from mappings.readers.source import Source

_PICKS = re.compile(r"\[[^\[\]]*\]")
_JOINT = re.compile(r"\.(?![^\[]*\])")  # between a group's path and a relative one: a dot that no pick holds


class XmlReader:
    """Reads XML documents as records.

    `namespace` is that of names without a prefix, `namespaces` of those with one: in paths, and in documents
    that declare none. A root element in another namespace is refused.
    """

    keys: frozenset[str] = frozenset()

    def __init__(self, namespace: str = "", namespaces: Mapping[str, str] | None = None) -> None:
        self._namespaces = Namespaces(namespace, {"xml": XML, **(namespaces or {})})

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """The document. Raises RecordError, with the line, for what is not XML or not taken."""
        with source.open() as stream:
            body = stream.read(MAX_BYTES + 1)
        if not body.strip():
            raise refuse("required", "the document is empty")
        root = parse(body, self._namespaces.default, self._namespaces.prefixes)
        if self._namespaces.default and not root.name.startswith(f"{{{self._namespaces.default}}}"):
            raise refuse("structure", "the root element is not in the mapping's namespace", line=root.line)
        yield Record(root, root.line, source.names[0])

    def getter(self, path: str) -> Getter:
        """The attribute or the text at `path`; absent and blank are None. Raises PathError."""
        if not path:
            raise PathError("is empty")
        return compile_path(path, self._namespaces).getter()

    def group(self, path: str) -> Group:
        """All elements at `path` as items. Raises PathError."""
        return self._group(path, path)

    def place(self, record: Record, path: str) -> int | None:
        """The line of the first element at `path`, or of the last on the way to it that is there."""
        try:
            compiled = compile_path(_JOINT.sub("/", path).replace("/[", "["), self._namespaces)
        except PathError:
            return record.line
        return compiled.nearest(record.values).line

    def names(self, path: str) -> list[str]:
        """The path without its picks: `name[@use=L]/given` is listed as `name/given`."""
        return [_PICKS.sub("", path)]

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:  # noqa: ARG002
        """Nothing: documents hold more than is read."""
        return lambda _values: []

    def _group(self, path: str, shown: str) -> Group:
        """`shown` is the path from the root element."""
        compiled = compile_path(path, self._namespaces, every=True)
        if not path or compiled.attribute:
            raise PathError("is not a path to elements that repeat")
        return Group(
            compiled.elements,
            lambda relative: compile_path(_inside(relative), self._namespaces).getter(),
            lambda relative: self._group(_inside(relative), _below(shown, relative)),
            lambda relative: self.names(_below(shown, relative)),
        )


def _inside(relative: str) -> str:
    """A relative path without its dot. Raises PathError."""
    if not relative.startswith("."):
        raise PathError("must start with a dot, as paths inside a group do")
    return relative[1:]


def _below(group: str, relative: str) -> str:
    """A relative path as one from the root element."""
    path = relative.removeprefix(".")
    return f"{group}{path}" if not path or path[0] in "/[" else f"{group}/{path}"
