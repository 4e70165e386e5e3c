"""What a node has, in OpenAPI 3.1: `openapi.yaml`, less the addresses that one of its names has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from profiles.document import load

FILE: Final = Path(__file__).with_suffix(".yaml")
_EVERYWHERE: Final = "everywhere"
_FOR_CALLERS: Final = "for callers"


def description(addresses: Iterable[tuple[str, str]], server: str) -> dict[str, Any]:
    """The document about these addresses, each a method and a path. server: the origin where they are.

    Raises KeyError for one that is not described.
    """
    document = whole()
    paths: dict[str, dict[str, Any]] = {}
    for method, path in addresses:
        said = document["paths"][path]
        about = paths.setdefault(path, {name: said[name] for name in said.keys() & {"parameters"}})
        about[method.lower()] = _operation(said[method.lower()], document)
    kept = {name: document[name] for name in ("openapi", "info", "tags", "components")}
    kept["info"] = {**document["info"], "version": version("waymeet")}
    return {**kept, "servers": [{"url": server}], "paths": paths}


def _operation(said: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """An operation with the answers that are not its own."""
    shared = document[_EVERYWHERE] | (document[_FOR_CALLERS] if said["security"] else {})
    return {**said, "responses": shared | said["responses"]}


@cache
def whole() -> Mapping[str, Any]:
    """The file as it is: every address, and apart from them the answers that many have."""
    found: Mapping[str, Any] = load(FILE, {"type": "object"}).data
    return found
