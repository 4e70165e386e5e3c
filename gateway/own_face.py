"""What the node has under its own name alone: records, consents, `$validate`, consent services.

An alias has none of this.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from gateway import cds_hooks, consent_intake, fhir_json, permission, validate_operation
from gateway.callers import Callers
from gateway.errors import Refused, not_found
from gateway.exchange import Exchange
from gateway.http import fhir_response, idempotency_key, insufficient_scope, json_response, require_json
from gateway.node import Identity, Node
from gateway.oauth import scopes
from gateway.offering import Receipt


class OwnFace:
    """The handlers of the addresses that only the agency's own name has."""

    def __init__(self, node: Node, identity: Identity, exchange: Exchange, callers: Callers) -> None:
        self._node = node
        self._identity = identity
        self._exchange = exchange
        self._callers = callers

    async def hand_in(self, request: Request) -> Response:
        """Local records, in the system's own format."""
        caller = self._callers.any(request)
        system = request.path_params["system"]
        if system not in caller.systems:
            raise not_found()
        for letter, resource_type in (("c", "ServiceRequest"), ("u", "Task")):
            if not scopes.grants(caller.scopes, resource_type, letter):
                raise insufficient_scope(resource_type, letter)
        body = await request.body()
        done = await run_in_threadpool(
            self._exchange.hand_in,
            self._callers.ask(request, caller.client_id),
            system,
            body,
        )
        results = [_result(number, one) for number, one in enumerate(done, start=1)]
        statuses = {result["status"] for result in results}
        return json_response({"results": results}, statuses.pop() if len(statuses) == 1 else 207)

    async def hand_in_consent(self, request: Request) -> Response:
        """A consent of one of the agency's people, or its withdrawal, in plain answers or FHIR."""
        ask = self._callers.keeper_of_consents(request)
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
        ask = self._callers.keeper_of_consents(request)
        resource = fhir_json.resource(await request.body(), "Consent")
        consent_id, receipts = await run_in_threadpool(permission.record_consent, self._node, ask, resource)
        results = [_result(number, one) for number, one in enumerate(receipts, start=1)]
        return json_response({"consent": consent_id, "results": results}, 201)

    async def validate(self, request: Request) -> Response:
        """FHIR's $validate: what is wrong with a resource that is not stored, nor written down anywhere."""
        self._callers.any(request)
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
        self._callers.any(request)
        require_json(request)
        body, now = await request.body(), self._node.now().astimezone(self._node.settings.timezone)
        source = cds_hooks.Source(self._node.settings.name, self._identity.address)
        return json_response(await run_in_threadpool(cds_hooks.consult, body, now, self._node.policy, source))


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
