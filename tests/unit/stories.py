"""Case files: one good case, then cases that change a fact of it, each with what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from consent_world import changed

from profiles.document import load

CASES = Path(__file__).parent.parent / "cases"


def schema(expect: Mapping[str, Any], given: str = "facts") -> dict[str, Any]:
    """The schema of a case file. expect: of what a case expects; given: what its facts stand under."""
    return {
        "type": "object",
        "required": ["story", given, "expect", "cases"],
        "additionalProperties": False,
        "properties": {
            "story": {"type": "string"},
            given: {"type": "object"},
            "expect": expect,
            "cases": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "change", "expect"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "why": {"type": "string"},
                        "change": {"type": "object", "minProperties": 1},
                        "expect": expect,
                    },
                },
            },
        },
    }


def told(folder: Path, expect: Mapping[str, Any], given: str = "facts") -> list[Any]:
    """Every case of the files in a folder: (facts, what is expected), with the name that it goes by."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        story = load(path, schema(expect, given)).data
        found.append(pytest.param(story[given], story["expect"], id=f"{path.stem}: {story['story']}"))
        for case in story["cases"]:
            world = changed(story[given], case["change"])
            found.append(pytest.param(world, case["expect"], id=f"{path.stem}: {case['name']}"))
    return found
