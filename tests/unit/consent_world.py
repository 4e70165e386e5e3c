"""Builds the engine's facts from the readable form that the consent cases are written in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import settings

import consent
from consent import Facts, Matter, Party, Person
from consent.labels import provenance
from consent.release import FORM_SAYS, new_consent
from consent.sensitivity import label_named, settled

DIRECTORY = "https://directory.example.org/Organization/"
NAMES = {
    f"{DIRECTORY}bay-hospital": "Bay Hospital",
    f"{DIRECTORY}safe-harbor": "Safe Harbor",
    f"{DIRECTORY}harbor-food-pantry": "Harbor Food Pantry",
}
# A busy machine is not a failure: properties are about what is decided, the benchmark about how fast.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
# How often what must never happen is looked for; `make properties` looks longer.
properties = settings(deadline=None, max_examples=int(os.environ.get("EXAMPLES", "100")))

POLICY = consent.load_policy(state="US-CT")


def org(name: str) -> str:
    """The directory URL of an organisation that a case names in short."""
    return name if name.startswith("http") else DIRECTORY + name


def changed(case: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The case with some facts changed: `{"recipient.suspended": true}`; null removes a fact."""
    world = deepcopy(dict(case))
    for path, value in changes.items():
        put(world, path.split("."), value)
    return world


def put(target: Any, path: list[str], value: Any) -> None:
    """Set or (for None) remove what stands at `path`, and refuse a path that leads nowhere."""
    *way, last = path
    for step in way:
        target = target[int(step)] if isinstance(target, list) else target[step]
    if value is None and isinstance(target, list):
        del target[int(last)]
    elif value is None:
        del target[last]
    elif isinstance(target, list) and int(last) == len(target):
        target.append(value)
    elif isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value


def facts(world: Mapping[str, Any]) -> tuple[Facts, datetime]:
    """The facts and the clock of one case. Unknown keys are refused: no typing error may pass a test."""
    known = {"now", "source", "recipient", "purpose", "referral-type", "state", "items", "agreement"}
    assert set(world) <= known | {"consents", "excluded", "labels", "person"}, set(world)
    now = datetime.fromisoformat(world["now"])
    given = world.get("agreement")
    return (
        Facts(
            source=party(world["source"]),
            recipient=party(world["recipient"]),
            purpose=world["purpose"],
            referral_type=world["referral-type"],
            state=world["state"],
            record=record(world),
            person=Person(**world.get("person", {"minor": False})),
            agreements=(agreement(given),) if given else (),
            consents=tuple(consent.compile_consent(release(one)) for one in world.get("consents", [])),
            excluded=frozenset(org(name) for name in world.get("excluded", [])),
            policy=POLICY,
        ),
        now,
    )


def record(world: Mapping[str, Any]) -> Matter:
    """What the record holds: `items`, each labelled by its provenance and by `labels: {item: [codes]}`."""
    kinds = frozenset(world["source"].get("kinds", ()))
    inside = provenance(kinds, POLICY.regimes.values())
    stated = world.get("labels", {})
    assert set(stated) <= set(world["items"]), "a label of an item that the record does not hold"
    return Matter.of_items(
        world["items"],
        {item: settled((*inside, *map(label, stated.get(item, ())))) for item in world["items"]},
    )


def label(code: str) -> tuple[str, str]:
    """A label by its code alone, as policy files name it."""
    found = label_named(code)
    assert found, code
    return found


def party(given: Mapping[str, Any]) -> Party:
    """A Party from `{organization, kinds, suspended, ...}`."""
    rest = {
        key.replace("-", "_"): frozenset(value) if key == "purposes" else value
        for key, value in given.items()
        if key not in ("organization", "kinds")
    }
    return Party(org(given["organization"]), frozenset(given.get("kinds", ())), **rest)


def release(given: Mapping[str, Any]) -> dict[str, Any]:
    """A Consent as `new_consent` writes it, then changed where the case says `fhir: {path: value}`.

    Without `end` it says that it has none. `statements` and `signers` as `new_consent` knows them.
    """
    written = new_consent(
        patient=("https://example.org/ids", "person"),
        source=org(given["source"]),
        recipients=[org(name) for name in given["recipients"]],
        purpose=given["purpose"],
        items=given["items"],
        start=given["start"],
        end=given.get("end"),
        signed="paper form, in the locked cabinet",
        recorded=datetime(2026, 5, 20, 15, 0, tzinfo=UTC),
        regime="vawa",
        statements=given.get("statements", FORM_SAYS),
        signers=given.get("signers", ("patient",)),
    )
    written["id"] = given.get("id", "release")
    return changed(written, given.get("fhir", {}))


def agreement(given: Mapping[str, Any]) -> consent.Agreement:
    """An agreement in which only what a case is about is stated."""
    contact = {"organization": org(given["parties"][0]), "name": "Intake"}
    document = {
        "id": "food",
        "version": 1,
        "status": given.get("status", "active"),
        "parties": [
            {"organization": org(given["parties"][0]), "roles": ["referral-source"]},
            {"organization": org(given["parties"][1]), "roles": ["referral-recipient"]},
        ],
        "period": given["period"],
        "purposes": given["purposes"],
        "sharingModel": given.get("sharing-model", "minimal-data-coordination"),
        "data": [
            {"referralType": given["referral-type"], "view": view, "items": given[view]}
            for view in ("offer", "dossier")
            if view in given
        ],
        "consentRequired": given["consent-required"],
        "prohibitions": [{"code": "no-redisclosure", "text": "Nothing is passed on."}],
        "obligations": {"respondWithinHours": 48, "retainDays": 30, "breachNoticeHours": 24},
        "stewards": [contact],
        "contacts": [{"organization": contact["organization"], "primary": contact, "backup": contact}],
        "escalation": [{"afterHours": 24, "to": "backup"}],
    }
    loaded = consent.agreement.loads(msgspec.json.encode(document).decode(), "case.json")
    # How signatures are verified is another question, with cases of its own.
    return replace(loaded, signed=True, unsigned=()) if given.get("signed", True) else loaded
