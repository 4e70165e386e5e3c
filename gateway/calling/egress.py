"""Where this node may connect to, decided on the address that it then connects to.

A URL's host is a name that somebody else answers for. It is resolved once, here; every address it leads
to is judged, and if one of them is forbidden none is used. The connection goes to a judged address, not
to the name again, so that a name server which gives a second answer is never asked for it. TLS still
checks the certificate against the name in the URL, and `Host` is still that name.

Two policies: for *partners* (addresses from the directory, and what is fetched from partners) and for the
agency's *own systems* (addresses that the operator wrote into the configuration). Which addresses are not
public: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

import httpcore2
import httpx2

from gateway.calling.transport import PeerForbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Policy = Literal["partners", "own"]

_MOST_TRIED: Final = 4
_LOOPBACK: Final = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
_PRIVATE: Final = tuple(
    map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
_NAT64: Final = ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
            # Metadata services of clouds that lie outside 169.254.0.0/16: Azure, Alibaba, AWS, Google.
            "168.63.129.16/32",
            "100.100.100.200/32",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
        ),
    )
)


def kind(address: Address) -> Literal["public", "private", "loopback", "never"]:
    """What an address is, whatever a node allows; `never` are those that no partner or system has."""
    if _within(address, _LOOPBACK):
        return "loopback"
    if _within(address, _NEVER):
        return "never"
    if _within(address, _PRIVATE):
        return "private"
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "never"
    return "public"


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives for `host`. Raises OSError or UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class Egress(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that a policy allows, and refuses all others with `PeerForbidden`.

    networks: what is allowed besides, stated by the operator. plain: this one is for `http`, without TLS.
    """

    def __init__(
        self,
        networks: Sequence[Network] = (),
        *,
        policy: Policy = "partners",
        plain: bool = False,
        resolve: Resolve = resolve,
    ) -> None:
        self._networks = tuple(networks)
        self._policy = policy
        self._plain = plain
        self._resolve = resolve
        self._inner = httpcore2.AnyIOBackend()

    def allows(self, address: Address) -> bool:
        """Whether this node may connect to `address`."""
        if isinstance(address, IPv6Address) and address in _NAT64:
            # The translator connects to the IPv4 address within, so that one is judged too.
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
            return _within(address, self._networks) and self.allows(inside)
        stated = _within(address, self._networks)
        found = kind(address)
        if self._policy == "own":
            return stated or found in ("loopback", "private") or (found == "public" and not self._plain)
        if self._plain:
            return stated and found == "loopback"
        return stated or found == "public"

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to one of the addresses of `host`. Raises `PeerForbidden` or httpcore2's errors."""
        if self._policy == "partners" and port < 1024 and port not in (80, 443):
            raise PeerForbidden("this node does not connect there: a port below 1024 must be 80 or 443")
        loop = asyncio.get_running_loop()
        ends = None if timeout is None else loop.time() + timeout
        try:
            async with asyncio.timeout_at(ends):
                addresses = (await self._allowed(host, port))[:_MOST_TRIED]
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None
        for left in range(len(addresses), 0, -1):
            share = None if ends is None else max(ends - loop.time(), 0.0) / left
            try:
                return await self._inner.connect_tcp(
                    str(addresses[-left]), port, share, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if left == 1:
                    raise
        raise httpcore2.ConnectError

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        """Never: no address leads to a socket on this machine."""
        raise PeerForbidden("this node does not connect to a socket in the file system")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _allowed(self, host: str, port: int) -> list[Address]:
        """The addresses of `host`, every one of them allowed."""
        try:
            addresses = [_address(host)]
        except ValueError:
            try:
                addresses = [_address(text) for text in await self._resolve(host, port)]
            except (OSError, ValueError):
                raise httpcore2.ConnectError from None
        # RFC 6761 section 6.3: this name means this machine, whatever a name server says.
        local = host.rstrip(".").lower() == "localhost"
        for address in addresses:
            if local and kind(address) != "loopback":
                raise PeerForbidden("this node does not connect there: localhost must be this machine")
            if not self.allows(address):
                raise PeerForbidden(self._why(address))
        return addresses

    def _why(self, address: Address) -> str:
        where = f"the name leads to a {kind(address)} address"
        if kind(address) == "never":
            where = "the name leads to a special-purpose address"
        if self._plain and self._policy == "partners":
            return "this node does not connect there: without TLS it calls only itself, if `networks` says so"
        if self._plain:
            return f"this node does not connect there: {where}, and without TLS only private ones are called"
        return f"this node does not connect there: {where} that is not in `networks`"


class Routes(httpx2.AsyncBaseTransport):
    """The connections under one policy. They are never shared with another: what one may reach is its own."""

    def __init__(
        self,
        policy: Policy,
        networks: Sequence[Network],
        context: ssl.SSLContext,
        most_connections: int,
        resolve: Resolve = resolve,
    ) -> None:
        self._pools = {
            scheme: _Pool(
                httpcore2.AsyncConnectionPool(
                    ssl_context=context,
                    max_connections=most_connections,
                    max_keepalive_connections=most_connections,
                    keepalive_expiry=5.0,
                    network_backend=Egress(networks, policy=policy, plain=plain, resolve=resolve),
                )
            )
            for scheme, plain in (("https", False), ("http", True))
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        pool = self._pools.get(request.url.scheme)
        if pool is None:
            raise PeerForbidden("only absolute http and https addresses are called")
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _Pool(httpx2.AsyncHTTPTransport):
    """httpx2's transport over a pool that we made; its own way of making one takes no network backend."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool


def _address(text: str) -> Address:
    """An address in its canonical form, an IPv4-mapped one as the IPv4 address it is. Raises ValueError."""
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
