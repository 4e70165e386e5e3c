"""The guides that our profiles are derived from, where they are beside this checkout: not ours to ship."""

import json
from functools import cache
from pathlib import Path

from profiles.registry import Definitions, Package

GUIDES = Path(__file__).parents[3] / "shared" / "refs"


@cache
def guides() -> Definitions:
    """SDOH Clinical Care 3.0.0 and what it needs of US Core 7.0.0, besides what ships."""
    us_core = _package("hl7.fhir.us.core", "7.0.0", GUIDES / "us-core-7.0.0", {})
    needs = {us_core.name: us_core.version}
    folder = GUIDES / "sdoh-clinicalcare-3.0.0" / "definitions"
    return Definitions([us_core, _package("hl7.fhir.us.sdoh-clinicalcare", "3.0.0", folder, needs)])


def _package(name: str, version: str, folder: Path, needs: dict[str, str]) -> Package:
    files = sorted(folder.glob("*.json"))
    return Package(name, version, needs, tuple(json.loads(path.read_text("utf-8")) for path in files))
