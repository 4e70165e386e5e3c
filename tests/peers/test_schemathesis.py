"""Every address of a running node, called by schemathesis in ways nobody foresaw, with and without tokens.

Our handlers take the raw request, so the description that it goes by is made here: the addresses of the
running application, and from tests/cases/authorization.yaml which ask for a token and what is sent there.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit"))

from callers_world import PLACES, Doorstep  # noqa: E402 - found beside the unit tests

pytestmark = pytest.mark.slow

ADDRESSES = yaml.safe_load((HERE.parent / "cases" / "authorization.yaml").read_text("utf-8"))["addresses"]
FHIR, JSON, FORM = "application/fhir+json", "application/json", "application/x-www-form-urlencoded"
# Every status that an address may have; 5xx is none of them, but for a node that is not ready.
STATUSES = (200, 201, 207, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 421, 422, 428, 429)
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
    "safe_headers",
)
OAUTH = (
    "grant_type",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
)


def description(doorstep: Doorstep, *classes: str) -> dict[str, Any]:
    """The addresses of these classes that the application has, as OpenAPI."""
    paths: dict[str, Any] = {}
    for route in doorstep.apps[doorstep.identity.organization]._app.routes:
        for method in route.methods:
            said = ADDRESSES[f"{method} {route.path}"]
            if said["class"] in classes:
                paths.setdefault(route.path, {})[method.lower()] = _operation(doorstep, route.path, said)
    security = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "A node", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": security},
    }


def _operation(doorstep: Doorstep, path: str, said: dict[str, Any]) -> dict[str, Any]:
    answers = {kind: {"schema": {}} for kind in (FHIR, JSON, "application/jwk-set+jwt")}
    operation: dict[str, Any] = {
        "parameters": [_parameter(doorstep, path, name) for name in re.findall(r"{(\w+)}", path)],
        "responses": {str(status): {"description": "", "content": answers} for status in STATUSES},
        "security": [] if said["class"] == "open" else [{"token": []}],
    }
    operation["responses"]["200"]["content"] = answers | {"*/*": {"schema": {}}}
    if path.startswith("/oauth/"):
        fields = {name: {"type": "string"} for name in OAUTH}
        operation["requestBody"] = {"content": {FORM: {"schema": {"type": "object", "properties": fields}}}}
    elif "send" in said:
        operation["requestBody"] = {"content": {FHIR: {"schema": {"type": "object"}}}}
    if path.endswith("/ready"):
        operation["responses"]["503"] = operation["responses"]["200"]
    return operation


def _parameter(doorstep: Doorstep, path: str, name: str) -> dict[str, Any]:
    known = {"system": "shelter-csv", "type": "Patient", "id": doorstep.known.get(path.split("/")[2], "x")}
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": known[name]}


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an application, running."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", lifespan="off", server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def findings(
    folder: Path,
    place: str,
    caller: str,
    classes: list[str],
    changed: Callable[[Any, str], Any] | None = None,
) -> str:
    """What schemathesis has to say of a node that is visited as `caller`; nothing where all is well.

    changed: makes another application of the node's own, and of the token that is shown.
    """
    doorstep = Doorstep(folder / "node", PLACES[place])
    file = folder / "openapi.json"
    file.write_text(json.dumps(description(doorstep, *classes)))
    app = doorstep.apps[doorstep.identity.organization]
    token = doorstep.tokens.get(caller, "")
    with served(changed(app, token) if changed else app) as url:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(file), "--url", url]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
        command += ["--max-examples", "25", "--seed", "1", "--workers", "1", "--rate-limit", "150/s"]
        command += ["--continue-on-failure", "--warnings", "off", "--no-color"]
        command += ["--header", f"Host: {doorstep.identity.address.removeprefix('http://')}"]
        if token:
            command += ["--header", f"Authorization: Bearer {token}"]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_checks", "PYTHONPATH": str(HERE)}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    doorstep.close()
    said = done.stdout + done.stderr
    assert re.search(r"(\d+) generated", said), said[-4000:]
    return "" if done.returncode == 0 else said[-6000:]


@pytest.mark.parametrize(
    ("place", "caller", "classes"),
    [
        ("hospital", "nobody", ["open"]),
        ("hospital", "partner", ["partner", "any"]),
        ("hospital", "own system", ["own", "any"]),
        ("alias", "partner", ["open", "partner"]),
    ],
)
def test_no_address_breaks_or_lets_anybody_in(
    place: str, caller: str, classes: list[str], tmp_path: Path
) -> None:
    assert findings(tmp_path, place, caller, classes) == ""


def lets_everybody_in(app: Any, token: str) -> Any:
    """Who brings no good token is given the partner's."""

    async def changed(scope: Any, receive: Any, send: Any) -> None:
        others = [one for one in scope.get("headers", ()) if one[0] != b"authorization"]
        shown = (b"authorization", f"Bearer {token}".encode())
        await app({**scope, "headers": [*others, shown]}, receive, send)

    return changed


def tells_what_it_is(app: Any, _token: str) -> Any:
    """One header more, and one less."""

    async def changed(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [one for one in message["headers"] if one[0] != b"x-content-type-options"]
                message = {**message, "headers": [*kept, (b"server", b"waymeet")]}
            await send(message)

        await app(scope, receive, told)

    return changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [(lets_everybody_in, "accepts requests without authentication"), (tells_what_it_is, "safe_headers")],
)
def test_a_hole_would_be_found(changed: Callable[[Any, str], Any], said: str, tmp_path: Path) -> None:
    found = findings(tmp_path, "hospital", "partner", ["partner"], changed)
    assert said in found.lower(), found
