"""A real nginx before a real node, with the configuration that the how-to page gives, taken from the page."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from transport_world import Answer, Authority, exchange, head

from gateway.demo.agencies import free_ports
from gateway.demo.processes import NodeProcess
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.signing import keys

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "run-behind-nginx.md"
NAME = "node.example.org"
HOST = f"Host: {NAME}"
ADDRESS = f"https://{NAME}"
PARTNER = "https://directory.example.org/Organization/example-food-pantry"
OWN = "own-system"
OWN_ADDRESS, OTHER_ADDRESS = "127.0.0.77", "127.0.0.78"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def put(text: str, **changes: str) -> str:
    """`text` with this machine's ports and files. Each must stand in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class World:
    """A node behind nginx. folder: the node's. Ports: nginx's two, and the node's own."""

    folder: Path
    tls: int
    plain: int
    node: int
    authority: Path
    log: Path

    def connect(
        self,
        *,
        from_address: str = OTHER_ADDRESS,
        certificate: tuple[Path, Path] | None = None,
        name: str = NAME,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.maximum_version = version
        if certificate:
            context.load_cert_chain(*certificate)
        plain = socket.create_connection(("127.0.0.1", self.tls), 10, (from_address, 0))
        return context.wrap_socket(plain, server_hostname=name)

    def ask(
        self,
        *lines: str,
        body: bytes = b"",
        from_address: str = OTHER_ADDRESS,
        certificate: tuple[Path, Path] | None = None,
    ) -> Answer:
        length = (f"Content-Length: {len(body)}",) if body else ()
        with self.connect(from_address=from_address, certificate=certificate) as connection:
            return exchange(connection, head(*lines, HOST, *length) + body)

    def token(self, client: str, key: ECKey, scope: str, *headers: str, from_address: str) -> Answer:
        """The answer to a request for a token."""
        now = int(time.time())
        claims = {"iss": client, "sub": client, "aud": f"{ADDRESS}/oauth/token", "iat": now, "exp": now + 60}
        claims["jti"] = secrets.token_urlsafe(16)
        header = {"alg": "ES384", "kid": key.thumbprint(), "typ": "JWT"}
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jws.serialize_compact(
                header, json.dumps(claims).encode(), key, algorithms=["ES384"]
            ),
        }
        return self.ask(
            "POST /oauth/token HTTP/1.1",
            "Content-Type: application/x-www-form-urlencoded",
            *headers,
            body=urlencode(form).encode(),
            from_address=from_address,
        )

    def own(self, *headers: str, from_address: str) -> Answer:
        key = keys.load(self.folder / "keys" / f"{OWN}.pem")
        return self.token(
            OWN, key, "system/ServiceRequest.c system/Task.u", *headers, from_address=from_address
        )

    def partner(self) -> Answer:
        key = keys.load(self.folder / "practice-partner" / "keys" / "example-food-pantry.pem")
        return self.token(PARTNER, key, "system/Organization.r", from_address=OTHER_ADDRESS)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[World]:
    """A node as `waymeet init` makes it, told what the page says. Its own system has one address."""
    base = tmp_path_factory.mktemp("behind")
    folder = base / "node"
    [port] = free_ports(1)
    made = [sys.executable, "-m", "gateway.cli.main", "init", str(folder), "--port", str(port)]
    subprocess.run(made, check=True, capture_output=True)
    config = folder / "node.yaml"
    [told] = (line for line in blocks("yaml")[0].splitlines() if line.startswith("proxies:"))
    changed = put(config.read_text("utf-8"), **{f"address: http://127.0.0.1:{port}": f"address: {ADDRESS}"})
    config.write_text(f"{changed}{told}\n", "utf-8")
    client = folder / "clients" / f"{OWN}.json"
    client.write_text(json.dumps(json.loads(client.read_text()) | {"addresses": [OWN_ADDRESS]}))
    process = NodeProcess(config, base / "node.log")
    process.start(f"http://127.0.0.1:{port}")
    try:
        yield World(folder, 0, 0, port, authority.write(base / "ca.pem"), base / "node.log")
    finally:
        process.stop()


@contextlib.contextmanager
def nginx(node: World, authority: Authority, folder: Path, configuration: str) -> Iterator[World]:
    """nginx with a configuration of the page, on free ports and with files of this machine."""
    tls, plain = free_ports(2)
    node = replace(node, tls=tls, plain=plain)
    authority.issue(folder / "node.crt", folder / "node.key", NAME)
    file = folder / "nginx.conf"
    file.write_text(
        put(
            configuration,
            **{
                "/run/nginx.pid": str(folder / "nginx.pid"),
                "/var/log/nginx/": f"{folder}/",
                "/etc/nginx/tls/": f"{folder}/",
                "listen 443 ssl": f"listen 127.0.0.1:{node.tls} ssl",
                "listen 80": f"listen 127.0.0.1:{node.plain}",
                "127.0.0.1:8460": f"127.0.0.1:{node.node}",
            },
        )
    )
    command = ["nginx", "-c", str(file), "-p", str(folder), "-g", "daemon off;"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", node.tls), 1):
                break
            time.sleep(0.05)
        yield node
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def behind(node: World, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with nginx(node, authority, tmp_path_factory.mktemp("nginx"), blocks("nginx")[0]) as world:
        yield world


def bearer(answer: Answer) -> str:
    assert answer.status == 200, answer
    return f"Authorization: Bearer {answer.json()['access_token']}"


def test_a_partner_gets_a_token_and_reads(behind: World) -> None:
    token = bearer(behind.partner())
    found = behind.ask("GET /fhir/Organization/example-food-pantry HTTP/1.1", token)
    assert found.status == 200 and found.json()["name"] == "Example Food Pantry"
    assert found.headers["strict-transport-security"] and found.headers["cache-control"] == "no-store"
    assert behind.ask("GET /fhir/Organization/example-food-pantry HTTP/1.1").status == 401


def test_the_node_sees_the_caller_and_not_the_proxy(behind: World) -> None:
    assert behind.own(from_address=OWN_ADDRESS).status == 200
    assert behind.own(from_address=OTHER_ADDRESS).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "header",
    [
        f"X-Forwarded-For: {OWN_ADDRESS}",
        f"X-Forwarded-For: {OWN_ADDRESS}, {OWN_ADDRESS}",
        f"X-Forwarded-For: {OWN_ADDRESS}, 127.0.0.1",
        f"Forwarded: for={OWN_ADDRESS}",
        f"X-Real-IP: {OWN_ADDRESS}",
    ],
)
def test_nobody_can_pretend_to_call_from_elsewhere(behind: World, header: str) -> None:
    assert behind.own(header, from_address=OTHER_ADDRESS).json()["error"] == "invalid_client"
    assert behind.own(header, from_address=OWN_ADDRESS).status == 200


def test_past_the_proxy_nobody_is_believed(behind: World) -> None:
    with socket.create_connection(("127.0.0.1", behind.node), 10, (OTHER_ADDRESS, 0)) as connection:
        lines = ("GET /fhir/metadata HTTP/1.1", HOST, "X-Forwarded-Proto: http")
        assert exchange(connection, head(*lines)).status == 200
    with socket.create_connection(("127.0.0.1", behind.node), 10) as connection:  # as the proxy would
        assert exchange(connection, head(*lines)).status == 403


def test_a_large_body_arrives_and_one_too_large_does_not(behind: World) -> None:
    token = bearer(behind.own(from_address=OWN_ADDRESS))
    lines = ("POST /records/case-json HTTP/1.1", token, "Content-Type: application/json")
    large = json.dumps({"filling": "x" * 900_000}).encode()
    taken = behind.ask(*lines, body=large, from_address=OWN_ADDRESS)
    assert taken.status == 422, taken
    too_large = behind.ask(*lines, body=b"x" * 1_100_000, from_address=OWN_ADDRESS)
    assert too_large.status == 413 and too_large.json()["resourceType"] == "OperationOutcome"
    assert behind.ask(*lines, body=b"x" * 3_000_000, from_address=OWN_ADDRESS).status == 413  # nginx's own


def test_plain_http_is_refused_and_not_redirected(behind: World) -> None:
    with socket.create_connection(("127.0.0.1", behind.plain), 10) as connection:
        answer = exchange(connection, head("GET /fhir/metadata HTTP/1.1", HOST))
    assert answer.status == 403 and "location" not in answer.headers


def test_another_name_gets_no_certificate(behind: World) -> None:
    with pytest.raises(ssl.SSLError):
        behind.connect(name="other.example.org")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_of_tls_are_refused(behind: World) -> None:
    assert behind.connect(version=ssl.TLSVersion.TLSv1_2).version() == "TLSv1.2"
    with pytest.raises((ssl.SSLError, OSError)):
        behind.connect(version=ssl.TLSVersion.TLSv1_1)


def test_what_the_page_keeps_for_own_systems_is_not_for_others(
    node: World, authority: Authority, tmp_path: Path
) -> None:
    inside = blocks("nginx")[0].replace("allow 127.0.0.0/8;", f"allow {OWN_ADDRESS};")
    with nginx(node, authority, tmp_path, inside) as world:
        for path in ("/records/case-json", "/fhir/Consent"):
            assert world.ask(f"POST {path} HTTP/1.1", body=b"{}").status == 403
            assert world.ask(f"POST {path} HTTP/1.1", body=b"{}", from_address=OWN_ADDRESS).status == 401
        assert world.ask("GET /fhir/metadata HTTP/1.1").status == 200


# ------------------------------------------------------------------ client certificates


@pytest.fixture(scope="module")
def mutual(
    node: World, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """With what the page adds to demand a client certificate; and the folder of such certificates."""
    folder = tmp_path_factory.mktemp("mutual")
    clients = Authority("Clients CA")
    clients.write(folder / "clients-ca.pem")
    clients.issue(folder / "client.crt", folder / "client.key", "ehr.example.org", client=True)
    Authority("Clients CA").issue(folder / "false.crt", folder / "false.key", "ehr.example.org", client=True)
    configuration, addition = blocks("nginx")
    last = "        ssl_certificate_key /etc/nginx/tls/node.key;\n"
    with nginx(node, authority, folder, put(configuration, **{last: last + addition})) as world:
        yield world, folder


def test_fhir_takes_a_certificate_and_a_token(mutual: tuple[World, Path]) -> None:
    world, folder = mutual
    good, false = ((folder / f"{name}.crt", folder / f"{name}.key") for name in ("client", "false"))
    read = ("GET /fhir/Organization/example-food-pantry HTTP/1.1", bearer(world.partner()))
    assert world.ask(*read).status == 403
    assert world.ask(*read, certificate=good).status == 200
    assert world.ask(read[0], certificate=good).status == 401
    assert world.ask(*read, certificate=false).status in (400, 403)
    assert world.ask("GET /health HTTP/1.1").status == 200
