"""A hospital's node in process, and a referral of its that stands as an offer to the pantry."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from unserved import agencies_in

from gateway import clock, permission, settings
from gateway.cli import consent as cli_consent
from gateway.demo.agencies import HOSPITAL
from gateway.demo.stories import RECORDS
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import tasks


class Clock:
    """A clock that a test can turn."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


def make_hospital(tmp_path: Path) -> Node:
    agencies = agencies_in(tmp_path)
    return Node(settings.read(agencies[HOSPITAL].config), Clock())


def offered(node: Node) -> tuple[Ask, str, str]:
    """A referral that stands as an offer: who acts, its id, and its Task's."""
    ask = Ask("operator", node.home, "00000000-0000-4000-8000-000000000001")
    answers = json.loads((RECORDS / "1-consent.json").read_bytes())
    answers["end"] = (node.now() + timedelta(days=1)).date().isoformat()
    permission.record_consent(node, ask, cli_consent.build(node.settings, answers))
    receipt = Exchange(node).hand_in(ask, "hl7v2-referral", (RECORDS / "1-hospital.hl7").read_bytes())[0]
    assert not isinstance(receipt, Refused)
    assert receipt.state == "offered"
    with node.store.work() as work:
        return ask, receipt.referral, tasks.of_referral(work, receipt.referral)[0].id
