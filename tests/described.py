"""Every answer that a test gets from a node is one of which the node's own description speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from gateway import openapi

# How HTTP is spoken, not what an operation answers: nothing is said of them at each.
OF_ALL_HTTP = (405, 408, 414, 417, 431, 501, 505)


def check(method: str, path: str, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """Fails the test where the description does not know this status here, or not this kind of answer."""
    template = _template(path.partition("?")[0])
    if template is None or status in OF_ALL_HTTP:
        return
    operation = _all()["paths"][template].get(method.lower())
    if operation is None:
        return
    where = f"{method} {template}: {status}"
    answers = operation["responses"]
    if status == 404 and "404" not in answers:  # a name of the node that does not have this address
        answers = _all()["paths"]["/fhir/Task/{id}"]["get"]["responses"]
    assert str(status) in answers, f"{where} is not described"
    said = _read(answers[str(status)])
    content = said.get("content")
    if content is None:
        assert body == b"", f"{where} is described without a body"
        return
    kind = dict(headers).get(b"content-type", b"").decode()
    assert kind in content, f"{where} is not described as {kind}"
    if kind.endswith("json"):
        fault = next(
            iter(_validator(json.dumps(content[kind]["schema"])).iter_errors(json.loads(body))), None
        )
        assert fault is None, f"{where}: at {list(fault.instance_path)}: not as described"


@cache
def _all() -> Mapping[str, Any]:
    """What a node describes that has everything."""
    paths = openapi.whole()["paths"]
    addresses = [(way.upper(), path) for path, item in paths.items() for way in item if way != "parameters"]
    return openapi.description(addresses, "https://node.example.org")


@cache
def _template(path: str) -> str | None:
    known = sorted(
        _all()["paths"], key=lambda one: one.count("{")
    )  # /records/consent before /records/{system}
    return next((one for one in known if re.fullmatch(_pattern(one), path)), None)


def _pattern(template: str) -> str:
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))


def _read(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    found: Mapping[str, Any] = _all()["components"][kind][name]
    return found


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema) | {"components": _all()["components"]})
