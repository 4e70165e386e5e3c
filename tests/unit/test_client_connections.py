"""Partners and systems that want a token got in a way of their own, against real servers on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from client_world import (
    OUR_KEY,
    OURS,
    SCOPE,
    THEIRS,
    Handler,
    Headers,
    Peer,
    Place,
    Reply,
    Server,
    always,
    entry,
    reply,
    run,
    serving,
)
from joserfc import jws
from joserfc.jwk import RSAKey

from gateway.calling.client import Answer, PeerClient
from gateway.calling.connection import PROFILES, Connection, Profile, Proof
from gateway.calling.connection_files import public_jwks
from gateway.calling.transport import PeerFault, PeerForbidden, PeerRefused
from gateway.oauth.key_sources import KeySource
from gateway.signing.keys import KeysError
from gateway.signing.operational import KeyRing

SECRET = "k5+Zz/not:a=real%secret"
RING = KeyRing.of(OUR_KEY)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with serving() as one, serving() as other:
        yield one, other


class Login(Place):
    """An authorization server that is no node: it keeps what it is asked and issues numbered tokens."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 300}
        self.handlers["/token"] = self.token

    async def token(self, *_request: Any) -> Reply:
        return reply(200, {"access_token": f"token-{len(self.requests)}", **self.answer})

    def asked(self, number: int = -1) -> tuple[dict[str, str], Headers]:
        _method, _path, headers, body = self.seen("/token")[number]
        return dict(parse_qsl(body.decode(), keep_blank_values=True)), headers


@pytest.fixture
def login(servers: tuple[Server, Server]) -> Login:
    servers[0].place = Login(servers[0].address)
    return servers[0].place


@pytest.fixture
def hie(servers: tuple[Server, Server]) -> Place:
    """A health information exchange, whose FHIR server is not where its tokens come from."""
    servers[1].place = Place(servers[1].address)
    servers[1].place.handlers["/r4/Task/1"] = always(200, {"resourceType": "Task"})
    return servers[1].place


def with_secret(login: Place, **more: Any) -> Connection:
    """A connection of the profile client-secret to this login."""
    named = {"client_id": "waymeet-mill", "secret": lambda: SECRET} | more
    return Connection("client-secret", f"{login.address}/token", **named)


def read(hie: Place, connection: Connection, path: str = "/fhir/Task/1") -> Answer:
    connection = replace(connection, fhir_base=f"{hie.address}/r4")

    async def ask(client: PeerClient) -> Answer:
        return await client.request(entry("https://node.example.org"), "GET", path, scope=SCOPE)

    answer = run(ask, connections={THEIRS: connection})
    assert isinstance(answer, Answer)
    return answer


# -- a partner with a connection of its own ---------------------------------------------------------------


def test_a_secret_gets_a_token_that_goes_to_the_fhir_base_alone(login: Login, hie: Place) -> None:
    assert read(hie, with_secret(login)).status == 200
    form, headers = login.asked()
    assert form == {"grant_type": "client_credentials", "scope": SCOPE}
    name, password = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode().split(":")
    assert (name, password) == ("waymeet-mill", "k5%2BZz%2Fnot%3Aa%3Dreal%25secret")
    ((_method, _path, shown, _body),) = hie.requests
    assert shown["authorization"] == "Bearer token-1"
    assert [path for _m, path, _h, _b in login.requests] == ["/token"]


def test_a_client_id_with_colons_survives_the_header(login: Login, hie: Place) -> None:
    read(hie, with_secret(login, client_id=OURS))
    _form, headers = login.asked()
    pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    assert pair.split(":")[0] == "https%3A%2F%2Fdirectory.example.org%2FOrganization%2Fmill-street-clinic"


def test_a_secret_may_go_into_the_form(login: Login, hie: Place) -> None:
    read(hie, with_secret(login, secret_in="post"))
    form, headers = login.asked()
    assert form == {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_id": "waymeet-mill",
        "client_secret": SECRET,
    }
    assert "authorization" not in headers


def test_a_secret_is_read_anew_for_each_token(login: Login, hie: Place) -> None:
    given = iter(["first-secret", "second-secret"])
    connection = with_secret(login, secret=lambda: next(given), secret_in="post")
    read(hie, connection)
    read(hie, connection)
    assert [login.asked(number)[0]["client_secret"] for number in (0, 1)] == ["first-secret", "second-secret"]


def test_a_secret_that_cannot_be_read_any_more_is_said_without_it(login: Login, hie: Place) -> None:
    def gone() -> str:
        raise KeysError(f"/etc/waymeet/{SECRET}")

    with pytest.raises(PeerRefused, match="cannot read") as refused:
        read(hie, with_secret(login, secret=gone))
    assert SECRET not in str(refused.value)
    assert (login.requests, hie.requests) == ([], [])


def test_its_own_words_for_a_scope_are_asked_for_instead_of_ours(login: Login, hie: Place) -> None:
    login.answer["scope"] = "hie.write hie.read"
    assert read(hie, with_secret(login, scope="hie.read hie.write")).status == 200
    assert login.asked()[0]["scope"] == "hie.read hie.write"
    login.answer["scope"] = "hie.read"
    with pytest.raises(PeerRefused, match="granted less"):
        read(hie, with_secret(login, scope="hie.read hie.write"))


def test_a_server_that_is_no_smart_server_may_leave_out_scope_and_lifetime(login: Login, hie: Place) -> None:
    del login.answer["expires_in"]
    assert read(hie, with_secret(login)).status == 200
    smart = Connection("smart-backend", f"{login.address}/token", client_id="waymeet", ring=RING)
    with pytest.raises(PeerFault, match="expires_in"):
        read(hie, smart)
    login.answer["expires_in"] = 300
    with pytest.raises(PeerRefused, match="granted less"):
        read(hie, smart)


def test_an_ehr_that_wants_rs384_gets_it_under_the_name_it_gave_the_key(
    servers: tuple[Server, Server], hie: Place
) -> None:
    key = RSAKey.generate_key(2048)
    ehr = servers[0].place = Peer(servers[0].address)
    connection = Connection(
        "smart-backend",
        f"{ehr.address}/oauth/token",
        audience=ehr.address,
        client_id="app-7",
        key=key,
        kid="mill-2026",
        purposes=True,
    )
    ehr.ours = replace(
        ehr.ours, client_id="app-7", keys=KeySource(public_jwks(connection)), organization=None
    )
    assert read(hie, connection).status == 200
    found = jws.deserialize_compact(ehr.assertions[0], key, algorithms=["RS384"])
    assert found.headers() == {"alg": "RS384", "kid": "mill-2026", "typ": "JWT"}
    claims = json.loads(found.payload)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("app-7", "app-7", ehr.address)


def test_our_own_server_takes_a_secret_from_us_too(servers: tuple[Server, Server], hie: Place) -> None:
    node = servers[0].place = Peer(servers[0].address)
    digest = hashlib.sha256(SECRET.encode()).digest()
    node.ours = replace(node.ours, client_id="waymeet-mill", keys=None, secret=digest)
    assert read(hie, replace(with_secret(node), token_endpoint=f"{node.address}/oauth/token")).status == 200
    node.ours = replace(node.ours, secret=hashlib.sha256(b"another").digest())
    with pytest.raises(PeerRefused, match="invalid_client"):
        read(hie, replace(with_secret(node), token_endpoint=f"{node.address}/oauth/token"))


def test_without_a_profile_no_token_is_asked_for_and_none_is_sent(login: Login, hie: Place) -> None:
    async def ask(client: PeerClient) -> Answer:
        return await client.request(
            entry("https://node.example.org"),
            "GET",
            "/fhir/Task/1",
            scope=SCOPE,
            headers={"Authorization": "Bearer of somebody else"},
        )

    assert run(ask, connections={THEIRS: Connection("none", fhir_base=f"{hie.address}/r4/")}).status == 200
    ((_method, path, headers, _body),) = hie.requests
    assert path == "/r4/Task/1"
    assert "authorization" not in headers
    assert login.requests == []


def test_a_connection_may_leave_the_addresses_to_the_directory(servers: tuple[Server, Server]) -> None:
    peer = servers[0].place = Peer(servers[0].address)
    peer.ours = replace(peer.ours, client_id="mill-7")

    async def ask(client: PeerClient) -> Answer:
        return await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE, purpose="COC")

    connection = Connection("smart-backend", client_id="mill-7", ring=RING)
    assert run(ask, connections={THEIRS: connection}).status == 200
    claims = json.loads(jws.extract_compact(peer.assertions[0].encode()).payload)
    assert claims["aud"] == peer.entry.token_endpoint
    assert "extensions" not in claims


# -- the directory's word alone ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "configured",
    [
        pytest.param({}, id="nothing configured"),
        pytest.param(
            {THEIRS: Connection("smart-backend", client_id="mill-7", ring=RING)}, id="addresses left out"
        ),
    ],
)
def test_a_partner_cannot_name_the_token_server_of_somebody_else_and_be_shown_its_tokens(
    configured: dict[str, Connection], login: Login, hie: Place
) -> None:
    """The token server may be that of our own EHR, which knows us by the same name."""
    login.answer["scope"] = SCOPE
    address = "https://node.example.org"
    stated = {"fhir": f"{hie.address}/r4", "token": f"{login.address}/token"}
    with pytest.raises(PeerForbidden, match="state it in `connections`"):
        run(lambda client: task(client, address, stated), connections=configured)
    # The same, said with the address in place of `endpoints.token`.
    login.handlers["/oauth/token"] = login.token
    with pytest.raises(PeerForbidden, match="state it in `connections`"):
        run(lambda client: task(client, login.address, {"fhir": stated["fhir"]}), connections=configured)
    assert (login.requests, hie.requests) == ([], [])


def test_what_the_operator_has_written_down_may_lie_elsewhere(login: Login, hie: Place) -> None:
    login.answer["scope"] = SCOPE
    stated = {"fhir": f"{hie.address}/r4", "token": "https://login.example.org/token"}
    connection = Connection("smart-backend", f"{login.address}/token", client_id="mill-7", ring=RING)
    ask = run(
        lambda client: task(client, "https://node.example.org", stated), connections={THEIRS: connection}
    )
    assert ask.status == 200
    unasked = {THEIRS: Connection("none")}
    assert (
        run(lambda client: task(client, "https://node.example.org", stated), connections=unasked).status
        == 200
    )


async def task(client: PeerClient, address: str, stated: dict[str, str]) -> Answer:
    """Reads a Task of a partner whose directory entry says this."""
    found = replace(entry(address), endpoints=stated)
    return await client.request(found, "GET", "/fhir/Task/1", scope=SCOPE)


@pytest.mark.parametrize("path", ["/oauth/token", "/records", "/fhirs/Task/1", "/"])
def test_a_partner_elsewhere_is_called_under_its_fhir_base_only(path: str, login: Login, hie: Place) -> None:
    with pytest.raises(ValueError, match="FHIR base"):
        read(hie, with_secret(login), path)
    assert (login.requests, hie.requests) == ([], [])


def test_a_suspended_partner_is_not_called_by_its_connection_either(login: Login, hie: Place) -> None:
    suspended = replace(entry("https://node.example.org"), status="suspended")

    async def ask(client: PeerClient) -> Answer:
        return await client.request(suspended, "GET", "/fhir/Task/1", scope=SCOPE)

    with pytest.raises(PeerRefused, match="suspended"):
        run(ask, connections={THEIRS: with_secret(login, fhir_base=f"{hie.address}/r4")})
    assert (login.requests, hie.requests) == ([], [])


def test_a_token_that_the_partner_refuses_is_replaced_once(login: Login, hie: Place) -> None:
    hie.handlers["/r4/Task/1"] = first_time(401, then=200)
    assert read(hie, with_secret(login)).status == 200
    assert [one[2]["authorization"] for one in hie.requests] == ["Bearer token-1", "Bearer token-2"]
    hie.handlers["/r4/Task/1"] = always(401)
    with pytest.raises(PeerRefused, match="does not accept"):
        read(hie, with_secret(login))
    assert len(hie.requests) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_neither_a_token_nor_a_secret_follows_a_redirect(status: int, login: Login, hie: Place) -> None:
    hie.handlers["/r4/Task/1"] = always(status, Location=f"{login.address}/elsewhere")
    assert read(hie, with_secret(login)).status == status
    login.handlers["/token"] = always(status, Location=f"{hie.address}/elsewhere")
    with pytest.raises(PeerRefused, match=str(status)):
        read(hie, with_secret(login))
    assert login.seen("/elsewhere") == hie.seen("/elsewhere") == []


def test_a_new_profile_needs_a_line_in_the_registry_and_no_other_change(
    login: Login, hie: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(connection: Connection, purpose: str | None) -> Proof:
        return Proof(fields={"udap": "1", "who": connection.client_id, "why": purpose or ""})

    monkeypatch.setitem(PROFILES, "of-tomorrow", Profile(prove, lambda _connection: ""))
    assert read(hie, Connection("of-tomorrow", f"{login.address}/token", client_id="us")).status == 200
    assert login.asked()[0] == {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "udap": "1",
        "who": "us",
        "why": "",
    }


# -- the agency's own system with a connection -----------------------------------------------------------


def test_a_webhook_gets_a_token_of_its_own_connection(login: Login, hie: Place) -> None:
    hie.handlers["/hook"] = always(202)
    url = f"{hie.address}/hook"
    connection = with_secret(login)

    async def twice(client: PeerClient) -> list[int]:
        return [
            (await client.post_webhook(url, {"Idempotency-Key": "7"}, b"MSH", "POST", connection)).status
            for _ in "12"
        ]

    assert run(twice) == [202, 202]
    assert login.asked()[0] == {"grant_type": "client_credentials"}
    assert len(login.requests) == 1
    for _method, _path, headers, body in hie.seen("/hook"):
        assert (headers["authorization"], headers["idempotency-key"], body) == ("Bearer token-1", "7", b"MSH")


def test_a_token_for_one_webhook_is_never_shown_at_another(login: Login, hie: Place) -> None:
    connection = with_secret(login)
    login.handlers["/hook"] = hie.handlers["/hook"] = always(202)

    async def both(client: PeerClient) -> None:
        for place in (hie, login):
            await client.post_webhook(f"{place.address}/hook", {}, b"", "POST", connection)
        await client.post_webhook(f"{hie.address}/hook", {}, b"", "POST")

    run(both)
    first, plain = hie.seen("/hook")
    (second,) = login.seen("/hook")
    assert first[2]["authorization"] != second[2]["authorization"]
    assert "authorization" not in plain[2]


def test_a_webhook_token_that_is_refused_is_replaced_once(login: Login, hie: Place) -> None:
    hie.handlers["/hook"] = first_time(401, then=202)
    url = f"{hie.address}/hook"
    answer = run(lambda client: client.post_webhook(url, {}, b"MSH", "PATCH", with_secret(login)))
    assert answer.status == 202
    assert [one[0] for one in hie.seen("/hook")] == ["PATCH", "PATCH"]


def test_a_webhook_gets_no_token_in_the_clear(login: Login) -> None:
    url = "http://case-system.example.org/hook"
    with pytest.raises(PeerForbidden, match="https"):
        run(lambda client: client.post_webhook(url, {}, b"MSH", "POST", with_secret(login)))
    assert login.requests == []


def test_a_webhook_connection_says_where_its_tokens_come_from(hie: Place) -> None:
    connection = Connection("smart-backend", client_id="us", ring=RING)
    with pytest.raises(ValueError, match="token_endpoint"):
        run(lambda client: client.post_webhook(f"{hie.address}/hook", {}, b"", "POST", connection))


def first_time(status: int, then: int) -> Handler:
    """Answers `status` once, and `then` ever after."""
    answers = iter([status])

    async def handler(*_request: Any) -> Reply:
        return reply(next(answers, then), None)

    return handler
