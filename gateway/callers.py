"""Who calls: the token in a request, and whether its bearer may do what the address is for."""

from __future__ import annotations

from fastapi import Request

from gateway.errors import not_found
from gateway.http import authorization, insufficient_scope, request_id, require_json, source
from gateway.node import PARTNER_SCOPES, Identity, Node
from gateway.oauth import scopes
from gateway.oauth.allowance import Allowance
from gateway.oauth.authenticate import Caller, TokenServer
from gateway.oauth.client_authentication import Keys
from gateway.recording import Ask
from gateway.sending import DIRECTORY_HEADER
from gateway.store import received


class Callers:
    """Those who call one identity of the node, and the tokens it gives them."""

    def __init__(self, node: Node, identity: Identity, keys: Keys) -> None:
        """keys: finds the public keys of those who prove themselves with one."""
        limits = node.settings.limits
        self._node = node
        self._identity = identity
        self.allowance = Allowance(limits.requests_per_second, at_once=limits.requests_at_once)
        self.tokens = TokenServer(
            identity.address,
            identity.ring,
            lambda client_id: node.registration(identity, client_id),
            self._remember,
            keys,
            node.revoked,
            PARTNER_SCOPES,
            attempts=Allowance(limits.requests_per_second),
            allowance=Allowance(limits.requests_per_second),
            tag_key=node.store.vault.digest("access token", identity.organization).encode(),
        )

    def any(self, request: Request) -> Caller:
        """Whoever has a token of this identity. Raises Refused 401 or 429."""
        caller = self.tokens.verify(authorization(request), self._node.now(), source(request) or None)
        self.allowance.take(caller.client_id)
        request.state.ended.enter_context(self.allowance.in_flight(caller.client_id))
        return caller

    def partner(self, request: Request, resource_type: str, letter: str) -> Ask:
        """A partner with the scope that this takes. Raises Refused 401, 403, 429, or the one 404."""
        caller = self.any(request)
        if not scopes.grants(caller.scopes, resource_type, letter):
            raise insufficient_scope(resource_type, letter)
        if caller.organization is None:
            raise not_found()
        if said := request.headers.get(DIRECTORY_HEADER):
            self._node.trust.heard(caller.organization, said)
        return Ask(caller.organization, self._identity, request_id(request), caller.purposes)

    def keeper_of_consents(self, request: Request) -> Ask:
        """One of the agency's own systems that may hand in consents. Raises Refused 401, 403, 415, 404.

        To take a consent back takes no other scope: who may widen what is shared may always narrow it.
        """
        caller = self.any(request)
        if caller.organization is not None:
            raise not_found()
        if not scopes.grants(caller.scopes, "Consent", "c"):
            raise insufficient_scope("Consent", "c")
        require_json(request)
        return self.ask(request, caller.client_id)

    def ask(self, request: Request, agent: str) -> Ask:
        """The attempt of this caller, under this identity."""
        return Ask(agent, self._identity, request_id(request))

    def _remember(self, issuer: str, jti: str, expires: int) -> bool:
        with self._node.store.work() as work:
            return received.remember_assertion(work, issuer, jti, expires)
