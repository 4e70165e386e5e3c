"""One caller asks for too much: too often, or too many things at once. Others are not held up by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from hospital_world import make_hospital

from gateway.app import create_app
from gateway.calling.connection import Connection, assertion
from gateway.initialise import CLIENT
from gateway.node import Node
from gateway.oauth.assertion import ASSERTION_TYPE, GRANT_TYPE
from gateway.oauth.registered import write
from gateway.settings import Limits
from gateway.signing import keys
from gateway.signing.operational import KeyRing

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Node]:
    node = make_hospital(tmp_path)
    yield node
    node.close()


def limited(node: Node, **limits: int) -> httpx2.AsyncClient:
    """The node's own name behind its door, with these limits for each caller."""
    node.settings = replace(node.settings, limits=replace(Limits(), **limits))
    app = create_app(node, node.home)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=node.home.address)


async def token(http: httpx2.AsyncClient, node: Node, client_id: str, key_file: Path) -> dict[str, str]:
    proof = Connection(
        "smart-backend",
        f"{node.home.address}/oauth/token",
        client_id=client_id,
        ring=KeyRing.of(keys.load(key_file)),
    )
    form = {
        "grant_type": GRANT_TYPE,
        "scope": "system/ServiceRequest.c system/Task.u",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(proof),
    }
    answer = await http.post("/oauth/token", content=urlencode(form), headers=FORM)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def own_key(node: Node) -> Path:
    return node.settings.path.parent / "keys" / f"{CLIENT}.pem"


def test_more_at_once_than_a_caller_may_is_refused_until_something_is_done(hospital: Node) -> None:
    """Its first record is still coming when it sends the second; another system is not held up."""

    async def story() -> None:
        other = hospital.settings.path.parent / "keys" / "other.pem"
        key = keys.generate()
        keys.save(other, key)
        write(
            hospital.settings.clients,
            {
                "id": "other-system",
                "systems": ["hl7v2-referral"],
                "scopes": "system/ServiceRequest.c system/Task.u",
                "auth": {"method": "private_key_jwt", "jwks": keys.public_jwks(key)},
            },
        )
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            begun.set()
            await go_on.wait()
            yield b"MSH|"

        async with limited(hospital, requests_at_once=1) as http:
            ours = await token(http, hospital, CLIENT, own_key(hospital))
            theirs = await token(http, hospital, "other-system", other)
            first = asyncio.create_task(http.post("/records/hl7v2-referral", content=slowly(), headers=ours))
            await begun.wait()
            refused = await http.post("/records/hl7v2-referral", content=b"MSH|", headers=ours)
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
            assert refused.json()["issue"][0]["code"] == "throttled"
            beside = await http.post("/records/hl7v2-referral", content=b"MSH|", headers=theirs)
            assert beside.status_code not in (429, 500)
            go_on.set()
            assert (await first).status_code not in (429, 500)
            again = await http.post("/records/hl7v2-referral", content=b"MSH|", headers=ours)
            assert again.status_code not in (429, 500)

    asyncio.run(story())


def test_more_often_than_a_caller_may_is_refused_with_a_time_to_come_back(hospital: Node) -> None:
    async def story() -> None:
        async with limited(hospital, requests_per_second=5) as http:
            ours = await token(http, hospital, CLIENT, own_key(hospital))
            codes = [(await http.get("/fhir/Task", headers=ours)).status_code for _ in range(12)]
            # A second's worth may come at once; this machine may be slow enough to earn a few more.
            assert codes[:5] == [403] * 5 and 429 in codes[5:]

    asyncio.run(story())
