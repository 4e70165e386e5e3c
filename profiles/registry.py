"""The definitions that ship with the package: profiles, extensions, code systems and value sets of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "definitions"


def definition(url: str) -> Mapping[str, Any]:
    """The StructureDefinition, CodeSystem or ValueSet of that canonical URL. Raises LookupError."""
    found = _all().get(url)
    if found is None:
        raise LookupError(f"no definition is held for {url}")
    return found


def holds(url: str) -> bool:
    """Whether a definition of that canonical URL is held here."""
    return url in _all()


@cache
def profiles() -> tuple[str, ...]:
    """The canonical URLs of our resource profiles."""
    return tuple(
        url
        for url, found in _all().items()
        if found["resourceType"] == "StructureDefinition" and found["kind"] == "resource"
    )


@cache
def _all() -> dict[str, Mapping[str, Any]]:
    loaded = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.json")))
    return {found["url"]: found for found in loaded}
