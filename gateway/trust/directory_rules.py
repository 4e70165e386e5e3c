"""Rules of a directory statement that its form cannot say, and the marks by which two entries differ.

No mark may stand in two entries: a key, an address or a server that two entries share would show that one
agency stands behind both, and an alias would be worth nothing. Keys that an entry had before count too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from msgspec import UNSET, UnsetType

from gateway.trust import key_change
from gateway.trust.directory_form import EcKey, Keys, RsaKey, Statement

# P-384, FIPS 186-4 D.1.2.4. Its cofactor is 1, so every point on the curve is a valid public key.
_P: Final = 2**384 - 2**128 - 2**96 + 2**32 - 1
_B: Final = 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF

# Of a hundred thousand keys each step counts: these are base64.urlsafe_b64encode and its inverse, undressed.
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")


def thumbprint(key: EcKey | RsaKey) -> str:
    """The RFC 7638 thumbprint of a key."""
    if isinstance(key, EcKey):
        text = f'{{"crv":"P-384","kty":"EC","x":"{key.x}","y":"{key.y}"}}'
    else:
        text = f'{{"e":"{key.e}","kty":"RSA","n":"{key.n}"}}'
    digest = binascii.b2a_base64(hashlib.sha256(text.encode()).digest(), newline=False)
    return digest.translate(_TO_URL)[:-1].decode()


def broken_rule(statement: Statement, issuer: str) -> str | None:
    """The first rule that `statement` breaks in the directory of `issuer`, as `member: rule`."""
    return next(_broken(statement, issuer), None)


def marks(statement: Statement) -> list[tuple[str, str]]:
    """(member, value) of what no other entry may hold. The statement has passed `broken_rule`."""
    found = {("address", statement.address)}
    for url in _urls(statement):
        # What is stated may be spelled as what follows from another entry's address.
        plain = url.rstrip("/")
        found |= {("address", plain), ("address", plain.removesuffix("/fhir").removesuffix("/oauth/token"))}
    for key in statement.jwks.keys:  # the kid of an EC key is its thumbprint: `broken_rule` has seen to it
        found.add(("jwks", key.kid if isinstance(key, EcKey) else thumbprint(key)))
    if statement.succession is not UNSET:
        for text in statement.succession:
            found |= {("jwks", one) for one in _keys_named(text)}
    return list(found)


def _broken(statement: Statement, issuer: str) -> Iterator[str]:
    if statement.organization.rpartition("/")[0] != f"{issuer}/Organization":
        yield "organization: must be iss followed by /Organization/ and an id"
    if statement.contacts.primary == statement.contacts.backup:
        yield "contacts: primary and backup must be two different contacts"
    for name, values in (("purposes", statement.purposes), ("services", statement.services)):
        if len(values) > 1 and len(set(values)) < len(values):
            yield f"{name}: has the same entry twice"
    for number, service in enumerate(statement.services):
        if len(set(service.languages)) < len(service.languages):
            yield f"services[{number}].languages: has the same entry twice"
        if (service.source is UNSET) != (service.assured is UNSET):
            yield f"services[{number}]: source and assured go together"
        if not _is_day(service.assured):
            yield f"services[{number}].assured: is no day of the calendar"
    if (statement.name_source is UNSET) != (statement.name_assured is UNSET):
        yield "name_source: goes together with name_assured"
    if not _is_day(statement.name_assured):
        yield "name_assured: is no day of the calendar"
    if statement.endpoints is not UNSET and not _urls(statement):
        yield "endpoints: is empty"
    yield from broken_keys(statement.jwks)
    if statement.succession is not UNSET:
        for number, text in enumerate(statement.succession):
            change = key_change.read(text)
            if change is None or change[1].sub != statement.organization:
                yield f"succession[{number}]: is no key change of this organization's"


def _is_day(text: str | UnsetType) -> bool:
    try:
        return text is UNSET or bool(date.fromisoformat(text))
    except ValueError:
        return False


def broken_keys(jwks: Keys) -> Iterator[str]:
    """The rules that a key set breaks, as `member: rule`."""
    for number, key in enumerate(jwks.keys):
        if isinstance(key, EcKey):
            if not on_curve(key):
                yield f"jwks.keys[{number}]: is no point on P-384"
            if key.kid != thumbprint(key):
                yield f"jwks.keys[{number}].kid: must be the key's RFC 7638 thumbprint"
        elif not _is_rsa(key):
            yield f"jwks.keys[{number}]: is no RSA key of 2048 bits or more in its shortest form"
    if len(jwks.keys) > 1 and len({key.kid for key in jwks.keys}) < len(jwks.keys):
        yield "jwks: each key needs a kid of its own"


def on_curve(key: EcKey) -> bool:
    """Whether x and y are a point on P-384 (SEC 1 section 3.2.2.1)."""
    both = binascii.a2b_base64((key.x + key.y).encode().translate(_FROM_URL))
    x, y = int.from_bytes(both[:48], "big"), int.from_bytes(both[48:], "big")
    return x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def _is_rsa(key: RsaKey) -> bool:
    numbers = [_shortest(part) for part in (key.n, key.e)]
    if None in numbers:
        return False
    n, e = (int.from_bytes(part or b"", "big") for part in numbers)
    try:
        RSAPublicNumbers(e, n).public_key()
    except ValueError:
        return False
    return n.bit_length() >= 2048


def _shortest(text: str) -> bytes | None:
    """The number in base64url, if it is written in the one way of RFC 7518 section 2: a key has one name."""
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    again = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
    return found if again == text and found[0] != 0 else None


def _urls(statement: Statement) -> list[str]:
    ends = statement.endpoints
    return (
        [url for url in (ends.fhir, ends.token, ends.issuer) if url is not UNSET] if ends is not UNSET else []
    )


def _keys_named(text: str) -> tuple[str, ...]:
    """The thumbprints of all keys that a key change names, the one that signed it included."""
    change = key_change.read(text)
    if change is None:
        return ()
    signer = change[0].jwk
    return (thumbprint(EcKey("P-384", signer.x, signer.y, "ES384", "", "sig")), *change[1].keys)
