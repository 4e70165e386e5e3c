"""What a client that has proven who it is gets of what it asks for: scopes and purposes, as registered."""

from __future__ import annotations

from gateway.oauth import scopes
from gateway.oauth.assertion import TokenError, invalid_grant
from gateway.oauth.client_authentication import Proven
from gateway.oauth.registration import Registration


def granted(requested: str, proven: Proven) -> tuple[str, frozenset[str] | None]:
    """The `scope` to answer with, and the purposes that the token is narrowed to (None: not narrowed).

    requested: the `scope` parameter. Raises TokenError (`invalid_scope`, `invalid_grant`).
    """
    return _scope(requested, proven.registration), _purposes(proven)


def _scope(requested: str, registered: Registration) -> str:
    try:
        found = scopes.narrow(requested, registered.scopes)
    except scopes.ScopeError as error:
        raise TokenError(400, "invalid_scope", f"{error}.") from None
    if not found:
        raise TokenError(400, "invalid_scope", "Nothing that was asked for is registered for this client.")
    return " ".join(found)


def _purposes(proven: Proven) -> frozenset[str] | None:
    """FAST security 2.0, section 5.3.1: what `hl7-b2b` says, if all of it is registered."""
    asked, registered = proven.narrowed, proven.registration
    if asked is None:
        return None
    # A node speaks for one organization; who says another would be recorded as somebody else.
    if registered.organization is not None and asked.organization != registered.organization:
        raise invalid_grant("hl7-b2b: organization_id must be the organization that is registered.")
    if registered.serves(asked.purposes) != asked.purposes:
        raise invalid_grant("hl7-b2b: purpose_of_use must hold purposes that are registered only.")
    return asked.purposes
