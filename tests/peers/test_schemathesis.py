"""Every address of a running node, called by schemathesis in ways nobody foresaw, with and without tokens.

It goes by what the node itself says at `/openapi.json`, and by nothing else but for the ids of a referral.
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
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.testclient import TestClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit"))

from callers_world import PLACES, Doorstep  # noqa: E402 - found beside the unit tests

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
    "safe_headers",
)


def description(doorstep: Doorstep, tags: list[str]) -> dict[str, Any]:
    """What the node says of its addresses with these tags, with an example of each part of a path."""
    identity = doorstep.identity
    with TestClient(doorstep.apps[identity.organization], base_url=identity.address) as client:
        document: dict[str, Any] = client.get("/openapi.json").json()
    for path, item in document["paths"].items():
        kind = path.split("/")[2] if path.startswith("/fhir/") else ""
        known = {"system": "shelter-csv", "type": "Patient", "id": doorstep.known.get(kind, "x")}
        shared = [_read(document, one) for one in item.pop("parameters", ())]
        for method, operation in list(item.items()):
            if operation["tags"][0] not in tags:
                del item[method]
            named = [*shared, *operation.get("parameters", ())]
            operation["parameters"] = [
                one | {"example": known[one["name"]]} if one.get("in") == "path" else one for one in named
            ]
    return document


def _read(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    name = parameter.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["parameters"][name] if name else parameter
    return found


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
    tags: list[str],
    changed: Callable[[Any, str], Any] | None = None,
) -> str:
    """What schemathesis has to say of a node that is visited as `caller`; nothing where all is well.

    changed: makes another application of the node's own, and of the token that is shown.
    """
    doorstep = Doorstep(folder / "node", PLACES[place])
    file = folder / "openapi.json"
    file.write_text(json.dumps(description(doorstep, tags)))
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
    ("place", "caller", "tags"),
    [
        ("hospital", "nobody", ["open", "oauth"]),
        ("hospital", "partner", ["partner", "any"]),
        ("hospital", "own system", ["own", "any"]),
        ("alias", "partner", ["open", "oauth", "partner"]),
    ],
)
def test_no_address_breaks_or_lets_anybody_in(
    place: str, caller: str, tags: list[str], tmp_path: Path
) -> None:
    assert findings(tmp_path, place, caller, tags) == ""


@pytest.mark.parametrize("place", ["hospital", "alias"])
def test_the_description_is_good_openapi(place: str, tmp_path: Path) -> None:
    doorstep = Doorstep(tmp_path, PLACES[place])
    document = description(doorstep, ["open", "oauth", "partner", "own", "any"])
    doorstep.close()
    assert [
        (list(one.instance_path), one.message) for one in OPENAPI_31_VALIDATOR.iter_errors(document)
    ] == []


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
