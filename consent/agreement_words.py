"""An agreement in plain words: what may go to whom, before and after acceptance, and what ensures that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from consent.agreement import RECIPIENT, SOURCE, Agreement
from consent.explain import named
from consent.minimum import MinimumSet
from consent.policy import Policy

Section = tuple[str, list[str]]

_PURPOSES: Final = {"POPHLTH": "planning for the people of an area, not for any one of them"}

_NOTHING: Final = "Nothing about a person can go under this agreement, not even that there is one."
_MODELS: Final = {
    "minimal-data-coordination": "The least that a referral needs, so that two agencies can coordinate it.",
    "structured": "More of what a referral can use, still nothing beyond what its type needs.",
    "aggregate-only": "Totals and de-identified sets only.",
}
_FORMS: Final = {
    "totals-only": "counts only, no rows",
    "safe-harbor": "rows without the eighteen identifiers of 45 CFR 164.514(b)(2)",
    "expert-determination": "rows that an expert has found de-identified, 45 CFR 164.514(b)(1)",
}


def explain(agreement: Agreement, policy: Policy, now: datetime) -> list[Section]:
    """The agreement as sections of sentences, bounded by the minimum sets of `policy`.

    Holds names of organisations and of their contact persons, as the agreement does.
    """
    names = organization_names(agreement.document)
    sections = [
        ("In force", standing(agreement, now)),
        *_what_goes(agreement, policy),
        ("What for", [_purpose(policy, purpose) for purpose in sorted(agreement.purposes)]),
        ("Whom to call", list(_contacts(agreement.document))),
        ("Asked for and approved", list(_record(agreement.document))),
        ("What the software enforces", list(_enforced(agreement))),
        ("What is only promised: nobody checks it", list(_promised(agreement.document))),
    ]
    return [(named(title, names), [named(line, names) for line in lines]) for title, lines in sections]


def organization_names(document: Mapping[str, Any]) -> dict[str, str]:
    """What to call each party: its name in the agreement, or the last part of its URL."""
    return {
        one["organization"]: one.get("name", one["organization"].rpartition("/")[2])
        for one in document["parties"]
    }


def standing(agreement: Agreement, now: datetime) -> list[str]:
    """Whether it is in force now, and every reason why not."""
    first, last = agreement.document["period"]["start"], agreement.document["period"]["end"]
    against = []
    if agreement.status != "active":
        against.append(f"it is {_STATUS[agreement.status]}")
    if agreement.unsigned:
        against.append(f"not signed by {' and '.join(agreement.unsigned)}")
    if agreement.is_replaced(now):
        against.append("a newer version has taken its place")
    if now < agreement.starts:
        against.append(f"it begins on {first}")
    if agreement.ends < now:
        against.append(f"it ended on {last}")
    return [f"No: {one}." for one in against] or [f"Yes, from {first} to {last}, both days included."]


_STEPS: Final = {"primary": "first contact", "backup": "backup contact", "steward": "data steward"}
_STATUS: Final = {"draft": "a draft", "suspended": "suspended", "terminated": "terminated"}


def _what_goes(agreement: Agreement, policy: Policy) -> Iterator[Section]:
    if agreement.sharing_model == "aggregate-only":
        yield "What may go", [_MODELS[agreement.sharing_model], _NOTHING, *_totals(agreement.document)]
        return
    sources = [one.organization for one in agreement.members if SOURCE in one.roles]
    recipients = [one.organization for one in agreement.members if RECIPIENT in one.roles]
    types = dict.fromkeys(clause.referral_type for clause in agreement.clauses)
    for source in sources:
        for recipient in recipients:
            if source == recipient:
                continue
            lines = [_MODELS[agreement.sharing_model]]
            for referral_type in types:
                lines += _one_type(agreement, policy, referral_type, recipient)
            yield f"What may go from {source} to {recipient}", lines


def _one_type(agreement: Agreement, policy: Policy, referral_type: str, recipient: str) -> list[str]:
    """What goes for one need: what is agreed and what the minimum set of that type lists, never more."""
    minimum = policy.minimum.get(referral_type)
    if minimum is None:
        return [f"{referral_type}: nothing, as no minimum set is on file for this type of referral."]
    offer = _items(agreement, referral_type, "offer")
    dossier = _items(agreement, referral_type, "dossier")
    first = offer & {entry.item for entry in minimum.offer}
    needed = {entry.item for entry in minimum.entries("dossier")}
    then = (offer | dossier) & needed - first
    notes = _notes(policy, minimum)
    lines = [
        f"{minimum.title}: before {recipient} accepts, it may see {_listed(policy, first, notes)}. "
        "Nothing of this names the person.",
    ]
    if dossier:
        lines.append(f"{minimum.title}: after it has accepted, also {_listed(policy, then, notes)}.")
    else:
        lines.append(f"{minimum.title}: after it has accepted, nothing: only the offer is agreed.")
    beyond = (offer | dossier) - needed
    if beyond:
        lines.append(
            f"{minimum.title}: agreed, but never sent, as a referral of this type does not need it: "
            f"{_listed(policy, beyond, {})}."
        )
    return lines


def _items(agreement: Agreement, referral_type: str, view: str) -> frozenset[str]:
    return frozenset[str]().union(
        *(one.items for one in agreement.clauses if (one.referral_type, one.view) == (referral_type, view))
    )


def _notes(policy: Policy, minimum: MinimumSet) -> dict[str, str]:
    """What a minimum set says of an item beside that it is needed."""
    notes = {}
    for entry in minimum.entries("dossier"):
        if entry.unless:
            notes[entry.item] = f" (only where the record lacks {policy.items.display(entry.unless)})"
        elif entry.only_with:
            notes[entry.item] = f" (only together with {policy.items.display(entry.only_with)})"
    return notes


def _listed(policy: Policy, items: frozenset[str], notes: Mapping[str, str]) -> str:
    words = [one.display + notes.get(code, "") for code, one in policy.items.entries.items() if code in items]
    return ", ".join(words) or "nothing"


def _purpose(policy: Policy, purpose: str) -> str:
    words = policy.purposes.get(purpose) or _PURPOSES.get(purpose)
    return f"{words[0].upper()}{words[1:]} ({purpose})." if words else f"{purpose} (v3-ActReason)."


def _totals(document: Mapping[str, Any]) -> Iterator[str]:
    totals = document.get("totals")
    if totals is None:
        yield "Which totals are exchanged is not written down."
        return
    yield f"Every {totals['every']}: {'; '.join(totals['measures'])}."
    smallest = totals["smallestCount"]
    yield f"In the form of {_FORMS[totals['deIdentified']]}; no count below {smallest} is told."
    yield "The node sends none of these: they go another way, and nobody but the parties checks them."


def _contacts(document: Mapping[str, Any]) -> Iterator[str]:
    for one in document["contacts"]:
        first, then = _person(one["primary"]), _person(one["backup"])
        yield f"At {one['organization']}: {first}; if nobody answers, {then}."
    for one in document["stewards"]:
        yield f"Who answers for the data at {one['organization']}: {_person(one)}."
    steps = ", ".join(
        f"after {one['afterHours']} hours the {_STEPS[one['to']]}" for one in document["escalation"]
    )
    yield f"Where a referral stays unanswered: {steps}."


def _person(one: Mapping[str, str]) -> str:
    return ", ".join(one[part] for part in ("name", "phone", "email") if one.get(part))


def _record(document: Mapping[str, Any]) -> Iterator[str]:
    asked = document.get("request")
    if asked is None:
        yield "Nobody has written down who asked for this, and why."
    else:
        of = f" of {asked['organization']}" if "organization" in asked else ""
        yield f"Asked for by {_titled(asked)}{of} on {asked['date']}: {asked['reason'].rstrip('.')}."
    approved = document.get("approvals", ())
    for one in approved:
        yield f"Approved for {one['organization']} by {_titled(one)} on {one['date']}."
    missing = {one["organization"] for one in document["parties"]} - {one["organization"] for one in approved}
    for organization in sorted(missing):
        yield f"Nobody has written down who approved it for {organization}."


def _titled(one: Mapping[str, str]) -> str:
    return f"{one['name']} ({one['title']})" if "title" in one else one["name"]


def _enforced(agreement: Agreement) -> Iterator[str]:
    yield "Nothing goes unless every party has signed exactly this text, and none has suspended or ended it."
    yield "Nothing goes before the first day or after the last, or in a direction that is not agreed."
    if agreement.sharing_model == "aggregate-only":
        yield "Nothing about a person goes."
        return
    yield "Nothing goes for another purpose or another type of referral than those above."
    yield "Of a record only the items above go, each at its time; the law and the person may allow less."
    if agreement.consent_required:
        yield "Nothing goes without the person's consent, also where the law would not ask for one."
    else:
        yield "The person's consent is asked for where the law asks for one; a refusal always counts."


def _promised(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (one["text"] for one in document["prohibitions"])
    duties = document["obligations"]
    yield f"A referral is answered within {duties['respondWithinHours']} hours."
    yield f"What was received is kept no longer than {duties['retainDays']} days."
    yield f"A breach is told to the other party within {duties['breachNoticeHours']} hours."
    yield "The people above are told at the hours above when a referral stays unanswered."
    if "totals" in document:
        yield "Totals are made and exchanged as said above."


def lines(sections: Sequence[Section]) -> list[str]:
    """The sections as lines of text."""
    return [line for title, said in sections for line in (f"{title}", *(f"  {one}" for one in said), "")]
