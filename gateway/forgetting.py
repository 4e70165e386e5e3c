"""What may no longer be kept is destroyed: consents after their retention, and the accounting of disclosures.

Of a consent its id, its states and their times stay, and the accounting names it by its id as long as that is
kept. Rows first, then the key: a crash in between leaves a key that opens nothing, found next time.
"""

from __future__ import annotations

from gateway import audit, consenting
from gateway.clock import stamp
from gateway.node import Node
from gateway.store import accounting, consents, contents, persons
from gateway.store.work import Work


def sweep(node: Node) -> int:
    """Destroy what is over; the number of consents whose content is gone since the last time."""
    with node.store.work() as work:
        _look_up(node, work)
        _empty_ended(node, work)
        emptied = consents.emptied(work)
        before = stamp(node.settings.retention.disclosures_before(work.now))
        accounting.forget_before(work, before)
        let_go = persons.let_go(work, before)
    for consent_id in emptied:
        if node.store.vault.destroy(consent_id):
            with node.store.work() as work:
                consents.erased(work, consent_id)
    for person_id in let_go:
        if node.store.vault.destroy(person_id):
            with node.store.work() as work:
                persons.forget(work, person_id)
    return len(emptied)


def _look_up(node: Node, work: Work) -> None:
    """Law and end of consents that an earlier version has kept, which did not tell them apart."""
    for held in consents.undescribed(work):
        made = node.compiled.compile(held.resource)
        consents.describe(work, held.id, consenting.told(held.resource, made, held.told.replaces))


def _empty_ended(node: Node, work: Work) -> None:
    for regime in consents.regimes(work):
        before = stamp(node.settings.retention.consents_before(regime, work.now))
        for consent_id in consents.ended_before(work, regime, before):
            if _still_replaces(work, consent_id):
                continue
            consents.empty(work, consent_id)
            contents.forget(work, consent_id)  # what would recognise the record that it came with
            node.compiled.drop(consent_id)
            audit.record(work, audit.Entry("erase", "D", "node", details={"consent": consent_id}))


def _still_replaces(work: Work, consent_id: str) -> bool:
    """Whether it stands in the place of one that is still active, which would speak again without it."""
    held = consents.get(work, consent_id)
    earlier = (consents.get(work, one) for one in (held.told.replaces if held else ()))
    return any(one is not None and one.status == "active" and one.subject_digest for one in earlier)
