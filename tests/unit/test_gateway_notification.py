"""Subscriptions R5 Backport in R4: the shapes, and what is refused in each."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from gateway import notification
from gateway.errors import Refused
from gateway.notification import Event
from gateway.store.subscriptions import Subscription
from profiles import canonical, errors, validate

BASE = "https://clinic.example.org/fhir"
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
ADDRESS = "https://pantry.example.org"
SUBSCRIPTION = Subscription(
    "s-1", "https://directory.example.org/Organization/clinic", PANTRY, f"{ADDRESS}/n", "active", 6
)
AT = "2026-11-20T12:00:00.000000Z"


def event() -> dict[str, Any]:
    return notification.bundle(BASE, SUBSCRIPTION, AT, 7, "t-1")


def handshake() -> dict[str, Any]:
    return notification.bundle(BASE, SUBSCRIPTION, AT, None, None)


def parameters(bundle: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in bundle["entry"][0]["resource"]["parameter"]}


# ------------------------------------------------------------------ what goes out


@pytest.mark.parametrize("bundle", [event(), handshake()], ids=["event", "handshake"])
def test_a_notification_is_a_valid_history_bundle_with_its_status_first(bundle: dict[str, Any]) -> None:
    assert errors(validate(bundle)) == []
    assert bundle["type"] == "history" and bundle["meta"]["profile"] == [canonical.BACKPORT_NOTIFICATION]
    status = bundle["entry"][0]["resource"]
    assert status["resourceType"] == "Parameters" and status["meta"]["profile"] == [canonical.BACKPORT_STATUS]
    values = parameters(bundle)
    assert values["subscription"]["valueReference"] == {"reference": f"{BASE}/Subscription/s-1"}
    assert values["topic"]["valueCanonical"] == canonical.SDOHCC_TASK_TOPIC


def test_an_event_names_a_task_and_holds_nothing_of_it() -> None:
    values = parameters(event())
    assert values["type"]["valueCode"] == "event-notification"
    assert values["events-since-subscription-start"]["valueString"] == "7"
    parts = {part["name"]: part for part in values["notification-event"]["part"]}
    assert parts["event-number"]["valueString"] == "7"
    assert parts["focus"]["valueReference"] == {"reference": f"{BASE}/Task/t-1"}
    (pointer,) = event()["entry"][1:]
    assert "resource" not in pointer and pointer["fullUrl"] == f"{BASE}/Task/t-1"


def test_a_handshake_is_about_no_event() -> None:
    values = parameters(handshake())
    assert values["type"]["valueCode"] == "handshake" and "notification-event" not in values
    assert len(handshake()["entry"]) == 1


# ------------------------------------------------------------------ what comes in


def test_what_we_send_we_can_read() -> None:
    assert notification.read_bundle(event(), BASE) == [Event("s-1", 7, "t-1")]
    assert notification.read_bundle(handshake(), BASE) == [Event("s-1", None, None)]


def swap(bundle: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    text = json.dumps(bundle)
    assert old in text
    return dict(json.loads(text.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{BASE}/Task/", "https://evil.example/fhir/Task/"),
        (f"{BASE}/Task/", f"{BASE}.evil.example/Task/"),
        (f"{BASE}/Task/", "Task/"),
        (f'"reference": "{BASE}/Task/t-1"', '"reference": "t-1"'),
        (f"{BASE}/Task/", f"{BASE}/Patient/"),
        ("/Task/t-1", "/Task/../Patient/t-1"),
        ("/Task/t-1", "/Task/t-1?x=y"),
        ("/Task/t-1", "/Task/"),
        (f"{BASE}/Subscription/", "https://evil.example/fhir/Subscription/"),
        ('"event-number", "valueString": "7"', '"event-number", "valueString": "seven"'),
        ('"name": "focus"', '"name": "fokus"'),
        ('"name": "type"', '"name": "typ"'),
        ('"resourceType": "Bundle"', '"resourceType": "Parameters"'),
    ],
)
def test_a_notification_about_anything_else_is_refused(old: str, new: str) -> None:
    """No address that arrives is ever connected to on its own word."""
    with pytest.raises(Refused) as refused:
        notification.read_bundle(swap(event(), old, new), BASE)
    assert refused.value.status == 422
    assert "evil" not in str(refused.value.outcome())


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"resourceType": "Bundle", "type": "history"},
        {"resourceType": "Bundle", "type": "history", "entry": []},
    ],
)
def test_an_empty_bundle_is_no_notification(broken: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        notification.read_bundle(broken, BASE)


# ------------------------------------------------------------------ a wish to be told


def wanted() -> dict[str, Any]:
    return notification.subscription_request(f"{ADDRESS}/notifications", PANTRY)


def test_the_subscription_that_we_ask_for_is_one_that_we_would_grant() -> None:
    assert errors(validate(wanted())) == []
    assert notification.wanted_endpoint(wanted(), ADDRESS) == f"{ADDRESS}/notifications"


CHANGES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "another topic": (("criteria",), "https://example.org/SubscriptionTopic/Patient"),
    "e-mail": (("channel", "type"), "email"),
    "another address": (("channel", "endpoint"), "https://evil.example/n"),
    "an address that begins alike": (("channel", "endpoint"), f"{ADDRESS}.evil.example/n"),
    "no address": (("channel", "endpoint"), ""),
    "XML": (("channel", "payload"), "application/fhir+xml"),
    "the whole resource": (("channel", "_payload", "extension", 0, "valueCode"), "full-resource"),
    "headers of its own": (("channel", "header"), ["Authorization: Bearer x"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_subscription_that_we_cannot_serve_is_refused(what: str) -> None:
    (*way, last), value = CHANGES[what]
    resource = deepcopy(wanted())
    at: Any = resource
    for step in way:
        at = at[step]
    at[last] = value
    with pytest.raises(Refused) as refused:
        notification.wanted_endpoint(resource, ADDRESS)
    assert refused.value.status == 422
    assert refused.value.issues[0].expression.startswith("Subscription.")
    assert "evil" not in str(refused.value.outcome())
