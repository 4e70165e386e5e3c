"""Who could take this referral: the recipient it names, or the services in the directory that fit.

Whether any of them may be told is not asked here but decided next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import refuse
from gateway.node import Node
from gateway.settings import SystemSettings
from mappings import Mapped
from profiles import canonical

# The code systems that a kind of need is told in, the one that is asked first before the other.
_REFERRAL_TYPES: Final = (canonical.REFERRAL_TYPE, canonical.SDOHCC_CODES)


def candidates(
    node: Node, system: SystemSettings, mapped: Mapped, excluded: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Directory URLs of possible recipients, best first; empty when nobody offers what is needed.

    A name that the local system uses (`HARBOR`) is looked up among the system's `recipients`. A referral
    that names nobody goes to partners whose services match its type and language; a victim service
    provider's never does, because its release must name the recipient (28 CFR 94.115). Organisations that
    must never see it are passed over; one that is named all the same is kept, so that deciding says why not.
    Raises Refused (422) when a recipient is named that is not in the configuration or the directory.
    """
    if mapped.recipient:
        organization = system.recipients.get(mapped.recipient, mapped.recipient)
        if node.directory.entry(organization) is None:
            raise refuse(
                422,
                "not-found",
                "The receiving organisation is not known here. Add it under `recipients` of this system in "
                "the node's configuration, with its directory URL.",
                field="recipient",
            )
        return (organization,)
    if "victim-service-provider" in node.settings.kinds:
        return ()
    wanted = referral_type(mapped.resources["ServiceRequest"])
    language = _language(mapped.resources["ServiceRequest"])
    return tuple(
        partner.organization
        for partner in node.partners(node.sends_as.organization)
        if partner.organization not in excluded
        and any(
            service.referral_type == wanted
            and (not language or not service.languages or language in service.languages)
            for service in partner.services
        )
    )


def referral_type(service_request: Mapping[str, Any]) -> str:
    """What kind of need a ServiceRequest is for; empty where it says none.

    Our own code, where it has one: it then stands beside the Gravity category that leaves the need open.
    Otherwise the Gravity SDOH category.
    """
    told = {
        coding["system"]: str(coding["code"])
        for category in reversed(service_request.get("category", []))
        for coding in reversed(category.get("coding", []))
        if coding.get("system") in _REFERRAL_TYPES and "code" in coding
    }
    return next((told[system] for system in _REFERRAL_TYPES if system in told), "")


def _language(service_request: Mapping[str, Any]) -> str:
    return next(
        (
            str(extension.get("valueCode", ""))
            for extension in service_request.get("extension", [])
            if extension.get("url") == canonical.PREFERRED_LANGUAGE
        ),
        "",
    )
