"""The closed list of functions that a mapping may apply to a value.

Each is built once from its argument in the mapping and then called for every record. A function never sees
an empty value, and gives None or raises Rejected rather than guess: "unknown" never becomes "no".
A list is mapped item by item, so that a function is written for one value only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mappings.codes import CodeTable
from mappings.functions import dates, people, values
from mappings.functions.argument import ArgumentError, Function

TEXT: Final = frozenset({"string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid"})
_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})

_Build = Callable[[Any], Function]
_OfTable = Callable[[CodeTable], Function]


@dataclass(frozen=True, slots=True)
class Known:
    """One function: how it is built from its argument, and which FHIR types its result fits.

    makes: None for a function that gives what it was given.
    of_table: its argument is a code table's name, and it is built from that table.
    whole: it takes a list as one value.
    """

    build: _Build | _OfTable
    makes: frozenset[str] | None
    of_table: bool = False
    whole: bool = False


FUNCTIONS: Final[Mapping[str, Known]] = {
    "date": Known(dates.date_function, frozenset({"date", "dateTime"})),
    "datetime": Known(dates.datetime_function, frozenset({"dateTime", "instant"})),
    "time": Known(dates.time_function, frozenset({"time"})),
    "hl7_time": Known(dates.hl7_function, TEXT),
    "phone": Known(people.phone, TEXT),
    "name": Known(people.name, TEXT),
    "age_band": Known(people.age_band, TEXT),
    "zip5": Known(people.zip5, TEXT),
    "zip3": Known(people.zip3, TEXT),
    "county": Known(people.county, TEXT, of_table=True),
    "safe_contact": Known(people.safe_contact, frozenset({"CodeableConcept"}), of_table=True),
    "integer": Known(values.integer, _WHOLE),
    "decimal": Known(values.decimal, frozenset({"decimal"})),
    "boolean": Known(values.boolean, frozenset({"boolean"})),
    "identifier": Known(values.identifier, TEXT),
    "split": Known(values.split, TEXT, whole=True),
    "nth": Known(values.nth, None, whole=True),
    "text": Known(values.text, TEXT),
    "lower": Known(values.lower, TEXT),
    "without": Known(values.without, TEXT),
    "code": Known(lambda table: table.code, TEXT, of_table=True),
    "coding": Known(lambda table: table.coding, frozenset({"Coding"}), of_table=True),
    "concept": Known(lambda table: table.concept, frozenset({"CodeableConcept"}), of_table=True),
    "uncode": Known(values.uncode, TEXT, of_table=True),
}
"""By the names that mappings write. A value without a function is copied; `age` needs a second value, the
day, and is compiled where expressions are."""

AGE_MAKES: Final = _WHOLE


def build(name: str, argument: Any, tables: Mapping[str, CodeTable]) -> Function:
    """The function `name` with its argument from the mapping, for one value. Raises ArgumentError."""
    known = FUNCTIONS[name]
    return known.build(_table(argument, tables) if known.of_table else argument)


def _table(argument: Any, tables: Mapping[str, CodeTable]) -> CodeTable:
    table = tables.get(argument) if isinstance(argument, str) else None
    if table is None:
        known = ", ".join(tables) or "none yet"
        raise ArgumentError(f"must name a code table from 'codes' (known here: {known})")
    return table
