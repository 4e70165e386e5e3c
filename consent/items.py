"""The disclosure items: what a person can release, and which FHIR elements each item is.

The codes are the project's CodeSystem `disclosure-item`. `policies/items.yaml` is the only list of elements
that can ever leave a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from consent.paths import Segment, Tree, build, is_object, parse, tree
from profiles.canonical import DISCLOSURE_ITEM
from profiles.document import Document, load, read_schema

POLICIES: Final = Path(__file__).parent / "policies"
SCHEMAS: Final = POLICIES / "schemas"

# An Observation in these states states no fact. Nor does one with a modifier: it leaves without that, and
# could then say the opposite.
_VOID: Final = ("entered-in-error", "cancelled")
_MODIFIER: Final = "modifierExtension"


@dataclass(frozen=True, slots=True)
class Item:
    """One disclosure item. `also_coded` are further codes that its Observation carries outward.

    `in_no_set` says why none of the shipped minimum sets asks for it; empty where one does.
    """

    code: str
    display: str
    group: Literal["offer", "person"]
    resource: Literal["ServiceRequest", "Patient", "Observation"]
    texts: tuple[str, ...]
    paths: tuple[tuple[Segment, ...], ...]
    allowed: Tree
    also_coded: tuple[tuple[str, str], ...] = ()
    in_no_set: str = ""


@dataclass(frozen=True, slots=True)
class ItemTable:
    """All items, in the order in which they are built and listed."""

    entries: Mapping[str, Item]
    _allowed: dict[tuple[frozenset[str], str], Tree] = field(default_factory=dict, compare=False, repr=False)

    def display(self, code: str) -> str:
        """The item in plain words; the code itself when it is not one of ours."""
        item = self.entries.get(code)
        return item.display if item else code

    def listed(self, codes: Iterable[str]) -> str:
        """Several items in plain words, in the table's order, then unknown ones."""
        wanted = frozenset(codes)
        known = [item.display for code, item in self.entries.items() if code in wanted]
        return ", ".join(known + sorted(wanted - self.entries.keys()))

    def allowed(self, codes: frozenset[str], resource: str) -> Tree:
        """The allow-list that these items make for one kind of resource, compiled once for each such set."""
        if (codes, resource) not in self._allowed:
            self._allowed[codes, resource] = tree(
                path
                for code, item in self.entries.items()
                if code in codes and item.resource == resource
                for path in item.paths
            )
        return self._allowed[codes, resource]

    def elements(self, resource: str) -> frozenset[str]:
        """The top elements of one kind of resource that any item names."""
        return frozenset(
            path[0].name for item in self.entries.values() if item.resource == resource for path in item.paths
        )

    def present(self, resources: Mapping[str, Any]) -> frozenset[str]:
        """The items that a referral's resources hold: those from which something could be built."""
        sources = Sources(resources)
        return frozenset(code for code, item in self.entries.items() if build(sources.of(item), item.allowed))


class Sources:
    """The resource that each item of one record is read from. A record is gone through once."""

    __slots__ = ("_facts", "_resources")

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self._resources = resources
        self._facts: dict[str, Any] = {}
        found = resources.get("Observation")
        for observation in found if isinstance(found, list) else []:
            codes = _stated(observation)
            if codes and observation.get("status") not in _VOID and _MODIFIER not in observation:
                for code in codes:
                    self._facts.setdefault(code, observation)

    def of(self, item: Item) -> Any:
        """The resource; for an Observation the first valid one with the item's code."""
        if item.resource == "Observation":
            return self._facts.get(item.code)
        return self._resources.get(item.resource)


def is_about(observation: Any, code: str) -> bool:
    """Whether an Observation states this disclosure item."""
    return code in _stated(observation)


def _stated(observation: Any) -> list[str]:
    """The disclosure items that a thing states, if it is an Observation that states any."""
    concept = observation.get("code") if is_object(observation) else None
    found = concept.get("coding") if is_object(concept) else None
    if not isinstance(found, list):
        return []
    codes = [
        coding.get("code")
        for coding in found
        if is_object(coding) and coding.get("system") == DISCLOSURE_ITEM
    ]
    return [code for code in codes if isinstance(code, str)]


@cache
def shipped() -> ItemTable:
    """The table in `policies/items.yaml`, loaded once."""
    return load_items(POLICIES / "items.yaml")


def load_items(path: Path) -> ItemTable:
    """An item table from a YAML file. Raises DocumentError with file and line."""
    document = load(path, read_schema(SCHEMAS / "items.schema.json"))
    entries = {code: _item(document, code, described) for code, described in document.data["items"].items()}
    return ItemTable(entries)


def _item(document: Document, code: str, described: Mapping[str, Any]) -> Item:
    paths = []
    for number, text in enumerate(described["paths"]):
        try:
            paths.append(parse(text))
        except ValueError:
            where = ("items", code, "paths", number)
            raise document.error([document.issue(where, "is not an element path")]) from None
    return Item(
        code=code,
        display=described["display"],
        group=described["group"],
        resource=described["resource"],
        texts=tuple(described["paths"]),
        paths=tuple(paths),
        allowed=tree(paths),
        also_coded=tuple((one["system"], one["code"]) for one in described.get("also-coded", [])),
        in_no_set=described.get("in-no-set", ""),
    )
