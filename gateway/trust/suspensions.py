"""The emergency suspension list: who must not be dealt with from now on, until the directory says otherwise.

One compact JWS (RFC 7515), ES384, `typ` `waymeet-suspensions+jwt`, under the key that the directory's
manifest names as `suspender`. It is short-lived: a node that cannot get a fresh one knows that it may have
been kept from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
from joserfc.jwk import ECKey
from msgspec import Meta, Struct

from gateway.trust.directory import CLOCK_SKEW
from gateway.trust.directory_form import (
    DirectoryError,
    Instant,
    OrganizationUrl,
    Origin,
    Sequence,
    canonical,
    converted,
    decoded,
)
from gateway.trust.directory_jws import MAX_PAYLOAD, signed, verified

TYPE: Final = "waymeet-suspensions+jwt"


class _Claims(Struct, forbid_unknown_fields=True, frozen=True):
    iss: Origin
    iat: Instant
    exp: Instant
    sequence: Sequence
    organizations: Annotated[tuple[OrganizationUrl, ...], Meta(max_length=10_000)]


_claims: Final = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True, slots=True)
class Suspensions:
    """A verified list. sequence only grows. digest: SHA-256 in hex of the signed claims."""

    issuer: str
    sequence: int
    issued: datetime
    expires: datetime
    organizations: frozenset[str]
    digest: str

    def expired(self, now: datetime) -> bool:
        """Whether its time is over: then someone may be suspended of whom it does not tell."""
        return now >= self.expires

    def holds(self, organization: str) -> bool:
        """Whether this organization (its directory URL) is suspended."""
        return organization in self.organizations


def read(path: Path, suspender: ECKey, issuer: str, now: datetime, minimum_sequence: int = 0) -> Suspensions:
    """The list in `path`, if `suspender` signed it for the directory of `issuer`.

    An expired one is returned, as who was suspended stays so; ask `expired`. One older than
    `minimum_sequence` is refused. Raises `DirectoryError`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(2 * MAX_PAYLOAD + 1)
    except OSError as error:
        raise DirectoryError(f"{path}: cannot be read ({error.strerror})") from None
    content, _ = verified(text, TYPE, [suspender], "suspensions", "the key that the directory names for them")
    claims = decoded(content, _claims, "suspensions")
    _check(claims, issuer)
    if claims.iat > (now + CLOCK_SKEW).timestamp():
        raise DirectoryError("suspensions: iat: it was signed in the future; is this node's clock right?")
    if claims.sequence < minimum_sequence:
        raise DirectoryError(
            f"suspensions: sequence: {claims.sequence} is older than {minimum_sequence}, which was used here"
        )
    return Suspensions(
        claims.iss,
        claims.sequence,
        datetime.fromtimestamp(claims.iat, UTC),
        datetime.fromtimestamp(claims.exp, UTC),
        frozenset(claims.organizations),
        hashlib.sha256(content).hexdigest(),
    )


def sign(
    issuer: str,
    organizations: Iterable[str],
    key: ECKey,
    *,
    sequence: int,
    now: datetime,
    hours: int = 24,
) -> str:
    """The list of the suspended `organizations` under the private suspender `key`, in force for `hours`.

    Raises `DirectoryError` where `read` would refuse it.
    """
    members = {
        "iss": issuer,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(hours=hours)).timestamp()),
        "sequence": sequence,
        "organizations": sorted(set(organizations)),
    }
    claims = converted(members, _Claims, "suspensions")
    _check(claims, issuer)
    return signed(canonical(claims), TYPE, key, "suspensions")


def _check(claims: _Claims, issuer: str) -> None:
    if claims.iss != issuer:
        raise DirectoryError("suspensions: iss: is not the directory's")
    if claims.exp <= claims.iat:
        raise DirectoryError("suspensions: exp: must be later than iat")
    for place, one in enumerate(claims.organizations):
        if one.rpartition("/")[0] != f"{issuer}/Organization":
            raise DirectoryError(
                f"suspensions: organizations[{place}]: must be iss followed by /Organization/ and an id"
            )
    if len(set(claims.organizations)) < len(claims.organizations):
        raise DirectoryError("suspensions: organizations: has the same entry twice")
