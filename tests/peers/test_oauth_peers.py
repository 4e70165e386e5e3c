"""OAuth with implementations that are not ours: oidc-provider as server, openid-client as client.

Needs Node.js and npm; the packages are installed once, exactly as package-lock.json says.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from gateway import keys
from gateway.assertion import TokenError, read_form
from gateway.authenticate import NO_STORE, Registration, TokenServer
from gateway.client import PeerClient
from gateway.directory import Entry
from gateway.transport import PeerRefused

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CLIENT_ID = "https://directory.example.org/Organization/mill-street-clinic"
SCOPE = "system/Task.rus system/Patient.r"


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """The npm packages, installed from the lock file when they are not there or another version was."""
    marker, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=HERE, check=True, timeout=300)


# -- their server, our client ---------------------------------------------------------------------------


@contextmanager
def oidc_provider(**setup: Any) -> Iterator[Entry]:
    """A directory entry whose address is a running oidc-provider."""
    command = ["node", "--no-warnings", "oidc-provider.mjs"]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(setup))
            process.stdin.close()
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), "oidc-provider did not start"
            yield Entry(
                organization="https://directory.example.org/Organization/partner",
                name="Partner",
                address=address,
                jwks={"keys": []},
                purposes=frozenset(),
                services=(),
                contacts={},
                status="active",
            )
        finally:
            process.kill()


def fetch(entry: Entry, key: ECKey, scope: str, times: int = 1) -> list[str]:
    """The tokens that our client gets, each one fetched anew."""

    async def tokens() -> list[str]:
        client = PeerClient(CLIENT_ID, key)
        try:
            return [(await client._fetch(entry, scope)).value for _ in range(times)]
        finally:
            await client.close()

    return asyncio.run(tokens())


def test_an_independent_server_takes_our_assertions() -> None:
    key = keys.generate()
    audience = "https://partner.example.org/fhir"
    with oidc_provider(
        client_id=CLIENT_ID, jwks=keys.public_jwks(key), scope=SCOPE, audience=audience
    ) as entry:
        first, second = fetch(entry, key, SCOPE, times=2)
    assert first != second
    payload = msgspec.json.decode(urlsafe_b64decode(first.split(".")[1].encode()))
    assert (payload["client_id"], payload["aud"]) == (CLIENT_ID, audience)
    assert set(payload["scope"].split()) == set(SCOPE.split())


def test_an_independent_server_refuses_another_key() -> None:
    registered = keys.public_jwks(keys.generate())
    with (
        oidc_provider(
            client_id=CLIENT_ID, jwks=registered, scope=SCOPE, audience="https://x.example"
        ) as entry,
        pytest.raises(PeerRefused, match="invalid_client"),
    ):
        fetch(entry, keys.generate(), SCOPE)


def test_less_than_we_asked_from_an_independent_server_is_noticed() -> None:
    key = keys.generate()
    with (
        oidc_provider(
            client_id=CLIENT_ID,
            jwks=keys.public_jwks(key),
            scope="system/Task.rus",
            audience="https://x.example",
        ) as entry,
        pytest.raises(PeerRefused),
    ):
        fetch(entry, key, SCOPE)


# -- our server, their client ---------------------------------------------------------------------------


@contextmanager
def token_endpoint(jwks: dict[str, Any]) -> Iterator[TokenServer]:
    """Our token endpoint, served as an application would serve it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = Registration(CLIENT_ID, jwks, frozenset({"system/Task.rus", "system/Patient.rs"}))
        used: set[tuple[str, str]] = set()

        def remember(client_id: str, jti: str, _expires: int) -> bool:
            new = (client_id, jti) not in used
            used.add((client_id, jti))
            return new

        server = TokenServer(issuer, keys.generate(), {CLIENT_ID: client}.get, remember)
        running = uvicorn.Server(uvicorn.Config(_app(server), log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.005)
        yield server
        running.should_exit = True
        thread.join(10)


def _app(server: TokenServer) -> FastAPI:
    app = FastAPI()

    @app.post("/oauth/token")
    async def token(request: Request) -> Response:
        try:
            form = read_form(await request.body(), request.headers.get("content-type", ""))
            status, body = 200, server.token(form, datetime.now(UTC))
        except TokenError as error:
            status, body = error.status, error.body()
        return Response(json.dumps(body), status, NO_STORE, "application/json")

    return app


def ask(
    server: TokenServer, key: dict[str, Any], alg: str, scope: str, times: int = 1
) -> list[dict[str, Any]]:
    """What openid-client gets from our token endpoint."""
    asked = {
        "issuer": server.issuer,
        "token_endpoint": server.token_endpoint,
        "client_id": CLIENT_ID,
        "jwk": key,
        "alg": alg,
        "scope": scope,
        "times": times,
    }
    done = subprocess.run(
        ["node", "--no-warnings", "openid-client.mjs"],
        cwd=HERE,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("alg", ["ES384", "RS384"])
def test_an_independent_client_gets_tokens_that_we_recognise(alg: str) -> None:
    key = keys.generate() if alg == "ES384" else RSAKey.generate_key(2048)
    private = key.as_dict(private=True, kid="their-key")
    public = key.as_dict(private=False, kid="their-key", alg=alg, use="sig")
    with token_endpoint({"keys": [public]}) as server:
        answers = ask(server, private, alg, SCOPE, times=3)
        for answer in answers:
            assert (answer["token_type"], answer["expires_in"]) == ("bearer", 300)
            assert answer["scope"] == SCOPE
            caller = server.verify(f"Bearer {answer['access_token']}", datetime.now(UTC))
            assert caller.client_id == CLIENT_ID
        assert len({answer["access_token"] for answer in answers}) == 3


def test_an_independent_client_understands_our_refusals() -> None:
    key = keys.generate()
    private = key.as_dict(private=True, kid="their-key")
    with token_endpoint({"keys": [keys.public_jwk(key) | {"kid": "their-key"}]}) as server:
        assert ask(server, private, "ES384", "system/Consent.r") == [{"error": "invalid_scope"}]
        assert ask(server, private | {"kid": "unknown"}, "ES384", SCOPE) == [{"error": "invalid_client"}]
