"""How long one decision takes, beside encoding the same facts as JSON (the floor) in the same run.

    python bench/consent_decide.py

Prints microseconds and the ratio to the floor; the ratio is what can be compared between machines.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from statistics import median
from timeit import repeat

import msgspec

import consent
from consent import Facts, Matter, Party
from consent.policy import SHIPPED

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
URL = "https://directory.example.org/Organization/"
SOURCE, RECIPIENT = f"{URL}referral-source", f"{URL}referral-recipient"
PERSON = ["given-name", "alias", "household-size", "diet", "contact-rule", "phone"]


def release(number: int) -> dict[str, object]:
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


def facts(consents: list[dict[str, object]], policy: consent.Policy) -> Facts:
    """A victim service provider's dossier, the case with the most to check."""
    text = (SHIPPED.parent / "templates" / "minimal-data-coordination.json").read_text()
    return Facts(
        source=Party(SOURCE, frozenset({"victim-service-provider"})),
        recipient=Party(RECIPIENT),
        purpose="COC",
        referral_type="food-insecurity",
        state="accepted",
        record=Matter.of_items(policy.items.entries),
        agreements=(consent.agreement.loads(text.replace('"draft"', '"active"'), "agreement.json"),),
        consents=tuple(consent.compile_consent(one) for one in consents),
        policy=policy,
    )


def microseconds(run: object, number: int = 2000) -> float:
    """The median of seven runs, per call."""
    return median(repeat(run, number=number, repeat=7)) / number * 1e6  # type: ignore[call-overload]


def main() -> None:
    """Measure one decision with 1, 5 and 50 consents on file."""
    policy = consent.load_policy()
    for count in (1, 5, 50):
        consents = [release(number) for number in range(count)]
        asked = facts(consents, policy)
        decision = consent.decide(asked, NOW)
        assert decision.permit
        plain = {
            "parties": [SOURCE, RECIPIENT],
            "agreement": asked.agreements[0].document,
            "consents": consents,
            "items": sorted(asked.items),
        }
        floor = microseconds(lambda plain=plain: msgspec.json.encode(plain))
        taken = microseconds(lambda asked=asked: consent.decide(asked, NOW))
        ratio = taken / floor
        sys.stdout.write(
            f"{count:3} consents: decide {taken:7.1f} µs, JSON {floor:6.1f} µs, ratio {ratio:5.1f}\n"
        )


if __name__ == "__main__":
    main()
