"""Constraints that a differential only carries as FHIRPath, as plain functions listed by their key.

Each returns whether the constraint holds. It is given the element that carries the constraint, whose
structure is already known to be good. The StructureDefinition holds the same rule as text and FHIRPath; a
key that is named there and missing here is an error when the profile is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from profiles.canonical import DATA_ABSENT_REASON

Element = Mapping[str, Any]

_NEEDS_REASON = frozenset({"rejected", "cancelled", "on-hold", "failed"})


def _stopped_says_why(task: Element) -> bool:
    return task.get("status") not in _NEEDS_REASON or "statusReason" in task


def _modified_after_authored(task: Element) -> bool:
    return in_order(task.get("authoredOn"), task.get("lastModified"))


def _order_detail_needs_code(request: Element) -> bool:
    return "orderDetail" not in request or "code" in request


def _has_policy(consent: Element) -> bool:
    return "policy" in consent or "policyRule" in consent


def _every_provision_typed(consent: Element) -> bool:
    waiting = [*consent.get("provision", {}).get("provision", [])]
    while waiting:
        provision = waiting.pop()
        if "type" not in provision:
            return False
        waiting.extend(provision.get("provision", []))
    return True


def _release_period(consent: Element) -> bool:
    period = consent.get("provision", {}).get("period", {})
    return in_order(period.get("start"), period.get("end"))


def _name_or_reason(name: Element) -> bool:
    """us-core-6, `xor`: a name with a family or given part, or one that states why there is none."""
    stated = any(extension["url"] == DATA_ABSENT_REASON for extension in name.get("extension", ()))
    named = any(key in name for key in ("family", "given", "_family", "_given"))
    return stated != named


def _reachable_contact(contact: Element) -> bool:
    return any(key in contact for key in ("name", "telecom", "address", "organization"))


INVARIANTS: Mapping[str, Callable[[Element], bool]] = {
    "waymeet-task-1": _stopped_says_why,
    "inv-1": _modified_after_authored,
    "prr-1": _order_detail_needs_code,
    "ppc-1": _has_policy,
    "waymeet-consent-1": _every_provision_typed,
    "waymeet-consent-2": _release_period,
    "us-core-6": _name_or_reason,
    "pat-1": _reachable_contact,
}


def in_order(first: Any, second: Any) -> bool:
    """Whether two dateTimes are in order, as far as both are precise: FHIRPath's comparison is empty, and so
    no breach, where one has a time or a month that the other leaves open."""
    if not isinstance(first, str) or not isinstance(second, str):
        return True
    try:
        if "T" in first and "T" in second:
            return datetime.fromisoformat(first) <= datetime.fromisoformat(second)
    except (
        ValueError,
        TypeError,
    ):  # a leap second, or what the structure check has refused: no zone, no date
        return True
    shortest = min(len(first.partition("T")[0]), len(second.partition("T")[0]))
    return first[:shortest] <= second[:shortest]
