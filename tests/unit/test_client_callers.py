"""Who in this software may call out at all, and whose addresses they hand to the one client."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

CALLS_OUT = {
    "gateway/calling/client.py",
    "gateway/calling/tokens.py",
    "gateway/calling/transport.py",
    "gateway/calling/egress.py",
}
# The demonstration starts nodes and waits for them; it is no part of a node.
NO_NODE = "gateway/demo/"
CLIENTS = {"httpx", "httpx2", "httpcore", "httpcore2", "authlib", "aiohttp", "requests", "urllib3", "anyio"}
CLIENTS |= {"http.client", "urllib.request", "ftplib", "smtplib", "telnetlib", "xmlrpc", "websockets"}
CONNECTS = {"create_connection", "open_connection", "open_unix_connection", "urlopen", "connect_tcp"}
# Who gives an address to the client, and whose it is. A new line here says so of a new one.
GIVES = {
    "fetch": {
        "gateway/calling/client.py",  # of tokens, by the directory or the configuration
        "gateway/keys_of_callers.py",  # hands it to gateway.oauth.key_sources
        "gateway/upkeep.py",  # hands it to gateway.trust.mirror
    },
    "_fetch": {
        "gateway/calling/client.py",
        "gateway/oauth/key_sources.py",  # registered by the operator, or by a partner in the directory
        "gateway/trust/mirror.py",  # the directory's, in the configuration
        "gateway/upkeep.py",
    },
    "post_webhook": {"gateway/writeback.py"},  # the own system's, in the configuration
}
MAKES_CONNECTIONS = {
    "gateway/calling/client.py",  # to the addresses in the directory
    "gateway/calling/connection_files.py",  # to those in the configuration
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("gateway", "consent", "mappings", "profiles"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(NO_NODE):
                yield name, ast.parse(path.read_bytes())


def test_one_place_calls_out() -> None:
    found = {name for name, module in modules() if imported(module) & CLIENTS}
    assert found == CALLS_OUT


def imported(module: ast.Module) -> set[str]:
    """What a module imports: each name, and what it begins with."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.partition(".")[0] for name in names}


def test_nobody_else_opens_a_connection() -> None:
    found = {(name, call) for name, module in modules() for call in called(module) & CONNECTS}
    assert found <= {("gateway/calling/egress.py", "connect_tcp")}


def test_whoever_gives_an_address_to_the_client_is_named_here() -> None:
    for name, known in GIVES.items():
        assert {path for path, module in modules() if name in taken(module)} <= known, name


def test_connections_are_made_of_the_directory_and_the_configuration() -> None:
    assert {path for path, module in modules() if "Connection" in called(module)} <= MAKES_CONNECTIONS


def taken(module: ast.Module) -> set[str]:
    """The names that a module takes from an object, called or not."""
    return {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}


def called(module: ast.Module) -> set[str]:
    """The names of all functions that are called in a module."""
    calls = (node.func for node in ast.walk(module) if isinstance(node, ast.Call))
    return {
        function.attr if isinstance(function, ast.Attribute) else function.id
        for function in calls
        if isinstance(function, ast.Attribute | ast.Name)
    }
