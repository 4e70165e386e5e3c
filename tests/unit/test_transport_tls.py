"""TLS as the node serves it: versions, renewed certificates, and keys that must not be used."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from transport_world import Answer, Authority, Serving, ended, exchange, head, serving

from gateway.entrance.certificate import Certificate
from gateway.entrance.http_limits import Patience
from gateway.entrance.listening import MOST_OF_ONE
from gateway.signing.key_files import KeyFileError

NAME = "node.example.org"
GET = ("GET /hello HTTP/1.1", f"Host: {NAME}")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def pair(tmp_path: Path, authority: Authority) -> tuple[Path, Path]:
    """A good certificate and its key."""
    chain, key = tmp_path / "node.crt", tmp_path / "node.key"
    authority.issue(chain, key)
    return chain, key


@pytest.fixture
def node(pair: tuple[Path, Path]) -> Iterator[Serving]:
    with serving(address=f"https://{NAME}", certificate=Certificate(*pair, now)) as started:
        yield started


def connect(
    node: Serving, trusts: Path | None = None, *, version: ssl.TLSVersion | None = None, name: str = NAME
) -> ssl.SSLSocket:
    """A TLS connection. trusts: the authority's certificate; without one nothing is checked."""
    context = ssl.create_default_context(cafile=str(trusts) if trusts else None)
    if trusts is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")  # or this side would not even offer the old ones
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
    return context.wrap_socket(node.connect(), server_hostname=name)


def serial(node: Serving) -> int:
    """The number of the certificate that a new connection gets."""
    with connect(node) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found

    return x509.load_der_x509_certificate(found).serial_number


def test_a_request_over_tls(node: Serving, authority: Authority, tmp_path: Path) -> None:
    with connect(node, authority.write(tmp_path / "ca.crt")) as connection:
        answer = exchange(connection, head(*GET))
        assert answer.status == 200 and answer.json() == {"source": "127.0.0.1", "scheme": "https"}
        assert answer.headers["strict-transport-security"]
        assert exchange(connection, head(*GET)).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_taken(node: Serving, version: ssl.TLSVersion) -> None:
    with connect(node, version=version) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert exchange(connection, head(*GET)).status == 200
        cipher = connection.cipher()
        assert cipher and ("GCM" in cipher[0] or "CHACHA20" in cipher[0])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_that_are_not(node: Serving, version: ssl.TLSVersion) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        connect(node, version=version)


def test_a_cipher_without_authenticated_encryption_is_not_taken(node: Serving) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(node.connect(), server_hostname=NAME)


def test_plain_http_gets_no_answer(node: Serving) -> None:
    with node.connect() as connection:
        assert exchange(connection, head(*GET)) == Answer(0)
    with connect(node) as connection:
        assert exchange(connection, head(*GET)).status == 200


def test_a_handshake_that_goes_no_further_is_ended(pair: tuple[Path, Path]) -> None:
    hurried = serving(patience=Patience(head=0.3), certificate=Certificate(*pair, now))
    with hurried as node, node.connect() as silent, node.connect() as slow:
        slow.sendall(b"\x16\x03\x01\x02")
        assert ended(silent) and ended(slow)


def test_handshakes_count_among_the_connections_of_an_address(node: Serving) -> None:
    crowd = [node.connect("127.0.0.9") for _ in range(MOST_OF_ONE)]
    try:
        with node.connect("127.0.0.9") as one_more:
            assert ended(one_more)
        with connect(node) as another:
            assert exchange(another, head(*GET)).status == 200
    finally:
        for connection in crowd:
            connection.close()


@pytest.mark.parametrize("then", ["keep-alive", "close"])
def test_an_answer_that_nobody_reads_is_given_up(pair: tuple[Path, Path], then: str) -> None:
    hurried = serving(patience=Patience(answer=0.3, idle=0.3), certificate=Certificate(*pair, now))
    with hurried as node, connect(node) as connection:
        connection.sendall(head("GET /big HTTP/1.1", f"Host: {NAME}", f"Connection: {then}"))
        assert connection.recv(1)
        assert wait_for(lambda: not node.server.server_state.connections)


# ------------------------------------------------------------------ renewal


def test_a_renewed_certificate_is_served_without_a_restart(
    node: Serving, pair: tuple[Path, Path], authority: Authority
) -> None:
    with connect(node) as before:
        first = serial(node)
        renewed = authority.issue(*pair)
        assert wait_for(lambda: serial(node) == renewed.serial_number)
        assert first != renewed.serial_number
        assert exchange(before, head(*GET)).status == 200


def wait_for(met: Callable[[], bool]) -> bool:
    for _ in range(200):
        if met():
            return True
        time.sleep(0.05)
    return False


def test_a_pair_that_is_replaced_one_file_after_the_other(
    pair: tuple[Path, Path], authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(*pair, now)
    before = certificate.context
    new = tmp_path / "new.crt", tmp_path / "new.key"
    authority.issue(*new)
    new[0].replace(pair[0])
    assert not certificate.refresh()
    assert certificate.context is before
    assert "not the one of the key" in caplog.text
    caplog.clear()
    assert not certificate.refresh() and not caplog.text  # said once
    new[1].replace(pair[1])
    assert certificate.refresh()
    assert certificate.context is not before


def _garbage(chain: Path, _key: Path) -> None:
    chain.write_text("-----BEGIN CERTIFICATE-----\nqzx\n-----END CERTIFICATE-----\n")


def _gone(chain: Path, _key: Path) -> None:
    chain.unlink()


def _readable(_chain: Path, key: Path) -> None:
    key.chmod(0o644)


def _expired(chain: Path, key: Path) -> None:
    Authority().issue(chain, key, days=-1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_garbage, "node.crt: is not a certificate in PEM"),
        (_gone, "node.crt: cannot be read"),
        (_readable, "node.key: others than its owner have access"),
        (_expired, "node.crt: it has expired"),
    ],
)
def test_a_bad_renewal_is_logged_and_the_old_one_stays(
    pair: tuple[Path, Path], change: Callable[[Path, Path], None], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(*pair, now)
    before = certificate.context
    change(*pair)
    assert not certificate.refresh()
    assert certificate.context is before
    assert says in caplog.text and "qzx" not in caplog.text
    [alarm] = certificate.alarms(now())
    assert says in alarm


def test_an_alarm_is_over_with_a_good_renewal(pair: tuple[Path, Path], authority: Authority) -> None:
    authority.issue(*pair, days=10)
    certificate = Certificate(*pair, now)
    assert certificate.alarms(now()) == (f"the TLS certificate ends on {certificate.expires:%Y-%m-%d}",)
    _garbage(*pair)
    certificate.refresh()
    assert len(certificate.alarms(now())) == 2
    authority.issue(*pair, days=90)
    assert certificate.refresh()
    assert certificate.alarms(now()) == ()


# ------------------------------------------------------------------ the start


def test_an_expired_certificate_does_not_stop_the_start_but_is_said(
    pair: tuple[Path, Path], authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    authority.issue(*pair, days=-1)
    Certificate(*pair, now)
    assert "has expired" in caplog.text


def test_a_key_that_others_can_read_stops_the_start(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o640)
    with pytest.raises(KeyFileError, match="mode 0600"):
        Certificate(*pair, now)


def test_a_key_of_another_certificate_stops_the_start(
    pair: tuple[Path, Path], authority: Authority, tmp_path: Path
) -> None:
    authority.issue(tmp_path / "other.crt", tmp_path / "other.key")
    with pytest.raises(KeyFileError, match="not the one of the key in other"):
        Certificate(pair[0], tmp_path / "other.key", now)


def test_a_key_with_a_passphrase_is_opened_with_it_and_never_asks_for_it(pair: tuple[Path, Path]) -> None:
    chain, key = pair
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"correct horse battery"),
        )
    )
    assert Certificate(chain, key, now, "correct horse battery").expires > now()
    for wrong in (None, "", "incorrect horse battery"):
        with pytest.raises(KeyFileError, match="has another passphrase"):
            Certificate(chain, key, now, wrong)


def test_a_passphrase_is_no_hindrance_to_a_key_without_one(pair: tuple[Path, Path]) -> None:
    assert Certificate(*pair, now, "correct horse battery").expires > now()
