"""The OAuth addresses of one identity: tokens, what is known of them, taking them back, and public keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import Request, Response

from gateway.errors import not_found
from gateway.http import authorization, json_response, source
from gateway.node import Identity, Node
from gateway.oauth.assertion import TokenError, read_form
from gateway.oauth.authenticate import NO_STORE, TokenServer

log = logging.getLogger("waymeet.oauth")

_KEYS_KEPT = {"Cache-Control": "max-age=300"}


class _Step(Protocol):
    async def __call__(
        self, form: list[tuple[str, str]], now: Any, authorization: str | None, source: str | None
    ) -> Mapping[str, Any] | None: ...


class OAuthFace:
    """The handlers that prove who somebody is. All are open; what is posted carries its own proof."""

    def __init__(self, node: Node, identity: Identity, tokens: TokenServer) -> None:
        self._node = node
        self._identity = identity
        self._tokens = tokens

    async def smart_configuration(self, _request: Request) -> Response:
        """SMART App Launch 2.2, discovery for backend services."""
        secrets = not self._identity.alias and any(
            client.secret is not None for client in self._node.clients.all()
        )
        return json_response(self._tokens.smart_configuration(secrets))

    async def jwks(self, _request: Request) -> Response:
        """This identity's public keys."""
        return json_response(self._tokens.jwks(), headers=_KEYS_KEPT)

    async def signed_jwks(self, _request: Request) -> Response:
        """Its operational keys, signed by the key that the directory names."""
        published = self._identity.ring.published()
        if published is None:
            raise not_found()
        body, media_type = published
        return Response(body, media_type=media_type, headers=_KEYS_KEPT)

    async def token(self, request: Request) -> Response:
        """OAuth 2.0 token endpoint (client_credentials)."""
        return await self._answered(request, self._tokens.token)

    async def introspect(self, request: Request) -> Response:
        """What is known of a token (RFC 7662)."""
        return await self._answered(request, self._tokens.introspect)

    async def revoke(self, request: Request) -> Response:
        """Take a token back (RFC 7009)."""
        return await self._answered(request, self._tokens.revoke)

    async def _answered(self, request: Request, step: _Step) -> Response:
        body = await request.body()
        try:
            form = read_form(body, request.headers.get("content-type", ""))
            answer = await step(form, self._node.now(), authorization(request), source(request) or None)
        except TokenError as error:
            log.info("%s refused (%s): %s", request.url.path, error.error, error.description)
            return json_response(error.body(), error.status, {**error.headers, **NO_STORE})
        if answer is None:
            return Response(headers=NO_STORE)
        return json_response(answer, headers=NO_STORE)
