"""What a field may hold so that the functions on it make something of it: one plain sample of each sort.

For a code table every code is a sample of its own, and so is a word that the table lacks where it is kept
as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mappings.codes import CodeTable
from mappings.elements import Element
from mappings.functions import FUNCTIONS, build
from mappings.functions.people import years_between
from mappings.nodes import over_lists
from mappings.record import Rejected

Chain = tuple[tuple[str, Any], ...]
"""Functions with their arguments, the one that is applied first in front."""
AGE_DAY: Final = "age on"  # the second value of the function `age`: the day on which the age is asked
TRANSLATE: Final = frozenset({"code", "coding", "concept", "safe_contact", "uncode"})

_OTHER_WORD = "some other word"
_DAY = {"YYYY": "2000", "MM": "01", "DD": "01", "hh": "12", "mm": "00", "ss": "00", "zzz": "+0000"} | {
    "pm": "PM",
    "M": "1",
    "D": "1",
    "h": "12",
}
_NAMED = {"HL7": "20000101120000", "ISO": "2000-01-01T12:00:00Z"}
_TIMES = {"hh:mm": "12:00", "hh:mm:ss": "12:00:00", "hhmm": "1200", "hh:mm pm": "12:00 PM"}
_IDENTIFIERS = {
    "oid": "2.16.840.1.113883",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "urn:sample:1",
    "npi": "1234567893",
}
_TEXTS = {
    "id": "sample",
    "code": "sample",
    "uri": "urn:sample:1",
    "url": "https://sample.example/1",
    "canonical": "https://sample.example/1",
    "oid": "urn:oid:2.16.840.1.113883",
    "uuid": "urn:uuid:00000000-0000-4000-8000-000000000000",
    "base64Binary": "c2FtcGxl",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">sample</div>',
    "date": "2000-01-01",
    "dateTime": "2000-01-01",
    "instant": "2000-01-01T12:00:00Z",
    "time": "12:00:00",
    "boolean": True,
    "integer": 1,
    "positiveInt": 1,
    "unsignedInt": 1,
    "decimal": 1,
}
_OBJECTS: Mapping[str, Any] = {
    "CodeableConcept": {"text": "sample"},
    "Coding": {"system": "urn:sample:codes", "code": "sample"},
    "Identifier": {"system": "urn:sample:ids", "value": "sample"},
    "Period": {"start": "2000-01-01"},
    "Reference": {"display": "sample"},
    "HumanName": {"family": "Sample"},
    "Address": {"text": "sample"},
    "ContactPoint": {"system": "phone", "value": "+12035550123"},
    "Annotation": {"text": "sample"},
    "Quantity": {"value": 1},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a field may hold; where a code table is to read it, which one and, if it has it, the code."""

    value: Any
    table: str = ""
    code: str | None = None


class Functions:
    """Applies functions as a mapping does, with its code tables."""

    def __init__(self, tables: Mapping[str, CodeTable]) -> None:
        self._tables = tables
        self._built: dict[tuple[str, str], Callable[[Any], Any]] = {}
        self._sampled: dict[tuple[str, str], list[Sample]] = {}

    def apply(self, chain: Chain, value: Any) -> Any:
        """What `chain` makes of `value`; None for nothing. Raises Rejected."""
        for name, argument in chain:
            if value is None:
                return None
            if name != AGE_DAY:
                value = self._function(name, argument)(value)
        return value

    def samples(self, chain: Chain, kind: Element | None) -> list[Sample]:
        """Samples that `chain` takes and makes something of, for an element of type `kind`."""
        key = (repr(chain), kind.type if kind and not chain else "")
        if key not in self._sampled:
            self._sampled[key] = self._sample(chain, kind)
        return self._sampled[key]

    def passed_over(self, chain: Chain) -> list[Sample]:
        """A word that a code table on the way leaves out, if there is one that does."""
        tables = [str(argument) for name, argument in chain if name in TRANSLATE]
        dropping = [table for table in tables if self._tables[table].unmapped == "drop"]
        return [Sample(_OTHER_WORD, dropping[0])] if dropping and not self._makes(chain, _OTHER_WORD) else []

    def _sample(self, chain: Chain, kind: Element | None) -> list[Sample]:
        seeds = [seed for name, argument in reversed(chain) for seed in self._seeds(name, argument)]
        found = {str(seed): seed for seed in seeds or [plain(kind if not chain else None)]}
        return [self._labelled(chain, seed) for seed in found.values() if self._makes(chain, seed)]

    def _makes(self, chain: Chain, value: Any) -> bool:
        try:
            return self.apply(chain, value) is not None
        except Rejected:
            return False

    def _labelled(self, chain: Chain, value: Any) -> Sample:
        at = next((at for at, (name, _) in enumerate(chain) if name in TRANSLATE), None)
        if at is None:
            return Sample(value)
        code, table = str(self.apply(chain[:at], value)), chain[at][1]
        known = self._tables[table].source if chain[at][0] == "uncode" else self._tables[table].targets
        return Sample(value, table, code if known.get(code) else None)

    def _function(self, name: str, argument: Any) -> Callable[[Any], Any]:
        key = (name, repr(argument))
        if key not in self._built:
            made = _age(argument) if name == "age" else build(name, argument, self._tables)
            whole = name in FUNCTIONS and FUNCTIONS[name].whole
            self._built[key] = made if whole else over_lists(made)
        return self._built[key]

    def _seeds(self, name: str, argument: Any) -> list[Any]:
        """Inputs of one function; none for one that takes any text."""
        match name:
            case "date" | "datetime" | "age" | "age on":
                return _days(argument)
            case "time":
                return [_TIMES[each] for each in _listed(argument)]
            case "hl7_time":
                return ["2000-01-01T12:00:00Z"]
            case "phone":
                return ["2035550123"]
            case "name":
                return ["Ana Souza"]
            case "age_band":
                return ["30"]
            case "zip5" | "zip3":
                return ["06510"]
            case "county":
                return list(self._tables[argument].targets)[:1]
            case "integer" | "decimal":
                return [str(argument["min"]), str(argument["max"])]
            case "boolean":
                return [
                    str(word).lower() if word in (True, False) else str(word) for word in _words(argument)
                ]
            case "identifier":
                return [_IDENTIFIERS[argument]]
            case "uncode":
                return list(self._tables[argument].source)
            case "code" | "coding" | "concept" | "safe_contact":
                table = self._tables[argument]
                return [*table.targets, *([_OTHER_WORD] if table.unmapped == "text" else [])]
            case _:
                return []


def _age(argument: Any) -> Callable[[Any], Any]:
    years = years_between(argument["formats"])
    return lambda born: years(born, _days(argument)[0])


def _days(argument: Any) -> list[str]:
    formats = argument["formats"] if isinstance(argument, dict) else argument
    return [
        _NAMED.get(each) or re.sub("|".join(_DAY), lambda found: _DAY[found[0]], each)
        for each in _listed(formats)
    ]


def _words(argument: Mapping[str, Any]) -> list[Any]:
    return [word for key in ("yes", "no") for word in _listed(argument[key])]


def _listed(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def plain(kind: Element | None) -> Any:
    """A value of a FHIR type, or some text; None for a type of which no sample is known."""
    if kind is None:
        return "sample"
    return _OBJECTS.get(kind.type, _TEXTS.get(kind.type, "sample" if kind.is_text else None))
