"""Addresses that arrive in what others send: a server waits at each of them, and nobody ever calls.

This machine may be called here, so that only what the code does keeps it from calling.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from client_world import (
    OUR_KEY,
    OURS,
    SCOPE,
    THEIRS,
    THIS_MACHINE,
    Peer,
    Server,
    always,
    now,
    run,
    serving,
)
from consent_world import POLICY
from consult_world import call
from joserfc import jws

from gateway import cds_hooks, notification, pull
from gateway.calling.client import Answer, PeerClient
from gateway.calling.connection import Connection, assertion
from gateway.errors import Refused
from gateway.oauth.assertion import ASSERTION_TYPE, GRANT_TYPE, TokenError
from gateway.oauth.authenticate import Registration, TokenServer
from gateway.oauth.key_sources import KeySource, KeySources, KeysUnavailable
from gateway.oauth.revoked import Revoked
from gateway.sending import Gone, Partner, Stopped
from gateway.signing import keys
from gateway.signing.operational import KeyRing
from mappings.readers.source import Source
from mappings.readers.xml_file import XmlReader
from mappings.record import RecordError
from profiles import validate


@dataclass
class Bait:
    """A listening socket, and how often somebody has connected to it."""

    listener: socket.socket
    calls: list[Any] = field(default_factory=list)

    @property
    def host(self) -> str:
        return "{}:{}".format(*self.listener.getsockname())

    def url(self, path: str = "x", scheme: str = "http") -> str:
        return f"{scheme}://{self.host}/{path}"

    def wait(self) -> None:
        while True:
            try:
                connection, address = self.listener.accept()
            except OSError:
                return
            self.calls.append(address)
            connection.close()


@pytest.fixture
def bait() -> Iterator[Bait]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Bait(listener)
        thread = threading.Thread(target=found.wait, daemon=True)
        thread.start()
        yield found
        # The backlog is in order: once this one has been counted, every earlier one was.
        with socket.create_connection(listener.getsockname()) as last:
            own = last.getsockname()
            last.recv(1)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        assert found.calls == [own], "somebody called an address that had arrived in a payload"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def peer(server: Server) -> Peer:
    server.place = Peer(server.address)
    return server.place


def ask(peer: Peer, path: str) -> Answer | Exception:
    async def send(client: PeerClient) -> Answer:
        return await client.request(peer.entry, "GET", path, scope=SCOPE)

    try:
        answer = run(send)
    except (ValueError, Stopped) as refused:
        return refused
    assert isinstance(answer, Answer)
    return answer


def test_the_bait_notices_who_calls(bait: Bait) -> None:
    socket.create_connection(bait.listener.getsockname()).close()
    deadline = threading.Event()
    while not bait.calls and not deadline.wait(0.01):
        pass
    assert len(bait.calls) == 1
    bait.calls.clear()


def test_an_endpoint_elsewhere_is_not_subscribed(bait: Bait, peer: Peer) -> None:
    for endpoint in (
        bait.url("n"),
        f"{peer.address}@{bait.host}/n",
        f"{peer.address}.{bait.host}/n",
        f"{peer.address}:80@{bait.host}/n",
        f"//{bait.host}/n",
        f"{peer.address}\\@{bait.host}/n",
    ):
        wanted = notification.subscription_request(endpoint, THEIRS)
        with pytest.raises(Refused):
            notification.wanted_endpoint(wanted, peer.address)


@pytest.mark.parametrize(
    "shape", ["//{}/n", "/\\{}/n", "/..//{}/n", "/@{}/n", "/n?to=http://{}/", "/n#//{}/"]
)
def test_what_follows_a_peers_address_stays_at_the_peer(shape: str, bait: Bait, peer: Peer) -> None:
    path = shape.format(bait.host)
    found = ask(peer, path)
    if isinstance(found, ValueError):
        assert peer.requests == []
    else:
        assert isinstance(found, Answer)
        assert found.status == 404
        assert [path for _method, path, _headers, _body in peer.requests if path != "/oauth/token"]


def test_a_next_link_is_not_followed(bait: Bait, peer: Peer) -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": bait.url("page2")}, {"relation": "self", "url": bait.url()}],
        "entry": [{"fullUrl": bait.url("Task/1"), "resource": person(), "search": {"mode": "match"}}],
    }
    peer.handlers["/fhir/Task"] = always(200, page)

    async def read(client: PeerClient) -> Any:
        return (await Partner(client, peer.entry).read("Task?status=requested", "Task.rus")).resource

    assert run(read)["link"] == page["link"]
    assert len(peer.seen("/fhir/Task")) == 1


@pytest.mark.parametrize(
    "shape", ["{0}", "Patient/{0}", "Patient/../../{0}", "//{1}/Patient/1", "Patient/1#{0}"]
)
def test_an_absolute_reference_is_not_called(shape: str, bait: Bait, peer: Peer) -> None:
    reference = shape.format(bait.url("Patient/1"), bait.host)

    async def read(client: PeerClient) -> Any:
        return await pull._read_all(Partner(client, peer.entry), [reference])

    with pytest.raises((Stopped, Gone, ValueError)):
        run(read)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_location_is_not_followed(status: int, bait: Bait, peer: Peer) -> None:
    to = bait.url("fhir/Task/1")
    peer.handlers["/fhir/Task/1"] = always(status, Location=to, Content_Location=to, Link=f"<{to}>; rel=next")
    found = ask(peer, "/fhir/Task/1")
    assert isinstance(found, Answer)
    assert found.status == status


def test_a_token_endpoint_that_a_peer_names_itself_is_not_used(bait: Bait, peer: Peer) -> None:
    document = {"token_endpoint": bait.url("token"), "jwks_uri": bait.url("jwks"), "issuer": bait.url("")}
    peer.handlers["/fhir/.well-known/smart-configuration"] = always(200, document)
    challenge = f'Bearer realm="x", authorization_uri="{bait.url("token")}"'
    peer.handlers["/fhir/Task/1"] = always(401, document, WWW_Authenticate=challenge)
    with pytest.raises(Exception, match="does not accept"):
        run(lambda client: client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE))
    assert peer.seen("/fhir/.well-known/smart-configuration") == []


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "iss", "consent_reference"])
def test_keys_and_consents_that_an_assertion_names_are_not_fetched(member: str, bait: Bait) -> None:
    """By the token endpoint, with the very client that fetches the keys of who has registered a URL."""
    key = keys.generate()
    endpoint = "https://node.example.org/oauth/token"
    good = assertion(Connection("smart-backend", endpoint, client_id=OURS, ring=KeyRing.of(key)))
    claims = json.loads(jws.extract_compact(good.encode()).payload)
    header: dict[str, Any] = {"alg": "ES384", "kid": key.thumbprint(), "typ": "JWT"}
    if member == "iss":
        claims |= {"iss": bait.url(), "sub": bait.url()}
    elif member == "consent_reference":
        business = {"version": "1", "organization_id": OURS, "purpose_of_use": ["COC"]}
        consents = {"consent_policy": [bait.url("policy")], "consent_reference": [bait.url("Consent/1")]}
        claims["extensions"] = {"hl7-b2b": business | consents}
    else:
        header[member] = {"kty": "EC", "x5u": bait.url()} if member == "jwk" else bait.url("jwks.json")
    registry = jws.JWSRegistry(algorithms=["ES384"], strict_check_header=False)
    signed = jws.serialize_compact(header, json.dumps(claims), key, registry=registry)
    form = [
        ("grant_type", GRANT_TYPE),
        ("scope", SCOPE),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", signed),
    ]

    async def present(client: PeerClient) -> Any:
        registered = Registration(OURS, KeySource(keys.public_jwks(OUR_KEY)), frozenset({SCOPE}))
        server = TokenServer(
            "https://node.example.org",
            KeyRing.of(keys.generate()),
            {OURS: registered}.get,
            lambda *_: True,
            KeySources(client.fetch, now, networks=THIS_MACHINE),
            Revoked(),
        )
        return await server.token(form, now())

    with pytest.raises(TokenError, match="invalid_client"):
        run(present)


def test_a_key_url_that_is_registered_leads_no_further(bait: Bait, peer: Peer) -> None:
    """It may redirect, or name other places in what it answers: only itself is asked."""
    source = KeySource(url=f"{peer.address}/jwks.json")

    async def find(client: PeerClient) -> Any:
        return await KeySources(client.fetch, now, networks=THIS_MACHINE).keys(source, "k", "EC")

    peer.handlers["/jwks.json"] = always(302, Location=bait.url("jwks.json"))
    with pytest.raises(KeysUnavailable):
        run(find)
    elsewhere = {"kty": "EC", "kid": "k", "x5u": bait.url("x5u"), "jku": bait.url("jku")}
    peer.handlers["/jwks.json"] = always(200, {"keys": [elsewhere], "jwks_uri": bait.url("more")})
    assert run(find) == []


def person() -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "name": [{"family": "Rivera"}]}


def test_no_address_in_a_resource_is_looked_up_to_validate_it(bait: Bait) -> None:
    url = bait.url("fhir/StructureDefinition/x")
    resource = {
        **person(),
        "meta": {"profile": [url], "source": url, "security": [{"system": url, "code": "R"}]},
        "implicitRules": url,
        "extension": [{"url": url, "valueUri": url}],
        "identifier": [{"system": url, "value": url}],
        "photo": [{"contentType": "image/png", "url": url}],
        "managingOrganization": {"reference": url},
        "generalPractitioner": [{"reference": f"{url}|1.0"}],
        "maritalStatus": {"coding": [{"system": url, "code": "M"}]},
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><img src="{url}"/><a href="{url}">x</a></div>',
        },
    }
    validate(deepcopy(resource))
    with pytest.raises(LookupError):
        validate(deepcopy(resource), url)
    consent = {
        "resourceType": "Consent",
        "policy": [{"uri": url, "authority": url}],
        "sourceAttachment": {"url": url},
    }
    validate(consent)


def test_the_fhir_server_in_a_call_of_a_hook_is_not_asked(bait: Bait) -> None:
    body = call() | {
        "fhirServer": bait.url("fhir"),
        "fhirAuthorization": {
            "access_token": "x",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.rs",
            "subject": "us",
        },
    }
    source = cds_hooks.Source("Node", "https://node.example.org")
    answer = cds_hooks.consult(json.dumps(body).encode(), datetime.now(UTC), POLICY, source)
    assert answer["cards"]


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE r SYSTEM "{0}"><r/>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "{0}">]><r>&x;</r>',
        '<!DOCTYPE r [<!ENTITY % x SYSTEM "{0}"> %x;]><r/>',
        '<r xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{0}" parse="text"/></r>',
        '<?xml-stylesheet href="{0}"?><r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="{0} {0}" xml:base="{0}"/>',
    ],
    ids=["DTD", "entity", "parameter entity", "XInclude", "schema"],
)
def test_no_address_in_xml_is_fetched_to_read_it(document: str, bait: Bait) -> None:
    source = Source.of_bytes(document.format(bait.url("evil.dtd")).encode())
    if "DOCTYPE" in document:
        with pytest.raises(RecordError):
            list(XmlReader().records(source))
    else:
        assert len(list(XmlReader().records(source))) == 1
