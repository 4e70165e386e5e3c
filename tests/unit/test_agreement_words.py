"""Templates are agreements that hold together; what `explain` says is what the engine does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from agreement_world import HOSPITAL, PANTRY, URL, key, loaded, signed, terms_of
from consent_world import POLICY, changed

import consent
from consent import Agreement, Facts, Matter, Party
from consent.agreement_draft import TEMPLATES, draft, next_version, referral_types, templates
from consent.agreement_words import explain, lines
from profiles.document import DocumentError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA: dict[str, Any] = json.loads((TEMPLATES.parent / "agreement.schema.json").read_text())
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "agreement.md"
LISTING = [name for name in templates() if name != "aggregate-only"]


def said(agreement: Agreement) -> str:
    return "\n".join(lines(explain(agreement, POLICY, NOW)))


def made(template: str, **answers: Any) -> dict[str, Any]:
    def party(name: str) -> dict[str, Any]:
        return {"organization": URL + name, "name": name.capitalize(), "keys": [key(name).thumbprint()]}

    types = list(referral_types(template))
    given = {"id": "ours", "source": party("hospital"), "recipient": party("pantry"), "zone": "UTC"}
    days = {"start": "2026-01-01", "end": "2026-12-31", "referralTypes": types, "consentRequired": False}
    return draft(template, {**given, **days, **answers})


def test_there_is_a_template_for_each_sharing_model() -> None:
    models = {json.loads((TEMPLATES / f"{name}.json").read_text())["sharingModel"] for name in templates()}
    assert models == set(SCHEMA["properties"]["sharingModel"]["enum"])


@pytest.mark.parametrize("name", templates())
def test_a_template_is_a_draft_that_nobody_has_signed_with_every_member_that_there_is(name: str) -> None:
    template = consent.agreement.load(TEMPLATES / f"{name}.json")
    assert template.status == "draft" and not template.signed
    later = {"signatures", "statements", "supersedes", "totals"}
    assert SCHEMA["properties"].keys() - template.document.keys() - later == set()
    assert ("totals" in template.document) == (name == "aggregate-only")


@pytest.mark.parametrize("name", LISTING)
def test_a_template_lists_nothing_that_would_never_be_sent(name: str) -> None:
    for clause in json.loads((TEMPLATES / f"{name}.json").read_text())["data"]:
        minimum = POLICY.minimum[clause["referralType"]]
        assert set(clause["items"]) <= {entry.item for entry in minimum.entries(clause["view"])}, clause


def test_structured_lists_more_than_minimal_and_never_less() -> None:
    minimal, structured = (
        {(one["referralType"], one["view"]): set(one["items"]) for one in made(name)["data"]}
        for name in ("minimal-data-coordination", "structured")
    )
    assert minimal.keys() == structured.keys()
    assert all(minimal[place] <= structured[place] for place in minimal)
    assert any(minimal[place] < structured[place] for place in minimal)
    people = set().union(*minimal.values())
    assert not people & {
        "family-name",
        "birth-date",
        "address",
        "email",
        "identifier",
        "narrative",
        "condition",
    }


@pytest.mark.parametrize("name", LISTING)
@pytest.mark.parametrize("state", ["requested", "accepted"])
def test_what_is_said_to_go_is_what_the_engine_lets_go(name: str, state: str) -> None:
    agreement = loaded(signed(made(name)))
    words = said(agreement).splitlines()
    for referral_type in referral_types(name):
        for held in ({*POLICY.items.entries}, {*POLICY.items.entries} - {"alias", "phone", "sizes"}):
            minimum = POLICY.minimum[referral_type]
            decision = consent.decide(
                Facts(
                    source=Party(HOSPITAL, frozenset({"covered-entity"})),
                    recipient=Party(PANTRY, frozenset({"community-organization"})),
                    purpose="COC",
                    referral_type=referral_type,
                    state=state,
                    record=Matter.of_items(held),
                    agreements=(agreement,),
                    consents=(),
                    policy=POLICY,
                ),
                NOW,
            )
            told = " ".join(line for line in words if line.strip().startswith(f"{minimum.title}:"))
            if state == "requested":
                told = told.partition("after it has accepted")[0]
            for item in decision.items:
                assert POLICY.items.display(item) in told, (referral_type, item)
            if minimum.offer and decision.permit:
                never = {*POLICY.items.entries} - {entry.item for entry in minimum.entries("dossier")}
                assert decision.items.isdisjoint(never)


def test_what_goes_before_and_after_whom_to_call_and_what_is_only_promised() -> None:
    asked = {
        "request": {"name": "Lena Moss", "reason": "Patients go home without food", "date": "2026-01-02"}
    }
    approved = {
        "approvals": [{"organization": PANTRY, "name": "Ana Ruiz", "title": "Director", "date": "2026-01-03"}]
    }
    called = {"contacts.1.primary": {"organization": PANTRY, "name": "Bea", "phone": "203-555-0142"}}
    text = said(loaded(signed(terms_of(asked | approved | called))))
    for words in (
        "Yes, from 2026-01-01 to 2026-12-31",
        "What may go from Hospital to Pantry",
        "Food: before Pantry accepts, it may see what is needed",
        "Food: after it has accepted, also first name (only where the record lacks the name the person goes",
        "Coordination of the person's care (COC).",
        "At Pantry: Bea, 203-555-0142; if nobody answers, Front desk of Pantry.",
        "after 24 hours the first contact, after 36 hours the backup contact, after 48 hours the data",
        "Asked for by Lena Moss on 2026-01-02: Patients go home without food.",
        "Approved for Pantry by Ana Ruiz (Director) on 2026-01-03.",
        "Nobody has written down who approved it for Hospital.",
        "A breach is told to the other party within 24 hours.",
    ):
        assert words in text
    enforced, promised = text.split("What the software enforces")[1].split("What is only promised")
    assert "The recipient passes nothing on to anyone else." in promised
    assert "The person's consent is asked for where the law asks for one" in enforced


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (terms_of(), ["No: it is a draft.", "No: not signed by Hospital and Pantry."]),
        (signed(terms_of({"period.end": "2026-05-31"})), ["No: it ended on 2026-05-31."]),
        (signed(terms_of({"period.start": "2026-07-01"})), ["No: it begins on 2026-07-01."]),
        ({**signed(terms_of()), "status": "suspended"}, ["No: it is suspended."]),
    ],
)
def test_why_it_is_not_in_force(document: dict[str, Any], says: list[str]) -> None:
    assert said(loaded(document)).splitlines()[1 : 1 + len(says)] == [f"  {one}" for one in says]


def test_an_aggregate_model_says_that_nothing_about_a_person_can_go() -> None:
    agreement = loaded(signed(made("aggregate-only")))
    text = said(agreement)
    assert "Nothing about a person can go under this agreement" in text
    assert "no count below 11 is told" in text
    assert "accepts" not in text
    # Also where somebody has listed items: the model counts.
    listed = changed(made("aggregate-only"), {"data": made("structured")["data"]})
    assert "accepts" not in said(loaded(signed(listed)))


def test_items_that_a_referral_type_does_not_need_are_said_never_to_be_sent() -> None:
    text = said(loaded(signed(terms_of({"data.1.items.7": "family-name"}))))
    assert "agreed, but never sent, as a referral of this type does not need it: family name." in text


def test_a_next_version_is_a_draft_that_says_which_one_it_follows() -> None:
    document = next_version(signed(terms_of()))
    assert (document["version"], document["supersedes"], document["status"]) == (2, 1, "draft")
    assert not loaded(document).signed and "signatures" not in document


@pytest.mark.parametrize(
    ("template", "answers", "says"),
    [
        ("everything", {}, "There is no template everything"),
        ("structured", {"referralTypes": ["housing"]}, "no referral type housing"),
        ("structured", {"referralTypes": []}, "choose those that it is for"),
    ],
)
def test_what_a_template_does_not_have_is_refused(template: str, answers: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(template, **answers) if template in templates() else draft(template, answers)


def test_a_party_that_is_no_url_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"parties\[0\].organization: must match the pattern"):
        loaded(made("structured", source={"organization": "hospital", "name": "H", "keys": []}))


def test_the_page_says_of_every_member_what_the_schema_says_is_enforced() -> None:
    page = PAGE.read_text()
    for name, member in SCHEMA["properties"].items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert row.split("|")[2].strip().startswith(member["x-duty"]), name
