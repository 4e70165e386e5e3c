"""A Consent comes in, from a person's own words or with a record: is it usable, whose is it, and keep it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import consent
from gateway.errors import Refused, refuse
from gateway.node import Node
from gateway.recording import Ask, record
from gateway.store import consents
from gateway.store.work import Work
from mappings import Mapped
from profiles import validate
from profiles.outcome import errors

Given = tuple[tuple[str, str], Mapping[str, Any]]
"""Whose consent it is (system, value), and the Consent."""


def person_of(node: Node, resource: Mapping[str, Any]) -> tuple[str, str]:
    """Whose Consent this is: the identifier (system, value). Raises Refused (422) for one not usable."""
    found = [
        *errors(validate(resource, held=node.definitions)),
        *consent.compile_consent(resource, zone=node.settings.timezone).issues,
    ]
    if found:
        raise Refused(422, found)
    identifier = resource["patient"].get("identifier", {})
    if not identifier.get("value"):
        raise refuse(
            422,
            "required",
            "Name the person by the identifier of your own system.",
            expression="Consent.patient.identifier",
        )
    return identifier.get("system", ""), identifier["value"]


def given_with(node: Node, mapped: Mapped) -> Given | None:
    """The consent that came with a record, and whose it is. Raises Refused (422)."""
    given = mapped.resources.get("Consent")
    if given is None:
        return None
    person = person_of(node, given)
    if person != mapped.subject:
        rule = "The consent in the record is not of the person whom the record is about."
        raise refuse(422, "business-rule", rule, expression="Consent.patient")
    return person, given


def new_key(node: Node) -> str:
    """The id of a new Consent; its key is made at once, before the content that it opens."""
    consent_id = str(uuid4())
    node.store.vault.create(consent_id)
    return consent_id


def keep(
    ask: Ask, work: Work, consent_id: str, subject: tuple[str, str], resource: Mapping[str, Any]
) -> None:
    """Keep a Consent of this person under its id, and say so in the audit."""
    consents.add(work, consent_id, consents.subject_digest(work, *subject), resource)
    record(work, ask, "create", "C", details={"consent": consent_id})
