"""A Decision as sentences that a social worker can follow."""

from __future__ import annotations

from collections.abc import Mapping

from consent.decision import Decision

_VIEW = {
    "offer": "what is needed, without the person",
    "dossier": "what is needed, and the part of the person's record that this referral takes",
    "task": "only where the referral stands",
}


def sentences(decision: Decision, names: Mapping[str, str]) -> list[str]:
    """The answer, then why, then what would change it. `names`: directory URL → the organisation's name.

    Holds no data of the person: reasons name rules, items and organisations.
    """
    answer = (
        f"Yes: the recipient may see {_VIEW[decision.view]}."
        if decision.permit
        else "No: nothing may be shared."
    )
    lines = [answer, *(reason.text for reason in decision.reasons)]
    lines += [f"What would change this: {remedy}" for remedy in decision.remedies]
    return [named(line, names) for line in lines]


def named(text: str, names: Mapping[str, str]) -> str:
    """`text` with every directory URL that `names` knows replaced by the organisation's name."""
    # Longest first, so that an address that begins like another is not cut in two.
    for url in sorted(names, key=len, reverse=True):
        text = text.replace(url, names[url])
    return text
