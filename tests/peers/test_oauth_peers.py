"""OAuth with implementations that are not ours: oidc-provider as server, openid-client as client.

Needs Node.js and npm; the packages are installed once, exactly as package-lock.json says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode
from oauth_endpoints import LOOPBACK, Endpoints, serve

from gateway import keys
from gateway.authenticate import Registration
from gateway.client import PeerClient
from gateway.connection import Connection
from gateway.directory import Entry
from gateway.key_sources import KeySource
from gateway.operational import KeyRing
from gateway.transport import PeerRefused

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CLIENT_ID = "https://directory.example.org/Organization/mill-street-clinic"
PARTNER = "https://directory.example.org/Organization/partner"
SCOPE = "system/Task.rus system/Patient.r"
AUDIENCE = "https://partner.example.org/fhir"
# A secret and a client_id whose characters mean something in a header and in a form.
ODD_SECRET = 'a:b c+d%41/?=&"~' + "x" * 32
METHODS = {"basic": "client_secret_basic", "post": "client_secret_post"}


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """The npm packages, installed from the lock file when they are not there or another version was."""
    marker, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=HERE, check=True, timeout=300)


# -- their server, our client ---------------------------------------------------------------------------


@contextmanager
def oidc_provider(scope: str = SCOPE, format: str = "jwt", **client: Any) -> Iterator[Entry]:  # noqa: A002
    """A directory entry whose address is a running oidc-provider, where we are registered as `client`."""
    setup = {"client": client, "scope": scope, "audience": AUDIENCE, "format": format}
    command = ["node", "--no-warnings", "oidc-provider.mjs"]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(setup))
            process.stdin.close()
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), "oidc-provider did not start"
            yield Entry(
                organization=PARTNER,
                name="Partner",
                address=address,
                jwks={"keys": []},
                purposes=frozenset(),
                services=(),
                contacts={},
                status="active",
            )
        finally:
            process.kill()


def by_key(*public: dict[str, Any], alg: str = "ES384") -> dict[str, Any]:
    """How we are registered there, with our public keys."""
    return {
        "client_id": CLIENT_ID,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": alg,
        "jwks": {"keys": list(public)},
    }


def by_secret(method: str, secret: str = ODD_SECRET) -> dict[str, Any]:
    return {"client_id": CLIENT_ID, "token_endpoint_auth_method": method, "client_secret": secret}


def fetch(entry: Entry, own: ECKey | None = None, times: int = 1, **connection: Any) -> list[str]:
    """The tokens that our client gets, each one fetched anew.

    own: its key as a node. connection: how it is configured for this partner; nothing: as for a node.
    """
    ways = {PARTNER: Connection(client_id=CLIENT_ID, **connection)} if connection else {}

    async def tokens() -> list[str]:
        ring = KeyRing.of(own or keys.generate())
        client = PeerClient(CLIENT_ID, ring, networks=LOOPBACK, connections=ways)
        try:
            way = client._way(entry)
            return [(await client._fetch(way, SCOPE, None)).value for _ in range(times)]
        finally:
            await client.close()

    return asyncio.run(tokens())


def claims(token: str) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(urlsafe_b64decode(token.split(".")[1].encode()))
    return said


def rsa_jwk(key: RSAKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False, kid=key.thumbprint(), alg="RS384", use="sig"))


def test_an_independent_server_takes_our_assertions() -> None:
    key = keys.generate()
    with oidc_provider(**by_key(keys.public_jwk(key))) as entry:
        first, second = fetch(entry, key, times=2)
    assert first != second
    assert (claims(first)["client_id"], claims(first)["aud"]) == (CLIENT_ID, AUDIENCE)
    assert set(claims(first)["scope"].split()) == set(SCOPE.split())


def test_an_independent_server_takes_our_assertions_by_rsa() -> None:
    key = RSAKey.generate_key(2048)
    with oidc_provider(**by_key(rsa_jwk(key), alg="RS384")) as entry:
        (token,) = fetch(entry, profile="smart-backend", key=key)
    assert claims(token)["client_id"] == CLIENT_ID


def test_an_independent_server_refuses_another_key() -> None:
    registered = keys.public_jwk(keys.generate())
    with oidc_provider(**by_key(registered)) as entry, pytest.raises(PeerRefused, match="invalid_client"):
        fetch(entry, keys.generate())


def test_less_than_we_asked_from_an_independent_server_is_noticed() -> None:
    key = keys.generate()
    with (
        oidc_provider("system/Task.rus", **by_key(keys.public_jwk(key))) as entry,
        pytest.raises(PeerRefused, match="less than"),
    ):
        fetch(entry, key)


@pytest.mark.parametrize("place", METHODS)
def test_an_independent_server_takes_our_secret(place: str) -> None:
    with oidc_provider(**by_secret(METHODS[place])) as entry:
        (token,) = fetch(entry, profile="client-secret", secret=lambda: ODD_SECRET, secret_in=place)
    assert claims(token)["client_id"] == CLIENT_ID


@pytest.mark.parametrize("place", METHODS)
def test_an_independent_server_refuses_another_secret(place: str) -> None:
    with (
        oidc_provider(**by_secret(METHODS[place])) as entry,
        pytest.raises(PeerRefused, match="invalid_client"),
    ):
        fetch(entry, profile="client-secret", secret=lambda: "another", secret_in=place)


def test_an_independent_server_knows_again_what_it_gave_us() -> None:
    """A token that means nothing to anybody else: its server says whose it is, until it is taken back."""
    secret = "a-secret-of-the-test-with-32-characters"
    with oidc_provider(format="opaque", **by_secret("client_secret_basic", secret)) as entry:
        (token,) = fetch(entry, profile="client-secret", secret=lambda: secret)
        with httpx2.Client(base_url=entry.address, auth=(CLIENT_ID.replace(":", "%3A"), secret)) as http:

            def ask(path: str) -> httpx2.Response:
                return http.post(path, data={"token": token})

            known = ask("/oauth/introspect").json()
            assert (known["active"], known["client_id"]) == (True, CLIENT_ID)
            assert set(known["scope"].split()) == set(SCOPE.split())
            assert ask("/oauth/revoke").status_code == 200
            assert ask("/oauth/introspect").json() == {"active": False}


# -- our server, their client ---------------------------------------------------------------------------

SCOPES = frozenset({"system/Task.rus", "system/Patient.rs"})
SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


def with_key(
    key: ECKey | RSAKey, client_id: str = CLIENT_ID, **more: Any
) -> tuple[Registration, dict[str, Any]]:
    """A client's registration with us, and how openid-client then proves who it is."""
    alg = "ES384" if isinstance(key, ECKey) else "RS384"
    public = key.as_dict(private=False, kid="their-key", alg=alg, use="sig")
    private = key.as_dict(private=True, kid="their-key")
    registration = Registration(client_id, KeySource({"keys": [public]}), SCOPES, **more)
    return registration, {"client_id": client_id, "method": "private_key_jwt", "jwk": private, "alg": alg}


def with_secret(method: str) -> tuple[Registration, dict[str, Any]]:
    secret = hashlib.sha256(SECRET.encode()).digest()
    registration = Registration(CLIENT_ID, None, SCOPES, secret=secret)
    return registration, {"client_id": CLIENT_ID, "method": method, "secret": SECRET}


def ask(endpoints: Endpoints, who: dict[str, Any], *asks: tuple[str, Any]) -> list[dict[str, Any]]:
    """What openid-client gets from our endpoints, one answer for each thing that it asks."""
    server = {
        "issuer": endpoints.issuer,
        "token_endpoint": endpoints.token_endpoint,
        "introspection_endpoint": endpoints.introspection_endpoint,
        "revocation_endpoint": endpoints.revocation_endpoint,
    }
    done = subprocess.run(
        ["node", "--no-warnings", "openid-client.mjs"],
        cwd=HERE,
        input=json.dumps(who | {"server": server, "asks": asks}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("alg", ["ES384", "RS384"])
def test_an_independent_client_gets_tokens_that_we_recognise(alg: str) -> None:
    registration, who = with_key(keys.generate() if alg == "ES384" else RSAKey.generate_key(2048))
    with serve(registration) as ours:
        answers = ask(ours, who, *[("token", SCOPE)] * 3)
        for answer in answers:
            assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("bearer", 300, SCOPE)
            assert ours.caller(answer["access_token"]).client_id == CLIENT_ID
        assert len({answer["access_token"] for answer in answers}) == 3


@pytest.mark.parametrize("method", METHODS.values())
def test_an_independent_client_gets_a_token_for_its_secret(method: str) -> None:
    registration, who = with_secret(method)
    with serve(registration) as ours:
        (answer,) = ask(ours, who, ("token", SCOPE))
        assert ours.caller(answer["access_token"]).client_id == CLIENT_ID


def test_an_independent_client_understands_our_refusals() -> None:
    registration, who = with_key(keys.generate())
    with serve(registration) as ours:
        assert ask(ours, who, ("token", "system/Consent.r")) == [{"error": "invalid_scope"}]
        unknown = who | {"jwk": who["jwk"] | {"kid": "unknown"}}
        for asked in (("token", SCOPE), ("introspect", "any"), ("revoke", "any")):
            assert ask(ours, unknown, asked) == [{"error": "invalid_client"}], asked


@pytest.mark.parametrize(
    ("method", "error"),
    # Who tried the header is answered by header: RFC 6749 section 5.2.
    [("client_secret_basic", "401, try basic"), ("client_secret_post", "invalid_client")],
)
def test_an_independent_client_understands_that_its_secret_is_wrong(method: str, error: str) -> None:
    registration, who = with_secret(method)
    with serve(registration) as ours:
        wrong = who | {"secret": "another"}
        for asked in (("token", SCOPE), ("introspect", "any"), ("revoke", "any")):
            assert ask(ours, wrong, asked) == [{"error": error}], asked


@pytest.mark.parametrize("method", ["private_key_jwt", *METHODS.values()])
def test_an_independent_client_asks_about_its_token_and_takes_it_back(method: str) -> None:
    registration, who = with_key(keys.generate()) if method == "private_key_jwt" else with_secret(method)
    with serve(registration) as ours:
        own = {"got": 0}
        got, known, revoked, after, again = ask(
            ours,
            who,
            ("token", SCOPE),
            ("introspect", own),
            ("revoke", own),
            ("introspect", own),
            ("revoke", own),
        )
        assert (known["active"], known["client_id"], known["scope"]) == (True, CLIENT_ID, got["scope"])
        assert known["exp"] - known["iat"] == got["expires_in"]
        assert (revoked, after, again) == (None, {"active": False}, None)


def test_an_independent_client_learns_of_another_s_token_only_when_it_may_ask() -> None:
    """The ordinary case system, and a resource server that is registered to ask about every token."""
    case, case_who = with_key(keys.generate())
    other, other_who = with_key(keys.generate(), "https://elsewhere.example/client")
    gate, gate_who = with_key(keys.generate(), "https://gate.example/client", introspects=True)
    with serve(case, other, gate) as ours:
        (got,) = ask(ours, case_who, ("token", SCOPE))
        asked = [("introspect", got["access_token"]), ("revoke", got["access_token"])]
        assert ask(ours, other_who, *asked)[0] == {"active": False}
        (known, kept) = ask(ours, gate_who, *asked)
        assert (known["active"], known["client_id"]) == (True, CLIENT_ID)
        # To ask is not to take back: the token still is its client's.
        assert kept["error"] == "invalid_grant"
        assert ours.caller(got["access_token"]).client_id == CLIENT_ID
