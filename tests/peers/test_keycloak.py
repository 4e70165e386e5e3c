"""OAuth with Keycloak, both ways: it gives our client tokens, and it proves itself to our endpoints.

Needs Java 17 and Maven; see keycloak_server.py.

What Keycloak does as a client of ours is what it really has: it asks our introspection endpoint about a token
that somebody wants to exchange for one of its own, and it gets a token to sign in at a mail server. It never
asks for client credentials with a signed assertion; `openid-client` does that (test_oauth_peers.py).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, RSAKey
from keycloak_server import Keycloak, Realm, start
from served_node import ServedNode, serve_node

from gateway.calling.client import PeerClient, _Way
from gateway.calling.connection import Connection, assertion
from gateway.calling.transport import PeerRefused
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.signing import keys
from gateway.signing.operational import KeyRing

pytestmark = pytest.mark.slow

LOOPBACK = (ip_network("127.0.0.0/8"),)
CLIENT_ID = "https://directory.example.org/Organization/mill-street-clinic"
TASKS, PATIENTS = "system/Task.rus", "system/Patient.r"
CHECKER = ("checker", "a-secret-of-the-checker")


@pytest.fixture(scope="module")
def keycloak() -> Iterator[Keycloak]:
    with start() as running:
        yield running


# -- Keycloak as the server, our client ------------------------------------------------------------------


def clinic(attributes: dict[str, str], *scopes: str) -> dict[str, Any]:
    """A realm where our client is registered for `scopes`, and a resource server that asks about tokens."""
    registered = {
        "clientId": CLIENT_ID,
        "clientAuthenticatorType": "client-jwt",
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "attributes": {"access.token.lifespan": "300"} | attributes,
        "defaultClientScopes": [],
        "optionalClientScopes": list(scopes),
    }
    checker = {"clientId": CHECKER[0], "secret": CHECKER[1], "standardFlowEnabled": False}
    known = [
        {"name": name, "protocol": "openid-connect", "attributes": {"include.in.token.scope": "true"}}
        for name in (TASKS, PATIENTS)
    ]
    return {"clients": [registered, checker], "clientScopes": known}


def inline(key: ECKey | RSAKey) -> dict[str, str]:
    """How our public key is registered there: as a JWK Set, with the one algorithm that it may sign by."""
    return {"use.jwks.string": "true", "jwks.string": json.dumps({"keys": [public(key)]})} | signs_by(key)


def signs_by(key: ECKey | RSAKey) -> dict[str, str]:
    return {"token.endpoint.auth.signing.alg": "ES384" if isinstance(key, ECKey) else "RS384"}


def public(key: ECKey | RSAKey) -> dict[str, Any]:
    if isinstance(key, ECKey):
        return keys.public_jwk(key)
    return dict(key.as_dict(private=False, kid=key.thumbprint(), alg="RS384", use="sig"))


def connection(realm: Realm, key: ECKey | RSAKey) -> Connection:
    """How our client gets a token there."""
    signing: dict[str, Any] = {"ring": KeyRing.of(key)} if isinstance(key, ECKey) else {"key": key}
    return Connection("smart-backend", realm.token_endpoint, client_id=CLIENT_ID, **signing)


def fetch(realm: Realm, key: ECKey | RSAKey, scope: str) -> str:
    """The token that our client gets."""
    return token_by(connection(realm, key), scope)


def token_by(way: Connection, scope: str = TASKS) -> str:
    """The token that our client gets by this connection."""

    async def token() -> str:
        client = PeerClient(way.client_id, KeyRing.of(keys.generate()), networks=LOOPBACK)
        try:
            return (await client._fetch(_Way("", way, "", client._partners), scope, None)).value
        finally:
            await client.close()

    return asyncio.run(token())


@pytest.mark.parametrize("make", [keys.generate, lambda: RSAKey.generate_key(2048)], ids=["ES384", "RS384"])
def test_our_client_gets_a_token_that_keycloak_knows_again(keycloak: Keycloak, make: Any) -> None:
    key = make()
    with keycloak.realm(**clinic(inline(key), TASKS, PATIENTS)) as realm:
        said = realm.introspect(fetch(realm, key, f"{TASKS} {PATIENTS}"), CHECKER)
    assert (said["active"], said["client_id"]) == (True, CLIENT_ID)
    assert set(said["scope"].split()) == {TASKS, PATIENTS}
    assert said["exp"] - said["iat"] == 300


def test_keycloak_fetches_our_keys_from_where_we_publish_them(keycloak: Keycloak, tmp_path: Path) -> None:
    with serve_node(tmp_path) as ours:
        ring = ours.node.home.ring
        by_url = {"use.jwks.url": "true", "jwks.url": f"{ours.issuer}/.well-known/jwks.json"}
        with keycloak.realm(**clinic(by_url | signs_by(ring.signing), TASKS)) as realm:
            said = realm.introspect(fetch(realm, ring.signing, TASKS), CHECKER)
    assert (said["active"], said["scope"]) == (True, TASKS)


def test_keycloak_refuses_another_key_of_ours(keycloak: Keycloak) -> None:
    with (
        keycloak.realm(**clinic(inline(keys.generate()), TASKS)) as realm,
        pytest.raises(PeerRefused, match="invalid_client"),
    ):
        fetch(realm, keys.generate(), TASKS)


def test_keycloak_gives_no_more_than_is_registered(keycloak: Keycloak) -> None:
    key = keys.generate()
    with (
        keycloak.realm(**clinic(inline(key), TASKS)) as realm,
        pytest.raises(PeerRefused, match="invalid_scope"),
    ):
        fetch(realm, key, f"{TASKS} {PATIENTS}")


def test_our_assertion_is_good_once(keycloak: Keycloak) -> None:
    """It is Keycloak that refuses the second: each of our assertions can be told from every other."""
    key = keys.generate()
    with keycloak.realm(**clinic(inline(key), TASKS, PATIENTS)) as realm:
        form = {"grant_type": "client_credentials", "scope": TASKS, "client_assertion_type": ASSERTION_TYPE}
        one, other = (assertion(connection(realm, key)) for _ in range(2))
        first, again, fresh = (
            realm.ask_token(form | {"client_assertion": sent}) for sent in (one, one, other)
        )
    assert (first.status_code, fresh.status_code) == (200, 200)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_client")


# -- Keycloak as a client of our introspection endpoint --------------------------------------------------

GATEKEEPER = "hospital-gatekeeper"
HANDS_IN = "system/ServiceRequest.c"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
APP = ("case-app", "a-secret-of-the-app")
SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
BY_SECRET = {"method": "client_secret", "secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest()}
# Who it is, Keycloak asks last. A node has no such address: it gives tokens to systems, not to persons.
SOMEONE = {
    "/the-tests-own/user": {
        "sub": "gatekeeper",
        "preferred_username": "gatekeeper",
        "email": "desk@hospital.example",
    }
}


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[ServedNode]:
    with serve_node(tmp_path, SOMEONE) as served:
        yield served


def hospital(ours: ServedNode, method: str) -> dict[str, Any]:
    """A realm that takes our tokens in exchange for its own, once our node has said that they are good."""
    trusts_us = {
        "alias": "waymeet",
        "providerId": "oidc",
        "enabled": True,
        "config": {
            "issuer": ours.issuer,
            "authorizationUrl": f"{ours.issuer}/there-is-none",
            "tokenUrl": ours.token_endpoint,
            "tokenIntrospectionUrl": ours.introspection_endpoint,
            "userInfoUrl": f"{ours.issuer}/the-tests-own/user",
            "clientId": GATEKEEPER,
            "clientAuthMethod": method,
            "clientAssertionSigningAlg": "ES384",
            "clientSecret": SECRET,
            "syncMode": "IMPORT",
        },
    }
    ec = {"name": "ec", "providerId": "ecdsa-generated", "config": {"ecdsaEllipticCurveKey": ["P-384"]}}
    app = {"clientId": APP[0], "secret": APP[1], "standardFlowEnabled": False}
    return {
        "identityProviders": [trusts_us],
        "components": {"org.keycloak.keys.KeyProvider": [ec]},
        "clients": [app | {"attributes": {"standard.token.exchange.enabled": "true"}}],
    }


def by_realm(realm: Realm) -> dict[str, str]:
    """The gatekeeper's keys are those that the realm publishes."""
    return {"method": "private_key_jwt", "jwks_url": realm.certificates}


def exchange(realm: Realm, token: str) -> tuple[int, dict[str, Any]]:
    """What Keycloak gives for a token of ours."""
    form = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_issuer": "waymeet",
    }
    answer = realm.ask_token(form, APP)
    return answer.status_code, answer.json()


def own_token(ours: ServedNode) -> str:
    """A token that our node gives the gatekeeper itself, for a secret: Keycloak takes no other client's."""
    ours.register(GATEKEEPER, HANDS_IN, BY_SECRET)
    way = Connection("client-secret", ours.token_endpoint, client_id=GATEKEEPER, secret=lambda: SECRET)
    return token_by(way, HANDS_IN)


def test_keycloak_proves_itself_to_our_server_and_believes_its_word(
    keycloak: Keycloak, ours: ServedNode
) -> None:
    """Its assertion is signed with the realm's key; ours finds that key where the realm publishes it."""
    with keycloak.realm(**hospital(ours, "private_key_jwt")) as realm:
        token = own_token(ours)
        ours.register(GATEKEEPER, HANDS_IN, by_realm(realm))
        status, given = exchange(realm, token)
        said = ours.said[-1]
        assert (status, said["active"], said["client_id"]) == (200, True, GATEKEEPER)
        assert (said["scope"], said["iss"]) == (HANDS_IN, ours.issuer)
        # What it gives is its own, no more ours.
        assert given["access_token"] != token
        assert given["issued_token_type"].endswith(":access_token")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_keycloak_proves_itself_with_a_secret(keycloak: Keycloak, ours: ServedNode, method: str) -> None:
    with keycloak.realm(**hospital(ours, method)) as realm:
        status, _given = exchange(realm, own_token(ours))
        assert (status, [one["active"] for one in ours.said]) == (200, [True])


def test_keycloak_hears_that_a_token_was_taken_back(keycloak: Keycloak, ours: ServedNode) -> None:
    with keycloak.realm(**hospital(ours, "private_key_jwt")) as realm:
        token = own_token(ours)
        with httpx2.Client(trust_env=False, auth=(GATEKEEPER, SECRET)) as http:
            assert http.post(ours.revocation_endpoint, data={"token": token}).status_code == 200
        ours.register(GATEKEEPER, HANDS_IN, by_realm(realm))
        status, refused = exchange(realm, token)
        assert (status, refused["error_description"]) == (400, "Token not active")
        assert ours.said == [{"active": False}]


def test_keycloak_is_told_nothing_when_its_key_is_not_registered(
    keycloak: Keycloak, ours: ServedNode
) -> None:
    with keycloak.realm(**hospital(ours, "private_key_jwt")) as realm:
        token = own_token(ours)
        another = {"method": "private_key_jwt", "jwks": keys.public_jwks(keys.generate())}
        ours.register(GATEKEEPER, HANDS_IN, another)
        status, refused = exchange(realm, token)
        assert (status, refused["error"], ours.said) == (400, "invalid_request", [])


def test_keycloak_asks_for_nothing_when_its_client_was_suspended(
    keycloak: Keycloak, ours: ServedNode
) -> None:
    with keycloak.realm(**hospital(ours, "private_key_jwt")) as realm:
        token = own_token(ours)
        ours.register(GATEKEEPER, HANDS_IN, by_realm(realm))
        assert exchange(realm, token)[0] == 200
        ours.register(GATEKEEPER, HANDS_IN, by_realm(realm), status="suspended")
        assert exchange(realm, token)[0] == 400
        assert len(ours.said) == 1


# -- Keycloak as a client of our token endpoint ----------------------------------------------------------


class _MailServer(socketserver.StreamRequestHandler):
    """As much of a mail server as it takes to be shown a token (SMTP, AUTH XOAUTH2)."""

    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline().decode():
            word = line.split()[0].upper()
            if word == "EHLO":
                self._say("250-here")
                self._say("250 AUTH XOAUTH2")
            elif word == "AUTH":
                self.server.shown.append(base64.b64decode(line.split()[2]).decode())  # type: ignore[attr-defined]
                self._say("235 welcome")
            elif word == "DATA":
                self._say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 yes")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Its port, and what it was shown."""
    with socketserver.TCPServer(("127.0.0.1", 0), _MailServer) as server:
        server.shown = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], server.shown  # type: ignore[attr-defined]
        server.shutdown()


def mail(keycloak: Keycloak, ours: ServedNode, realm: Realm, port: int, secret: str) -> bool:
    """Whether Keycloak could send its test message, signed in with a token of ours."""
    (admin,) = keycloak.administer("GET", "/master/users?username=admin").json()
    keycloak.administer("PUT", f"/master/users/{admin['id']}", {"email": "admin@hospital.example"})
    settings = {
        "host": "127.0.0.1",
        "port": str(port),
        "from": "desk@hospital.example",
        "auth": "true",
        "authType": "token",
        "user": "desk",
        "authTokenUrl": ours.token_endpoint,
        "authTokenClientId": GATEKEEPER,
        "authTokenClientSecret": secret,
        "authTokenScope": HANDS_IN,
    }
    name = realm.issuer.rpartition("/")[2]
    return keycloak.try_to_administer("POST", f"/{name}/testSMTPConnection", settings).is_success


def test_keycloak_gets_a_token_for_its_secret(keycloak: Keycloak, ours: ServedNode) -> None:
    ours.register(GATEKEEPER, HANDS_IN, BY_SECRET)
    with keycloak.realm() as realm, mail_server() as (port, shown):
        assert not mail(keycloak, ours, realm, port, "another-secret")
        assert shown == []
        assert mail(keycloak, ours, realm, port, SECRET)
        caller = ours.caller(shown[0].partition("auth=Bearer ")[2].rstrip("\x01"))
        assert (caller.client_id, caller.scopes) == (GATEKEEPER, {HANDS_IN})
