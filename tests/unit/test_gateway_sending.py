"""What an answer means for the outbox: done, later, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway import fhir_json
from gateway.calling.client import Answer
from gateway.calling.transport import PeerError, PeerFault, PeerForbidden, PeerRefused, PeerUnavailable
from gateway.outbox import GiveUp, Later
from gateway.sending import Gone, Partner, Stopped
from gateway.trust.directory import Entry

CLINIC = "https://directory.example.org/Organization/clinic"
PEER = Entry(CLINIC, "Clinic", "https://clinic.example.org", {}, frozenset(), (), {}, "active")


class Scripted:
    """A client that gives one answer, or raises one fault, and keeps what it was asked."""

    def __init__(self, gives: Answer | Exception) -> None:
        self.gives = gives
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []

    async def request(
        self,
        peer: Entry,
        method: str,
        path: str,
        *,
        scope: str,
        purpose: str | None,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Answer:
        self.asked.append((method, path, {**headers, "scope": scope, "purpose": purpose or ""}, content))
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def partner(gives: Answer | Exception) -> tuple[Partner, Scripted]:
    scripted = Scripted(gives)
    return Partner(scripted, PEER), scripted  # type: ignore[arg-type]


def stopped(gives: Answer | Exception) -> Any:
    with pytest.raises(Stopped) as found:
        asyncio.run(partner(gives)[0].send("GET", "/fhir/Task/1", "Task.r"))
    return found.value.outcome


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success_is_passed_on(status: int) -> None:
    found = asyncio.run(partner(answer(status))[0].send("GET", "/fhir/Task/1", "Task.r"))
    assert found.status == status


@pytest.mark.parametrize("status", [401, 403, 408, 412, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert stopped(answer(status)) == Later(f"the other side answered {status}")


@pytest.mark.parametrize(
    "status", [300, 301, 302, 304, 307, 400, 405, 406, 409, 410, 413, 415, 422, 428, 451]
)
def test_any_other_refusal_is_final(status: int) -> None:
    """Redirects too: nobody is followed elsewhere."""
    assert isinstance(stopped(answer(status)), GiveUp)


def test_the_other_side_says_when_to_come_back() -> None:
    assert stopped(answer(503, retry_after="120")).after == timedelta(seconds=120)
    assert stopped(PeerUnavailable("gone", 7.0)).after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(PeerUnavailable("x"), Later), (PeerRefused("x"), Later), (PeerFault("x"), GiveUp)],
)
def test_no_answer_at_all(fault: PeerError, outcome: type) -> None:
    assert isinstance(stopped(fault), outcome)


def test_the_one_404_is_gone() -> None:
    with pytest.raises(Gone):
        asyncio.run(partner(answer(404))[0].send("GET", "/fhir/Task/1", "Task.r"))


def test_every_attempt_has_a_request_id_of_its_own() -> None:
    one, scripted = partner(answer(200))
    for _ in range(2):
        asyncio.run(one.send("PUT", "/fhir/Task/1", "Task.u", {"resourceType": "Task"}, If_Match="x"))
    (_, _, first, content), (_, _, second, _) = scripted.asked
    assert first["purpose"] == "COC"
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert first["If-Match"] == "x" and first["scope"] == "system/Task.u"
    assert first["Content-Type"] == fhir_json.FHIR_JSON and content == b'{"resourceType":"Task"}'


def test_a_resource_is_read_with_its_tag() -> None:
    body = msgspec.json.encode({"resourceType": "Patient", "id": "1"})
    found = asyncio.run(partner(answer(200, body, etag='W/"1"'))[0].read("Patient/1", "Patient.r"))
    assert found.resource["id"] == "1" and found.etag == 'W/"1"'


def test_a_notification_is_for_no_purpose_of_use() -> None:
    found, asked = partner(answer(200, b""))
    asyncio.run(found.send("POST", "/notifications", "Bundle.c", {"resourceType": "Bundle"}))
    assert asked.asked[0][2]["purpose"] == ""


def test_an_address_that_may_not_be_called_waits_and_a_path_that_is_none_does_not() -> None:
    forbidden = stopped(PeerForbidden("no way there"))
    assert isinstance(forbidden, Later) and "networks" in forbidden.why
    assert isinstance(stopped(ValueError("path")), GiveUp)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"resourceType":"Nothing"}',
        b"[]",
        b'{"resourceType":"Patient","qzx":1}',
        b"[" * 9999,
    ],
)
def test_what_is_not_fhir_is_not_read(body: bytes) -> None:
    with pytest.raises(Stopped) as found:
        asyncio.run(partner(answer(200, body))[0].read("Patient/1", "Patient.r"))
    assert isinstance(found.value.outcome, GiveUp)
    assert "qzx" not in found.value.outcome.why
