"""Paths into XML: `recordTarget/patientRole/patient/name[@use=L]/given`, `code/@code`, `//section[2]/text`.

Steps are names joined by "/", read from the root element; `//name` is anywhere below; `@name`, the last step
only, is an attribute. A name without a prefix is in the mapping's namespace (an attribute: in none), one with
a prefix in the namespace that the mapping gives it.

After a name, `[path=value]` and `[@name=value]` keep the elements that have that value there, once at least;
`[2]` takes the second of those kept, `[*]` all. A step without either takes the first, so that what follows
is always read from one and the same element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from mappings.readers.xml_tree import Element, qualified
from mappings.record import Getter, PathError

Elements = list[Element]
Step = Callable[[Elements], Elements]
Test = Callable[[Element], bool]
Find = Callable[[Element, set[int]], Iterator[Element]]

_NAME = r"[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?"
_STEP = re.compile(rf"(//?)({_NAME})((?:\[[^\[\]]*\])*)")
_PICKS = re.compile(r"(?:\[[^\[\]]*\])+")
_PICK = re.compile(r"\[([^\[\]]*)\]")
_ATTRIBUTE = re.compile(rf"/@({_NAME})")


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What names in a mapping's paths mean: `default` without a prefix, `prefixes` with one."""

    default: str
    prefixes: Mapping[str, str]

    def element(self, name: str) -> str:
        """`name` as elements have it. Raises PathError."""
        return self._qualified(name, self.default)

    def attribute(self, name: str) -> str:
        """`name` as attributes have it. Raises PathError."""
        return self._qualified(name, "")

    def _qualified(self, name: str, default: str) -> str:
        try:
            return qualified(name, self.prefixes, default)
        except KeyError:
            raise PathError("has a prefix that 'namespaces' does not declare") from None


@dataclass(frozen=True, slots=True)
class Path:
    """A path, compiled. `several`: it leads to more than one element, by [*]."""

    steps: tuple[Step, ...]
    attribute: str
    several: bool

    def elements(self, start: Element) -> Elements:
        """The elements that the path leads to from `start`, before any attribute."""
        found = [start]
        for step in self.steps:
            found = step(found)
        return found

    def nearest(self, start: Element) -> Element:
        """The first element on the path, as far as it leads."""
        found = [start]
        for step in self.steps:
            start = found[0]
            found = step(found)
            if not found:
                return start
        return found[0]

    def getter(self) -> Getter:
        """From an element to the value at the path: the attribute, or all text inside; blank is None."""
        value = _value(self.attribute)
        if self.several:
            return lambda start: [text for each in self.elements(start) if (text := value(each))] or None

        def get(start: Element) -> str | None:
            found = self.elements(start)
            return value(found[0]) or None if found else None

        return get


def compile_path(text: str, namespaces: Namespaces, *, every: bool = False) -> Path:
    """The path in `text`; if `every`, its last step takes all elements, not the first. Raises PathError."""
    if text.startswith("/") and not text.startswith("//"):
        raise PathError("starts with /; paths start inside the root element, without its name")
    if text and text[0] not in "/[":
        text = f"/{text}"
    steps: list[Step] = []
    several = False
    position = 0
    if own := _PICKS.match(text):
        position = own.end()
        steps.append(_step(_self, own[0], namespaces, every=every and position == len(text)))
    while found := _STEP.match(text, position):
        position = found.end()
        find = (_below if found[1] == "//" else _inside)(namespaces.element(found[2]))
        steps.append(_step(find, found[3], namespaces, every=every and position == len(text)))
        several = several or found[3].endswith("[*]")
    attribute = _ATTRIBUTE.fullmatch(text, position)
    if not attribute and position < len(text):
        raise PathError("is not a path such as name[@use=L]/given, code/@code or //section[title=Need]/text")
    return Path(tuple(steps), namespaces.attribute(attribute[1]) if attribute else "", several)


def _step(find: Find, picks: str, namespaces: Namespaces, *, every: bool) -> Step:
    start, stop = 0, None if every else 1
    *others, last = _PICK.findall(picks) or [""]
    if last == "*":
        stop = None
    elif re.fullmatch("[1-9][0-9]{0,5}", last):
        start, stop = int(last) - 1, int(last)
    elif picks:
        others.append(last)
    tests = [_test(text, namespaces) for text in others]

    def step(elements: Elements) -> Elements:
        seen: set[int] = set()
        return [
            found
            for each in elements
            for found in islice(
                (one for one in find(each, seen) if all(test(one) for test in tests)), start, stop
            )
        ]

    return step


def _self(element: Element, _seen: set[int]) -> Iterator[Element]:
    yield element


def _inside(name: str) -> Find:
    return lambda element, _seen: element.children(name)


def _below(name: str) -> Find:
    def find(element: Element, seen: set[int]) -> Iterator[Element]:
        """In the document's order; what an element around this one has led to already is passed over."""
        unfinished = [iter(element.content)]
        while unfinished:
            for each in unfinished[-1]:
                if type(each) is Element and id(each) not in seen:
                    seen.add(id(each))
                    unfinished.append(iter(each.content))
                    if each.name == name:
                        yield each
                    break
            else:
                unfinished.pop()

    return find


def _test(text: str, namespaces: Namespaces) -> Test:
    """Whether an element has a value at a path inside it; where several stand there, one is enough."""
    path, equals, wanted = text.partition("=")
    *names, last = path.split("/")
    attribute = last[1:] if last.startswith("@") else ""
    if not attribute:
        names.append(last)
    if not equals or not all(re.fullmatch(_NAME, name) for name in [*names, attribute or "x"]):
        raise PathError(
            "has a pick that is none of [@name=value], [path=value], [path/@name=value], [2] and [*]"
        )
    if wanted[:1] in ("'", '"'):
        raise PathError("has a pick with quotes; the value is written without them")
    steps = tuple(namespaces.element(name) for name in names)
    value = _value(namespaces.attribute(attribute) if attribute else "")

    def holds(element: Element, index: int) -> bool:
        if index == len(steps):
            return value(element) == wanted
        return any(holds(child, index + 1) for child in element.children(steps[index]))

    return lambda element: holds(element, 0)


def _value(attribute: str) -> Callable[[Element], str]:
    if not attribute:
        return Element.text
    return lambda element: element.attributes.get(attribute, "").strip()
