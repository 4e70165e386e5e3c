"""Every way that a partner has to learn something from a source, taken in a fixed order.

`look` asks about one Task without having been told of it. `road` is what a recipient does with the Tasks that
it is offered, from the offer to long after the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from two_worlds import PANTRY, START, STRANGER, Visitor, World, organization

from gateway import clock
from gateway.exchange import Exchange
from gateway.notification import subscription_request
from gateway.referral import FINAL

NAMES = (
    "Task",
    "ServiceRequest",
    "Patient",
    "Observation/household-size",
    "Observation/diet",
    "Observation/contact-rule",
    "DocumentReference/release-excerpt",
)
NOT_HERE = (
    "AuditEvent",
    "CommunicationRequest",
    "Condition",
    "Endpoint",
    "Provenance",
    "RelatedPerson",
)
REASON = {"text": "We have no room."}


async def front_door(who: Visitor) -> None:
    """What stands open to everybody, and the ways to be turned away there."""
    for path in (
        "/fhir/metadata",
        "/.well-known/smart-configuration",
        "/fhir/.well-known/smart-configuration",
    ):
        await who.ask("GET", path)
    for path in ("/.well-known/jwks.json", "/health", "/ready", "/", "/docs", "/openapi.json", "/metrics"):
        await who.ask("GET", path)
    for scope, claims in (
        ("system/Task.r", {}),
        ("system/AuditEvent.r", {}),
        ("system/Task.r", {"aud": "https://elsewhere.example"}),
        ("system/Task.r", {"iss": organization("nobody"), "sub": organization("nobody")}),
    ):
        await who.ask("POST", "/oauth/token", **who.token_request(scope, **claims))
    await who.ask("GET", "/oauth/token")
    await who.get("Task", Authorization="Bearer nonsense")
    await who.get("Consent")
    for path in ("/records/fhir-r4", "/records/consent", "/cds-services"):
        await who.ask("POST", path, body={})
    for kind in ("Consent", "Patient/$validate"):
        await who.ask("POST", f"/fhir/{kind}", body={"resourceType": kind.partition("/")[0]})


async def subscribe(who: Visitor) -> None:
    """A Subscription, asked for well and badly, read and listed; what comes of it is sent."""
    at = next(one.address for one in who.world.source.names.values() if one.organization == who.organization)
    good = subscription_request(f"{at}/notifications", who.organization)
    made = await who.ask("POST", "/fhir/Subscription", body=good)
    await who.ask("POST", "/fhir/Subscription", body=good)
    elsewhere = {**good["channel"], "endpoint": "https://elsewhere.example/notifications"}
    await who.ask("POST", "/fhir/Subscription", body={**good, "channel": elsewhere})
    await who.ask("POST", "/fhir/Subscription", body={**good, "criteria": "Patient?name=x"})
    for path in ("", f"/{made.resource['id']}", f"/{uuid4()}", "?status=active"):
        await who.get(f"Subscription{path}")
    await who.ask("DELETE", f"/fhir/Subscription/{made.resource['id']}")
    await who.world.settle()
    await who.get("Subscription")


async def look(who: Visitor, known: Mapping[str, str]) -> None:
    """Ask about one Task by address, search and trick. known: addresses by name; for those not known, any."""
    at = {name: known.get(name) or str(uuid4()) for name in NAMES}
    person, request, task = at["Patient"], at["ServiceRequest"], at["Task"]
    for name, address in at.items():
        await who.get(f"{name.partition('/')[0]}/{address}")
    await who.get(f"Task/{task}", If_None_Match='W/"0123456789abcdef0123"')
    for path in (f"Patient/{request}", f"Observation/{person}", f"Task/{person}", f"Organization/{person}"):
        await who.get(path)
    for tail in ("/_history", "/_history/1", "/$everything", "?_format=xml", "?_elements=for"):
        await who.get(f"Task/{task}{tail}")
        await who.get(f"Patient/{person}{tail}")
    for query in (
        "",
        "?_count=1",
        "?_count=1&_offset=1",
        "?_count=0",
        "?_offset=99",
        "?_count=-1",
        "?_format=json",
        f"?_id={task}",
        f"?_id={task},{uuid4()}",
        f"?_lastUpdated=ge{quote(clock.stamp(START))}",
        f"?_lastUpdated=lt{quote(clock.stamp(START))}",
        "?_lastUpdated=yesterday",
        "?code=fulfill",
        f"?focus=ServiceRequest/{request}",
        f"?owner={organization(PANTRY)}",
        f"?owner={organization(STRANGER)}",
        f"?patient=Patient/{person}",
        f"?patient={person}",
        f"?requester={who.world.source.identity.organization}",
        *(
            f"?status={one}"
            for one in ("draft", "requested", "accepted", "in-progress", "cancelled", "completed")
        ),
        "?subject:Patient.name=x",
        "?_include=Task:patient",
        "?_revinclude=Provenance:target",
        "?_sort=-_lastUpdated",
        "?_total=accurate",
        "?_summary=count",
    ):
        await who.get(f"Task{query}")
    for resource_type in ("Patient", "ServiceRequest", "Observation", "DocumentReference", *NOT_HERE):
        await who.get(resource_type)
        await who.get(f"{resource_type}?_id={person}")
    batch = {"request": {"method": "GET", "url": f"Patient/{person}"}}
    for kind in ("batch", "transaction"):
        body = {"resourceType": "Bundle", "type": kind, "entry": [batch]}
        await who.ask("POST", "/fhir", body=body)
        await who.ask("POST", "/fhir/", body=body)
    form = "application/x-www-form-urlencoded"
    await who.ask("POST", "/fhir/Task/_search", raw=f"_id={task}".encode(), content_type=form)
    await who.ask("POST", "/fhir/Patient/_search", raw=f"_id={person}".encode(), content_type=form)
    for method in ("HEAD", "OPTIONS", "DELETE", "PATCH", "PUT", "POST"):
        for path in (f"Task/{task}", f"Patient/{person}", "Task"):
            await who.ask(method, f"/fhir/{path}")
    await change(who, task, {"resourceType": "Task", "id": task, "status": "accepted", "intent": "order"})
    await procedure(who, request, person)


async def change(who: Visitor, task: str, wanted: Mapping[str, Any]) -> None:
    """Try to change a Task in the ways that fail."""
    await who.ask("PUT", f"/fhir/Task/{task}", body=wanted)
    await who.ask("PUT", f"/fhir/Task/{task}", body=wanted, If_Match='W/"0123456789abcdef0123"')
    await who.ask("PUT", f"/fhir/Task/{task}", body=wanted, If_Match="x", Idempotency_Key=f"key {task}"[:20])
    await who.ask("PUT", f"/fhir/Task/{task}", body={"resourceType": "Patient"}, If_Match="x")
    await who.ask("PUT", f"/fhir/Task/{task}", body={**wanted, "mood": "good"}, If_Match="x")
    await who.ask("PUT", f"/fhir/Task/{task}", raw=b"{not json", If_Match="x")
    await who.ask(
        "PUT", f"/fhir/Task/{task}", raw=b"<Task/>", content_type="application/fhir+xml", If_Match="x"
    )


async def procedure(who: Visitor, request: str, person: str, **more: str) -> None:
    """A Procedure for a referral."""
    said = {
        "resourceType": "Procedure",
        "status": "completed",
        "basedOn": [{"reference": f"ServiceRequest/{request}"}],
        "subject": {"reference": f"Patient/{person}"},
    }
    made = await who.ask("POST", "/fhir/Procedure", body=said, **more)
    await who.ask("POST", "/fhir/Procedure", body={**said, "subject": {"reference": f"Patient/{uuid4()}"}})
    await who.ask("POST", "/fhir/Procedure", body={**said, "status": "nonsense"})
    if "location" in made.headers:
        await who.get(made.headers["location"].rpartition("/fhir/")[2])


async def read_all(who: Visitor) -> list[dict[str, Any]]:
    """List the Tasks, and read each with all that it names; twice, the second time only if it is new."""
    listed: list[dict[str, Any]] = [
        one["resource"] for one in (await who.get("Task")).resource.get("entry", [])
    ]
    for task in listed:
        inputs = [one["valueReference"]["reference"] for one in task.get("input", [])]
        for path in (f"Task/{task['id']}", task["focus"]["reference"], task["for"]["reference"], *inputs):
            got = await who.get(path)
            await who.get(path, If_None_Match=got.headers.get("etag", "none"))
        await who.get(f"Task?patient={task['for']['reference']}&status={task['status']}")
        await who.get(f"Task?_id={task['id']}&focus={task['focus']['reference']}")
    await who.get("Task?_count=1")
    await who.get("Task?_lastUpdated=gt" + quote(listed[0]["lastModified"]) if listed else "Task")
    return listed


async def answer(who: Visitor, task: Mapping[str, Any], status: str, reason: Any = None) -> int:
    """The recipient's next word on a Task, said twice under one key; then what follows is sent.

    Returns the status of the first answer.
    """
    got = await who.get(f"Task/{task['id']}")
    wanted = got.resource | {"status": status} | ({"statusReason": reason} if reason else {})
    done = []
    for _ in range(2):
        again = await who.ask(
            "PUT",
            f"/fhir/Task/{task['id']}",
            body=wanted,
            If_Match=got.headers["etag"],
            Idempotency_Key=f"{status} {task['id']}"[:40],
        )
        done.append(again.status)
    if status in FINAL and who.world.phase:
        who.world.phase = "closed"
    await who.world.settle()
    return done[0]


async def road(who: Visitor) -> None:
    """Offer, accept the first and decline the others, dossier, a Procedure, completed, erased."""
    world: World = who.world
    await world.settle()
    offered = await read_all(who)
    for name in (world.source.name, PANTRY, "nobody"):
        await who.get(f"Organization/{name}")
    for task in offered:
        await change(who, task["id"], task | {"status": "completed"})
    for number, task in enumerate(offered):
        if number:
            await answer(who, task, "rejected", REASON)
        else:
            await answer(who, task, "accepted")
            world.phase = world.phase and "dossier"
    opened = await read_all(who)
    for task in opened[-1:]:
        parts = (task["focus"]["reference"], task["for"]["reference"])
        await procedure(who, *(one.rpartition("/")[2] for one in parts), Idempotency_Key="a procedure")
        await answer(who, task, "in-progress")
        await answer(who, task, "completed")
    await read_all(who)
    Exchange(world.node).erase_closed()
    await read_all(who)
