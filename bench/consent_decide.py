"""How long one decision takes, beside encoding the same facts as JSON (the floor) in the same run.

    python bench/consent_decide.py

Prints microseconds and the ratio to the floor; the ratio is what can be compared between machines. Then how
the time grows with consents, with provisions, and with agreements on file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from timeit import repeat
from typing import Any

import msgspec

import consent
from consent import Agreement, Facts, Matter, Party, Person
from consent.agreement_book import AgreementBook
from consent.consult import Demand, consult
from consent.matter import Datum
from consent.policy import SHIPPED
from consent.provisions import Query
from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
URL = "https://directory.example.org/Organization/"
SOURCE, RECIPIENT = f"{URL}referral-source", f"{URL}referral-recipient"
PERSON = ["given-name", "alias", "household-size", "diet", "contact-rule", "phone"]
SENSITIVE = ("SDV", "PSY", "HIV", "SUD")


def release(number: int) -> dict[str, Any]:
    """A release; all but the first name another recipient."""
    written = consent.new_consent(
        patient=("https://example.org/ids", "1"),
        source=SOURCE,
        recipients=[RECIPIENT if number == 0 else f"{URL}other-{number}"],
        purpose="COC",
        items=["area", "language", *PERSON],
        start="2026-01-01",
        end="2026-12-31",
        signed="paper form",
        recorded=NOW,
        regime="vawa",
    )
    return {**written, "id": f"release-{number}"}


def agreement(number: int = 0) -> Agreement:
    """A signed agreement on food; all but the first between others."""
    text = (SHIPPED.parent / "templates" / "minimal-data-coordination.json").read_text()
    if number:
        text = text.replace("Organization/referral-", f"Organization/other-{number}-")
    written = json.loads(text) | {"id": f"agreement-{number}", "status": "active"}
    made = consent.agreement.loads(json.dumps(written), "agreement.json")
    return replace(made, signed=True, unsigned=())


def facts(consents: list[dict[str, Any]], policy: consent.Policy, agreements: AgreementBook) -> Facts:
    """A victim service provider's dossier of 20 items, the case with the most to check."""
    items = list(dict.fromkeys(["need", "area", "language", *PERSON, *policy.items.entries]))
    return Facts(
        source=Party(SOURCE, frozenset({"victim-service-provider"})),
        recipient=Party(RECIPIENT),
        purpose="COC",
        referral_type="food-insecurity",
        state="accepted",
        record=Matter.of_items(items[:20]),
        agreements=agreements.between(SOURCE, RECIPIENT),
        consents=tuple(consent.compile_consent(one) for one in consents),
        person=Person(minor=False),
        policy=policy,
    )


def provision(number: int) -> dict[str, Any]:
    """A provision that states a label, a class and a code, as a person with much to say might."""
    return {
        "type": "permit" if number % 2 else "deny",
        "securityLabel": [
            {"system": ACT_CODE, "code": SENSITIVE[number % 4]},
            {"system": CONFIDENTIALITY, "code": "R"},
        ],
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
        "code": [{"coding": [{"system": "http://loinc.org", "code": f"code-{number % 20}"}]}],
    }


def directive(number: int, provisions: int) -> consent.CompiledConsent:
    """A Consent with that many nested provisions."""
    written = release(0) | {"id": f"directive-{number}"}
    written["provision"] = {
        "type": "permit",
        "purpose": [{"system": ACT_REASON, "code": "TREAT"}],
        "provision": [provision(number + each) for each in range(provisions)],
    }
    made = consent.compile_consent(written)
    assert made.usable
    return made


def resources() -> Matter:
    """Twenty labelled Observations."""
    return Matter(
        (
            Datum(
                f"Observation/{number}",
                "Observation",
                frozenset({("http://loinc.org", f"code-{number}")}),
                frozenset({(CONFIDENTIALITY, "R"), (ACT_CODE, SENSITIVE[number % 4])}),
            )
            for number in range(20)
        ),
        abstract=(),
    )


def microseconds(run: Callable[[], object], number: int = 1000) -> float:
    """The median of seven runs, per call."""
    return median(repeat(run, number=number, repeat=7)) / number * 1e6


def percentile_99(run: Callable[[], object], number: int = 3000) -> float:
    """The slowest of a hundred calls, typically: the 99th percentile of single calls."""
    taken = []
    for _ in range(number):
        began = perf_counter()
        run()
        taken.append(perf_counter() - began)
    return sorted(taken)[number * 99 // 100] * 1e6


def of_consents(policy: consent.Policy) -> Iterator[str]:
    """A referral's whole decision with 1, 5 and 50 consents on file."""
    book = AgreementBook.of([agreement()])
    for count in (1, 5, 50):
        consents = [release(number) for number in range(count)]
        asked = facts(consents, policy, book)
        decision = consent.decide(asked, NOW)
        assert decision.permit, decision.reasons
        plain = {"parties": [SOURCE, RECIPIENT], "consents": consents, "items": sorted(asked.items)}
        floor = microseconds(lambda plain=plain: msgspec.json.encode(plain))  # type: ignore[misc]
        taken = microseconds(lambda asked=asked: consent.decide(asked, NOW))  # type: ignore[misc]
        slow = percentile_99(lambda asked=asked: consent.decide(asked, NOW))  # type: ignore[misc]
        yield (
            f"{count:3} consents, 20 items: decide {taken:7.1f} µs (p99 {slow:6.0f}), "
            f"JSON {floor:6.1f} µs, ratio {taken / floor:5.1f}"
        )


def of_provisions() -> Iterator[str]:
    """The consent step over 20 resources, as consents and their provisions grow."""
    query = Query(frozenset(), frozenset({"Organization/x"}), (ACT_REASON, "TREAT"), NOW)
    for consents, provisions in ((1, 5), (5, 5), (10, 50), (25, 50), (50, 50), (100, 50), (50, 100)):
        held = [directive(number, provisions) for number in range(consents)]

        def ask(held: list[consent.CompiledConsent] = held) -> object:
            matter = resources()
            return consult(held, matter, query, [Demand(matter.all)])

        taken = microseconds(ask, max(10, 4000 // (consents * provisions)))
        yield (
            f"{consents:3} consents of {provisions:3} provisions, 20 resources: {taken / 1000:6.2f} ms, "
            f"{taken / (consents * provisions):5.2f} µs a provision"
        )


def of_agreements(policy: consent.Policy) -> Iterator[str]:
    """One decision, the agreements between the two found among all that are on file."""
    first = agreement()
    for count in (1, 1_000, 100_000):
        others = (
            replace(
                first,
                id=f"agreement-{number}",
                members=tuple(
                    replace(one, organization=f"{one.organization}-{number}") for one in first.members
                ),
            )
            for number in range(1, count)
        )
        book = AgreementBook.of([first, *others])
        asked = facts([release(0)], policy, book)

        def ask(asked: Facts = asked, book: AgreementBook = book) -> object:
            return consent.decide(replace(asked, agreements=book.between(SOURCE, RECIPIENT)), NOW)

        yield f"{count:7,} agreements on file: find and decide {microseconds(ask):7.1f} µs"


def main() -> None:
    """Measure decisions, and how they grow."""
    policy = consent.load_policy()
    for lines in (of_consents(policy), of_provisions(), of_agreements(policy)):
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
