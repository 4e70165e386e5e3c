"""What makes a consent unusable for us: one thing each, done to a consent that was well formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from leap.vocabulary import ACT_REASON, NOT_THERE, PARTICIPATION, SCOPE, coding, concept

JSON = dict[str, Any]


def _untyped_root(consent: JSON) -> None:
    del consent["provision"]["type"]


def _untyped_nested(consent: JSON) -> None:
    consent["provision"]["provision"] = [{"purpose": [coding(ACT_REASON, "TREAT")]}]


def _no_policy(consent: JSON) -> None:
    del consent["policy"]


def _no_date(consent: JSON) -> None:
    del consent["dateTime"]


def _no_provision(consent: JSON) -> None:
    del consent["provision"]


def _other_scope(consent: JSON) -> None:
    consent["scope"] = concept(SCOPE, "research")


def _modifier(consent: JSON) -> None:
    consent["modifierExtension"] = [{"url": "https://example.org/unless", "valueBoolean": True}]


def _modified_provision(consent: JSON) -> None:
    consent["provision"]["modifierExtension"] = [{"url": "https://example.org/unless", "valueBoolean": True}]


def _unknown_actor(consent: JSON) -> None:
    role = concept(PARTICIPATION, "IRCP")
    nobody = {"role": role, "reference": {"reference": NOT_THERE}}
    consent["provision"]["provision"] = [{"type": "deny", "actor": [nobody]}]


def _unknown_purpose(consent: JSON) -> None:
    consent["provision"]["purpose"] = [coding(ACT_REASON, "WHATEVER")]


def _unknown_element(consent: JSON) -> None:
    consent["provision"]["provision"] = [{"type": "permit", "unless": "it rains"}]


def _unknown_status(consent: JSON) -> None:
    consent["status"] = "active"
    consent["implicitRules"] = "https://example.org/rules"


def _local_code(consent: JSON) -> None:
    consent["provision"]["provision"] = [{"type": "deny", "code": [{"text": "anything about my family"}]}]


ODD: Final[dict[str, Callable[[JSON], None]]] = {
    "untyped-root": _untyped_root,
    "untyped-nested": _untyped_nested,
    "no-policy": _no_policy,
    "no-date": _no_date,
    "no-provision": _no_provision,
    "other-scope": _other_scope,
    "modifier-extension": _modifier,
    "modifier-extension-in-provision": _modified_provision,
    "unknown-actor": _unknown_actor,
    "unknown-purpose": _unknown_purpose,
    "unknown-element": _unknown_element,
    "implicit-rules": _unknown_status,
    "code-as-text": _local_code,
}
