"""Good resources to start from: the guide's examples, what our mappings make, instances of our profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parents[1] / "cases"
EXAMPLES = Path(__file__).parents[3] / "shared" / "refs" / "sdoh-clinicalcare-3.0.0" / "examples"

# What the gateway adds to a mapped resource before it is valid: the references, and a Task's intent.
_ADDED: dict[str, dict[str, Any]] = {
    "ServiceRequest": {"subject": {"reference": "Patient/p"}},
    "Observation": {"subject": {"reference": "Patient/p"}},
    "Procedure": {"subject": {"reference": "Patient/p"}},
    "Task": {"intent": "order"},
}


_STORIES = (
    "case-json/accepted",
    "case-json/completed-and-met",
    "case-json/completed-outcome-not-known",
    "case-json/declined-for-want-of-space",
    "case-json/on-hold-code-only",
    "case-json/referral-out",
    "hl7v2-referral/bare-minimum",
    "hl7v2-referral/food-insecurity",
    "hl7v2-referral/other-separators-and-order-number",
    "shelter-csv/alias-and-need-only",
    "shelter-csv/rule-in-her-own-words",
    "shelter-csv/spreadsheet-export",
    "shelter-csv/whole-row",
)


def seeds() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, resource), in an order that does not change.

    Our profiles derive from the guide's: without HL7's files only what our mappings make is left.
    """
    yield from _mapped()
    if not EXAMPLES.is_dir():
        return
    for path in sorted(EXAMPLES.glob("*.json")):
        yield f"guide/{path.stem}", json.loads(path.read_text("utf-8"))
    for path in sorted((CASES / "profiles").glob("*.yaml")):
        case = yaml.safe_load(path.read_text("utf-8"))
        if "good" in case:
            yield f"ours/{path.stem}", case["good"]


def _mapped() -> Iterator[tuple[str, dict[str, Any]]]:
    """A choice of the mappings' cases: thousands of changes are made to each resource. That all of what every
    mapping makes is good is asked elsewhere (test_mapped_by_java)."""
    for path in [CASES / "mapping" / f"{story}.yaml" for story in _STORIES]:
        named = yaml.safe_load(path.read_text("utf-8"))["resources"]
        story = f"{path.parent.name}/{path.stem}"
        every = []
        for name, made in named.items():
            several = made if isinstance(made, list) else [made]
            whole = [each | _ADDED.get(each["resourceType"], {}) for each in several]
            every += whole
            yield from ((f"{story}/{name}/{number}", each) for number, each in enumerate(whole))
        yield f"{story}/bundle", _collection(every)


def _collection(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """All of one record together, each under a URL of its own."""
    urls = [f"urn:uuid:{number:08}-0000-4000-8000-000000000000" for number in range(len(resources))]
    entries = [{"fullUrl": url, "resource": each} for url, each in zip(urls, resources, strict=True)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
