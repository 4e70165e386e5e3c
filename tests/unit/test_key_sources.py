"""Where a caller's public keys come from: how long they are believed, and when nobody is believed."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import warnings
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey
from pytest import param
from trust_world import Clock

from gateway.calling.client import Answer
from gateway.calling.transport import PeerUnavailable
from gateway.oauth import key_sources
from gateway.oauth.freshness import freshness
from gateway.oauth.key_sources import KeySource, KeySources, KeysUnavailable
from gateway.oauth.key_urls import fetchable
from gateway.oauth.public_keys import MAX_KEYS, KeySetError, decoded, fault, read_set, registration_fault
from gateway.signing import keys
from gateway.signing.operational_jwks import signed

URL = "https://ehr.example.org/jwks"
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
FIRST, SECOND = keys.generate(), keys.generate()
FEDERATION, OTHER = keys.generate(), keys.generate()
RSA = RSAKey.generate_key(2048)
RSA_JWK = dict(RSA.as_dict(private=False, kid="rsa-1", alg="RS384", use="sig"))
with warnings.catch_warnings(action="ignore"):
    SHORT_RSA = dict(RSAKey.generate_key(1024).as_dict(private=False, kid="rsa-short"))
EC_JWK = keys.public_jwk(FIRST)
ORIGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIVE_MINUTES = {"cache-control": "max-age=300"}


class Publisher:
    """A client's web server: what it answers, and what it was asked."""

    def __init__(self, *published: Mapping[str, Any], headers: Mapping[str, str] = FIVE_MINUTES) -> None:
        self.status = 200
        self.headers = dict(headers)
        self.fault: Exception | None = None
        self.asked: list[dict[str, str]] = []
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.publish(*published)

    def publish(self, *published: Mapping[str, Any]) -> None:
        self.body = json.dumps({"keys": published}).encode()

    async def fetch(self, _url: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append(dict(headers))
        self.reached.set()
        await self.open.wait()
        if self.fault:
            raise self.fault
        if self.headers.get("etag") and headers.get("If-None-Match") == self.headers["etag"]:
            return Answer(304, self.headers, b"")
        return Answer(self.status, self.headers, self.body)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes its time."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(key_sources.asyncio, "sleep", note)
    return pauses


class Asking:
    """Someone who asks one publisher for keys, on a clock that the test moves."""

    def __init__(self, publisher: Publisher, clock: Clock, source: KeySource | None = None) -> None:
        self.sources = KeySources(publisher.fetch, clock)
        self.publisher = publisher
        self.source = source or KeySource(url=URL)

    async def kids(self, kid: str = EC_JWK["kid"], kty: str = "EC") -> list[str]:
        return [key["kid"] for key in await self.sources.keys(self.source, kid, kty)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


pytestmark = pytest.mark.usefixtures("told")


# -- how long an answer is believed ---------------------------------------------------------------------

DAY = 86_400.0
_DATE = "Fri, 20 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        param({}, 60, id="nothing stated"),
        param({"cache-control": "max-age=300"}, 300, id="max-age"),
        param({"cache-control": "public, Max-Age=300"}, 300, id="among others, in any case"),
        param({"cache-control": 'max-age="300"'}, 300, id="quoted"),
        param({"cache-control": "max-age=300, max-age=20"}, 20, id="two: the shorter one"),
        param({"cache-control": "max-age=604800"}, DAY, id="a week is a day here"),
        param({"cache-control": "max-age=99999999999999999999"}, 0, id="too many digits"),
        param({"cache-control": "max-age=-1"}, 0, id="negative"),
        param({"cache-control": "max-age=soon"}, 0, id="no number"),
        param({"cache-control": "max-age"}, 0, id="no value"),
        param({"cache-control": "max-age=300; public"}, 0, id="not of its form"),
        param({"cache-control": "max-age=300, no-cache"}, 0, id="no-cache"),
        param({"cache-control": 'max-age=300, no-cache="set-cookie"'}, 0, id="no-cache for a field"),
        param({"cache-control": "no-store, max-age=300"}, 0, id="no-store"),
        param(
            {"cache-control": 'ext="no-store, max-age=1", max-age=300'},
            300,
            id="quoted words are no directives",
        ),
        param({"cache-control": 'ext="a'}, 0, id="a quotation without end"),
        param({"cache-control": "s-maxage=300"}, 60, id="s-maxage is for shared caches"),
        param({"cache-control": "max-age=300" + " " * 2_000}, 0, id="longer than anybody writes"),
        param({"cache-control": "max-age=300", "age": "100"}, 200, id="some of it has passed on the way"),
        param({"cache-control": "max-age=300", "age": "400"}, 0, id="all of it has passed on the way"),
        param({"cache-control": "max-age=300", "age": "old"}, 0, id="an age that cannot be read"),
        param({"cache-control": "max-age=300", "vary": "*"}, 0, id="varies with anything"),
        param({"cache-control": "max-age=300", "vary": "accept"}, 300, id="varies with what is always alike"),
        param({"expires": "Fri, 20 Nov 2026 12:02:00 GMT", "date": _DATE}, 120, id="expires"),
        param({"expires": "Fri, 20 Nov 2026 12:02:00 GMT"}, 120, id="expires, without its own date"),
        param({"expires": "0", "date": _DATE}, 0, id="expires that is no date"),
        param({"expires": "Fri, 20 Nov 2026 12:02:00 -0000", "date": _DATE}, 0, id="expires in no time zone"),
        param(
            {"cache-control": "max-age=30", "expires": "Fri, 20 Nov 2026 13:00:00 GMT", "date": _DATE},
            30,
            id="max-age goes before expires",
        ),
    ],
)
def test_how_long_an_answer_is_fresh(headers: dict[str, str], seconds: float) -> None:
    assert freshness(headers, ORIGIN, unstated=60, most=DAY).seconds == seconds


@pytest.mark.parametrize(
    "text", ["no-store", "NO-STORE", "max-age=5, no-store", 'no-store="x"', "max-age=300; no-store"]
)
def test_what_must_not_be_stored_is_not(text: str) -> None:
    assert not freshness({"cache-control": text}, ORIGIN).store


@given(st.dictionaries(st.sampled_from(["cache-control", "age", "expires", "date", "vary"]), st.text()))
def test_no_headers_keep_anything_for_longer_than_a_day(headers: dict[str, str]) -> None:
    assert 0 <= freshness(headers, ORIGIN, unstated=60, most=DAY).seconds <= DAY


# -- a key set is fetched and kept ----------------------------------------------------------------------


def test_keys_are_fetched_once_and_kept_as_long_as_their_owner_says(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        assert await ehr.kids() == [FIRST.thumbprint()]
        clock.forward(timedelta(seconds=299))
        assert await ehr.kids() == [FIRST.thumbprint()]
        assert len(ehr.publisher.asked) == 1
        clock.forward(timedelta(seconds=1))
        ehr.publisher.publish(keys.public_jwk(SECOND))
        assert await ehr.kids() == []
        assert len(ehr.publisher.asked) == 2

    run(story)


def test_only_the_public_half_and_what_it_is_for_goes_further(clock: Clock) -> None:
    async def story() -> None:
        published = {**EC_JWK, "x5c": ["MIIB"], "x5u": "https://elsewhere.example", "note": "hello"}
        found = await Asking(Publisher(published), clock).sources.keys(
            KeySource(url=URL), EC_JWK["kid"], "EC"
        )
        assert found == [EC_JWK]

    run(story)


def test_an_unchanged_set_is_not_sent_again(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, headers={"cache-control": "max-age=60", "etag": '"v1"'}), clock)
        await ehr.kids()
        clock.forward(timedelta(seconds=60))
        ehr.publisher.body = b"not sent"
        assert await ehr.kids() == [FIRST.thumbprint()]
        assert [asked.get("If-None-Match") for asked in ehr.publisher.asked] == [None, '"v1"']
        # The 304 is what says how long it is good from now on.
        ehr.publisher.headers["cache-control"] = "max-age=20"
        clock.forward(timedelta(seconds=60))
        await ehr.kids()
        clock.forward(timedelta(seconds=20))
        await ehr.kids()
        assert len(ehr.publisher.asked) == 4

    run(story)


def test_an_unchanged_set_is_as_old_as_the_304_says(clock: Clock) -> None:
    async def story() -> None:
        headers = {"cache-control": "max-age=60", "etag": '"v1"', "age": "50"}
        ehr = Asking(Publisher(EC_JWK, headers=headers), clock)
        await ehr.kids()
        clock.forward(timedelta(seconds=10))
        del ehr.publisher.headers["age"]
        await ehr.kids()
        clock.forward(timedelta(seconds=59))
        await ehr.kids()
        assert len(ehr.publisher.asked) == 2

    run(story)


def test_no_set_is_kept_for_longer_than_a_day(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, headers={"cache-control": "max-age=604800"}), clock)
        await ehr.kids()
        clock.forward(timedelta(hours=24))
        await ehr.kids()
        assert len(ehr.publisher.asked) == 2

    run(story)


def test_a_304_that_nobody_asked_for_brings_no_keys(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        ehr.publisher.status = 304
        with pytest.raises(KeysUnavailable):
            await ehr.kids()

    run(story)


@pytest.mark.parametrize(
    ("policy", "conditional"), [("no-store", None), ("no-cache", '"v1"'), ("max-age=0", '"v1"')]
)
def test_who_forbids_to_keep_its_keys_is_asked_each_time(
    clock: Clock, told: list[float], policy: str, conditional: str | None
) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, headers={"cache-control": policy, "etag": '"v1"'}), clock)
        assert await ehr.kids() == [FIRST.thumbprint()]
        assert await ehr.kids() == [FIRST.thumbprint()]
        assert [asked.get("If-None-Match") for asked in ehr.publisher.asked] == [None, conditional]
        # Not more than once a second, as whoever names this client can make us ask.
        assert told[0] <= 0 < told[1] <= 1

    run(story)


def test_caches_on_the_way_are_told_not_to_answer_for_it(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        await ehr.kids()
        assert ehr.publisher.asked[0]["Cache-Control"] == "no-cache"

    run(story)


def test_a_clock_that_is_set_back_makes_nothing_fresh(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        await ehr.kids()
        clock.forward(timedelta(days=-1))
        await ehr.kids()
        assert len(ehr.publisher.asked) == 2

    run(story)


# -- a name that is not known ---------------------------------------------------------------------------


def test_a_key_that_was_published_a_moment_ago_is_found(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        await ehr.kids()
        ehr.publisher.publish(EC_JWK, keys.public_jwk(SECOND))
        clock.forward(timedelta(seconds=10))
        assert await ehr.kids(SECOND.thumbprint()) == [SECOND.thumbprint()]

    run(story)


def test_names_that_nobody_published_make_us_ask_once_in_ten_seconds(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        for number in range(100):
            assert await ehr.kids(f"invented-{number}") == []
        assert len(ehr.publisher.asked) == 1
        clock.forward(timedelta(seconds=10))
        for number in range(100):
            assert await ehr.kids(f"invented-{number}") == []
        assert len(ehr.publisher.asked) == 2

    run(story)


def test_all_who_wait_for_one_set_share_one_request(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        ehr.publisher.open.clear()
        waiting = [asyncio.create_task(ehr.kids()) for _ in range(50)]
        await ehr.publisher.reached.wait()
        waiting[0].cancel()  # one who gives up takes nothing away from the others
        ehr.publisher.open.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [[FIRST.thumbprint()]] * 49
        assert len(ehr.publisher.asked) == 1

    run(story)


# -- when there is no set -------------------------------------------------------------------------------


def _answers(**changes: Any) -> Callable[[Publisher], None]:
    def change(publisher: Publisher) -> None:
        for name, value in changes.items():
            setattr(publisher, name, value)

    return change


FAILURES = [
    param(_answers(status=500), "it answered 500", id="a server error"),
    param(_answers(status=404), "it answered 404", id="nothing there"),
    param(_answers(status=302), "it answered 302", id="a redirect, which is not followed"),
    param(_answers(status=204), "it answered 204", id="no content"),
    param(_answers(fault=PeerUnavailable("could not be reached")), "could not be reached", id="not reached"),
    param(_answers(fault=TimeoutError()), "in time", id="too slow"),
    param(_answers(body=b"<html>"), "is not a JWK Set", id="not JSON"),
    param(_answers(body=b"[]"), "is not a JWK Set", id="not an object"),
    param(_answers(body=b'{"keys": {}}'), "is not a JWK Set", id="keys that are no list"),
    param(_answers(body=b'{"keys": ["a"]}'), "is not a JWK Set", id="a key that is no object"),
    param(_answers(body=b'{"keys": [' + b'{"a":' * 20_000), "65536 bytes", id="nested, and too long"),
    param(_answers(body=b'{"keys": [' + b'{"a":' * 10_000), "is not a JWK Set", id="nested too deeply"),
    param(_answers(body=b'{"keys": [], "x": "' + b"x" * 65_536 + b'"}'), "65536 bytes", id="too long"),
    param(
        _answers(body=json.dumps({"keys": [EC_JWK] * (MAX_KEYS + 1)}).encode()), "64 keys", id="too many keys"
    ),
    param(_answers(body=b'{"keys": "\xff"}'), "is not a JWK Set", id="not UTF-8"),
]


@pytest.mark.parametrize(("change", "reason"), FAILURES)
def test_keys_that_are_no_longer_fresh_are_never_used(
    clock: Clock, caplog: pytest.LogCaptureFixture, change: Callable[[Publisher], None], reason: str
) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        await ehr.kids()
        change(ehr.publisher)
        clock.forward(timedelta(seconds=299))
        assert await ehr.kids() == [FIRST.thumbprint()]
        clock.forward(timedelta(seconds=1))
        with pytest.raises(KeysUnavailable) as unavailable:
            await ehr.kids()
        assert unavailable.value.retry_after == 5
        assert URL not in f"{unavailable.value}{caplog.text}"
        assert reason in caplog.text

    run(story)


def test_who_does_not_answer_is_left_alone_for_a_while_and_longer_each_time(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        ehr.publisher.status = 503
        rests = []
        for asked in range(1, 7):
            with pytest.raises(KeysUnavailable) as unavailable:
                await ehr.kids()
            rests.append(unavailable.value.retry_after)
            with pytest.raises(KeysUnavailable):
                await ehr.kids()
            assert len(ehr.publisher.asked) == asked
            clock.forward(timedelta(seconds=rests[-1]))
        assert rests == [5, 10, 20, 40, 60, 60]
        ehr.publisher.status = 200
        assert await ehr.kids() == [FIRST.thumbprint()]
        ehr.publisher.status = 503
        clock.forward(timedelta(seconds=300))
        with pytest.raises(KeysUnavailable) as unavailable:
            await ehr.kids()
        assert unavailable.value.retry_after == 5  # what was is forgotten

    run(story)


def test_the_rest_is_over_when_a_clock_was_set_back(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, headers={"cache-control": "max-age=86400"}), clock)
        await ehr.kids()
        clock.forward(timedelta(hours=2))
        ehr.publisher.status = 503
        with pytest.raises(KeysUnavailable):
            await ehr.kids(SECOND.thumbprint())
        ehr.publisher.status = 200
        clock.forward(timedelta(hours=-1))
        assert await ehr.kids(SECOND.thumbprint()) == []
        assert len(ehr.publisher.asked) == 3

    run(story)


def test_a_failure_that_nobody_waits_for_any_more_is_no_fault_of_the_process(clock: Clock) -> None:
    async def story() -> None:
        unhandled: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
        ehr = Asking(Publisher(EC_JWK), clock)
        ehr.publisher.status = 500
        ehr.publisher.open.clear()
        waiting = asyncio.create_task(ehr.kids())
        await ehr.publisher.reached.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        ehr.publisher.open.set()
        (asking,) = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([asking])
        del asking
        gc.collect()
        assert unhandled == []

    run(story)


@pytest.mark.parametrize(("said", "rest"), [("30", 30), ("1", 5), ("86400", 60), ("soon", 5)])
def test_how_long_it_asks_to_be_left_alone(clock: Clock, said: str, rest: int) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, headers={"retry-after": said}), clock)
        ehr.publisher.status = 429
        with pytest.raises(KeysUnavailable) as unavailable:
            await ehr.kids()
        assert unavailable.value.retry_after == rest

    run(story)


def test_a_new_key_is_waited_for_while_its_owner_does_not_answer(clock: Clock) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        await ehr.kids()
        ehr.publisher.status = 500
        clock.forward(timedelta(seconds=10))
        for _ in range(2):  # not "unknown key": that cannot be said as long as nobody could be asked
            with pytest.raises(KeysUnavailable):
                await ehr.kids(SECOND.thumbprint())
        assert len(ehr.publisher.asked) == 2
        assert await ehr.kids() == [FIRST.thumbprint()]

    run(story)


def test_what_is_wrong_is_logged_when_it_begins(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK, {**RSA_JWK, "d": "secret-part"}), clock)
        for _ in range(3):
            await ehr.kids()
            clock.forward(timedelta(seconds=300))

    with caplog.at_level(logging.WARNING, "waymeet.keys"):
        run(story)
    assert [record.getMessage() for record in caplog.records] == [
        "the keys that a client publishes at ehr.example.org: a key holds private members"
    ]


# -- keys that are not fit ------------------------------------------------------------------------------

UNFIT = [
    param({**EC_JWK, "d": "x"}, "private members", id="with its private half"),
    param({**RSA_JWK, "p": "x"}, "private members", id="with a factor"),
    param({**EC_JWK, "use": "enc"}, "(use)", id="for encrypting"),
    param({**EC_JWK, "use": None}, "(use)", id="for nothing"),
    param({**EC_JWK, "key_ops": ["sign"]}, "(key_ops)", id="for signing alone"),
    param({**EC_JWK, "key_ops": "verify"}, "(key_ops)", id="operations that are no list"),
    param({**EC_JWK, "alg": "ES256"}, "(alg)", id="for another algorithm"),
    param({**RSA_JWK, "alg": "RS256"}, "(alg)", id="for a shorter hash"),
    param({**EC_JWK, "crv": "P-256"}, "P-384", id="on another curve"),
    param({**EC_JWK, "x": EC_JWK["x"][:-1]}, "x is missing", id="a coordinate that is too short"),
    param({**EC_JWK, "y": 5}, "y is missing", id="a coordinate that is a number"),
    param({**EC_JWK, "x": "\u00e9" * 64}, "x is missing", id="a coordinate that is not base64url"),
    param({**RSA_JWK, "n": "A" * 1_367}, "n is missing", id="a modulus that takes seconds"),
    param({**RSA_JWK, "e": "A" * 12}, "e is missing", id="an exponent that takes seconds"),
    param({"kty": "RSA", "kid": "rsa-1"}, "n is missing", id="without numbers"),
    param({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, "private members", id="a shared secret"),
    param({"kty": "oct", "kid": "a"}, "neither EC nor RSA", id="another type"),
    param({"kty": ["EC"], "kid": "a"}, "neither EC nor RSA", id="a type that is a list"),
    param({"kid": "a"}, "neither EC nor RSA", id="without a type"),
]


@pytest.mark.parametrize("jwk", [EC_JWK, RSA_JWK, {**EC_JWK, "key_ops": ["verify"]}])
def test_a_good_key_is_fit(jwk: dict[str, Any]) -> None:
    assert fault(jwk) == registration_fault(jwk) == ""


@pytest.mark.parametrize(("jwk", "reason"), UNFIT)
def test_an_unfit_key_is_not_used(clock: Clock, jwk: dict[str, Any], reason: str) -> None:
    assert reason in fault(jwk)

    async def story() -> None:
        kty = jwk.get("kty") if isinstance(jwk.get("kty"), str) else "EC"
        published, inline = KeySource(url=URL), KeySource({"keys": [jwk]})
        for source in (published, inline):
            ehr = Asking(Publisher(jwk), clock, source)
            assert await ehr.kids(str(jwk["kid"]), str(kty)) == []

    run(story)


@pytest.mark.parametrize(
    ("jwk", "reason"),
    [
        *UNFIT,
        param({name: EC_JWK[name] for name in EC_JWK if name != "kid"}, "no kid", id="without a name"),
        param({**EC_JWK, "kid": "k" * 256}, "no kid", id="with a name that is too long"),
        param({**EC_JWK, "x": EC_JWK["y"]}, "not those of a public key", id="not on the curve"),
        param({**RSA_JWK, "e": "AA"}, "not those of a public key", id="an exponent of zero"),
        param(SHORT_RSA, "2048 bits", id="too short"),
    ],
)
def test_what_is_registered_is_looked_at_more_closely(jwk: dict[str, Any], reason: str) -> None:
    assert reason in registration_fault(jwk)


def test_two_keys_of_one_name_are_both_named_and_a_third_of_another_type_is_another(clock: Clock) -> None:
    async def story() -> None:
        twin = {**keys.public_jwk(SECOND), "kid": EC_JWK["kid"]}
        ehr = Asking(Publisher(EC_JWK, twin, {**RSA_JWK, "kid": EC_JWK["kid"]}), clock)
        assert len(await ehr.kids()) == 2
        assert len(await ehr.kids(kty="RSA")) == 1

    run(story)


def test_an_unfit_twin_does_not_make_the_other_the_only_one(clock: Clock) -> None:
    async def story() -> None:
        twin = {**keys.public_jwk(SECOND), "kid": EC_JWK["kid"], "use": "enc"}
        assert await Asking(Publisher(EC_JWK, twin), clock).kids() == []

    run(story)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text(), st.lists)))
def test_no_text_is_taken_for_a_key(jwk: dict[str, Any]) -> None:
    jwk = {**jwk, "kid": "a", "kty": "EC"}
    assert read_set({"keys": [jwk]}).named("a", "EC") == []


@given(st.binary())
def test_no_bytes_are_taken_for_a_set(body: bytes) -> None:
    with pytest.raises(KeySetError):
        decoded(body)


# -- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/jwks",
        "https://ehr.example.org:8443/jwks?tenant=3",
        "https://10.2.0.7/jwks",
        "http://127.0.0.1:8460/jwks",
        "http://[::1]:8460/jwks",
        "http://localhost:8460/jwks",
        "http://10.2.0.7/jwks",
    ],
)
def test_addresses_that_keys_may_be_fetched_from(url: str) -> None:
    assert fetchable(url, [ip_network("10.2.0.0/16")])


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example.org/jwks",
        "http://10.3.0.7/jwks",
        "http://127.0.0.1.example.org/jwks",
        "http://localhost.example.org/jwks",
        "HTTPS:/ehr.example.org/jwks",
        "https:///jwks",
        "https://user@ehr.example.org/jwks",
        "https://user:word@ehr.example.org/jwks",
        "https://@ehr.example.org/jwks",
        "https://ehr.example.org/jwks#key",
        "https://ehr.example.org/jwks#",
        "https://ehr.example.org\\@elsewhere.example/jwks",
        "https://ehr.example.org/ jwks",
        "https://ehr.example.org/jwks\n",
        "https://ehr.example.org:99999/jwks",
        "https://[::1/jwks",
        "https://\u00e9hr.example.org/jwks",
        "https://ehr.example.org/" + "x" * 2_048,
        "ftp://ehr.example.org/jwks",
        "file:///etc/jwks",
        "ehr.example.org/jwks",
        "",
    ],
)
def test_addresses_that_are_never_asked(clock: Clock, url: str) -> None:
    assert not fetchable(url, [ip_network("10.2.0.0/16")])

    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock, KeySource(url=url))
        with pytest.raises(KeysUnavailable):
            await ehr.kids()
        assert ehr.publisher.asked == []

    run(story)


def test_the_address_that_was_asked_longest_ago_is_let_go_of(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sources, "MAX_URLS", 2)

    async def story() -> None:
        ehr = Asking(Publisher(EC_JWK), clock)
        for host in ("a", "b", "a", "c", "a", "b"):
            ehr.source = KeySource(url=f"https://{host}.example.org/jwks")
            assert await ehr.kids() == [FIRST.thumbprint()]
        # b was the one that made room for c, and c for b.
        assert len(ehr.publisher.asked) == 4

    run(story)


# -- a partner's signed set -----------------------------------------------------------------------------


def _signed(
    clock: Clock, *published: ECKey, by: ECKey = FEDERATION, of: str = PANTRY, hours: int = 48
) -> bytes:
    return signed(published, by, of, clock(), timedelta(hours=hours))


def _partner(*directory_keys: ECKey) -> KeySource:
    return KeySource(keys.public_jwks(*directory_keys), f"{URL}.jws", PANTRY)


def _published(clock: Clock, body: bytes, **headers: str) -> Asking:
    pantry = Asking(Publisher(headers={**FIVE_MINUTES, **headers}), clock, _partner(FEDERATION))
    pantry.publisher.body = body
    return pantry


def test_what_the_directory_key_has_signed_adds_to_the_directory(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(clock, _signed(clock, FIRST, SECOND))
        assert await pantry.kids(FEDERATION.thumbprint()) == [FEDERATION.thumbprint()]
        assert pantry.publisher.asked == []  # nobody need be asked for what the directory says
        assert await pantry.kids() == [FIRST.thumbprint()]
        assert await pantry.kids(SECOND.thumbprint()) == [SECOND.thumbprint()]
        assert len(pantry.publisher.asked) == 1

    run(story)


@pytest.mark.parametrize(
    "change",
    [
        param(lambda clock: _signed(clock, FIRST, by=OTHER), id="signed by another"),
        param(lambda clock: _signed(clock, FIRST, of=f"{PANTRY}-2"), id="of another organization"),
        param(lambda clock: _signed(clock, FIRST, hours=-1), id="over"),
        param(lambda clock: json.dumps({"keys": [EC_JWK]}).encode(), id="not signed"),
        param(lambda clock: _signed(clock, FIRST)[:-4] + b"AAAA", id="changed"),
    ],
)
def test_a_set_that_is_not_the_partners_word_adds_nothing(
    clock: Clock, change: Callable[[Clock], bytes]
) -> None:
    async def story() -> None:
        pantry = _published(clock, change(clock))
        with pytest.raises(KeysUnavailable):
            await pantry.kids()
        assert await pantry.kids(FEDERATION.thumbprint()) == [FEDERATION.thumbprint()]

    run(story)


def test_a_signed_set_is_not_used_beyond_its_own_end(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(
            clock, _signed(clock, FIRST, hours=1), **{"cache-control": "max-age=86400", "etag": '"1"'}
        )
        await pantry.kids()
        clock.forward(timedelta(hours=1))
        with pytest.raises(KeysUnavailable):  # it is said to be unchanged, and so it is over
            await pantry.kids()
        pantry.publisher.body = _signed(clock, FIRST)
        clock.forward(timedelta(seconds=5))
        assert await pantry.kids() == [FIRST.thumbprint()]
        assert [asked.get("If-None-Match") for asked in pantry.publisher.asked] == [None, '"1"', None]

    run(story)


def test_an_older_signed_set_than_was_there_before_is_not_taken(clock: Clock) -> None:
    """Whoever answers in the partner's place shows a set that still holds a key which was taken back."""

    async def story() -> None:
        replayed = _signed(clock, FIRST, SECOND)
        clock.forward(timedelta(hours=1))
        pantry = _published(clock, _signed(clock, SECOND))
        assert await pantry.kids(SECOND.thumbprint()) == [SECOND.thumbprint()]
        pantry.publisher.body = replayed
        clock.forward(timedelta(hours=1))
        for key in (FIRST, SECOND):
            with pytest.raises(KeysUnavailable):
                await pantry.kids(key.thumbprint())
        pantry.publisher.body = _signed(clock, SECOND)
        clock.forward(timedelta(minutes=1))
        assert await pantry.kids(SECOND.thumbprint()) == [SECOND.thumbprint()]

    run(story)


def test_what_a_withdrawn_directory_key_has_signed_is_worth_nothing_at_once(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(clock, _signed(clock, FIRST))
        await pantry.kids()
        pantry.source = _partner(OTHER)
        with pytest.raises(KeysUnavailable):
            await pantry.kids()
        pantry.publisher.body = _signed(clock, FIRST, by=OTHER)
        clock.forward(timedelta(seconds=5))
        assert await pantry.kids() == [FIRST.thumbprint()]

    run(story)


def test_a_directory_that_says_the_same_anew_costs_no_request(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(clock, _signed(clock, FIRST))
        await pantry.kids()
        pantry.source = _partner(FEDERATION, OTHER)
        assert await pantry.kids() == [FIRST.thumbprint()]
        assert len(pantry.publisher.asked) == 1

    run(story)


def test_a_directory_that_changes_while_its_partner_is_asked_is_what_counts(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(clock, _signed(clock, FIRST))
        pantry.publisher.open.clear()
        before = asyncio.create_task(pantry.kids())
        await pantry.publisher.reached.wait()
        pantry.source = _partner(OTHER)
        after = asyncio.create_task(pantry.kids())
        await asyncio.sleep(0)
        pantry.publisher.open.set()
        assert await before == [FIRST.thumbprint()]
        with pytest.raises(KeysUnavailable):
            await after

    run(story)


def test_two_partners_never_share_a_set(clock: Clock) -> None:
    async def story() -> None:
        pantry = _published(clock, _signed(clock, FIRST))
        await pantry.kids()
        pantry.source = KeySource(keys.public_jwks(FEDERATION), f"{URL}.jws", f"{PANTRY}-2")
        with pytest.raises(KeysUnavailable):
            await pantry.kids()

    run(story)
