"""The SDOH Clinical Care guide's own example instances pass FHIR's structure here.

They are HL7's, so they are not in this repository: they are read from `../shared/refs` where a checkout has
that folder beside it, as the continuous integration does. Elsewhere these tests say why they are skipped.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from profiles import structure

EXAMPLES = Path(__file__).parents[3] / "shared" / "refs" / "sdoh-clinicalcare-3.0.0"


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the guide's examples are not beside this checkout")
@pytest.mark.parametrize("folder", ["examples", "definitions"])
def test_what_the_guide_publishes_passes(folder: str) -> None:
    files = sorted((EXAMPLES / folder).glob("*.json"))
    assert len(files) > 10
    for path in files:
        resource = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        assert [(path.name, issue) for issue in structure.check(resource)] == []
