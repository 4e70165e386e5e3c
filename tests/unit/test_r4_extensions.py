"""The extensions that R4 defines are known: what they may hold, and where they may stand."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiles import engine as engines
from profiles import r4, validate
from profiles.canonical import FHIR
from profiles.engine import engine
from profiles.outcome import errors
from profiles.registry import Definitions, shipped

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/extensions/r4.yaml").read_text("utf-8"))
EXTENSIONS = json.loads((Path(r4.__file__).parent / "base" / "extensions.json").read_text("utf-8"))


def full(part: Any) -> Any:
    """A part of a case with R4's extensions under their full URLs."""
    if isinstance(part, list):
        return [full(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    told = {key: full(value) for key, value in part.items()}
    if "-" in told.get("url", "") or told.get("url") == "translation":
        told["url"] = f"{FHIR}/{told['url']}"
    return told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["is"])
def test_a_known_extension_is_as_r4_says(case: dict[str, Any]) -> None:
    found = errors(validate({"resourceType": "Patient", **full(case["patient"])}))
    refused = {issue.expression for issue in found}
    assert refused == ({case["refused"]} if "refused" in case else set())


def test_all_that_they_ask_is_checked_but_codes_that_nobody_here_holds() -> None:
    """Of R4's 391 extensions, four are bound to UCUM, SNOMED CT, time zones and numeric countries; thirteen
    ask something of what they stand on, which the report says is not checked."""
    held = Definitions()
    compiled = engine(held)
    lacking, of_contexts = {}, 0
    for extension in EXTENSIONS:
        found = held.find(extension["url"])
        assert found is not None
        lacks = compiled.report(found).not_supported
        of_contexts += "contextInvariant" in found.resource
        if lacks := [one for one in lacks if "contextInvariant" not in one]:
            lacking[found.url.rpartition("/")[2]] = lacks
    assert (len(EXTENSIONS), of_contexts) == (391, 13)
    assert lacking.keys() == {
        "elementdefinition-allowedUnits",
        "elementdefinition-bestpractice",
        "openEHR-location",
        "tz-code",
    }
    assert all("not every code" in sentence for lacks in lacking.values() for sentence in lacks)


def test_no_texts_come_along() -> None:
    for extension in EXTENSIONS:
        assert not extension.keys() & {"name", "title", "description", "text", "mapping"}
        for element in extension["differential"]["element"]:
            assert not element.keys() & {"short", "definition", "comment", "mapping"}


def test_they_are_not_compiled_before_one_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(engines, "Compilation", fail)
    held = Definitions()
    assert not errors(validate({"resourceType": "Patient", "language": "haw"}, held=held))
    case = {"resourceType": "Patient", **full(CASES[0]["patient"])}
    with pytest.raises(AssertionError):
        validate(case, held=held)


def test_they_are_not_among_the_definitions_that_are_listed_and_compiled_at_the_start() -> None:
    urls = {held.url for held in shipped().all("StructureDefinition")}
    assert urls
    assert not urls & {extension["url"] for extension in EXTENSIONS}
