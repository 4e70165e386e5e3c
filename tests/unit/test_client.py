"""The one HTTP client, against a real server on this machine that does what a bad or busy peer may do."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from client_world import OUR_KEY, OURS, SCOPE, THEIRS, Peer, Reply, Server, always, run, serving
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.calling.client import Answer, PeerClient
from gateway.calling.tokens import Token, Tokens
from gateway.calling.transport import PeerFault, PeerForbidden, PeerRefused, PeerUnavailable
from gateway.oauth.assertion import read_form
from gateway.oauth.key_sources import KeySource
from gateway.signing import keys
from gateway.signing.operational import KeyRing


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def peer(server: Server) -> Peer:
    server.place = Peer(server.address)
    return server.place


def read(peer: Peer, *, path: str = "/fhir/Task/1", scope: str = SCOPE, **options: Any) -> Answer:
    answer = run(lambda client: client.request(peer.entry, "GET", path, scope=scope), **options)
    assert isinstance(answer, Answer)
    return answer


# -- the way it should go -------------------------------------------------------------------------------


def test_a_request_carries_a_token_that_the_peer_issued(peer: Peer) -> None:
    answer = read(peer)
    assert (answer.status, json.loads(answer.body)["owner"]) == (200, OURS)
    assert answer.headers["content-type"] == "application/json"
    assert answer.retry_after is None


def test_headers_and_content_arrive_as_given_and_the_token_is_ours(peer: Peer) -> None:
    async def update(client: PeerClient) -> Answer:
        headers = {
            "If-Match": 'W/"3"',
            "Content-Type": "application/fhir+json",
            "authorization": "Bearer mine",
        }
        return await client.request(
            peer.entry, "PUT", "/fhir/Task/1", scope=SCOPE, headers=headers, content=b"{}"
        )

    assert run(update).status == 200
    method, _path, headers, body = peer.seen("/fhir/Task/1")[-1]
    assert (method, body, headers["if-match"]) == ("PUT", b"{}", 'W/"3"')
    assert headers["content-type"] == "application/fhir+json"
    assert headers["authorization"].startswith("Bearer ey")


def test_the_assertion_is_short_lived_and_for_this_peer_only(peer: Peer) -> None:
    read(peer)
    (assertion,) = peer.assertions
    found = jws.deserialize_compact(assertion, OUR_KEY, algorithms=["ES384"])
    assert found.headers() == {"alg": "ES384", "kid": OUR_KEY.thumbprint(), "typ": "JWT"}
    claims = json.loads(found.payload)
    assert claims["iss"] == claims["sub"] == OURS
    assert claims["aud"] == f"{peer.entry.address}/oauth/token"
    assert claims["exp"] - claims["iat"] == 60
    assert abs(claims["iat"] - time.time()) < 5


def test_concurrent_callers_fetch_one_token(peer: Peer) -> None:
    async def many(client: PeerClient) -> list[Answer]:
        calls = (client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE) for _ in range(20))
        return list(await asyncio.gather(*calls))

    assert {answer.status for answer in run(many)} == {200}
    assert len(peer.seen("/oauth/token")) == 1
    assert len(peer.seen("/fhir/Task/1")) == 20


def test_each_scope_and_each_address_has_a_token_of_its_own(peer: Peer) -> None:
    elsewhere = replace(peer.entry, address=peer.entry.address.replace("127.0.0.1", "localhost"))

    async def three(client: PeerClient) -> None:
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope="system/Patient.r")
        # The same organisation after a move: its old token must not be shown at the new address.
        with pytest.raises(PeerRefused):
            await client.request(elsewhere, "GET", "/fhir/Task/1", scope=SCOPE)

    run(three)
    assert len(peer.assertions) == 3
    assert len({headers["authorization"] for _m, _p, headers, _b in peer.seen("/fhir/Task/1")}) == 2


def test_no_jti_is_ever_used_twice(peer: Peer) -> None:
    async def many(client: PeerClient) -> None:
        for number in range(10):
            entry = replace(peer.entry, organization=f"{THEIRS}-{number}")
            await client.request(entry, "GET", "/fhir/Task/1", scope=SCOPE)

    run(many)
    run(many)
    assert len(peer.jtis) == len(set(peer.jtis)) == 20


def test_a_token_is_renewed_before_it_expires(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def over_time(client: PeerClient) -> None:
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        start = time.monotonic()
        for seconds, fetched in ((260, 1), (271, 2)):
            with monkeypatch.context() as clock:
                later = SimpleNamespace(monotonic=lambda then=start + seconds: then)
                clock.setattr("gateway.calling.tokens.time", later)
                await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
            assert len(peer.assertions) == fetched

    run(over_time)


# -- what for, and with which key ------------------------------------------------------------------------


def claims_of(assertion: str) -> dict[str, Any]:
    claims = json.loads(jws.extract_compact(assertion.encode()).payload)
    assert isinstance(claims, dict)
    return claims


def test_a_purpose_is_said_in_the_assertion_and_narrows_the_token(peer: Peer) -> None:
    async def for_one_purpose(client: PeerClient) -> Answer:
        return await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE, purpose="COC")

    assert json.loads(run(for_one_purpose).body)["purposes"] == ["COC"]
    (assertion,) = peer.assertions
    assert claims_of(assertion)["extensions"] == {
        "hl7-b2b": {"version": "1", "organization_id": OURS, "purpose_of_use": ["COC"]}
    }


def test_without_a_purpose_nothing_is_said_of_one(peer: Peer) -> None:
    assert json.loads(read(peer).body)["purposes"] == ["COC", "TREAT"]
    assert "extensions" not in claims_of(peer.assertions[0])


def test_each_purpose_has_a_token_of_its_own(peer: Peer) -> None:
    async def several(client: PeerClient) -> list[list[str]]:
        answers = [
            await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE, purpose=purpose)
            for purpose in ("COC", "TREAT", None, "COC", "TREAT", None)
        ]
        return [json.loads(answer.body)["purposes"] for answer in answers]

    assert run(several) == [["COC"], ["TREAT"], ["COC", "TREAT"]] * 2
    assert len(peer.assertions) == 3


def test_a_purpose_that_is_not_registered_there_gets_no_token(peer: Peer) -> None:
    async def marketing(client: PeerClient) -> Answer:
        return await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE, purpose="HMARKT")

    with pytest.raises(PeerRefused):
        run(marketing)
    assert peer.seen("/fhir/Task/1") == []


def test_a_server_that_is_no_node_is_not_told_the_purpose(peer: Peer) -> None:
    peer.handlers["/auth/token"] = collect = Collect()
    peer.handlers["/api/R4/Task/1"] = always(200)
    stated = {"token": f"{peer.address}/auth/token", "fhir": f"{peer.address}/api/R4"}
    found = replace(peer.entry, endpoints=stated)

    async def ask(client: PeerClient) -> Answer:
        return await client.request(found, "GET", "/fhir/Task/1", scope=SCOPE, purpose="COC")

    assert run(ask).status == 200
    assert "extensions" not in claims_of(collect.assertions[0])
    assert claims_of(collect.assertions[0])["aud"] == f"{peer.address}/auth/token"


class Collect:
    """A token endpoint that believes everything and keeps the assertions."""

    def __init__(self) -> None:
        self.assertions: list[str] = []

    async def __call__(self, _method: str, _path: str, headers: Any, body: bytes) -> Reply:
        self.assertions.append(dict(read_form(body, headers["content-type"]))["client_assertion"])
        return 200, {"Content-Type": "application/json"}, json.dumps(GOOD_ANSWER).encode()


def test_the_key_may_change_between_two_requests(peer: Peer) -> None:
    before, after = keys.generate(), keys.generate()
    both = {"keys": [*keys.public_jwks(before)["keys"], *keys.public_jwks(after)["keys"]]}
    peer.ours = replace(peer.ours, keys=KeySource(both))
    ring = Rolling(before)

    async def while_it_rolls(client: PeerClient) -> list[int]:
        calls = [client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE) for _ in range(5)]
        first = await asyncio.gather(*calls)
        ring.signing = after
        # What was issued to the old key still holds; the next token is asked for with the new one.
        held = await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        peer.restart()
        calls = [client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE) for _ in range(5)]
        return [answer.status for answer in (*first, held, *await asyncio.gather(*calls))]

    assert run(while_it_rolls, ring=ring) == [200] * 11
    kids = [jws.extract_compact(one.encode()).headers()["kid"] for one in peer.assertions]
    assert kids == [before.thumbprint(), after.thumbprint()]


class Rolling(KeyRing):
    """A ring whose key a test changes as a rotation does."""

    def __init__(self, key: ECKey) -> None:
        self._now = key

    @property
    def signing(self) -> ECKey:
        return self._now

    @signing.setter
    def signing(self, key: ECKey) -> None:
        self._now = key


def test_of_very_many_tokens_those_that_have_ended_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calling.tokens._MOST_HELD", 3)
    asked: list[str] = []

    async def token(name: str, seconds: float) -> Token:
        asked.append(name)
        return Token(name, time.monotonic() + seconds)

    async def hold_many() -> int:
        held = Tokens()
        for name, seconds in (("a", 300.0), ("b", -1.0), ("c", -1.0), ("d", 300.0)):
            await held.get((name,), lambda name=name, seconds=seconds: token(name, seconds))
        for name in "ad":
            assert (await held.get((name,), lambda name=name: token(name, 300.0))).value == name
        return len(held._held)

    assert asyncio.run(hold_many()) == 2
    assert asked == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("lives", "held"), [(300, 270), (100_000, 3_570), (40, 30), (1, 0.75)])
def test_how_long_a_token_is_held(lives: int, held: float, peer: Peer) -> None:
    peer.handlers["/oauth/token"] = always(200, GOOD_ANSWER | {"expires_in": lives})
    peer.handlers["/fhir/Task/1"] = always(200)

    async def get(client: PeerClient) -> float:
        before = time.monotonic()
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        (token,) = client._tokens._held.values()
        return token.renew_at - before

    # The time it took to ask is not the token's.
    assert held <= run(get) < held + 1


# -- tokens that are not what was asked for -------------------------------------------------------------


GOOD_ANSWER = {"access_token": "abc", "token_type": "Bearer", "expires_in": 300, "scope": SCOPE}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"scope": "system/Task.r"}, PeerRefused, id="less was granted"),
        pytest.param({"scope": ""}, PeerRefused, id="no scope"),
        pytest.param({"scope": "openid"}, PeerRefused, id="another scope"),
        pytest.param({"token_type": "DPoP"}, PeerFault, id="other token_type"),
        pytest.param({"expires_in": "300"}, PeerFault, id="expires_in a string"),
        pytest.param({"expires_in": 0}, PeerFault, id="already expired"),
        pytest.param({"expires_in": None}, PeerFault, id="no expires_in"),
        pytest.param({"access_token": "a b"}, PeerFault, id="a blank in the token"),
        pytest.param({"access_token": "a\r\nX: y"}, PeerFault, id="a line end in the token"),
        pytest.param({"access_token": ["abc"]}, PeerFault, id="no string"),
        pytest.param({"access_token": ""}, PeerFault, id="empty"),
        pytest.param({"expires_at": []}, PeerFault, id="what breaks the library"),
    ],
)
def test_a_token_answer_with_one_wrong_fact_is_not_used(
    change: dict[str, Any], error: type[Exception], peer: Peer
) -> None:
    peer.handlers["/oauth/token"] = always(200, GOOD_ANSWER | change)
    with pytest.raises(error):
        read(peer)
    assert peer.seen("/fhir/Task/1") == []


def test_scopes_granted_in_the_other_version_are_understood(peer: Peer) -> None:
    peer.handlers["/oauth/token"] = always(200, GOOD_ANSWER | {"scope": "system/Task.read"})
    peer.handlers["/fhir/Task/1"] = always(200)
    assert read(peer, scope="system/Task.rs").status == 200


def test_a_refused_token_names_the_code_and_repeats_nothing_else(peer: Peer) -> None:
    peer.handlers["/oauth/token"] = always(400, {"error": "invalid_client", "error_description": "Rosa M."})
    with pytest.raises(PeerRefused, match="invalid_client") as refused:
        read(peer)
    assert "Rosa" not in str(refused.value)
    peer.handlers["/oauth/token"] = always(400, {"error": "Rosa M."})
    with pytest.raises(PeerRefused, match="without a known code"):
        read(peer)


def test_a_failed_fetch_fails_all_who_waited_for_it_and_the_next_tries_again(peer: Peer) -> None:
    good = peer.handlers["/oauth/token"]
    peer.handlers["/oauth/token"] = always(400, {"error": "invalid_client"})

    async def twice(client: PeerClient) -> None:
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
        calls = (client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE) for _ in range(5))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {PeerRefused}
        assert len(peer.seen("/oauth/token")) == 1
        peer.handlers["/oauth/token"] = good
        assert (await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)).status == 200
        assert unhandled == []

    run(twice)


def test_one_caller_that_gives_up_does_not_take_the_token_from_the_others(peer: Peer) -> None:
    good = peer.handlers["/oauth/token"]

    async def slowly(*request: Any) -> Reply:
        await asyncio.sleep(0.2)
        return await good(*request)

    peer.handlers["/oauth/token"] = slowly

    async def one_gives_up(client: PeerClient) -> Answer:
        first, second = (
            asyncio.create_task(client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)) for _ in "12"
        )
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert run(one_gives_up).status == 200
    assert len(peer.assertions) == 1


def test_a_token_that_is_no_longer_accepted_is_replaced_once(peer: Peer) -> None:
    async def after_restart(client: PeerClient) -> tuple[Answer, Answer]:
        before = await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        peer.restart()
        return before, await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)

    assert [answer.status for answer in run(after_restart)] == [200, 200]
    assert len(peer.assertions) == 2


def test_many_whose_token_is_no_longer_accepted_fetch_one_new_one(peer: Peer) -> None:
    async def after_restart(client: PeerClient) -> list[Answer]:
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        peer.restart()
        calls = (client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE) for _ in range(10))
        return list(await asyncio.gather(*calls))

    assert {answer.status for answer in run(after_restart)} == {200}
    assert len(peer.assertions) == 2


def test_after_a_second_401_the_client_gives_up(peer: Peer) -> None:
    peer.handlers["/fhir/Task/1"] = always(401)
    with pytest.raises(PeerRefused, match="does not accept"):
        read(peer)
    assert (len(peer.assertions), len(peer.seen("/fhir/Task/1"))) == (2, 2)


def test_a_suspended_peer_is_not_called(peer: Peer) -> None:
    peer.entry = replace(peer.entry, status="suspended")
    with pytest.raises(PeerRefused, match="suspended"):
        read(peer)
    assert peer.requests == []


# -- what no peer can make it do ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_never_followed(status: int, peer: Peer) -> None:
    peer.handlers["/fhir/Task/1"] = always(status, Location=f"{peer.entry.address}/elsewhere")
    peer.handlers["/elsewhere"] = always(200)
    assert read(peer).status == status
    peer.handlers["/oauth/token"] = always(status, Location=f"{peer.entry.address}/elsewhere")
    with pytest.raises(PeerRefused, match=str(status)):
        read(peer)
    assert peer.seen("/elsewhere") == []


@pytest.mark.parametrize("path", ["/fhir/Task/1", "/oauth/token"])
def test_a_huge_body_is_refused(path: str, peer: Peer) -> None:
    peer.handlers[path] = always(200, "x" * 5000)
    with pytest.raises(PeerFault, match="more than 4000 bytes"):
        read(peer, max_body=4000)


def test_a_body_of_the_largest_size_is_read(peer: Peer) -> None:
    peer.handlers["/fhir/Task/1"] = always(200, "x" * 3998)
    assert len(read(peer, max_body=4000).body) == 4000


def test_a_compressed_body_is_refused(peer: Peer) -> None:
    async def bomb(*_request: Any) -> Reply:
        return 200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 1_000_000)

    peer.handlers["/fhir/Task/1"] = bomb
    with pytest.raises(PeerFault, match="compressed"):
        read(peer)


@pytest.mark.parametrize("path", ["/fhir/Task/1", "/oauth/token"])
def test_a_slow_peer_is_given_up(path: str, peer: Peer) -> None:
    async def never(*_request: Any) -> Reply:
        await asyncio.sleep(5)
        raise AssertionError("nobody waits for this")

    peer.handlers[path] = never
    start = time.monotonic()
    with pytest.raises(PeerUnavailable, match="in time"):
        read(peer, timeout=0.3)
    assert time.monotonic() - start < 3


def test_a_peer_that_drips_is_given_up_too() -> None:
    """Each byte comes in time, the whole answer never would."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            with pytest.raises(PeerUnavailable, match="in time"):
                run(lambda client: client.post_webhook(url, {}, b""), timeout=0.5)
        finally:
            stop.set()
            thread.join(5)


def test_a_peer_that_is_down_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = Peer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(PeerUnavailable, match="could not be reached") as unavailable:
        read(gone)
    assert unavailable.value.retry_after is None
    assert "127.0.0.1" not in str(unavailable.value)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_peer_says_when_to_come_back(status: int, peer: Peer) -> None:
    good = peer.handlers["/oauth/token"]
    peer.handlers["/oauth/token"] = always(status, Retry_After="7")
    with pytest.raises(PeerUnavailable, match=str(status)) as unavailable:
        read(peer)
    assert unavailable.value.retry_after == 7
    peer.handlers["/oauth/token"] = good
    peer.handlers["/fhir/Task/1"] = always(status, Retry_After="9")
    answer = read(peer)
    assert (answer.status, answer.retry_after) == (status, 9)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("99999999999999999999", 86_400),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_left_alone(value: str, seconds: float | None) -> None:
    assert Answer(503, {"retry-after": value}, b"").retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = Answer(503, {"retry-after": soon}, b"").retry_after
    assert found is not None
    assert 55 < found <= 60


def test_cookies_are_not_kept(peer: Peer) -> None:
    peer.handlers["/fhir/Task/1"] = always(200, Set_Cookie="who=clinic; Path=/")

    async def twice(client: PeerClient) -> None:
        for _attempt in range(2):
            await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)

    run(twice)
    assert len(peer.seen("/fhir/Task/1")) == 2
    assert all("cookie" not in headers for _m, _p, headers, _b in peer.requests)


def test_proxies_and_credentials_of_the_environment_are_not_used(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert read(peer).status == 200


def test_neither_addresses_nor_tokens_are_logged(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    assert read(peer).status == 200
    said = " ".join(record.getMessage() for record in caplog.records)
    assert peer.seen("/fhir/Task/1")
    for word in ("Task/1", "oauth/token", "Bearer", "authorization", peer.assertions[0]):
        assert word not in said


@pytest.mark.parametrize(
    "path",
    [
        "",
        "fhir/Task/1",
        "@evil.example.org/",
        "/a b",
        "/a\r\nb",
        "/a#b",
        "/a\\b",
        "/\u00e9",
        "/fhir/..",
        "/fhir/../oauth/token",
        "/fhir/Task/%2E%2e/%2e%2E/metadata",
        "/./fhir",
    ],
)
def test_a_path_that_is_none_is_refused_before_anything_is_sent(path: str, peer: Peer) -> None:
    with pytest.raises(ValueError, match="path"):
        read(peer, path=path)
    assert peer.requests == []


# -- the agency's own system ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["POST", "PATCH"])
def test_a_webhook_gets_the_content_and_no_token(way: Literal["POST", "PATCH"], peer: Peer) -> None:
    peer.handlers["/hook"] = always(202)

    async def hand_over(client: PeerClient) -> Answer:
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        return await client.post_webhook(
            f"{peer.entry.address}/hook", {"Content-Type": "application/hl7-v2"}, b"MSH", way
        )

    assert run(hand_over).status == 202
    method, _path, headers, body = peer.seen("/hook")[0]
    assert (method, body, headers["content-type"]) == (way, b"MSH", "application/hl7-v2")
    assert "authorization" not in headers


def test_a_webhook_redirect_is_not_followed(peer: Peer) -> None:
    peer.handlers["/hook"] = always(307, Location=f"{peer.entry.address}/elsewhere")
    peer.handlers["/elsewhere"] = always(200)
    answer = run(lambda client: client.post_webhook(f"{peer.entry.address}/hook", {}, b"MSH"))
    assert answer.status == 307
    assert peer.seen("/elsewhere") == []


# -- fetching what is public -----------------------------------------------------------------------------


def test_what_is_fetched_comes_without_a_token(peer: Peer) -> None:
    peer.handlers["/manifest.jws"] = always(200, "signed", ETag='"7"')

    async def after_a_token(client: PeerClient) -> Answer:
        await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)
        return await client.fetch(f"{peer.address}/manifest.jws", {"Accept": "application/jose"})

    answer = run(after_a_token)
    assert (answer.status, answer.headers["etag"], answer.body) == (200, '"7"', b'"signed"')
    ((method, _path, headers, body),) = peer.seen("/manifest.jws")
    assert (method, body, headers["accept"]) == ("GET", b"", "application/jose")
    assert "authorization" not in headers


def test_what_has_not_changed_is_answered_with_304(peer: Peer) -> None:
    async def unchanged(_method: str, _path: str, headers: Any, _body: bytes) -> Reply:
        return (304 if headers.get("if-none-match") == '"7"' else 200), {"ETag": '"7"'}, b""

    peer.handlers["/manifest.jws"] = unchanged
    url = f"{peer.address}/manifest.jws"
    assert run(lambda client: client.fetch(url, {"If-None-Match": '"7"'})).status == 304
    assert run(lambda client: client.fetch(url)).status == 200


def test_a_fetch_follows_no_redirect(peer: Peer) -> None:
    peer.handlers["/jwks.json"] = always(302, Location=f"{peer.address}/elsewhere")
    assert run(lambda client: client.fetch(f"{peer.address}/jwks.json")).status == 302
    assert peer.seen("/elsewhere") == []


def test_a_fetch_is_bounded_and_may_say_by_how_much(peer: Peer) -> None:
    peer.handlers["/shard"] = always(200, "x" * 5000)
    url = f"{peer.address}/shard"
    with pytest.raises(PeerFault, match="more than 4000 bytes"):
        run(lambda client: client.fetch(url), max_body=4000)
    with pytest.raises(PeerFault, match="more than 4999 bytes"):
        run(lambda client: client.fetch(url, most_bytes=4999))
    assert len(run(lambda client: client.fetch(url, most_bytes=5002), max_body=4000).body) == 5002


@pytest.mark.parametrize("configured", [False, True])
def test_nothing_is_fetched_in_the_clear_except_on_this_machine(configured: bool) -> None:
    with pytest.raises(PeerForbidden, match="https"):
        run(lambda client: client.fetch("http://keys.example.org/jwks.json", configured=configured))


def test_this_machine_must_be_in_networks_unless_the_operator_wrote_the_address(peer: Peer) -> None:
    peer.handlers["/jwks.json"] = always(200)
    url = f"{peer.address}/jwks.json"
    with pytest.raises(PeerForbidden, match="networks"):
        run(lambda client: client.fetch(url), networks=())
    assert peer.requests == []
    assert run(lambda client: client.fetch(url, configured=True), networks=()).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "ws://127.0.0.1/x",
        "//127.0.0.1/x",
        "jwks.json",
        "",
        "https://",
        "https://user:secret@127.0.0.1/x",
        "https://user@127.0.0.1/x",
        "https://127.0.0.1/x#part",
        "https://127.0.0.1/x#",
        "https://good.example\\@127.0.0.1/x",
        "https://127.0.0.1/a b",
        " https://127.0.0.1/x",
        "https://127.0.0.1/x\r\nHost: y",
    ],
)
def test_an_address_that_says_more_than_where_is_not_called(url: str) -> None:
    with pytest.raises(PeerForbidden) as refused:
        run(lambda client: client.fetch(url, configured=True))
    with pytest.raises(PeerForbidden):
        run(lambda client: client.post_webhook(url, {}, b""))
    assert "secret" not in str(refused.value)
