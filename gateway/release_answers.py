"""Plain answers that make a release, and the Consent that is made of them.

The answers are what `waymeet consent new` asks for, and what an agency's own system may send instead:
consent-answers.schema.json says which there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import consent
from consent.items import shipped
from consent.policy import Policy
from consent.regimes import Regime
from consent.release import FORM_SAYS, new_consent
from gateway import clock
from gateway.settings import Settings
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue

ANSWERS: Final = read_schema(Path(__file__).with_name("consent-answers.schema.json"))

_ANY: Final = {"type": "object"}

PROTECTED: Final = "victim-service-provider"
PURPOSE: Final = "COC"

# Our choice, not the law's: a release of a victim service provider is short unless its client says otherwise.
VSP_DAYS: Final = 30
OTHER_DAYS: Final = 365

# The law that a release names, by kind of source: of several the first.
_REGIME_OF: Final[Mapping[str, str]] = {
    PROTECTED: "vawa",
    "part-2-program": "part-2",
    "school": "ferpa",
    "covered-entity": "hipaa",
}
_NO_LAW: Final = "community-organization"
# Where the code of a law in a Consent (CodeSystem regime) is another than the id of the file with its rules.
LAW: Final[Mapping[str, str]] = {"part-2": "42-cfr-part-2"}


def build(found: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """A Consent from answers that fit `ANSWERS`.

    Where the answers leave something out: it starts today and holds for this agency's usual period, is for
    coordination of care, is signed by the person on the day it is recorded, and its form says what our
    printed page says. Raises ValueError for answers that cannot be a release of this agency, and
    DocumentError for policy files that cannot be read.
    """
    signers = given.get("signers", ["patient"])
    if PROTECTED in found.kinds and "guardian" in signers and not given.get("guardian-not-abuser"):
        raise ValueError(
            "A guardian may sign a victim service provider's release only when it is known that the guardian "
            "is not the person who abused the client, or the client's other parent. Ask, and answer "
            '"guardian-not-abuser": true.'
        )
    return new_consent(
        patient=(given["patient"]["system"], given["patient"]["value"]),
        source=found.sends_as.organization,
        recipients=[named_recipients(found).get(one, one) for one in given["recipients"]],
        purpose=given.get("purpose", PURPOSE),
        items=given["items"],
        start=given.get("start", today(found).isoformat()),
        end=_end(found, given),
        signed=given["signed"],
        recorded=clock.now(),
        regime=next((regime for kind, regime in _REGIME_OF.items() if kind in found.kinds), _NO_LAW),
        statements=given.get("statements", FORM_SAYS),
        signers=signers,
        adult=given.get("adult", False),
        replaces=given.get("replaces", ""),
        signed_on=given.get("signed-on", ""),
        language=given.get("language", ""),
    )


def read_release(path: Path, found: Settings, signed_on: str = "") -> dict[str, Any]:
    """The Consent in a JSON file: as it stands, or built from the answers in it; signed_on: a day.

    Raises DocumentError with file and line for a file that is neither, ValueError for answers that cannot be
    a release of this agency.
    """
    data: dict[str, Any] = load(path, _ANY).data
    if signed_on:
        date.fromisoformat(signed_on)
    if "resourceType" in data:
        return data | ({"dateTime": signed_on} if signed_on else {})
    answers = load(path, ANSWERS)
    if issues := unknown(found, answers):
        raise answers.error(issues)
    return build(found, answers.data | ({"signed-on": signed_on} if signed_on else {}))


def unknown(found: Settings, answers: Document) -> list[Issue]:
    """Items and recipients in answers that nobody knows, each by its place."""
    items, names = shipped().entries, named_recipients(found)
    return [
        answers.issue(("items", number), f"is not a disclosure item{_meant(item, items)}", "code-invalid")
        for number, item in enumerate(answers.data["items"])
        if item not in items
    ] + [
        answers.issue(
            ("recipients", number),
            "is neither a name from `recipients` in this node's configuration nor a directory URL",
            "code-invalid",
        )
        for number, recipient in enumerate(answers.data["recipients"])
        if recipient not in names and "/Organization/" not in recipient
    ]


def _meant(item: str, items: Iterable[str]) -> str:
    close = get_close_matches(item, items, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def named_recipients(found: Settings) -> dict[str, str]:
    """Directory URLs of partners by the names that the agency's own systems use for them."""
    return {name: url for system in found.systems.values() for name, url in system.recipients.items()}


def usual_days(found: Settings) -> int:
    """How long a release of this agency usually holds."""
    return VSP_DAYS if PROTECTED in found.kinds else OTHER_DAYS


def usual_end(found: Settings) -> str:
    """The last day of a release of this agency that is signed today."""
    return (today(found) + timedelta(days=usual_days(found))).isoformat()


def today(found: Settings) -> date:
    """The day it is where the agency is."""
    return clock.now().astimezone(found.timezone).date()


def policy_of(found: Settings) -> Policy:
    """Law and minimum sets as the node has them. Raises DocumentError."""
    own = [found.policies] if found.policies else []
    return consent.load_policy(consent.SHIPPED, *own, state=found.state)


def regimes_of(found: Settings, policy: Policy) -> tuple[Regime, ...]:
    """The bodies of law for what this agency holds, or for part of it."""
    return tuple(regime for regime in policy.regimes.values() if regime.covers(found.kinds))


def implied_by(regimes: Iterable[Regime]) -> frozenset[str]:
    """The items that a release may let go without listing them: nobody can be referred without a word."""
    meant = [
        frozenset(item for rule in one.rules if rule.consent != "refused" for item in rule.implied_items)
        for one in regimes
        if one.whole
    ]
    return frozenset.intersection(*meant) if meant else frozenset()


def may_be_open(found: Settings, policy: Policy) -> bool:
    """Whether each law about all that this agency holds has a case where a release needs no end date."""
    return all(
        any("end" not in rule.must_contain for rule in one.rules if rule.consent != "refused")
        for one in regimes_of(found, policy)
        if one.whole
    )


def _end(found: Settings, given: Mapping[str, Any]) -> str | None:
    if not given.get("no-expiry"):
        end: str = given.get("end", usual_end(found))
        return end
    if "end" in given:
        raise ValueError("The answers give both an end and no-expiry: leave one out.")
    if not may_be_open(found, policy_of(found)):
        raise ValueError("The law that this agency is under asks for an end date: give one, not no-expiry.")
    return None
