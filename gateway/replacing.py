"""A consent that takes the place of an earlier one, and one that only seems to be new.

It says so in the extension `consent-replaces`: a Reference to a Consent of this node, or an identifier that
the earlier one carries. Which consents it replaces is found when it is stored, and kept with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from consent import CompiledConsent
from gateway.errors import refuse
from gateway.store.consents import Held
from profiles.canonical import CONSENT_REPLACES


def replaced(resource: Mapping[str, Any], held: Sequence[Held]) -> tuple[str, ...]:
    """The ids of those of the person's consents in whose place this one is given.

    Raises Refused (422) where it names none of them: the person's earlier word would still hold, and nobody
    would know.
    """
    found: dict[str, None] = {}
    for place, extension in _extensions(resource):
        named = _named(extension, held)
        if not named:
            rule = "It is to replace a consent that is not one of this person's here."
            raise refuse(422, "not-found", rule, expression=place)
        found.update(dict.fromkeys(named))
    return tuple(found)


def must_be_new(resource: Mapping[str, Any], held: Sequence[Held], replaces: Sequence[str]) -> None:
    """Raises Refused (409) where an active consent here has the same identifier and is not replaced.

    Both would count, and what the person has taken out of the later one would go by the earlier one.
    """
    if resource.get("status") != "active":
        return
    for number, identifier in enumerate(_list(resource.get("identifier"))):
        for one in held:
            if one.status == "active" and one.id not in replaces and has_identifier(one, identifier):
                rule = (
                    "A consent with this identifier is on file and active. Withdraw it first, or name it in "
                    "the extension consent-replaces."
                )
                raise refuse(409, "duplicate", rule, expression=f"Consent.identifier[{number}]")


def must_be_later(
    resource: Mapping[str, Any], made: CompiledConsent, replaced: Sequence[CompiledConsent]
) -> None:
    """Raises Refused (422) where a consent is dated on a day before one that it is to replace.

    Within a day the order in which they were handed in counts (`Compiled.compile`).
    """
    day = str(resource.get("dateTime", ""))[:10]
    if any(one.recorded and made.recorded and f"{one.recorded:%Y-%m-%d}" > day for one in replaced):
        rule = "It is dated on a day before the consent that it is to replace."
        raise refuse(422, "business-rule", rule, expression="Consent.dateTime")


def has_identifier(held: Held, identifier: Any) -> bool:
    """Whether a consent carries this identifier, system and value."""
    wanted = _key(identifier)
    return wanted is not None and any(_key(one) == wanted for one in _list(held.resource.get("identifier")))


def resolved(resource: Mapping[str, Any], replaces: Sequence[str]) -> Mapping[str, Any]:
    """The Consent with what it replaces by this node's ids alone, however it named them; for the engine."""
    if not replaces:
        return resource
    others = [one for one in _list(resource.get("extension")) if one.get("url") != CONSENT_REPLACES]
    named = [
        {"url": CONSENT_REPLACES, "valueReference": {"reference": f"Consent/{consent_id}"}}
        for consent_id in replaces
    ]
    return {**resource, "extension": [*others, *named]}


def _extensions(resource: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, extension in enumerate(_list(resource.get("extension"))):
        if extension.get("url") == CONSENT_REPLACES:
            yield f"Consent.extension[{number}]", extension


def _named(extension: Mapping[str, Any], held: Sequence[Held]) -> list[str]:
    reference = extension.get("valueReference")
    if not isinstance(reference, Mapping):
        return _with_identifier(extension.get("valueIdentifier"), held)
    literal = reference.get("reference")
    if not isinstance(literal, str):
        return _with_identifier(reference.get("identifier"), held)
    kind, _, consent_id = literal.rpartition("/")
    # At another node's address there is no consent of this one.
    return [one.id for one in held if kind == "Consent" and one.id == consent_id]


def _with_identifier(identifier: Any, held: Sequence[Held]) -> list[str]:
    return [one.id for one in held if has_identifier(one, identifier)]


def _key(identifier: Any) -> tuple[str, str] | None:
    if not isinstance(identifier, Mapping) or not isinstance(identifier.get("value"), str):
        return None
    return str(identifier.get("system", "")), identifier["value"]


def _list(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
