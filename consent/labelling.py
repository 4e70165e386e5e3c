"""Labels by code: which security labels a coded fact carries, looked up in lists that were loaded once.

A label found here stays inside. It is a reason for the law and consent steps, never a mark that goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from consent.label_list import PREFIXED, SPELLED, CodeGroup, LabelList, plain
from consent.matter import Label, as_named
from consent.sensitivity import RESTRICTED, label_named, sensitivities, settled
from profiles.canonical import ACT_CODE, CONFIDENTIALITY
from profiles.terminology import known

_NONE: Final[frozenset[Label]] = frozenset()
# HL7 DS4P: a label on one element. Inside it counts for the whole resource, which is released item by item.
_INLINE: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


@dataclass(slots=True)
class _Codes:
    """The labels of one code system's codes. `below` also labels every code that begins with its own."""

    exact: dict[str, frozenset[Label]] = field(default_factory=dict)
    below: dict[str, frozenset[Label]] = field(default_factory=dict)
    whole: frozenset[Label] = _NONE
    shortest: int = 0
    prefixed: bool = False

    def of(self, code: str) -> frozenset[Label]:
        """The labels of one code: a look-up, and one more for each length of beginning that may be listed."""
        if self.prefixed:
            code = plain(code)
        found = self.exact.get(code, _NONE) | self.whole
        if self.below:
            for length in range(self.shortest, len(code) + 1):
                if labels := self.below.get(code[:length]):
                    found |= labels
        return found


class LabelTable:
    """All lists, compiled: (system, code) → labels. Asking changes nothing: one table serves all threads."""

    __slots__ = ("_systems", "lists")

    def __init__(self, lists: Iterable[LabelList] = ()) -> None:
        self.lists = tuple(lists)
        self._systems: dict[str, _Codes] = {}
        # A code that is a sensitivity itself says so wherever it stands: as a finding, in a Consent.
        own = self._codes(ACT_CODE).exact
        own.update((code, frozenset({(ACT_CODE, code)})) for code in sensitivities())
        for one in self.lists:
            for group in one.groups:
                self._take(group, one.labels)
        for codes in self._systems.values():
            codes.shortest = min(map(len, codes.below), default=0)
        for spelling, system in SPELLED.items():
            if system in self._systems:
                self._systems[spelling] = self._systems[system]

    def _codes(self, system: str) -> _Codes:
        system = SPELLED.get(system, system)
        return self._systems.setdefault(system, _Codes(prefixed=system in PREFIXED))

    def _take(self, group: CodeGroup, labels: frozenset[Label]) -> None:
        codes = self._codes(group.system)
        form = plain if codes.prefixed else str
        for listed, into in ((group.exact, codes.exact), (group.below, codes.below)):
            for code in map(form, listed):
                into[code] = into.get(code, _NONE) | labels
        if group.whole:
            codes.whole |= labels

    def of_codes(self, codes: Iterable[tuple[str, str]]) -> frozenset[Label]:
        """The labels of some (system, code) pairs, with the one confidentiality they come to."""
        systems = self._systems
        found = _NONE
        for system, code in codes:
            known_codes = systems.get(system)
            if known_codes is not None and (labels := known_codes.of(code)):
                found = found | labels if found else labels
        return settled(found) if found else _NONE

    def of_resource(self, resource: Mapping[str, Any]) -> frozenset[Label]:
        """The labels of a resource: of every coding anywhere in it, and those it already carries.

        Contained resources and entries count. What is only said in words is not read.
        """
        codes: set[tuple[str, str]] = set()
        labels: set[Label] = set()
        waiting: list[Any] = [resource]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                _read(node, codes, labels, waiting)
            elif isinstance(node, list):
                waiting.extend(node)
        found = self.of_codes(codes)
        return settled(found.union(labels)) if labels else found


def declared(sensitivity: str) -> frozenset[Label]:
    """The labels of a field that a mapping declares sensitive by a v3-Confidentiality or v3-ActCode code.

    Raises ValueError for a code that is in neither.
    """
    if known(CONFIDENTIALITY, sensitivity):
        return frozenset({(CONFIDENTIALITY, sensitivity)})
    if known(ACT_CODE, sensitivity):
        return settled((RESTRICTED, (ACT_CODE, sensitivity)))
    raise ValueError("a sensitivity that is no code of v3-Confidentiality or v3-ActCode")


def _read(
    node: Mapping[str, Any], codes: set[tuple[str, str]], labels: set[Label], waiting: list[Any]
) -> None:
    """One element: its own coding, the labels it carries, and what is still to be read below it."""
    system, code = node.get("system"), node.get("code")
    if isinstance(system, str) and isinstance(code, str):
        codes.add((as_named(system), code))
    for key, value in node.items():
        if key == "meta" and isinstance(value, Mapping):
            labels.update(_labels(value.get("security")))
            waiting.extend(part for name, part in value.items() if name != "security")
        elif key == "securityLabel" and node.get("resourceType") == "DocumentReference":
            labels.update(_labels(value))
        elif key == "confidentiality" and isinstance(value, str):  # Composition: a bare code
            labels.add((CONFIDENTIALITY, value))
        elif key == "valueCoding" and node.get("url") == _INLINE:
            labels.update(_labels(value))
        elif isinstance(value, (dict, list)):
            waiting.append(value)


def _labels(value: Any) -> Iterator[Label]:
    """The codings in a Coding, a CodeableConcept or a list of them; one that cannot be read is restricted."""
    if isinstance(value, list):
        for one in value:
            yield from _labels(one)
    elif isinstance(value, Mapping):
        if "coding" in value:
            yield from _labels(value["coding"])
            return
        system, code = value.get("system"), value.get("code")
        if isinstance(code, str) and not system:
            # A label that forgot its system: the code alone still tells which one is meant.
            yield label_named(code) or RESTRICTED
        elif isinstance(system, str) and isinstance(code, str):
            yield (as_named(system), code)
        else:
            yield RESTRICTED
