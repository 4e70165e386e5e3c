"""Where a request came from, when a proxy stands in front: forwarded headers, from stated proxies only.

Anybody can write `X-Forwarded-For`. What a stated proxy adds to its right end is true; what stands further
left it has only passed on. So the hops are walked from the right, as long as each one is a stated proxy, and
what lies left of the first that is not is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

from gateway.errors import refuse

Networks = Sequence[IPv4Network | IPv6Network]
Address = IPv4Address | IPv6Address

MOST_HOPS = 16
_HOST = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:]*))(?::[0-9]{1,5})?\Z")


def source_address(scope: Scope, proxies: Networks) -> str:
    """The caller's IP address as text; "" when the connection is already gone.

    scope: of an HTTP request (ASGI 3). proxies: the networks that this node's own proxies call from.
    Where the connection comes from one of them: the rightmost hop of `X-Forwarded-For` or of `Forwarded`
    (RFC 7239) that is not one of them. Where their part says nothing usable: the connection's own address.

    Raises Refused 400 when both headers are there and disagree: then the proxy passes one of them on as the
    caller wrote it, and nobody can tell which.
    """
    near = _connected(scope)
    if near is None:
        return ""
    if not within(near, proxies):
        return str(near)
    told = [
        _walk(near, hops, proxies)
        for hops in (_hops(scope, b"x-forwarded-for"), _forwarded(scope, "for"))
        if hops
    ]
    if len(set(told)) > 1:
        raise refuse(400, "security", "X-Forwarded-For and Forwarded name different callers.")
    return str(told[0] if told else near)


def came_in_the_clear(scope: Scope, proxies: Networks) -> bool:
    """Whether a stated proxy says that it got this request over plain HTTP; False where none says so.

    Anything but `https` counts, as does one of several values.
    """
    if not proxies:
        return False
    near = _connected(scope)
    if near is None or not within(near, proxies):
        return False
    said = [*_hops(scope, b"x-forwarded-proto"), *_forwarded(scope, "proto")[:1]]
    return any(word.lower() != "https" for word in said)


def within(address: Address, networks: Networks) -> bool:
    """Whether an address lies in one of the networks."""
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def parsed(text: str) -> Address | None:
    """An IP address, also with a port or in brackets, as hops are written; None for anything else.

    An IPv4 address that is written as an IPv6 one comes back as IPv4: it is the same machine.
    """
    host = _HOST.match(text)
    try:
        found = ip_address((host["six"] or host["four"]) if host else text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or IPv6Address(int(found))  # without the zone of a link-local one
    return found


def _connected(scope: Scope) -> Address | None:
    client = scope.get("client")
    return parsed(client[0]) if client else None


def _walk(near: Address, hops: Sequence[str], proxies: Networks) -> Address:
    """The first from the right that is no stated proxy. hops: the nearest first."""
    here = near
    for hop in hops:
        if not within(here, proxies):
            break
        before = parsed(hop)
        if before is None:
            return near
        here = before
    return here


def _hops(scope: Scope, name: bytes) -> list[str]:
    """What a header lists, the nearest hop first, its lines taken as one list; no more than MOST_HOPS."""
    lines = [value.decode("latin-1") for header, value in scope["headers"] if header == name]
    if not lines:
        return []
    # From the right: whatever a caller has written cannot change where the last commas are.
    return [hop.strip() for hop in reversed(",".join(lines).rsplit(",", MOST_HOPS)[-MOST_HOPS:])]


def _forwarded(scope: Scope, wanted: str) -> list[str]:
    """One parameter of each element of `Forwarded`, the nearest first; "" where an element lacks it.

    For `proto`, elements without one are left out.
    """
    found = (_parameter(element, wanted) for element in _hops(scope, b"forwarded"))
    return [value for value in found if value or wanted == "for"]


def _parameter(element: str, wanted: str) -> str:
    return next((value for name, value in _pairs(element) if name == wanted), "")


def _pairs(element: str) -> Iterator[tuple[str, str]]:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        yield name.strip().lower(), value.strip().strip('"')
