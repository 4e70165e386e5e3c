"""An XML document as a small tree, and only what is safe to read of it.

XML 1.0 and Namespaces in XML 1.0, by expat. A DOCTYPE is refused, and with it every entity that a document
could define or fetch. Processing instructions and comments are passed over, and so are xml:base and XInclude:
nothing is ever opened beside the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.parsers import expat

from mappings.record import RecordError, refuse

MAX_BYTES = 64 * 2**20
MAX_NODES = 2_000_000  # elements, attributes and pieces of text
MAX_DEPTH = 200
MAX_PREFIXES = 100  # in force at one place

_ENCODINGS = ("utf-8", "us-ascii", "ascii", "iso-8859-1", "utf-16")
_NONE: Mapping[str, str] = {}
XML = "http://www.w3.org/XML/1998/namespace"


class Element:
    """An element. Names in a namespace are written `{namespace}name`; `line` is that of its start tag."""

    __slots__ = ("attributes", "content", "line", "name")

    def __init__(self, name: str, attributes: Mapping[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.content: list[Element | str] = []

    def children(self, name: str) -> Iterator[Element]:
        """The elements called `name` directly inside this one."""
        for each in self.content:
            if type(each) is Element and each.name == name:
                yield each

    def text(self) -> str:
        """All text inside, in order. Where a tag stands a word ends; white space is one space."""
        pieces: list[str] = []
        unfinished = [iter(self.content)]
        while unfinished:
            for each in unfinished[-1]:
                if type(each) is Element:
                    pieces.append(" ")
                    unfinished.append(iter(each.content))
                    break
                pieces.append(str(each))
            else:
                pieces.append(" ")
                unfinished.pop()
        return " ".join("".join(pieces).split())


def qualified(name: str, prefixes: Mapping[str, str], default: str) -> str:
    """`name`, such as `sdtc:id`, as `{namespace}id`; without a prefix it is in `default`. Raises KeyError."""
    prefix, colon, local = name.rpartition(":")
    namespace = prefixes[prefix] if colon else default
    return f"{{{namespace}}}{local}" if namespace else local


def parse(body: bytes, namespace: str, prefixes: Mapping[str, str]) -> Element:
    """The root of the document in `body`.

    `namespace` and `prefixes` hold where the document declares none. Raises RecordError with the line.
    """
    if len(body) > MAX_BYTES:
        raise refuse("too-costly", f"the document is longer than {MAX_BYTES // 2**20} MiB")
    return _Builder(namespace, prefixes).build(body)


class _Builder:
    """Makes the tree from what expat tells, and stops at the first thing that is not taken."""

    def __init__(self, namespace: str, prefixes: Mapping[str, str]) -> None:
        # For each open element: the default namespace and the prefixes that hold inside it.
        self._scopes = [(namespace, prefixes)]
        self._open = [Element("", _NONE, 0)]
        self._nodes = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def build(self, body: bytes) -> Element:
        try:
            # All at once: expat reads a long token anew with every block that it is given.
            self._parser.Parse(body, True)
        except expat.ExpatError as fault:
            rule = expat.ErrorString(fault.code)
            raise refuse("structure", f"not XML, or cut off: {rule}", line=fault.lineno) from None
        root = self._open[0].content[0]
        assert isinstance(root, Element)
        return root

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            known = ", ".join(name.upper() for name in _ENCODINGS)
            raise self._refuse("not-supported", f"this encoding is not taken; {known} are")

    def _doctype(self, *_told: object) -> None:
        raise self._refuse("not-supported", "a DOCTYPE is not taken")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise self._refuse("too-costly", f"elements are nested more than {MAX_DEPTH} deep")
        self._count(1 + len(attributes))
        self._scopes.append(self._scope(attributes))
        default, prefixes = self._scopes[-1]
        try:
            element = Element(qualified(name, prefixes, default), _NONE, self._parser.CurrentLineNumber)
            if attributes:
                element.attributes = {
                    qualified(key, prefixes, ""): value
                    for key, value in attributes.items()
                    if not key.startswith("xmlns")
                }
        except KeyError:
            raise self._refuse("structure", "a namespace prefix is not declared") from None
        self._open[-1].content.append(element)
        self._open.append(element)

    def _scope(self, attributes: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        default, prefixes = self._scopes[-1]
        declared = {key[6:]: value for key, value in attributes.items() if key.startswith("xmlns:")}
        if declared:
            prefixes = {**prefixes, **declared}
            if len(prefixes) > MAX_PREFIXES:
                raise self._refuse("too-costly", f"more than {MAX_PREFIXES} namespace prefixes are declared")
        return attributes.get("xmlns", default), prefixes

    def _end(self, _name: str) -> None:
        self._open.pop()
        self._scopes.pop()

    def _text(self, text: str) -> None:
        content = self._open[-1].content
        if text.isspace() and (not content or type(content[-1]) is Element):
            return
        self._count(1)
        content.append(text)

    def _count(self, more: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise self._refuse(
                "too-costly", f"there are more than {MAX_NODES} elements, attributes and texts"
            )

    def _refuse(self, code: str, message: str) -> RecordError:
        return refuse(code, message, line=self._parser.CurrentLineNumber)
