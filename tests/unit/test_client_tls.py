"""Certificates and versions of TLS: a private authority, a wrong name, and a server that is too old."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client_world import OUR_KEY, OURS, Place, Server, always, run, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.calling import transport
from gateway.calling.client import Answer, PeerClient
from gateway.calling.transport import PeerUnavailable
from gateway.signing.operational import KeyRing

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")


async def at_this_machine(_host: str, _port: int) -> Sequence[str]:
    """A name server that leads every name here."""
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A private certification authority: `ca`, and for one name `certificate` and `key`."""
    folder = tmp_path_factory.mktemp("authority")
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in "12")
    ca = certificate("A private authority", ca_key, "A private authority", ca_key, ca=True)
    leaf = certificate("node.example.org", key, "A private authority", ca_key)
    files = {
        "ca": ca.public_bytes(serialization.Encoding.PEM),
        "certificate": leaf.public_bytes(serialization.Encoding.PEM),
        "key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    yield {name: folder / name for name in files}
    transport.tls.cache_clear()


def certificate(name: str, key: Any, issuer: str, issuer_key: Any, ca: bool = False) -> x509.Certificate:
    start = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def tls_server(authority: dict[str, Path]) -> Iterator[Server]:
    with serving(ssl_certfile=authority["certificate"], ssl_keyfile=authority["key"]) as running:
        running.place = Place(running.address)
        running.place.handlers["/x"] = always(200, "reached")
        yield running


def over_tls(tls_server: Server, name: str, **options: Any) -> Answer:
    url = tls_server.address.replace("127.0.0.1", name)
    answer = run(lambda client: client.fetch(f"{url}/x"), resolve=at_this_machine, **options)
    assert isinstance(answer, Answer)
    return answer


def test_the_name_in_the_url_is_the_one_that_the_certificate_must_have(
    tls_server: Server, authority: dict[str, Path]
) -> None:
    assert over_tls(tls_server, "node.example.org", ca_file=authority["ca"]).body == b'"reached"'
    with pytest.raises(PeerUnavailable, match="ConnectError"):
        over_tls(tls_server, "other.example.org", ca_file=authority["ca"])
    with pytest.raises(PeerUnavailable, match="ConnectError"):
        over_tls(tls_server, "127.0.0.1", ca_file=authority["ca"])


def test_an_authority_that_is_not_stated_is_not_trusted(tls_server: Server) -> None:
    with pytest.raises(PeerUnavailable, match="ConnectError"):
        over_tls(tls_server, "node.example.org")


def test_the_environment_adds_no_authority(
    tls_server: Server, authority: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority["ca"]))
    transport.tls.cache_clear()
    with pytest.raises(PeerUnavailable, match="ConnectError"):
        over_tls(tls_server, "node.example.org")


@pytest.mark.parametrize(
    ("version", "accepted"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)]
)
def test_nothing_below_tls_1_2_is_spoken(
    version: ssl.TLSVersion, accepted: bool, authority: dict[str, Path]
) -> None:
    with old_server(authority, version) as (port, spoken):
        fetch = f"https://node.example.org:{port}/"
        options = {"resolve": at_this_machine, "ca_file": authority["ca"]}
        if accepted:
            assert run(lambda client: client.fetch(fetch), **options).status == 204
        else:
            with pytest.raises(PeerUnavailable, match="ConnectError"):
                run(lambda client: client.fetch(fetch), **options)
    assert spoken == (["TLSv1.2"] if accepted else [])


@contextmanager
def old_server(authority: dict[str, Path], version: ssl.TLSVersion) -> Iterator[tuple[int, list[str]]]:
    """A server that speaks exactly one version of TLS, however old; its port, and what was agreed on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(authority["certificate"], authority["key"])
    context.minimum_version = context.maximum_version = version
    spoken: list[str] = []

    def serve(listener: socket.socket) -> None:
        raw, _address = listener.accept()
        with raw:
            try:
                with context.wrap_socket(raw, server_side=True) as found:
                    spoken.append(str(found.version()))
                    found.recv(65_536)
                    found.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], spoken
        thread.join(5)


def test_an_old_client_does_reach_the_old_server(authority: dict[str, Path]) -> None:
    """So that the refusal above is the client's doing and not this machine's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        old_server(authority, ssl.TLSVersion.TLSv1_1) as (port, _spoken),
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw) as found,
    ):
        assert found.version() == "TLSv1.1"


def test_one_context_serves_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    real = transport.httpx2.create_ssl_context

    def counted(**options: Any) -> ssl.SSLContext:
        made.append(real(**options))
        return made[-1]

    monkeypatch.setattr(transport.httpx2, "create_ssl_context", counted)
    transport.tls.cache_clear()
    for _ in range(3):
        PeerClient(OURS, KeyRing.of(OUR_KEY))
    assert len(made) == 1
    assert made[0].minimum_version == ssl.TLSVersion.TLSv1_2
    assert (made[0].verify_mode, made[0].check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_authority_that_cannot_be_read_is_noticed_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        PeerClient(OURS, KeyRing.of(OUR_KEY), ca_file=tmp_path / "none.pem")
