"""A proposal as a mapping file: readable YAML, with every doubt as a comment that begins with `# ?`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

from mappings.infer.column import Sample
from mappings.infer.content import codes
from mappings.infer.decide import Choice
from mappings.infer.template import Template
from mappings.infer.yaml_text import flow, scalar

DOUBT: Final = "# ?"
CODED: Final[Mapping[str, str]] = {
    "need": "reject",
    "urgency": "reject",
    "language": "drop",
    "contact-rule": "text",
}
"""The roles that are read through a code table, and what becomes of a code that it lacks."""

_WIDTH = 108
_NEEDED: Final = {
    "referral-id": "which column is the number of the referral: it tells a new one from a repetition",
    "person-id": "which column is the number of the person: consents are found by it",
    "need": "which column says what is needed: without it there is no referral",
}


def mapping_text(system: str, sample: Sample, choices: Sequence[Choice]) -> str:
    """The mapping file."""
    return "\n".join(_lines(system, sample, choices)) + "\n"


def read_codes(choices: Iterable[Choice]) -> dict[str, list[str]]:
    """The code tables that the mapping uses, and the codes found for each."""
    return {each.role: codes(each.column.values) for each in choices if each.role in CODED}


def _lines(system: str, sample: Sample, choices: Sequence[Choice]) -> Iterator[str]:
    roles = {each.role for each in choices}
    missing = [says for role, says in _NEEDED.items() if role not in roles]
    yield from _comment(
        f"A first proposal, from {sample.records} records of {flow(sample.name)}. It is careful, not clever: "
        "a column is read only where its name is known and its values agree. What is left to do:"
    )
    yield "#   - Every comment that begins with a question mark is a doubt: settle it, then delete it."
    if read_codes(choices):
        yield "#   - Go through the tables in codes/. A row counts once it says equivalent, not unmatched."
    yield "#   - Go through `ignored`. Nothing there ever leaves. Read what a referral needs and no more."
    yield "# `waymeet map check` says what is left."
    yield f"system: {scalar(system)}"
    yield 'version: "1"'
    yield f"title: {flow(f'{sample.name}, a first proposal')}"
    yield from _doubts("", sample.doubts)
    yield from _format(sample)
    yield ""
    yield from _codes(choices)
    yield "fields:"
    yield from (f"  - {flow(_listed(each.column.name))}" for each in choices)
    yield ""
    yield from _left(sample, choices)
    yield from _sensitive(choices)
    yield "records:"
    if missing:
        yield from _unfinished(missing)
    yield "  referral:"
    yield "    kind: referral"
    if missing:
        yield "    when: {all: []}  # with the kind above goes this line"
    template = Template(system, choices, _doubts)
    yield from template.lines()
    yield from template.answers(str(sample.format["type"]))


def _comment(text: str, indent: str = "", mark: str = "#") -> Iterator[str]:
    for number, line in enumerate(wrap(text, _WIDTH - len(indent), break_on_hyphens=False)):
        yield f"{indent}{mark if not number else '#'} {line}"


def _doubts(indent: str, doubts: Iterable[str]) -> Iterator[str]:
    for doubt in doubts:
        yield from _comment(doubt, indent, DOUBT)


def _format(sample: Sample) -> Iterator[str]:
    tables = sample.format.get("tables")
    if tables is None:
        yield f"format: {flow(sample.format)}"
        return
    yield "format:"
    for key, value in sample.format.items():
        if key != "tables":
            yield f"  {key}: {flow(value)}"
    yield "  tables:"
    yield from (f"    {scalar(name)}: {flow(told)}" for name, told in tables.items())


def _codes(choices: Sequence[Choice]) -> Iterator[str]:
    found = read_codes(choices)
    if not found:
        return
    yield "codes:"
    for each in choices:
        if each.role not in found:
            continue
        listed = found[each.role]
        rare = len({str(value) for value in each.column.values}) - len(listed)
        if rare:
            values = "value stands" if rare == 1 else "values stand"
            doubt = f"{rare} {values} in the sample only once, and so not in the table. Add what is a code."
            yield from _doubts("  ", [doubt])
        told = {"map": f"codes/{each.role}.csv", "unmapped": CODED[each.role]}
        yield f"  {each.role}: {flow(told | ({'values': listed} if listed else {}))}"
    yield ""


def _unfinished(missing: Sequence[str]) -> Iterator[str]:
    yield from _doubts("  ", (f"Not found: {says}. Name it below." for says in missing))
    yield from _comment(
        "Until then this kind refuses every record. Delete it when the mapping is finished.", "  "
    )
    yield "  unfinished:"
    yield "    kind: refuse"
    yield "    when: {all: []}"
    yield "    because: This mapping is not finished; its comments say what is missing."


def _left(sample: Sample, choices: Sequence[Choice]) -> Iterator[str]:
    left = [each for each in choices if not each.role and not each.key]
    known = {each.column.name for each in left}
    nameless = [name for name in sample.nameless if name not in known]
    if not left and not nameless:
        return
    yield "ignored:"
    for each in left:
        yield from _doubts("  ", each.doubts)
        yield f"  {scalar(each.column.name)}: {flow(each.because)}"
    for name in nameless:
        yield f"  {scalar(name)}: A column without a name; nobody can say what it holds."
    yield ""


def _sensitive(choices: Sequence[Choice]) -> Iterator[str]:
    found = [each for each in choices if each.sensitive]
    if found:
        yield "sensitive:"
        yield from (f"  {scalar(each.column.name)}: {each.sensitive}" for each in found)
        yield ""


def _listed(name: str) -> str:
    """A question mark at the end of a name in `fields` says that the column may be missing."""
    return f"{name}?" if name.endswith("?") else name
