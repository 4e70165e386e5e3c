"""What a decision is made from: every fact is given, none is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from consent.agreement import Agreement
from consent.matter import Matter
from consent.policy import Policy
from consent.provisions import CompiledConsent
from profiles.canonical import ACT_REASON
from profiles.terminology import subsumes


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation as the directory knows it at this moment.

    `organization` is its directory URL. `kinds` say what it is in law (`covered-entity`,
    `victim-service-provider`, `community-organization`, ...). `key_matches` says that the key it
    authenticated with is the one the directory holds for it. `purposes`: the v3-ActReason codes that it is
    registered for, or that it asks for now; None where nothing limits them.
    """

    organization: str
    kinds: frozenset[str] = frozenset()
    known: bool = True
    active: bool = True
    suspended: bool = False
    key_matches: bool = True
    purposes: frozenset[str] | None = None

    def asks_for(self, purpose: str) -> bool:
        """Whether it may ask for this purpose: for the purpose itself, or for a wider one that holds it."""
        return self.purposes is None or any(subsumes(ACT_REASON, one, purpose) for one in self.purposes)


@dataclass(frozen=True, slots=True)
class Person:
    """What the law asks about the person. `minor` None: the age is not known, so both rules count."""

    minor: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that `decide` knows about one question: may `recipient` read this referral of `source` now?

    `purpose` is a v3-ActReason code, `state` the Task's status (`draft` before it has been offered),
    `record` what the record holds (`consent.describe`), `consents` those of this person in any status and
    `excluded` the organisations that this referral must never reach. `enforces` are the codes of the duties
    that whoever acts on the decision can carry out; None stands for this project's own.
    """

    source: Party
    recipient: Party
    purpose: str
    referral_type: str
    state: str
    record: Matter
    agreements: tuple[Agreement, ...]
    consents: tuple[CompiledConsent, ...]
    excluded: frozenset[str] = frozenset()
    person: Person = Person()
    enforces: frozenset[str] | None = None
    policy: Policy

    @property
    def items(self) -> frozenset[str]:
        """The disclosure items that the record holds."""
        return frozenset(self.record.keys)
