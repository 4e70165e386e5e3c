"""A ZIP of an HMIS export is handed in: open referrals are taken, what is history goes nowhere."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from hospital_world import make_hospital

from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.recording import Ask
from gateway.store import referrals
from mappings import load, shipped

EXPORT = Path(__file__).parent.parent / "cases" / "mapping" / "hmis-csv" / "open-and-answered"
SYSTEM = "hl7v2-referral"  # what the node calls its system; the form is the mapping's


def zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"export/{path.name}")
    return packed.getvalue()


def test_each_record_of_the_set_has_its_own_answer(tmp_path: Path) -> None:
    node = make_hospital(tmp_path)
    node.mappings = {**node.mappings, SYSTEM: load(shipped("hmis-csv"))}
    ask = Ask("operator", node.home, "00000000-0000-4000-8000-000000000001")
    answers = Exchange(node).hand_in(ask, SYSTEM, zipped(EXPORT))
    told = [answer.status if isinstance(answer, Refused) else answer.state for answer in answers]
    # Two are open; five have a result or were deleted before anybody here heard of them; one refers nobody.
    assert told == ["held", 422, 422, 422, "passed over", 422, 404, "held"]
    with node.store.work() as work:
        assert len(referrals.all_of(work)) == told.count("held")
