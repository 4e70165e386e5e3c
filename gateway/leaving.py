"""Which columns of an agency's own records can leave to one recipient now, asked without any record.

Agreements, law, consents and minimum sets are those of the node at this moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import consent
from consent import CompiledConsent, Decision, Facts, Matter, Party, Person
from consent.labels import provenance
from consent.minimum import MinimumSet
from gateway.exchange import PURPOSE
from gateway.item_fields import item_fields
from gateway.judge import recipient_now
from gateway.node import Node
from gateway.store import consents
from mappings import Lineage, LocalMapping

_STATES = ("requested", "accepted")  # of a Task: when the offer is shown, and when the dossier is


@dataclass(frozen=True, slots=True)
class Leaving:
    """What can leave for one type of referral, before it is accepted (`offer`) or after (`dossier`).

    decision: about a record that holds all that the mapping can make; ways: (item, how a field is part of it)
    of every item that may go.
    """

    referral_type: str
    decision: Decision
    ways: tuple[tuple[str, Lineage], ...]


def leaving(
    node: Node, mapping: LocalMapping, recipient: str, consents: Sequence[CompiledConsent]
) -> Iterator[Leaving]:
    """Per referral type and view, what a record of this mapping could disclose to `recipient` at this moment.

    recipient: its directory URL; consents: of the person that is thought of, none for a person without any.
    """
    fields: dict[str, dict[Lineage, None]] = {}
    for kind in mapping.kinds:
        if kind.kind in ("referral", "amendment"):
            for item, found in item_fields(kind, node.policy.items).items():
                fields.setdefault(item, {}).update(dict.fromkeys(found))
    agreements = node.agreements.between(node.sends_as.organization, recipient)
    agreed = {clause.referral_type for one in agreements for clause in one.clauses}
    for referral_type, minimum in node.policy.minimum.items():
        # Nothing is to be told of a type that no agreement speaks of, unless none speaks of any: then, why.
        if agreed and referral_type not in agreed:
            continue
        for state in _STATES:
            decisions = [
                _decide(node, recipient, consents, referral_type, state, items)
                for items in _possible(frozenset(fields), minimum)
            ]
            may_go = frozenset[str]().union(*(each.items for each in decisions))
            ways = tuple(
                (code, way) for code in node.policy.items.entries if code in may_go for way in fields[code]
            )
            yield Leaving(referral_type, decisions[0], ways)


def consents_for(node: Node, consent_id: str, person: str) -> tuple[CompiledConsent, ...]:
    """The consent with this id, or all of a person (`system|value`). Raises ValueError for none such."""
    with node.store.work() as work:
        if consent_id:
            one = consents.get(work, consent_id)
            if one is None:
                raise ValueError(f"There is no consent {consent_id} here.")
            held = [one]
        elif person:
            system, bar, value = person.rpartition("|")
            if not bar:
                raise ValueError(
                    "A person is told as SYSTEM|VALUE: the URI of the identifier's system, a bar, the value."
                )
            held = consents.of_person(work, consents.subject_digest(work, system, value))
        else:
            held = []
    return tuple(consent.compile_consent(one.resource, zone=node.settings.timezone) for one in held)


def _possible(items: frozenset[str], minimum: MinimumSet) -> Iterator[frozenset[str]]:
    """What records may hold: everything, and everything without some of the items that keep others back."""
    decisive = {entry.unless for entry in (*minimum.offer, *minimum.dossier)} & items
    for count in range(len(decisive) + 1):
        for lacking in combinations(sorted(decisive), count):
            yield items - set(lacking)


def _decide(
    node: Node,
    recipient: str,
    consents: Sequence[CompiledConsent],
    referral_type: str,
    state: str,
    items: frozenset[str],
) -> Decision:
    labels = provenance(node.settings.kinds, node.policy.regimes.values())
    facts = Facts(
        source=Party(node.sends_as.organization, kinds=node.settings.kinds),
        recipient=recipient_now(node, recipient),
        purpose=PURPOSE,
        referral_type=referral_type,
        state=state,
        record=Matter.of_items(items, dict.fromkeys(items, labels)),
        person=Person(minor=False),  # of an adult; a minor's may take another signature
        agreements=node.agreements.between(node.sends_as.organization, recipient),
        consents=tuple(consents),
        policy=node.policy,
    )
    return consent.decide(facts, node.now())
