"""Every way in, used wrongly, against a running node. The cases are in `tests/cases/badinput`.

Whatever is wrong, the answer is a status and an OperationOutcome (at the token endpoint RFC 6749's JSON) that
names field and line; neither it nor the log shows a value, a token or a traceback.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from consult_world import PATH as CONSULT_PATH
from consult_world import call, with_changes
from happenings import audit_is_whole, look_into, offer_after, rows, running, settle
from partner_calls import FHIR_JSON, Who, door, own_system, partner
from sample_records import hospital_consent, hospital_message, hospital_patient, shelter_row

import mappings
from gateway import settings
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, organization
from gateway.demo.network import Network
from gateway.store import inbound
from profiles.document import parse

CASES = Path(__file__).parent.parent / "cases" / "badinput"
MB = 1024 * 1024

_TEXT = {"type": "string"}
_COMMON = {
    "name": _TEXT,
    "why": _TEXT,
    "status": {},
    "code": _TEXT,
    "says": {"type": "array"},
    "hides": {"type": "array"},
}


def cases(name: str, **known: dict[str, Any]) -> list[Any]:
    """The cases of one file, as pytest parameters. A key that is not known stops the run."""
    schema = {
        "type": "array",
        "items": {"type": "object", "additionalProperties": False, "properties": known | _COMMON},
    }
    found = parse((CASES / name).read_text("utf-8"), schema, name).data
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in found]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as started:
        yield started
        audit_is_whole(started)
        for name in started.processes:
            log = started.processes[name].log.read_text("utf-8")
            assert "Traceback" not in log and "ERROR" not in log
            assert not re.search(r"eyJ[\w-]{20}|Bearer ", log)
            assert not [value for value in ("Alvarado", "Marrero", "qzx", "QZX") if value in log]


def outcome(answer: httpx2.Response) -> dict[str, Any]:
    """The OperationOutcome of an answer, or of its one record."""
    body = answer.json()
    found = body if "resourceType" in body else body["results"][0]["outcome"]
    assert found["resourceType"] == "OperationOutcome"
    return dict(found)


def check(answer: httpx2.Response, case: Mapping[str, Any]) -> None:
    assert str(answer.status_code) in str(case["status"]).split(), answer.text
    found = outcome(answer)
    issues = found["issue"]
    assert all(issue["severity"] in ("error", "fatal") for issue in issues)
    assert case["code"] in ("*", *(issue["code"] for issue in issues)), issues
    said = " ".join(issue["diagnostics"] + " " + " ".join(issue.get("expression", ())) for issue in issues)
    assert [word for word in case["says"] if word not in said] == [], said
    assert case.get("expression", "") in said
    for value in (*case.get("hides", ()), "Alvarado", "Marrero", "Traceback", ".py", "eyJ"):
        assert value not in answer.text
    assert answer.headers["cache-control"] == "no-store"


# ------------------------------------------------------------------ a local record

NODES = {
    "hl7": (HOSPITAL, "hl7v2-referral", "x-application/hl7-v2+er7"),
    "csv": (SHELTER, "shelter-csv", "text/csv"),
    "json-answer": (PANTRY, "case-json", "application/json"),
}
_ANSWER = (mappings.shipped("case-json").parent / "sample" / "answer.json").read_bytes()


def good(record: str, number: int) -> bytes:
    """A record that the node would take, and has not seen before."""
    if record == "hl7":
        fields = hospital_patient(number)
        return hospital_message(referral=fields["referral"], message=fields["message"])
    if record == "csv":
        return shelter_row(referral_ref=f"R-{7000 + number}")
    return _ANSWER


def hand_in(network: Network, record: str, body: bytes, system: str = "") -> httpx2.Response:
    agency, usual, content_type = NODES[record]
    at = door(network, agency)
    token = at.token(own_system(network, agency), "system/ServiceRequest.c system/Task.u")
    return at.post(f"/records/{system or usual}", token, body, Content_Type=content_type)


RECORDS = cases(
    "records.yaml",
    record={"enum": list(NODES)},
    system=_TEXT,
    change={"type": "object"},
    body=_TEXT,
    cut={"type": "integer"},
    bom={"type": "boolean"},
    charset=_TEXT,
    **{"line-ends": _TEXT},
)


@pytest.mark.parametrize("case", RECORDS)
def test_a_bad_record(network: Network, case: Mapping[str, Any]) -> None:
    number = [one.values[0] for one in RECORDS].index(case)
    text = good(case["record"], number).decode()
    for old, new in case.get("change", {}).items():
        assert old in text
        text = text.replace(old, new)
    text = case.get("body", text)
    body = text.replace("\r", case.get("line-ends", "\r")).encode(case.get("charset", "utf-8"))
    body = (b"\xef\xbb\xbf" if case.get("bom") else b"") + body[: case.get("cut")]
    before = rows(network, NODES[case["record"]][0], "select count(*) from referral")

    answer = hand_in(network, case["record"], body, case.get("system", ""))

    if case["status"] == 201:
        assert answer.status_code == 201 and "referral" in answer.json()["results"][0], answer.text
        return
    check(answer, case)
    assert rows(network, NODES[case["record"]][0], "select count(*) from referral") == before


def test_the_same_record_twice_is_one_referral(network: Network) -> None:
    """An engine resends under a new message id: same answer, nothing twice."""
    first = hand_in(network, "hl7", hospital_message(referral="RF-70001", message="ECH-1"))
    again = hand_in(network, "hl7", hospital_message(referral="RF-70001", message="ECH-2"))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    lines = [line for line in network.lines(HOSPITAL) if line.id == first.json()["results"][0]["referral"]]
    assert len(lines) == 1


def test_the_same_number_with_another_content_is_refused(network: Network) -> None:
    first = hand_in(network, "hl7", hospital_message(referral="RF-70002"))
    other = hand_in(network, "hl7", hospital_message(referral="RF-70002", diet="qzxkosher"))
    assert first.status_code == 201
    check(other, {"status": 409, "code": "duplicate", "says": ["different content"], "hides": ["qzxkosher"]})
    assert hand_in(network, "hl7", hospital_message(referral="RF-70002")).json() == first.json()


def test_one_bad_row_hinders_no_other(network: Network) -> None:
    header, one = shelter_row(referral_ref="R-7901").splitlines()
    bad = shelter_row(referral_ref="R-7902", need="qzxfirewood").splitlines()[1]
    three = shelter_row(referral_ref="R-7903").splitlines()[1]
    answer = hand_in(network, "csv", b"\n".join((header, one, bad, three)))
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 422, 201]
    assert results[1]["outcome"]["issue"][0]["diagnostics"].startswith("line 3, need: ")
    assert "qzx" not in answer.text


# ------------------------------------------------------------------ too much

TOO_LONG = {"status": 413, "code": "too-long", "says": ["bytes"]}


def read_answer(connection: socket.socket) -> httpx2.Response:
    connection.settimeout(10)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return httpx2.Response(int(lines[0].split()[1]), headers=headers, content=body)


def memory(network: Network, name: str) -> int:
    """Resident bytes of a node's process."""
    process = network.processes[name]._process
    assert process is not None
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    "path", ["/records/hl7v2-referral", "/oauth/token", "/fhir/Task/x", "/notifications", CONSULT_PATH]
)
def test_50_megabytes_are_refused_before_they_are_sent(network: Network, path: str) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", network.ports[HOSPITAL])) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {50 * MB}\r\n\r\n".encode()
        )
        answer = read_answer(connection)
    assert time.monotonic() - began < 5
    check(answer, TOO_LONG)


def test_50_megabytes_without_a_stated_length_are_refused_on_the_way(network: Network) -> None:
    at = door(network, HOSPITAL)
    token = at.token(own_system(network, HOSPITAL), "system/ServiceRequest.c system/Task.u")
    before, sent = memory(network, HOSPITAL), 0
    with socket.create_connection(("127.0.0.1", network.ports[HOSPITAL])) as connection:
        connection.sendall(
            f"POST /records/hl7v2-referral HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + b"q" * 65536 + b"\r\n"
        connection.settimeout(0.005)
        for _ in range(50 * MB // 65536):
            try:
                connection.sendall(chunk)
            except (TimeoutError, OSError):
                break
            sent += 65536
            if _readable(connection):
                break
        answer = read_answer(connection)
    check(answer, TOO_LONG)
    assert sent < 20 * MB
    assert memory(network, HOSPITAL) - before < 20 * MB


def _readable(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


@pytest.mark.parametrize("length", ["-1", "1e9", "0x10", "99999999999999999999999"])
def test_a_length_that_is_no_length(network: Network, length: str) -> None:
    with socket.create_connection(("127.0.0.1", network.ports[HOSPITAL])) as connection:
        connection.sendall(
            f"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        connection.settimeout(5)
        assert re.match(rb"HTTP/1.1 (400|413) ", connection.recv(65536))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Large": "q" * 200_000},
        {f"X-{number}": "q" * 500 for number in range(400)},
        {"X-Request-Id": "qzx\u00e9"},
    ],
    ids=["one huge", "very many", "a request id that is none"],
)
def test_strange_headers_do_not_break_the_node(network: Network, headers: dict[str, str]) -> None:
    at = door(network, HOSPITAL)
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    try:
        with httpx2.Client(trust_env=False, timeout=10) as client:
            answer = client.request("GET", f"{at.address}/fhir/Task", headers=raw)
        assert answer.status_code in (400, 401, 431)
        assert "qzx" not in answer.text and "qzx" not in str(answer.headers)
    except httpx2.TransportError:
        pass  # dropped is refused as well
    assert at.request("GET", "/health").status_code == 200


def test_two_authorization_headers_are_not_more_than_one(network: Network) -> None:
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), "system/Task.rs")
    with httpx2.Client(trust_env=False) as client:
        raw = [(b"Authorization", b"Bearer qzx"), (b"Authorization", f"Bearer {token}".encode())]
        answer = client.request("GET", f"{at.address}/fhir/Task", headers=raw)
    check(answer, {"status": 401, "code": "login", "says": [], "hides": ["qzx"]})


@pytest.mark.parametrize("opening", ['{"resourceType":"Task","extension":', "["])
def test_json_nested_a_hundred_thousand_deep(network: Network, opening: str) -> None:
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), "system/Task.rus")
    answer = at.put("Task/any", token, (opening + '{"a":' * 100_000).encode(), If_Match="x")
    check(answer, {"status": 400, "code": "structure", "says": []})
    closed = ('{"resourceType":"Task","extension":' + "[" * 1000 + "]" * 1000 + "}").encode()
    answer = at.put("Task/any", token, closed, If_Match="x")
    assert answer.status_code in (400, 404)
    assert outcome(answer)
    assert at.request("GET", "/health").status_code == 200


def test_a_case_record_nested_a_hundred_thousand_deep(network: Network) -> None:
    body = b'{"referral":' + b'{"a":' * 100_000
    check(hand_in(network, "json-answer", body), {"status": 400, "code": "structure", "says": []})


# ------------------------------------------------------------------ a partner's node


@dataclass(frozen=True)
class Offered:
    """A referral that the hospital has offered to the pantry: the ids that the pantry was given."""

    task: str
    patient: str
    request: str

    def fill(self, text: str) -> str:
        for name in ("task", "patient", "request"):
            text = text.replace(f"{{{name}}}", getattr(self, name))
        return text


@pytest.fixture(scope="module")
def offered(network: Network) -> Offered:
    network.consent(HOSPITAL, hospital_consent("EC-670001"))
    message = hospital_message(referral="RF-67001", patient="EC-670001")
    _sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    known = look_into(network, PANTRY, lambda work: inbound.get(work, offer["referral"]))
    assert known is not None
    at = door(network, HOSPITAL)
    task = at.get(f"Task/{known.task_id}", at.token(partner(network, PANTRY), "system/Task.r")).json()
    ids = (task[name]["reference"].partition("/")[2] for name in ("for", "focus"))
    return Offered(task["id"], *ids)


_SCOPES = {
    "Procedure": "system/Procedure.c",
    "Subscription": "system/Subscription.c",
    "/notifications": "system/Bundle.c",
}

FHIR = cases(
    "fhir.yaml",
    method=_TEXT,
    path=_TEXT,
    update={"type": "object"},
    body=_TEXT,
    headers={"type": "object"},
    charset=_TEXT,
    scope=_TEXT,
    expression=_TEXT,
    **{"if-match": {"enum": ["none", "stale"]}},
)


@pytest.mark.parametrize("case", FHIR)
def test_a_bad_request_of_a_partner(network: Network, offered: Offered, case: Mapping[str, Any]) -> None:
    at = door(network, HOSPITAL)
    who = partner(network, PANTRY)
    reading = at.token(who, "system/Task.r")
    before = at.get(f"Task/{offered.task}", reading)
    path = offered.fill(case.get("path", "Task/{task}"))
    usual = _SCOPES.get(path, f"system/Patient.r system/Task.{'rus'}")
    token = at.token(who, case.get("scope", usual))

    headers = {"Authorization": f"Bearer {token}", "Content-Type": FHIR_JSON}
    method = case.get("method", "PUT")
    if method == "PUT":
        tag = {"none": None, "stale": 'W/"00000000000000000000"'}.get(
            case.get("if-match"), before.headers["etag"]
        )
        headers |= {} if tag is None else {"If-Match": tag}
    headers |= case.get("headers", {})
    if "update" in case:
        changed = before.json() | case["update"]
        text = json.dumps({name: value for name, value in changed.items() if value is not None})
    else:
        text = offered.fill(case.get("body", ""))
    content = text.encode(case.get("charset", "utf-8")) if method in ("PUT", "POST") else None
    answer = at.request(method, path if path[0] == "/" else f"/fhir/{path}", headers=headers, content=content)

    check(answer, case)
    after = at.get(f"Task/{offered.task}", reading)
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


def everything_but_the_date(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return (
        answer.status_code,
        [(name, value) for name, value in answer.headers.items() if name != "date"],
        answer.content,
    )


@pytest.mark.parametrize("name", ["Task", "ServiceRequest", "Patient"])
def test_not_permitted_and_not_there_are_answered_identically(
    network: Network, offered: Offered, name: str
) -> None:
    """The pantry's referral is asked for under another of the network's names, and one that never was."""
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), f"system/{name}.r")
    theirs = {"Task": offered.task, "ServiceRequest": offered.request, "Patient": offered.patient}[name]
    elsewhere = door(network, ALIAS)
    request_id = str(uuid4())
    if name == "Patient":  # not permitted yet
        shut = at.get(f"{name}/{theirs}", token, X_Request_Id=request_id)
    else:  # permitted at the hospital, unknown at the shelter
        token_there = elsewhere.token(partner(network, PANTRY), f"system/{name}.r")
        shut = elsewhere.get(f"{name}/{theirs}", token_there, X_Request_Id=request_id)
    never = at.get(f"{name}/{uuid4()}", token, X_Request_Id=request_id)
    odd = at.get(f"{name}/qzx%20or%201=1", token, X_Request_Id=request_id)
    assert shut.status_code == 404
    assert everything_but_the_date(shut) == everything_but_the_date(never) == everything_but_the_date(odd)


def test_a_retried_accept_gets_its_first_answer(network: Network) -> None:
    """The answer to an accept was lost on the way; the same request again is not a conflict."""
    network.consent(HOSPITAL, hospital_consent("EC-670002"))
    message = hospital_message(referral="RF-67002", patient="EC-670002")
    sent, _ = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    task_id = network.task_of(HOSPITAL, sent["referral"])
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), "system/Task.rus")
    read = at.get(f"Task/{task_id}", token)
    wanted = read.json() | {"status": "accepted"}
    headers = {"If_Match": read.headers["etag"], "Idempotency_Key": str(uuid4())}
    first = at.put(f"Task/{task_id}", token, wanted, **headers)
    again = at.put(f"Task/{task_id}", token, wanted, **headers)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json() and first.headers["etag"] == again.headers["etag"]
    other = at.put(f"Task/{task_id}", token, wanted | {"status": "cancelled"}, **headers)
    check(other, {"status": 409, "code": "duplicate", "says": ["different content"]})
    updates = [event for event in network.events(HOSPITAL, sent["referral"]) if event.act == "update"]
    assert len([event for event in updates if not event.refused]) == 1


# ------------------------------------------------------------------ the consent service

CONSULT = cases(
    "consult.yaml",
    change={"type": "object"},
    body=_TEXT,
    headers={"type": "object"},
    charset=_TEXT,
    expression=_TEXT,
)


@pytest.mark.parametrize("case", CONSULT)
def test_a_bad_call_of_the_consent_service(network: Network, case: Mapping[str, Any]) -> None:
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), "system/Task.r")
    good = call()
    assert at.post(CONSULT_PATH, token, good).json()["cards"][0]["summary"] == "CONSENT_PERMIT"
    text = case.get("body", json.dumps(with_changes(good, case.get("change", {}))))
    headers = {name.replace("-", "_"): value for name, value in case.get("headers", {}).items()}
    answer = at.post(CONSULT_PATH, token, text.encode(case.get("charset", "utf-8")), **headers)
    check(answer, case)
    assert answer.headers["content-type"] == FHIR_JSON


@pytest.mark.parametrize("name", [SHELTER, ALIAS])
def test_a_shelter_has_no_consent_service(network: Network, name: str) -> None:
    at, request_id = door(network, name), str(uuid4())
    headers = {"X-Request-Id": request_id}
    for method, path in (("GET", "/cds-services"), ("POST", CONSULT_PATH)):
        shut = at.request(method, path, headers=headers, content=b"{}")
        never = at.request(method, "/qzx/never-was", headers=headers, content=b"{}")
        assert shut.status_code == 404
        assert everything_but_the_date(shut) == everything_but_the_date(never)


# ------------------------------------------------------------------ tokens

TOKENS = cases(
    "tokens.yaml",
    claims={"type": "object"},
    scope=_TEXT,
    form={"type": "object"},
    error=_TEXT,
    **{"signed-by": _TEXT, "as": _TEXT},
)


@pytest.mark.parametrize("case", TOKENS)
def test_a_bad_token_request(network: Network, case: Mapping[str, Any]) -> None:
    at = door(network, HOSPITAL)
    registered = Who(
        organization(case.get("as", PANTRY)), partner(network, case.get("signed-by", PANTRY)).key
    )
    now = int(time.time())
    claims = {
        name: now + value if isinstance(value, int) else value
        for name, value in case.get("claims", {}).items()
    }
    assertion = at.assertion(registered, **claims)
    if None in claims.values():
        assertion = at.assertion(registered, **dict.fromkeys(claims, ""))
    form = {
        "grant_type": "client_credentials",
        "scope": case.get("scope", "system/Task.rs"),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    } | case.get("form", {})
    with httpx2.Client(trust_env=False) as client:
        answer = client.post(f"{at.address}/oauth/token", data=form)
    refused_token(answer, case)
    assert not [part for part in assertion.split(".") if part in answer.text]


def refused_token(answer: httpx2.Response, case: Mapping[str, Any]) -> None:
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert set(body) == {"error", "error_description"} and body["error"] == case["error"]
    assert [word for word in case.get("says", ()) if word not in body["error_description"]] == [], body
    assert not [
        value for value in (*case.get("hides", ()), "Traceback", ".py", "eyJ") if value in answer.text
    ]
    assert answer.headers["cache-control"] == "no-store"


def test_an_assertion_is_good_once_also_across_a_restart(network: Network) -> None:
    at = door(network, HOSPITAL)
    assertion = at.assertion(partner(network, PANTRY))
    assert at.ask_token(assertion, "system/Task.rs").status_code == 200
    used = {"error": "invalid_client", "says": ["used before"]}
    refused_token(at.ask_token(assertion, "system/Task.rs"), used)
    network.processes[HOSPITAL].kill()
    network.start(HOSPITAL)
    refused_token(at.ask_token(assertion, "system/Task.rs"), used)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic cXp4OnF6eA==", "Bearer qzx", "Bearer " + "q" * 9000],
)
def test_no_usable_token(network: Network, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/fhir/Task", f"/fhir/Patient/{uuid4()}", "/fhir/Subscription"):
        answer = door(network, HOSPITAL).request("GET", path, headers=headers)
        check(answer, {"status": 401, "code": "login", "says": [], "hides": ["qzx", "cXp4"]})
        assert answer.headers["www-authenticate"].startswith("Bearer")
    answer = door(network, HOSPITAL).request(
        "POST", "/records/hl7v2-referral", headers=headers, content=b"MSH"
    )
    check(answer, {"status": 401, "code": "login", "says": []})


def test_a_token_of_another_node_is_worth_nothing_here(network: Network) -> None:
    """Also one of another name of the same node: the shelter's own name and its alias are two nodes."""
    who = partner(network, PANTRY)
    theirs = door(network, ALIAS).token(who, "system/Task.rs")
    check(
        door(network, HOSPITAL).get("Task", theirs), {"status": 401, "code": "login", "says": ["not one of"]}
    )
    check(
        door(network, SHELTER).get("Task", theirs), {"status": 401, "code": "login", "says": ["not one of"]}
    )
    own = door(network, SHELTER).token(own_system(network, SHELTER), "system/ServiceRequest.c system/Task.u")
    check(door(network, ALIAS).get("Task", own), {"status": 401, "code": "login", "says": ["not one of"]})


def test_a_token_that_was_changed_is_no_token(network: Network) -> None:
    at = door(network, HOSPITAL)
    header, claims, signature = at.token(partner(network, PANTRY), "system/Task.r").split(".")
    for other in (
        f"{header}.{claims}.{signature[:-4]}AAAA",
        f"{header}.{claims}.",
        f"{header}.{claims[:-2]}AA.{signature}",
    ):
        check(at.get("Task", other), {"status": 401, "code": "login", "says": []})


def test_an_own_system_may_not_read_as_a_partner_does(network: Network) -> None:
    at = door(network, HOSPITAL)
    token = at.token(own_system(network, HOSPITAL), "system/ServiceRequest.c system/Task.u system/Consent.c")
    assert at.get("Task", token).status_code == 403
    answer = at.put(f"Task/{uuid4()}", token, {"resourceType": "Task"}, If_Match="x")
    check(answer, {"status": 404, "code": "not-found", "says": []})


def test_a_record_needs_the_scope_for_it(network: Network) -> None:
    at = door(network, HOSPITAL)
    token = at.token(own_system(network, HOSPITAL), "system/Consent.c")
    answer = at.post(
        "/records/hl7v2-referral", token, hospital_message(referral="RF-1"), Content_Type="text/plain"
    )
    check(answer, {"status": 403, "code": "forbidden", "says": ["system/ServiceRequest.c"]})


def test_an_alias_takes_no_records_and_no_consents(network: Network) -> None:
    at = door(network, ALIAS)
    for path in ("/records/shelter-csv", "/fhir/Consent"):
        answer = at.request("POST", path, content=b"x")
        check(answer, {"status": 404, "code": "not-found", "says": ["nothing here"]})


# ------------------------------------------------------------------ consents


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "structure"),
        ({"resourceType": "Consent"}, "required"),
        ({"resourceType": "Consent", "status": "active", "patient": {"display": "qzxname"}}, "required"),
    ],
)
def test_a_consent_that_authorises_nothing_is_refused(
    network: Network, body: dict[str, Any], code: str
) -> None:
    at = door(network, SHELTER)
    token = at.token(own_system(network, SHELTER), "system/Consent.c")
    answer = at.post("/fhir/Consent", token, body)
    check(answer, {"status": "400 422", "code": code, "says": [], "hides": ["qzx"]})


def test_what_was_accepted_before_all_this_is_still_there(network: Network, offered: Offered) -> None:
    """After every bad request of this module: nothing lost, nothing given up."""
    settle(network)
    at = door(network, HOSPITAL)
    assert (
        at.get(f"Task/{offered.task}", at.token(partner(network, PANTRY), "system/Task.r")).status_code == 200
    )
    assert rows(network, HOSPITAL, "select kind, gave_up from outbox where gave_up is not null") == []
    assert settings.read(network.agencies[HOSPITAL].config).body_limit < 50 * MB
