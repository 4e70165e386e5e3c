"""What a node shows of its OAuth server at its addresses: discovery, keys, answers and refusals over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from two_worlds import KINDS, PANTRY, Source, Visitor, World, call

from gateway.node import PARTNER_SCOPES
from gateway.oauth import scopes

FORM = "application/x-www-form-urlencoded"
DISCOVERY = "/fhir/.well-known/smart-configuration"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    source = Source(tmp_path_factory.mktemp("hospital"), *KINDS["hospital"])
    yield source.world()
    source.close()


class Answer:
    """What comes back: status, headers by name, body."""

    def __init__(self, got: tuple[int, list[tuple[bytes, bytes]], bytes]) -> None:
        self.status, headers, self.body = got
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(world: World, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        sent |= {"content-length": str(len(body))}
    return Answer(asyncio.run(call(world.app, method, path, sent, body)))


def ask_token(world: World, scope: str, **claims: Any) -> Answer:
    form = Visitor(world, PANTRY).token_request(scope, **claims)
    return ask(world, "POST", "/oauth/token", form["raw"], content_type=FORM)


def document(world: World) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ask(world, "GET", DISCOVERY).json
    return found


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/fhir+xml", "", "*/*;q=0"])
def test_discovery_is_json_whatever_is_accepted(world: World, accept: str) -> None:
    answer = ask(world, "GET", DISCOVERY, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["capabilities"]


def test_discovery_lies_under_the_fhir_base(world: World) -> None:
    base = world.source.identity.fhir_base
    assert base + "/.well-known/smart-configuration" == world.source.identity.address + DISCOVERY
    assert ask(world, "GET", DISCOVERY).status == 200


def test_every_address_in_it_is_absolute_and_served(world: World) -> None:
    address = world.source.identity.address
    urls = {name: url for name, url in document(world).items() if name.endswith(("_endpoint", "_uri"))}
    assert set(urls) == {"token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"}
    for name, url in urls.items():
        assert url.startswith(f"{address}/"), name
        method = "GET" if name == "jwks_uri" else "POST"
        assert ask(world, method, url.removeprefix(address)).status in (200, 400), name


def test_every_scope_that_is_listed_is_granted(world: World) -> None:
    listed = document(world)["scopes_supported"]
    assert set(listed) == set(PARTNER_SCOPES)
    answer = ask_token(world, " ".join(listed))
    assert (answer.status, set(answer.json["scope"].split())) == (200, set(listed))
    assert all(scopes.parse(name).version == 2 for name in listed)


def test_the_published_keys_are_public_and_bare(world: World) -> None:
    answer = ask(world, "GET", "/.well-known/jwks.json")
    assert (answer.status, answer.headers["cache-control"]) == (200, "max-age=300")
    kids = [key["kid"] for key in answer.json["keys"]]
    assert len(kids) == len(set(kids)) > 0
    for key in answer.json["keys"]:
        assert (key["kty"], key["crv"]) == ("EC", "P-384")
        assert set(key) <= {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert all(isinstance(key[name], str) and key[name] for name in ("x", "y", "kid"))


def test_a_token_answer_is_json_and_is_not_kept(world: World) -> None:
    answer = ask_token(world, "system/Task.r")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.parametrize(
    ("scope", "claims", "error"),
    [
        ("system/Consent.d", {}, "invalid_scope"),
        ("system/Task.r", {"aud": "https://elsewhere.example"}, "invalid_client"),
        ("", {}, "invalid_request"),
    ],
)
def test_a_refusal_is_an_oauth_error_and_is_not_kept(
    world: World, scope: str, claims: dict[str, Any], error: str
) -> None:
    answer = ask_token(world, scope, **claims)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert set(answer.json) == {"error", "error_description"}
    assert answer.json["error"] == error


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
def test_who_tries_a_password_is_told_the_scheme(world: World, path: str) -> None:
    """RFC 6749 section 5.2: 401 and the scheme for who used the header."""
    form = urlencode({"grant_type": "client_credentials", "scope": "system/Task.r", "token": "t"}).encode()
    answer = ask(world, "POST", path, form, content_type=FORM, authorization="Basic bm9ib2R5OnBhc3N3b3Jk")
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_what_is_not_served_is_refused(world: World) -> None:
    token = ask_token(world, " ".join(PARTNER_SCOPES)).json["access_token"]
    for path in ("/fhir/Practitioner/1", "/fhir/Practitioner", "/fhir/Patient/1/$everything"):
        answer = ask(world, "GET", path, authorization=f"Bearer {token}")
        assert (answer.status, answer.json["resourceType"]) == (404, "OperationOutcome"), path
