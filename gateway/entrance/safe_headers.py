"""The headers that every answer of this node carries, and the names it answers to.

Nothing here is a page: a browser that is led to one of these addresses shall run, frame, sniff and keep
nothing. `Server` is not among them: which program answers is nobody's business.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from gateway.entrance.proxies import parsed

Header = tuple[bytes, bytes]

NO_STORE: Final[Header] = (b"cache-control", b"no-store")
STRICT_TRANSPORT: Final[Header] = (b"strict-transport-security", b"max-age=63072000")
ALWAYS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

_PROBES: Final = ("/health", "/ready")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


def headers_of(address: str) -> list[Header]:
    """What every answer of the identity at `address` carries, but for `Cache-Control`.

    Over plain HTTP there is no STRICT_TRANSPORT: browsers would ignore it (RFC 6797, 7.2).
    """
    return [*ALWAYS, STRICT_TRANSPORT] if address.startswith("https:") else [*ALWAYS]


class OwnHosts:
    """Which `Host` headers are this identity's (RFC 9110, 7.2 and 15.5.20)."""

    def __init__(self, address: str) -> None:
        """address: the identity's; empty: any name will do."""
        self._known: set[bytes] = set()
        self._any = not address
        if address:
            parts = urlsplit(address)
            name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
            self._known = {name.encode(), f"{name}:{parts.port or _DEFAULT_PORT[parts.scheme]}".encode()}

    def is_ours(self, host: bytes | None, path: str) -> bool:
        """Whether a request with this `Host` is meant for this identity.

        Besides its own name: any IP address and `localhost`, which no other site can have as its name, and
        any name at all for the two probes. HTTP/1.0 has no `Host`.
        """
        if host is None or host in self._known or self._any or path in _PROBES:
            return True
        name = host.lower()
        if name in self._known or name.partition(b":")[0] == b"localhost":
            return True
        return parsed(name.decode("latin-1")) is not None
