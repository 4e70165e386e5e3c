"""The node's web face under one of its names: addresses, and which step of the exchange each one calls.

Partners meet the FHIR addresses; the agency's own systems meet `/records` and `POST /fhir/Consent`. Those,
`$validate` and `/cds-services` an alias does not have. Every handler takes the raw request and answers a
finished response.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from gateway import (
    cds_hooks,
    consent_intake,
    fhir_json,
    health,
    notification,
    notify,
    permission,
    scopes,
    task_search,
    validate_operation,
)
from gateway.assertion import TokenError, read_form
from gateway.authenticate import NO_STORE, Caller, TokenServer
from gateway.capability import capability_statement
from gateway.directory import Entry, organization_resource
from gateway.errors import Refused, not_found, refuse
from gateway.exchange import Answer, Exchange
from gateway.http import (
    Guard,
    answer_errors,
    fhir_response,
    idempotency_key,
    insufficient_scope,
    json_response,
    request_id,
    require_json,
)
from gateway.node import PARTNER_SCOPES, Identity, Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.store import received, subscriptions

log = logging.getLogger("waymeet.oauth")

READABLE = ("ServiceRequest", "Patient", "Observation", "DocumentReference")


def create_app(node: Node, identity: Identity) -> Guard:
    """The ASGI application of one identity of the node."""
    app = FastAPI(title="Waymeet", docs_url=None, redoc_url=None)
    answer_errors(app)
    face = _Face(node, identity)

    def route(method: str, path: str, handler: Callable[[Request], Any]) -> None:
        app.add_api_route(path, handler, methods=[method], response_class=Response, response_model=None)

    route("GET", "/health", face.health)
    route("GET", "/ready", face.ready)
    route("GET", "/fhir/metadata", face.metadata)
    route("GET", "/.well-known/smart-configuration", face.smart_configuration)
    route("GET", "/fhir/.well-known/smart-configuration", face.smart_configuration)
    route("GET", "/.well-known/jwks.json", face.jwks)
    route("POST", "/oauth/token", face.token)
    route("GET", "/fhir/Task", face.search_tasks)
    route("GET", "/fhir/Task/{id}", face.read("Task"))
    route("PUT", "/fhir/Task/{id}", face.update_task)
    for resource_type in READABLE:
        route("GET", f"/fhir/{resource_type}/{{id}}", face.read(resource_type))
    route("GET", "/fhir/Organization/{id}", face.organization)
    route("POST", "/fhir/Procedure", face.add_procedure)
    route("POST", "/fhir/Subscription", face.subscribe)
    route("GET", "/fhir/Subscription", face.list_subscriptions)
    route("GET", "/fhir/Subscription/{id}", face.read_subscription)
    route("POST", notify.NOTIFICATIONS, face.take_notification)
    if not identity.alias:
        route("POST", "/records/consent", face.hand_in_consent)
        route("POST", "/records/{system}", face.hand_in)
        route("POST", "/fhir/Consent", face.record_consent)
        # Which packages are held could tell which agency an alias stands for.
        route("POST", "/fhir/{type}/$validate", face.validate)
        if node.settings.consent_service:
            route("GET", "/cds-services", face.cds_services)
            route("POST", "/cds-services/patient-consent-consult", face.consult_consents)
    return Guard(app, node.settings.body_limit)


class _Face:
    """The handlers of one identity."""

    def __init__(self, node: Node, identity: Identity) -> None:
        self._node = node
        self._identity = identity
        self._exchange = Exchange(node)
        self._tokens = TokenServer(
            identity.address,
            identity.key,
            lambda client_id: node.registration(identity, client_id),
            self._remember,
            PARTNER_SCOPES,
        )

    # ------------------------------------------------------------ open to everybody

    async def health(self, _request: Request) -> Response:
        """Whether the process answers."""
        return json_response({"status": "up"})

    async def ready(self, _request: Request) -> Response:
        """Whether it can do its work: keys, store, directory."""
        checks = await run_in_threadpool(health.checks, self._node)
        return json_response(checks, 200 if all(checks.values()) else 503)

    async def metadata(self, _request: Request) -> Response:
        """CapabilityStatement."""
        return fhir_response(capability_statement(self._identity, version("waymeet"), health.STARTED))

    async def smart_configuration(self, _request: Request) -> Response:
        """SMART App Launch 2.2, discovery for backend services."""
        return json_response(self._tokens.smart_configuration())

    async def jwks(self, _request: Request) -> Response:
        """This identity's public keys."""
        return json_response(self._tokens.jwks())

    async def token(self, request: Request) -> Response:
        """OAuth 2.0 token endpoint (client_credentials with a signed assertion)."""
        body = await request.body()
        try:
            form = read_form(body, request.headers.get("content-type", ""))
            answer = await run_in_threadpool(self._tokens.token, form, self._node.now())
        except TokenError as error:
            log.info("token refused (%s): %s", error.error, error.description)
            return json_response(error.body(), error.status, NO_STORE)
        return json_response(answer, headers=NO_STORE)

    # ------------------------------------------------------------ partners

    def read(self, resource_type: str) -> Callable[[Request], Any]:
        """The handler that reads one resource of a type."""

        async def handler(request: Request) -> Response:
            ask = self._partner(request, resource_type, "r")
            found = await run_in_threadpool(
                self._exchange.read, ask, resource_type, request.path_params["id"]
            )
            if request.headers.get("if-none-match") == found.etag:
                unchanged = Response(
                    status_code=304, headers={"ETag": found.etag, "Cache-Control": "no-store"}
                )
                return self._until_sent(unchanged, found.disclosure)
            return self._until_sent(_answer(found), found.disclosure)

        return handler

    async def search_tasks(self, request: Request) -> Response:
        """Tasks of this partner, for those who poll."""
        ask = self._partner(request, "Task", "s")
        search = task_search.parse(request.query_params.multi_items())
        found = await run_in_threadpool(self._exchange.search_tasks, ask, search.matches)
        answer = fhir_response(search.bundle(found.tasks, self._identity.fhir_base))
        return self._until_sent(answer, *found.disclosures)

    async def update_task(self, request: Request) -> Response:
        """A recipient's new version of its Task."""
        ask = self._partner(request, "Task", "u")
        require_json(request)
        wanted = fhir_json.resource(await request.body(), "Task")
        found = await run_in_threadpool(
            self._exchange.update_task,
            ask,
            request.path_params["id"],
            wanted,
            request.headers.get("if-match"),
            idempotency_key(request),
        )
        return self._until_sent(_answer(found), found.disclosure)

    async def add_procedure(self, request: Request) -> Response:
        """A Procedure done for a referral."""
        ask = self._partner(request, "Procedure", "c")
        require_json(request)
        wanted = fhir_json.resource(await request.body(), "Procedure")
        made = await run_in_threadpool(self._exchange.add_procedure, ask, wanted, idempotency_key(request))
        return _answer(made, self._identity.fhir_base)

    async def organization(self, request: Request) -> Response:
        """An organisation of the directory, from this node's copy."""
        self._partner(request, "Organization", "r")
        wanted = request.path_params["id"]
        for entry in self._node.directory.entries:
            if entry.id == wanted:
                return fhir_response(organization_resource(entry))
        raise not_found()

    async def subscribe(self, request: Request) -> Response:
        """A partner's Subscription to its Tasks (backport R4, rest-hook, id-only)."""
        ask = self._partner(request, "Subscription", "c")
        require_json(request)
        wanted = fhir_json.resource(await request.body(), "Subscription")
        address = self._peer(ask).address
        endpoint = notification.wanted_endpoint(wanted, address, self._node.definitions)

        def step() -> tuple[subscriptions.Subscription, bool]:
            with self._node.store.work() as work:
                return notify.subscribe(work, ask.identity.organization, ask.agent, endpoint)

        made, new = await run_in_threadpool(step)
        location = f"{self._identity.fhir_base}/Subscription/{made.id}"
        resource = notification.subscription_resource(made)
        return fhir_response(resource, 201 if new else 200, {"Location": location})

    async def list_subscriptions(self, request: Request) -> Response:
        """This partner's own Subscriptions."""
        ask = self._partner(request, "Subscription", "s")
        if request.query_params:
            raise refuse(400, "not-supported", "Search parameters are not known here; you see your own.")
        found = await run_in_threadpool(self._own_subscriptions, ask)
        return fhir_response(notification.searchset(found, self._identity.fhir_base))

    async def read_subscription(self, request: Request) -> Response:
        """One of this partner's own Subscriptions."""
        ask = self._partner(request, "Subscription", "r")
        for one in await run_in_threadpool(self._own_subscriptions, ask):
            if one.id == request.path_params["id"]:
                return fhir_response(notification.subscription_resource(one))
        raise not_found()

    async def take_notification(self, request: Request) -> Response:
        """A partner tells us that Tasks of ours changed there."""
        ask = self._partner(request, "Bundle", "c")
        require_json(request)
        bundle = fhir_json.resource(await request.body(), "Bundle")
        events = notification.read_bundle(bundle, self._peer(ask).fhir_base, self._node.definitions)
        await run_in_threadpool(self._exchange.learn, ask, events)
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    # ------------------------------------------------------------ the agency's own systems

    async def hand_in(self, request: Request) -> Response:
        """Local records, in the system's own format."""
        caller = self._caller(request)
        system = request.path_params["system"]
        if system not in caller.systems:
            raise not_found()
        for letter, resource_type in (("c", "ServiceRequest"), ("u", "Task")):
            if not scopes.grants(caller.scopes, resource_type, letter):
                raise insufficient_scope(resource_type, letter)
        body = await request.body()
        done = await run_in_threadpool(
            self._exchange.hand_in,
            self._ask(request, caller.client_id),
            system,
            body,
        )
        results = [_result(number, one) for number, one in enumerate(done, start=1)]
        statuses = {result["status"] for result in results}
        return json_response({"results": results}, statuses.pop() if len(statuses) == 1 else 207)

    async def hand_in_consent(self, request: Request) -> Response:
        """A consent of one of the agency's people, or its withdrawal, in plain answers or FHIR."""
        ask = self._keeper_of_consents(request)
        body, key = await request.body(), idempotency_key(request)
        taken = await run_in_threadpool(consent_intake.hand_in, self._node, ask, body, key)
        answer = {
            "consent": taken.consent,
            "state": taken.state,
            "taken_at": taken.taken_at,
            "cancelled": taken.cancelled,
            "results": [_result(number, one) for number, one in enumerate(taken.results, start=1)],
        }
        return json_response(answer, 201 if taken.state == "active" else 200)

    async def record_consent(self, request: Request) -> Response:
        """A Consent of one of the agency's people."""
        ask = self._keeper_of_consents(request)
        resource = fhir_json.resource(await request.body(), "Consent")
        consent_id, receipts = await run_in_threadpool(permission.record_consent, self._node, ask, resource)
        results = [_result(number, one) for number, one in enumerate(receipts, start=1)]
        return json_response({"consent": consent_id, "results": results}, 201)

    # ------------------------------------------------------------ partners and own systems

    async def validate(self, request: Request) -> Response:
        """FHIR's $validate: what is wrong with a resource that is not stored, nor written down anywhere."""
        self._caller(request)
        require_json(request)
        body, query = await request.body(), request.query_params.multi_items()
        asked = validate_operation.asked(body, request.path_params["type"], query)
        return fhir_response(
            await run_in_threadpool(validate_operation.outcome, asked, self._node.definitions)
        )

    async def cds_services(self, _request: Request) -> Response:
        """CDS Hooks discovery: which services there are. Open to everybody."""
        return json_response(cds_hooks.discovery())

    async def consult_consents(self, request: Request) -> Response:
        """CDS Hooks: a decision on consents that the caller sends. Nothing of it is stored or logged."""
        self._caller(request)
        require_json(request)
        body, now = await request.body(), self._node.now().astimezone(self._node.settings.timezone)
        source = cds_hooks.Source(self._node.settings.name, self._identity.address)
        return json_response(await run_in_threadpool(cds_hooks.consult, body, now, self._node.policy, source))

    # ------------------------------------------------------------ shared

    def _caller(self, request: Request) -> Caller:
        return self._tokens.verify(request.headers.get("authorization"), self._node.now())

    def _partner(self, request: Request, resource_type: str, letter: str) -> Ask:
        """A partner with the scope that this takes. Raises Refused 401, 403, or the one 404."""
        caller = self._caller(request)
        if not scopes.grants(caller.scopes, resource_type, letter):
            raise insufficient_scope(resource_type, letter)
        if caller.organization is None:
            raise not_found()
        return self._ask(request, caller.organization)

    def _keeper_of_consents(self, request: Request) -> Ask:
        """One of the agency's own systems that may hand in consents. Raises Refused 401, 403, 415, 404.

        To take a consent back takes no other scope: who may widen what is shared may always narrow it.
        """
        caller = self._caller(request)
        if caller.organization is not None:
            raise not_found()
        if not scopes.grants(caller.scopes, "Consent", "c"):
            raise insufficient_scope("Consent", "c")
        require_json(request)
        return self._ask(request, caller.client_id)

    def _peer(self, ask: Ask) -> Entry:
        """Where the directory says that this partner is. Raises the one 404."""
        peer = self._node.peer(ask.agent)
        if peer is None:
            raise not_found()
        return peer

    def _ask(self, request: Request, agent: str) -> Ask:
        return Ask(agent, self._identity, request_id(request))

    def _until_sent(self, response: Response, *disclosures: str) -> Response:
        """`response`, which notes the end of its disclosures when its last byte is out."""

        async def ended() -> None:
            self._node.ended.extend(disclosures)

        response.background = BackgroundTask(ended)
        return response

    def _own_subscriptions(self, ask: Ask) -> list[subscriptions.Subscription]:
        with self._node.store.work() as work:
            return subscriptions.of_subscriber(work, ask.identity.organization, ask.agent)

    def _remember(self, issuer: str, jti: str, expires: int) -> bool:
        with self._node.store.work() as work:
            return received.remember_assertion(work, issuer, jti, expires)


def _answer(found: Answer, base: str = "") -> Response:
    headers = {"ETag": found.etag} if found.etag else {}
    if found.location:
        headers["Location"] = f"{base}/{found.location}"
    return fhir_response(found.resource, found.status, headers)


def _result(number: int, one: Receipt | Refused) -> dict[str, Any]:
    """One record's line in the answer to its sender."""
    if isinstance(one, Refused):
        return {"record": number, "status": one.status, "outcome": one.outcome()}
    return {
        "record": number,
        "status": 201 if one.state in ("offered", "held") else 200,
        "referral": one.referral,
        "state": one.state,
        "taken_at": one.taken_at,
        "decided": one.decided,
        "needed": one.needed,
    }
