"""The FHIR shapes of being told: Subscription and notification Bundle (Subscriptions R5 Backport 1.1.0, R4).

Id-only: a notification names the Task that changed and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from gateway.errors import Refused, refuse
from gateway.store.subscriptions import Subscription
from profiles import canonical, validate
from profiles.outcome import errors
from profiles.registry import Definitions

TOPIC = canonical.SDOHCC_TASK_TOPIC
_FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Event:
    """What a notification says: which Subscription, and which Task under which number (handshake: none)."""

    subscription_id: str
    number: int | None
    task_id: str | None


def subscription_request(endpoint: str, subscriber: str) -> dict[str, Any]:
    """The Subscription that a node asks a partner for."""
    return {
        "resourceType": "Subscription",
        "meta": {"profile": [canonical.BACKPORT_SUBSCRIPTION]},
        "status": "requested",
        "reason": "Referrals offered to us",
        "criteria": TOPIC,
        "_criteria": {
            "extension": [
                {"url": canonical.BACKPORT_FILTER_CRITERIA, "valueString": f"Task?owner={subscriber}"}
            ]
        },
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": _FHIR_JSON,
            "_payload": {"extension": [{"url": canonical.BACKPORT_PAYLOAD_CONTENT, "valueCode": "id-only"}]},
        },
    }


def wanted_endpoint(resource: Mapping[str, Any], address: str, held: Definitions | None = None) -> str:
    """The endpoint that a requested Subscription names, once all of it is what we can do.

    held: the definitions to check against, if not only those that ship with this software.
    Raises Refused (422). The endpoint must be at the subscriber's own address in the directory: no
    address that arrives in a request is ever connected to on its own word.
    """
    found = errors(validate(resource, held=held))
    if found or resource.get("resourceType") != "Subscription":
        raise Refused(422, found or [refuse(422, "invalid", "A Subscription is expected.").issues[0]])
    channel = resource["channel"]
    content = [
        extension.get("valueCode")
        for extension in channel.get("_payload", {}).get("extension", [])
        if extension.get("url") == canonical.BACKPORT_PAYLOAD_CONTENT
    ]
    for wrong, expression, rule in (
        (resource["criteria"] != TOPIC, "Subscription.criteria", f"must be the topic {TOPIC}"),
        (channel["type"] != "rest-hook", "Subscription.channel.type", "must be rest-hook"),
        (channel.get("payload") != _FHIR_JSON, "Subscription.channel.payload", f"must be {_FHIR_JSON}"),
        (content != ["id-only"], "Subscription.channel.payload.extension", "content must be id-only"),
        ("header" in channel, "Subscription.channel.header", "is not used: we bring a token of yours"),
        (
            not str(channel.get("endpoint", "")).startswith(f"{address}/"),
            "Subscription.channel.endpoint",
            "must be at your own address in the directory",
        ),
    ):
        if wrong:
            raise refuse(422, "not-supported", rule, expression=expression)
    return str(channel["endpoint"])


def subscription_resource(found: Subscription) -> dict[str, Any]:
    """A partner's Subscription as it reads it back."""
    return subscription_request(found.endpoint, found.subscriber) | {
        "id": found.id,
        "status": found.status,
    }


def searchset(found: Iterable[Subscription], fhir_base: str) -> dict[str, Any]:
    """The searchset Bundle of a subscriber's Subscriptions."""
    entries = [
        {"fullUrl": f"{fhir_base}/Subscription/{one.id}", "resource": subscription_resource(one)}
        for one in found
    ]
    listed = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return listed | ({"entry": entries} if entries else {})


def bundle(
    fhir_base: str, found: Subscription, at: str, number: int | None, task_id: str | None
) -> dict[str, Any]:
    """A handshake (no number) or the notification of one event."""
    handshake = number is None
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{fhir_base}/Subscription/{found.id}"}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "requested" if handshake else "active"},
        {"name": "type", "valueCode": "handshake" if handshake else "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(number or found.events)},
    ]
    entries: list[dict[str, Any]] = []
    if not handshake:
        focus = f"{fhir_base}/Task/{task_id}"
        parameters.append(
            {
                "name": "notification-event",
                "part": [
                    {"name": "event-number", "valueString": str(number)},
                    {"name": "timestamp", "valueInstant": at},
                    {"name": "focus", "valueReference": {"reference": focus}},
                ],
            }
        )
        entries.append(
            {
                "fullUrl": focus,
                "request": {"method": "PUT", "url": f"Task/{task_id}"},
                "response": {"status": "200"},
            }
        )
    status = {
        "fullUrl": f"urn:uuid:{uuid4()}",
        "resource": {
            "resourceType": "Parameters",
            "meta": {"profile": [canonical.BACKPORT_STATUS]},
            "parameter": parameters,
        },
        "request": {"method": "GET", "url": f"{fhir_base}/Subscription/{found.id}/$status"},
        "response": {"status": "200"},
    }
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [canonical.BACKPORT_NOTIFICATION]},
        "type": "history",
        "timestamp": at,
        "entry": [status, *entries],
    }


def read_bundle(resource: Mapping[str, Any], fhir_base: str, held: Definitions | None = None) -> list[Event]:
    """What a partner's notification says. `fhir_base`: the partner's own, from the directory.

    held: the definitions to check against, if not only those that ship with this software.
    Raises Refused (422) for anything that is not an R4 backport notification about its own Subscription
    and Tasks.
    """
    if errors(validate(resource, held=held)) or resource.get("resourceType") != "Bundle":
        raise _not_a_notification("Bundle")
    try:
        parameters = resource["entry"][0]["resource"]["parameter"]
        values = {one["name"]: one for one in parameters}
        subscription_id = _local_id(
            values["subscription"]["valueReference"]["reference"], f"{fhir_base}/Subscription/"
        )
        if values["type"]["valueCode"] == "handshake":
            return [Event(subscription_id, None, None)]
        return [
            _event(subscription_id, one["part"], fhir_base)
            for one in parameters
            if one["name"] == "notification-event"
        ]
    except (KeyError, IndexError, TypeError, ValueError):
        raise _not_a_notification("Bundle.entry[0].resource") from None


def _event(subscription_id: str, parts: list[Mapping[str, Any]], fhir_base: str) -> Event:
    values = {part["name"]: part for part in parts}
    return Event(
        subscription_id,
        int(values["event-number"]["valueString"]),
        _local_id(values["focus"]["valueReference"]["reference"], f"{fhir_base}/Task/"),
    )


def _local_id(reference: str, prefix: str) -> str:
    if (
        not reference.startswith(prefix)
        or not (found := reference.removeprefix(prefix)).replace("-", "").isalnum()
    ):
        raise ValueError(prefix)
    return found


def _not_a_notification(expression: str) -> Refused:
    return refuse(
        422,
        "invalid",
        "This is not a notification (Subscriptions R5 Backport, R4) about your own Subscription and Tasks.",
        expression=expression,
    )
