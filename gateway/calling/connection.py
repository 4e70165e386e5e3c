"""How this node proves who it is to the token endpoint of one partner or system: profiles, open for more.

A profile makes what a token request carries beside `grant_type` and `scope`. Those that there are:

`smart-backend`: SMART Backend Services 2.2, a signed `private_key_jwt` assertion (RFC 7523), ES384 or RS384.
`client-secret`: RFC 6749 section 2.3.1, the secret in the header (the default) or in the form.
`none`: no token is asked for and none is sent.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote_plus

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gateway.calling.transport import PeerForbidden, checked_url
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.signing.keys import ALGORITHM
from gateway.signing.operational import Signing

ASSERTION_SECONDS: Final = 60
RSA_ALGORITHM: Final = "RS384"
LOOPBACK_HOSTS: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Connection:
    """How this node gets a token in one place, and where it shows it.

    profile: a name in `PROFILES`. token_endpoint: URL; empty for the one in the directory. audience: the
    assertion's `aud`; empty for the token endpoint. client_id: what this node is called there. secret: gives
    the secret, anew for each token. ring or key: what signs the assertion, `ring` with ES384 and `key` with
    RS384. kid: what the other side calls `key`; empty for its thumbprint. scope: what is asked for there, in
    that server's words; empty for what the request needs. fhir_base: URL; empty for the one in the directory.
    purposes: whether the assertion says what for (`hl7-b2b`).

    Raises ValueError, which names the member, for a connection that can get no token.
    """

    profile: str
    token_endpoint: str = ""
    audience: str = ""
    client_id: str = ""
    secret: Callable[[], str] | None = field(default=None, repr=False)
    ring: Signing | None = field(default=None, repr=False)
    key: RSAKey | None = field(default=None, repr=False)
    kid: str = ""
    secret_in: Literal["basic", "post"] = "basic"  # noqa: S105 - a place, no secret
    scope: str = ""
    fhir_base: str = ""
    purposes: bool = False

    def __post_init__(self) -> None:
        known = PROFILES.get(self.profile)
        if known is None:
            raise ValueError(f"profile: must be one of {', '.join(PROFILES)}")
        lacking = known.lacks(self)
        if lacking:
            raise ValueError(f"{lacking}: the profile {self.profile} needs it")
        for name in ("token_endpoint", "fhir_base"):
            if url := getattr(self, name):
                _check_url(name, url)

    @property
    def asks(self) -> bool:
        """Whether there is a token to ask for."""
        return PROFILES[self.profile].prove is not None


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves who asks for a token: fields of the form, and headers."""

    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to prove who asks.

    prove: the proof for a connection and a purpose of use (or None); None where no token is asked for.
    lacks: the member that a connection lacks for this profile, or "". exact: the answer must hold all that
    SMART 2.2 requires; otherwise what RFC 6749 section 5.1 leaves open may be left out.
    """

    prove: Callable[[Connection, str | None], Proof] | None
    lacks: Callable[[Connection], str]
    exact: bool = False


def prove(connection: Connection, purpose: str | None) -> Proof:
    """The proof that `connection` needs at this moment. Raises ValueError where there is none to make."""
    made = PROFILES[connection.profile].prove
    if made is None:
        raise ValueError(f"profile: {connection.profile} asks for no token")
    return made(connection, purpose)


def assertion(connection: Connection, purpose: str | None = None) -> str:
    """A fresh `private_key_jwt` assertion. SMART 2.2, RFC 7523 section 3; a new `jti` each time.

    purpose: a v3-ActReason code that the token is for, said as HL7's `hl7-b2b` extension.
    """
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": connection.client_id,
        "sub": connection.client_id,
        "aud": connection.audience or connection.token_endpoint,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(24),
    }
    if connection.purposes and purpose is not None:
        claims["extensions"] = {
            "hl7-b2b": {
                "version": "1",
                "organization_id": connection.client_id,
                "purpose_of_use": [purpose],
            }
        }
    algorithm, kid, key = _signer(connection)
    header = {"alg": algorithm, "kid": kid, "typ": "JWT"}
    return jws.serialize_compact(header, msgspec.json.encode(claims), key, algorithms=[algorithm])


def _signer(connection: Connection) -> tuple[str, str, ECKey | RSAKey]:
    """Algorithm, `kid` and key. Asked at each assertion, because a ring's key changes while we run."""
    if connection.key is not None:
        return RSA_ALGORITHM, connection.kid or connection.key.thumbprint(), connection.key
    assert connection.ring is not None
    key = connection.ring.signing
    return ALGORITHM, key.thumbprint(), key


def _smart_backend(connection: Connection, purpose: str | None) -> Proof:
    signed = assertion(connection, purpose)
    return Proof(fields={"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed})


def _client_secret(connection: Connection, _purpose: str | None) -> Proof:
    assert connection.secret is not None
    secret = connection.secret()
    if connection.secret_in == "post":  # noqa: S105
        return Proof(fields={"client_id": connection.client_id, "client_secret": secret})
    # Encoded as a form first, as RFC 6749 section 2.3.1 asks: a client_id that is a URL holds colons.
    pair = f"{quote_plus(connection.client_id)}:{quote_plus(secret)}"
    return Proof(headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()})


def _lacks_for_smart(connection: Connection) -> str:
    if not connection.client_id:
        return "client_id"
    return "key" if connection.ring is None and connection.key is None else ""


def _lacks_for_secret(connection: Connection) -> str:
    if not connection.client_id:
        return "client_id"
    return "secret" if connection.secret is None else ""


PROFILES: Final[dict[str, Profile]] = {
    "smart-backend": Profile(_smart_backend, _lacks_for_smart, exact=True),
    "client-secret": Profile(_client_secret, _lacks_for_secret),
    "none": Profile(None, lambda _connection: ""),
}


def _check_url(name: str, url: str) -> None:
    try:
        found = checked_url(url)
    except PeerForbidden as error:
        raise ValueError(f"{name}: {error}") from None
    if found.scheme != "https" and found.host not in LOOPBACK_HOSTS:
        raise ValueError(f"{name}: must be https, as tokens and secrets are sent there")
    if name == "fhir_base" and found.query:
        raise ValueError(f"{name}: must hold no query")
