"""The node's web face under one of its names: addresses, and which step of the exchange each one calls.

Partners meet the FHIR addresses; the agency's own systems meet `/records` and `POST /fhir/Consent`. Those,
`$validate` and `/cds-services` an alias does not have. Every handler takes the raw request and answers a
finished response.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from gateway import fhir_json, health, notification, notify, openapi, task_search
from gateway.callers import Callers
from gateway.capability import capability_statement
from gateway.errors import not_found, refuse
from gateway.exchange import Answer, Exchange
from gateway.http import (
    Guard,
    answer_errors,
    fhir_response,
    idempotency_key,
    json_response,
    require_json,
)
from gateway.keys_of_callers import KeysOfCallers
from gateway.node import SIGNED_JWKS, Identity, Node
from gateway.oauth.client_authentication import Keys
from gateway.oauth_face import OAuthFace
from gateway.own_face import OwnFace
from gateway.recording import Ask
from gateway.store import subscriptions
from gateway.trust.directory import Entry, organization_resource

READABLE = ("ServiceRequest", "Patient", "Observation", "DocumentReference")


def create_app(node: Node, identity: Identity, keys: Keys | None = None) -> Guard:
    """The ASGI application of one identity of the node.

    keys: finds the public keys of its callers; without it only those that are registered inline are known.
    """
    app = FastAPI(title="Waymeet", docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    exchange, callers = Exchange(node), Callers(node, identity, keys or KeysOfCallers(node))
    oauth = OAuthFace(node, identity, callers.tokens)
    face = _Face(node, identity, exchange, callers)
    own = OwnFace(node, identity, exchange, callers)

    addresses: list[tuple[str, str]] = []

    def route(method: str, path: str, handler: Callable[[Request], Any]) -> None:
        addresses.append((method, path))
        app.add_api_route(path, handler, methods=[method], response_class=Response, response_model=None)

    async def described(_request: Request) -> Response:
        """What this identity has, as OpenAPI."""
        return json_response(openapi.description(addresses, identity.address))

    route("GET", "/openapi.json", described)
    route("GET", "/health", face.health)
    route("GET", "/ready", face.ready)
    route("GET", "/fhir/metadata", face.metadata)
    route("GET", "/.well-known/smart-configuration", oauth.smart_configuration)
    route("GET", "/fhir/.well-known/smart-configuration", oauth.smart_configuration)
    route("GET", "/.well-known/jwks.json", oauth.jwks)
    route("GET", SIGNED_JWKS, oauth.signed_jwks)
    route("POST", "/oauth/token", oauth.token)
    route("POST", "/oauth/introspect", oauth.introspect)
    route("POST", "/oauth/revoke", oauth.revoke)
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
        route("POST", "/records/consent", own.hand_in_consent)
        route("POST", "/records/{system}", own.hand_in)
        route("POST", "/fhir/Consent", own.record_consent)
        # Which packages are held could tell which agency an alias stands for.
        route("POST", "/fhir/{type}/$validate", own.validate)
        if node.settings.consent_service:
            route("GET", "/cds-services", own.cds_services)
            route("POST", "/cds-services/patient-consent-consult", own.consult_consents)
    return Guard(app, node.settings.body_limit, identity.address, node.settings.proxies)


class _Face:
    """The handlers that every identity has: for everybody, and for partners."""

    def __init__(self, node: Node, identity: Identity, exchange: Exchange, callers: Callers) -> None:
        self._node = node
        self._identity = identity
        self._exchange = exchange
        self._callers = callers

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

    # ------------------------------------------------------------ partners

    def read(self, resource_type: str) -> Callable[[Request], Any]:
        """The handler that reads one resource of a type."""

        async def handler(request: Request) -> Response:
            ask = self._callers.partner(request, resource_type, "r")
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
        ask = self._callers.partner(request, "Task", "s")
        search = task_search.parse(request.query_params.multi_items())
        found = await run_in_threadpool(self._exchange.search_tasks, ask, search.matches)
        answer = fhir_response(search.bundle(found.tasks, self._identity.fhir_base))
        return self._until_sent(answer, *found.disclosures)

    async def update_task(self, request: Request) -> Response:
        """A recipient's new version of its Task."""
        ask = self._callers.partner(request, "Task", "u")
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
        ask = self._callers.partner(request, "Procedure", "c")
        require_json(request)
        wanted = fhir_json.resource(await request.body(), "Procedure")
        made = await run_in_threadpool(self._exchange.add_procedure, ask, wanted, idempotency_key(request))
        return _answer(made, self._identity.fhir_base)

    async def organization(self, request: Request) -> Response:
        """An organisation of the directory, from this node's copy."""
        self._callers.partner(request, "Organization", "r")
        entry = self._node.directory.by_id(request.path_params["id"])
        if entry is None:
            raise not_found()
        trusted = self._node.peer(entry.organization) or entry
        return fhir_response(organization_resource(trusted))

    async def subscribe(self, request: Request) -> Response:
        """A partner's Subscription to its Tasks (backport R4, rest-hook, id-only)."""
        ask = self._callers.partner(request, "Subscription", "c")
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
        ask = self._callers.partner(request, "Subscription", "s")
        if request.query_params:
            raise refuse(400, "not-supported", "Search parameters are not known here; you see your own.")
        found = await run_in_threadpool(self._own_subscriptions, ask)
        return fhir_response(notification.searchset(found, self._identity.fhir_base))

    async def read_subscription(self, request: Request) -> Response:
        """One of this partner's own Subscriptions."""
        ask = self._callers.partner(request, "Subscription", "r")
        for one in await run_in_threadpool(self._own_subscriptions, ask):
            if one.id == request.path_params["id"]:
                return fhir_response(notification.subscription_resource(one))
        raise not_found()

    async def take_notification(self, request: Request) -> Response:
        """A partner tells us that Tasks of ours changed there."""
        ask = self._callers.partner(request, "Bundle", "c")
        require_json(request)
        bundle = fhir_json.resource(await request.body(), "Bundle")
        events = notification.read_bundle(bundle, self._peer(ask).fhir_base, self._node.definitions)
        await run_in_threadpool(self._exchange.learn, ask, events)
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    # ------------------------------------------------------------ shared

    def _peer(self, ask: Ask) -> Entry:
        """Where the directory says that this partner is. Raises the one 404."""
        peer = self._node.peer(ask.agent)
        if peer is None:
            raise not_found()
        return peer

    def _until_sent(self, response: Response, *disclosures: str) -> Response:
        """`response`, which notes the end of its disclosures when its last byte is out."""

        async def ended() -> None:
            self._node.ended.extend(disclosures)

        response.background = BackgroundTask(ended)
        return response

    def _own_subscriptions(self, ask: Ask) -> list[subscriptions.Subscription]:
        with self._node.store.work() as work:
            return subscriptions.of_subscriber(work, ask.identity.organization, ask.agent)


def _answer(found: Answer, base: str = "") -> Response:
    headers = {"ETag": found.etag} if found.etag else {}
    if found.location:
        headers["Location"] = f"{base}/{found.location}"
    return fhir_response(found.resource, found.status, headers)
