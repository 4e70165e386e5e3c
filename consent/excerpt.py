"""The release excerpt: what a recipient is told about the terms of a dossier.

The Consent itself is never served: it would name the agency the person turned to. The excerpt says what
for, until when, and what the recipient must keep to, in the same words from every kind of source. It is a
FHIR R4 DocumentReference with a text/plain attachment, which SDOH Clinical Care recipients already read;
a Communication would claim an event with a time and a sender, and neither may be told.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from consent.decision import Decision
from consent.labels import outward
from consent.policy import Policy

NAME: Final = "DocumentReference/release-excerpt"
_TITLE: Final = "Terms of this information"


def release_excerpt(decision: Decision, policy: Policy, excerpt_id: str, patient_id: str) -> dict[str, Any]:
    """The excerpt for one decision as a DocumentReference under the given random ids."""
    return {
        "resourceType": "DocumentReference",
        "id": excerpt_id,
        "meta": {"security": outward(read_only=True)},
        "status": "current",
        "type": {"text": _TITLE},
        "subject": {"reference": f"Patient/{patient_id}"},
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "en",
                    "title": _TITLE,
                    "data": b64encode(_text(decision, policy).encode()).decode(),
                }
            }
        ],
    }


def _text(decision: Decision, policy: Policy) -> str:
    purpose = policy.purposes.get(decision.purpose, decision.purpose)
    until = f"{decision.until:%Y-%m-%d}" if decision.until else "the referral closes"
    # Only the project's own sentences and in their own order, so that nothing shows who asked for a duty.
    owed = {duty.code for duty in decision.obligations}
    duties = (words for code, words in policy.notices.items() if code in owed)
    lines = [f"Purpose: {purpose}.", f"Until: {until}.", *duties]
    return "".join(f"{line}\n" for line in lines)
