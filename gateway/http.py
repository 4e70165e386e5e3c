"""What every request and every answer share: bounded bodies, OperationOutcomes, headers, request ids."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import fhir_json
from gateway.entrance import proxies
from gateway.entrance.safe_headers import NO_STORE, OwnHosts, headers_of
from gateway.errors import Refused, not_found, refuse
from gateway.fhir_json import FHIR_JSON
from profiles.outcome import Issue

log = logging.getLogger("waymeet.http")

_ISSUE_CODE = {404: "not-found", 405: "not-supported", 413: "too-long", 415: "not-supported"}


class Guard:
    """ASGI: what holds for every request to one identity, whatever its address.

    Each has an id (`X-Request-Id` is echoed if it is a UUID), one log line without data, in `state.source`
    the caller's IP address, and in `state.ended` what is let go once its last byte is out. Refused before
    anything of it is read: a body longer than `limit` bytes (413; without `Content-Length` as soon as the
    limit is passed), a compressed one (415), a request that a stated proxy got over plain HTTP though
    `address` is https (403), and a name in `Host` that is not this identity's (421). Every answer gets the
    headers of `gateway.entrance.safe_headers`.
    """

    def __init__(self, app: ASGIApp, limit: int, address: str = "", trusted: proxies.Networks = ()) -> None:
        """address: the identity's, such as https://node.example.org; without it any `Host` will do.

        trusted: the networks of this node's own proxies, which alone are believed about where a request
        came from.
        """
        self._app = app
        self._limit = limit
        self._trusted = trusted
        self._secure = address.startswith("https:")
        self._hosts = OwnHosts(address)
        self._headers = headers_of(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event, as ASGI 3 has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id", b""))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        ended = state["ended"] = contextlib.ExitStack()
        started = time.perf_counter()
        status = 0
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise _too_long(self._limit)
            return message

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = list(message.get("headers", ()))
                said += self._headers
                said.append((b"x-request-id", request_id.encode()))
                if b"cache-control" not in dict(said):
                    said.append(NO_STORE)
                message["headers"] = said
            await send(message)

        try:
            state["source"] = self._admit(scope, headers)
        except Refused as refusal:
            await refusal_response(refusal)(scope, receive, answered)
        else:
            try:
                await self._app(scope, counted, answered)
            except ClientDisconnect:
                log.info("request %s was not finished by its caller", request_id)
            except asyncio.CancelledError:
                if not status:
                    await refusal_response(_stopping())(scope, receive, answered)
                raise
            except Exception as fault:  # answered by then; the server must not log it with its values
                log.error("request %s broke: %s at %s", request_id, type(fault).__name__, _place(fault))
            finally:
                ended.close()
        route = getattr(scope.get("route"), "path", "-")
        spent = (time.perf_counter() - started) * 1000
        log.info("%s %s %s %.1f ms %s", scope["method"], route, status, spent, request_id)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The caller's address. Raises Refused where the head alone shows that this must not go on."""
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limit:
            raise _too_long(self._limit)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refused(
                415,
                [Issue("error", "not-supported", "Send the body as it is, not compressed.")],
                headers={"Accept-Encoding": "identity"},
            )
        source = proxies.source_address(scope, self._trusted)
        if self._secure and proxies.came_in_the_clear(scope, self._trusted):
            raise refuse(403, "security", "This address takes HTTPS only; what was sent could be read.")
        if not self._hosts.is_ours(headers.get(b"host"), scope["path"]):
            raise refuse(421, "not-found", "The name in Host is not this node's.")
        return source


def fhir_response(
    resource: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A FHIR resource as the answer."""
    return Response(
        fhir_json.encode(resource),
        status_code=status,
        media_type=FHIR_JSON,
        headers=headers,
    )


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Anything else in JSON."""
    return Response(
        fhir_json.encode(value),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def refusal_response(refusal: Refused) -> Response:
    """A refusal as status and OperationOutcome."""
    return fhir_response(
        refusal.outcome(), refusal.status, {**refusal.headers, "X-Waymeet-Erring": refusal.erring}
    )


def answer_errors(app: FastAPI) -> None:
    """Make every way to fail an OperationOutcome: refusals, unknown routes, and this node's own faults.

    An address with a slash too many is unknown: the router's redirect would be built from `Host` and lead
    to plain HTTP, and with it whatever the caller sends again.
    """
    app.router.redirect_slashes = False

    async def refused(_request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refused)
        return refusal_response(refusal)

    async def routed(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, HTTPException)
        if fault.status_code == 404:
            return refusal_response(not_found())
        code = _ISSUE_CODE.get(fault.status_code, "processing")
        headers = {"Allow": _methods(app, request.scope)} if fault.status_code == 405 else fault.headers
        issue = Issue("error", code, "This is not how this address is used.")
        return refusal_response(Refused(fault.status_code, [issue], headers=headers))

    async def broken(_request: Request, _fault: Exception) -> Response:
        issue = Issue("fatal", "exception", "This node failed; nothing was disclosed or lost. Try again.")
        return refusal_response(Refused(500, [issue], erring="this node"))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, routed)
    app.add_exception_handler(Exception, broken)


def request_id(request: Request) -> str:
    """The id of this attempt."""
    return str(request.state.request_id)


def source(request: Request) -> str:
    """The caller's IP address, behind the node's own proxies; "" when it was gone before it was known."""
    return str(request.state.source)


def authorization(request: Request) -> str | None:
    """The `Authorization` header; two of them make one that nobody can have meant."""
    return ", ".join(request.headers.getlist("authorization")) or None


def require_json(request: Request) -> None:
    """Refuse (415) a body that does not say it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FHIR_JSON, "application/json"):
        raise refuse(415, "not-supported", f"Send {FHIR_JSON}.")


def insufficient_scope(resource_type: str, letter: str) -> Refused:
    """403 for a token without the scope that this takes (RFC 6750, 3.1)."""
    scope = f"system/{resource_type}.{letter}"
    return Refused(
        403,
        refuse(403, "forbidden", f"This takes the scope {scope}.").issues,
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
    )


def idempotency_key(request: Request) -> str | None:
    """The key under which a repeated write is known; None without one. Raises Refused (400)."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 8 <= len(key) <= 128:
        raise refuse(400, "value", "Idempotency-Key has 8 to 128 characters.")
    return key


def _request_id(given: bytes) -> str:
    try:
        return str(UUID(given.decode("ascii")))
    except ValueError:
        return str(uuid4())


def _methods(app: FastAPI, scope: Scope) -> str:
    """Every method that some route takes at this address: the router itself names those of the first."""
    return ", ".join(
        sorted(
            {
                method
                for route in app.routes
                if route.matches(scope)[0] is not Match.NONE
                for method in getattr(route, "methods", None) or ()
            }
        )
    )


def _stopping() -> Refused:
    issue = Issue(
        "error",
        "transient",
        "This node is being stopped. Try again; a repeated write with its key is done once.",
    )
    return Refused(503, [issue], erring="this node", headers={"Retry-After": "5"})


def _too_long(limit: int) -> Refused:
    return refuse(413, "too-long", f"The body is longer than this node takes: {limit} bytes.")


def _place(fault: BaseException) -> str:
    """File and line of a fault, without its message, which could repeat a value."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
