"""Which organisations a referral must never reach, as keyed digests that outlive its content.

While the content stands, the record itself says it (and whom it names). Once that is erased, these digests
still close what is left, the Task alone.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select

from gateway.store.schema import exclusion
from gateway.store.work import Work

_HOLDS = select(exclusion.c.referral_id).where(
    exclusion.c.tenant == bindparam("at_tenant"),
    exclusion.c.referral_id == bindparam("wanted"),
    exclusion.c.organization_digest == bindparam("digest"),
)


def note(work: Work, referral_id: str, organization: str) -> None:
    """Note that an organisation must never see a referral; noting it twice is noting it once."""
    if not holds(work, referral_id, organization):
        row = {
            "referral_id": referral_id,
            "organization_digest": _digest(work, referral_id, organization),
        }
        work.add(exclusion, row)


def holds(work: Work, referral_id: str, organization: str) -> bool:
    """Whether an organisation must never see a referral."""
    digest = _digest(work, referral_id, organization)
    return work.run(_HOLDS, wanted=referral_id, digest=digest).scalar() is not None


def _digest(work: Work, referral_id: str, organization: str) -> str:
    return work.vault.digest("excluded", referral_id, organization)
