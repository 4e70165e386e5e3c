"""The `labels/` folders of policy folders: our own lists and FHIR R4 ValueSets, made into one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from consent.label_list import CodeGroup, LabelList, load_list
from consent.labelling import LabelTable
from consent.matter import Label
from consent.sensitivity import label_named, settled
from profiles.canonical import ACT_CODE, CONFIDENTIALITY
from profiles.code_systems import TerminologyError
from profiles.document import DataPath, Document, load
from profiles.outcome import Issue
from profiles.registry import Definitions, Package
from profiles.structure import check
from profiles.value_sets import NotEnumerable, value_set

_VALUE_SET: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["resourceType", "url"],
    "properties": {
        "resourceType": {"const": "ValueSet"},
        "url": {"type": "string", "minLength": 1},
        "title": {"type": "string"},
        "description": {"type": "string"},
    },
}


@dataclass(frozen=True, slots=True)
class _Set:
    """A ValueSet as it was found; `groups` are its codes."""

    document: Document
    url: str
    groups: tuple[CodeGroup, ...]


def load_labels(folders: Iterable[Path]) -> LabelTable:
    """The table of all lists (`*.yaml`) and ValueSets (`*.json`) in these folders; missing ones are empty.

    A ValueSet gives the labels of every list that names it under `value-sets`, and those that it states
    itself as its focus (`useContext`). Raises DocumentError with file and line for what cannot be read, a
    label that is not known, an id or URL given twice, and a ValueSet that gives no label or has no list.
    """
    folders = tuple(folders)
    lists: dict[str, tuple[LabelList, Document]] = {}
    for path in _files(folders, "*.yaml"):
        made, document = load_list(path)
        if made.id in lists:
            raise document.error([document.issue(("id",), "this id is already in use", "duplicate")])
        lists[made.id] = (made, document)
    sets = _value_sets(folders)
    named = {url for made, _ in lists.values() for url in made.value_sets}
    return LabelTable(
        (
            *(_with_sets(made, document, sets) for made, document in lists.values()),
            *(own for found in sets.values() if (own := _own(found, named=found.url in named))),
        )
    )


def _files(folders: Sequence[Path], pattern: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(pattern))


def _value_sets(folders: Sequence[Path]) -> dict[str, _Set]:
    documents: dict[str, Document] = {}
    for path in _files(folders, "*.json"):
        document = load(path, _VALUE_SET)
        if issues := check(document.data):
            raise document.error(_placed(document, issues))
        url = document.data["url"]
        if url in documents:
            raise document.error([document.issue(("url",), "this URL is already in use", "duplicate")])
        documents[url] = document
    if not documents:
        return {}
    # Compiled together, so that one may be made of others (`compose.include.valueSet`).
    package = Package("labels", "0", {}, tuple(document.data for document in documents.values()))
    held = Definitions([package])
    return {
        url: _Set(document, url, tuple(_groups(document, held, package)))
        for url, document in documents.items()
    }


def _groups(document: Document, held: Definitions, package: Package) -> Iterator[CodeGroup]:
    """The codes of a ValueSet, by system. Whole systems need not be held: any code of theirs is meant."""
    resource = document.data
    source = resource["url"]
    compose = resource.get("compose", {})
    whole = () if "exclude" in compose else tuple(filter(_is_whole, compose.get("include", ())))
    yield from (
        CodeGroup(system, source, whole=True) for system in sorted({part["system"] for part in whole})
    )
    rest = [part for part in compose.get("include", ()) if part not in whole]
    if whole and not rest:
        return
    if whole:
        part = {**resource, "compose": {**compose, "include": rest}}
        others = tuple(one for one in package.resources if one is not resource)
        package = Package(package.name, package.version, {}, (part, *others))
        held = Definitions([package])
    try:
        compiled = value_set(resource["url"], held, package)
        codings = compiled.expand() if compiled else ()
    except (TerminologyError, NotEnumerable):
        message = "has codes that cannot be listed from what is held here; list them, or add an expansion"
        raise document.error([document.issue(("compose",), message, "not-supported")]) from None
    codes: dict[str, set[str]] = {}
    for system, code in codings:
        codes.setdefault(system, set()).add(code)
    yield from (CodeGroup(system, source, exact=frozenset(found)) for system, found in codes.items())


def _is_whole(part: Mapping[str, Any]) -> bool:
    return "system" in part and not part.keys() & {"concept", "filter", "valueSet"}


def _with_sets(made: LabelList, document: Document, sets: Mapping[str, _Set]) -> LabelList:
    """A list with the codes of the value sets that it names."""
    groups = made.groups
    for number, url in enumerate(made.value_sets):
        if url not in sets:
            where = ("value-sets", number)
            raise document.error([document.issue(where, "is in no labels folder", "not-found")])
        groups += sets[url].groups
    return replace(made, groups=groups)


def _own(found: _Set, *, named: bool) -> LabelList | None:
    """What a ValueSet labels by its own statement; None where lists alone say it."""
    labels: list[Label] = []
    issues: list[Issue] = []
    document = found.document
    for where, coding in _focus(document.data):
        label = label_named(coding.get("code", ""))
        if label is not None and label[0] == coding.get("system"):
            labels.append(label)
        elif not named or coding.get("system") in (ACT_CODE, CONFIDENTIALITY):
            issues.append(document.issue(where, "is not a security label this version knows"))
    if not labels and not issues and not named:
        issues.append(
            document.issue(("url",), "gives no label: name it under value-sets of a list, or state its focus")
        )
    if issues:
        raise document.error(issues)
    if not labels:
        return None
    data = document.data
    return LabelList(
        id=found.url,
        title=data.get("title") or data.get("name") or found.url,
        labels=settled(labels),
        citation=found.url,
        text=data.get("description", ""),
        groups=found.groups,
    )


def _focus(resource: Mapping[str, Any]) -> Iterator[tuple[DataPath, Mapping[str, Any]]]:
    """The codings that a ValueSet states as its focus, each with its place."""
    for at, context in enumerate(resource.get("useContext", ())):
        if context.get("code", {}).get("code") == "focus":
            concept = context.get("valueCodeableConcept", {})
            for number, coding in enumerate(concept.get("coding", ())):
                yield ("useContext", at, "valueCodeableConcept", "coding", number, "code"), coding


def _placed(document: Document, issues: Iterable[Issue]) -> list[Issue]:
    """Issues of R4's own rules, each with the line of the element that it names."""
    return [document.issue(_path(issue.expression), issue.message, issue.code) for issue in issues]


def _path(expression: str) -> DataPath:
    """`ValueSet.compose.include[0].system` as a path into the document."""
    path: list[str | int] = []
    for part in expression.split(".")[1:]:
        name, _, index = part.rstrip("]").partition("[")
        path.append(name)
        if index.isdigit():
            path.append(int(index))
    return tuple(path)
