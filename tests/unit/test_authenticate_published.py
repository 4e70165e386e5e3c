"""What a node says of its own OAuth server."""

from __future__ import annotations

import pytest
from oauth_world import ISSUER, NODE_KEY, Node

from gateway.oauth.authenticate import TokenServer
from gateway.oauth.revoked import Revoked
from gateway.signing.operational import KeyRing


@pytest.fixture
def node() -> Node:
    return Node()


def test_the_configuration_document_says_what_this_server_does(node: Node) -> None:
    document = node.server.smart_configuration()
    assert document == {
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "token_endpoint": f"{ISSUER}/oauth/token",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES384", "RS384"],
        "introspection_endpoint": f"{ISSUER}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["ES384", "RS384"],
        "revocation_endpoint": f"{ISSUER}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["ES384", "RS384"],
        "grant_types_supported": ["client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        "scopes_supported": ["system/Task.rus"],
    }


def test_secrets_are_announced_only_where_a_client_has_one(node: Node) -> None:
    document = node.server.smart_configuration(secrets=True)
    methods = ["private_key_jwt", "client_secret_basic", "client_secret_post"]
    for endpoint in ("token", "introspection", "revocation"):
        assert document[f"{endpoint}_endpoint_auth_methods_supported"] == methods
    assert "client-confidential-symmetric" in document["capabilities"]
    assert "client-confidential-symmetric" not in node.server.smart_configuration()["capabilities"]


def test_what_has_no_elements_is_left_out(node: Node) -> None:
    """RFC 8414 section 3.2."""
    bare = TokenServer(
        ISSUER, KeyRing.of(NODE_KEY), {}.get, lambda *_: True, node.server._clients._keys, Revoked()
    )
    assert "scopes_supported" not in bare.smart_configuration()


def test_the_published_keys_are_public(node: Node) -> None:
    (key,) = node.server.jwks()["keys"]
    assert key["kid"] == NODE_KEY.thumbprint()
    assert "d" not in key
