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
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode
from served_node import ALIAS, PANTRY, ServedNode, organization, serve_node

from gateway.calling.client import PeerClient
from gateway.calling.connection import Connection
from gateway.calling.transport import PeerRefused
from gateway.signing import keys
from gateway.signing.operational import KeyRing
from gateway.trust.directory import Entry

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LOOPBACK = (ip_network("127.0.0.0/8"),)
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

HANDS_IN = "system/ServiceRequest.c system/Task.u"
SYSTEM = "case-system"
SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[ServedNode]:
    with serve_node(tmp_path) as served:
        yield served


def partner(ours: ServedNode, name: str = PANTRY) -> dict[str, Any]:
    """How openid-client proves itself as a partner's node, which directory and agreement speak for."""
    key = ours.partner_key(name)
    private = key.as_dict(private=True, kid=key.thumbprint())
    return {"client_id": organization(name), "method": "private_key_jwt", "jwk": private, "alg": "ES384"}


def own_system(ours: ServedNode, key: ECKey | RSAKey, client_id: str = SYSTEM, **more: Any) -> dict[str, Any]:
    """The same as one of the agency's own systems, once it is registered with its key."""
    alg = "ES384" if isinstance(key, ECKey) else "RS384"
    public = key.as_dict(private=False, kid="their-key", alg=alg, use="sig")
    ours.register(client_id, HANDS_IN, {"method": "private_key_jwt", "jwks": {"keys": [public]}}, **more)
    private = key.as_dict(private=True, kid="their-key")
    return {"client_id": client_id, "method": "private_key_jwt", "jwk": private, "alg": alg}


def with_secret(ours: ServedNode, method: str) -> dict[str, Any]:
    """The same with a secret."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    ours.register(SYSTEM, HANDS_IN, {"method": "client_secret", "secret_sha256": digest})
    return {"client_id": SYSTEM, "method": method, "secret": SECRET}


def ask(ours: ServedNode, who: dict[str, Any], *asks: tuple[str, Any]) -> list[dict[str, Any]]:
    """What openid-client gets from our node, one answer for each thing that it asks."""
    server = {
        "issuer": ours.issuer,
        "token_endpoint": ours.token_endpoint,
        "introspection_endpoint": ours.introspection_endpoint,
        "revocation_endpoint": ours.revocation_endpoint,
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


def test_an_independent_client_gets_tokens_that_we_recognise(ours: ServedNode) -> None:
    """As a partner: with what it gets it reads at the node, and after that the node knows who it was."""
    answers = ask(ours, partner(ours), *[("token", "system/Task.rus system/Patient.r")] * 3)
    for answer in answers:
        assert (answer["token_type"], answer["expires_in"]) == ("bearer", 300)
        assert answer["scope"] == "system/Task.rus system/Patient.r"
        caller = ours.caller(answer["access_token"])
        assert caller.client_id == caller.organization == organization(PANTRY)
    assert len({answer["access_token"] for answer in answers}) == 3
    with httpx2.Client(base_url=ours.issuer, trust_env=False) as http:
        shown = {"Authorization": f"Bearer {answers[0]['access_token']}"}
        assert http.get("/fhir/Task", headers=shown).json()["total"] == 0
        assert http.get("/fhir/Task").status_code == 401


@pytest.mark.parametrize("make", [keys.generate, lambda: RSAKey.generate_key(2048)], ids=["ES384", "RS384"])
def test_an_independent_client_gets_a_token_for_either_kind_of_key(ours: ServedNode, make: Any) -> None:
    (answer,) = ask(ours, own_system(ours, make()), ("token", HANDS_IN))
    assert (answer["scope"], ours.caller(answer["access_token"]).client_id) == (HANDS_IN, SYSTEM)


@pytest.mark.parametrize("method", METHODS.values())
def test_an_independent_client_gets_a_token_for_its_secret(ours: ServedNode, method: str) -> None:
    (answer,) = ask(ours, with_secret(ours, method), ("token", HANDS_IN))
    assert (answer["scope"], ours.caller(answer["access_token"]).client_id) == (HANDS_IN, SYSTEM)


def test_an_independent_client_understands_our_refusals(ours: ServedNode) -> None:
    who = partner(ours)
    assert ask(ours, who, ("token", "system/Consent.r")) == [{"error": "invalid_scope"}]
    forged = who | {"jwk": partner(ours, ALIAS)["jwk"] | {"kid": who["jwk"]["kid"]}}
    stranger = who | {"client_id": organization("nobody")}
    for wrong in (forged, stranger):
        for asked in (("token", "system/Task.r"), ("introspect", "any"), ("revoke", "any")):
            assert ask(ours, wrong, asked) == [{"error": "invalid_client"}], asked
    # Its key might be among those that its own node publishes, which cannot be asked here.
    unknown = who | {"jwk": who["jwk"] | {"kid": "unknown"}}
    assert ask(ours, unknown, ("token", "system/Task.r")) == [{"error": "503"}]


def test_an_independent_client_is_refused_from_the_moment_it_is_suspended(ours: ServedNode) -> None:
    who = own_system(ours, keys.generate())
    assert "access_token" in ask(ours, who, ("token", HANDS_IN))[0]
    own_system(ours, keys.generate(), status="suspended")
    assert ask(ours, who, ("token", HANDS_IN)) == [{"error": "invalid_client"}]


@pytest.mark.parametrize(
    ("method", "error"),
    # Who tried the header is answered by header: RFC 6749 section 5.2.
    [("client_secret_basic", "401, try basic"), ("client_secret_post", "invalid_client")],
)
def test_an_independent_client_understands_that_its_secret_is_wrong(
    ours: ServedNode, method: str, error: str
) -> None:
    wrong = with_secret(ours, method) | {"secret": "another"}
    for asked in (("token", HANDS_IN), ("introspect", "any"), ("revoke", "any")):
        assert ask(ours, wrong, asked) == [{"error": error}], asked


@pytest.mark.parametrize("method", ["private_key_jwt", *METHODS.values()])
def test_an_independent_client_asks_about_its_token_and_takes_it_back(ours: ServedNode, method: str) -> None:
    signs = method == "private_key_jwt"
    who = own_system(ours, keys.generate()) if signs else with_secret(ours, method)
    own = {"got": 0}
    got, known, revoked, after, again = ask(
        ours,
        who,
        ("token", HANDS_IN),
        ("introspect", own),
        ("revoke", own),
        ("introspect", own),
        ("revoke", own),
    )
    assert (known["active"], known["client_id"], known["scope"]) == (True, SYSTEM, got["scope"])
    assert known["exp"] - known["iat"] == got["expires_in"]
    assert (revoked, after, again) == (None, {"active": False}, None)
    with httpx2.Client(base_url=ours.issuer, trust_env=False) as http:
        shown = {"Authorization": f"Bearer {got['access_token']}"}
        assert http.post("/records/hl7v2-referral", headers=shown, content=b"MSH").status_code == 401


def test_an_independent_client_learns_of_another_s_token_only_when_it_may_ask(ours: ServedNode) -> None:
    """A case system, a partner, and the agency's own gatekeeper, which is registered to ask about all."""
    case = own_system(ours, keys.generate())
    gate = own_system(ours, keys.generate(), "gatekeeper", introspects=True)
    (got,) = ask(ours, case, ("token", HANDS_IN))
    asked = [("introspect", got["access_token"]), ("revoke", got["access_token"])]
    assert ask(ours, partner(ours), *asked)[0] == {"active": False}
    known, kept = ask(ours, gate, *asked)
    assert (known["active"], known["client_id"]) == (True, SYSTEM)
    # To ask is not to take back: the token still is its client's.
    assert kept["error"] == "invalid_grant"
    assert ours.caller(got["access_token"]).client_id == SYSTEM
