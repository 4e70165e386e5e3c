"""The SDOH Clinical Care guide's own example instances pass FHIR's structure here.

They are read from `../shared/refs` beside the repository, which holds others' published data.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from profiles import structure

EXAMPLES = Path(__file__).parents[3] / "shared" / "refs" / "sdoh-clinicalcare-3.0.0"


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["examples", "definitions"])
def test_what_the_guide_publishes_passes(folder: str) -> None:
    files = sorted((EXAMPLES / folder).glob("*.json"))
    assert len(files) > 10
    for path in files:
        resource = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        assert [(path.name, issue) for issue in structure.check(resource)] == []
