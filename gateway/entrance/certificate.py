"""The certificate that one identity serves TLS with: loaded, checked, and taken up again when it changes."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.signing.key_files import KeyFileError, read_secret

log = logging.getLogger("waymeet.tls")

_MAX_CHAIN: Final = 256 * 1024
_SOON: Final = timedelta(days=14)
# TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

_Seen = tuple[tuple[int, ...], ...]


class Certificate:
    """A certificate chain and its key, as files that somebody else renews.

    `context` is what the next connection is served with: TLS 1.2 or 1.3, HTTP/1.1, no client certificates
    (the server could not hand them on). Connections that are open keep the one they began with.
    """

    def __init__(
        self, chain: Path, key: Path, now: Callable[[], datetime], passphrase: str | None = None
    ) -> None:
        """chain: PEM, this identity's certificate first. key: PEM, by the rules of `signing.key_files`.

        passphrase: what the key is encrypted with, if it is.

        Raises KeyFileError, naming the file and the rule. A certificate that has expired is served all the
        same (nobody will take it), but said in the log: what this node sends does not depend on it.
        """
        self._chain = chain
        self._key = key
        self._now = now
        self._passphrase = passphrase
        self._seen = self._looks()
        self._refused = ""
        self.context, self.expires = _load(chain, key, passphrase)
        if self.expires <= now():
            log.error("%s: the certificate has expired: nobody can connect until it is renewed", chain)

    def refresh(self) -> bool:
        """Take up files that have changed, and say whether; bad ones are logged and change nothing.

        Costs two `stat`. A pair that is replaced one file after the other is taken when both are there.
        """
        seen = self._looks()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            context, expires = _load(self._chain, self._key, self._passphrase)
            if expires <= self._now():
                raise KeyFileError(f"{self._chain}: it has expired")
        except KeyFileError as fault:
            self._refused = f"the changed certificate is not used: {fault}"
            log.error("%s", self._refused)
            return False
        self.context, self.expires, self._refused = context, expires, ""
        log.info("%s: the changed certificate is used from now on", self._chain)
        return True

    def alarms(self, now: datetime) -> tuple[str, ...]:
        """What somebody has to be told: that it ends soon, or that the next one cannot be used."""
        ends = f"the TLS certificate ends on {self.expires:%Y-%m-%d}" if self.expires - now < _SOON else ""
        return tuple(alarm for alarm in (ends, self._refused) if alarm)

    def _looks(self) -> _Seen:
        return tuple(_look(path) for path in (self._chain, self._key))


def _look(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


def _load(chain: Path, key: Path, passphrase: str | None) -> tuple[ssl.SSLContext, datetime]:
    """A server's context for this pair, and when its certificate expires. Raises KeyFileError."""
    try:
        with chain.open("rb") as file:
            certificates = x509.load_pem_x509_certificates(file.read(_MAX_CHAIN))
    except OSError as error:
        raise KeyFileError(f"{chain}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise KeyFileError(f"{chain}: is not a certificate in PEM") from None
    secret = read_secret(key)
    # Never None for an encrypted key: the TLS library would wait for somebody at the terminal.
    password = (passphrase or "").encode() if b"ENCRYPTED" in secret else None
    try:
        load_pem_private_key(secret, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{key}: is not a private key in PEM, or has another passphrase") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(chain, key, password)
    except (OSError, ValueError):
        raise KeyFileError(
            f"{chain}: the first certificate is not the one of the key in {key.name}"
        ) from None
    return context, certificates[0].not_valid_after_utc
