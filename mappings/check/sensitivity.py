"""Whether what a mapping calls sensitive reaches an element that is for less sensitive data.

Confidentiality is an order (v3-Confidentiality: U, L, M, N, R, V). A kind of sensitivity (v3-ActCode: HIV,
SDV, PSY and their like) counts as R. A condition counts as well: an element that is there tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mappings.check.bench import element
from mappings.check.finding import Findings
from mappings.kind import RecordKind
from mappings.result import Lineage
from mappings.sections import Section, read_sections
from mappings.table import LocalMapping
from profiles.document import DataPath

Destinations = Mapping[str, str]
"""The beginning of an element's path (`ServiceRequest.category`, or `ServiceRequest`) → the highest code of
v3-Confidentiality that may reach it; of several that fit the longest counts."""

_ORDER: Final = "ULMNRV"
_RESTRICTED: Final = "R"
_ENVELOPE: Final = ("key", "of", "recipient", "local")  # what is kept and told beside the resources
_NORMAL: Final = "N"


def check_sensitivity(mapping: LocalMapping, destinations: Destinations, findings: Findings) -> None:
    """Tells of each sensitive field that reaches an element above what `destinations` allow there."""
    sections = read_sections(mapping.document, [])
    for kind, section in zip(mapping.kinds, sections, strict=True):
        for line in kind.lineage:
            if line.sensitivity:
                _check(line, kind, section, destinations, findings)


def _check(
    line: Lineage, kind: RecordKind, section: Section, destinations: Destinations, findings: Findings
) -> None:
    said = f"{line.field!r} is sensitive ({line.sensitivity})"
    if line.element == "record":
        message = f"{said}, and what kind of record this is tells something of it"
        findings.at(section.places["when"], "information", "security", message)
        return
    allowed = _allowed(line.element, destinations)
    if allowed is None or _rank(line.sensitivity) <= _ORDER.index(allowed):
        return
    how = "decides whether there is" if line.function == "when" else "reaches"
    message = f"{said} and {how} {line.element}, where {allowed} is the highest"
    findings.at(
        _place(line, kind, section),
        "error",
        "security",
        message,
        "use another field, or leave this entry out",
    )


def _allowed(path: str, destinations: Destinations) -> str | None:
    if path.partition(".")[0] in _ENVELOPE:
        return _NORMAL
    own = element(path)
    fitting = [prefix for prefix in destinations if own == prefix or own.startswith(f"{prefix}.")]
    return destinations[max(fitting, key=len)] if fitting else None


def _rank(code: str) -> int:
    return _ORDER.index(code if code in _ORDER else _RESTRICTED)


def _place(line: Lineage, kind: RecordKind, section: Section) -> DataPath:
    made = [entry for entry in kind.lines if entry.element == line.element]
    inside = [
        entry for entry in kind.lines if entry.element.startswith((f"{line.element}.", f"{line.element}["))
    ]
    reading = [entry for entry in made if line.field in entry.fields]
    return next((entry.where for entry in [*reading, *made, *inside]), section.where)
