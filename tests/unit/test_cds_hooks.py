"""CDS Hooks `patient-consent-consult`: a good call, and what each changed fact of it does to the card."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from consult_world import (
    CLINIC,
    MRN,
    NPI,
    PATH,
    TYPES,
    bundle,
    call,
    confidentiality,
    consent,
    observation,
    recipient,
)
from partner_calls import OWN_SYSTEM, Door, Who
from sqlalchemy import func, select
from unserved import agencies_in

from gateway import cds_hooks, settings
from gateway.app import create_app
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, Agency, organization
from gateway.node import Identity, Node
from gateway.signing import keys
from gateway.store.schema import metadata
from profiles.canonical import ACT_CODE
from profiles.document import DocumentError

Call = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agency]:
    return agencies_in(tmp_path_factory.mktemp("agencies"))


@pytest.fixture(scope="module")
def node(agencies: dict[str, Agency]) -> Iterator[Node]:
    opened = Node(settings.read(agencies[HOSPITAL].config))
    yield opened
    opened.close()


def ask(node: Node, identity: Identity, method: str, path: str, **sent: Any) -> httpx2.Response:
    """One request to one of a node's names, without a socket."""

    async def request() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=create_app(node, identity))
        async with httpx2.AsyncClient(transport=transport, base_url=identity.address) as client:
            return await client.request(method, path, **sent)

    return asyncio.run(request())


@pytest.fixture(scope="module")
def post(node: Node, agencies: dict[str, Agency]) -> Call:
    """Calls the hospital's service, as its own system."""
    own = Who(OWN_SYSTEM, keys.load(agencies[HOSPITAL].folder / "keys" / f"{OWN_SYSTEM}.pem"))
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Consent.c",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": Door(node.home.address).assertion(own),
    }
    token = ask(node, node.home, "POST", "/oauth/token", data=form).json()["access_token"]

    def send(body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | headers
        return ask(node, node.home, "POST", PATH, content=content, headers=given)

    return send


def card(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    (one,) = answer.json()["cards"]
    assert one["extension"]["decision"] == one["summary"]
    return dict(one)


def redact(**parameters: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": {"system": ACT_CODE, "code": "REDACT"},
        "parameters": {
            name: [{"system": system, "code": code} for system, code in codes]
            for name, codes in parameters.items()
        },
    }


# ---------------------------------------------------------------- the card


def test_a_permit_without_conditions(post: Call, node: Node) -> None:
    assert card(post(call())) == {
        "summary": "CONSENT_PERMIT",
        "detail": "A consent in force permits this.",
        "indicator": "info",
        "source": {"label": "Elm City Hospital", "url": node.home.address},
        "extension": {
            "decision": "CONSENT_PERMIT",
            "obligations": [],
            "basedOn": "Consent/one",
            "basis": ["Consent/one provision"],
        },
    }


@pytest.mark.parametrize(
    ("context", "summary", "indicator", "detail"),
    [
        ({"consent": []}, "NO_CONSENT", "warning", "There is no consent of this person."),
        ({"consent": None}, "NO_CONSENT", "warning", "There is no consent of this person."),
        ({"purposeOfUse": "HMARKT"}, "CONSENT_DENY", "critical", "The consent is for another purpose."),
        (
            {"purposeOfUse": ["TREAT", "HMARKT"]},
            "CONSENT_DENY",
            "critical",
            "The consent is for another purpose.",
        ),
        ({"purposeOfUse": ["TREAT", "ETREAT"]}, "CONSENT_PERMIT", "info", "A consent in force permits this."),
        ({"purposeOfUse": None}, "CONSENT_DENY", "critical", "The consent is for another purpose."),
        ({"consent": [consent(type="deny")]}, "CONSENT_DENY", "critical", "The person has refused this."),
        (
            {"consent": [consent(period={"start": "2020-01-01", "end": "2020-12-31"})]},
            "NO_CONSENT",
            "warning",
            "The consent has ended.",
        ),
        (
            {"category": [{"system": "http://loinc.org", "code": "64292-6"}]},
            "NO_CONSENT",
            "warning",
            "There is no consent of this person.",
        ),
    ],
)
def test_the_decision(post: Call, context: dict[str, Any], summary: str, indicator: str, detail: str) -> None:
    found = card(post(call(**context)))
    assert (found["summary"], found["indicator"], found["detail"]) == (summary, indicator, detail)


def test_only_what_is_released_comes_back_and_as_it_came(post: Call) -> None:
    limited = consent(provision=[{"type": "deny", "securityLabel": [confidentiality("R")]}])
    open_one, secret = observation("a"), observation("b", label="R")
    body = json.dumps(call(consent=[limited], content=bundle(open_one, secret)))
    answer = post(body.replace('"value": 2.5', '"value": 2.50').encode())
    found = card(answer)
    assert found["summary"] == "CONSENT_PERMIT"
    assert found["extension"]["content"] == {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [open_one],
    }
    assert found["extension"]["obligations"] == []
    assert '"value":2.50' in answer.text


def test_another_persons_entry_is_left_out(post: Call) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": MRN, "value": "4711"}]}
    mine, other = observation("a"), observation("b", subject="Patient/p2")
    found = card(post(call(consent=[consent()], content=bundle({"resource": patient}, mine, other))))
    assert found["extension"]["content"]["entry"] == [{"resource": patient}, mine]


@pytest.mark.parametrize(
    "context",
    [
        {"consent": []},
        {"consent": [consent(type="deny")]},
        {"consent": [consent(period={"end": "2020-12-31"})]},
        {"consent": [{"resourceType": "Consent", "status": "active"}]},
        {"class": [{"system": TYPES, "code": "Condition"}]},
    ],
)
def test_nothing_comes_back_where_nothing_is_permitted(post: Call, context: dict[str, Any]) -> None:
    found = card(post(call(content=bundle(observation("a")), **context)))
    assert found["summary"] in ("CONSENT_DENY", "NO_CONSENT")
    assert "content" not in found["extension"] and "kg" not in json.dumps(found)
    assert found["extension"]["obligations"] == []


def test_without_content_the_limits_are_obligations(post: Call) -> None:
    denied = {"type": "deny", "class": [{"system": TYPES, "code": "MedicationRequest"}]}
    found = card(post(call(consent=[consent(provision=[denied])])))
    assert found["extension"]["obligations"] == [redact(codes=[(TYPES, "MedicationRequest")])]

    permitted = {"type": "permit", "class": [{"system": TYPES, "code": "Observation"}]}
    found = card(post(call(consent=[consent(type="deny", provision=[permitted])])))
    assert found["extension"]["obligations"] == [redact(exceptAnyOfCodes=[(TYPES, "Observation")])]


def test_a_limit_that_codes_cannot_say_is_a_deny_without_content_and_a_cut_with_it(post: Call) -> None:
    early = {"type": "deny", "dataPeriod": {"end": "2020-12-31"}}
    held = [consent(provision=[early])]
    assert card(post(call(consent=held)))["detail"] == (
        "The person's limits cannot be told without the content: send it along."
    )
    old, new = observation("a"), observation("b")
    old["resource"]["effectiveDateTime"], new["resource"]["effectiveDateTime"] = "2019-05-01", "2025-05-01"
    found = card(post(call(consent=held, content=bundle(old, new))))
    assert found["extension"]["content"]["entry"] == [new]


def test_a_consent_that_cannot_be_read_denies_and_its_owner_learns_why(post: Call) -> None:
    odd = consent("odd")
    del odd["dateTime"]
    found = card(post(call(consent=[consent(), odd])))
    assert found["summary"] == "CONSENT_DENY"
    assert found["extension"]["unusable"] == [
        {"consent": "Consent/odd", "issues": ["Consent.dateTime does not say when the consent was recorded"]}
    ]


def test_no_consent_and_deny_take_the_same_work(node: Node) -> None:
    """Of calls of the same size: how long an answer takes must not tell which of the two it is."""

    def steps(**provision: Any) -> tuple[str, int]:
        held = [consent(str(number), **provision) for number in range(3)]
        body = json.dumps(
            call(consent=held, content=bundle(*(observation(str(n)) for n in range(20))))
        ).encode()
        counted = 0

        def count(*_event: Any) -> None:
            nonlocal counted
            counted += 1

        now, source = datetime(2026, 6, 1, tzinfo=UTC), cds_hooks.Source("x", "https://x.example")
        sys.setprofile(count)
        try:
            (one,) = cds_hooks.consult(body, now, node.policy, source)["cards"]
        finally:
            sys.setprofile(None)
        return one["summary"], counted

    steps(period={"end": "2027-12-31"})  # what is compiled once is compiled by now
    denied, refused = steps(type="deny", period={"end": "2027-12-31"})
    none, ended = steps(period={"end": "2020-12-31"})
    assert (denied, none) == ("CONSENT_DENY", "NO_CONSENT")
    assert abs(refused - ended) < 0.03 * refused


def test_the_end_of_a_consent_is_told(post: Call) -> None:
    found = card(post(call(consent=[consent(period={"end": "2099-12-31"})])))
    assert found["extension"]["until"] == "2099-12-31T23:59:59.999999-05:00"  # the node's own time zone


# ---------------------------------------------------------------- who is who


@pytest.mark.parametrize(
    ("actor", "summary"),
    [
        (recipient(identifier=CLINIC), "CONSENT_PERMIT"),
        (recipient(reference="Organization/9", identifier=CLINIC), "CONSENT_PERMIT"),
        (recipient(identifier={"system": NPI, "value": "9999999999"}), "CONSENT_DENY"),
        # Nobody can tell whether the clinic is in this group, or has this number: such a consent is unusable.
        (recipient(reference="Group/7"), "CONSENT_DENY"),
        (recipient(identifier={"system": "urn:oid:9", "value": "1"}), "CONSENT_DENY"),
    ],
)
def test_a_recipient_is_told_by_its_identifier(post: Call, actor: dict[str, Any], summary: str) -> None:
    assert card(post(call(consent=[consent(actor=[actor])])))["summary"] == summary


def test_a_directory_says_who_an_actor_is(post: Call) -> None:
    group = {
        "resourceType": "Group",
        "id": "7",
        "actual": True,
        "member": [{"entity": {"identifier": CLINIC}}],
    }
    held = [consent(actor=[recipient(reference="Group/7")])]
    for directory, summary in ((None, "CONSENT_DENY"), (bundle({"resource": group}), "CONSENT_PERMIT")):
        assert card(post(call(consent=held, directory=directory)))["summary"] == summary


def test_a_reference_in_the_place_of_an_identifier(post: Call) -> None:
    held = [consent(actor=[recipient(reference="Practitioner/7")])]
    patient = [{"value": "Patient/p1"}]
    for actor, summary in (("Practitioner/7", "CONSENT_PERMIT"), ("Practitioner/8", "CONSENT_DENY")):
        found = card(post(call(patientId=patient, actor=[{"value": actor}], consent=held)))
        assert found["summary"] == summary
    other = card(
        post(call(patientId=[{"value": "Patient/p2"}], actor=[{"value": "Practitioner/7"}], consent=held))
    )
    assert other["summary"] == "NO_CONSENT"


# ---------------------------------------------------------------- calls that cannot be used


def _without(part: str) -> dict[str, Any]:
    return {name: value for name, value in call().items() if name != part}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"hook": "patient-consent-consult"', ""),
        (b'{"hook": 1, "hook": 2}', ""),
        (b'{"hook": NaN}', ""),
        (b'{"context": ' + b"[" * 9999, ""),
        (_without("hook"), "hook"),
        (_without("hookInstance"), "hookInstance"),
        (_without("context"), "context"),
        (call() | {"hook": "qzx"}, "hook"),
        (call(qzx=1), "context"),
        (call(patientId=None), "context.patientId"),
        (call(patientId=[]), "context.patientId"),
        (call(patientId=[{"system": MRN}]), "context.patientId[0]"),
        (call(patientId=[{"value": 7}]), "context.patientId[0]"),
        (call(actor=None), "context.actor"),
        (call(actor=[CLINIC, {}]), "context.actor[1]"),
        (call(actor=[CLINIC] * 51), "context.actor"),
        (call(purposeOfUse=[{"code": 7}]), "context.purposeOfUse[0]"),
        (call(purposeOfUse=["TREAT"] * 1000), "context.purposeOfUse"),
        (call(category=["qzx"]), "context.category[0]"),
        (call(**{"class": [{"system": TYPES}]}), "context.class[0]"),
        (call(consent={}), "context.consent"),
        (call(consent=[consent(), "qzx"]), "context.consent[1]"),
        (call(consent=[consent()] * 1001), "context.consent"),
        (call(content={"resourceType": "Patient"}), "context.content"),
        (call(content=bundle({"resource": "qzx"})), "context.content.entry[0].resource"),
        (
            call(content=bundle({"resource": {"resourceType": "Patient", "id": 7}})),
            "context.content.entry[0].resource.id",
        ),
        (call(directory="qzx"), "context.directory"),
    ],
)
def test_a_call_that_cannot_be_used_names_the_part(post: Call, body: Any, place: str) -> None:
    answer = post(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome" and "qzx" not in answer.text
    issues = answer.json()["issue"]
    assert {issue["severity"] for issue in issues} == {"error"}
    assert [issue.get("expression", [""])[0] for issue in issues] == [place]


def test_everything_that_is_wrong_is_told_at_once(post: Call) -> None:
    issues = post(call(actor=[{}], consent=["x", "y"], content={})).json()["issue"]
    assert [issue["expression"][0] for issue in issues] == [
        *("context.consent[0]", "context.consent[1]", "context.content", "context.actor[0]")
    ]


def test_consents_of_several_people_of_whom_none_is_asked_for(post: Call) -> None:
    theirs = consent("two")
    theirs["patient"] = {"reference": "Patient/p2"}
    answer = post(call(consent=[consent(), theirs]))
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["context.patientId"]


def test_what_would_take_too_long(post: Call) -> None:
    """Each of a thousand provisions about one thing would be put to each of a thousand entries, six times."""
    denies = [
        {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Flag/1"}}]}
    ] * 1000
    entries = [{"resource": {"resourceType": "Flag", "id": str(number)}} for number in range(1000)]
    purposes = ["TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT"]
    answer = post(call(consent=[consent(provision=denies)], content=bundle(*entries), purposeOfUse=purposes))
    assert answer.status_code == 400
    (issue,) = answer.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("too-costly", ["context.content"])


def test_groups_that_share_members_are_gone_through_once(post: Call) -> None:
    """Twenty members each, eight deep, would be 25 billion."""
    last = {
        "resourceType": "Group",
        "id": "g7",
        "actual": True,
        "member": [{"entity": {"identifier": CLINIC}}],
    }
    groups = [
        {
            "resourceType": "Group",
            "id": f"g{n}",
            "actual": True,
            "member": [{"entity": {"reference": f"Group/g{n + 1}"}}] * 20,
        }
        for n in range(7)
    ]
    directory = bundle(*({"resource": one} for one in (*groups, last)))
    held = [consent(actor=[recipient(reference="Group/g0")])]
    assert card(post(call(consent=held, directory=directory)))["summary"] == "CONSENT_PERMIT"


def test_too_long_and_not_json(post: Call) -> None:
    assert post(b" " * 1_100_000).status_code == 413
    assert post(b"<x/>", **{"Content-Type": "application/xml"}).status_code == 415


# ---------------------------------------------------------------- who may, where it is, what is left behind


def test_a_token_is_needed(post: Call) -> None:
    for wrong in ("", "Bearer qzx"):
        answer = post(call(), Authorization=wrong)
        assert answer.status_code == 401 and "qzx" not in answer.text


def test_nothing_is_stored_and_nothing_of_it_is_logged(
    node: Node, post: Call, caplog: pytest.LogCaptureFixture
) -> None:
    def rows() -> list[int]:
        with node.store.work() as work:
            tables = metadata.sorted_tables
            return [work.tx.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    before = rows()
    with caplog.at_level(logging.DEBUG):
        card(post(call(patientId=[{"system": MRN, "value": "qzx4711"}], content=bundle(observation("qzx1")))))
        post(call(consent=["qzx"]))
    assert rows() == before
    assert "qzx" not in caplog.text and "1234567893" not in caplog.text
    assert f"{PATH} 200" in caplog.text and f"{PATH} 400" in caplog.text


def test_discovery(node: Node) -> None:
    answer = ask(node, node.home, "GET", "/cds-services")
    (service,) = answer.json()["services"]
    assert (service["hook"], service["id"]) == ("patient-consent-consult", "patient-consent-consult")
    assert service["description"] and service["usageRequirements"]


def everything_but_the_id(answer: httpx2.Response) -> tuple[Any, ...]:
    headers = [pair for pair in answer.headers.items() if pair[0] != "x-request-id"]
    return answer.status_code, headers, answer.content


def test_a_shelters_node_has_it_under_none_of_its_names(agencies: dict[str, Agency]) -> None:
    shelter = Node(settings.read(agencies[SHELTER].config))
    for name in (SHELTER, ALIAS):
        identity = shelter.identities[organization(name)]
        for method, path in (("GET", "/cds-services"), ("POST", PATH)):
            never = ask(shelter, identity, method, "/qzx/never-was")
            assert everything_but_the_id(ask(shelter, identity, method, path)) == everything_but_the_id(never)
            assert never.status_code == 404
    shelter.close()


def test_it_can_be_turned_off(agencies: dict[str, Agency]) -> None:
    config = agencies[PANTRY].config
    off = config.with_name("off.yaml")
    off.write_text(config.read_text("utf-8") + "\nconsent_service: false\n", "utf-8")
    pantry = Node(settings.read(off))
    assert ask(pantry, pantry.home, "POST", PATH, json=call()).status_code == 404
    assert ask(pantry, pantry.home, "GET", "/cds-services").status_code == 404
    pantry.close()


def test_a_shelter_cannot_turn_it_on(agencies: dict[str, Agency]) -> None:
    config = agencies[SHELTER].config
    text = config.read_text("utf-8") + "\nconsent_service: true\n"
    (on := config.with_name("on.yaml")).write_text(text, "utf-8")
    line = text[: text.index("consent_service")].count("\n") + 1
    with pytest.raises(DocumentError, match=f"on.yaml:{line}:"):
        settings.read(on)
