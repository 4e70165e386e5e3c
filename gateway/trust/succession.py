"""A key change that the old key has signed: why a node takes new keys for a partner it already knows.

Its form: `gateway.trust.key_change`. The signing key may come with the statement because it counts only where
its thumbprint is in the set before: the first of these is pinned, each further one is named by the statement
before. Without it nobody who slept through two changes could check the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry

from gateway.oauth.assertion import MALFORMED
from gateway.signing.keys import ALGORITHM
from gateway.trust import key_change
from gateway.trust.directory import Entry


class SuccessionError(Exception):
    """A key change that cannot be stated; the message names the rule."""


def thumbprints(jwks: Mapping[str, Any]) -> frozenset[str]:
    """The RFC 7638 thumbprints of the keys in a JWK Set. Raises `SuccessionError` for one that is no key."""
    try:
        return frozenset(JWKRegistry.import_key(dict(key)).thumbprint() for key in jwks["keys"])
    except (JoseError, ValueError, KeyError, TypeError):
        raise SuccessionError("the keys cannot be read as a JWK Set") from None


def hand_over(organization: str, new_jwks: Mapping[str, Any], old_key: ECKey, now: datetime) -> str:
    """The statement that the keys of `organization` are from now on those in `new_jwks` and no others.

    old_key: a private key of the set in use until now. A key that was once given up must not come back: its
    old statement would lead on from it. Raises `SuccessionError`.
    """
    if not (named := thumbprints(new_jwks)):
        raise SuccessionError("keys: the next set must hold a key")
    signer = old_key.as_dict(private=False)
    public = {name: signer[name] for name in key_change.SigningKey.__struct_fields__}
    claims = {"sub": organization, "keys": sorted(named), "iat": int(now.timestamp())}
    header = {"alg": ALGORITHM, "typ": key_change.TYPE, "jwk": public}
    return jws.serialize_compact(header, msgspec.json.encode(claims), old_key, algorithms=[ALGORITHM])


def follows(pinned: frozenset[str], entry: Entry) -> bool:
    """Whether the statements in `entry.succession` lead from the keys `pinned` (thumbprints) to its keys now.

    One that no key of the set reached so far has signed is passed over, as it tells of an older change.
    """
    reached = pinned
    for statement in entry.succession:
        if (following := _next(statement, entry.organization, reached)) is not None:
            reached = following
    return reached == entry.thumbprints


def _next(statement: str, organization: str, reached: frozenset[str]) -> frozenset[str] | None:
    """The set that a statement names, if a key of the set `reached` has signed it for this organisation."""
    if (said := key_change.read(statement)) is None or said[1].sub != organization:
        return None
    header, claims = said
    try:
        key = ECKey.import_key(msgspec.to_builtins(header.jwk))
        if key.thumbprint() not in reached:
            return None
        jws.deserialize_compact(statement, key, algorithms=[ALGORITHM])
    except MALFORMED:
        return None
    return frozenset(claims.keys)
