"""Where referrals stand, for the people of the agency: states, times and decisions, from the node's store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent import named
from gateway import audit, exclusion, outbox, quiet
from gateway.exclusion import Exclusions
from gateway.node import Node
from gateway.store import consents, contents, inbound, referrals, tasks
from gateway.store import kept as kept_answers
from gateway.store.consents import Held
from gateway.store.referrals import Referral
from gateway.store.work import Work


@dataclass(frozen=True, slots=True)
class Line:
    """One referral: which way it goes, with whom, and where it stands. partner: empty if none was found."""

    id: str
    direction: str  # "sent" or "received"
    partner: str
    status: str
    since: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a referral, from the audit."""

    at: str
    act: str
    who: str
    refused: bool
    details: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of one kind of detail (`item`, `withheld`, `reason`, `remedy`, ...)."""
        return tuple(value for kind, value in self.details if kind == name)


@dataclass(frozen=True, slots=True)
class Permission:
    """A consent in short. recipients: by name, none: anyone. end: empty where it has none.

    replaces: the ids of those in whose place it was given.
    """

    id: str
    status: str
    recipients: tuple[str, ...]
    end: str
    replaces: tuple[str, ...]


def lines(node: Node) -> list[Line]:
    """Every referral of this node, newest first."""
    with node.store.work() as work:
        sent = [line for found in referrals.all_of(work) for line in _sent(work, found)]
        took = [
            Line(one.id, "received", one.source, one.expected or one.status or "announced", one.modified_at)
            for one in inbound.all_of(work)
        ]
    return sorted([*sent, *took], key=lambda line: line.since, reverse=True)


def _sent(work: Work, found: Referral) -> list[Line]:
    asked = tasks.of_referral(work, found.id)
    if not asked:
        return [Line(found.id, "sent", "", found.state, found.opened_at)]
    return [
        Line(
            found.id,
            "sent",
            task.owner,
            task.status if task.status != "draft" else "held",
            task.last_modified,
        )
        for task in asked
    ]


def events(node: Node, referral_id: str) -> list[Event]:
    """What happened to one referral that this node sent, oldest first; organisations by their names."""
    names = node.names
    with node.store.work() as work:
        return [_event(one, names) for one in audit.of_referral(work, referral_id)]


def line(node: Node, referral_id: str) -> Line | None:
    """Where one referral stands, whichever way it goes."""
    return next((one for one in lines(node) if one.id == referral_id), None)


def excluded(node: Node, referral_id: str) -> Exclusions:
    """Who must never see a referral that this node sent, while its content stands."""
    with node.store.work() as work:
        return exclusion.of(contents.get(work, referral_id, referrals.RECORD) or {})


def kept(node: Node, referral_id: str) -> tuple[str, int] | None:
    """Of a referral to a node that answers nothing by itself: what its source sees, how many answers wait."""
    if not quiet.answers_quietly(node):
        return None
    with node.store.work() as work:
        known = inbound.get(work, referral_id)
        return (known.status, len(kept_answers.of_inbound(work, known.id))) if known else None


def consents_of(node: Node, person: tuple[str, str]) -> list[Permission]:
    """The consents of one person (identifier system, value), oldest first."""
    names = node.names
    with node.store.work() as work:
        held = consents.of_person(work, consents.subject_digest(work, *person))
    return [_permission(one, names) for one in held]


def undelivered(node: Node) -> list[tuple[int, str, str]]:
    """What was given up: number, kind, why."""
    with node.store.work() as work:
        return outbox.dead_letters(work)


def _permission(held: Held, names: Mapping[str, str]) -> Permission:
    provision = held.resource["provision"]
    actors = [actor["reference"].get("reference", "") for actor in provision.get("actor", [])]
    end = provision.get("period", {}).get("end", "")
    recipients = tuple(names.get(actor, actor) for actor in actors)
    return Permission(held.id, held.status, recipients, end, held.told.replaces)


def _event(resource: dict[str, Any], names: Mapping[str, str]) -> Event:
    details = tuple(
        (detail["type"], named(detail["valueString"], names))
        for entity in resource["entity"]
        for detail in entity.get("detail", ())
    )
    return Event(
        at=resource["recorded"],
        act=resource["subtype"][0]["code"],
        who=named(resource["agent"][0]["who"]["identifier"]["value"], names),
        refused=resource["outcome"] != "0",
        details=details,
    )
