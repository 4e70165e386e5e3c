"""What an identity says of its own OAuth server: SMART App Launch 2.2, "Conformance"; RFC 8414 section 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.oauth.assertion import GRANT_TYPE, KEY_TYPE


def smart_configuration(
    issuer: str, token_endpoint: str, scopes_supported: Sequence[str], secrets: bool
) -> dict[str, Any]:
    """The document for backend services: there is no authorization endpoint here, and nobody signs in.

    issuer: the identity's address. secrets: whether a client is registered with a secret.
    """
    methods = ["private_key_jwt", *(("client_secret_basic", "client_secret_post") if secrets else ())]
    capabilities = ["client-confidential-asymmetric", "permission-v1", "permission-v2"]
    document: dict[str, Any] = {
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "token_endpoint": token_endpoint,
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "grant_types_supported": [GRANT_TYPE],
        # Required by the guide of every server, also of one without an authorization endpoint.
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [*capabilities, *(["client-confidential-symmetric"] if secrets else ())],
    }
    for endpoint in ("token", "introspection", "revocation"):
        document[f"{endpoint}_endpoint_auth_methods_supported"] = list(methods)
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(KEY_TYPE)
    if scopes_supported:
        document["scopes_supported"] = list(scopes_supported)
    return document
