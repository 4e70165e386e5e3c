"""What is wrong with a consent, in words that an advocate can act on: what it lacks, and what to do then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class Advice:
    """Two sentences: what is missing or wrong, and what to write."""

    lacks: str
    do: str

    def __str__(self) -> str:
        return f"{self.lacks} {self.do}"


# For each of `consent.elements.ELEMENTS`.
MISSING: Final = {
    "patient": Advice(
        "The release does not say whose information it is about.",
        "Write the person's identifier from your own records.",
    ),
    "discloser": Advice(
        "The release does not say who gives the information.",
        "Write the name of your agency, as it stands in the directory.",
    ),
    "recipient": Advice(
        "The release does not name who may receive the information.",
        'Write the name of each agency; "my providers" or "any agency" is not enough.',
    ),
    "items": Advice(
        "The release does not list what may be shared.",
        'Go through the list with the person and mark each item; "my file" is not enough.',
    ),
    "purpose": Advice(
        "The release does not say what the information is for.",
        "Write the purpose, such as coordination of the person's care (COC).",
    ),
    "end": Advice(
        "The release does not say until when it holds.",
        "Write an end date; for a shelter 14 to 30 days is usual.",
    ),
    "expiry": Advice(
        "The release does not say when it ends, nor that it has no end.",
        "Write an end date, or have the form say outright that there is none.",
    ),
    "date": Advice(
        "The release does not say when it was signed.",
        "Write the day of the signature beside it.",
    ),
    "evidence": Advice(
        "Nothing says where the signed form is.",
        "Write how it was signed and where it is kept, such as: paper, case file, office safe.",
    ),
    "right-to-revoke": Advice(
        "The form does not say that it can be taken back, and how.",
        'Use a form that says so ("I can take this back at any time"), and have it signed.',
    ),
    "consequences": Advice(
        "The form does not say what happens if the person does not sign.",
        "Use a form that says so (the recipient does not get the information and may not be able to "
        "help), and have it signed.",
    ),
    "redisclosure-statement": Advice(
        "The form does not say whether the recipient may pass the information on.",
        "Use a form that says that others may not be bound by the same law, and have it signed.",
    ),
    "voluntary": Advice(
        "The form does not say that services do not depend on signing it.",
        "Use a form that says so, and have it signed. A release that someone had to sign is not one.",
    ),
    "signed-by-patient": Advice(
        "The person has not signed.",
        "Have the person sign; no parent or guardian can do it in their place here.",
    ),
    "signed-by-guardian": Advice(
        "No parent or guardian has signed.",
        "Have a parent or guardian sign, never one who abused the person or the person's other parent.",
    ),
}

BARE: Final = (
    "This is a form that nobody has encoded (a scan, or a bare record of one). By itself it authorises "
    "nothing. A data steward has to read the signed form and write down what it allows: waymeet consent new."
)

# By the element of the Consent; of several that fit, the longest.
_DO: Final = {
    "Consent": "Hand in one FHIR R4 Consent.",
    "Consent.status": 'Write "active" for a consent that holds.',
    "Consent.scope": "Write the scope patient-privacy (system http://terminology.hl7.org/CodeSystem/consentscope).",
    "Consent.category": "Write the category IDSCL, information disclosure (v3-ActCode).",
    "Consent.patient": "Write the person's identifier from your own records: system and value.",
    "Consent.dateTime": "Write the day it was signed, as YYYY-MM-DD.",
    "Consent.organization": "Write your agency's address in the directory.",
    "Consent.source": "Write how the form was signed and where it is kept (sourceAttachment.title).",
    "Consent.policy": "Name the law or policy that it is given under (policyRule).",
    "Consent.implicitRules": "Take it out, and write what it means as provisions.",
    "Consent.modifierExtension": "Take it out, and write what it means as provisions.",
    "Consent.provision": "Write this limit with elements that are understood; until then nothing is shared.",
    "Consent.provision.type": 'Write "permit" or "deny" in this provision, whichever the person meant.',
    "Consent.provision.actor": (
        "Name each recipient by its address in the directory, with the role IRCP (information recipient)."
    ),
    "Consent.provision.purpose": "Write a purpose of use from v3-ActReason, such as COC or TREAT.",
    "Consent.provision.code": "Write the items by their codes: waymeet consent new asks for each.",
    "Consent.provision.action": "Write the action disclose, or leave it out.",
    "Consent.provision.period": "Write the first and the last day as YYYY-MM-DD, the first one first.",
}
_ELSE: Final = "Correct this element; whoever hands out your forms or runs your system can."
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_NESTED: Final = re.compile(r"^(Consent\.provision)(\.provision)+")


def what_to_do(issue: Issue) -> str:
    """What to do about an issue that was found in a Consent."""
    place = _NESTED.sub(r"\1", _INDEX.sub("", issue.expression or ""))
    if place == "Consent.provision" and issue.code == "required":
        return BARE
    for choice in ("Consent.source", "Consent.policy"):  # source[x]; policy or policyRule
        if place.startswith(choice):
            place = choice
    fits = [known for known in _DO if place == known or place.startswith(f"{known}.")]
    best = max(fits, key=len, default="")
    # What stands further down than we have words for is not helped by the words for the whole.
    whole = best in ("Consent", "Consent.provision") and place != best
    return _ELSE if whole else _DO.get(best, _ELSE)
