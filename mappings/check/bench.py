"""Runs a mapping on made-up records and validates all that it makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mappings.bundle import linked
from mappings.check.made_up import MadeUpReader, made_up
from mappings.check.wants import Key
from mappings.compile import compile_mapping
from mappings.kind import RecordKind
from mappings.readers import make_reader
from mappings.record import Record
from mappings.table import LocalMapping
from profiles import validate
from profiles.outcome import Issue
from profiles.registry import Definitions

NOW: Final = "2000-01-01T12:00:00Z"
_INDEX = re.compile(r"\[[^\[\]]*\]")
_FORM = re.compile(r"\.ofType\((\w)(\w*)\)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one record: what was made, and all that is wrong with it.

    issues: of the validator, with `expression` as a mapping writes elements, without places in lists.
    """

    made: str
    issues: frozenset[Issue]


class Bench:
    """One mapping compiled for made-up records. `kinds` are as in the mapping.

    groups: the paths of its repeating groups.
    """

    def __init__(self, mapping: LocalMapping, held: Definitions | None) -> None:
        self._reader = reader = MadeUpReader(make_reader(mapping.document))
        compiled = compile_mapping(mapping.document, reader, mapping.tables)
        tables = {name: (table, mapping.table_documents[name]) for name, table in mapping.tables.items()}
        self._mapping = LocalMapping(mapping.document, reader, compiled, tables)
        self._held = held
        self._validated: dict[str, frozenset[Issue]] = {}
        self.kinds = self._mapping.kinds
        self.groups = frozenset(reader.groups)

    def run(self, kind: RecordKind, fields: Mapping[Key, Any], twice: Key = ()) -> Outcome | None:
        """What comes of a record with these fields; None if it is of another kind. Raises RecordError."""
        record = Record(made_up(fields, twice))
        if self._mapping.kind_of(record) is not kind:
            return None
        resources = linked(self._mapping, kind.map(record, self._reader), NOW).values()
        texts = {_text(resource): resource for resource in resources}
        found = frozenset(issue for text, resource in texts.items() for issue in self._issues(text, resource))
        return Outcome("\n".join(texts), found)

    def _issues(self, text: str, resource: Mapping[str, Any]) -> frozenset[Issue]:
        if text not in self._validated:
            found = validate(resource, held=self._held)
            self._validated[text] = frozenset(
                replace(issue, expression=element(issue.expression)) for issue in found
            )
        return self._validated[text]


def element(path: str) -> str:
    """A FHIRPath location, or an element with its places in lists, as `Observation.valueQuantity`."""
    return _FORM.sub(lambda found: found[1].upper() + found[2], _INDEX.sub("", path))


def _text(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource, sort_keys=True, default=str)
