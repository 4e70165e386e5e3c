"""A real server on 127.0.0.1 before a small application, and callers who write the bytes themselves."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request, Response

from gateway.entrance.certificate import Certificate
from gateway.entrance.http_limits import Patience
from gateway.entrance.listening import Server, bind
from gateway.entrance.safe_headers import headers_of
from gateway.http import Guard, answer_errors, json_response, source

BODY_LIMIT = 100_000
BIG = 8 * 1024 * 1024
LONG = Patience(head=20, body=20, answer=20, idle=20)


def application() -> FastAPI:
    """What stands behind the transport here."""
    app = FastAPI()
    answer_errors(app)

    async def hello(request: Request) -> Response:
        return json_response({"source": source(request), "scheme": request.url.scheme})

    async def size(request: Request) -> Response:
        return json_response({"bytes": len(await request.body()), "seen": dict(request.headers)})

    async def big(_request: Request) -> Response:
        return Response(b"x" * BIG)

    async def keys(_request: Request) -> Response:
        return json_response({}, headers={"Cache-Control": "max-age=300"})

    async def broken(_request: Request) -> Response:
        raise RuntimeError("qzx")

    for method, path, handler in (
        ("GET", "/hello", hello),
        ("GET", "/health", hello),
        ("POST", "/size", size),
        ("PUT", "/size", size),
        ("GET", "/big", big),
        ("GET", "/keys", keys),
        ("GET", "/broken", broken),
    ):
        app.add_api_route(path, handler, methods=[method], response_class=Response, response_model=None)
    return app


@dataclass
class Serving:
    """A server that runs: its port, and itself for those who look inside."""

    port: int
    server: Server
    guard: Guard

    def connect(self, from_address: str = "127.0.0.1") -> socket.socket:
        """A plain connection; any 127.x.y.z can be the caller's address."""
        return socket.create_connection(("127.0.0.1", self.port), 10, (from_address, 0))

    def ask(self, *lines: str, body: bytes = b"", from_address: str = "127.0.0.1") -> Answer:
        """The answer to one request, of which the lines of the head are given."""
        with self.connect(from_address) as connection:
            return exchange(connection, head(*lines) + body)


@contextmanager
def serving(
    *,
    patience: Patience = LONG,
    address: str = "",
    proxies: Sequence[str] = (),
    certificate: Certificate | None = None,
) -> Iterator[Serving]:
    """The application behind the transport, in a thread of its own."""
    trusted = tuple(ip_network(proxy) for proxy in proxies)
    guard = Guard(application(), BODY_LIMIT, address, trusted)
    server = Server(
        guard, patience=patience, headers=headers_of(address), trusted=trusted, certificate=certificate
    )
    bound = bind("127.0.0.1", 0)
    port = bound.getsockname()[1]
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        yield Serving(port, server, guard)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def serve_with_few_files(bound: socket.socket, files: int) -> None:
    """The application in a process that may have no more than so many files open. Ends when it is ended."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    bound.setblocking(False)
    server = Server(Guard(application(), BODY_LIMIT), patience=LONG, headers=headers_of(""))
    uvloop.run(server.serve(sockets=[bound]))


# ------------------------------------------------------------------ the caller's side


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the wire. headers: names in lower case; several of one name are a list."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    lines: tuple[str, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body)


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(connection: socket.socket, request: bytes) -> Answer:
    """Send and read one answer. A server that stops listening half-way has its answer read all the same."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request)
    return read(connection)


def read(connection: socket.socket) -> Answer:
    """One answer; status 0 when the connection ended without any."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := _receive(connection))
        if not more:
            assert not data, data
            return Answer(0)
    start, _, body = data.partition(b"\r\n\r\n")
    lines = start.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, value = line.split(": ", 1)
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    while len(body) < int(headers.get("content-length", 0)):
        body += (more := _receive(connection))
        assert more, "the answer was cut off"
    return Answer(int(lines[0].split()[1]), headers, body, tuple(lines))


def ended(connection: socket.socket) -> bool:
    """Wait until the server has closed; False when something came instead, or nothing for 10 seconds."""
    try:
        return not _receive(connection)
    except TimeoutError:
        return False


def _receive(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    try:
        return connection.recv(65536)
    except (ConnectionResetError, ssl.SSLEOFError):
        return b""


# ------------------------------------------------------------------ certificates


class Authority:
    """A private certificate authority of a test."""

    def __init__(self, name: str = "Test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, x509.BasicConstraints(True, 0), days=3650)

    def issue(
        self,
        chain: Path,
        key: Path,
        name: str = "node.example.org",
        days: float = 30,
        *,
        client: bool = False,
    ) -> x509.Certificate:
        """A certificate for `name` and 127.0.0.1, written to `chain`; its private key to `key`, 0600."""
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, private, x509.BasicConstraints(False, None), days, client=client)
        key.touch(0o600)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate

    def write(self, path: Path) -> Path:
        """The authority's own certificate, for those who shall trust it."""
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        days: float,
        *,
        client: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage = x509.ExtendedKeyUsageOID.CLIENT_AUTH if client else x509.ExtendedKeyUsageOID.SERVER_AUTH
        names = [
            x509.DNSName(str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value).split()[0]),
            x509.IPAddress(IPv4Address("127.0.0.1")),
        ]
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + timedelta(days=days)) - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(constraints, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if not constraints.ca:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
            built = built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        else:
            built = built.add_extension(_CA_USAGE, critical=True)
        return built.sign(self._key, hashes.SHA256())


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
