"""A participant's own statement: what only it may say of itself, signed with every key that it names.

That each key has signed proves that whoever states it holds it: nobody can enter the key of another. One
compact JWS a line, `typ` `waymeet-entry+jwt`, all over the same claims: `entry`, the statement as it is to
stand in the directory, and `iat`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey
from msgspec import UNSET, Struct

from gateway.trust.directory import CLOCK_SKEW
from gateway.trust.directory_entry import Entry, entry_of
from gateway.trust.directory_form import DirectoryError, Instant, Statement, canonical, converted, decoded
from gateway.trust.directory_jws import Key, signed, unverified, verified
from gateway.trust.directory_rules import broken_rule

TYPE: Final = "waymeet-entry+jwt"


class _Claims(Struct, forbid_unknown_fields=True, frozen=True):
    entry: Statement
    iat: Instant


_claims: Final = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True, slots=True)
class Own:
    """An owner's statement. text: as it was signed."""

    statement: Statement
    issued: datetime
    text: str

    @property
    def organization(self) -> str:
        """Whose it is: its directory URL."""
        return self.statement.organization

    @property
    def members(self) -> dict[str, Any]:
        """What it says, as JSON has it."""
        found: dict[str, Any] = msgspec.json.decode(canonical(self.statement))
        return found

    @property
    def entry(self) -> Entry:
        """What it says, as an entry of a directory."""
        return entry_of(self.members)


def state(members: Mapping[str, Any], keys: Sequence[Key], now: datetime) -> str:
    """The statement of these members, signed with all `keys`, which are the private keys of its `jwks`.

    Raises DirectoryError where `read` would refuse it.
    """
    claims = _Claims(converted(members, Statement, "the entry"), int(now.timestamp()))
    text = "\n".join(signed(canonical(claims), TYPE, key, "the entry") for key in keys) + "\n"
    read(text, "the entry", now)
    return text


def read(text: str, where: str, now: datetime) -> Own:
    """The statement in `text`, after every key that it names was found to have signed it.

    where: begins the message. Raises DirectoryError.
    """
    own = skimmed(text, where)
    if own.issued > now + CLOCK_SKEW:
        raise DirectoryError(f"{where}: iat: it was signed in the future; is this machine's clock right?")
    if rule := broken_rule(own.statement, own.organization.partition("/Organization/")[0]):
        raise DirectoryError(f"{where}: {rule}")
    if said := _of_others(own.statement):
        raise DirectoryError(f"{where}: {said}: is for somebody else to say (waymeet directory add --source)")
    named = [_key(key, where) for key in own.members["jwks"]["keys"]]
    lines = text.split()
    if len(lines) > len(named):
        raise DirectoryError(f"{where}: has more signatures than keys")
    payloads = [verified(line.encode(), TYPE, named, where, "a key that it names") for line in lines]
    if len({payload for payload, _ in payloads}) > 1:
        raise DirectoryError(f"{where}: its signatures cover different statements")
    signers = {key.thumbprint() for _, key in payloads}
    for number, key in enumerate(named):
        if key.thumbprint() not in signers:
            raise DirectoryError(
                f"{where}: jwks.keys[{number}]: has not signed it, so its owner is not proven"
            )
    return own


def skimmed(text: str, where: str) -> Own:
    """The statement in `text`, its signatures aside: they were verified before, or will be.

    Raises DirectoryError.
    """
    lines = text.split()
    if not lines:
        raise DirectoryError(f"{where}: is empty")
    try:
        first = lines[0].encode("ascii")
    except UnicodeEncodeError:
        raise DirectoryError(f"{where}: is no signed statement") from None
    claims = decoded(unverified(first, TYPE, where), _claims, where)
    return Own(claims.entry, datetime.fromtimestamp(claims.iat, UTC), text)


def _of_others(statement: Statement) -> str | None:
    """The first member that only a third party states."""
    if statement.name_source is not UNSET:
        return "name_source"
    return next(
        (f"services[{n}].source" for n, one in enumerate(statement.services) if one.source is not UNSET), None
    )


def _key(jwk: dict[str, Any], where: str) -> Key:
    try:
        key = JWKRegistry.import_key(jwk)
    except (JoseError, ValueError):
        raise DirectoryError(f"{where}: jwks: holds what is no key") from None
    assert isinstance(key, ECKey | RSAKey)
    return key
