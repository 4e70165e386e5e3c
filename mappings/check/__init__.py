"""What a mapping's author is told before it runs, beyond what loading already refuses.

Whether what it makes fits the profiles, whether its code tables cover the codes there are, whether what is
sensitive stays where it may go, and what of it cannot be read backwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from mappings.check.bench import Bench
from mappings.check.codes import check_codes
from mappings.check.finding import Finding, Findings
from mappings.check.r4_types import SourceTypes
from mappings.check.samples import Functions
from mappings.check.seen import check_sample
from mappings.check.sensitivity import Destinations, check_sensitivity
from mappings.check.told import Told
from mappings.check.uses import Use, Uses
from mappings.check.witnesses import Witnesses
from mappings.invert import not_invertible
from mappings.record import Record
from mappings.sections import read_sections
from mappings.table import LocalMapping
from profiles.registry import Definitions

__all__ = ["Destinations", "Finding", "check"]


def check(
    mapping: LocalMapping,
    destinations: Destinations | None = None,
    held: Definitions | None = None,
    sample: Iterable[Record] = (),
) -> list[Finding]:
    """What is wrong with `mapping`, or worth knowing: errors first, then warnings, then information.

    destinations: the highest sensitivity (v3-Confidentiality) that may reach an element, by the beginning of
    its path. held: the definitions to validate with, those shipped if none. sample: records of the system;
    nothing of them is told but codes that many share.
    """
    findings = Findings(mapping)
    check_codes(mapping, findings)
    _check_elements(mapping, held, findings)
    check_sensitivity(mapping, destinations or {}, findings)
    check_sample(mapping, sample, findings)
    for kind in mapping.kinds:
        if kind.kind == "status" and mapping.format in ("csv", "json"):
            for line, reason in not_invertible(mapping, kind):
                message = f"cannot be read backwards when news is written back: {reason}"
                findings.at(line.where, "information", "informational", message)
    return list(findings)


def _check_elements(mapping: LocalMapping, held: Definitions | None, findings: Findings) -> None:
    bench, functions = Bench(mapping, held), Functions(mapping.tables)
    fhir = mapping.format == "fhir"
    types = SourceTypes(fhir=fhir)
    sections = read_sections(mapping.document, [])
    reached: set[str] = set()
    unreached: list[Use] = []
    for at, (kind, section) in enumerate(zip(bench.kinds, sections, strict=True)):
        if kind.lines:
            uses = Uses(mapping.document, section, sections[:at], kind.lines, functions, bench.groups)
            tried = Witnesses(bench, kind, uses, functions, types).run()
            Told(section, tried, findings, fhir_source=fhir).all()
            reached |= {_named(use) for use in tried.samples}
            unreached += tried.unreached
    for use in unreached:
        if _named(use) not in reached:
            message = "was not tried: no record could be made up that comes to it"
            findings.at(use.line.where, "information", "not-supported", message)


def _named(use: Use) -> str:
    return repr((use.line.where, use.keys, use.chain))
