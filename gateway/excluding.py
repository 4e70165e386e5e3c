"""Keep someone out of a referral: from its record, an amendment, or a person at the command line.

Nothing ever takes an exclusion back. An organisation that has the referral already loses it: its Task is
cancelled with the same words as any other, and it reads nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway import exclusion, notify, reconsider, referral
from gateway.errors import refuse
from gateway.exclusion import Exclusions
from gateway.node import Node
from gateway.offering import Receipt, cancel, offer_held
from gateway.recording import Ask, record
from gateway.store import consents, contents, exclusions, persons, referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.work import Work
from mappings import Mapped


@dataclass(frozen=True, slots=True)
class Excluded:
    """What came of it. now: all who are excluded. cancelled: organisations that had it and lost it.
    receipts: what became of a referral that was held until somebody decided.
    """

    now: Exclusions
    cancelled: tuple[str, ...]
    receipts: tuple[Receipt, ...]


def exclude(
    node: Node,
    ask: Ask,
    referral_id: str,
    organizations: Iterable[str] = (),
    person: str = "",
    *,
    nowhere: bool = False,
) -> Excluded:
    """Close a referral to organisations, and to a person: to where they work.

    With `person`, `organizations` are where they work; nowhere: at none of those that there are here. Returns
    when no disclosure is under way any more that was decided before. Raises Refused: 404 for a referral that
    is not known, 409 for one whose content is erased, 422 for an organisation that is not known.
    """
    wanted = _wanted(node, organizations, person, nowhere)
    with node.store.work() as work:
        found = referrals.get(work, referral_id)
        if found is None:
            raise refuse(404, "not-found", "No referral with this id was sent from here.")
        sealed = contents.get(work, found.id, referrals.RECORD)
        if sealed is None:
            raise refuse(
                409, "business-rule", "The referral is closed and erased; nobody can read it any more."
            )
        before = exclusion.of(sealed)
        now = before.plus(wanted)
        contents.replace(work, found.id, referrals.RECORD, sealed | {exclusion.PART: now.sealed()})
        cancelled = note(ask, work, found, before, now)
        receipts = _decide_again(node, ask, work, found, before, now)
        subject = found.subject_digest
        epoch = persons.epoch(work, subject)
    reconsider.settle(node, subject, epoch)
    return Excluded(now, cancelled, receipts)


def note(ask: Ask, work: Work, found: Referral, before: Exclusions, now: Exclusions) -> tuple[str, ...]:
    """Write down who is excluded anew, and take the referral from those who have it; who they are.

    What was decided before may be on its way; the caller waits for it afterwards (`settled`).
    """
    if now != before and found.subject_digest:
        persons.raise_epoch(work, found.subject_digest)
    new = sorted(now.closed - before.closed)
    for organization in new:
        exclusions.note(work, found.id, organization)
        record(work, ask, "update", "U", found, details={"excluded": organization})
    people = len(now.named) - len(before.named)
    if people or now.undecided != before.undecided:
        details = {"excluded-by-name": str(len(now.named)), "undecided": str(len(now.undecided))}
        record(work, ask, "update", "U", found, details=details)
    cut_off = []
    for task in tasks.of_referral(work, found.id):
        if task.owner in now.closed and task.status != "draft" and task.status not in referral.FINAL:
            record(work, ask, "update", "U", found, task)
            cancel(work, found, task)
            cut_off.append(task.owner)
    return tuple(cut_off)


def settled(node: Node, mapped: Mapped) -> None:
    """Wait, where a record named someone to exclude, until what was decided before it is out."""
    if mapped.subject is None or not (mapped.excluded or mapped.excluded_people):
        return
    with node.store.work() as work:
        subject = consents.subject_digest(work, *mapped.subject)
        epoch = persons.epoch(work, subject)
    reconsider.settle(node, subject, epoch)


def _wanted(node: Node, organizations: Iterable[str], person: str, nowhere: bool) -> Exclusions:
    found = exclusion.organizations(node, organizations)
    if found.undecided:
        raise refuse(
            422,
            "not-found",
            "The organisation is not known here: give its directory URL, its name in the directory, or the "
            "name that one of your systems has for it.",
            field="organisation",
        )
    if not person:
        if nowhere or not found.closed:
            raise refuse(
                422, "required", "Name an organisation, or a person with --person.", field="organisation"
            )
        return found
    if nowhere or found.closed:
        return Exclusions(named={person: tuple(sorted(found.closed))})
    return exclusion.people(node, [person])


def _decide_again(
    node: Node, ask: Ask, work: Work, found: Referral, before: Exclusions, now: Exclusions
) -> tuple[Receipt, ...]:
    """Somebody has decided where a person works: offer what was held for it, and tell who may read again."""
    if now.undecided or not before.undecided:
        return ()
    if found.state == "held":
        return tuple(offer_held(node, ask, work, found))
    for task in tasks.of_referral(work, found.id):
        if task.status != "draft" and task.status not in referral.FINAL:
            notify.announce(work, found, task)
    return ()
