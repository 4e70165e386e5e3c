"""Calls to a running node as anybody could make them: raw, with a token or assertion of one's own making."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, organization
from gateway.demo.network import Network
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.signing import keys

HOMES = {HOSPITAL: HOSPITAL, PANTRY: PANTRY, SHELTER: SHELTER, ALIAS: SHELTER}
OWN_SYSTEM = "own-system"
FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Who:
    """A client of a node: how it is registered there, and its key."""

    client_id: str
    key: ECKey


def partner(network: Network, name: str) -> Who:
    """A partner's node, by one of its names."""
    folder = network.agencies[HOMES[name]].folder
    return Who(organization(name), keys.load(folder / "keys" / f"{name}.pem"))


def own_system(network: Network, agency: str) -> Who:
    """The own system of an agency."""
    return Who(OWN_SYSTEM, keys.load(network.agencies[agency].folder / "keys" / f"{OWN_SYSTEM}.pem"))


@dataclass(frozen=True)
class Door:
    """One name of a node, seen from outside. address: where it is reached, and what it is called."""

    address: str

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """One request, as it is."""
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.request(method, self.address + path, headers=dict(headers or {}), content=content)

    def assertion(self, who: Who, **changes: Any) -> str:
        """A good client assertion for this node, but for the claims in `changes`."""
        now = int(time.time())
        claims = {
            "iss": who.client_id,
            "sub": who.client_id,
            "aud": f"{self.address}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        } | changes
        header = {"alg": "ES384", "kid": who.key.thumbprint(), "typ": "JWT"}
        return jws.serialize_compact(header, json.dumps(claims).encode(), who.key, algorithms=["ES384"])

    def ask_token(self, assertion: str, scope: str) -> httpx2.Response:
        """The token endpoint's answer to an assertion."""
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.post(f"{self.address}/oauth/token", data=form)

    def token(self, who: Who, scope: str) -> str:
        """An access token. Fails the test when there is none."""
        answer = self.ask_token(self.assertion(who), scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def get(self, path: str, token: str, **headers: str) -> httpx2.Response:
        """A FHIR read or search; headers by name with `_` for `-`."""
        return self.request("GET", f"/fhir/{path}", headers=_headers(token, headers))

    def put(self, path: str, token: str, resource: Any, **headers: str) -> httpx2.Response:
        """A FHIR update."""
        content = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
        sent = {"Content-Type": FHIR_JSON, **_headers(token, headers)}
        return self.request("PUT", f"/fhir/{path}", headers=sent, content=content)

    def post(self, path: str, token: str, resource: Any, **headers: str) -> httpx2.Response:
        """A POST at any path, JSON unless it is said otherwise."""
        content = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
        sent = {"Content-Type": FHIR_JSON, **_headers(token, headers)}
        return self.request("POST", path, headers=sent, content=content)


def door(network: Network, name: str) -> Door:
    """A node's own port under one of its names."""
    return Door(f"http://127.0.0.1:{network.ports[name]}")


def _headers(token: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
