"""A Decision in words: for the person it is about, for a data steward, and for an engineer.

Holds no data of the person: reasons name rules, items and organisations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from consent.decision import Decision, Reason
from consent.facts import Facts

Audience = Literal["person", "steward", "engineer"]

_VIEW: Final = {
    "offer": "what is needed, without the person",
    "dossier": "what is needed, and the part of the person's record that this referral takes",
    "task": "only where the referral stands",
}

_ORGANIZATION: Final = re.compile(r"https?://[^\s/]+(?:/[^\s/]+)*?/Organization/[A-Za-z0-9.-]{1,64}")

# Why an item stays, by the reason code of the step that withheld it: to a steward, and to the person.
_STAYS: Final[Mapping[str, tuple[str, str]]] = {
    "view": ("shown only after the referral is accepted", "they see this only once they have said yes"),
    "agreement": ("the agreement does not cover it", "our agreement with them does not cover this"),
    "minimum": ("this kind of help does not need it", "they do not need this to help you"),
    "law-unlisted": ("no rule of law on file lets it go", "no law we know lets us share this"),
    "law-refused": ("the law refuses it, consent or not", "the law does not let us share this"),
    "consent-unlisted": ("the consent does not list it", "it is not on the list that you signed"),
    "consent-denied": ("the person has refused it", "you said no to this"),
    "consent-insufficient": ("the consent lacks what the law asks of one", "what you signed is not complete"),
    "consent-missing": ("there is no consent", "you have not signed anything for this"),
    "consent-revoked": ("the consent was withdrawn", "you took your permission back"),
    "consent-expired": ("the consent has ended", "your permission has ended"),
    "consent-recipient": ("the consent names another recipient", "what you signed does not name them"),
    "consent-purpose": ("the consent is for another purpose", "what you signed is for something else"),
    "consent-discloser": ("the consent was given to another agency", "you signed for another agency"),
    "consent-items": ("the consent lists nothing of this", "it is not on the list that you signed"),
}
_CLOSED: Final = ("the referral is closed", "this is over, and they see nothing more")
# A step's finding as it is said to the person; what is not here is said as it is to a steward.
_TO_THE_PERSON: Final[Mapping[str, str]] = {
    "consent-given": "You have given permission for this.",
    "consent-missing": "You have not given permission for this.",
    "consent-revoked": "You have taken your permission back.",
    "consent-expired": "Your permission has ended.",
    "consent-not-yet": "Your permission has not begun yet.",
    "consent-not-active": "The permission was never in force.",
    "consent-purpose": "Your permission is for something else.",
    "consent-recipient": "Your permission does not name them.",
    "consent-discloser": "You gave your permission to another agency.",
    "consent-insufficient": "What you signed is not complete. We will tell you what is missing.",
    "consent-denied": "You said no to this.",
    "consent-unusable": "Something you signed cannot be read with certainty. Until it is, nothing is shared.",
    "recipient-excluded": "You asked that they never see this.",
    "agreement-covers": "We have an agreement with them for this kind of help.",
}
_STOPPED: Final = ("nothing goes in this case", "nothing at all is shared here")


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One item of the record: whether it goes, why, on what it rests, and which FHIR elements it is."""

    item: str
    display: str
    goes: bool
    why: str
    code: str
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, the reasons in order, every item, the duties that travel, and what would change it."""

    answer: str
    reasons: tuple[str, ...]
    items: tuple[ItemLine, ...]
    duties: tuple[str, ...]
    remedies: tuple[str, ...]


def explanation(
    facts: Facts, decision: Decision, names: Mapping[str, str], audience: Audience
) -> Explanation:
    """Why `decision` came of `facts`. `names`: directory URL → the organisation's name."""
    reasons = [_reason(reason, audience) for reason in decision.reasons]
    duties = [
        f"{duty.code} ({duty.citation})" if audience == "engineer" else duty.text
        for duty in decision.obligations
    ]
    return Explanation(
        named(_answer(decision, audience), names),
        tuple(named(text, names) for text in reasons),
        tuple(_items(facts, decision, audience)),
        tuple(named(duty, names) for duty in duties),
        tuple(named(remedy, names) for remedy in decision.remedies),
    )


def _answer(decision: Decision, audience: Audience) -> str:
    if audience == "person":
        if not decision.permit:
            return "No. Nothing about you is shared here."
        return {
            "offer": "Yes, but not who you are: they see only what is needed.",
            "dossier": "Yes. They see what is on this list, and nothing else.",
            "task": "They see only that this is over, and nothing about you.",
        }[decision.view]
    answer = (
        f"Yes: the recipient may see {_VIEW[decision.view]}."
        if decision.permit
        else "No: nothing may be shared."
    )
    if audience == "engineer":
        until = decision.until.isoformat() if decision.until else "open"
        return f"{answer} code={decision.code} view={decision.view} until={until}"
    return answer


def _reason(reason: Reason, audience: Audience) -> str:
    basis = f" [{reason.basis}]" if reason.basis else ""
    if audience == "engineer":
        return f"{reason.step} {reason.outcome} {reason.code}: {reason.text}{basis}"
    if audience == "steward":
        return f"{reason.text}{basis}"
    return _TO_THE_PERSON.get(reason.code, reason.text) if reason.outcome != "narrow" else reason.text


def _items(facts: Facts, decision: Decision, audience: Audience) -> Iterator[ItemLine]:
    minimum = facts.policy.minimum.get(facts.referral_type)
    needed = {entry.item: entry.why for entry in (*minimum.offer, *minimum.dossier)} if minimum else {}
    for code, item in facts.policy.items.entries.items():
        if code not in facts.items:
            continue
        goes = code in decision.items
        reason = "" if goes else decision.withheld.get(code, decision.code)
        if goes:
            why = needed.get(code, "")
            if code in decision.substitutes:
                why = "something else is served in its place"
        else:
            closed = reason == "view" and decision.view == "task"
            why = (_CLOSED if closed else _STAYS.get(reason, _STOPPED))[audience == "person"]
        place = f"Observation/{code}" if item.resource == "Observation" else item.resource
        elements = tuple(f"{place}.{path}" for path in item.texts) if audience == "engineer" else ()
        yield ItemLine(code, item.display, goes, why, reason, elements)


def sentences(decision: Decision, names: Mapping[str, str]) -> list[str]:
    """The answer, then why, then what would change it: what a caseworker reads at once."""
    lines = [_answer(decision, "steward"), *(reason.text for reason in decision.reasons)]
    lines += [f"What would change this: {remedy}" for remedy in decision.remedies]
    return [named(line, names) for line in lines]


def named(text: str, names: Mapping[str, str]) -> str:
    """`text` with every directory URL that `names` knows replaced by the organisation's name."""

    def name(found: re.Match[str]) -> str:
        # A sentence may end in a full stop, and so may an id.
        whole = found.group()
        url = whole if whole in names else whole.rstrip(".")
        return names.get(url, url) + whole[len(url) :]

    return _ORGANIZATION.sub(name, text)


def difference(facts: Facts, before: Decision, after: Decision) -> list[str]:
    """What another decision about the same record lets go or keeps back beside the first, in words."""
    table = facts.policy.items
    said = []
    if before.code != after.code:
        said.append(f"The answer would be {_outcome(after)} instead of {_outcome(before)}.")
    if more := after.items - before.items:
        said.append(f"More would go: {table.listed(more)}.")
    if fewer := before.items - after.items:
        said.append(f"Less would go: {table.listed(fewer)}.")
    if before.until != after.until and after.permit and after.until:
        said.append(f"It would hold until {after.until:%Y-%m-%d %H:%M %Z}.")
    moved = [
        code
        for code in before.withheld.keys() & after.withheld.keys()
        if before.withheld[code] != after.withheld[code]
    ]
    if moved:
        said.append(f"Withheld for another reason: {table.listed(moved)}.")
    return said or ["Nothing would change."]


def _outcome(decision: Decision) -> str:
    return "yes" if decision.permit else f"no ({decision.code})"
