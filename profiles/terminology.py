"""Codes that stand above others, and codes of one system said in another's words.

`subsumes` knows the hierarchy of every code system that is held whole, and reads two in a way of its own, for
decisions: confidentiality is an order, and of v3-ActReason only purposes of use count. `ConceptMap` is the
FHIR R4 resource of that name, compiled for look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from profiles import canonical
from profiles.code_systems import CodeSystem
from profiles.outcome import Issue
from profiles.registry import Definitions, shipped
from profiles.structure import check
from profiles.value_sets import code_system

_CONFIDENTIALITY: Final = {code: rank for rank, code in enumerate("ULMNRV")}
_PURPOSES = "PurposeOfUse"
_NO_MATCH = frozenset({"unmatched", "disjoint"})


def subsumes(system: str, general: str, specific: str, held: Definitions | None = None) -> bool:
    """Whether `general` covers `specific` (every code covers itself), by what is shipped or by `held`.

    Purposes: TREAT covers COC, ETREAT and BTG; a code of v3-ActReason that is no purpose of use is not known.
    Confidentiality: R covers N, as who may see restricted data may see normal data (U < L < M < N < R < V); a
    denial of R and above is asked the other way round. A code that the system does not have covers nothing
    and is covered by nothing, not even by itself. Raises LookupError for a system that is not held whole.
    """
    if system == canonical.CONFIDENTIALITY:
        order = _CONFIDENTIALITY
        return general in order and specific in order and order[specific] <= order[general]
    found = _whole(system, held) if held else _shipped(system)
    if system == canonical.ACT_REASON and not found.covers(_PURPOSES, general):
        return False
    return found.covers(general, specific)


def known(system: str, code: str, held: Definitions | None = None) -> bool:
    """Whether `subsumes` knows `code` in `system`. Raises LookupError for a system that is not held whole."""
    return subsumes(system, code, code, held)


@cache
def above(system: str, code: str) -> frozenset[str]:
    """A code of a shipped system and all that stand above it; the code alone where the system has none such.

    Raises LookupError for a system that is not held whole.
    """
    return _shipped(system).ancestors(code)


@cache
def purposes_below(code: str) -> frozenset[str]:
    """A purpose of use (v3-ActReason) and all that it covers; empty for a code that is none."""
    found = _shipped(canonical.ACT_REASON)
    return found.descendants(code) if found.covers(_PURPOSES, code) else frozenset()


@cache
def _shipped(system: str) -> CodeSystem:
    return _whole(system, shipped())


def _whole(system: str, held: Definitions) -> CodeSystem:
    found = code_system(system, held)
    if found is None or not found.complete:
        raise LookupError(f"the code system {system} is not held whole")
    return found


@dataclass(frozen=True, slots=True)
class Translation:
    """One target of a code. `equivalence` is the R4 ConceptMapEquivalence of target to source."""

    system: str
    code: str
    display: str
    equivalence: str


class ConceptMapError(ValueError):
    """A ConceptMap that cannot be used; `issues` say why."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(f"{issue.expression}: {issue.message}" for issue in issues))
        self.issues = tuple(issues)


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """A FHIR R4 ConceptMap, ready for look-up: {source system: {code: translations}} and what is unmapped."""

    url: str
    table: Mapping[str, Mapping[str, tuple[Translation, ...]]]
    unmapped: Mapping[str, tuple[Translation, ...] | str]

    def translate(self, system: str, code: str) -> tuple[Translation, ...]:
        """The translations of a code, best listed first; empty when it has none.

        A code that is not listed follows `group.unmapped`: mode `provided` keeps the code in the target
        system, `fixed` gives one code for all (equivalence `inexact`: that it fits was not stated).
        """
        listed = self.table.get(system, {}).get(code)
        if listed is not None:
            return listed
        rest = self.unmapped.get(system, ())
        return (Translation(rest, code, "", "equivalent"),) if isinstance(rest, str) else rest

    def codes(self, system: str) -> frozenset[str]:
        """The source codes that are listed, so that a mapping's coverage can be checked beforehand."""
        return frozenset(self.table.get(system, {}))


def load_concept_map(resource: Mapping[str, Any]) -> ConceptMap:
    """Compile a ConceptMap resource. Raises ConceptMapError for one that is not valid R4 or uses what is
    not supported here: `dependsOn`, `product`, and `unmapped.mode` `other-map`."""
    issues = check(resource) or list(_unsupported(resource))
    if issues:
        raise ConceptMapError(issues)
    table: dict[str, dict[str, tuple[Translation, ...]]] = {}
    unmapped: dict[str, tuple[Translation, ...] | str] = {}
    for group in resource.get("group", []):
        source, target = group.get("source", ""), group.get("target", "")
        for element in group["element"]:
            found = tuple(_translations(element, target))
            table.setdefault(source, {}).setdefault(element["code"], ())
            table[source][element["code"]] += found
        if rest := group.get("unmapped"):
            fixed = Translation(target, rest.get("code", ""), rest.get("display", ""), "inexact")
            unmapped[source] = target if rest["mode"] == "provided" else (fixed,)
    return ConceptMap(resource.get("url", ""), table, unmapped)


def _translations(element: Mapping[str, Any], system: str) -> Iterator[Translation]:
    for target in element.get("target", []):
        if target["equivalence"] not in _NO_MATCH and "code" in target:
            yield Translation(system, target["code"], target.get("display", ""), target["equivalence"])


def _unsupported(resource: Mapping[str, Any]) -> Iterator[Issue]:
    if resource["resourceType"] != "ConceptMap":
        yield Issue("error", "structure", "must be a ConceptMap", "ConceptMap")
        return
    for g, group in enumerate(resource.get("group", [])):
        where = f"ConceptMap.group[{g}]"
        rest = group.get("unmapped", {})
        if rest.get("mode") == "other-map":
            yield Issue(
                "error", "not-supported", "the mode other-map is not supported", f"{where}.unmapped.mode"
            )
        if rest.get("mode") == "fixed" and "code" not in rest:
            yield Issue("error", "required", "mode fixed needs a code", f"{where}.unmapped.code")
        for e, element in enumerate(group["element"]):
            if "code" not in element:
                yield Issue("error", "required", "is required and missing", f"{where}.element[{e}].code")
            for t, target in enumerate(element.get("target", [])):
                if "dependsOn" in target or "product" in target:
                    message = "dependsOn and product are not supported"
                    yield Issue("error", "not-supported", message, f"{where}.element[{e}].target[{t}]")
