"""A referral that is nobody's, so that asking for what is not there costs what being refused costs.

Not permitted, not existing and unknown are answered in the same words. They must also take the same work: the
same queries, one opening of sealed content, one decision. So a node keeps one made-up record, sealed like any
other, and whoever asks for something that is not theirs has it decided about that.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import Refused, not_found
from gateway.judge import judge
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import contents, persons
from gateway.store.referrals import RECORD, Referral
from gateway.store.tasks import Task
from gateway.store.work import Work
from profiles.canonical import SDOHCC_CODES

OWNER: Final = "decoy"
_TYPE: Final = "food-insecurity"
_RECORD: Final[dict[str, Any]] = {
    "resources": {
        "Patient": {
            "resourceType": "Patient",
            "name": [{"use": "official", "family": "Nobody", "given": ["Nobody"]}],
            "birthDate": "1980-01-01",
            "telecom": [{"system": "phone", "value": "+12025550100"}],
            "address": [{"line": ["1 Nowhere Street"], "city": "Nowhere", "postalCode": "00000"}],
        },
        "ServiceRequest": {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "category": [{"coding": [{"system": SDOHCC_CODES, "code": _TYPE}]}],
            "priority": "routine",
        },
        "Observation": [],
    }
}


def prepare(node: Node) -> None:
    """Seal the made-up record, once in the life of a node."""
    with node.store.work() as work:
        if contents.holds(work, OWNER, RECORD):
            return
    node.store.vault.destroy(OWNER)  # a key without content is left by a crash between the two
    node.store.vault.create(OWNER)
    with node.store.work() as work:
        contents.put(work, OWNER, RECORD, _RECORD)


def refusal(node: Node, work: Work, ask: Ask) -> Refused:
    """The one 404, after the work that a refusal by decision takes."""
    nobody = work.vault.digest("subject", "", "")
    organization = ask.identity.organization
    referral = Referral(OWNER, organization, "", _TYPE, "COC", nobody, "offered", work.stamp)
    task = Task("", OWNER, ask.agent, "requested", 1, work.stamp, work.stamp, {})
    judge(node, work, referral, task, ask.purposes)
    persons.epoch(work, nobody)
    return not_found()
