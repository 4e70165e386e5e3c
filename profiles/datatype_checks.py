"""What holds of some types beyond their constraints, as the official validator checks it too.

FHIR R4 2.24: `Identifier.system` is absolute; 2.3: a reference is a URI, `Reference.type` is what it says;
2.36.3: an entry has an absolute fullUrl; 4.1: a code of a system that is held whole is one of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from profiles.place import Place
from profiles.references import told_type
from profiles.rules import Check
from profiles.run import Run

_SPACE = re.compile(r"\s")
_WITHOUT_URLS = frozenset({"batch", "transaction", "batch-response", "transaction-response"})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")

Known = Callable[[str, str], bool | None]


def datatype_checks(type_name: str, known: Known) -> tuple[Check, ...]:
    """The checks of one R4 type. `known(system, code)` says whether a code exists; None: cannot be told."""
    match type_name:
        case "Identifier":
            return (_absolute_system,)
        case "Coding":
            return (_coding_check(known),)
        case "Reference":
            return (_reference,)
        case "Meta":
            return (_each_once,)
        case "Bundle":
            return (_full_urls,)
    return ()


def is_absolute(uri: Any) -> bool:
    """Whether a URI names a scheme (`http:`, `urn:`)."""
    return uri.__class__ is str and _ABSOLUTE.match(uri) is not None


def _absolute_system(value: Mapping[str, Any], place: Place, run: Run) -> None:
    if "system" in value and not is_absolute(value["system"]):
        run.add("error", "code-invalid", "must be an absolute URI", (place, "system", -1))


def _coding_check(known: Known) -> Check:
    def check(value: Mapping[str, Any], place: Place, run: Run) -> None:
        system = value.get("system")
        if system is None:
            return
        there = known(system, value["code"]) if "code" in value else None
        if there is False:
            run.add("error", "code-invalid", "is not a code of its code system", (place, "code", -1))
        elif there is None and not is_absolute(system):
            run.add("warning", "value", "should be an absolute URI", (place, "system", -1))

    return check


def _reference(value: Mapping[str, Any], place: Place, run: Run) -> None:
    reference = value.get("reference")
    if reference is None:
        return
    told = told_type({"reference": reference})
    if _SPACE.search(reference):
        run.add("error", "value", "must be a URI, which has no spaces", (place, "reference", -1))
    elif told is None:
        if run.references.in_bundle and reference[0] != "#" and not is_absolute(reference):
            message = "must be absolute, or a type and an id, in a Bundle"
            run.add("error", "value", message, (place, "reference", -1))
    elif told != value.get("type", told):
        run.add("error", "structure", "is not the type that the reference names", (place, "type", -1))


def _each_once(value: Mapping[str, Any], place: Place, run: Run) -> None:
    for name in ("security", "tag"):
        if name in value and len(value[name]) > 1:
            said = [(one.get("system"), one.get("code")) for one in value[name]]
            if len(set(said)) < len(said):
                run.add("error", "structure", "says the same twice", (place, name, -1))


def _full_urls(value: Mapping[str, Any], place: Place, run: Run) -> None:
    needed = value.get("type") not in _WITHOUT_URLS
    for index, entry in enumerate(value.get("entry", ())):
        here = ((place, "entry", index), "fullUrl", -1)
        if "fullUrl" in entry:
            if not is_absolute(entry["fullUrl"]):
                run.add("error", "value", "must be an absolute URI", here)
        elif needed and "resource" in entry:
            run.add("error", "required", "is required except in a batch or transaction", here)
